use super::*;
use crate::crypto::{Check, Outcome, verify_batch};
use crate::limits::{JWKS_KEYS_MAX, KID_BYTES_MAX};

macro_rules! vector {
    ($name:literal) => {
        include_str!(concat!("../../vectors/", $name))
    };
}

mod pem;

fn jwk(json: &str) -> Jwk {
    Jwk::parse(json.as_bytes()).unwrap_or_else(|error| panic!("{error}: {json}"))
}

fn why(json: &str) -> &'static str {
    match Jwk::parse(json.as_bytes()) {
        Ok(_) => "accepted",
        Err(JoseError::Malformed(why)) => why,
        Err(_) => "too large",
    }
}

fn set(json: &str) -> JwkSet {
    JwkSet::parse(json.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

const P256_X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const P256_Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

/// RFC 7515 A.3's public key with more members.
fn p256(members: &str) -> String {
    format!(r#"{{"kty":"EC","crv":"P-256","x":"{P256_X}","y":"{P256_Y}"{members}}}"#)
}

#[test]
fn the_set_of_rfc_7517_a_1_is_read() {
    let set = set(vector!("rfc7517_a1.jwks"));
    assert!(set.skipped.is_empty());
    let [ec, rsa] = &set.keys[..] else {
        panic!("two keys");
    };
    assert_eq!(
        (ec.kid.as_deref(), ec.kty(), ec.crv()),
        (Some("1"), "EC", Some("P-256"))
    );
    assert_eq!(
        (ec.key_use, ec.alg, ec.is_private()),
        (KeyUse::Other, None, false)
    );
    assert_eq!(
        (rsa.kid.as_deref(), rsa.kty(), rsa.bits()),
        (Some("2011-04-29"), "RSA", 2048)
    );
    assert_eq!(
        (rsa.key_use, rsa.alg),
        (KeyUse::Verify, Some(Algorithm::Rs256))
    );
    // RFC 7638 §3.1 computes this of the same key.
    assert_eq!(
        rsa.thumbprint(),
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    );
}

#[test]
fn the_private_keys_of_rfc_7517_a_2_are_read() {
    let set = set(vector!("rfc7517_a2.jwks"));
    assert!(set.skipped.is_empty() && set.keys.iter().all(Jwk::is_private));
    let public = self::set(vector!("rfc7517_a1.jwks"));
    for (private, public) in set.keys.iter().zip(&public.keys) {
        assert_eq!(private.thumbprint(), public.thumbprint());
        assert_eq!(private.to_public_json(), public.to_public_json());
        assert!(danger::to_private_json(public).is_none());
    }
    assert!(matches!(
        danger::private_key(&set.keys[1]),
        Some(danger::PrivateKey::Rsa { crt: Some(_), d, .. }) if d.len() == 256
    ));
}

#[test]
fn the_symmetric_keys_of_rfc_7517_a_3_are_read() {
    let set = set(vector!("rfc7517_a3.jwks"));
    let [wrap, mac] = &set.keys[..] else {
        panic!("two keys");
    };
    // A128KW wraps keys, so this one must not serve for HMAC.
    assert_eq!(
        (wrap.alg, wrap.key_use, wrap.bits()),
        (None, KeyUse::Other, 128)
    );
    assert_eq!(
        (mac.alg, mac.key_use, mac.bits()),
        (None, KeyUse::Verify, 512)
    );
    assert_eq!(
        mac.kid.as_deref(),
        Some("HMAC key used in JWS spec Appendix A.1 example")
    );
    assert!(
        mac.to_public_json().is_none(),
        "a secret has no public half"
    );
}

#[test]
fn the_thumbprint_of_rfc_8037_a_3_comes_out() {
    let key = jwk(vector!("rfc8037_a.jwk"));
    assert_eq!(
        (key.kty(), key.crv(), key.is_private()),
        ("OKP", Some("Ed25519"), true)
    );
    assert_eq!(
        key.thumbprint(),
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    );
}

/// The keys verify the tokens printed beside them, through the crypto room.
#[test]
fn the_printed_tokens_are_genuine_under_the_printed_keys() {
    for (token, key, scheme) in [
        (
            vector!("rfc7515_a1.jws"),
            vector!("rfc7515_a1.jwk"),
            Scheme::HmacSha256,
        ),
        (
            vector!("rfc7515_a2.jws"),
            vector!("rfc7515_a2.jwk"),
            Scheme::RsaPkcs1Sha256,
        ),
        (
            vector!("rfc7515_a3.jws"),
            vector!("rfc7515_a3.jwk"),
            Scheme::EcdsaP256Sha256,
        ),
        (
            vector!("rfc7515_a4.jws"),
            vector!("rfc7515_a4.jwk"),
            Scheme::EcdsaP521Sha512,
        ),
        (
            vector!("rfc8037_a.jws"),
            vector!("rfc8037_a.jwk"),
            Scheme::Ed25519,
        ),
    ] {
        let jws = crate::jose::CompactJws::parse(token.as_bytes(), token.len()).expect("a JWS");
        let header = crate::jose::Header::parse_segment(jws.header_segment()).expect("a header");
        assert_eq!(header.alg.scheme(), scheme);
        let key = jwk(key).verifying_key(scheme).expect("a fitting key");
        let mut signature = Vec::new();
        jws.decode_signature(&mut signature).expect("a signature");
        let mut forged = signature.clone();
        forged[7] ^= 1;
        let check = |signature| Check {
            key: &key,
            message: jws.signing_input(),
            signature,
        };
        let mut outcomes = Vec::new();
        verify_batch(&[check(&signature), check(&forged)], &mut outcomes);
        assert_eq!(outcomes, [Outcome::Genuine, Outcome::Forged]);
    }
}

/// Checks V-15.
#[test]
fn a_key_serves_only_the_schemes_of_its_type() {
    let rsa = jwk(vector!("rfc7515_a2.jwk"));
    let ec = jwk(vector!("rfc7515_a3.jwk"));
    let okp = jwk(vector!("rfc8037_a.jwk"));
    let oct = jwk(vector!("rfc7515_a1.jwk"));
    for key in [&rsa, &ec, &okp, &oct] {
        for alg in Algorithm::ALL {
            let fits = key.schemes().contains(&alg.scheme());
            let pinned = key.verifying_key(alg.scheme());
            assert_eq!(pinned.is_ok(), fits, "{alg} with {key:?}");
            let hmac = alg.name().starts_with("HS");
            assert_eq!(fits && hmac, hmac && key.kty() == "oct");
        }
    }
    // The text of a public key is no secret either: it stays a public key.
    let pem = Jwk::from_pem(vector!("rsa_spki.pem")).expect("a PEM key");
    assert!(matches!(
        pem.verifying_key(Scheme::HmacSha256),
        Err(KeyError::WrongKind)
    ));
}

/// Checks V-14.
#[test]
fn alg_must_fit_the_key_and_one_of_another_kind_forbids_verifying() {
    assert_eq!(jwk(&p256(r#","alg":"ES256""#)).alg, Some(Algorithm::Es256));
    for alg in ["ES384", "ES256K", "RS256", "HS256", "EdDSA"] {
        assert_eq!(
            why(&p256(&format!(",\"alg\":\"{alg}\""))),
            "alg does not fit kty and crv"
        );
    }
    for alg in ["ECDH-ES", "none", "es256", ""] {
        let key = jwk(&p256(&format!(",\"alg\":\"{alg}\"")));
        assert_eq!((key.alg, key.key_use), (None, KeyUse::Other), "{alg}");
    }
    assert_eq!(why(&p256(",\"alg\":1")), "alg is not a string");
}

#[test]
fn use_and_key_ops_must_both_allow_verifying() {
    for (members, expected) in [
        ("", KeyUse::Verify),
        (r#","use":"sig""#, KeyUse::Verify),
        (r#","use":"enc""#, KeyUse::Other),
        (r#","use":"SIG""#, KeyUse::Other),
        (r#","key_ops":["verify"]"#, KeyUse::Verify),
        (r#","key_ops":["encrypt","verify"]"#, KeyUse::Verify),
        (r#","key_ops":["sign"]"#, KeyUse::Other),
        (r#","key_ops":[]"#, KeyUse::Other),
        (r#","use":"enc","key_ops":["verify"]"#, KeyUse::Other),
        (r#","use":"sig","key_ops":["encrypt"]"#, KeyUse::Other),
    ] {
        assert_eq!(jwk(&p256(members)).key_use, expected, "{members}");
    }
    assert_eq!(why(&p256(",\"use\":1")), "use is not a string");
    assert_eq!(
        why(&p256(",\"key_ops\":\"verify\"")),
        "key_ops is not an array of strings"
    );
    assert_eq!(
        why(&p256(",\"key_ops\":[\"verify\",\"verify\"]")),
        "key_ops names an operation twice"
    );
    // A private key that may sign has a public half that may verify; a secret's verifying is its own right.
    let private = p256(r#","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI","key_ops":["sign"]"#);
    assert_eq!(jwk(&private).key_use, KeyUse::Verify);
    let secret = r#"{"kty":"oct","k":"AAAA","key_ops":["sign"]}"#;
    assert_eq!(jwk(secret).key_use, KeyUse::Other);
}

#[test]
fn broken_keys_say_why() {
    let x31 = "A".repeat(42);
    for (json, expected) in [
        ("{}".to_owned(), "kty is missing"),
        (r#"{"kty":1}"#.into(), "kty is not a string"),
        (r#"{"kty":"rsa","n":"AQAB","e":"AQAB"}"#.into(), "the key type is unknown"),
        (r#"{"kty":"AKP"}"#.into(), "the key type is unknown"),
        (r#"{"kty":"RSA","e":"AQAB"}"#.into(), "n is missing"),
        (r#"{"kty":"RSA","n":"AQAB"}"#.into(), "e is missing"),
        (r#"{"kty":"RSA","n":"AQAB","e":65537}"#.into(), "a key member is not a string"),
        (r#"{"kty":"RSA","n":"","e":"AQAB"}"#.into(), "an RSA member is empty"),
        (r#"{"kty":"RSA","n":"AAEB","e":"AQAB"}"#.into(), "an RSA member begins with a zero octet"),
        (r#"{"kty":"RSA","n":"AQAB=","e":"AQAB"}"#.into(), "base64url is padded with '='"),
        (r#"{"kty":"RSA","n":"AQA","e":"AQAB","d":"A"}"#.into(), "base64url has an impossible length"),
        (r#"{"kty":"RSA","n":"AQAB","e":"AQB"}"#.into(), "base64url has trailing bits that are not zero"),
        (r#"{"kty":"RSA","n":"AQAB","e":"AQAB","p":"AQAB"}"#.into(), "some of p, q, dp, dq, qi are missing"),
        (
            r#"{"kty":"RSA","n":"AQAB","e":"AQAB","d":"AQAB","p":"AQAB","q":"AQAB","dp":"AQAB","dq":"AQAB"}"#.into(),
            "some of p, q, dp, dq, qi are missing",
        ),
        (
            r#"{"kty":"RSA","n":"AQAB","e":"AQAB","p":"AQAB","q":"AQAB","dp":"AQAB","dq":"AQAB","qi":"AQAB"}"#.into(),
            "d is missing beside the other private members",
        ),
        (
            r#"{"kty":"RSA","n":"AQAB","e":"AQAB","oth":[]}"#.into(),
            "RSA keys of more than two primes are not supported",
        ),
        (r#"{"kty":"EC","x":"A","y":"A"}"#.into(), "crv is missing"),
        (
            r#"{"kty":"EC","crv":"P-224","x":"AA","y":"AA"}"#.into(),
            "the curve is not one for signatures that jotd verifies",
        ),
        (format!(r#"{{"kty":"EC","crv":"P-256","x":"{x31}","y":"{P256_Y}"}}"#), "a member's length is not the curve's"),
        (format!(r#"{{"kty":"EC","crv":"P-384","x":"{P256_X}","y":"{P256_Y}"}}"#), "a member's length is not the curve's"),
        (format!(r#"{{"kty":"EC","crv":"P-256","x":"{P256_X}"}}"#), "y is missing"),
        (p256(r#","d":"AQAB""#), "a member's length is not the curve's"),
        (
            r#"{"kty":"OKP","crv":"X25519","x":"AQAB"}"#.into(),
            "a member's length is not the curve's",
        ),
        (
            r#"{"kty":"OKP","crv":"Ed448","x":"AA"}"#.into(),
            "the curve is not one for signatures that jotd verifies",
        ),
        (r#"{"kty":"OKP","crv":"Ed25519","x":"AQAB"}"#.into(), "a member's length is not the curve's"),
        (r#"{"kty":"OKP","crv":"Ed25519","d":"AQAB"}"#.into(), "x is missing"),
        (r#"{"kty":"oct"}"#.into(), "k is missing"),
        (r#"{"kty":"oct","k":""}"#.into(), "the secret is empty"),
        (p256(",\"kid\":1"), "the kid is not a string"),
        (p256(",\"kid\":\"\\n\""), "the kid has a control character"),
        (p256(&format!(",\"kid\":\"{}\"", "k".repeat(KID_BYTES_MAX + 1))), "the kid is too long"),
        (p256(",\"x\":\"\""), "JSON has two members of one name"),
        ("[]".into(), "JSON is not an object"),
    ] {
        assert_eq!(why(&json), expected, "{json}");
    }
}

/// Checks V-19, V-20, V-21.
#[test]
fn weak_material_is_read_but_never_becomes_a_key() {
    let secret = Jwk::from_secret(&[7; 31]);
    assert!(matches!(
        secret.verifying_key(Scheme::HmacSha256),
        Err(KeyError::SecretTooShort { required_bytes: 32 })
    ));
    assert!(
        Jwk::from_secret(&[7; 32])
            .verifying_key(Scheme::HmacSha256)
            .is_ok()
    );
    assert!(
        Jwk::from_secret(b"")
            .verifying_key(Scheme::HmacSha256)
            .is_err()
    );

    // RFC 8725 §2.1: the text of a public key is known to everyone, and so would be such a secret.
    for text in [
        vector!("rsa_spki.pem").as_bytes(),
        vector!("rfc7515_a3.jwk").as_bytes(),
        b"  -----BEGIN RSA PUBLIC KEY-----\nAAAA",
        b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAA",
        der::pem::decode_vec(vector!("p256_spki.pem").as_bytes())
            .expect("PEM")
            .1
            .as_slice(),
    ] {
        let refused = Jwk::from_secret(text).verifying_key(Scheme::HmacSha256);
        assert!(matches!(
            refused,
            Err(KeyError::Malformed("the secret is the text of a key"))
        ));
    }

    // 1,024 bits: an odd number that only looks like a modulus, which is refused for its size alone.
    let n = base64url::encode_string(&[0xff; 128]);
    let short = jwk(&format!(r#"{{"kty":"RSA","n":"{n}","e":"AQAB"}}"#));
    assert_eq!(short.bits(), 1024);
    assert!(matches!(
        short.verifying_key(Scheme::RsaPkcs1Sha256),
        Err(KeyError::RsaSize { bits: 1024 })
    ));

    // Its coordinates swapped, a point leaves its curve.
    let off_curve = format!(r#"{{"kty":"EC","crv":"P-256","x":"{P256_Y}","y":"{P256_X}"}}"#);
    assert!(matches!(
        jwk(&off_curve).verifying_key(Scheme::EcdsaP256Sha256),
        Err(KeyError::InvalidPoint)
    ));
}

#[test]
fn one_bad_key_never_spoils_its_set() {
    let good = p256(r#","kid":"good""#);
    let again = p256(r#","kid":"good","alg":"ES256""#);
    let json = format!(
        r#"{{"x":1,"keys":[{good},{{"kty":"AKP","kid":"pq"}},1,null,{{"kty":"EC","kid":7}},{again}]}}"#
    );
    let set = set(&json);
    // Keys of one kid are kept: which fits a token is not decided here.
    let kids: Vec<_> = set.keys.iter().map(|key| key.kid.as_deref()).collect();
    assert_eq!(kids, [Some("good"), Some("good")]);
    let skipped: Vec<_> = set
        .skipped
        .iter()
        .map(|skipped| (skipped.index, skipped.kid.as_deref(), skipped.why.as_str()))
        .collect();
    assert_eq!(
        skipped,
        [
            (1, Some("pq"), "the key type is unknown"),
            (2, None, "it is not a JSON object"),
            (3, None, "it is not a JSON object"),
            (4, None, "crv is missing"),
        ]
    );
}

#[test]
fn a_document_that_is_no_set_is_refused() {
    for json in [
        "",
        "[]",
        "{}",
        r#"{"keys":{}}"#,
        r#"{"keys":null}"#,
        r#"{"keys":[],"keys":[]}"#,
        "<html>",
        "{\"keys\":[]} x",
    ] {
        assert!(JwkSet::parse(json.as_bytes()).is_err(), "{json}");
    }
    assert!(set("{\"keys\":[]}").keys.is_empty());
    let of = |count: usize| format!("{{\"keys\":[{}]}}", vec!["{}"; count].join(","));
    assert_eq!(set(&of(JWKS_KEYS_MAX)).skipped.len(), JWKS_KEYS_MAX);
    assert!(JwkSet::parse(of(JWKS_KEYS_MAX + 1).as_bytes()).is_err());
    let mut long = b"{\"keys\":[]}".to_vec();
    long.resize(JWKS_BYTES_MAX + 1, b' ');
    let too_large = JoseError::TooLarge {
        what: "JWK Set",
        limit_bytes: JWKS_BYTES_MAX,
    };
    assert_eq!(JwkSet::parse(&long).err(), Some(too_large));
    long.truncate(JWKS_BYTES_MAX);
    assert!(JwkSet::parse(&long).is_ok());
}

#[test]
fn what_is_published_is_public_and_what_is_kept_comes_back() {
    for json in [
        vector!("rfc7515_a1.jwk"),
        vector!("rfc7515_a2.jwk"),
        vector!("rfc7515_a3.jwk"),
        vector!("rfc7515_a4.jwk"),
        vector!("rfc8037_a.jwk"),
    ] {
        let mut key = jwk(json);
        key.kid = Some("a \"kid\"".into());
        key.alg = Algorithm::ALL
            .into_iter()
            .find(|alg| key.schemes().contains(&alg.scheme()));
        let private = danger::to_private_json(&key).expect("a private key");
        let again = jwk(&private);
        assert_eq!(
            (&again.kid, again.alg, again.key_use),
            (&key.kid, key.alg, key.key_use)
        );
        assert_eq!(again.thumbprint(), key.thumbprint());
        assert_eq!(danger::to_private_json(&again), Some(private));
        let Some(public) = key.to_public_json() else {
            assert_eq!(key.kty(), "oct");
            continue;
        };
        let public = jwk(&public);
        assert!(!public.is_private() && danger::private_key(&public).is_none());
        assert_eq!(
            (&public.kid, public.alg, public.thumbprint()),
            (&key.kid, key.alg, key.thumbprint())
        );
    }
}

/// Checks V-40.
#[test]
fn debug_output_holds_no_material() {
    let key = jwk(vector!("rfc7515_a1.jwk"));
    let shown = format!("{key:?} {:?}", set(vector!("rfc7517_a3.jwks")));
    for secret in ["AyM1", "Gawg", "163, 90"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
