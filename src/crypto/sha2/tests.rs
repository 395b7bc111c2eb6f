use super::*;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

const SECRET: [u8; 64] = *b"sixty-four octets, one whole block, known to this test and to no";

/// SHA-256 of the parts, one after the other, by the plain crate.
fn plain(parts: &[&[u8]]) -> [u8; 32] {
    parts
        .iter()
        .fold(Sha256::new(), |hash, part| hash.chain_update(part))
        .finalize()
        .into()
}

/// Bytes that differ from one position and one message to the next.
fn message(length: usize, salt: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at * 31 + salt * 7 + at / 251) as u8)
        .collect()
}

/// The digests of all messages after the secret block, a window at a time, and each alone.
fn assert_digests<const PREFIX_BYTES: usize>(
    kernel: Kernel,
    messages: &[([u8; PREFIX_BYTES], &[u8])],
) {
    let midstate = Midstate::new(SHA256_INITIAL, &SECRET);
    for messages in messages.chunks(WINDOW) {
        let mut digests = vec![[7; 32]; messages.len()];
        let each = |index: usize| (&midstate, &messages[index].0, messages[index].1);
        digest_window(kernel, each, &mut digests);
        for ((prefix, message), digest) in messages.iter().zip(&digests) {
            let expected = plain(&[&SECRET, prefix, message]);
            assert_eq!(*digest, expected, "{kernel:?}, {} bytes", message.len());
            assert_eq!(midstate.digest(prefix, message), expected);
        }
    }
}

fn assert_equal_to_plain(messages: &[Vec<u8>]) {
    let bare: Vec<([u8; 0], &[u8])> = messages.iter().map(|message| ([], &message[..])).collect();
    let prefixed: Vec<([u8; 8], &[u8])> = (0u64..)
        .zip(messages)
        .map(|(number, message)| {
            let prefix = number.wrapping_mul(0x0101_0101_0101_0101).to_le_bytes();
            (prefix, &message[..])
        })
        .collect();
    for kernel in Kernel::available() {
        assert_digests(kernel, &bare);
        assert_digests(kernel, &prefixed);
    }
}

#[test]
fn every_kernel_is_listed_once_and_the_plain_one_first() {
    let kernels = Kernel::available();
    assert_eq!(kernels[0], Kernel::Single);
    assert_eq!(kernels.last(), Some(&Kernel::best()));
    println!("kernels: {kernels:?}");
}

#[test]
fn every_length_around_the_blocks() {
    // 0 to 300 bytes: every place the padding can fall in, and one to six blocks.
    let messages: Vec<_> = (0..=300).map(|length| message(length, length)).collect();
    assert_equal_to_plain(&messages);
    // The same lengths in lanes that end together.
    for length in 0..=300 {
        let messages: Vec<_> = (0..16).map(|salt| message(length, salt)).collect();
        assert_equal_to_plain(&messages);
    }
}

#[test]
fn every_batch_size_to_beyond_a_window() {
    // 1 to 70 messages: partial groups of every size, and a window's end at 64.
    for size in 1..=70 {
        let messages: Vec<_> = (0..size).map(|at| message(at * 53 % 500, at)).collect();
        assert_equal_to_plain(&messages);
    }
}

#[test]
fn one_long_message_among_short_ones_ends_alone() {
    for at in 0..16 {
        let messages: Vec<_> = (0..16)
            .map(|index| message(if index == at { 5000 } else { index }, index))
            .collect();
        assert_equal_to_plain(&messages);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn mixed_lengths_in_a_batch(
        messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..4096), 1..=40),
    ) {
        assert_equal_to_plain(&messages);
    }
}
