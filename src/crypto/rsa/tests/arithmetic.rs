//! Every operation in every lane against big integers, with numbers at the edges.

use super::{Dice, Key, SCHEMES, modulus, pairs};
use crate::crypto::rsa::block::{BLOCK_BITS, Block, NO_LIMBS};
use crate::crypto::rsa::constants::{Constants, EXPONENT};
use crate::crypto::rsa::encoding::{Encoding, Hash, Padding};
use crate::crypto::rsa::kernel::Kernel;
use crate::crypto::rsa::lanes::{LANES_MAX, LIMB_BITS, LIMB_MASK, Lanes, Row};
use crate::crypto::rsa::montgomery::{Modulus, Scratch};
use crate::crypto::rsa::number::{self, Number, read_lane, write_lane};
use num_bigint::BigUint;

/// Moduli in the lanes, each odd and with its highest bit set, many of them at the edges.
struct Moduli {
    blocks: usize,
    values: Vec<BigUint>,
    number: Box<Number>,
    negated_inverse: Row,
}

impl Moduli {
    fn new(dice: &mut Dice, bits: usize) -> Self {
        let blocks = number::blocks(bits).unwrap();
        let mut this = Self {
            blocks,
            values: Vec::new(),
            number: Box::new(number::ZERO),
            negated_inverse: Row::ZERO,
        };
        for lane in 0..LANES_MAX {
            let mut n = match dice.below(4) {
                0 => vec![0xff; bits / 8],
                1 => vec![0; bits / 8],
                _ => dice.bytes(bits / 8),
            };
            n[0] |= 0x80;
            n[bits / 8 - 1] |= 1;
            read_lane(&mut this.number[..blocks], lane, &n);
            this.values.push(BigUint::from_bytes_be(&n));
            let limb = this.number[0][0].0[lane];
            let two_to_52 = BigUint::from(1u64 << LIMB_BITS);
            let inverse = BigUint::from(limb).modinv(&two_to_52).unwrap();
            this.negated_inverse.0[lane] = (two_to_52 - inverse).try_into().unwrap();
        }
        this
    }

    fn modulus(&self) -> Modulus<'_> {
        Modulus {
            limbs: &self.number[..self.blocks],
            negated_inverse: &self.negated_inverse,
        }
    }

    fn r(&self) -> BigUint {
        BigUint::from(1u8) << (self.blocks * BLOCK_BITS)
    }

    /// A number below twice the modulus in each lane, many of them at the edges.
    fn factor(&self, dice: &mut Dice) -> (Box<Number>, Vec<BigUint>) {
        let values: Vec<_> = (0..LANES_MAX)
            .map(|lane| {
                let n = &self.values[lane];
                match dice.below(10) {
                    0 => BigUint::ZERO,
                    1 => BigUint::from(1u8),
                    2 => n - 1u8,
                    3 => n.clone(),
                    4 => n + 1u8,
                    5 => n * 2u8 - 1u8,
                    _ => BigUint::from_bytes_be(&dice.bytes(512)) % n,
                }
            })
            .collect();
        (self.number_of(&values), values)
    }

    fn number_of(&self, values: &[BigUint]) -> Box<Number> {
        let mut number = Box::new(number::ZERO);
        for (lane, value) in values.iter().enumerate() {
            read_lane(&mut number[..self.blocks], lane, &value.to_bytes_be());
        }
        number
    }
}

fn value(number: &[Block], lane: usize) -> BigUint {
    assert!(
        number
            .as_flattened()
            .iter()
            .all(|row| row.0[lane] <= LIMB_MASK)
    );
    let mut bytes = [0; 521];
    write_lane(number, lane, &mut bytes);
    BigUint::from_bytes_be(&bytes)
}

const SIZES: [usize; 3] = [2048, 3072, 4096];

