//! How far up the ladder of kernels this process may go.
#![forbid(unsafe_code)]

use crate::simd::Avx512Ifma;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

/// Kinds of code that verify, each asking more of the CPU than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Tier {
    /// aws-lc-rs, the reference: every check goes to it.
    AwsLc,
    /// Our kernels in plain Rust, which run anywhere.
    Portable,
    /// Our kernels in lanes of AVX-512 IFMA.
    Ifma,
}

/// Forces a ceiling for a whole process, tests included: `aws-lc`, `portable` or `ifma`.
pub const CEILING_VARIABLE: &str = "JOTD_KERNELS";

impl Tier {
    /// All tiers, the lowest first.
    pub const ALL: [Self; 3] = [Self::AwsLc, Self::Portable, Self::Ifma];

    /// The tier one step down; the reference has none.
    pub(super) const fn below(self) -> Self {
        match self {
            Self::Ifma => Self::Portable,
            Self::Portable | Self::AwsLc => Self::AwsLc,
        }
    }

    /// The name in figures, settings and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AwsLc => "aws-lc",
            Self::Portable => "portable",
            Self::Ifma => "ifma",
        }
    }

    /// The tier of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.name() == name)
    }

    /// The highest tier that this CPU can run.
    #[must_use]
    pub fn of_cpu() -> Self {
        match Avx512Ifma::detect() {
            Some(_) => Self::Ifma,
            None => Self::Portable,
        }
    }
}

impl std::fmt::Display for Tier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The tier that [`CEILING_VARIABLE`] names, if it is set.
///
/// # Errors
/// What it says, where that names no tier.
pub fn forced() -> Result<Option<Tier>, String> {
    let Some(value) = std::env::var_os(CEILING_VARIABLE) else {
        return Ok(None);
    };
    let tier = value.to_str().and_then(Tier::from_name);
    tier.map(Some)
        .ok_or_else(|| value.to_string_lossy().into_owned())
}

/// The highest tier that may be used: this CPU's, or lower where the environment or [`set_ceiling`] say so.
#[must_use]
#[inline]
pub fn ceiling() -> Tier {
    match CEILING.load(Ordering::Relaxed) {
        tier if tier == Tier::AwsLc as u8 => Tier::AwsLc,
        tier if tier == Tier::Portable as u8 => Tier::Portable,
        tier if tier == Tier::Ifma as u8 => Tier::Ifma,
        _ => first_ceiling(),
    }
}

/// Lowers the ceiling, or raises it again to at most what this CPU can run. Where the environment forces a tier,
/// that stays.
pub fn set_ceiling(tier: Tier) {
    let tier = match environment() {
        Some(forced) => forced,
        None => tier,
    };
    CEILING.store(tier.min(Tier::of_cpu()) as u8, Ordering::Relaxed);
}

const UNKNOWN: u8 = u8::MAX;

static CEILING: AtomicU8 = AtomicU8::new(UNKNOWN);

#[cold]
fn first_ceiling() -> Tier {
    let tier = environment().unwrap_or(Tier::Ifma).min(Tier::of_cpu());
    CEILING.store(tier as u8, Ordering::Relaxed);
    tier
}

/// Whether the environment forces this tier.
pub(super) fn is_forced(tier: Tier) -> bool {
    environment() == Some(tier)
}

/// A word that names no tier is a fault for whoever reads settings; here it means the reference, which is never
/// wrong.
fn environment() -> Option<Tier> {
    static FORCED: OnceLock<Option<Tier>> = OnceLock::new();
    *FORCED.get_or_init(|| forced().unwrap_or(Some(Tier::AwsLc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tier_has_a_name_of_its_own() {
        for tier in Tier::ALL {
            assert_eq!(Tier::from_name(tier.name()), Some(tier));
        }
        assert_eq!(Tier::from_name("avx512"), None);
        assert_eq!(Tier::from_name(""), None);
    }

    #[test]
    fn the_ceiling_is_never_above_the_cpu() {
        assert!(ceiling() <= Tier::of_cpu());
    }
}
