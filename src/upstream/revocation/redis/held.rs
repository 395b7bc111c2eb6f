//! What a log holds, as far as it has been scanned, and what it lacks of what is known.
#![forbid(unsafe_code)]

use super::core::Known;
use crate::revocation::{Record, RecordKey};
use hashbrown::HashMap;

/// What was held by the log when it was scanned: each key with its `before` and `until`.
pub(crate) type Held = HashMap<RecordKey, (u32, u32)>;

/// Notes what a page of a scan held.
pub(crate) fn hold(held: &mut Held, records: &[Record]) {
    for record in records {
        let times = held.entry(record.key).or_default();
        *times = (times.0.max(record.before), times.1.max(record.until));
    }
}

/// What is known and the log does not hold, or not as far.
pub(crate) fn lacking(held: &Held, known: &impl Known) -> Vec<Record> {
    let mut lacking = Vec::new();
    known.each(&mut |record| {
        let has_it = held
            .get(&record.key)
            .is_some_and(|(before, until)| *before >= record.before && *until >= record.until);
        if !has_it {
            lacking.push(record);
        }
    });
    lacking
}
