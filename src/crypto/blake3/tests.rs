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

/// The oracle is the crate's plain function.
fn assert_equal_to_plain(messages: &[Vec<u8>]) {
    let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
    let mut digests = vec![[7; 32]; 3];
    for keyed in every_way() {
        keyed.digest_many(&messages, &mut digests);
        assert_eq!(digests.len(), messages.len());
        for (message, digest) in messages.iter().zip(&digests) {
            let expected = ::blake3::keyed_hash(&SECRET, message);
            assert_eq!(expected, *digest, "{keyed:?}, {} bytes", message.len());
            assert_eq!(expected, keyed.digest(message));
        }
    }
}

#[test]
fn every_length_around_blocks_and_chunks() {
    // 64 * 1024 is the longest token.
    let lengths = (0..=300)
        .chain(1008..=1040)
        .chain(2040..=2060)
        .chain([3071, 3072, 3073, 7168, 16_384, 16_385, 65_536]);
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
        .flat_map(|chunks| [1024 * chunks - 1, 1024 * chunks, 1024 * chunks + 1])
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
fn another_secret_or_kind_gives_another_digest() {
    let mut other = SECRET;
    other[31] ^= 1;
    let token = b"header.payload.signature";
    let keyed = KeyedBlake3::new(&SECRET);
    let digest = keyed.digest(token);
    assert_ne!(digest, KeyedBlake3::new(&other).digest(token));
    assert_ne!(digest, keyed.for_kind(b"one").digest(token));
    assert_ne!(
        keyed.for_kind(b"one").digest(token),
        keyed.for_kind(b"two").digest(token)
    );
}

#[test]
fn nothing_of_the_secret_is_printed() {
    let printed = format!("{:?}", KeyedBlake3::with_lanes(&SECRET, None));
    assert_eq!(printed, "KeyedBlake3 { lanes: None, .. }");
}
