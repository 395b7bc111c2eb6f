use super::*;
use crate::jose::{CompactJwe, JweHeader, danger};
use crate::limits::TOKEN_BYTES_MAX;

/// What the reader gets, who has the private key and reads strictly.
fn open(key: &Jwk, token: &str) -> Option<String> {
    let jwe = CompactJwe::parse(token.as_bytes(), TOKEN_BYTES_MAX).expect("five segments");
    let header = JweHeader::parse_segment(jwe.header_segment()).expect("a header");
    assert!(header.content_is_jwt() && !header.zip);
    let parts = jwe.decode().expect("base64url");
    let (management, content) = key.pin_management(&[header.alg], &[header.enc]).ok()?;
    let key = key.decryption_key(management, content).expect("a key pair");
    let sealed = crate::crypto::encryption::Sealed {
        aad: jwe.header_segment(),
        encrypted_key: &parts.encrypted_key,
        iv: &parts.iv,
        ciphertext: &parts.ciphertext,
        tag: &parts.tag,
        ephemeral: header.epk.as_ref(),
        party_u: &header.apu,
        party_v: &header.apv,
    };
    let opened = key.open(header.enc, &sealed).ok()?;
    Some(String::from_utf8(opened.to_vec()).expect("text"))
}

/// The public half as it would be published; a shared key as it would be shared.
fn given_away(key: &Jwk) -> Jwk {
    let json = match key.to_public_json() {
        Some(json) => json,
        None => danger::to_private_json(key).expect("secret").to_string(),
    };
    Jwk::parse(json.as_bytes()).expect("what is written can be read")
}

#[test]
fn every_key_that_is_made_opens_what_is_encrypted_to_its_public_half() {
    for algorithm in KeyManagement::ALL {
        let curves: Vec<_> = match algorithm.is_agreement() {
            true => AgreementCurve::ALL.into_iter().map(Some).collect(),
            false => vec![None],
        };
        for (curve, encoding) in curves
            .iter()
            .flat_map(|curve| ContentEncryption::ALL.map(|encoding| (*curve, encoding)))
        {
            let own = (algorithm == KeyManagement::Direct).then_some(encoding);
            let key = generate(algorithm, None, curve, own).expect("a key");
            assert!(key.is_private() && key.kid.is_some());
            let public = given_away(&key);
            assert_eq!(public.thumbprint(), key.thumbprint());
            let recipient = Recipient::new(&public, None, Some(encoding)).expect("fit");
            let [one, two] = [(); 2].map(|()| recipient.encrypt("signed").expect("encrypted"));
            assert_ne!(one, two, "fresh keys and vectors");
            assert_eq!(
                open(&key, &one).as_deref(),
                Some("signed"),
                "{algorithm} {encoding}"
            );
            // RSA keys are slow to find: one will do.
            if matches!(
                algorithm,
                KeyManagement::RsaOaep | KeyManagement::RsaOaep256
            ) {
                break;
            }
        }
    }
}

#[test]
fn a_key_is_encrypted_to_as_it_says_or_as_is_usual() {
    let header = |token: &str| {
        let (header, _) = token.split_once('.').expect("segments");
        let json = base64url::decode_vec(header.as_bytes()).expect("base64url");
        serde_json::from_slice::<Value>(&json).expect("JSON")
    };
    let pem = include_str!("../../jose/vectors/p256_spki.pem");
    let nameless = Jwk::from_pem(pem).expect("PEM");
    let token = Recipient::new(&nameless, None, None)
        .and_then(|recipient| recipient.encrypt("signed"))
        .expect("encrypted");
    let header = header(&token);
    assert_eq!(header["alg"], "ECDH-ES+A256KW");
    assert_eq!(header["enc"], "A256GCM");
    assert_eq!(header["kid"], *nameless.thumbprint());
    let members = header["epk"].as_object().expect("a JWK");
    assert_eq!(members.len(), 4, "RFC 7518 §4.6.1.1: no more than it takes");

    for (json, algorithm) in [
        (
            r#"{"kty":"oct","use":"sig","k":"AAAAAAAAAAAAAAAAAAAAAA"}"#,
            None,
        ),
        (
            r#"{"kty":"oct","alg":"HS256","k":"AAAAAAAAAAAAAAAAAAAAAA"}"#,
            None,
        ),
        (
            r#"{"kty":"oct","alg":"A128KW","k":"AAAAAAAAAAAAAAAAAAAAAA"}"#,
            Some(KeyManagement::Direct),
        ),
        (r#"{"kty":"oct","k":"AAAA"}"#, None),
    ] {
        let jwk = Jwk::parse(json.as_bytes()).expect("a JWK");
        let refused = Recipient::new(&jwk, algorithm, None).expect_err("refused");
        assert!(
            matches!(refused, EncryptError::Unfit(_)),
            "{json}: {refused}"
        );
    }
}

#[test]
fn sizes_and_curves_that_are_not_offered_are_refused() {
    let p256 = Some(AgreementCurve::P256);
    let gcm = Some(ContentEncryption::A128Gcm);
    for (algorithm, bits, curve, encoding) in [
        (KeyManagement::RsaOaep, Some(1024), None, None),
        (KeyManagement::RsaOaep, None, p256, None),
        (KeyManagement::EcdhEs, Some(256), None, None),
        (KeyManagement::A128Kw, None, p256, None),
        (KeyManagement::A128Kw, None, None, gcm),
        (KeyManagement::Direct, None, None, None),
    ] {
        let refused = generate(algorithm, bits, curve, encoding).err();
        assert_eq!(refused, Some(EncryptError::Size(algorithm)));
    }
}
