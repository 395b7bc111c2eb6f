//! One line for each order: who gave it, what it is, when, and what has become of it. Never a token, and never the
//! value that was named: the record's key stands for it, which whoever knows value and secret can compute.
#![forbid(unsafe_code)]

use super::caller::Caller;
use super::orders::Asked;
use crate::revocation::{NotTaken, Receipt, kind_of};

/// Where audit lines go. They are written at every level of the log.
const TARGET: &str = "jotd::audit";

/// An order that made sense.
pub(super) fn order(caller: Caller, asked: &Asked, outcome: Result<&Receipt, &NotTaken>) {
    let Asked { order, record } = asked;
    let (kind, key) = (kind_of(record.key.members), record.key.to_hex());
    let members = record.key.members;
    match outcome {
        Ok(receipt) => tracing::info!(
            target: TARGET,
            by = %caller, kind, %members, tenant = order.tenant(), record = key,
            issued_before = second(record.before), until = second(record.until),
            result = receipt.progress.name(), revision = receipt.revision,
            "revoked"
        ),
        Err(why) => tracing::warn!(
            target: TARGET,
            by = %caller, kind, %members, tenant = order.tenant(), record = key,
            result = why.name(),
            "not revoked"
        ),
    }
}

/// A second of a record; its largest number means that there is no end.
fn second(second: u32) -> String {
    match second {
        u32::MAX => "ever".to_owned(),
        second => second.to_string(),
    }
}

/// A request that made none.
pub(super) fn faulty(caller: Caller, faults: usize) {
    tracing::warn!(target: TARGET, by = %caller, faults, result = "invalid", "not revoked");
}

/// Somebody who may not.
pub(super) fn unauthorized(caller: Caller) {
    tracing::warn!(target: TARGET, by = %caller, result = "unauthorized", "not revoked");
}
