//! The room's tests: key rules, public vectors, and batches of every size.

mod batches;

/// Reads hexadecimal, as the published vectors are written.
pub(super) fn hex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2));
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}
