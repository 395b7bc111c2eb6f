//! A prime field so small that everything can be tried: K2 of the ladder that `docs/SOUNDNESS.md` describes.
//!
//! What the kernels do with elements is written once for any field. Here is one whose arithmetic is beyond doubt, so
//! that a fault which shows is one of the formulas, and one that does not show is not there.

/// A residue modulo the prime P.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::crypto) struct Toy<const P: u64>(u64);

impl<const P: u64> Toy<P> {
    pub(in crate::crypto) fn new(number: u64) -> Self {
        Self(number % P)
    }

    pub(in crate::crypto) fn number(self) -> u64 {
        self.0
    }

    /// Every residue.
    pub(in crate::crypto) fn all() -> impl Iterator<Item = Self> {
        (0..P).map(Self)
    }

    pub(in crate::crypto) fn plus(self, other: Self) -> Self {
        Self::new(self.0 + other.0)
    }

    pub(in crate::crypto) fn minus(self, other: Self) -> Self {
        Self::new(self.0 + P - other.0)
    }

    pub(in crate::crypto) fn times(self, other: Self) -> Self {
        Self::new(self.0 * other.0)
    }

    /// By trying; `None` of zero.
    pub(in crate::crypto) fn inverse(self) -> Option<Self> {
        Self::all().find(|other| self.times(*other).0 == 1)
    }
}
