//! What opens, what does not, and that all that does not open looks alike.

mod wycheproof;

use super::agreement::OtherInfo;
use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

fn octets(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).expect("base64url")
}

fn point(x: &str, y: &str) -> AgreementPoint {
    AgreementPoint::new(AgreementCurve::P256, &octets(x), Some(&octets(y))).expect("full size")
}

/// The keys of RFC 7518, appendix C: an ephemeral one, and the reader's.
const ALICE: [&str; 3] = [
    "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0",
    "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps",
    "0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo",
];
const BOB: [&str; 3] = [
    "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ",
    "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck",
    "VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw",
];

#[test]
fn the_agreement_of_rfc_7518_c_gives_its_key_to_both_sides() {
    let info = OtherInfo {
        algorithm_id: "A128GCM",
        party_u: b"Alice",
        party_v: b"Bob",
    };
    for ([.., d], [x, y, _]) in [(ALICE, BOB), (BOB, ALICE)] {
        let private = aws_lc_rs::agreement::PrivateKey::from_private_key(
            AgreementCurve::P256.algorithm(),
            &octets(d),
        )
        .expect("a scalar");
        let key = agreement::derive(&private, &point(x, y), info, 16).expect("on the curve");
        assert_eq!(URL_SAFE_NO_PAD.encode(&*key), "VqqN6vgjbSBcIijNcacQGg");
    }
}

/// A key pair of each kind, by what it is for.
fn pairs() -> Vec<(DecryptionKey, EncryptionKey)> {
    let [x, y, d] = BOB;
    let shared = |management, content: Option<ContentEncryption>, bytes: usize| {
        let secret = vec![7; bytes];
        (
            DecryptionKey::symmetric(management, content, &secret).expect("of that length"),
            EncryptionKey::symmetric(management, content, &secret).expect("of that length"),
        )
    };
    let agreed = |management| {
        (
            DecryptionKey::agreement(management, &point(x, y), &octets(d)).expect("a pair"),
            EncryptionKey::agreement(management, point(x, y)).expect("a point"),
        )
    };
    let mut pairs = vec![
        agreed(KeyManagement::EcdhEs),
        agreed(KeyManagement::EcdhEsA128Kw),
        agreed(KeyManagement::EcdhEsA192Kw),
        agreed(KeyManagement::EcdhEsA256Kw),
        shared(KeyManagement::A128Kw, None, 16),
        shared(KeyManagement::A192Kw, None, 24),
        shared(KeyManagement::A256Kw, None, 32),
    ];
    for content in ContentEncryption::ALL {
        pairs.push(shared(
            KeyManagement::Direct,
            Some(content),
            content.key_bytes(),
        ));
    }
    pairs
}

/// What travels.
struct Travelling {
    key: ContentKeyParts,
    text: SealedText,
}

struct ContentKeyParts {
    encrypted_key: Vec<u8>,
    ephemeral: Option<AgreementPoint>,
}

fn seal(to: &EncryptionKey, content: ContentEncryption, plaintext: &[u8]) -> Travelling {
    let mut key = to.content_key(content).expect("a key of that kind");
    let parts = ContentKeyParts {
        encrypted_key: std::mem::take(&mut key.encrypted_key),
        ephemeral: key.ephemeral.take(),
    };
    let text = key.seal(b"header", plaintext).expect("sealed");
    Travelling { key: parts, text }
}

fn open(
    key: &DecryptionKey,
    content: ContentEncryption,
    sent: &Travelling,
) -> Result<Vec<u8>, NotDecrypted> {
    let sealed = Sealed {
        aad: b"header",
        encrypted_key: &sent.key.encrypted_key,
        iv: &sent.text.iv,
        ciphertext: &sent.text.ciphertext,
        tag: &sent.text.tag,
        ephemeral: sent.key.ephemeral.as_ref(),
        party_u: &[],
        party_v: &[],
    };
    key.open(content, &sealed)
        .map(|plaintext| plaintext.to_vec())
}

