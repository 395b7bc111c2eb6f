//! Tokens held against the register: freshly verified, from the cache, and while orders come in between.

use super::*;
use crate::revocation::{IdKey, Issued, Member, Options, Order, Register, Staleness, Standing};
use crate::verdict::{Cause, Freshness, RevocationState};
use std::time::Duration;

fn ids() -> IdKey {
    IdKey::new(b"of the deployment")
}

fn revocation(staleness: Staleness) -> Revocation {
    let register = Arc::new(Register::new(&Options::default()));
    register.set_standing(Standing::Local);
    Revocation {
        register,
        ids: ids(),
        staleness: hashbrown::HashMap::from([("default".into(), staleness)]),
        staleness_default: Staleness::Strict,
    }
}

fn order(named: &[(Member, &str)]) -> Order {
    named
        .iter()
        .try_fold(Order::everything("default"), |order, (member, value)| {
            order.naming(*member, value)
        })
        .expect("values that tokens can have")
}

fn submit(revocation: &Revocation, order: &Order) {
    let now = Now::at(NOW);
    let record = order.record(&ids(), Some(600), now).expect("in time");
    revocation.register.merge(&[record], now);
}

/// A token with everything that an order may name.
fn token() -> String {
    sign(
        SECRET,
        HEADER,
        &claims(r#""jti":"t1","sid":"s1","client_id":"shop","azp":"till""#),
    )
}

fn recall(records: &Records, token: &str, remember: Remember, now: Now) -> Option<Verdict> {
    let want = Want::Verdict;
    let question = Question {
        token: token.as_bytes(),
        policy: PolicyId::DEFAULT,
        want: &want,
    };
    match records.recall(question, &remember.entry, now) {
        Recalled::Answer(verdict) | Recalled::Renewed(verdict, _) => Some(verdict),
        Recalled::Closed | Recalled::Stale => None,
    }
}

/// Checks I-21.
#[test]
fn an_order_kills_a_token_fresh_and_cached_whatever_it_names() {
    let token = token();
    let signing_input = token.rsplit_once('.').expect("three parts").0;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, signing_input.as_bytes());
    let digest: String = digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let orders = [
        order(&[(Member::TokenId, "t1")]),
        order(&[(Member::Subject, "alice")]),
        order(&[(Member::Session, "s1")]),
        order(&[(Member::Client, "shop")]),
        order(&[(Member::Client, "till")]),
        order(&[(Member::KeyId, "k1")]),
        order(&[(Member::Digest, &digest)]),
        order(&[(Member::Issuer, ISS)]),
        order(&[]),
        order(&[
            (Member::Issuer, ISS),
            (Member::Subject, "alice"),
            (Member::Client, "till"),
        ]),
        order(&[(Member::Subject, "alice")]).issued(Issued::UpTo(1_699_999_990)),
    ];
    let others = [
        order(&[(Member::TokenId, "t2")]),
        order(&[(Member::Subject, "t1")]),
        order(&[(Member::KeyId, "k2")]),
        order(&[(Member::Issuer, ISS), (Member::Subject, "bob")]),
        order(&[(Member::Subject, "alice")]).issued(Issued::UpTo(1_699_999_989)),
    ];
    for (order, kills) in orders
        .iter()
        .map(|order| (order, true))
        .chain(others.iter().map(|order| (order, false)))
    {
        let revocation = revocation(Staleness::Strict);
        let records = records(policy()).revoking(&revocation);
        let before = ask(&records, &token, PolicyId::DEFAULT);
        let remember = before.remember.expect("verified");
        assert!(before.verdict.is_valid(), "{order:?}");
        submit(&revocation, order);
        let expected = kills.then_some(Reason::Revoked);
        let fresh = ask(&records, &token, PolicyId::DEFAULT);
        assert_eq!(fresh.verdict.reason(), expected, "{order:?}");
        let now = Now::at(NOW);
        let hit = recall(&records, &token, remember, now).expect("still cached");
        assert_eq!(hit.reason(), expected, "{order:?} from the cache");
        // What was remembered of a revoked token does not make it good either.
        let again = fresh.remember.expect("verified");
        let hit = recall(&records, &token, again, now).expect("still cached");
        assert_eq!(hit.reason(), expected, "{order:?} once more");
    }
}

