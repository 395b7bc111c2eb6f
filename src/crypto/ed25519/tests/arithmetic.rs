//! Each operation of each kernel against an oracle that adds bits.

use super::{Dice, P, add_modulo, base, bytes, multiply_modulo, reduce, subtract_modulo};
use crate::crypto::ed25519::edwards::Field;
use crate::crypto::ed25519::field::Element;
use crate::crypto::ed25519::invert::invert;
use crate::crypto::ed25519::lanes::{Lanes, Words};
use crate::crypto::ed25519::limbs::Product;
use crate::crypto::ed25519::point::Point;
use crate::crypto::ed25519::recode::Digits;
use crate::crypto::ed25519::scalar::{ORDER, odd_from_hash, odd_if_in_range};
use crate::crypto::ed25519::table::{Entry, Table};

const ROUNDS: usize = 1_000;

/// Checks K-03.
#[test]
fn fields_agree_with_the_oracle() {
    field::<Element>(1);
    field::<Product<u64>>(2);
}

#[cfg(target_arch = "x86_64")]
/// Checks K-03.
#[test]
fn vector_fields_agree_with_the_oracle() {
    use crate::crypto::ed25519::ifma::Zmm;
    let Some(_cpu) = crate::simd::Avx512Ifma::detect() else {
        eprintln!("this CPU has no AVX-512 IFMA: the vector field was not tested");
        return;
    };
    field::<Product<Zmm>>(3);
}

/// A factor of each lane's number.
#[inline(always)]
pub(super) fn gathered<F: Field>(numbers: &[Words; 8]) -> F::Factor {
    let entries = numbers.map(|number| Entry {
        difference: number,
        sum: number,
        product: number,
    });
    F::load(entries.each_ref(), 0).product
}

#[inline(always)]
pub(super) fn scattered<F: Field>(factor: F::Factor) -> [Words; 8] {
    let words = F::words(factor).map(Lanes::to_array);
    std::array::from_fn(|lane| words.map(|word| word[lane]))
}

/// Sums and differences of products, as an addition of points takes them, and again of what comes out.
fn field<F: Field>(seed: u64) {
    let mut dice = Dice::new(seed);
    let times = |a, b| multiply_modulo(P, a, b);
    for _ in 0..ROUNDS {
        let [a, b, c, d] = std::array::from_fn(|_| std::array::from_fn(|_| dice.residue(P)));
        let [fa, fb, fc, fd] = [a, b, c, d].map(|numbers| gathered::<F>(&numbers));
        let mask = dice.word() as u8;
        let (ab, cd) = (F::raised_product(fa, fb), F::product(fc, fd));
        let negated = cd.negated(mask);
        let (sum, difference) = (F::sum(ab, negated), F::difference(ab, negated));
        let again = F::sum(F::raised_product(sum, difference), F::product(sum, sum));
        let found = [
            scattered::<F>(fa),
            scattered::<F>(F::multiply(fa, fb)),
            scattered::<F>(F::carried_raised(ab)),
            scattered::<F>(cd.carried()),
            scattered::<F>(sum),
            scattered::<F>(difference),
            scattered::<F>(F::multiply(sum, difference)),
            scattered::<F>(again),
        ];
        let swapped = [1, 2, 4].map(|distance| scattered::<F>(F::swapped(fb, distance)));
        let inverse = F::inverse(fa).map(|inverse| scattered::<F>(inverse));
        assert_eq!(inverse.is_none(), a[0] == [0; 4]);
        for lane in 0..F::LANES {
            let (a, b, c, d) = (a[lane], b[lane], c[lane], d[lane]);
            let (ab, cd) = (times(a, b), times(c, d));
            let negated = match mask >> lane & 1 {
                1 => subtract_modulo(P, [0; 4], cd),
                _ => cd,
            };
            let sum = add_modulo(P, ab, negated);
            let difference = subtract_modulo(P, ab, negated);
            let product = times(sum, difference);
            let again = add_modulo(P, product, times(sum, sum));
            let expected = [a, ab, ab, cd, sum, difference, product, again];
            assert_eq!(
                found.map(|lanes| lanes[lane]),
                expected,
                "{a:x?} {b:x?} {c:x?} {d:x?}"
            );
            for (distance, swapped) in [1, 2, 4].into_iter().zip(swapped) {
                if distance < F::LANES {
                    assert_eq!(swapped[lane ^ distance], b);
                }
            }
        }
        if let Some(inverse) = inverse {
            assert!(inverse[..F::LANES].iter().all(|it| *it == inverse[0]));
            assert_eq!(times(inverse[0], a[0]), [1, 0, 0, 0]);
        }
    }
}

