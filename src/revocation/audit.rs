//! One line for each order: who gave it, what it is, when, and what has become of it. Never a token, and never the
//! value that was named: the record's key stands for it, which whoever knows value and secret can compute.

use super::{NotTaken, Order, Receipt, Record, kind_of};
use std::fmt::Display;

/// Where audit lines go. They are written at every level of the log.
const TARGET: &str = "jotd::audit";

/// Writes the line of an order that made sense.
pub fn order(
    by: &dyn Display,
    order: &Order,
    record: &Record,
    outcome: Result<&Receipt, &NotTaken>,
) {
    let (kind, key) = (kind_of(record.key.members), record.key.to_hex());
    let members = record.key.members;
    match outcome {
        Ok(receipt) => tracing::info!(
            target: TARGET,
            %by, kind, %members, tenant = order.tenant(), record = key,
            issued_before = second(record.before), until = second(record.until),
            result = receipt.progress.name(), revision = receipt.revision,
            "revoked"
        ),
        Err(why) => tracing::warn!(
            target: TARGET,
            %by, kind, %members, tenant = order.tenant(), record = key,
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

/// Writes the line of a request that made none.
pub fn faulty(by: &dyn Display, faults: usize) {
    tracing::warn!(target: TARGET, %by, faults, result = "invalid", "not revoked");
}

/// Writes the line of somebody who may not.
pub fn unauthorized(by: &dyn Display) {
    tracing::warn!(target: TARGET, %by, result = "unauthorized", "not revoked");
}
