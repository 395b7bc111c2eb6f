//! The register against a plain map, the laws of merging, quotas, pruning, memory, and readers beside a writer.

use super::*;
use crate::clock::Now;
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const NOW: i64 = 1_710_000_000;
/// [`NOW`] as records hold it.
const T: u32 = 1_710_000_000;

fn now() -> Now {
    at(0)
}

/// So many seconds later, by both clocks.
fn at(seconds: u64) -> Now {
    Now {
        since_boot: Duration::from_secs(1_000 + seconds),
        ..Now::at(NOW + seconds.cast_signed())
    }
}

fn register() -> Register {
    Register::new(&Options::default())
}

fn ids() -> IdKey {
    IdKey::new(b"secret of the tests")
}

/// A record about as many tokens as there are numbers: of a tag, a member set and an id of their own.
fn numbered(number: u64) -> Record {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    id[8..].copy_from_slice(&number.to_le_bytes());
    Record {
        key: RecordKey {
            tenant: TenantTag(7),
            members: Members::NONE.with(Member::TokenId),
            id,
        },
        before: Record::EVERY,
        until: T + 3_600,
    }
}

fn order(tenant: &str, named: &[(Member, &str)]) -> Order {
    named
        .iter()
        .try_fold(Order::everything(tenant), |order, (member, value)| {
            order.naming(*member, value)
        })
        .expect("values that tokens can have")
}

fn record_of(order: &Order) -> Record {
    order.record(&ids(), Some(3_600), now()).expect("in time")
}

fn token() -> Facts<'static> {
    Facts {
        issuer: Some("https://idp.example"),
        token_id: Some("t1"),
        subject: Some("alice"),
        session: Some("s1"),
        clients: [Some("shop"), None],
        key_id: Some("k1"),
        signing_input: b"e30.e30",
        issued_at: Some(NOW - 60),
    }
}

fn is_revoked(register: &Register, tenancy: &Tenancy, facts: &Facts<'_>) -> bool {
    register.probe(tenancy, facts) == Probed::Revoked
}

fn any_record() -> impl Strategy<Value = Record> {
    // Few keys and few times, so that they meet.
    (0..3_u32, 0..128_u8, 0..4_u8, 0..5_u32, 0..5_u32).prop_map(
        |(tenant, members, id, before, until)| Record {
            key: RecordKey {
                tenant: TenantTag(tenant),
                members: Members::from_bits(members % 8).expect("seven bits"),
                id: [id; 16],
            },
            before: if before == 4 {
                Record::EVERY
            } else {
                T + before
            },
            until: if until == 4 {
                Record::FOREVER
            } else {
                T + until
            },
        },
    )
}

fn sorted(register: &Register) -> Vec<[u8; Record::BYTES]> {
    let mut records: Vec<_> = register.records().map(|record| record.to_bytes()).collect();
    records.sort_unstable();
    records
}

