//! The RFCs' printed tokens, whole and damaged, through every parser and the signature check.

use super::*;
use crate::crypto::{Check, Outcome, VerifyingKey, verify_batch};
use crate::limits::TOKEN_BYTES_MAX;

/// What verification would do with a token and a key: read it as far as it goes, then check the signature.
fn verify(token: &[u8], key: &VerifyingKey) -> Result<Outcome, JoseError> {
    let jws = CompactJws::parse(token, TOKEN_BYTES_MAX)?;
    let header = Header::parse_segment(jws.header_segment())?;
    let (mut payload, mut signature) = (Vec::new(), Vec::new());
    jws.decode_payload(&mut payload)?;
    jws.decode_signature(&mut signature)?;
    Claims::parse(&payload)?;
    if header.alg.scheme() != key.scheme() {
        return Ok(Outcome::Forged);
    }
    let check = Check {
        key,
        message: jws.signing_input(),
        signature: &signature,
    };
    let mut outcomes = Vec::new();
    verify_batch(&[check], &mut outcomes);
    Ok(outcomes[0])
}

fn key(jwk: &str, alg: Algorithm) -> VerifyingKey {
    let jwk = Jwk::parse(jwk.as_bytes()).expect("a printed key");
    jwk.verifying_key(alg.scheme())
        .expect("it fits its algorithm")
}

const A1: &[u8] = include_bytes!("vectors/rfc7515_a1.jws");
const A3: &[u8] = include_bytes!("vectors/rfc7515_a3.jws");
const A5: &[u8] = include_bytes!("vectors/rfc7515_a5.jws");

fn a1_key() -> VerifyingKey {
    key(include_str!("vectors/rfc7515_a1.jwk"), Algorithm::Hs256)
}

fn a3_key() -> VerifyingKey {
    key(include_str!("vectors/rfc7515_a3.jwk"), Algorithm::Es256)
}

#[test]
fn the_claims_of_rfc_7519_3_1_are_read() {
    let jws = CompactJws::parse(A1, TOKEN_BYTES_MAX).expect("a JWS");
    let header = Header::parse_segment(jws.header_segment()).expect("a header");
    assert_eq!(
        (header.alg, header.kid.as_deref()),
        (Algorithm::Hs256, None)
    );
    assert!(header.typ_is("JWT"));
    let mut payload = Vec::new();
    jws.decode_payload(&mut payload).expect("base64url");
    let claims = Claims::parse(&payload).expect("claims");
    assert_eq!(claims.iss.as_deref(), Some("joe"));
    let exp = NumericDate {
        floor: 1_300_819_380,
        ceil: 1_300_819_380,
    };
    assert_eq!(claims.exp, Some(exp));
    assert_eq!(
        claims.member("http://example.com/is_root"),
        Some(&b"true"[..])
    );
}

/// Checks V-13.
#[test]
fn the_unsecured_token_of_rfc_7519_6_1_is_refused_for_its_algorithm() {
    assert_eq!(verify(A5, &a1_key()), Err(JoseError::UnsupportedAlg));
    // Neither does a signature make `none` an algorithm.
    let signed = [A5, b"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"].concat();
    assert_eq!(verify(&signed, &a1_key()), Err(JoseError::UnsupportedAlg));
}

/// Checks V-02.
#[test]
fn the_encrypted_token_of_rfc_7519_a_1_is_told_apart() {
    // Its header as printed; its other segments shortened, which does not change their count.
    let jwe = b"eyJhbGciOiJSU0ExXzUiLCJlbmMiOiJBMTI4Q0JDLUhTMjU2In0.QR1Owv2ug2WyPBnbQrRA.AxY8DCtDaGlsbGljb3RoZQ.MKOle7UQrG6nSxTLX6Mq.fiK51VwhsxJ-siBMR-YFiA";
    let JoseError::Malformed(rule) = CompactJws::parse(jwe, TOKEN_BYTES_MAX)
        .err()
        .expect("no JWS")
    else {
        panic!("malformed");
    };
    assert!(rule.contains("JWE"), "{rule}");
}

/// Checks V-04.
#[test]
fn no_damaged_byte_leaves_a_token_genuine() {
    let key = a1_key();
    assert_eq!(verify(A1, &key), Ok(Outcome::Genuine));
    for place in 0..A1.len() {
        for byte in 0..=u8::MAX {
            let mut damaged = A1.to_vec();
            damaged[place] = byte;
            if damaged != A1 {
                assert_ne!(
                    verify(&damaged, &key),
                    Ok(Outcome::Genuine),
                    "{byte:#x} at {place}"
                );
            }
        }
    }
    // Single bits are enough where a check costs a thousand times as much.
    let key = a3_key();
    assert_eq!(verify(A3, &key), Ok(Outcome::Genuine));
    for place in 0..A3.len() {
        for bit in 0..8 {
            let mut damaged = A3.to_vec();
            damaged[place] ^= 1 << bit;
            assert_ne!(
                verify(&damaged, &key),
                Ok(Outcome::Genuine),
                "bit {bit} at {place}"
            );
        }
    }
}

/// Checks V-04.
#[test]
fn nothing_missing_or_added_leaves_a_token_genuine() {
    let key = a1_key();
    for place in 0..A1.len() {
        assert_ne!(
            verify(&A1[..place], &key),
            Ok(Outcome::Genuine),
            "truncated at {place}"
        );
        assert_ne!(
            verify(&A1[place + 1..], &key),
            Ok(Outcome::Genuine),
            "begun at {place}"
        );
        let mut shorter = A1.to_vec();
        shorter.remove(place);
        assert_ne!(
            verify(&shorter, &key),
            Ok(Outcome::Genuine),
            "without {place}"
        );
        for byte in *b"A=.-\n \0+/" {
            let mut longer = A1.to_vec();
            longer.insert(place, byte);
            assert_ne!(
                verify(&longer, &key),
                Ok(Outcome::Genuine),
                "{byte:#x} before {place}"
            );
        }
    }
    for tail in ["A", "=", "==", "\n", " ", ".", ".e30", "\0"] {
        let longer = [A1, tail.as_bytes()].concat();
        assert_ne!(
            verify(&longer, &key),
            Ok(Outcome::Genuine),
            "with {tail:?} behind"
        );
    }
}
