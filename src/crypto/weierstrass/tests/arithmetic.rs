//! Each operation of each kernel against an oracle that adds bits.

use super::{Dice, Tested, add_modulo, bytes, multiply_modulo, reduce, small};
use crate::crypto::weierstrass::curve::CoefficientA;
use crate::crypto::weierstrass::field::{Coordinate, Field, Residues};
use crate::crypto::weierstrass::invert::invert;
use crate::crypto::weierstrass::kernel::words;
use crate::crypto::weierstrass::modulus::{Modulus, power_of_two, subtract};
use crate::crypto::weierstrass::portable::Element;
use crate::crypto::weierstrass::recode::Digits;
use crate::crypto::weierstrass::table::{Line, Table, coordinates};
use aws_lc_rs::agreement::PrivateKey;

on_every_curve! {
    fields_agree_with_the_oracle,
    vector_fields_agree_with_the_oracle,
    inverses_are_inverses,
    digits_add_up_to_the_scalar,
    tables_hold_the_multiples
}

/// Checks K-01, K-03.
fn fields_agree_with_the_oracle<C: Tested<W>, const W: usize>() {
    field::<Element<C::Prime, W>, W>(1, C::ROUNDS);
    field::<Element<C::Order, W>, W>(2, C::ROUNDS);
    field::<C::Coordinates<u64>, W>(3, C::ROUNDS);
    field::<C::Scalars<u64>, W>(4, C::ROUNDS);
    coordinate::<Element<C::Prime, W>, W>(5, C::ROUNDS);
    coordinate::<C::Coordinates<u64>, W>(6, C::ROUNDS);
}

#[cfg(target_arch = "x86_64")]
/// Checks K-03.
fn vector_fields_agree_with_the_oracle<C: Tested<W>, const W: usize>() {
    use crate::crypto::weierstrass::ifma::Zmm;
    let Some(_cpu) = crate::simd::Avx512Ifma::detect() else {
        eprintln!("this CPU has no AVX-512 IFMA: the vector field was not tested");
        return;
    };
    field::<C::Coordinates<Zmm>, W>(7, C::ROUNDS);
    field::<C::Scalars<Zmm>, W>(8, C::ROUNDS);
    coordinate::<C::Coordinates<Zmm>, W>(9, C::ROUNDS);
}

#[cfg(not(target_arch = "x86_64"))]
fn vector_fields_agree_with_the_oracle<C: Tested<W>, const W: usize>() {
    eprintln!("this architecture has no vector field");
}

/// Numbers of every lane, each lane its own.
fn lanes<const W: usize>(
    dice: &mut Dice,
    mut number: impl FnMut(&mut Dice) -> [u64; W],
) -> [[u64; W]; 8] {
    std::array::from_fn(|_| number(dice))
}

fn scattered<F: Residues<W>, const W: usize>(factor: F::Factor) -> [[u64; W]; 8] {
    let mut numbers = [[0; W]; 8];
    F::scatter(factor, &mut numbers);
    numbers
}

fn field<F: Residues<W>, const W: usize>(seed: u64, rounds: usize) {
    let mut dice = Dice::new(seed);
    let radix = power_of_two(F::RADIX_BITS, F::Modulus::WORDS);
    for _ in 0..rounds {
        let (a, b) = (
            lanes(&mut dice, Dice::number),
            lanes(&mut dice, Dice::residue::<F::Modulus, W>),
        );
        let (fa, fb) = (F::gather(&a), F::gather(&b));
        let product = scattered::<F, W>(F::multiply(fa, fb));
        let square = scattered::<F, W>(F::square(fa).carried());
        let back = scattered::<F, W>(fa);
        let sum = scattered::<F, W>(F::product(fa, fb).plus(F::product(fb, fb)).carried());
        let mask = dice.word() as u8;
        let picked = scattered::<F, W>(F::select(mask, fa, fb));
        let swapped: [_; 3] = [1, 2, 4].map(|distance| scattered::<F, W>(F::swapped(fb, distance)));
        let zeros = F::zeros(fb);
        for lane in 0..F::LANES {
            let (a, b) = (reduce::<F::Modulus, W>(a[lane]), b[lane]);
            let times = multiply_modulo::<F::Modulus, W>;
            // A Montgomery product times R is the plain product.
            assert_eq!(times(product[lane], radix), times(a, b), "{a:x?} {b:x?}");
            assert_eq!(times(square[lane], radix), times(a, a), "{a:x?}");
            assert_eq!(back[lane], a);
            let expected = add_modulo::<F::Modulus, W>(times(a, b), times(b, b));
            assert_eq!(times(sum[lane], radix), expected, "{a:x?} {b:x?}");
            assert_eq!(picked[lane], if mask >> lane & 1 == 1 { a } else { b });
            for (distance, swapped) in [1, 2, 4].into_iter().zip(swapped) {
                if distance < F::LANES {
                    assert_eq!(swapped[lane ^ distance], b);
                }
            }
            assert_eq!(zeros >> lane & 1 == 1, b == [0; W]);
        }
    }
}

