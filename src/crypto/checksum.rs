//! Tells whether memory or a disk still holds what was written there.
#![forbid(unsafe_code)]

use std::borrow::Borrow;

/// A sum over words that changes whenever one of them does: each step is a bijection of the sum before and of the
/// word. It guards against faults, not against anybody.
#[must_use]
pub fn checksum(words: impl IntoIterator<Item = impl Borrow<u64>>) -> u64 {
    words.into_iter().fold(0x9e37_79b9_7f4a_7c15, |sum, word| {
        (sum ^ word.borrow())
            .wrapping_mul(0xd6e8_feb8_6659_fd93)
            .rotate_left(29)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bit_of_any_word_counts() {
        let words = [0, 1, u64::MAX, 5];
        let sum = checksum(words);
        for word in 0..words.len() {
            for bit in 0..64 {
                let mut changed = words;
                changed[word] ^= 1 << bit;
                assert_ne!(checksum(changed), sum);
            }
        }
        assert_ne!(checksum([1, 0, u64::MAX, 5]), sum, "the order counts too");
    }
}