proptest! {
    #[test]
    fn a_register_is_a_map_with_maxima(batches in prop::collection::vec(prop::collection::vec(any_record(), 0..40), 0..12)) {
        let register = register();
        let mut model: HashMap<RecordKey, (u32, u32)> = HashMap::new();
        for batch in &batches {
            let mut new = 0;
            for record in batch {
                let held = model.get(&record.key).copied().unwrap_or((0, 0));
                let merged = record.merged(held.0, held.1);
                let merged = (merged.before, merged.until);
                if model.insert(record.key, merged) != Some(merged) {
                    new += 1;
                }
            }
            let before = register.generation();
            let merged = register.merge(batch, now());
            prop_assert_eq!(merged.new, new);
            prop_assert_eq!(merged.generation, before + u64::from(new > 0));
            prop_assert_eq!(register.len(), model.len());
        }
        let mut expected: Vec<_> = model
            .iter()
            .map(|(key, (before, until))| Record { key: *key, before: *before, until: *until }.to_bytes())
            .collect();
        expected.sort_unstable();
        prop_assert_eq!(sorted(&register), expected);
        for (key, (before, until)) in model {
            let record = Record { key, before, until };
            prop_assert!(register.contains(&record));
            if before < Record::EVERY {
                let later = Record { before: before + 1, ..record };
prop_assert!(!register.contains(&later));
            }
            let other = RecordKey { tenant: TenantTag(9), ..key };
            let other = Record { key: other, ..record };
prop_assert!(!register.contains(&other));
        }
    }

    #[test]
    fn order_and_repetition_do_not_matter(records in prop::collection::vec(any_record(), 0..60), turn in any::<prop::sample::Index>()) {
        let (one, other) = (register(), register());
        one.merge(&records, now());
        let mut turned = records.clone();
        if !turned.is_empty() {
            let middle = turn.index(turned.len());
            turned.rotate_left(middle);
            turned.reverse();
        }
        for record in turned.iter().chain(&records) {
            other.merge(&[*record], now());
        }
        prop_assert_eq!(sorted(&one), sorted(&other));
        let again = one.merge(&records, now());
        prop_assert_eq!(again.new, 0);
        let all: Vec<Record> = one.records().collect();
        prop_assert_eq!(other.merge(&all, now()).new, 0, "what is exchanged adds nothing");
    }

    /// Any sets with any outcome by look-up: the token dies exactly if some order names only what it has.
    #[test]
    fn an_order_concerns_what_has_all_that_it_names(sets in prop::collection::vec((0..128_u8, any::<bool>()), 0..6)) {
        let register = register();
        let tenancy = register.tenancy(&ids(), "acme");
        let mine = |member: Member| match member {
            Member::Issuer => "https://idp.example",
            Member::TokenId => "t1",
            Member::Subject => "alice",
            Member::Session => "s1",
            Member::Client => "shop",
            Member::KeyId => "k1",
            // SHA-256 of e30.e30
            Member::Digest => "e75e2f1bd181b1b0e32a20fa939f3f8a831a02658411db5e21f3b88082f594d6",
        };
        let mut expected = false;
        for (bits, fits) in sets {
            let members = Members::from_bits(bits).expect("seven bits");
            let last = members.iter().last();
            let named: Vec<(Member, &str)> = members
                .iter()
                .map(|member| match (Some(member) == last && !fits, member) {
                    (false, _) => (member, mine(member)),
                    (true, Member::Digest) => (member, "0000000000000000000000000000000000000000000000000000000000000000"),
                    (true, _) => (member, "another"),
                })
                .collect();
            let tenant = if members.is_empty() && !fits { "other" } else { "acme" };
            register.merge(&[record_of(&order(tenant, &named))], now());
            expected |= fits;
            prop_assert_eq!(is_revoked(&register, &tenancy, &token()), expected, "{}", members);
        }
    }
}

#[test]
fn a_watermark_spares_what_was_issued_later() {
    let register = register();
    let tenancy = register.tenancy(&ids(), "acme");
    register.merge(
        &[record_of(&order("acme", &[(Member::Subject, "alice")]))],
        now(),
    );
    let issued = |issued_at| Facts {
        issued_at,
        ..token()
    };
    assert!(is_revoked(&register, &tenancy, &issued(Some(NOW))));
    assert!(is_revoked(&register, &tenancy, &issued(None)));
    assert!(!is_revoked(&register, &tenancy, &issued(Some(NOW + 1))));
    // The greatest of all that apply counts, never the most specific.
    register.merge(
        &[record_of(&order("acme", &[]).issued(Issued::UpTo(T + 5)))],
        now(),
    );
    assert!(is_revoked(&register, &tenancy, &issued(Some(NOW + 5))));
    assert!(!is_revoked(&register, &tenancy, &issued(Some(NOW + 6))));
}

#[test]
fn a_token_of_two_clients_dies_with_either() {
    let register = register();
    let tenancy = register.tenancy(&ids(), "acme");
    register.merge(
        &[record_of(&order("acme", &[(Member::Client, "till")]))],
        now(),
    );
    let of = |clients| Facts { clients, ..token() };
    assert!(is_revoked(
        &register,
        &tenancy,
        &of([Some("till"), Some("shop")])
    ));
    assert!(is_revoked(
        &register,
        &tenancy,
        &of([Some("shop"), Some("till")])
    ));
    assert!(is_revoked(&register, &tenancy, &of([None, Some("till")])));
    assert!(!is_revoked(&register, &tenancy, &of([Some("shop"), None])));
}

