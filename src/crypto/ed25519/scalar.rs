//! Scalars modulo the group's order L, as their digits need them: odd, below 2^256, and not reduced further. A
//! multiple of L changes nothing, for the base point is of order L, and so is every key that was accepted.
#![forbid(unsafe_code)]

use super::lanes::Words;

/// L = 2^252 + 27742317777372353535851937790883648493 (RFC 8032 §5.1).
pub(super) const ORDER: Words = [
    0x5812_631a_5cf5_d3ed,
    0x14de_f9de_a2f7_9cd6,
    0,
    0x1000_0000_0000_0000,
];

/// L - 2^252, below 2^125.
const C: [u64; 2] = [ORDER[0], ORDER[1]];

/// A signature's S as an odd number, if it is "in the range 0 <= s < L" (RFC 8032 §5.1.7).
pub(super) fn odd_if_in_range(s: Words) -> Option<Words> {
    s.iter().rev().lt(ORDER.iter().rev()).then(|| odd(s))
}

/// A hash of 512 bits, "as a little-endian integer k" (RFC 8032 §5.1.7), modulo L, as an odd number.
pub(super) fn odd_from_hash(hash: &[u8; 64]) -> Words {
    let mut words = [0; 8];
    for (word, bytes) in words.iter_mut().zip(hash.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    // h is below 2^260 and c h below 2^385, less than 2^134 L; the result is below 2^387.
    let words = fold::<8, 7>(words, const { order_times_two_to(134) });
    // h is below 2^135 and c h below 2^260, less than 2^9 L; the result is below 2^262.
    let words = fold::<7, 5>(words, const { order_times_two_to(9) });
    // h is below 2^10 and c h below 2^135, less than L; the result is below 2^252 + L.
    let [w0, w1, w2, w3, _] = fold::<5, 5>(words, const { order_times_two_to(0) });
    odd([w0, w1, w2, w3])
}

/// `l - c h` of a number `2^252 h + l`, which is the same modulo L, and a multiple of L that is above `c h`.
fn fold<const FROM: usize, const TO: usize>(number: [u64; FROM], multiple: [u64; TO]) -> [u64; TO] {
    let low = [number[0], number[1], number[2], number[3] & u64::MAX >> 4];
    let mut rest = multiple;
    add(&mut rest, &low);
    for at in 3..FROM {
        let above = number.get(at + 1).copied().unwrap_or(0);
        let h = number[at] >> 60 | above << 4;
        let mut carry = 0;
        for (c, word) in C.into_iter().chain([0; TO]).zip(&mut rest[at - 3..]) {
            let product = u128::from(h) * u128::from(c) + carry;
            let (less, borrow) = word.overflowing_sub(product as u64);
            *word = less;
            carry = (product >> 64) + u128::from(borrow);
        }
    }
    rest
}

/// The number, or the number and L, which is odd if the number is not. Below 2^255 if the number is below 2^254.
fn odd(mut number: Words) -> Words {
    if number[0] & 1 == 0 {
        add(&mut number, &ORDER);
    }
    number
}

/// Adds what fits.
fn add(number: &mut [u64], other: &[u64]) {
    let mut carry = false;
    for (at, word) in number.iter_mut().enumerate() {
        let other = other.get(at).copied().unwrap_or(0);
        let (sum, first) = word.overflowing_add(other);
        let (sum, second) = sum.overflowing_add(u64::from(carry));
        *word = sum;
        carry = first | second;
    }
}

/// `2^bits L`, which has the words to hold it.
const fn order_times_two_to<const WORDS: usize>(bits: usize) -> [u64; WORDS] {
    let mut shifted = [0; WORDS];
    let mut bit = 0;
    while bit < 253 {
        let to = bit + bits;
        shifted[to / 64] |= (ORDER[bit / 64] >> (bit % 64) & 1) << (to % 64);
        bit += 1;
    }
    shifted
}
