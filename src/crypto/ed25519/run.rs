//! Where the kernels meet the rest of the room: keys and their tables, and checks on their way to a kernel.
#![forbid(unsafe_code)]

use super::kernel::{Kernel, Signed, WINDOW};
use super::point::Point;
use super::table::Table;
use super::verify::Finding;
use crate::crypto::batch::Check;
use crate::crypto::tier::Tier;
use crate::crypto::{TableWidth, sha2};
use crate::sync::{self, Guard, Place};

/// A public key as the kernels know it: its point, and its table while it has one.
pub(in crate::crypto) struct Prepared {
    encoding: [u8; 32],
    point: Point,
    table: Place<Table>,
}

impl Prepared {
    /// Of a key that has been checked.
    pub(super) fn new(encoding: [u8; 32], point: Point) -> Self {
        Self {
            encoding,
            point,
            table: Place::empty(),
        }
    }

    /// Builds a table in place of the one there is.
    pub(in crate::crypto) fn build_table(&self, width: TableWidth) {
        let table = Table::new(self.point.negate(), window_bits(width));
        self.table.replace(Some(table));
    }

    /// Forgets the table.
    pub(in crate::crypto) fn drop_table(&self) {
        self.table.replace(None);
    }

    /// The width of the table, if there is one.
    pub(in crate::crypto) fn table(&self) -> Option<TableWidth> {
        let pinned = sync::pin();
        let bits = self.table.get(&pinned)?.width();
        TableWidth::ALL
            .into_iter()
            .find(|&width| window_bits(width) == bits)
    }

    /// What a table of this width takes, in bytes.
    pub(in crate::crypto) fn table_bytes(width: TableWidth) -> usize {
        Table::bytes_of(window_bits(width))
    }

    /// Whether the table, if there is one, is as it was built.
    pub(in crate::crypto) fn is_intact(&self) -> bool {
        self.table.get(&sync::pin()).is_none_or(Table::is_intact)
    }
}

/// 384 KiB, or 1.2 MiB.
const fn window_bits(width: TableWidth) -> u32 {
    match width {
        TableWidth::Usual => 8,
        TableWidth::Wide => 10,
    }
}

/// Finds out about checks, up to [`WINDOW`]; those of keys without a table stay as they are.
pub(in crate::crypto) fn find(tier: Tier, checks: &[&Check<'_>], findings: &mut [Finding]) {
    find_by(Kernel::of_tier(tier), checks, findings);
}

/// [`find`], by the kernel given.
pub(super) fn find_by(kernel: Kernel, checks: &[&Check<'_>], findings: &mut [Finding]) {
    // Tables may be taken away at any time; those seen here stay until the pin is gone.
    let pinned = sync::pin();
    let jobs: Vec<_> = (0..)
        .zip(checks)
        .filter_map(|(place, check)| Job::new(place, check, &pinned))
        .collect();
    for jobs in jobs.chunks(WINDOW) {
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
        let mut found = [Finding::Undecided; WINDOW];
        let found = &mut found[..jobs.len()];
        kernel.verify(&signed, found);
        for (job, found) in jobs.iter().zip(found) {
            findings[job.place] = *found;
        }
    }
}

/// A check whose key has a table.
struct Job<'c> {
    place: usize,
    check: &'c Check<'c>,
    table: &'c Table,
    /// `R || A`, which the message follows where it is hashed.
    prefix: [u8; 64],
}

impl<'c> Job<'c> {
    /// `None` of a key without a table, or a signature that is too short to have an R.
    fn new(place: usize, check: &'c Check<'c>, pinned: &'c Guard) -> Option<Self> {
        let key = check.key.ed25519_key()?;
        let mut prefix = [0; 64];
        prefix[..32].copy_from_slice(check.signature.first_chunk::<32>()?);
        prefix[32..].copy_from_slice(&key.encoding);
        Some(Self {
            place,
            check,
            table: key.table.get(pinned)?,
            prefix,
        })
    }
}
