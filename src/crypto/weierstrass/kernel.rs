//! Which code verifies, as a value, and the way in: from bytes to findings.
#![forbid(unsafe_code)]

use super::curve::{Curve, generator};
use super::ifma;
use super::modulus::{Modulus, is_below};
use super::portable::Element;
use super::scratch;
use super::table::Table;
use super::verify::{Claim, Finding, Order, Workspace};
use crate::crypto::tier::Tier;
use crate::simd::Avx512Ifma;

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
pub(super) struct Signed<'a, const W: usize> {
    /// The key's table.
    pub(super) table: &'a Table<W>,
    /// The message's digest.
    pub(super) digest: [u64; W],
    /// `r || s` (RFC 7518 §3.4).
    pub(super) signature: &'a [u8],
}

/// Signatures are verified this many at a time: enough to share an inversion among, few enough for all their
/// points to stay in the second-level cache.
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
        let mut kernels = vec![Self::AwsLc, Self::Portable];
        #[cfg(test)]
        kernels.push(Self::Model);
        kernels.extend(Avx512Ifma::detect().map(Self::Ifma));
        kernels
    }

    /// Finds out about each signature, in order. A finding stands for its signature alone.
    pub(super) fn verify<C: Curve<W>, const W: usize>(
        self,
        signatures: &[Signed<'_, W>],
        findings: &mut [Finding],
    ) {
        for (signatures, findings) in signatures.chunks(WINDOW).zip(findings.chunks_mut(WINDOW)) {
            self.verify_window::<C, W>(signatures, findings);
        }
    }

    fn verify_window<C: Curve<W>, const W: usize>(
        self,
        signatures: &[Signed<'_, W>],
        findings: &mut [Finding],
    ) {
        // What is no claim, for its form or range, is forged.
        findings.fill(Finding::Forged);
        let mut claims: Vec<_> = (0..).zip(signatures).filter_map(claim::<C, W>).collect();
        let mut found = [Finding::Undecided; WINDOW];
        // Tables of one width go together: their keys have as many points to add.
        claims.sort_by_key(|claim| claim.table.width());
        // Those that one order of windows leaves undecided are tried in the other; an attacker can write
        // scalars that are exceptional to one, not to both.
        for order in [Order::Natural, Order::Shuffled] {
            for claims in claims.chunk_by(|a, b| a.table.width() == b.table.width()) {
                let found = &mut found[..claims.len()];
                self.verify_claims::<C, W>(claims, order, found);
                for (claim, &mut found) in claims.iter().zip(found) {
                    findings[claim.place] = found;
                }
            }
            claims.retain(|claim| findings[claim.place] == Finding::Undecided);
        }
    }

    pub(super) fn verify_claims<C: Curve<W>, const W: usize>(
        self,
        claims: &[Claim<'_, W>],
        order: Order,
        findings: &mut [Finding],
    ) {
        let generator = generator::<C, W>();
        match self {
            Self::AwsLc => findings.fill(Finding::Undecided),
            Self::Portable => scratch::with::<Option<PortableRoom<C, W>>>(|room| {
                room.get_or_insert_with(Workspace::new)
                    .verify(generator, claims, order, findings);
            }),
            Self::Ifma(cpu) => ifma::verify::<C, W>(cpu, generator, claims, order, findings),
            #[cfg(test)]
            Self::Model => {
                Workspace::<C::Scalars<u64>, C::Coordinates<u64>, W>::new()
                    .verify(generator, claims, order, findings);
            }
        }
    }
}

type PortableRoom<C, const W: usize> =
    Workspace<Element<<C as Curve<W>>::Order, W>, Element<<C as Curve<W>>::Prime, W>, W>;

/// The numbers of a signature, if they have the right form and range.
pub(super) fn claim<'a, C: Curve<W>, const W: usize>(
    (place, signed): (usize, &Signed<'a, W>),
) -> Option<Claim<'a, W>> {
    // RFC 7518 §3.4: R and S are "octet sequences in big-endian order, with each array being" of the order's length.
    if signed.signature.len() != 2 * 8 * W {
        return None;
    }
    let (r, s) = signed.signature.split_at(8 * W);
    let in_range = |number| number != [0; W] && is_below(number, C::Order::WORDS);
    let (r, s) = (words(r), words(s));
    (in_range(r) && in_range(s)).then_some(Claim {
        place,
        table: signed.table,
        r,
        s,
        z: signed.digest,
    })
}

/// A big-endian number of `8 W` bytes.
#[inline]
pub(super) fn words<const W: usize>(bytes: &[u8]) -> [u64; W] {
    let mut words = [0; W];
    for (word, bytes) in words.iter_mut().rev().zip(bytes.as_chunks().0) {
        *word = u64::from_be_bytes(*bytes);
    }
    words
}
