use super::*;
use proptest::prelude::*;

const SECRET: [u8; 32] = *b"thirty-two octets for this test.";

/// Bytes that differ from one position and one message to the next.
fn message(length: usize, salt: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at * 31 + salt * 7 + at / 251) as u8)
        .collect()
}

/// With lanes, where this CPU has them, and without.
fn every_way() -> Vec<KeyedBlake3> {
    let mut ways = vec![KeyedBlake3::with_lanes(&SECRET, None)];
    ways.extend(Avx512::detect().map(|cpu| KeyedBlake3::with_lanes(&SECRET, Some(cpu))));
    ways
}

/// The oracle is the crate's plain function on a contiguous copy.
fn assert_equal_to_plain(messages: &[Vec<u8>]) {
    let prefixed: Vec<([u8; 8], &[u8])> = (1u64..)
        .zip(messages)
        .map(|(number, message)| {
            let prefix = number.wrapping_mul(0x0123_4567_89ab_cdef).to_le_bytes();
            (prefix, message.as_slice())
        })
        .collect();
    let mut digests = vec![[7; 32]; 3];
    for keyed in every_way() {
        keyed.digest_many_with(&prefixed, &mut digests);
        assert_eq!(digests.len(), prefixed.len());
        for ((prefix, message), digest) in prefixed.iter().zip(&digests) {
            let expected = ::blake3::keyed_hash(&SECRET, &[prefix, *message].concat());
            assert_eq!(expected, *digest, "{keyed:?}, {} bytes", message.len());
            assert_eq!(expected, keyed.digest_with(*prefix, message));
        }
    }
}

#[test]
fn every_length_around_blocks_and_chunks() {
    // 64 * 1024 is the longest token, and the prefix makes it spill into one more chunk.
    let lengths = (0..=300)
        .chain(1008..=1040)
        .chain(2040..=2060)
        .chain([3063, 3064, 3065, 7160, 16_384, 16_385, 65_536]);
    for length in lengths {
        // Lanes that end together, and a partial group.
        let messages: Vec<_> = (0..5).map(|salt| message(length, salt)).collect();
        assert_equal_to_plain(&messages);
    }
}

#[test]
fn every_count_of_chunks() {
    // 1 to 20 chunks, the last full, almost, or hardly begun: every form of tree to beyond four levels.
    let messages: Vec<_> = (1..=20)
        .flat_map(|chunks| [1024 * chunks - 9, 1024 * chunks - 8, 1024 * chunks - 7])
        .map(|length| message(length, length))
        .collect();
    assert_equal_to_plain(&messages);
}

#[test]
fn lengths_that_share_no_group() {
    let messages: Vec<_> = (0..=300).map(|length| message(length, length)).collect();
    assert_equal_to_plain(&messages);
}

#[test]
fn every_batch_size() {
    for size in 0..=70 {
        let messages: Vec<_> = (0..size).map(|at| message(at * 53 % 500, at)).collect();
        assert_equal_to_plain(&messages);
    }
}

#[test]
fn one_long_message_among_short_ones() {
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

#[test]
fn another_secret_or_prefix_gives_another_digest() {
    let mut other = SECRET;
    other[31] ^= 1;
    let token = b"header.payload.signature";
    let digest = KeyedBlake3::new(&SECRET).digest_with([0; 8], token);
    assert_ne!(digest, KeyedBlake3::new(&other).digest_with([0; 8], token));
    assert_ne!(digest, KeyedBlake3::new(&SECRET).digest_with([1; 8], token));
}

#[test]
fn nothing_of_the_secret_is_printed() {
    let printed = format!("{:?}", KeyedBlake3::with_lanes(&SECRET, None));
    assert_eq!(printed, "KeyedBlake3 { lanes: None, .. }");
}
