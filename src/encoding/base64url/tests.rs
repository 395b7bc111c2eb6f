use super::*;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;

fn rule(text: &str) -> &'static str {
    match decode_vec(text.as_bytes()) {
        Ok(_) => "accepted",
        Err(error) => error.rule,
    }
}

#[test]
fn the_vectors_of_rfc_4648_and_rfc_7515_hold() {
    // RFC 4648 §10 without padding, and RFC 7515 appendix C.
    for (octets, text) in [
        (&b""[..], ""),
        (b"f", "Zg"),
        (b"fo", "Zm8"),
        (b"foo", "Zm9v"),
        (b"foob", "Zm9vYg"),
        (b"fooba", "Zm9vYmE"),
        (b"foobar", "Zm9vYmFy"),
        (&[3, 236, 255, 224, 193], "A-z_4ME"),
    ] {
        assert_eq!(encode_string(octets), text);
        assert_eq!(decode_vec(text.as_bytes()).as_deref(), Ok(octets));
    }
}

/// Checks V-04.
#[test]
fn every_other_spelling_is_refused() {
    for (text, expected) in [
        ("Zg==", PADDED),
        ("Zm9vYg=", PADDED),
        ("Zg=a", OUTSIDE_ALPHABET),
        ("Zm9+", OUTSIDE_ALPHABET),
        ("Zm9/", OUTSIDE_ALPHABET),
        ("Zm 9v", OUTSIDE_ALPHABET),
        ("Zm9v\n", OUTSIDE_ALPHABET),
        ("\u{ff}Zm9", OUTSIDE_ALPHABET),
        ("Z", IMPOSSIBLE_LENGTH),
        ("Zm9vY", IMPOSSIBLE_LENGTH),
        ("Zm9vZm9vZm9vZ", IMPOSSIBLE_LENGTH),
        ("Zh", TRAILING_BITS),
        ("Zm9", TRAILING_BITS),
        ("Zm9vZm9vYh", TRAILING_BITS),
    ] {
        assert_eq!(rule(text), expected, "{text}");
    }
}

/// Checks V-04.
#[test]
fn of_all_last_characters_only_those_with_zero_bits_pass() {
    for (prefix, unused_bits) in [("", 4), ("A", 4), ("AA", 2), ("AAA", 0)] {
        for (sextet, &last) in ALPHABET.iter().enumerate() {
            let text = format!("AAAAAAAA{prefix}{}", char::from(last));
            let fits = !prefix.is_empty() && sextet % (1 << unused_bits) == 0;
            assert_eq!(rule(&text) == "accepted", fits, "{text}");
        }
    }
}

#[test]
fn the_offset_is_that_of_the_first_broken_byte() {
    // Longer than a block, so that the place is found after vector code has only seen that it exists.
    for place in 0..70 {
        let mut text = vec![b'A'; 70];
        text[place] = b'!';
        let error = decode_vec(&text).expect_err("not of the alphabet");
        assert_eq!((error.rule, error.offset), (OUTSIDE_ALPHABET, place));
        assert!(!is_alphabet(&text));
        text[place] = b'A';
        assert!(is_alphabet(&text));
    }
}

#[test]
fn a_refusal_leaves_the_buffer_as_it_was() {
    let mut out = b"before".to_vec();
    assert!(decode(b"Zm9vZm9vZm9vZm9v=", &mut out).is_err());
    assert_eq!(out, b"before");
    decode(b"Zm9v", &mut out).expect("strict");
    assert_eq!(out, b"beforefoo");
}

#[test]
fn the_portable_way_agrees_wherever_a_byte_is_changed() {
    for length in (0..70).chain(124..134) {
        let good: Vec<u8> = (0..length).map(|place| ALPHABET[place * 7 % 64]).collect();
        agree(&good);
        for place in 0..length {
            for byte in [0, b'=', b'+', b'A', b'Q', 0x7f, 0x80, 0xff] {
                let mut changed = good.clone();
                changed[place] = byte;
                agree(&changed);
            }
        }
    }
}

/// On this CPU `decode` may go through lanes; the portable code must say the same.
fn agree(text: &[u8]) {
    let mut octets = b"before".to_vec();
    let decoded = portable::decode_appending(text, &mut octets)
        .ok()
        .map(|()| octets.split_off(b"before".len()));
    assert_eq!(decoded, decode_vec(text).ok(), "{text:?}");
    assert_eq!(portable::alphabet_len(text), alphabet_len(text), "{text:?}");
}

proptest! {
    #[test]
    fn it_agrees_with_the_base64_crate(text in "[-_A-Za-z0-9]{0,80}") {
        // The crate too refuses trailing bits, padding and impossible lengths in this configuration.
        prop_assert_eq!(decode_vec(text.as_bytes()).ok(), URL_SAFE_NO_PAD.decode(&text).ok());
    }

    #[test]
    fn it_agrees_on_arbitrary_bytes(text in prop::collection::vec(any::<u8>(), 0..64)) {
        prop_assert_eq!(decode_vec(&text).ok(), URL_SAFE_NO_PAD.decode(&text).ok());
        prop_assert_eq!(is_alphabet(&text), text.iter().all(|byte| ALPHABET.contains(byte)));
    }

    #[test]
    fn the_portable_way_agrees_on_arbitrary_bytes(text in prop::collection::vec(any::<u8>(), 0..200)) {
        agree(&text);
    }

    #[test]
    fn octets_survive_the_round_trip(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        let text = encode_string(&octets);
        prop_assert_eq!(&text, &URL_SAFE_NO_PAD.encode(&octets));
        prop_assert_eq!(encoded_len(octets.len()), text.len());
        prop_assert_eq!(decoded_len(text.len()), octets.len());
        prop_assert_eq!(decode_vec(text.as_bytes()), Ok(octets));
    }
}