/// Checks K-01, K-03.
#[test]
fn products_and_squares() {
    let mut dice = Dice(1);
    let mut scratch = Box::new(Scratch::NEW);
    for kernel in Kernel::available() {
        for bits in SIZES {
            for _ in 0..20 {
                let moduli = Moduli::new(&mut dice, bits);
                let modulus = moduli.modulus();
                let blocks = moduli.blocks;
                let (a, a_values) = moduli.factor(&mut dice);
                let (b, b_values) = moduli.factor(&mut dice);
                let mut product = Box::new(number::ZERO);
                kernel.multiply(
                    modulus,
                    &a[..blocks],
                    &b[..blocks],
                    &mut scratch,
                    &mut product[..blocks],
                );
                let times = dice.below(4);
                let mut power = a.clone();
                kernel.square_times(modulus, times, &mut power[..blocks], &mut scratch);
                for lane in 0..kernel.lanes() {
                    let n = &moduli.values[lane];
                    let inverse = moduli.r().modinv(n).unwrap();
                    let found = value(&product[..blocks], lane);
                    assert!(found <= n + (n >> 27), "{kernel:?} {bits}, lane {lane}");
                    let expected = &a_values[lane] * &b_values[lane] * &inverse % n;
                    assert_eq!(found % n, expected, "{kernel:?} {bits}, lane {lane}");
                    let mut expected = a_values[lane].clone();
                    for _ in 0..times {
                        expected = &expected * &expected * &inverse % n;
                    }
                    let found = value(&power[..blocks], lane) % n;
                    assert_eq!(
                        found,
                        expected % n,
                        "{kernel:?} {bits}, lane {lane}, {times}"
                    );
                }
            }
        }
    }
}

