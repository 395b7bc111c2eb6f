//! Each operation of each kernel against an oracle that adds bits.

use super::{Dice, add_modulo, multiply_modulo, reduce};
use crate::crypto::weierstrass::field::{Coordinate, Field, Loose};
use crate::crypto::weierstrass::invert::invert;
use crate::crypto::weierstrass::modulus::{
    FieldPrime, GroupOrder, Modulus, Words, power_of_two, subtract,
};
use crate::crypto::weierstrass::portable::Element;
use crate::crypto::weierstrass::recode::Digits;
use crate::crypto::weierstrass::table::{Table, coordinates};

const ROUNDS: usize = 2_000;

#[test]
fn fields_agree_with_the_oracle() {
    field::<Element<FieldPrime>>(1);
    field::<Element<GroupOrder>>(2);
    field::<Loose<u64, FieldPrime>>(3);
    field::<Loose<u64, GroupOrder>>(4);
    coordinate::<Element<FieldPrime>>(5);
    coordinate::<Loose<u64, FieldPrime>>(6);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn vector_fields_agree_with_the_oracle() {
    use crate::crypto::weierstrass::ifma::Zmm;
    let Some(_cpu) = crate::simd::Avx512Ifma::detect() else {
        eprintln!("this CPU has no AVX-512 IFMA: the vector field was not tested");
        return;
    };
    field::<Loose<Zmm, FieldPrime>>(7);
    field::<Loose<Zmm, GroupOrder>>(8);
    coordinate::<Loose<Zmm, FieldPrime>>(9);
}

/// Numbers of every lane, each lane its own.
fn lanes(dice: &mut Dice, mut number: impl FnMut(&mut Dice) -> Words) -> [Words; 8] {
    std::array::from_fn(|_| number(dice))
}

fn scattered<F: Field>(factor: F::Factor) -> [Words; 8] {
    let mut numbers = [[0; 4]; 8];
    F::scatter(factor, &mut numbers);
    numbers
}

fn field<F: Field>(seed: u64) {
    let mut dice = Dice::new(seed);
    let radix = power_of_two(F::RADIX_BITS, F::Modulus::WORDS);
    for _ in 0..ROUNDS {
        let (a, b) = (
            lanes(&mut dice, Dice::number),
            lanes(&mut dice, Dice::residue::<F::Modulus>),
        );
        let (fa, fb) = (F::gather(&a), F::gather(&b));
        let product = scattered::<F>(F::multiply(fa, fb));
        let square = scattered::<F>(F::square(fa).carried());
        let back = scattered::<F>(fa);
        let sum = scattered::<F>(F::product(fa, fb).plus(F::product(fb, fb)).carried());
        let mask = dice.word() as u8;
        let picked = scattered::<F>(F::select(mask, fa, fb));
        let swapped: [_; 3] = [1, 2, 4].map(|distance| scattered::<F>(F::swapped(fb, distance)));
        let zeros = F::zeros(fb);
        for lane in 0..F::LANES {
            let (a, b) = (reduce::<F::Modulus>(a[lane]), b[lane]);
            let times = multiply_modulo::<F::Modulus>;
            // A Montgomery product times R is the plain product.
            assert_eq!(times(product[lane], radix), times(a, b), "{a:x?} {b:x?}");
            assert_eq!(times(square[lane], radix), times(a, a), "{a:x?}");
            assert_eq!(back[lane], a);
            let expected = add_modulo::<F::Modulus>(times(a, b), times(b, b));
            assert_eq!(times(sum[lane], radix), expected, "{a:x?} {b:x?}");
            assert_eq!(picked[lane], if mask >> lane & 1 == 1 { a } else { b });
            for (distance, swapped) in [1, 2, 4].into_iter().zip(swapped) {
                if distance < F::LANES {
                    assert_eq!(swapped[lane ^ distance], b);
                }
            }
            assert_eq!(zeros >> lane & 1 == 1, b == [0; 4]);
        }
    }
}

/// Differences and reductions over the ranges that the tree needs.
fn coordinate<F: Coordinate>(seed: u64) {
    let mut dice = Dice::new(seed);
    let p = FieldPrime::WORDS;
    for _ in 0..ROUNDS {
        let a = lanes(&mut dice, Dice::residue::<FieldPrime>);
        let b = lanes(&mut dice, Dice::residue::<FieldPrime>);
        let (fa, fb) = (F::loose(F::gather(&a)), F::loose(F::gather(&b)));
        let near = scattered::<F>(fa.minus(fb).carried_difference());
        // b - 64 (a - b) = 65 b - 64 a, by doublings.
        let mut far = fa.minus(fb);
        for _ in 0..6 {
            far = far.plus(far);
        }
        let any = scattered::<F>(fb.minus(far).carried_any());
        let reduced = fb.minus(far).reduced();
        let reduced = scattered::<F>(reduced.minus(fa.reduced()).carried_difference());
        let zeros = F::zeros(fa.minus(fa).carried_any());
        for lane in 0..F::LANES {
            let (a, b) = (a[lane], b[lane]);
            let minus = |a, b| add_modulo::<FieldPrime>(a, reduce::<FieldPrime>(subtract(p, b).0));
            let times = multiply_modulo::<FieldPrime>;
            assert_eq!(near[lane], minus(a, b), "{a:x?} {b:x?}");
            let far = minus(times(b, [65, 0, 0, 0]), times(a, [64, 0, 0, 0]));
            assert_eq!(any[lane], far, "{a:x?} {b:x?}");
            assert_eq!(reduced[lane], minus(far, a), "{a:x?} {b:x?}");
            assert_eq!(zeros >> lane & 1, 1);
        }
    }
}

#[test]
fn inverses_are_inverses() {
    inverses::<FieldPrime>(10);
    inverses::<GroupOrder>(11);
}

fn inverses<M: Modulus>(seed: u64) {
    let mut dice = Dice::new(seed);
    assert_eq!(invert::<M>([0; 4]), [0; 4]);
    for _ in 0..ROUNDS {
        let a = dice.residue::<M>();
        if a != [0; 4] {
            assert_eq!(
                multiply_modulo::<M>(a, invert::<M>(a)),
                [1, 0, 0, 0],
                "{a:x?}"
            );
        }
    }
}

#[test]
fn digits_add_up_to_the_scalar() {
    let mut dice = Dice::new(12);
    let minus = |a: Words| reduce::<GroupOrder>(subtract(GroupOrder::WORDS, a).0);
    for width in [2, 5, 8, 10, 13, 16] {
        let windows = 256u32.div_ceil(width) as usize;
        for _ in 0..200 {
            let scalar = dice.residue::<GroupOrder>();
            let digits = Digits::new(scalar, width, windows);
            // Horner's rule, from the top window.
            let mut sum = [0; 4];
            for window in (0..windows).rev() {
                for _ in 0..width {
                    sum = add_modulo::<GroupOrder>(sum, sum);
                }
                let (index, negative) = digits.digit(window);
                assert!(index < 1 << (width - 1));
                let digit = [2 * index + 1, 0, 0, 0];
                let digit = if negative & 1 == 1 {
                    minus(digit)
                } else {
                    digit
                };
                sum = add_modulo::<GroupOrder>(sum, digit);
            }
            assert_eq!(sum, scalar, "width {width}");
        }
    }
}

/// Every line is on the curve, and those of the first windows are the multiples that aws-lc-rs computes.
#[test]
fn tables_hold_the_multiples() {
    use crate::crypto::weierstrass::kernel::{GENERATOR_X, GENERATOR_Y};
    for width in [2, 5, 8] {
        let table = Table::new(GENERATOR_X, GENERATOR_Y, width);
        assert_eq!(table.bytes(), (table.windows() << (width - 1)) * 64);
        for window in 0..table.windows() {
            for index in 0..1 << (width - 1) {
                let (x, y) = coordinates(table.line(((window << (width - 1)) + index) as u64));
                assert_on_curve(x, y);
                if index < 2 || index == (1 << (width - 1)) - 1 {
                    let mut scalar = reduce::<GroupOrder>([2 * index as u64 + 1, 0, 0, 0]);
                    for _ in 0..window * width as usize {
                        scalar = add_modulo::<GroupOrder>(scalar, scalar);
                    }
                    assert_eq!(
                        (x, y),
                        multiple_of_generator(scalar),
                        "{width} {window} {index}"
                    );
                }
            }
        }
    }
}

fn assert_on_curve(x: Words, y: Words) {
    // SP 800-186 §3.2.1.3.
    const B: Words = [
        0x3bce_3c3e_27d2_604b,
        0x651d_06b0_cc53_b0f6,
        0xb3eb_bd55_7698_86bc,
        0x5ac6_35d8_aa3a_93e7,
    ];
    let times = |a, b| {
        let product = Element::<FieldPrime>::multiply(Element::of(a), Element::of(b));
        let square = Element::of(power_of_two(512, FieldPrime::WORDS));
        Element::multiply(product, square).to_words()
    };
    let add = add_modulo::<FieldPrime>;
    let minus_three = subtract(FieldPrime::WORDS, [3, 0, 0, 0]).0;
    let right = add(times(x, add(times(x, x), minus_three)), B);
    assert_eq!(times(y, y), right);
}

/// By aws-lc-rs.
pub(super) fn multiple_of_generator(scalar: Words) -> (Words, Words) {
    use crate::crypto::weierstrass::kernel::words;
    use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
    let key = PrivateKey::from_private_key(&ECDH_P256, &super::bytes(scalar)).unwrap();
    let public = key.compute_public_key().unwrap();
    let coordinates: &[[u8; 32]] = public.as_ref()[1..].as_chunks().0;
    (words(&coordinates[0]), words(&coordinates[1]))
}
