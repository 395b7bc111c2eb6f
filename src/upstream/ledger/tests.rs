//! What ledgers remember and raise.

use super::*;
use crate::issuer::SigningKey;
use crate::jose::Algorithm;
use crate::keys::samples::set;

const NOW: i64 = 1_700_000_000;

fn key(kid: &str) -> String {
    let key = SigningKey::generate(Algorithm::Es256, None).expect("a key");
    let key = key.with_kid(Some(kid)).expect("a good kid");
    key.public_jwk().expect("it has a public half")
}

fn alarms(ledgers: &Ledgers) -> Vec<Alarm> {
    let incidents = ledgers.of("acme").incidents;
    incidents.iter().map(|incident| incident.alarm).collect()
}

#[test]
fn a_rotation_in_order_raises_no_alarm_and_one_out_of_order_does() {
    let ledgers = Ledgers::new(Arc::new(Metrics::new()));
    let acme: Arc<str> = "acme".into();
    let (a, b, c) = (key("a"), key("b"), key("c"));
    let mut first = set(&[&a]);
    ledgers.enter(&acme, None, &mut first, NOW);
    first.slots()[0].usage.note(NOW + 600);
    let mut both = set(&[&a, &b]);
    ledgers.enter(&acme, Some(&first), &mut both, NOW + 10);
    let ledger = ledgers.of("acme");
    assert_eq!(ledger.first_seen(&both.slots()[0]), Some(NOW));
    assert_eq!(ledger.first_seen(&both.slots()[1]), Some(NOW + 10));
    let mut second = set(&[&b]);
    ledgers.enter(&acme, Some(&both), &mut second, NOW + 600);
    assert_eq!(alarms(&ledgers), []);
    // Its tokens live still.
    second.slots()[0].usage.note(NOW + 2_000);
    let mut third = set(&[&c]);
    ledgers.enter(&acme, Some(&second), &mut third, NOW + 1_000);
    assert_eq!(alarms(&ledgers), [Alarm::WithdrawnInUse]);
    assert_eq!(ledgers.of("acme").withdrawn.len(), 2);
    // It comes back, and with it what was known of it.
    let mut again = set(&[&c, &b]);
    ledgers.enter(&acme, Some(&third), &mut again, NOW + 1_001);
    assert_eq!(again.slots()[1].usage.expires_last(), Some(NOW + 2_000));
    assert_eq!(ledgers.of("acme").withdrawn.len(), 1);
}

#[test]
fn a_kid_that_names_another_key_is_an_alarm_at_once_and_after_a_pause() {
    let ledgers = Ledgers::new(Arc::new(Metrics::new()));
    let acme: Arc<str> = "acme".into();
    let mut first = set(&[&key("a")]);
    ledgers.enter(&acme, None, &mut first, NOW);
    let mut other = set(&[&key("a")]);
    ledgers.enter(&acme, Some(&first), &mut other, NOW);
    assert_eq!(alarms(&ledgers), [Alarm::KidReused]);
    let mut pause = set(&[&key("b")]);
    ledgers.enter(&acme, Some(&other), &mut pause, NOW);
    let mut late = set(&[&key("a")]);
    ledgers.enter(&acme, Some(&pause), &mut late, NOW);
    assert_eq!(alarms(&ledgers), [Alarm::KidReused; 2]);
}

#[test]
fn what_stays_wrong_is_told_of_once() {
    let ledgers = Ledgers::new(Arc::new(Metrics::new()));
    let acme: Arc<str> = "acme".into();
    for _ in 0..3 {
        ledgers.note_time(&acme, NOW + 100, NOW);
        ledgers.note_unusable(&acme, vec!["key 0: too short".to_owned()], NOW);
    }
    assert_eq!(alarms(&ledgers), [Alarm::UnusableKeys, Alarm::ClockSkew]);
    ledgers.note_time(&acme, NOW, NOW);
    ledgers.note_time(&acme, NOW - 100, NOW);
    assert_eq!(alarms(&ledgers).len(), 3);
    for _ in 0..100 {
        ledgers.note(&acme, Alarm::UnknownKidSurge, NOW);
    }
    assert_eq!(alarms(&ledgers).len(), REMEMBERED_MAX);
}
