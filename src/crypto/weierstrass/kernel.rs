//! Which code verifies, as a value, and the way in: from bytes to findings.
#![forbid(unsafe_code)]

#[cfg(test)]
use super::field::Loose;
use super::ifma;
use super::modulus::{FieldPrime, GroupOrder, Modulus, Words, is_below};
use super::portable::Element;
use super::table::Table;
use super::verify::{Claim, Finding, Order, Workspace};
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
    /// The key's table.
    pub(super) table: &'a Table,
    /// SHA-256 of the message.
    pub(super) digest: &'a [u8; 32],
    /// `r || s` (RFC 7518 §3.4).
    pub(super) signature: &'a [u8],
}

/// Signatures are verified this many at a time: enough to share an inversion among, few enough for all their
/// points to stay in the second-level cache.
pub(super) const WINDOW: usize = 128;

impl Kernel {
    /// The fastest kernel of this CPU for so many signatures: one alone does not fill eight lanes.
    pub(in crate::crypto) fn best(signatures: usize) -> Self {
        match Avx512Ifma::detect() {
            Some(cpu) if signatures > 1 => Self::Ifma(cpu),
            _ => Self::Portable,
        }
    }

    /// Its name in figures.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::AwsLc => "aws-lc",
            Self::Portable => "portable",
            Self::Ifma(_) => "ifma",
            #[cfg(test)]
            Self::Model => "model",
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
    pub(super) fn verify(self, signatures: &[Signed<'_>], findings: &mut [Finding]) {
        for (signatures, findings) in signatures.chunks(WINDOW).zip(findings.chunks_mut(WINDOW)) {
            self.verify_window(signatures, findings);
        }
    }

    fn verify_window(self, signatures: &[Signed<'_>], findings: &mut [Finding]) {
        // What is no claim, for its form or range, is forged.
        findings.fill(Finding::Forged);
        let mut claims: Vec<_> = (0..).zip(signatures).filter_map(claim).collect();
        let mut found = [Finding::Undecided; WINDOW];
        // Tables of one width go together: their keys have as many points to add.
        claims.sort_by_key(|claim| claim.table.width());
        // Those that one order of windows leaves undecided are tried in the other; an attacker can write
        // scalars that are exceptional to one, not to both.
        for order in [Order::Natural, Order::Shuffled] {
            for claims in claims.chunk_by(|a, b| a.table.width() == b.table.width()) {
                let found = &mut found[..claims.len()];
                self.verify_claims(claims, order, found);
                for (claim, &mut found) in claims.iter().zip(found) {
                    findings[claim.place] = found;
                }
            }
            claims.retain(|claim| findings[claim.place] == Finding::Undecided);
        }
    }

    pub(super) fn verify_claims(
        self,
        claims: &[Claim<'_>],
        order: Order,
        findings: &mut [Finding],
    ) {
        match self {
            Self::AwsLc => findings.fill(Finding::Undecided),
            Self::Portable => PORTABLE.with_borrow_mut(|workspace| {
                workspace.verify(generator(), claims, order, findings);
            }),
            Self::Ifma(cpu) => ifma::verify(cpu, generator(), claims, order, findings),
            #[cfg(test)]
            Self::Model => {
                let mut workspace =
                    Workspace::<Loose<u64, GroupOrder>, Loose<u64, FieldPrime>>::new();
                workspace.verify(generator(), claims, order, findings);
            }
        }
    }
}

thread_local! {
    static PORTABLE: RefCell<Workspace<Element<GroupOrder>, Element<FieldPrime>>> =
        RefCell::new(Workspace::new());
}

/// How wide the windows of the generator's table are: 832 KiB.
pub(super) const GENERATOR_WIDTH: u32 = 10;

/// The generator's table, built once a process.
pub(super) fn generator() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| Table::new(GENERATOR_X, GENERATOR_Y, GENERATOR_WIDTH))
}

// SP 800-186 §3.2.1.3.
pub(super) const GENERATOR_X: Words = [
    0xf4a1_3945_d898_c296,
    0x7703_7d81_2deb_33a0,
    0xf8bc_e6e5_63a4_40f2,
    0x6b17_d1f2_e12c_4247,
];
pub(super) const GENERATOR_Y: Words = [
    0xcbb6_4068_37bf_51f5,
    0x2bce_3357_6b31_5ece,
    0x8ee7_eb4a_7c0f_9e16,
    0x4fe3_42e2_fe1a_7f9b,
];

/// The numbers of a signature, if they have the right form and range.
pub(super) fn claim<'a>((place, signed): (usize, &Signed<'a>)) -> Option<Claim<'a>> {
    let (numbers, rest) = signed.signature.as_chunks();
    let ([r, s], []) = (numbers, rest) else {
        return None;
    };
    let in_range = |number: Words| number != [0; 4] && is_below(number, GroupOrder::WORDS);
    let (r, s) = (words(r), words(s));
    (in_range(r) && in_range(s)).then_some(Claim {
        place,
        table: signed.table,
        r,
        s,
        z: words(signed.digest),
    })
}

/// A big-endian number.
pub(super) fn words(bytes: &[u8; 32]) -> Words {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().rev().zip(bytes.as_chunks().0) {
        *word = u64::from_be_bytes(*bytes);
    }
    words
}