#[test]
fn what_was_sealed_opens_and_no_changed_octet_does() {
    for (reader, writer) in pairs() {
        let contents = match reader.content() {
            Some(content) => vec![content],
            None => ContentEncryption::ALL.to_vec(),
        };
        for content in contents {
            // 33 octets: two blocks of AES and a part of one.
            let plaintext = [42; 33];
            let mut sent = seal(&writer, content, &plaintext);
            assert_eq!(open(&reader, content, &sent).as_deref(), Ok(&plaintext[..]));
            let lengths = [
                sent.key.encrypted_key.len(),
                sent.text.iv.len(),
                sent.text.ciphertext.len(),
                sent.text.tag.len(),
            ];
            for (part, length) in lengths.into_iter().enumerate() {
                for at in 0..length {
                    *octet(&mut sent, part, at) ^= 0x10;
                    let opened = open(&reader, content, &sent);
                    assert_eq!(
                        opened,
                        Err(NotDecrypted),
                        "{reader:?} {content} {part} {at}"
                    );
                    *octet(&mut sent, part, at) ^= 0x10;
                }
            }
            for other in ContentEncryption::ALL
                .into_iter()
                .filter(|&other| other != content)
            {
                assert_eq!(open(&reader, other, &sent), Err(NotDecrypted));
            }
        }
    }
}

fn octet(sent: &mut Travelling, part: usize, at: usize) -> &mut u8 {
    let part = match part {
        0 => &mut sent.key.encrypted_key,
        1 => &mut sent.text.iv,
        2 => &mut sent.text.ciphertext,
        _ => &mut sent.text.tag,
    };
    part.get_mut(at).expect("within")
}

#[test]
fn truncated_and_lengthened_parts_do_not_open() {
    for (reader, writer) in pairs() {
        let content = reader.content().unwrap_or(ContentEncryption::A128CbcHs256);
        for part in 0..4 {
            for lengthen in [false, true] {
                let mut sent = seal(&writer, content, b"plaintext");
                let part = match part {
                    0 => &mut sent.key.encrypted_key,
                    1 => &mut sent.text.iv,
                    2 => &mut sent.text.ciphertext,
                    _ => &mut sent.text.tag,
                };
                let was = part.len();
                match lengthen {
                    true => part.push(0),
                    false => part.truncate(was.saturating_sub(1)),
                }
                // A key that is not sent is not looked at.
                if reader.management().sends_no_key() && was == 0 {
                    continue;
                }
                assert_eq!(open(&reader, content, &sent), Err(NotDecrypted));
            }
        }
    }
}

/// Checks V-21. RFC 7518 §4.6 with the attack of RFC 8725 §2.5 (invalid curve) and §3.4.
#[test]
fn points_off_the_curve_and_of_low_order_open_nothing() {
    let [x, y, d] = BOB;
    let reader =
        DecryptionKey::agreement(KeyManagement::EcdhEs, &point(x, y), &octets(d)).expect("a pair");
    let writer = EncryptionKey::agreement(KeyManagement::EcdhEs, point(x, y)).expect("a point");
    let mut sent = seal(&writer, ContentEncryption::A128Gcm, b"plaintext");
    // (0, 0), a point with a wrong y, and one of another curve.
    let mut wrong_y = octets(ALICE[1]);
    wrong_y[31] ^= 1;
    let zero = [0; 32];
    for ephemeral in [
        AgreementPoint::new(AgreementCurve::P256, &zero, Some(&zero)),
        AgreementPoint::new(AgreementCurve::P256, &octets(ALICE[0]), Some(&wrong_y)),
        AgreementPoint::new(AgreementCurve::P384, &[1; 48], Some(&[1; 48])),
        AgreementPoint::new(AgreementCurve::X25519, &octets(ALICE[0]), None),
    ] {
        sent.key.ephemeral = Some(ephemeral.expect("of full size"));
        let opened = open(&reader, ContentEncryption::A128Gcm, &sent);
        assert_eq!(opened, Err(NotDecrypted));
    }
    let private = aws_lc_rs::agreement::PrivateKey::from_private_key(
        AgreementCurve::X25519.algorithm(),
        &[9; 32],
    )
    .expect("any octets are a scalar");
    // RFC 7748 §6.1: of order 1, 2 and 4, and one more.
    let mut minus_one = [0xff; 32];
    (minus_one[0], minus_one[31]) = (0xec, 0x7f);
    let mut one = [0; 32];
    one[0] = 1;
    let info = OtherInfo {
        algorithm_id: "A128GCM",
        party_u: &[],
        party_v: &[],
    };
    for u in [zero, one, minus_one] {
        let low = AgreementPoint::new(AgreementCurve::X25519, &u, None).expect("of full size");
        assert_eq!(
            agreement::derive(&private, &low, info, 16).err(),
            Some(NotDecrypted)
        );
    }
}