#[test]
fn a_signature_or_claim_that_is_wrong_comes_first() {
    let revocation = revocation(Staleness::Strict);
    let records = records(policy()).revoking(&revocation);
    submit(&revocation, &order(&[]));
    let mut forged = token();
    forged.replace_range(forged.len() - 8..forged.len() - 4, "AAAA");
    assert_eq!(reason(&records, &forged), Some(Reason::BadSignature));
    let elsewhere = sign(SECRET, HEADER, &claims(r#""aud":"other""#));
    assert_eq!(reason(&records, &elsewhere), Some(Reason::WrongAudience));
    assert_eq!(reason(&records, &token()), Some(Reason::Revoked));
}

#[test]
fn a_hit_is_renewed_and_its_later_word_holds() {
    let revocation = revocation(Staleness::Strict);
    let records = records(policy()).revoking(&revocation);
    let token = token();
    submit(&revocation, &order(&[(Member::TokenId, "t0")]));
    let answer = ask(&records, &token, PolicyId::DEFAULT);
    let mut entry = answer.remember.expect("verified").entry;
    let question = Question {
        token: token.as_bytes(),
        policy: PolicyId::DEFAULT,
        want: &Want::Verdict,
    };
    submit(&revocation, &order(&[(Member::Subject, "bob")]));
    let Recalled::Renewed(verdict, stamp) = records.recall(question, &entry, Now::at(NOW)) else {
        panic!("a new kind of order makes every token look again")
    };
    assert!(verdict.is_valid());
    entry.revocation = stamp;
    let recalled = records.recall(question, &entry, Now::at(NOW));
    assert!(matches!(recalled, Recalled::Answer(Verdict::Valid(_))));
    submit(&revocation, &order(&[(Member::Subject, "alice")]));
    let Recalled::Answer(verdict) = records.recall(question, &entry, Now::at(NOW)) else {
        panic!("no later word on a revoked token")
    };
    assert_eq!(verdict.reason(), Some(Reason::Revoked));
}

fn at(since_boot_ms: u64) -> Now {
    Now {
        since_boot: Duration::from_millis(since_boot_ms),
        ..Now::at(NOW)
    }
}

#[test]
fn each_tenant_says_what_a_daemon_that_may_have_missed_something_answers() {
    let bounded = Staleness::Bounded(Duration::from_secs(30));
    let cases = [
        (Staleness::Strict, [true, false, false]),
        (bounded, [true, true, false]),
        (Staleness::Open, [true, true, true]),
    ];
    for (staleness, good) in cases {
        let revocation = revocation(staleness);
        let records = records(policy()).revoking(&revocation);
        let answer = ask(&records, &token(), PolicyId::DEFAULT);
        let remember = answer.remember.expect("verified");
        revocation.register.set_standing(Standing::Following {
            complete_at: Some(Duration::from_secs(100)),
            lease: Duration::from_secs(1),
        });
        for (now, good) in [at(100_003), at(101_000), at(130_001)]
            .into_iter()
            .zip(good)
        {
            let verdict = recall(&records, &token(), remember, now).expect("still cached");
            match verdict {
                Verdict::Valid(trusted) => {
                    let age_ms =
                        u32::try_from(now.since_boot.as_millis()).expect("small") - 100_000;
                    let state = if age_ms < 1_000 {
                        RevocationState::Live
                    } else {
                        RevocationState::Stale
                    };
                    assert_eq!(trusted.revocation, Freshness { state, age_ms });
                    assert!(good, "{staleness:?} {now:?}");
                }
                Verdict::Unavailable(unavailable) => {
                    assert_eq!(unavailable.cause, Cause::RevocationStale);
                    assert!(!good, "{staleness:?} {now:?}");
                }
                Verdict::Invalid(refusal) => panic!("{refusal}"),
            }
        }
        // What is known to be revoked is, however stale the rest.
        submit(&revocation, &order(&[(Member::TokenId, "t1")]));
        let verdict = recall(&records, &token(), remember, at(130_001)).expect("still cached");
        assert_eq!(verdict.reason(), Some(Reason::Revoked));
    }
}

#[test]
fn undecided_for_staleness_is_remembered_all_the_same() {
    let revocation = revocation(Staleness::Strict);
    revocation.register.set_standing(Standing::Following {
        complete_at: None,
        lease: Duration::ZERO,
    });
    let records = records(policy()).revoking(&revocation);
    let answer = ask(&records, &token(), PolicyId::DEFAULT);
    assert_eq!(answer.verdict.reason(), Some(Reason::Unavailable));
    revocation.register.set_standing(Standing::Local);
    let remember = answer.remember.expect("its signature was verified");
    let verdict = recall(&records, &token(), remember, Now::at(NOW)).expect("cached");
    assert!(
        verdict.is_valid(),
        "no storm of signatures when the feed is back"
    );
}

#[test]
fn records_say_how_far_they_know() {
    let without = records(policy());
    assert_eq!(without.outlook(Now::at(NOW)), Outlook::default());
    assert!(without.knows(0) && !without.knows(1));
    let revocation = revocation(Staleness::Strict);
    let with = records(policy()).revoking(&revocation);
    revocation.register.advance_applied(7);
    revocation.register.advance_applied(5);
    assert!(with.knows(7) && !with.knows(8));
    let outlook = with.outlook(Now::at(NOW));
    assert_eq!(
        (outlook.applied_revision, outlook.freshness.state),
        (7, RevocationState::Live)
    );
    let keys = key_set(&[jwk("k1", SECRET)]);
    let rotated = with.with_keys("acme", keys).expect("acme is configured");
    submit(&revocation, &order(&[]));
    assert_eq!(
        reason(&rotated, &token()),
        Some(Reason::Revoked),
        "rotation keeps the register"
    );
}