#[test]
fn a_clear_token_looks_again_only_when_something_near_it_changed() {
    let register = register();
    let tenancy = register.tenancy(&ids(), "acme");
    let jti = |tenant: &str, value: &str| record_of(&order(tenant, &[(Member::TokenId, value)]));
    let stamp = || match register.probe(&tenancy, &token()) {
        Probed::Clear(stamp) => stamp.to_words(),
        Probed::Revoked => panic!("nothing concerns it"),
    };
    let first = stamp();
    assert_eq!(register.recheck(&tenancy, first), Recheck::Clear);
    register.merge(&[jti("other", "t1")], now());
    assert_eq!(
        register.recheck(&tenancy, first),
        Recheck::Clear,
        "another tenant's"
    );
    register.merge(&[jti("acme", "t2")], now());
    assert_eq!(
        register.recheck(&tenancy, first),
        Recheck::Unsure,
        "a new kind of order"
    );
    let second = stamp();
    // Of 1,000 strangers, none or a few share the bucket.
    let unsure = (0..1_000)
        .filter(|n| {
            let stamp = stamp();
            register.merge(&[jti("acme", &format!("stranger {n}"))], now());
            register.recheck(&tenancy, stamp) == Recheck::Unsure
        })
        .count();
    assert!(unsure < 5, "{unsure}");
    if let Recheck::ClearSince(later) = register.recheck(&tenancy, second) {
        assert_eq!(register.recheck(&tenancy, later.to_words()), Recheck::Clear);
    }
    let third = stamp();
    register.merge(
        &[record_of(&order("acme", &[(Member::KeyId, "k9")]))],
        now(),
    );
    assert_eq!(
        register.recheck(&tenancy, third),
        Recheck::Unsure,
        "keys leave no mark"
    );
    let fourth = stamp();
    register.merge(&[jti("acme", "t1")], now());
    assert_eq!(register.recheck(&tenancy, fourth), Recheck::Unsure);
    assert!(is_revoked(&register, &tenancy, &token()));
}

#[test]
fn a_tenant_beyond_its_quota_gets_a_watermark_and_loses_nothing() {
    let register = Register::new(&Options {
        tenant_records_max: 100,
    });
    let tenancy = register.tenancy(&ids(), "acme");
    // The n-th user was logged out n seconds after T; each has a token from just then.
    let out = |n: u32| {
        let order = order("acme", &[(Member::Subject, &format!("user {n}"))]);
        record_of(&order.issued(Issued::UpTo(T + n)))
    };
    let mut records: Vec<Record> = (0..101).map(out).collect();
    let kid = record_of(&order("acme", &[(Member::KeyId, "stolen")]));
    records.insert(50, kid);
    for record in &records {
        register.merge(&[*record], now());
    }
    assert!(register.len() <= 100, "{}", register.len());
    for n in 0..101 {
        let name = format!("user {n}");
        let facts = Facts {
            subject: Some(&name),
            issued_at: Some(NOW + i64::from(n)),
            ..token()
        };
        assert!(is_revoked(&register, &tenancy, &facts), "{n}");
    }
    let stolen = Facts {
        key_id: Some("stolen"),
        issued_at: Some(NOW + 9_999),
        ..token()
    };
    assert!(
        is_revoked(&register, &tenancy, &stolen),
        "no watermark covers a stolen key"
    );
    assert!(!is_revoked(
        &register,
        &tenancy,
        &Facts {
            issued_at: Some(NOW + 50),
            ..token()
        }
    ));
    // A resync brings all of them again.
    assert!(records.iter().all(|record| register.contains(record)));
    assert_eq!(register.merge(&records, now()).new, 0);
    let other = Register::new(&Options::default());
    let _ = other.tenancy(&ids(), "acme");
    let exchanged: Vec<Record> = register.records().collect();
    other.merge(&exchanged, now());
    assert!(
        records.iter().all(|record| other.contains(record)),
        "nor is it lost elsewhere"
    );
}

#[test]
fn single_tokens_beyond_the_quota_are_covered_by_how_long_they_live() {
    let register = Register::new(&Options {
        tenant_records_max: 100,
    });
    let tenancy = register.tenancy(&ids(), "acme");
    let out = |n: u32| {
        let order = order("acme", &[(Member::TokenId, &format!("t{n}"))]);
        record_of(&order.until(T + n))
    };
    let records: Vec<Record> = (0..150).map(out).collect();
    register.merge(&records, now());
    assert!(register.len() <= 100 && records.iter().all(|record| register.contains(record)));
    for n in 0..150 {
        let name = format!("t{n}");
        let facts = Facts {
            token_id: Some(&name),
            issued_at: Some(NOW + i64::from(n)),
            ..token()
        };
        assert!(is_revoked(&register, &tenancy, &facts), "{n}");
    }
    assert!(!is_revoked(
        &register,
        &tenancy,
        &Facts {
            issued_at: Some(NOW + 149),
            ..token()
        }
    ));
}

