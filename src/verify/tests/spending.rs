//! Single-use tokens: one good verdict each, whoever asks, and whatever stands in the way.

use super::*;
use crate::replay::{Claim, Done, SharedUse, SharedUses, UsedTokens};
use crate::revocation::IdKey;
use crate::verdict::Cause;
use std::sync::Mutex;

fn replay(shared: Option<Arc<dyn SharedUses>>) -> Replay {
    Replay {
        used: Arc::new(UsedTokens::new(1_000)),
        ids: IdKey::new(b"of the deployment"),
        shared,
    }
}

fn single_use() -> Policy {
    Policy {
        single_use: true,
        ..policy()
    }
}

fn token(members: &str) -> String {
    sign(SECRET, HEADER, &claims(members))
}

/// Verifies the tokens and spends what is good, as the engine does.
fn use_all(records: &Records, policy: PolicyId, tokens: &[&str]) -> (Vec<Verdict>, Unsettled) {
    let mut verdicts: Vec<Verdict> = tokens
        .iter()
        .map(|token| ask(records, token, policy).verdict)
        .collect();
    let texts = tokens.iter().map(|token| token.as_bytes());
    let unsettled = records.spend(policy, texts, &mut verdicts, Now::at(NOW));
    (verdicts, unsettled)
}

fn reasons(verdicts: &[Verdict]) -> Vec<Option<Reason>> {
    verdicts.iter().map(Verdict::reason).collect()
}

