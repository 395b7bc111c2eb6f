use super::*;

#[test]
fn every_pem_form_of_a_key_is_the_same_key() {
    for (expected, private, public) in [
        (
            vector!("rfc7515_a2.jwk"),
            &[vector!("rsa_pkcs8.pem"), vector!("rsa_pkcs1.pem")][..],
            &[
                vector!("rsa_spki.pem"),
                vector!("rsa_pkcs1_public.pem"),
                vector!("rsa_certificate.pem"),
            ][..],
        ),
        (
            vector!("rfc7515_a3.jwk"),
            &[
                vector!("p256_pkcs8.pem"),
                vector!("p256_sec1.pem"),
                vector!("p256_sec1_bare.pem"),
            ],
            &[vector!("p256_spki.pem"), vector!("p256_certificate.pem")],
        ),
        (
            vector!("rfc7515_a4.jwk"),
            &[vector!("p521_pkcs8.pem"), vector!("p521_sec1.pem")],
            &[vector!("p521_spki.pem")],
        ),
        (
            vector!("rfc8037_a.jwk"),
            &[vector!("ed25519_pkcs8.pem")],
            &[
                vector!("ed25519_spki.pem"),
                vector!("ed25519_certificate.pem"),
            ],
        ),
    ] {
        let expected = jwk(expected);
        for pem in private {
            let key = Jwk::from_pem(pem).unwrap_or_else(|error| panic!("{error}: {pem}"));
            assert_eq!(
                danger::to_private_json(&key),
                danger::to_private_json(&expected)
            );
        }
        for pem in public {
            let key = Jwk::from_pem(pem).unwrap_or_else(|error| panic!("{error}: {pem}"));
            assert!(!key.is_private());
            assert_eq!(key.to_public_json(), expected.to_public_json());
        }
    }
    for (crv, pems) in [
        (
            "P-384",
            [
                vector!("p384_pkcs8.pem"),
                vector!("p384_sec1.pem"),
                vector!("p384_spki.pem"),
            ],
        ),
        (
            "secp256k1",
            [
                vector!("secp256k1_pkcs8.pem"),
                vector!("secp256k1_sec1.pem"),
                vector!("secp256k1_spki.pem"),
            ],
        ),
    ] {
        let keys =
            pems.map(|pem| Jwk::from_pem(pem).unwrap_or_else(|error| panic!("{error}: {pem}")));
        for key in &keys {
            assert_eq!(key.crv(), Some(crv));
            assert_eq!(key.thumbprint(), keys[0].thumbprint());
            assert!(key.verifying_key(key.schemes()[0]).is_ok());
        }
    }
}

#[test]
fn pem_that_holds_no_usable_key_says_why() {
    let why = |pem: &str| match Jwk::from_pem(pem) {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.to_string(),
    };
    for (pem, expected) in [
        ("", "there is no PEM block with a key"),
        ("c2VjcmV0", "there is no PEM block with a key"),
        (
            "-----BEGIN PUBLIC KEY-----\nAAAA\n",
            "there is no PEM block with a key",
        ),
        (
            "-----BEGIN PUBLIC KEY-----\n!!!!\n-----END PUBLIC KEY-----\n",
            "the PEM block is broken",
        ),
        (
            "-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n",
            "the key's DER is broken",
        ),
        (
            "-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n",
            "there is no PEM block with a key",
        ),
        (
            vector!("p256_encrypted.pem"),
            "the private key is encrypted",
        ),
        (
            vector!("p224_spki.pem"),
            "the curve is not one for signatures that jotd verifies",
        ),
    ] {
        assert_eq!(why(pem), expected, "{pem}");
    }
    // Text before the block and Windows line ends are common and harmless.
    let pem = vector!("p256_spki.pem");
    assert_eq!(why(&format!("subject=/CN=a\n{pem}")), "accepted");
    assert_eq!(why(&pem.replace('\n', "\r\n")), "accepted");
    // A label that does not match the content.
    assert_eq!(
        why(&pem.replace("PUBLIC KEY", "RSA PUBLIC KEY")),
        "the key's DER is broken"
    );
}

#[test]
fn truncated_and_flipped_pem_never_panics() {
    for pem in [
        vector!("p256_sec1.pem"),
        vector!("rsa_spki.pem"),
        vector!("ed25519_certificate.pem"),
    ] {
        for length in 0..pem.len() {
            let _ = Jwk::from_pem(&pem[..length]);
        }
        for place in 0..pem.len() {
            let mut changed = pem.to_owned().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            let _ = Jwk::from_pem(&String::from_utf8_lossy(&changed));
        }
    }
}
