//! EMSA-PSS verification (RFC 8017 §9.1.2) of many encodings at a time, their hashing side by side.
//!
//! The modulus has a whole number of bytes, so that an encoding is as long as it and has one bit less.
#![forbid(unsafe_code)]

use super::encoding::{DIGEST_BYTES_MAX, Digest, Hash};

/// An encoded message and the digest it is to be of.
pub(super) struct Encoded<'a> {
    pub(super) bytes: Vec<u8>,
    pub(super) digest: &'a Digest,
}

/// Which of the encodings are consistent with their digests. All are of one length.
pub(super) fn verify(hash: Hash, encoded: &mut [Encoded<'_>]) -> Vec<bool> {
    let form: Vec<_> = encoded.iter().map(|it| has_form(&it.bytes)).collect();
    unmask(hash, encoded);
    let digest_bytes = hash.bytes();
    let messages: Vec<_> = encoded.iter().map(|it| salted(hash, it)).collect();
    let mut digests = vec![[0; DIGEST_BYTES_MAX]; encoded.len()];
    hash.digest_many(|at| &messages[at][..8 + 2 * digest_bytes], &mut digests);
    form.into_iter()
        .zip(encoded)
        .zip(digests)
        .map(|((form, encoded), digest)| {
            let (block, stored) = parts(hash, &encoded.bytes);
            let (padding, salt) = block.split_at(block.len() - digest_bytes);
            // Step 10: "If the emLen - hLen - sLen - 2 leftmost octets of DB are not zero or if the octet at
            // position emLen - hLen - sLen - 1 […] does not have hexadecimal value 0x01".
            let padded = padding
                .split_last()
                .is_some_and(|(&one, zeros)| one == 1 && zeros.iter().all(|&byte| byte == 0));
            form && padded && salt.len() == digest_bytes && digest[..digest_bytes] == *stored
        })
        .collect()
}

/// Steps 4 and 6: the last byte is 0xbc, and the one bit that the encoding is shorter than its bytes is zero.
fn has_form(encoded: &[u8]) -> bool {
    encoded.first().is_some_and(|byte| byte >> 7 == 0) && encoded.last() == Some(&0xbc)
}

/// The block of padding and salt, and the hash behind it (step 5).
fn parts(hash: Hash, encoded: &[u8]) -> (&[u8], &[u8]) {
    let (block, rest) = encoded.split_at(encoded.len() - hash.bytes() - 1);
    (block, &rest[..hash.bytes()])
}

/// Steps 7 to 9: takes the mask off, which is MGF1 of the hash (RFC 8017 §B.2.1).
fn unmask(hash: Hash, encoded: &mut [Encoded<'_>]) {
    const COUNTER_BYTES: usize = 4;
    let digest_bytes = hash.bytes();
    let seed_bytes = digest_bytes + COUNTER_BYTES;
    let mut seeds = Vec::with_capacity(16 * encoded.len());
    for encoded in &*encoded {
        let (block, stored) = parts(hash, &encoded.bytes);
        for counter in 0..block.len().div_ceil(digest_bytes) as u32 {
            let mut seed = [0; DIGEST_BYTES_MAX + COUNTER_BYTES];
            seed[..digest_bytes].copy_from_slice(stored);
            seed[digest_bytes..seed_bytes].copy_from_slice(&counter.to_be_bytes());
            seeds.push(seed);
        }
    }
    let mut masks = vec![[0; DIGEST_BYTES_MAX]; seeds.len()];
    hash.digest_many(|at| &seeds[at][..seed_bytes], &mut masks);
    let mut masks = masks.iter();
    for encoded in encoded {
        let block_bytes = encoded.bytes.len() - digest_bytes - 1;
        let block = &mut encoded.bytes[..block_bytes];
        // Each takes as many masks as it has chunks, which is how many seeds it gave.
        for (chunk, mask) in block.chunks_mut(digest_bytes).zip(&mut masks) {
            for (byte, mask) in chunk.iter_mut().zip(mask) {
                *byte ^= mask;
            }
        }
        if let Some(first) = block.first_mut() {
            *first &= 0x7f;
        }
    }
}

/// Step 12: eight zeros, the digest, and the salt.
fn salted(hash: Hash, encoded: &Encoded<'_>) -> [u8; 8 + 2 * DIGEST_BYTES_MAX] {
    let (block, _) = parts(hash, &encoded.bytes);
    let digest_bytes = hash.bytes();
    let mut message = [0; 8 + 2 * DIGEST_BYTES_MAX];
    message[8..][..digest_bytes].copy_from_slice(&encoded.digest[..digest_bytes]);
    message[8 + digest_bytes..][..digest_bytes]
        .copy_from_slice(&block[block.len() - digest_bytes..]);
    message
}
