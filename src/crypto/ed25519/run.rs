//! Where the kernels meet the rest of the room: prepared keys, and runs of checks.
#![forbid(unsafe_code)]

use super::kernel::{Kernel, Signed, WINDOW};
use super::point::Point;
use super::table::Table;
use super::verify::Finding;
use crate::crypto::batch::{Check, Outcome, Run};
use crate::crypto::sha2;
use std::sync::OnceLock;

/// A public key as the kernels know it: its point, and a table once it is prepared.
pub(in crate::crypto) struct Prepared {
    encoding: [u8; 32],
    point: Point,
    table: OnceLock<Table>,
}

impl Prepared {
    /// Of a key that has been checked.
    pub(super) fn new(encoding: [u8; 32], point: Point) -> Self {
        Self {
            encoding,
            point,
            table: OnceLock::new(),
        }
    }

    /// Builds the table, unless there is one; returns the bytes it takes.
    pub(in crate::crypto) fn prepare(&self) -> usize {
        self.table
            .get_or_init(|| Table::new(self.point.negate(), KEY_WIDTH))
            .bytes()
    }
}

/// How wide the windows of a key's table are: 384 KiB.
const KEY_WIDTH: u32 = 8;

/// Checks a run of Ed25519: the signatures of prepared keys by the fastest kernel, all others by the reference.
pub(in crate::crypto) fn verify_run(run: Run<'_, '_>) {
    let prepared = run.picks.iter().filter(|&&pick| {
        let check = run.checks.get(usize::from(pick));
        check.is_some_and(|check| prepared(check).is_some())
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
            match Job::new(position, check) {
                Some(job) if kernel != Kernel::AwsLc => jobs.push(job),
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
    /// `R || A`, which the message follows where it is hashed.
    prefix: [u8; 64],
}

impl<'c> Job<'c> {
    /// `None` of a key that is not prepared, or a signature that is too short to have an R.
    fn new(position: usize, check: &'c Check<'c>) -> Option<Self> {
        let (encoding, table) = prepared(check)?;
        let mut prefix = [0; 64];
        prefix[..32].copy_from_slice(check.signature.first_chunk::<32>()?);
        prefix[32..].copy_from_slice(encoding);
        Some(Self {
            position,
            check,
            table,
            prefix,
        })
    }
}

/// Checks up to [`WINDOW`] jobs.
fn verify_jobs(kernel: Kernel, jobs: &[Job<'_>], outcomes: &mut [Outcome]) {
    let mut hashes = [[0; 64]; WINDOW];
    let hashes = &mut hashes[..jobs.len()];
    sha2::sha512_prefixed_many(
        |index| (&jobs[index].prefix, jobs[index].check.message),
        hashes,
    );
    let signed: Vec<_> = jobs
        .iter()
        .zip(&*hashes)
        .map(|(job, hash)| Signed {
            table: job.table,
            hash,
            signature: job.check.signature,
        })
        .collect();
    let mut findings = [Finding::Forged; WINDOW];
    let findings = &mut findings[..jobs.len()];
    kernel.verify(&signed, findings);
    for (job, finding) in jobs.iter().zip(findings) {
        outcomes[job.position] = match finding {
            Finding::Genuine => Outcome::Genuine,
            // A fault of the hardware or of a kernel turns a good signature into a bad one much more easily
            // than the reverse, so a refusal is the reference's own.
            Finding::Forged => by_reference(job.check),
        };
    }
}

fn by_reference(check: &Check<'_>) -> Outcome {
    check.key.public_key().map_or(Outcome::Forged, |key| {
        key.verify(check.message, check.signature)
    })
}

/// The encoding and the table of a check's key, if it is prepared.
fn prepared<'c>(check: &Check<'c>) -> Option<(&'c [u8; 32], &'c Table)> {
    let key = check.key.ed25519_key()?;
    Some((&key.encoding, key.table.get()?))
}