#[test]
fn keys_of_the_wrong_kind_or_length_are_refused() {
    let [x, y, d] = BOB;
    let wrong = |result: Result<DecryptionKey, KeyError>| result.expect_err("refused");
    for (management, content, bytes) in [
        (KeyManagement::A128Kw, None, 32),
        (KeyManagement::A256Kw, None, 16),
        (KeyManagement::Direct, Some(ContentEncryption::A256Gcm), 16),
        (
            KeyManagement::Direct,
            Some(ContentEncryption::A128CbcHs256),
            16,
        ),
    ] {
        let error = wrong(DecryptionKey::symmetric(
            management,
            content,
            &vec![1; bytes],
        ));
        assert!(matches!(error, KeyError::Malformed(_)), "{management}");
    }
    for (management, content) in [
        (KeyManagement::Direct, None),
        (KeyManagement::A128Kw, Some(ContentEncryption::A128Gcm)),
        (KeyManagement::EcdhEs, None),
        (KeyManagement::RsaOaep, None),
    ] {
        let error = wrong(DecryptionKey::symmetric(management, content, &[1; 16]));
        assert_eq!(error, KeyError::WrongKind, "{management}");
    }
    let error = wrong(DecryptionKey::agreement(
        KeyManagement::A128Kw,
        &point(x, y),
        &octets(d),
    ));
    assert_eq!(error, KeyError::WrongKind);
    // Alice's scalar is not the one of Bob's point.
    let other = octets(ALICE[2]);
    let error = wrong(DecryptionKey::agreement(
        KeyManagement::EcdhEs,
        &point(x, y),
        &other,
    ));
    assert!(matches!(error, KeyError::Malformed(_)));
    assert_eq!(
        AgreementPoint::new(AgreementCurve::P256, &[1; 31], Some(&[1; 32])),
        Err(KeyError::InvalidPoint)
    );
}

#[test]
fn every_name_is_found_again_and_nothing_else_is() {
    for management in KeyManagement::ALL {
        assert_eq!(
            KeyManagement::from_name(management.name()),
            Some(management)
        );
    }
    for content in ContentEncryption::ALL {
        assert_eq!(ContentEncryption::from_name(content.name()), Some(content));
    }
    for name in [
        "RSA1_5",
        "PBES2-HS256+A128KW",
        "rsa-oaep",
        "DIR",
        "A128GCMKW",
        "",
    ] {
        assert_eq!(KeyManagement::from_name(name), None, "{name}");
        assert_eq!(ContentEncryption::from_name(name), None, "{name}");
    }
}

#[test]
fn the_price_follows_what_it_costs() {
    let rsa = |bytes| KeyManagement::RsaOaep.estimated_cost_ns(None, bytes);
    assert_eq!(rsa(512), 8 * rsa(256), "the cube of the length");
    // Whatever is written in a token, the price stays bounded.
    assert_eq!(rsa(usize::MAX), rsa(1024));
    assert_eq!(rsa(0), rsa(256));
    let direct = KeyManagement::Direct.estimated_cost_ns(None, 0);
    assert!(KeyManagement::EcdhEs.estimated_cost_ns(Some(AgreementCurve::X25519), 0) > direct);
}
