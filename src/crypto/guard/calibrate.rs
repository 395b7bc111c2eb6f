//! Finds out on this machine, at start, from how many signatures on a kernel is faster than what is below it.
#![forbid(unsafe_code)]

use super::canary::{self, Canary};
use super::state::STATES;
use super::{Finding, by_reference};
use crate::clock;
use crate::crypto::Scheme;
use crate::crypto::batch::Check;
use crate::crypto::kernels as own;
use crate::crypto::tier::{self, Tier};
use std::hint::black_box;
use std::time::Duration;

/// Sizes of batch that are timed.
const SIZES: [u8; 4] = [1, 2, 4, 8];

/// Each time is the least of so many, because whatever else runs can only make it longer.
const ROUNDS: usize = 5;

/// Times the scheme's kernels beside the reference and notes from how many checks on each is worth while. Takes a
/// few milliseconds. Does nothing until [`warm_up`](super::warm_up) has been called.
///
/// A tier that the environment forces is worth while as usual, however slow it may be here: whoever forces it wants it
/// to work.
pub(in crate::crypto) fn calibrate(scheme: Scheme) {
    let Some(canary) = canary::of(scheme) else {
        return;
    };
    let reference = least_time(|| {
        black_box(by_reference(canary.genuine()));
    });
    let mut below = SIZES.map(|size| reference * u32::from(size));
    for tier in [Tier::Portable, Tier::Ifma] {
        let has_none = own::checks_min(scheme, tier).is_none();
        if tier > tier::ceiling() || tier::is_forced(tier) || has_none {
            continue;
        }
        let times = SIZES.map(|size| time(scheme, tier, canary, usize::from(size)));
        let faster = SIZES
            .iter()
            .zip(times.iter().zip(&below))
            .find(|(_, (own, below))| own < below);
        STATES
            .of(scheme, tier)
            .set_checks_min(faster.map(|(&size, _)| size));
        for (below, own) in below.iter_mut().zip(times) {
            *below = own.min(*below);
        }
    }
}

fn time(scheme: Scheme, tier: Tier, canary: &'static Canary, size: usize) -> Duration {
    let checks: Vec<&Check<'_>> = vec![canary.genuine(); size];
    let mut findings = vec![Finding::Undecided; size];
    least_time(|| own::find(scheme, tier, &checks, black_box(&mut findings)))
}

fn least_time(mut work: impl FnMut()) -> Duration {
    let once = |_| {
        let begun = clock::since_boot();
        work();
        clock::since_boot().saturating_sub(begun)
    };
    (0..ROUNDS).map(once).min().unwrap_or_default()
}