/// The ends of every range that a factor may come from, in every combination.
///
/// Checks K-01, K-03.
#[test]
fn edges_agree_with_the_oracle() {
    let minus = |small| subtract_modulo(P, [0; 4], [small, 0, 0, 0]);
    let full = [u64::MAX, u64::MAX, u64::MAX, u64::MAX >> 1];
    let edges = [
        [0; 4],
        [1, 0, 0, 0],
        [19, 0, 0, 0],
        minus(1),
        minus(19),
        P,
        full,
    ];
    for a in edges {
        for b in edges {
            let expected = multiply_modulo(P, reduce(P, &a), reduce(P, &b));
            let (ea, eb) = (Element::from_words(a), Element::from_words(b));
            assert_eq!(ea.mul(eb).to_words(), expected);
            let [fa, fb] = [a, b].map(|it| gathered::<Product<u64>>(&[it; 8]));
            let product = Product::<u64>::multiply(fa, fb);
            assert_eq!(scattered::<Product<u64>>(product)[0], expected);
        }
    }
    // The words of 64 bits may hold anything.
    let mut dice = Dice::new(4);
    for _ in 0..ROUNDS {
        let (a, b): (Words, Words) = (dice.number(), dice.number());
        let (ea, eb) = (Element::from_words(a), Element::from_words(b));
        let (a, b) = (reduce(P, &a), reduce(P, &b));
        assert_eq!(ea.to_words(), a);
        assert_eq!(ea.add(eb).to_words(), add_modulo(P, a, b));
        assert_eq!(ea.sub(eb).to_words(), subtract_modulo(P, a, b));
        assert_eq!(ea.mul(eb).to_words(), multiply_modulo(P, a, b));
        assert_eq!(ea.square().to_words(), multiply_modulo(P, a, a));
    }
}

#[test]
fn inverses_are_inverses() {
    let mut dice = Dice::new(5);
    assert_eq!(invert([0; 4]), [0; 4]);
    for _ in 0..ROUNDS {
        let a = dice.residue(P);
        if a != [0; 4] {
            assert_eq!(multiply_modulo(P, a, invert(a)), [1, 0, 0, 0], "{a:x?}");
        }
    }
}

#[test]
fn hashes_are_taken_modulo_the_order() {
    let mut dice = Dice::new(6);
    for round in 0..ROUNDS {
        let hash: [u64; 8] = match round {
            0 => [0; 8],
            1 => [u64::MAX; 8],
            // A multiple of L, or one beside it.
            2..100 => {
                let mut hash = [0; 8];
                let factor = dice.word();
                let mut carry = 0;
                for (word, order) in hash.iter_mut().zip(ORDER.into_iter().chain([0])) {
                    let product = u128::from(order) * u128::from(factor) + carry;
                    *word = product as u64;
                    carry = product >> 64;
                }
                hash[0] = hash[0].wrapping_add(round as u64 % 3);
                hash
            }
            _ => dice.number(),
        };
        let mut encoded = [0; 64];
        for (bytes, word) in encoded.as_chunks_mut().0.iter_mut().zip(hash) {
            *bytes = word.to_le_bytes();
        }
        let k = odd_from_hash(&encoded);
        assert_eq!(k[0] & 1, 1);
        assert!(k[3] >> 63 == 0, "below 2^255");
        assert_eq!(reduce(ORDER, &k), reduce(ORDER, &hash), "{hash:x?}");
    }
}