#[test]
fn a_tenant_that_is_not_served_here_is_turned_away_at_its_quota_and_later_told_so() {
    let register = Register::new(&Options {
        tenant_records_max: 10,
    });
    register.set_standing(Standing::Local);
    let served = register.tenancy(&ids(), "acme");
    let jti = |n: u32| record_of(&order("other", &[(Member::TokenId, &format!("t{n}"))]));
    let records: Vec<Record> = (0..12).map(jti).collect();
    let merged = register.merge(&records, now());
    assert_eq!((merged.new, merged.declined), (10, 2));
    assert!(!register.contains(&records[11]));
    let freshness = register.freshness(now());
    assert_eq!(register.freshness_of(&served, freshness).state, State::Live);
    let other = register.tenancy(&ids(), "other");
    assert_eq!(register.freshness_of(&other, freshness).state, State::Stale);
}

#[test]
fn only_what_two_clocks_call_dead_is_forgotten() {
    let register = register();
    let tenancy = register.tenancy(&ids(), "acme");
    let short = record_of(&order("acme", &[(Member::TokenId, "t1")]).until(T + 60));
    let long = record_of(&order("acme", &[(Member::KeyId, "k9")]));
    register.merge(&[short, long], now());
    let day = 86_400;
    let dead = 60 + PRUNE_MARGIN_SECONDS.cast_unsigned() + 1;
    // The wall clock leaps ahead: the boot clock disagrees.
    let ahead = Now {
        since_boot: at(10).since_boot,
        ..at(day)
    };
    assert_eq!(register.prune(ahead), 0);
    // The wall clock falls back: it disagrees itself.
    let behind = Now {
        since_boot: at(day).since_boot,
        ..Now::at(NOW)
    };
    assert_eq!(register.prune(behind), 0);
    // While they disagree, the moment is an interval.
    let unsettled = Now {
        earliest: NOW,
        ..at(day)
    };
    assert_eq!(register.prune(unsettled), 0);
    assert!(is_revoked(&register, &tenancy, &token()));
    assert_eq!(register.prune(at(dead - 2)), 0);
    assert_eq!(register.prune(at(dead)), 1);
    assert_eq!((register.len(), register.contains(&long)), (1, true));
    assert_eq!(register.prune(at(1_000 * day)), 0, "a key is out for ever");
    assert_eq!(register.counts()[0].records, 1);
}

#[test]
fn what_is_over_when_it_comes_is_kept_for_a_day_all_the_same() {
    let register = register();
    let tenancy = register.tenancy(&ids(), "acme");
    let record = Record {
        until: T - 90_000,
        ..record_of(&order("acme", &[(Member::TokenId, "t1")]))
    };
    register.merge(&[record], now());
    assert_eq!(register.prune(at(86_399)), 0);
    assert!(
        is_revoked(&register, &tenancy, &token()),
        "if it was the clock that was wrong"
    );
    assert_eq!(register.prune(at(86_400)), 1);
}

#[test]
fn the_watermark_of_a_tenant_goes_with_its_record() {
    let register = register();
    register.merge(&[record_of(&order("acme", &[]))], now());
    let tenancy = register.tenancy(&ids(), "acme");
    let without_date = Facts {
        issued_at: None,
        ..token()
    };
    assert!(
        is_revoked(&register, &tenancy, &without_date),
        "merged before anybody asked"
    );
    assert_eq!(register.prune(at(86_400)), 1);
    assert!(!is_revoked(&register, &tenancy, &without_date));
    assert_eq!(register.records().count(), 0);
}