/// Checks I-23.
#[test]
fn of_many_uses_the_first_is_good() {
    let replay = replay(None);
    let records = records(single_use()).spending(&replay);
    let [one, two] = [r#""jti":"1""#, r#""jti":"2""#].map(token);
    let (verdicts, unsettled) = use_all(&records, PolicyId::DEFAULT, &[&one, &two, &one]);
    assert!(unsettled.is_empty());
    let replayed = Some(Reason::Replayed);
    assert_eq!(reasons(&verdicts), [None, None, replayed]);
    // The same `jti` in other bytes, as a rewritten signature would be, and after other records were loaded.
    let again = token(r#""jti":"1","scope":"more""#);
    let other = super::records(single_use()).spending(&replay);
    let (verdicts, _) = use_all(&other, PolicyId::DEFAULT, &[&again, &two]);
    assert_eq!(reasons(&verdicts), [replayed, replayed]);
    assert_eq!(replay.used.len(), 2);
}

#[test]
fn a_single_use_token_names_itself_and_ends() {
    let replay = replay(None);
    let lax = Policy {
        expiry_required: false,
        ..single_use()
    };
    let records = records(lax).spending(&replay);
    for (members, expected) in [
        ("", Reason::MissingClaim),
        (r#""jti":7"#, Reason::InvalidClaim),
        (r#""jti":"1","exp":null"#, Reason::MissingClaim),
        (r#""jti":"1","aud":"other""#, Reason::WrongAudience),
    ] {
        let token = token(members);
        let (verdicts, _) = use_all(&records, PolicyId::DEFAULT, &[&token]);
        assert_eq!(reasons(&verdicts), [Some(expected)], "{members}");
    }
    assert!(replay.used.is_empty(), "what is refused is not used");
}

#[test]
fn a_request_policy_can_ask_for_it() {
    let replay = replay(None);
    let narrowing = Narrowing {
        single_use: true,
        ..Narrowing::default()
    };
    let records = Records::new(vec![issuer(policy())], vec![("transfer".into(), narrowing)]);
    let records = records.expect("no contradiction").spending(&replay);
    let transfer = records.policy("transfer").expect("configured");
    assert!(records.may_spend(transfer) && !records.may_spend(PolicyId::DEFAULT));
    let [one, nameless] = [r#""jti":"1""#, ""].map(token);
    let (verdicts, _) = use_all(&records, PolicyId::DEFAULT, &[&one, &one, &nameless]);
    assert_eq!(reasons(&verdicts), [None; 3]);
    let (verdicts, _) = use_all(&records, transfer, &[&one, &one, &nameless]);
    let expected = [None, Some(Reason::Replayed), Some(Reason::MissingClaim)];
    assert_eq!(reasons(&verdicts), expected);
    // What asks for nothing uses nothing up, and minds nothing.
    let (verdicts, _) = use_all(&records, PolicyId::DEFAULT, &[&one]);
    assert_eq!(reasons(&verdicts), [None]);
}

/// Checks I-23.
#[test]
fn an_entry_of_the_cache_says_nothing_of_uses() {
    let records = records(single_use()).spending(&replay(None));
    let token = token(r#""jti":"1""#);
    let remember = ask(&records, &token, PolicyId::DEFAULT).remember;
    let question = Question {
        token: token.as_bytes(),
        policy: PolicyId::DEFAULT,
        want: &Want::Verdict,
    };
    let uses = (0..3).map(|_| {
        let entry = remember.expect("verified").entry;
        let Recalled::Answer(verdict) = records.recall(question, &entry, Now::at(NOW)) else {
            panic!("nothing has changed")
        };
        assert!(verdict.is_valid());
        let mut verdicts = [verdict];
        let texts = std::iter::once(token.as_bytes());
        let _ = records.spend(PolicyId::DEFAULT, texts, &mut verdicts, Now::at(NOW));
        verdicts[0].reason()
    });
    let replayed = Some(Reason::Replayed);
    assert_eq!(uses.collect::<Vec<_>>(), [None, replayed, replayed]);
}

#[test]
fn records_that_hold_it_against_nothing_cannot_say() {
    let records = records(single_use());
    let token = token(r#""jti":"1""#);
    let (verdicts, _) = use_all(&records, PolicyId::DEFAULT, &[&token]);
    let Verdict::Unavailable(unavailable) = &verdicts[0] else {
        panic!("{verdicts:?}")
    };
    assert_eq!(unavailable.cause, Cause::ReplayUnknown);
}

/// Others' uses in one process.
#[derive(Default)]
struct Others(Mutex<Vec<SharedUse>>);

impl SharedUses for Others {
    fn claim(&self, uses: Vec<SharedUse>, done: Done) {
        let mut known = self.0.lock().expect("no panics");
        let claims = uses.into_iter().map(|asked| {
            if known.iter().any(|known| known.id == asked.id) {
                return Claim::Again;
            }
            known.push(asked);
            Claim::First
        });
        done(claims.collect());
    }
}

/// Checks I-23. Two daemons that share uses are one; what each has seen used, it need not ask about.
#[test]
fn where_uses_are_shared_the_store_decides() {
    let others = Arc::new(Others::default());
    let replays = [(); 2].map(|()| replay(Some(others.clone())));
    let daemons = replays
        .each_ref()
        .map(|replay| records(single_use()).spending(replay));
    let token = token(r#""jti":"1""#);
    let expected = [None, Some(Reason::Replayed)];
    let replayed = Some(Reason::Replayed);
    for (daemon, expected) in daemons.iter().zip([expected, [replayed; 2]]) {
        let (mut verdicts, unsettled) = use_all(daemon, PolicyId::DEFAULT, &[&token, &token]);
        assert!(!unsettled.is_empty());
        let (uses, shared) = unsettled.ask();
        assert_eq!(uses.len(), 2);
        let (sender, answer) = std::sync::mpsc::channel();
        shared.expect("configured").claim(
            uses,
            Box::new(move |claims| sender.send(claims).expect("the test is waiting")),
        );
        let claims = answer.recv().expect("at once");
        unsettled.settle(&claims, &mut verdicts, Now::at(NOW));
        assert_eq!(reasons(&verdicts), expected);
        let (verdicts, unsettled) = use_all(daemon, PolicyId::DEFAULT, &[&token]);
        assert!(unsettled.is_empty());
        assert_eq!(reasons(&verdicts), [replayed]);
    }
    let asked = others.0.lock().expect("no panics")[0];
    // To `exp`, and for the leeway of whoever has more of it.
    assert_eq!(asked.keep_seconds, 600 + 30 + 600);
}

#[test]
fn what_the_store_does_not_answer_is_unknown_and_not_used() {
    let others: Arc<dyn SharedUses> = Arc::new(Others::default());
    let replay = replay(Some(others));
    let records = records(single_use()).spending(&replay);
    let [one, two] = [r#""jti":"1""#, r#""jti":"2""#].map(token);
    let (mut verdicts, unsettled) = use_all(&records, PolicyId::DEFAULT, &[&one, &two]);
    unsettled.settle(&[Claim::First], &mut verdicts, Now::at(NOW));
    assert!(verdicts[0].is_valid());
    assert_eq!(verdicts[1].reason(), Some(Reason::Unavailable));
    assert_eq!(replay.used.len(), 1);
}