/// Differences and reductions over the ranges that the tree needs.
fn coordinate<F: Coordinate + Residues<W>, const W: usize>(seed: u64, rounds: usize) {
    let mut dice = Dice::new(seed);
    let p = F::Modulus::WORDS;
    for _ in 0..rounds {
        let a = lanes(&mut dice, Dice::residue::<F::Modulus, W>);
        let b = lanes(&mut dice, Dice::residue::<F::Modulus, W>);
        let (fa, fb) = (F::loose(F::gather(&a)), F::loose(F::gather(&b)));
        let near = scattered::<F, W>(fa.minus(fb).carried_difference());
        // b - 64 (a - b) = 65 b - 64 a, by doublings.
        let mut far = fa.minus(fb);
        for _ in 0..6 {
            far = far.plus(far);
        }
        let any = scattered::<F, W>(fb.minus(far).carried_any());
        let reduced = fb.minus(far).reduced();
        let reduced = scattered::<F, W>(reduced.minus(fa.reduced()).carried_difference());
        let zeros = F::zeros(fa.minus(fa).carried_any());
        let mask = dice.word() as u8;
        let negated = scattered::<F, W>(fa.negated(mask).carried());
        for lane in 0..F::LANES {
            let (a, b) = (a[lane], b[lane]);
            let minus =
                |a, b| add_modulo::<F::Modulus, W>(a, reduce::<F::Modulus, W>(subtract(p, b).0));
            let times = multiply_modulo::<F::Modulus, W>;
            assert_eq!(near[lane], minus(a, b), "{a:x?} {b:x?}");
            let far = minus(times(b, small(65)), times(a, small(64)));
            assert_eq!(any[lane], far, "{a:x?} {b:x?}");
            assert_eq!(reduced[lane], minus(far, a), "{a:x?} {b:x?}");
            assert_eq!(zeros >> lane & 1, 1);
            let expected = if mask >> lane & 1 == 1 {
                minus([0; W], a)
            } else {
                a
            };
            // No point has a y of zero.
            if a != [0; W] {
                assert_eq!(negated[lane], expected, "{a:x?}");
            }
        }
    }
}

fn inverses_are_inverses<C: Tested<W>, const W: usize>() {
    inverses::<C::Prime, W>(10, C::ROUNDS);
    inverses::<C::Order, W>(11, C::ROUNDS);
}

fn inverses<M: Modulus<W>, const W: usize>(seed: u64, rounds: usize) {
    let mut dice = Dice::new(seed);
    assert_eq!(invert::<M, W>([0; W]), [0; W]);
    for _ in 0..rounds {
        let a = dice.residue::<M, W>();
        if a != [0; W] {
            let product = multiply_modulo::<M, W>(a, invert::<M, W>(a));
            assert_eq!(product, small(1), "{a:x?}");
        }
    }
}

fn digits_add_up_to_the_scalar<C: Tested<W>, const W: usize>() {
    let mut dice = Dice::new(12);
    let minus = |a| reduce::<C::Order, W>(subtract(C::Order::WORDS, a).0);
    for width in [2, 5, 8, 10, 13, 16] {
        let windows = (64 * W as u32).div_ceil(width) as usize;
        for _ in 0..200 {
            let scalar = dice.residue::<C::Order, W>();
            let digits = Digits::new::<C::Order, W>(scalar, width, windows);
            // Horner's rule, from the top window.
            let mut sum = [0; W];
            for window in (0..windows).rev() {
                for _ in 0..width {
                    sum = add_modulo::<C::Order, W>(sum, sum);
                }
                let (index, negative) = digits.digit(window);
                assert!(index < 1 << (width - 1));
                let digit = small(2 * index + 1);
                let digit = if negative & 1 == 1 {
                    minus(digit)
                } else {
                    digit
                };
                sum = add_modulo::<C::Order, W>(sum, digit);
            }
            assert_eq!(sum, scalar, "width {width}");
        }
    }
}

