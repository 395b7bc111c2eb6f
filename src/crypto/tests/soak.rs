//! How long the differential tests go on, and with which numbers: K3 and K4 of the ladder.
//!
//! By themselves they take the counts that they name and the same numbers each time. `make soak` multiplies the counts
//! and draws a seed, which it prints and which `make soak SEED=…` replays.

use std::str::FromStr;

/// So many times what is usual.
pub(in crate::crypto) fn cases(usual: usize) -> usize {
    usual * setting::<usize>("JOTD_SOAK").unwrap_or(1)
}

/// The seed of a test that is usually seeded with this number.
pub(in crate::crypto) fn seed(usual: u64) -> u64 {
    usual ^ setting::<u64>("JOTD_SEED").unwrap_or(0)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a setting of these tests alone, which the daemon never reads"
)]
fn setting<T: FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    let number = text.parse().ok();
    assert!(number.is_some(), "{name} is a number, not {text}");
    number
}
