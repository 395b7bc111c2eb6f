//! The room's tests: key rules, public vectors, and batches of every size.

mod batches;
mod keys;
pub(in crate::crypto) mod soak;
pub(in crate::crypto) mod toy;
mod wycheproof;

use super::{Check, Outcome, VerifyingKey, verify_batch};

/// Reads hexadecimal, as the published vectors are written.
pub(super) fn hex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2));
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// The outcome of one check alone.
fn alone(key: &VerifyingKey, message: &[u8], signature: &[u8]) -> Outcome {
    let check = Check {
        key,
        message,
        signature,
    };
    let mut outcomes = Vec::new();
    verify_batch(&[check], &mut outcomes);
    assert_eq!(outcomes.len(), 1);
    outcomes[0]
}
