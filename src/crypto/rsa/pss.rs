//! EMSA-PSS verification (RFC 8017 §9.1.2) of many encodings at a time, their hashing side by side.
//!
//! The modulus has a whole number of bytes, so an encoding is as long as it, and has one bit less.
#![forbid(unsafe_code)]

use super::encoding::{DIGEST_BYTES_MAX, Digest, Hash};

/// Encodings of one length, one after the other, and the digests that they are to be of.
pub(super) struct Encodings<'a> {
    pub(super) hash: Hash,
    pub(super) bytes: Vec<u8>,
    pub(super) each_bytes: usize,
    pub(super) digests: Vec<&'a Digest>,
}

impl Encodings<'_> {
    /// Which of the encodings are consistent with their digests.
    pub(super) fn verify(&mut self) -> Vec<bool> {
        match self.hash {
            Hash::Sha256 => self.verify_of::<32>(),
            Hash::Sha384 => self.verify_of::<48>(),
            Hash::Sha512 => self.verify_of::<64>(),
        }
    }

    fn verify_of<const DIGEST_BYTES: usize>(&mut self) -> Vec<bool> {
        self.unmask::<DIGEST_BYTES>();
        let salted = self.salted::<DIGEST_BYTES>();
        let mut expected = vec![[0; DIGEST_BYTES_MAX]; salted.len()];
        self.hash
            .digest_many(|at| &salted[at][..ZEROS + 2 * DIGEST_BYTES], &mut expected);
        let encodings = self.bytes.chunks_exact(self.each_bytes);
        encodings
            .zip(&expected)
            .map(|(encoding, expected)| {
                let (block, stored, last) = parts::<DIGEST_BYTES>(encoding);
                last == LAST
                    && has_padding(&block[..block.len() - DIGEST_BYTES])
                    && stored[..] == expected[..DIGEST_BYTES]
            })
            .collect()
    }

    /// Steps 7 to 9: takes the mask off the block, which is MGF1 of the hash behind it (RFC 8017 §B.2.1). The bit
    /// that an encoding has less than its bytes is not masked: step 6 wants it to be zero, and so does
    /// [`has_padding`].
    fn unmask<const DIGEST_BYTES: usize>(&mut self) {
        let block_bytes = self.each_bytes - DIGEST_BYTES - 1;
        let masks_each = block_bytes.div_ceil(DIGEST_BYTES);
        let mut seeds = vec![[0; DIGEST_BYTES_MAX + COUNTER]; masks_each * self.digests.len()];
        let encodings = self.bytes.chunks_exact(self.each_bytes);
        for (seeds, encoding) in seeds.chunks_exact_mut(masks_each).zip(encodings) {
            let (_, stored, _) = parts::<DIGEST_BYTES>(encoding);
            for (seed, counter) in seeds.iter_mut().zip(0u32..) {
                seed[..DIGEST_BYTES].copy_from_slice(stored);
                seed[DIGEST_BYTES..][..COUNTER].copy_from_slice(&counter.to_be_bytes());
            }
        }
        let mut masks = vec![[0; DIGEST_BYTES_MAX]; seeds.len()];
        self.hash
            .digest_many(|at| &seeds[at][..DIGEST_BYTES + COUNTER], &mut masks);
        let encodings = self.bytes.chunks_exact_mut(self.each_bytes);
        for (masks, encoding) in masks.chunks_exact_mut(masks_each).zip(encodings) {
            if let Some([first, ..]) = masks.first_mut() {
                *first &= 0x7f;
            }
            let (chunks, rest) = encoding[..block_bytes].as_chunks_mut::<DIGEST_BYTES>();
            for (chunk, mask) in chunks.iter_mut().zip(&*masks) {
                xor(chunk, mask);
            }
            if let Some(mask) = masks.get(chunks.len()) {
                xor(rest, mask);
            }
        }
    }

    /// Step 12: eight zeros, the digest, and the salt.
    fn salted<const DIGEST_BYTES: usize>(&self) -> Vec<Salted> {
        let mut salted = vec![NO_SALTED; self.digests.len()];
        let encodings = self.bytes.chunks_exact(self.each_bytes);
        for ((salted, encoding), digest) in salted.iter_mut().zip(encodings).zip(&self.digests) {
            let (block, _, _) = parts::<DIGEST_BYTES>(encoding);
            let digest_and_salt = &mut salted[ZEROS..];
            digest_and_salt[..DIGEST_BYTES].copy_from_slice(&digest[..DIGEST_BYTES]);
            digest_and_salt[DIGEST_BYTES..][..DIGEST_BYTES]
                .copy_from_slice(&block[block.len() - DIGEST_BYTES..]);
        }
        salted
    }
}

/// Step 4: "the rightmost octet of EM".
const LAST: u8 = 0xbc;

/// Octets of MGF1's counter.
const COUNTER: usize = 4;

/// Octets of zero before what is hashed at last.
const ZEROS: usize = 8;

/// Those zeros, a digest and a salt.
type Salted = [u8; ZEROS + 2 * DIGEST_BYTES_MAX];
const NO_SALTED: Salted = [0; ZEROS + 2 * DIGEST_BYTES_MAX];

/// The block of padding and salt, the hash behind it, and the last octet (step 5).
fn parts<const DIGEST_BYTES: usize>(encoding: &[u8]) -> (&[u8], &[u8], u8) {
    let (block, rest) = encoding.split_at(encoding.len() - DIGEST_BYTES - 1);
    (block, &rest[..DIGEST_BYTES], rest[DIGEST_BYTES])
}

/// Step 10, of what stands before the salt: zeros, and a one at the end.
fn has_padding(padding: &[u8]) -> bool {
    padding.split_last().is_some_and(|(&one, zeros)| {
        // All are looked at, many at a time, for there is hardly ever one that is not zero.
        one == 1 && zeros.iter().fold(0, |any, &byte| any | byte) == 0
    })
}

/// `mask` is no shorter.
fn xor(bytes: &mut [u8], mask: &[u8]) {
    for (byte, mask) in bytes.iter_mut().zip(mask) {
        *byte ^= mask;
    }
}
