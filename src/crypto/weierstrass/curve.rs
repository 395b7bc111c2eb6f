//! What tells one curve from another.
#![forbid(unsafe_code)]

use super::field::{Coordinate, Residues};
use super::lanes::Lanes;
use super::modulus::{Modulus, Prime};
use super::run::{Key, Point};
use super::table::Table;
use std::sync::OnceLock;

/// A curve `y^2 = x^3 + a x + b` of prime order, over a field whose elements have `W` words of 64 bits, together
/// with the digest that its signatures are made of (RFC 7518 §3.4, RFC 8812 §3.2).
///
/// The digest, the coordinates and the numbers of a signature all have the same length, `8 W` bytes, so no digest
/// is ever cut (FIPS 186-5 §6.4.2).
pub(super) trait Curve<const W: usize>: Copy + 'static {
    type Prime: Prime<W>;

    /// The order of the group; it is below the prime, and above half of it.
    type Order: Modulus<W>;

    /// The field in limbs of 52 bits.
    type Coordinates<L: Lanes>: Coordinate<Word = L> + Residues<W, Modulus = Self::Prime>;

    /// The numbers modulo the order in limbs of 52 bits.
    type Scalars<L: Lanes>: Residues<W, Modulus = Self::Order, Word = L>;

    const A: CoefficientA;

    /// `b` of the curve's equation.
    #[cfg(test)]
    const B: [u64; W];

    const GENERATOR: [[u64; W]; 2];

    /// How wide the windows of the generator's table are.
    const GENERATOR_WIDTH: u32;

    /// How wide the windows of a key's table are.
    const KEY_WIDTH: u32;

    /// Where the generator's table is kept.
    fn generator_table() -> &'static OnceLock<Table<W>>;

    /// The point of a key that is on this curve.
    fn point(key: &Key) -> Option<&Point<W>>;

    /// The digest of each message, as a big-endian number.
    fn digest_many<'a>(message: impl Fn(usize) -> &'a [u8], digests: &mut [[u64; W]]);
}

/// `a` of a curve's equation.
#[derive(Clone, Copy)]
pub(super) enum CoefficientA {
    Zero,
    MinusThree,
}

/// The generator's table, built once a process.
pub(super) fn generator<C: Curve<W>, const W: usize>() -> &'static Table<W> {
    C::generator_table().get_or_init(|| {
        let [x, y] = C::GENERATOR;
        Table::new::<C>(x, y, C::GENERATOR_WIDTH)
    })
}
