//! Where the kernels meet the rest of the room: prepared keys, and runs of checks.
#![forbid(unsafe_code)]

use super::curve::Curve;
use super::kernel::{Kernel, Signed, WINDOW, words};
use super::p256::P256;
use super::secp256k1::Secp256k1;
use super::table::Table;
use super::verify::Finding;
use crate::crypto::Scheme;
use crate::crypto::batch::{Check, Outcome, Run};
use std::sync::OnceLock;

/// A public key's point, on the curve of its scheme.
pub(in crate::crypto) enum Key {
    P256(Point<4>),
    Secp256k1(Point<4>),
}

impl Key {
    /// From big-endian coordinates, which have been checked: their length is the curve's, and the point is on it.
    /// `None` for a scheme that has no kernel here.
    pub(in crate::crypto) fn new(scheme: Scheme, x: &[u8], y: &[u8]) -> Option<Self> {
        match scheme {
            Scheme::EcdsaP256Sha256 => Some(Self::P256(Point::new(x, y))),
            Scheme::EcdsaSecp256k1Sha256 => Some(Self::Secp256k1(Point::new(x, y))),
            _ => None,
        }
    }

    /// Builds the table, unless there is one; returns the bytes it takes.
    pub(in crate::crypto) fn prepare(&self) -> usize {
        match self {
            Self::P256(point) => point.prepare::<P256>(),
            Self::Secp256k1(point) => point.prepare::<Secp256k1>(),
        }
    }
}

/// A point, and its table once it is prepared.
pub(in crate::crypto) struct Point<const W: usize> {
    x: [u64; W],
    y: [u64; W],
    table: OnceLock<Table<W>>,
}

impl<const W: usize> Point<W> {
    fn new(x: &[u8], y: &[u8]) -> Self {
        Self {
            x: words(x),
            y: words(y),
            table: OnceLock::new(),
        }
    }

    fn prepare<C: Curve<W>>(&self) -> usize {
        self.table
            .get_or_init(|| Table::new::<C>(self.x, self.y, C::KEY_WIDTH))
            .bytes()
    }
}

/// Checks a run of a scheme on one of these curves: the signatures of prepared keys by the fastest kernel, all
/// others by the reference.
pub(in crate::crypto) fn verify_run(scheme: Scheme, run: Run<'_, '_>) {
    let kernel = |prepared| Kernel::best(prepared);
    verify_run_by(kernel, scheme, run);
}

/// Checks a run by the kernel given for as many prepared keys as there are.
pub(super) fn verify_run_by(kernel: impl Fn(usize) -> Kernel, scheme: Scheme, run: Run<'_, '_>) {
    match scheme {
        Scheme::EcdsaP256Sha256 => verify_curve::<P256, _>(kernel, run),
        Scheme::EcdsaSecp256k1Sha256 => verify_curve::<Secp256k1, _>(kernel, run),
        _ => run.each(by_reference),
    }
}

fn verify_curve<C: Curve<W>, const W: usize>(kernel: impl Fn(usize) -> Kernel, run: Run<'_, '_>) {
    let prepared = run.picks.iter().filter(|&&pick| {
        let check = run.checks.get(usize::from(pick));
        check.is_some_and(|check| table::<C, W>(check).is_some())
    });
    let kernel = kernel(prepared.count());
    let mut jobs = Vec::with_capacity(WINDOW.min(run.picks.len()));
    for picks in run.picks.chunks(WINDOW) {
        jobs.clear();
        for &pick in picks {
            let position = usize::from(pick);
            let Some(check) = run.checks.get(position) else {
                continue;
            };
            match table::<C, W>(check) {
                Some(table) if kernel != Kernel::AwsLc => jobs.push(Job {
                    position,
                    check,
                    table,
                }),
                _ => run.outcomes[position] = by_reference(check),
            }
        }
        verify_jobs::<C, W>(kernel, &jobs, run.outcomes);
    }
}

/// A check whose key has a table.
struct Job<'c, const W: usize> {
    position: usize,
    check: &'c Check<'c>,
    table: &'c Table<W>,
}

/// Checks up to [`WINDOW`] jobs.
fn verify_jobs<C: Curve<W>, const W: usize>(
    kernel: Kernel,
    jobs: &[Job<'_, W>],
    outcomes: &mut [Outcome],
) {
    let mut digests = [[0; W]; WINDOW];
    let digests = &mut digests[..jobs.len()];
    C::digest_many(|index| jobs[index].check.message, digests);
    let signed: Vec<_> = jobs
        .iter()
        .zip(&*digests)
        .map(|(job, &digest)| Signed {
            table: job.table,
            digest,
            signature: job.check.signature,
        })
        .collect();
    let mut findings = [Finding::Undecided; WINDOW];
    let findings = &mut findings[..jobs.len()];
    kernel.verify::<C, W>(&signed, findings);
    for (job, finding) in jobs.iter().zip(findings) {
        outcomes[job.position] = match finding {
            Finding::Genuine => Outcome::Genuine,
            // A fault of the hardware or of a kernel turns a good signature into a bad one much more easily
            // than the reverse, so a refusal is the reference's own.
            Finding::Forged | Finding::Undecided => by_reference(job.check),
        };
    }
}

fn by_reference(check: &Check<'_>) -> Outcome {
    check.key.public_key().map_or(Outcome::Forged, |key| {
        key.verify(check.message, check.signature)
    })
}

/// The table of a check's key, if it is on the curve and prepared.
fn table<'c, C: Curve<W>, const W: usize>(check: &Check<'c>) -> Option<&'c Table<W>> {
    C::point(check.key.weierstrass_key()?)?.table.get()
}