/// Checks K-03.
#[test]
fn short_products() {
    let mut dice = Dice(2);
    for kernel in Kernel::available() {
        for bits in SIZES {
            for _ in 0..10 {
                let moduli = Moduli::new(&mut dice, bits);
                let blocks = moduli.blocks;
                let (b, b_values) = moduli.factor(&mut dice);
                let (c, c_values) = moduli.factor(&mut dice);
                let mut a = NO_LIMBS;
                let a_values: Vec<_> = (0..LANES_MAX).map(|_| dice.bytes(64)).collect();
                for (lane, bytes) in a_values.iter().enumerate() {
                    read_lane(std::slice::from_mut(&mut a), lane, bytes);
                }
                let mut sum = Box::new(number::ZERO);
                kernel.multiply_short(
                    moduli.modulus(),
                    &a,
                    &b[..blocks],
                    &c[..blocks],
                    &mut sum[..blocks],
                );
                for lane in 0..kernel.lanes() {
                    let n = &moduli.values[lane];
                    let a = BigUint::from_bytes_be(&a_values[lane]);
                    let block = BigUint::from(1u8) << BLOCK_BITS;
                    let found = value(&sum[..blocks], lane);
                    assert!(
                        found <= n * 3u8 + (n >> 4),
                        "{kernel:?} {bits}, lane {lane}"
                    );
                    let expected = a * &b_values[lane] + &c_values[lane] * &block;
                    assert_eq!(
                        found * block % n,
                        expected % n,
                        "{kernel:?} {bits}, lane {lane}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_modulus_is_subtracted_once() {
    let mut dice = Dice(3);
    let mut scratch = Box::new(Scratch::NEW);
    for kernel in Kernel::available() {
        for bits in SIZES {
            for _ in 0..40 {
                let moduli = Moduli::new(&mut dice, bits);
                let (mut number, values) = moduli.factor(&mut dice);
                let number = &mut number[..moduli.blocks];
                kernel.subtract_modulus(moduli.modulus(), number, &mut scratch);
                for (lane, value_before) in values.iter().enumerate().take(kernel.lanes()) {
                    let expected = value_before % &moduli.values[lane];
                    assert_eq!(
                        value(number, lane),
                        expected,
                        "{kernel:?} {bits}, lane {lane}"
                    );
                }
            }
        }
    }
}

/// The model's product is by 128 bits; the vectors' must be the same in every lane, whatever stands above the
/// limbs.
#[test]
fn limbs_of_a_product() {
    let mut dice = Dice(4);
    for _ in 0..1000 {
        let (a, b, sum) = (dice.word(), dice.word(), dice.word() >> 2);
        let whole = u128::from(a & LIMB_MASK) * u128::from(b & LIMB_MASK);
        assert_eq!(sum.plus_low_product(a, b), sum + (whole as u64 & LIMB_MASK));
        assert_eq!(
            sum.plus_high_product(a, b),
            sum + (whole >> LIMB_BITS) as u64
        );
    }
}

/// Bytes of any length go into a lane and come out again, and touch no other.
#[test]
fn bytes_and_lanes() {
    let mut dice = Dice(5);
    for blocks in 1..=number::BLOCKS_MAX {
        for length in 0..=blocks * BLOCK_BITS / 8 {
            let bytes = dice.bytes(length);
            let lane = dice.below(LANES_MAX);
            let before = Row([dice.word() & LIMB_MASK; LANES_MAX]);
            let mut number = vec![[before; 10]; blocks];
            read_lane(&mut number, lane, &bytes);
            assert_eq!(value(&number, lane), BigUint::from_bytes_be(&bytes));
            for row in number.as_flattened() {
                for other in (0..LANES_MAX).filter(|&other| other != lane) {
                    assert_eq!(row.0[other], before.0[other]);
                }
            }
            let mut again = vec![0; length];
            write_lane(&number, lane, &mut again);
            assert_eq!(again, bytes);
        }
    }
}

/// A key's numbers are what they are said to be.
#[test]
fn constants_of_a_key() {
    for kernel in Kernel::available() {
        for pair in &pairs()[1..] {
            let bytes = modulus(pair);
            let n = BigUint::from_bytes_be(&bytes);
            for scheme in SCHEMES {
                let Key { constants, .. } = Key::of_pair(kernel, scheme, pair);
                let blocks = constants.blocks();
                let r = BigUint::from(1u8) << (blocks * BLOCK_BITS);
                assert_eq!(of_limbs(&constants.limbs), n);
                assert_eq!(&constants.modulus, &bytes);
                let encoding = Encoding::of(scheme).unwrap();
                let (scale, around_digest) = match encoding.padding {
                    Padding::Pkcs1 => {
                        let power = r.modinv(&n).unwrap().modpow(&(1u32 << 16).into(), &n);
                        let around = encoding.hash.pkcs1_around_digest(bytes.len());
                        let around = BigUint::from_bytes_be(&around);
                        ((&power << BLOCK_BITS) % &n, &power * around % &n)
                    }
                    Padding::Pss => (r.modpow(&EXPONENT.into(), &n), BigUint::ZERO),
                };
                assert_eq!(of_limbs(&constants.scale), scale, "{scheme:?}");
                assert_eq!(
                    of_limbs(&constants.around_digest),
                    around_digest,
                    "{scheme:?}"
                );
            }
        }
    }
}

fn of_limbs(limbs: &[u64]) -> BigUint {
    limbs
        .iter()
        .rev()
        .fold(BigUint::ZERO, |number, &limb| (number << LIMB_BITS) + limb)
}

/// Other sizes and exponents have no constants.
#[test]
fn what_the_kernel_does_not_take() {
    let encoding = Encoding {
        padding: Padding::Pkcs1,
        hash: Hash::Sha256,
    };
    for kernel in Kernel::available() {
        for bits in [2047, 2049, 2056, 3064, 3080, 4088, 4095, 4097, 8192] {
            let mut n = vec![0xff; bits / 8 + 1];
            n[0] = ((1u16 << (bits % 8)) - 1) as u8;
            let n: Vec<_> = n.into_iter().skip_while(|&byte| byte == 0).collect();
            assert!(
                Constants::new(kernel, encoding, &n, EXPONENT).is_none(),
                "{bits}"
            );
        }
        for exponent in [3, 17, 65_535, 65_539, (1 << 32) + 1] {
            assert!(Constants::new(kernel, encoding, &[0xff; 256], exponent).is_none());
        }
        assert!(Constants::new(kernel, encoding, &[0xff; 256], EXPONENT).is_some());
        assert!(Constants::new(kernel, encoding, &[], EXPONENT).is_none());
    }
}
