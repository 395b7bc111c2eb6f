//! Each kernel's standing in this process: on, or off for good, and what it has done so far.
#![forbid(unsafe_code)]

use crate::crypto::tier::Tier;
use crate::crypto::{Scheme, kernels as own};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

/// A kernel's standing.
pub(super) struct State {
    off: AtomicBool,
    /// From how many checks on it is faster than the tier below.
    checks_min: AtomicU8,
    checks: Count,
    pub(super) confirmed: Count,
    pub(super) shadowed: Count,
    pub(super) canaries: Count,
    disagreements: Count,
}

/// How a kernel was caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disagreement {
    /// It did not give the known answers before it began to work.
    SelfTest,
    /// It did not give a known answer that ran among its checks.
    Canary,
    /// It found a signature genuine that the reference does not.
    Accepted,
    /// It found a signature forged that the reference finds genuine.
    Refused,
}

/// Tiers that have kernels: all but the reference.
const TIERS: usize = Tier::ALL.len() - 1;

/// The standings of all kernels. There is one set a process; tests make others.
pub(super) struct States([[State; TIERS]; Scheme::COUNT]);

/// The standings that count.
pub(super) static STATES: States = States::new();

impl States {
    pub(super) const fn new() -> Self {
        Self([const { [const { State::new() }; TIERS] }; Scheme::COUNT])
    }

    /// The standing of a scheme's kernel. The reference has none, and shares that of the lowest tier, which nobody
    /// asks for it.
    pub(super) fn of(&self, scheme: Scheme, tier: Tier) -> &State {
        &self.0[scheme as usize][(tier as usize).saturating_sub(1)]
    }

    /// Numbers all kernels from 0 on.
    pub(super) fn number(scheme: Scheme, tier: Tier) -> usize {
        scheme as usize * TIERS + (tier as usize).saturating_sub(1)
    }
}

impl State {
    const fn new() -> Self {
        Self {
            off: AtomicBool::new(false),
            checks_min: AtomicU8::new(0),
            checks: Count::new(),
            confirmed: Count::new(),
            shadowed: Count::new(),
            canaries: Count::new(),
            disagreements: Count::new(),
        }
    }

    pub(super) fn is_on(&self) -> bool {
        !self.off.load(Ordering::Relaxed)
    }

    pub(super) fn checked(&self, checks: usize) {
        self.checks.add(checks as u64);
    }

    /// Turns the kernel off, on every thread, until the process is started again.
    #[cold]
    pub(super) fn trip(&self, scheme: Scheme, tier: Tier, how: Disagreement) {
        self.disagreements.add(1);
        if !self.off.swap(true, Ordering::Relaxed) {
            // Part of the audit: which code decided is part of what a verdict rests on.
            tracing::error!(
                target: "jotd::audit",
                scheme = ?scheme,
                kernel = tier.name(),
                how = ?how,
                "a kernel disagreed with the reference and is off; the reference verifies in its place"
            );
        }
    }
}

impl State {
    /// From how many checks on the kernel is worth while; never, where there is none.
    pub(super) fn is_worth(&self, scheme: Scheme, tier: Tier, checks: usize) -> bool {
        let measured = self.checks_min.load(Ordering::Relaxed);
        let least = match measured {
            0 => own::checks_min(scheme, tier),
            NEVER => None,
            least => Some(least),
        };
        least.is_some_and(|least| checks >= usize::from(least))
    }

    /// Notes from how many checks on the kernel was measured to be worth while.
    pub(super) fn set_checks_min(&self, least: Option<u8>) {
        self.checks_min.store(
            least.map_or(NEVER, |least| least.clamp(1, NEVER - 1)),
            Ordering::Relaxed,
        );
    }
}

const NEVER: u8 = u8::MAX;

/// A kernel's standing, to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelReport {
    /// What it verifies.
    pub scheme: Scheme,
    /// Its tier.
    pub tier: Tier,
    /// Whether it may work: it has not disagreed with the reference.
    pub is_on: bool,
    /// Checks it was given, known answers among them.
    pub checks: u64,
    /// Refusals that the reference was asked about.
    pub confirmed: u64,
    /// Signatures it found genuine that the reference was asked about.
    pub shadowed: u64,
    /// Windows that carried known answers.
    pub canaries: u64,
    /// Times it was caught.
    pub disagreements: u64,
}

/// All kernels that this CPU can run, and how they stand.
#[must_use]
pub fn kernels() -> Vec<KernelReport> {
    let tiers = [Tier::Portable, Tier::Ifma].into_iter();
    let kernels = tiers.flat_map(|tier| Scheme::ALL.map(|scheme| (scheme, tier)));
    kernels
        .filter(|&(scheme, tier)| tier <= Tier::of_cpu() && own::checks_min(scheme, tier).is_some())
        .map(|(scheme, tier)| {
            let state = STATES.of(scheme, tier);
            KernelReport {
                scheme,
                tier,
                is_on: state.is_on(),
                checks: state.checks.get(),
                confirmed: state.confirmed.get(),
                shadowed: state.shadowed.get(),
                canaries: state.canaries.get(),
                disagreements: state.disagreements.get(),
            }
        })
        .collect()
}

/// A number that only grows.
pub(super) struct Count(AtomicU64);

impl Count {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub(super) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
