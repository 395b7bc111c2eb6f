//! Where the kernel meets the rest of the room: checks on their way to it.
#![forbid(unsafe_code)]

use super::constants::Constants;
use super::encoding::{DIGEST_BYTES_MAX, Encoding};
use super::kernel::Kernel;
use super::verify::{Finding, Signed};
use crate::crypto::Scheme;
use crate::crypto::batch::Check;
use crate::crypto::sha2::WINDOW;
use crate::crypto::tier::Tier;

/// Finds out about checks of one scheme of RSA; those of keys that the kernel does not take stay as they are.
pub(in crate::crypto) fn find(
    tier: Tier,
    scheme: Scheme,
    checks: &[&Check<'_>],
    findings: &mut [Finding],
) {
    if tier == Tier::Ifma
        && let Some(kernel) = Kernel::detect()
    {
        find_by(kernel, scheme, checks, findings);
    }
}

/// [`find`], by the kernel given.
pub(super) fn find_by(
    kernel: Kernel,
    scheme: Scheme,
    checks: &[&Check<'_>],
    findings: &mut [Finding],
) {
    let Some(encoding) = Encoding::of(scheme) else {
        return;
    };
    let jobs: Vec<_> = (0..)
        .zip(checks)
        .filter_map(|(place, check)| {
            Some(Job {
                place,
                check,
                key: check.key.rsa_constants()?,
            })
        })
        .collect();
    for jobs in jobs.chunks(WINDOW) {
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
        let mut found = [Finding::Undecided; WINDOW];
        let found = &mut found[..jobs.len()];
        kernel.verify(encoding, &signed, 1, found);
        for (job, found) in jobs.iter().zip(found) {
            findings[job.place] = *found;
        }
    }
}

/// A check whose key the kernel takes.
struct Job<'c> {
    place: usize,
    check: &'c Check<'c>,
    key: &'c Constants,
}