#[test]
fn only_scalars_below_the_order_are_in_range() {
    let mut dice = Dice::new(7);
    let above = |small: u64| {
        let mut above = ORDER;
        above[0] += small;
        above
    };
    for out_of_range in [ORDER, above(1), above(2), [u64::MAX; 4], [0, 0, 0, 1 << 61]] {
        assert_eq!(odd_if_in_range(out_of_range), None);
    }
    for _ in 0..ROUNDS {
        let s = dice.residue(ORDER);
        let odd = odd_if_in_range(s).unwrap();
        assert_eq!(odd[0] & 1, 1);
        assert_eq!(reduce(ORDER, &odd), s);
    }
}

#[test]
fn digits_add_up_to_the_scalar() {
    let mut dice = Dice::new(8);
    for width in [4, 5, 8, 10, 13, 16] {
        let windows = 256u32.div_ceil(width) as usize;
        for _ in 0..100 {
            let mut scalar: Words = dice.number();
            scalar[0] |= 1;
            let digits = Digits::new(scalar, width, windows);
            // Horner's rule, from the top window.
            let mut sum = [0; 4];
            for window in (0..windows).rev() {
                for _ in 0..width {
                    sum = add_modulo(ORDER, sum, sum);
                }
                let (index, negative) = digits.digit(window);
                assert!(index < 1 << (width - 1));
                let digit = [2 * index + 1, 0, 0, 0];
                sum = match negative & 1 {
                    1 => subtract_modulo(ORDER, sum, digit),
                    _ => add_modulo(ORDER, sum, digit),
                };
            }
            assert_eq!(sum, reduce(ORDER, &scalar), "width {width}");
        }
    }
}

/// Every entry is of a point on the curve, and those at the ends of each window are the multiples that doubling
/// and adding gives.
#[test]
fn tables_hold_the_multiples() {
    for width in [4, 5, 8] {
        let table = Table::new(base(), width);
        let multiples = 1 << (width - 1);
        assert_eq!(
            Table::bytes_of(table.width()),
            table.windows() * multiples * 96
        );
        let mut power = [1, 0, 0, 0];
        for window in 0..table.windows() {
            for index in 0..multiples {
                let entry = table.entry((window * multiples + index) as u64);
                let (x, y) = coordinates(entry);
                if index < 2 || index == multiples - 1 {
                    let scalar = multiply_modulo(ORDER, power, [2 * index as u64 + 1, 0, 0, 0]);
                    let expected = base().times(scalar).encode();
                    let mut encoding = bytes(y);
                    encoding[31] |= (x[0] as u8) << 7;
                    assert_eq!(encoding, expected, "{width} {window} {index}");
                }
            }
            for _ in 0..width {
                power = add_modulo(ORDER, power, power);
            }
        }
    }
}

/// The coordinates of an entry's point, once it is shown to lie on the curve.
fn coordinates(entry: &Entry) -> (Words, Words) {
    let x = subtract_modulo(P, entry.sum, entry.difference);
    let y = add_modulo(P, entry.sum, entry.difference);
    let (ex, ey) = (Element::from_words(x), Element::from_words(y));
    let product = crate::crypto::ed25519::point::D.mul(ex).mul(ey);
    assert_eq!(product.to_words(), entry.product);
    // -x^2 + y^2 = 1 + d x^2 y^2
    let right = Element::ONE.add(product.mul(ex).mul(ey));
    assert!(ey.square().sub(ex.square()) == right);
    (x, y)
}

/// A point's encoding comes back.
#[test]
fn encodings_come_back() {
    let mut dice = Dice::new(9);
    for _ in 0..20 {
        let point = base().times(dice.residue(ORDER));
        let encoding = point.encode();
        assert_eq!(Point::decode(&encoding).unwrap().encode(), encoding);
    }
}
