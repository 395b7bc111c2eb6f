//! Where the kernels meet the rest of the room: keys and their tables, and checks on their way to a kernel.
#![forbid(unsafe_code)]

use super::curve::Curve;
use super::kernel::{Kernel, Signed, WINDOW, words};
use super::p256::P256;
use super::p384::P384;
use super::secp256k1::Secp256k1;
use super::table::Table;
use super::verify::Finding;
use crate::crypto::batch::Check;
use crate::crypto::tier::Tier;
use crate::crypto::{Scheme, TableWidth};
use crate::sync::{self, Guard, Place};

/// A public key's point, on the curve of its scheme.
pub(in crate::crypto) enum Key {
    P256(Point<4>),
    P384(Point<6>),
    Secp256k1(Point<4>),
}

/// Does the same with the point of any curve.
macro_rules! on_its_curve {
    ($key:expr, $point:ident, $curve:ident => $work:expr) => {
        match $key {
            Key::P256($point) => {
                type $curve = P256;
                $work
            }
            Key::P384($point) => {
                type $curve = P384;
                $work
            }
            Key::Secp256k1($point) => {
                type $curve = Secp256k1;
                $work
            }
        }
    };
}

impl Key {
    /// From big-endian coordinates, which have been checked: their length is the curve's, and the point is on it.
    /// `None` for a scheme that has no kernel here.
    pub(in crate::crypto) fn new(scheme: Scheme, x: &[u8], y: &[u8]) -> Option<Self> {
        match scheme {
            Scheme::EcdsaP256Sha256 => Some(Self::P256(Point::new(x, y))),
            Scheme::EcdsaP384Sha384 => Some(Self::P384(Point::new(x, y))),
            Scheme::EcdsaSecp256k1Sha256 => Some(Self::Secp256k1(Point::new(x, y))),
            _ => None,
        }
    }

    /// Builds a table in place of the one there is.
    pub(in crate::crypto) fn build_table(&self, width: TableWidth) {
        on_its_curve!(self, point, C => point.build_table::<C>(width));
    }

    /// Forgets the table.
    pub(in crate::crypto) fn drop_table(&self) {
        on_its_curve!(self, point, _C => point.table.replace(None));
    }

    /// The width of the table, if there is one.
    pub(in crate::crypto) fn table(&self) -> Option<TableWidth> {
        on_its_curve!(self, point, C => point.width::<C>())
    }

    /// What a table of this width takes, in bytes.
    pub(in crate::crypto) fn table_bytes(&self, width: TableWidth) -> usize {
        on_its_curve!(self, point, C => point.bytes::<C>(width))
    }

    /// Whether the table, if there is one, is as it was built.
    pub(in crate::crypto) fn is_intact(&self) -> bool {
        on_its_curve!(self, point, _C => point.table.get(&sync::pin()).is_none_or(Table::is_intact))
    }
}

/// A point, and its table while it has one.
pub(in crate::crypto) struct Point<const W: usize> {
    x: [u64; W],
    y: [u64; W],
    table: Place<Table<W>>,
}

impl<const W: usize> Point<W> {
    fn new(x: &[u8], y: &[u8]) -> Self {
        Self {
            x: words(x),
            y: words(y),
            table: Place::empty(),
        }
    }

    fn build_table<C: Curve<W>>(&self, width: TableWidth) {
        let table = Table::new::<C>(self.x, self.y, window_bits::<C, W>(width));
        self.table.replace(Some(table));
    }

    fn width<C: Curve<W>>(&self) -> Option<TableWidth> {
        let pinned = sync::pin();
        let bits = self.table.get(&pinned)?.width();
        TableWidth::ALL
            .into_iter()
            .find(|&width| window_bits::<C, W>(width) == bits)
    }

    fn bytes<C: Curve<W>>(&self, width: TableWidth) -> usize {
        Table::<W>::bytes_of(window_bits::<C, W>(width))
    }
}

fn window_bits<C: Curve<W>, const W: usize>(width: TableWidth) -> u32 {
    match width {
        TableWidth::Usual => C::KEY_WIDTH,
        TableWidth::Wide => C::KEY_WIDTH + 2,
    }
}

/// Finds out about checks of a scheme on one of these curves, up to [`WINDOW`]; those of keys without a table stay
/// as they are.
pub(in crate::crypto) fn find(
    tier: Tier,
    scheme: Scheme,
    checks: &[&Check<'_>],
    findings: &mut [Finding],
) {
    find_by(Kernel::of_tier(tier), scheme, checks, findings);
}

/// [`find`], by the kernel given.
pub(super) fn find_by(
    kernel: Kernel,
    scheme: Scheme,
    checks: &[&Check<'_>],
    findings: &mut [Finding],
) {
    match scheme {
        Scheme::EcdsaP256Sha256 => find_on::<P256, _>(kernel, checks, findings),
        Scheme::EcdsaP384Sha384 => find_on::<P384, _>(kernel, checks, findings),
        Scheme::EcdsaSecp256k1Sha256 => find_on::<Secp256k1, _>(kernel, checks, findings),
        _ => {}
    }
}

fn find_on<C: Curve<W>, const W: usize>(
    kernel: Kernel,
    checks: &[&Check<'_>],
    findings: &mut [Finding],
) {
    // Tables may be taken away at any time; those seen here stay until the pin is gone.
    let pinned = sync::pin();
    let jobs: Vec<_> = (0..)
        .zip(checks)
        .filter_map(|(place, check)| {
            Some(Job {
                place,
                check,
                table: table::<C, W>(check, &pinned)?,
            })
        })
        .collect();
    for jobs in jobs.chunks(WINDOW) {
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
        let mut found = [Finding::Undecided; WINDOW];
        let found = &mut found[..jobs.len()];
        kernel.verify::<C, W>(&signed, found);
        for (job, found) in jobs.iter().zip(found) {
            findings[job.place] = *found;
        }
    }
}

/// A check whose key has a table.
struct Job<'c, const W: usize> {
    place: usize,
    check: &'c Check<'c>,
    table: &'c Table<W>,
}

/// The table of a check's key, if it is on the curve and has one.
fn table<'g, C: Curve<W>, const W: usize>(
    check: &'g Check<'_>,
    pinned: &'g Guard,
) -> Option<&'g Table<W>> {
    C::point(check.key.weierstrass_key()?)?.table.get(pinned)
}