#[test]
fn an_entry_takes_at_most_forty_bytes_however_the_register_grew() {
    let one_by_one = register();
    let mut worst = 0.0_f64;
    for number in 0..200_000 {
        one_by_one.merge(&[numbered(number)], now());
        // Below, a shard holds so few that its empty places weigh more than the records: 100 kB in all.
        if number > 100_000 && number % 1_000 == 0 {
            worst = worst.max(bytes_each(&one_by_one));
        }
    }
    let at_once = register();
    let records: Vec<Record> = (0..200_000).map(numbered).collect();
    at_once.merge(&records, now());
    assert_eq!(at_once.len(), one_by_one.len());
    at_once.merge(&records, now());
    worst = worst.max(bytes_each(&at_once));
    assert!(worst <= 40.0, "{worst}");
    assert!(
        records
            .iter()
            .step_by(97)
            .all(|record| at_once.contains(record))
    );
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for an assertion")]
fn bytes_each(register: &Register) -> f64 {
    register.bytes() as f64 / register.len() as f64
}

#[test]
fn readers_beside_a_writer_never_lose_a_revocation() {
    let register = Register::new(&Options {
        tenant_records_max: 3_000,
    });
    let tenancy = register.tenancy(&ids(), "acme");
    let subject = |n: u32| format!("user {n}");
    let merged_to = std::sync::atomic::AtomicU32::new(0);
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for start in 0..2_u32 {
            let (register, tenancy, merged_to, ended) = (&register, &tenancy, &merged_to, &ended);
            scope.spawn(move || {
                let mut n = start;
                while !ended.load(Ordering::Relaxed) {
                    let merged = merged_to.load(Ordering::Acquire);
                    if merged == 0 {
                        continue;
                    }
                    n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let name = subject(n % merged);
                    let facts = Facts {
                        subject: Some(&name),
                        issued_at: Some(NOW),
                        ..token()
                    };
                    assert!(is_revoked(register, tenancy, &facts), "{name} of {merged}");
                }
            });
        }
        // Shards grow, and the quota takes the oldest into a watermark twice over.
        for n in 0..6_000 {
            let order = order("acme", &[(Member::Subject, &subject(n))]);
            register.merge(
                &[record_of(&order.issued(Issued::UpTo(T + n % 600)))],
                now(),
            );
            merged_to.store(n + 1, Ordering::Release);
        }
        ended.store(true, Ordering::Relaxed);
    });
    assert!(register.len() <= 3_000);
}

proptest! {
    #[test]
    fn any_order_that_is_written_is_read_again(
        bits in 0..128_u8,
        value in "\\PC{1,40}",
        issued in prop_oneof![Just(Issued::Fitting), Just(Issued::Now), Just(Issued::Ever), (0..u32::MAX).prop_map(Issued::UpTo)],
        until in prop::option::of(0..u32::MAX),
    ) {
        let members = Members::from_bits(bits).expect("seven bits");
        let digest = "0123456789abcdef".repeat(4);
        let mut order = Order::everything(&value).issued(issued);
        for member in members.iter() {
            let value = if member == Member::Digest { &digest } else { &value };
            order = order.naming(member, value).expect("values that tokens can have");
        }
        if let Some(until) = until {
            order = order.until(until);
        }
        let json = order.to_json();
        prop_assert_eq!(Order::parse(json.as_bytes()), Ok(order.clone()));
        prop_assert_eq!(order.members(), members);
        // Whatever is cut from it is no order, or one that says less, and never a panic.
        for end in 0..json.len() {
            let _ = Order::parse(&json.as_bytes()[..end]);
        }
    }

    #[test]
    fn bytes_that_are_no_order_or_record_are_refused_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[0-9a-fA-F]{0,60}") {
        prop_assert!(Order::parse(&bytes).is_err());
        if let Ok(record) = Record::from_hex(&text) {
            prop_assert_eq!(record.to_hex(), text);
        }
    }
}

#[test]
fn what_a_writer_put_before_it_panicked_is_announced_by_the_next() {
    let register = register();
    let tenancy = register.tenancy(&ids(), "acme");
    register.merge(
        &[record_of(&order("acme", &[(Member::TokenId, "t2")]))],
        now(),
    );
    let Probed::Clear(stamp) = register.probe(&tenancy, &token()) else {
        panic!("nothing concerns it")
    };
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let _writer = register.lock();
            panic!("half-way through a merge");
        });
        assert!(writer.join().is_err());
    });
    register.merge(&[], now());
    assert_eq!(
        register.recheck(&tenancy, stamp.to_words()),
        Recheck::Unsure
    );
}
