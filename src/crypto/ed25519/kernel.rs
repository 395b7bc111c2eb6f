//! Which code verifies, as a value, and the way in: from bytes to findings.
#![forbid(unsafe_code)]

use super::field::{Element, words};
use super::ifma;
#[cfg(test)]
use super::limbs::Product;
use super::point::{BASE, Point};
use super::scalar;
use super::table::Table;
use super::verify::{Claim, Finding, Workspace};
use crate::crypto::tier::Tier;
use crate::simd::Avx512Ifma;
use std::cell::RefCell;
use std::sync::OnceLock;

/// A way to verify. Holding a value means that this CPU can do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::crypto) enum Kernel {
    /// None of ours: every signature is left to the reference.
    AwsLc,
    /// Words of 64 bits, one signature beside the other.
    Portable,
    /// Eight lanes of 52-bit limbs.
    Ifma(Avx512Ifma),
    /// One lane of 52-bit limbs: the plain model of [`Self::Ifma`].
    #[cfg(test)]
    Model,
}

/// A signature to verify.
#[derive(Clone, Copy)]
pub(super) struct Signed<'a> {
    /// The table of the key's opposite.
    pub(super) table: &'a Table,
    /// SHA-512 of R, the key and the message.
    pub(super) hash: &'a [u8; 64],
    /// `R || S`.
    pub(super) signature: &'a [u8],
}

/// Signatures are verified this many at a time: enough to share an inversion among.
pub(super) const WINDOW: usize = 128;

impl Kernel {
    /// The kernel of a tier, or the best below it that this CPU can run.
    pub(in crate::crypto) fn of_tier(tier: Tier) -> Self {
        match (tier, Avx512Ifma::detect()) {
            (Tier::AwsLc, _) => Self::AwsLc,
            (Tier::Ifma, Some(cpu)) => Self::Ifma(cpu),
            _ => Self::Portable,
        }
    }

    /// Every kernel this CPU can run, the reference first.
    #[cfg(test)]
    pub(in crate::crypto) fn available() -> Vec<Self> {
        let mut kernels = vec![Self::AwsLc, Self::Portable, Self::Model];
        kernels.extend(Avx512Ifma::detect().map(Self::Ifma));
        kernels
    }

    /// Finds out about each signature, in order. A finding stands for its signature alone.
    pub(super) fn verify(self, signatures: &[Signed<'_>], findings: &mut [Finding]) {
        for (signatures, findings) in signatures.chunks(WINDOW).zip(findings.chunks_mut(WINDOW)) {
            self.verify_window(signatures, findings);
        }
    }

    fn verify_window(self, signatures: &[Signed<'_>], findings: &mut [Finding]) {
        // What is no claim, for its form or range, is forged.
        findings.fill(Finding::Forged);
        let mut claims: Vec<_> = (0..).zip(signatures).filter_map(claim).collect();
        let mut found = [Finding::Forged; WINDOW];
        // Tables of one width go together: their keys have as many points to add.
        claims.sort_by_key(|claim| claim.table.width());
        for claims in claims.chunk_by(|a, b| a.table.width() == b.table.width()) {
            let found = &mut found[..claims.len()];
            self.verify_claims(claims, found);
            for (claim, &mut found) in claims.iter().zip(found) {
                findings[claim.place] = found;
            }
        }
    }

    fn verify_claims(self, claims: &[Claim<'_>], findings: &mut [Finding]) {
        match self {
            Self::AwsLc => findings.fill(Finding::Undecided),
            Self::Portable => PORTABLE.with_borrow_mut(|workspace| {
                workspace.verify(base(), claims, findings);
            }),
            Self::Ifma(cpu) => ifma::verify(cpu, base(), claims, findings),
            #[cfg(test)]
            Self::Model => Workspace::<Product<u64>>::new().verify(base(), claims, findings),
        }
    }
}

thread_local! {
    static PORTABLE: RefCell<Workspace<Element>> = const { RefCell::new(Workspace::new()) };
}

/// How wide the windows of the base point's table are: 1.2 MiB.
const BASE_WIDTH: u32 = 10;

/// The base point's table, built once a process.
fn base() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        let point = Point::decode(&BASE).expect("the base point is a point");
        Table::new(point, BASE_WIDTH)
    })
}

/// The numbers of a signature, if they have the right form and range.
fn claim<'a>((place, signed): (usize, &Signed<'a>)) -> Option<Claim<'a>> {
    let (halves, rest) = signed.signature.as_chunks();
    let ([r, s], []) = (halves, rest) else {
        return None;
    };
    Some(Claim {
        place,
        table: signed.table,
        r: words(r),
        s: scalar::odd_if_in_range(words(s))?,
        k: scalar::odd_from_hash(signed.hash),
    })
}