/// Every line is on the curve, and those of the first windows are the multiples that aws-lc-rs computes, or are
/// got by adding the point itself, by the textbook.
fn tables_hold_the_multiples<C: Tested<W>, const W: usize>() {
    let [x, y] = C::GENERATOR;
    assert_on_curve::<C, W>([x, y]);
    for width in [2, 5, 8] {
        let table = Table::<W>::new::<C>(x, y, width);
        let entries = 1 << (width - 1);
        assert_eq!(table.lines().len(), table.windows() * entries);
        assert_eq!(
            Table::<W>::bytes_of(table.width()),
            size_of_val(table.lines())
        );
        assert!(table.lines().as_ptr().addr().is_multiple_of(64));
        for (at, line) in table.lines().iter().enumerate() {
            let (window, index) = (at / entries, at % entries);
            let point = coordinates::<C, W>(line);
            assert_on_curve::<C, W>(point);
            if index < 2 || index == entries - 1 {
                let mut scalar = reduce::<C::Order, W>(small(2 * index as u64 + 1));
                for _ in 0..window * width as usize {
                    scalar = add_modulo::<C::Order, W>(scalar, scalar);
                }
                let expected = multiple_of_generator::<C, W>(scalar);
                assert_eq!(point, expected, "{width} {window} {index}");
            }
        }
    }
}

fn times<M: Modulus<W>, const W: usize>(a: [u64; W], b: [u64; W]) -> [u64; W] {
    let squared = Element::of(Element::<M, W>::RADIX_SQUARED);
    let product = Element::<M, W>::multiply(Element::of(a), Element::of(b));
    Element::multiply(product, squared).to_words()
}

fn assert_on_curve<C: Tested<W>, const W: usize>([x, y]: Line<W>) {
    let add = add_modulo::<C::Prime, W>;
    let a = match C::A {
        CoefficientA::Zero => [0; W],
        CoefficientA::MinusThree => subtract(C::Prime::WORDS, small(3)).0,
    };
    let right = add(
        times::<C::Prime, W>(x, add(times::<C::Prime, W>(x, x), a)),
        C::B,
    );
    assert_eq!(times::<C::Prime, W>(y, y), right);
}

/// By aws-lc-rs, or by the textbook where it has no key agreement on the curve.
fn multiple_of_generator<C: Tested<W>, const W: usize>(scalar: [u64; W]) -> Line<W> {
    let Some(algorithm) = C::AGREEMENT else {
        return multiple_by_the_textbook::<C, W>(scalar);
    };
    let key = PrivateKey::from_private_key(algorithm, &bytes(scalar)).unwrap();
    let public = key.compute_public_key().unwrap();
    let (x, y) = public.as_ref()[1..].split_at(8 * W);
    [words(x), words(y)]
}

/// Double and add, each with a division of its own.
fn multiple_by_the_textbook<C: Tested<W>, const W: usize>(scalar: [u64; W]) -> Line<W> {
    let times = times::<C::Prime, W>;
    let plus = add_modulo::<C::Prime, W>;
    let minus = |a, b| plus(a, reduce::<C::Prime, W>(subtract(C::Prime::WORDS, b).0));
    let divided = |a, b| times(a, invert::<C::Prime, W>(b));
    let along = |[x1, y1]: Line<W>, [x2, _]: Line<W>, slope| {
        let x = minus(times(slope, slope), plus(x1, x2));
        [x, minus(times(slope, minus(x1, x)), y1)]
    };
    let a = match C::A {
        CoefficientA::Zero => [0; W],
        CoefficientA::MinusThree => minus([0; W], small(3)),
    };
    let mut sum: Option<Line<W>> = None;
    for bit in (0..64 * W).rev() {
        sum = sum.map(|point| {
            let [x, y] = point;
            let square = times(x, x);
            let slope = divided(plus(plus(square, square), plus(square, a)), plus(y, y));
            along(point, point, slope)
        });
        if scalar[bit / 64] >> (bit % 64) & 1 == 1 {
            let [gx, gy] = C::GENERATOR;
            sum = Some(sum.map_or(C::GENERATOR, |[x, y]| {
                along([x, y], [gx, gy], divided(minus(gy, y), minus(gx, x)))
            }));
        }
    }
    sum.unwrap()
}
