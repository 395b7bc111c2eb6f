//! What tests of desks with logs elsewhere share.

use super::redis::Options;
use super::{Desk, Intake};
use crate::clock::{Clock, since_boot};
use crate::metrics::Metrics;
use crate::revocation::{IdKey, Member, Order, Record, Register};
use crate::verdict::RevocationState;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(super) fn open(folder: &Path, options: &Options, clock: &Clock) -> Desk {
    let register = Arc::new(Register::new(&crate::revocation::Options::default()));
    let intake = Intake::new(register, clock.clone(), Arc::new(Metrics::new()));
    Desk::open_shared(folder, Arc::new(intake), Some(options)).expect("it opens")
}

/// An order about a token that lives for another hour, whatever anybody's clock says.
pub(super) fn record(jti: &str) -> Record {
    let order = Order::everything("acme").naming(Member::TokenId, jti);
    let now = Clock::system().now();
    let order = order.expect("a value that tokens can have");
    let record = order.record(&IdKey::new(b""), Some(3_600), now);
    record.expect("in time")
}

pub(super) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let since = since_boot();
    while !is_so() {
        let waited = since_boot() - since;
        assert!(waited < Duration::from_secs(30), "never {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub(super) fn is_live(desk: &Desk) -> bool {
    let intake = desk.intake();
    intake.register().freshness(intake.clock().now()).state == RevocationState::Live
}
