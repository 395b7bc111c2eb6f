//! Where the kernels meet the rest of the room: prepared keys, and runs of checks.
#![forbid(unsafe_code)]

use super::kernel::{Kernel, Signed, WINDOW, words};
use super::modulus::Words;
use super::table::Table;
use super::verify::Finding;
use crate::crypto::batch::{Check, Outcome, Run};
use crate::crypto::sha2;
use std::sync::OnceLock;

/// A public key's point, and its table once it is prepared.
pub(in crate::crypto) struct Point {
    x: Words,
    y: Words,
    table: OnceLock<Table>,
}

impl Point {
    /// From big-endian coordinates, which have been checked: the point is on the curve.
    pub(in crate::crypto) fn new(x: &[u8; 32], y: &[u8; 32]) -> Self {
        Self {
            x: words(x),
            y: words(y),
            table: OnceLock::new(),
        }
    }

    /// Builds the table, unless there is one; returns the bytes it takes.
    pub(in crate::crypto) fn prepare(&self) -> usize {
        self.table
            .get_or_init(|| Table::new(self.x, self.y, KEY_WIDTH))
            .bytes()
    }
}

/// How wide the windows of a key's table are: 256 KiB.
const KEY_WIDTH: u32 = 8;

/// Checks a run of ES256: the signatures of prepared keys by the fastest kernel, all others by the reference.
pub(in crate::crypto) fn verify_run(run: Run<'_, '_>) {
    let prepared = run.picks.iter().filter(|&&pick| {
        let check = run.checks.get(usize::from(pick));
        check.is_some_and(|check| table(check).is_some())
    });
    let kernel = Kernel::best(prepared.count());
    verify_run_by(kernel, run);
}

/// Checks a run by the kernel given.
pub(super) fn verify_run_by(kernel: Kernel, run: Run<'_, '_>) {
    let mut jobs = Vec::with_capacity(WINDOW.min(run.picks.len()));
    for picks in run.picks.chunks(WINDOW) {
        jobs.clear();
        for &pick in picks {
            let position = usize::from(pick);
            let Some(check) = run.checks.get(position) else {
                continue;
            };
            match table(check) {
                Some(table) if kernel != Kernel::AwsLc => jobs.push(Job {
                    position,
                    check,
                    table,
                }),
                _ => run.outcomes[position] = by_reference(check),
            }
        }
        verify_jobs(kernel, &jobs, run.outcomes);
    }
}

/// A check whose key has a table.
struct Job<'c> {
    position: usize,
    check: &'c Check<'c>,
    table: &'c Table,
}

/// Checks up to [`WINDOW`] jobs.
fn verify_jobs(kernel: Kernel, jobs: &[Job<'_>], outcomes: &mut [Outcome]) {
    let mut digests = [[0; 32]; WINDOW];
    let digests = &mut digests[..jobs.len()];
    sha2::sha256_many(|index| jobs[index].check.message, digests);
    let signed: Vec<_> = jobs
        .iter()
        .zip(&*digests)
        .map(|(job, digest)| Signed {
            table: job.table,
            digest,
            signature: job.check.signature,
        })
        .collect();
    let mut findings = [Finding::Undecided; WINDOW];
    let findings = &mut findings[..jobs.len()];
    kernel.verify(&signed, findings);
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

/// The table of a check's key, if it is prepared.
fn table<'c>(check: &Check<'c>) -> Option<&'c Table> {
    check.key.p256_point()?.table.get()
}
