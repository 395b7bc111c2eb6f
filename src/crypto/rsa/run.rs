//! Where the kernel meets the rest of the room: keys of the sizes it takes, and runs of checks.
#![forbid(unsafe_code)]

use super::constants::Constants;
use super::encoding::{DIGEST_BYTES_MAX, Encoding};
use super::kernel::Kernel;
use super::verify::{Finding, Signed};
use crate::crypto::Scheme;
use crate::crypto::batch::{Check, Outcome, Run};
use crate::crypto::reference;
use crate::crypto::sha2::WINDOW;

/// Eight lanes take about the time of one signature by the reference: two are worth while.
const LANES_MIN: usize = 2;

/// Checks a run of one scheme of RSA: by the kernel the keys that it knows, where there are enough of a size, all
/// others by the reference.
pub(in crate::crypto) fn verify_run(scheme: Scheme, run: Run<'_, '_>) {
    verify_run_by(Kernel::detect(), scheme, run);
}

/// Checks a run by the kernel given, or by the reference.
pub(super) fn verify_run_by(kernel: Option<Kernel>, scheme: Scheme, run: Run<'_, '_>) {
    let (Some(kernel), Some(encoding)) = (kernel, Encoding::of(scheme)) else {
        return reference::verify_run(run);
    };
    if run.picks.len() < LANES_MIN {
        return reference::verify_run(run);
    }
    let mut jobs = Vec::with_capacity(WINDOW.min(run.picks.len()));
    for picks in run.picks.chunks(WINDOW) {
        jobs.clear();
        for &pick in picks {
            let position = usize::from(pick);
            let Some(check) = run.checks.get(position) else {
                continue;
            };
            match check.key.rsa_constants() {
                Some(key) => jobs.push(Job {
                    position,
                    check,
                    key,
                }),
                None => run.outcomes[position] = by_reference(check),
            }
        }
        verify_jobs(kernel, encoding, &jobs, run.outcomes);
    }
}

/// A check whose key the kernel knows.
struct Job<'c> {
    position: usize,
    check: &'c Check<'c>,
    key: &'c Constants,
}

/// Checks up to [`WINDOW`] jobs.
fn verify_jobs(kernel: Kernel, encoding: Encoding, jobs: &[Job<'_>], outcomes: &mut [Outcome]) {
    let mut digests = [[0; DIGEST_BYTES_MAX]; WINDOW];
    let digests = &mut digests[..jobs.len()];
    let message = |index: usize| jobs[index].check.message;
    encoding.hash.digest_many(message, digests);
    let signed: Vec<_> = jobs
        .iter()
        .zip(&*digests)
        .map(|(job, digest)| Signed {
            key: job.key,
            digest,
            signature: job.check.signature,
        })
        .collect();
    let mut findings = [Finding::Undecided; WINDOW];
    let findings = &mut findings[..jobs.len()];
    kernel.verify(encoding, &signed, LANES_MIN, findings);
    for (job, finding) in jobs.iter().zip(findings) {
        outcomes[job.position] = match finding {
            Finding::Genuine => Outcome::Genuine,
            // A fault of the hardware or of the kernel turns a good signature into a bad one much more easily
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
