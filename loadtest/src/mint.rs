//! Mints tokens, each of a class whose verdict is known. A token that must be refused is a good one with
//! exactly one thing wrong.
#![forbid(unsafe_code)]

use crate::keys::{AUDIENCE, TestIssuer, is_hmac};
use crate::mix::Class;
use crate::random::Random;
use jotd::encoding::base64url;
use jotd::issuer::{ProtectedHeader, SigningError, SigningKey};
use jotd::limits::TOKEN_BYTES_DEFAULT;
use serde_json::{Map, Value};

/// Seconds to `exp`: longer than any run.
const LIFE_SECONDS: i64 = 2 * 86_400;

/// How long ago an expired token expired, in seconds: beyond any leeway a policy may grant.
const PAST_SECONDS: i64 = 3_600;

/// How far ahead a time lies that must not come during the run, in seconds.
const AHEAD_SECONDS: i64 = 86_400;

/// A minter of one issuer's tokens.
pub(crate) struct Minter<'a> {
    issuer: &'a TestIssuer,
    /// When the run began, in seconds since the epoch.
    now: i64,
    /// Length of good tokens.
    token_bytes: usize,
    /// Bytes of a token besides its payload: header, signature, dots.
    overhead_bytes: usize,
}

impl<'a> Minter<'a> {
    /// A minter.
    ///
    /// # Errors
    /// [`SigningError`] where the key does not sign.
    pub(crate) fn new(
        issuer: &'a TestIssuer,
        now: i64,
        token_bytes: usize,
    ) -> Result<Self, SigningError> {
        let trial = issuer.key.sign(&ProtectedHeader::default(), b"{}")?;
        Ok(Self {
            issuer,
            now,
            token_bytes,
            overhead_bytes: trial.len() - base64url::encoded_len(b"{}".len()),
        })
    }

    /// Whether a class can be made with this issuer's key.
    pub(crate) fn can(&self, class: Class) -> bool {
        class != Class::UnknownKid || self.issuer.stray.is_some()
    }

    /// A token of a class; `random` makes it unlike every other.
    ///
    /// # Errors
    /// [`SigningError`] where the key does not sign.
    pub(crate) fn mint(&self, class: Class, random: &mut Random) -> Result<Vec<u8>, SigningError> {
        let mut draft = Draft::good(self, random);
        match class {
            Class::Good | Class::Forged | Class::Tampered | Class::Truncated => {}
            Class::Garbage => return Ok(garbage(self.token_bytes, random)),
            Class::AlgNone => return self.relabelled(&draft, "none"),
            Class::AlgSwapped => {
                // The classic: a public key's issuer, and a header that says HMAC (CVE-2015-9235).
                let alg = if is_hmac(self.issuer.alg) {
                    "ES256"
                } else {
                    "HS256"
                };
                return self.relabelled(&draft, alg);
            }
            Class::DuplicateMember => draft.tail = r#","sub":"user-0""#,
            Class::UnknownCritical => {
                let extra = &mut draft.header.extra;
                extra.insert("crit".to_owned(), Value::from(vec!["x-loadtest"]));
                extra.insert("x-loadtest".to_owned(), Value::from(true));
            }
            Class::UnknownIssuer => draft.iss = "https://elsewhere.loadtest.example",
            Class::UnknownKid => draft.key = self.issuer.stray.as_ref().unwrap_or(draft.key),
            Class::Expired => {
                draft.iat = self.now - 2 * PAST_SECONDS;
                draft.exp = Some((self.now - PAST_SECONDS).to_string());
            }
            Class::NotYetValid => draft.nbf = self.now + AHEAD_SECONDS,
            Class::IssuedInFuture => draft.iat = self.now + AHEAD_SECONDS,
            Class::WrongAudience => draft.aud = "somebody-else",
            Class::MissingExpiry => draft.exp = None,
            Class::InvalidExpiry => draft.exp = Some(r#""tomorrow""#.to_owned()),
            // The payload alone is as long as the whole token may be.
            Class::TooLarge => draft.payload_bytes = TOKEN_BYTES_DEFAULT,
        }
        let token = draft.sign()?;
        Ok(match class {
            Class::Forged => forged(token, random),
            Class::Tampered => tampered(&token),
            Class::Truncated => truncated(token, random),
            _ => token,
        })
    }

    /// A token whose header names another algorithm, over the signature of the true one.
    fn relabelled(&self, draft: &Draft<'_>, alg: &str) -> Result<Vec<u8>, SigningError> {
        let token = draft.sign()?;
        let (_, rest) = split_header(&token);
        let mut header = Map::new();
        header.insert("alg".to_owned(), Value::from(alg));
        if let Some(kid) = draft.key.kid() {
            header.insert("kid".to_owned(), Value::from(kid));
        }
        header.insert("typ".to_owned(), Value::from("JWT"));
        let header = Value::Object(header).to_string();
        let mut relabelled = Vec::with_capacity(token.len());
        base64url::encode(header.as_bytes(), &mut relabelled);
        relabelled.extend_from_slice(rest);
        Ok(relabelled)
    }
}

/// A token about to be signed.
struct Draft<'a> {
    key: &'a SigningKey,
    header: ProtectedHeader,
    iss: &'a str,
    aud: &'static str,
    user: u32,
    jti: u128,
    iat: i64,
    nbf: i64,
    /// `exp` as JSON.
    exp: Option<String>,
    /// Further members, as JSON.
    tail: &'static str,
    /// Length to pad the payload to.
    payload_bytes: usize,
}

impl<'a> Draft<'a> {
    fn good(minter: &Minter<'a>, random: &mut Random) -> Self {
        let encoded_bytes = minter.token_bytes.saturating_sub(minter.overhead_bytes);
        Self {
            key: &minter.issuer.key,
            header: ProtectedHeader::default(),
            iss: &minter.issuer.iss,
            aud: AUDIENCE,
            user: random.index(1_000_000),
            jti: u128::from(random.bits()) << 64 | u128::from(random.bits()),
            iat: minter.now,
            nbf: minter.now,
            exp: Some((minter.now + LIFE_SECONDS).to_string()),
            tail: "",
            payload_bytes: base64url::decoded_len(encoded_bytes),
        }
    }

    fn sign(&self) -> Result<Vec<u8>, SigningError> {
        let token = self.key.sign(&self.header, self.payload().as_bytes())?;
        Ok(token.into_bytes())
    }

    fn payload(&self) -> String {
        let Self {
            iss,
            aud,
            user,
            jti,
            iat,
            nbf,
            tail,
            ..
        } = self;
        let exp = match &self.exp {
            Some(exp) => format!(r#""exp":{exp},"#),
            None => String::new(),
        };
        let mut payload = format!(
            r#"{{"iss":"{iss}","sub":"user-{user}","aud":"{aud}",{exp}"nbf":{nbf},"iat":{iat},"jti":"{jti:032x}","scope":"read write"{tail}"#
        );
        // The members `,"pad":""` and the closing brace.
        let pad_bytes = self.payload_bytes.saturating_sub(payload.len() + 10);
        if pad_bytes > 0 {
            payload.push_str(r#","pad":""#);
            payload.extend(std::iter::repeat_n('x', pad_bytes));
            payload.push('"');
        }
        payload.push('}');
        payload
    }
}

/// Flips one bit of the signature, which stays as long and as well encoded as it was.
fn forged(mut token: Vec<u8>, random: &mut Random) -> Vec<u8> {
    let dot = last_dot(&token);
    let mut signature = decoded(&token[dot + 1..]);
    let bits = u32::try_from(signature.len() * 8).expect("signatures are short");
    let bit = random.index(bits) as usize;
    signature[bit / 8] ^= 1 << (bit % 8);
    token.truncate(dot + 1);
    base64url::encode(&signature, &mut token);
    token
}

/// Gives the token's subject another name.
fn tampered(token: &[u8]) -> Vec<u8> {
    let (header, rest) = split_header(token);
    let dot = last_dot(rest);
    let mut payload = decoded(&rest[1..dot]);
    let name = b"\"sub\":\"user-";
    let at = payload
        .windows(name.len())
        .position(|window| window == name)
        .expect("every draft has a subject");
    payload[at + b"\"sub\":\"".len()] = b'r';
    let mut tampered = header.to_vec();
    tampered.push(b'.');
    base64url::encode(&payload, &mut tampered);
    tampered.extend_from_slice(&rest[dot..]);
    tampered
}

/// Cuts the token somewhere before its second dot, so that it has not three segments.
fn truncated(mut token: Vec<u8>, random: &mut Random) -> Vec<u8> {
    let dot = u32::try_from(last_dot(&token)).expect("tokens are short");
    token.truncate(1 + random.index(dot) as usize);
    // Cut right behind the second dot, it would still have three.
    token.truncate(token.len().min(dot as usize));
    token
}

/// Printable characters, none of which JSON would escape, and few of which a token may have.
fn garbage(bytes: usize, random: &mut Random) -> Vec<u8> {
    const CHARACTERS: &[u8; 32] = b"{}[]()<>!?#$%&'*+,/:;=@^`|~ abc.";
    let any = |random: &mut Random| CHARACTERS[random.index(32) as usize];
    let mut text = vec![b'{'];
    text.extend((1..bytes.max(1)).map(|_| any(random)));
    text
}

fn split_header(token: &[u8]) -> (&[u8], &[u8]) {
    let dot = token.iter().position(|&byte| byte == b'.');
    token.split_at(dot.expect("a signed token has dots"))
}

fn last_dot(token: &[u8]) -> usize {
    let dot = token.iter().rposition(|&byte| byte == b'.');
    dot.expect("a signed token has dots")
}

fn decoded(segment: &[u8]) -> Vec<u8> {
    base64url::decode_vec(segment).expect("the issuer encodes canonically")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Trust;
    use jotd::clock::Now;
    use jotd::jose::{Algorithm, Jwk, JwkSet};
    use jotd::keys::{KeySet, Owner};
    use jotd::policy::{Accepted, Policy};
    use jotd::verdict::Verdict;
    use jotd::verify::{
        Issuer, IssuerKeys, IssuerMatch, PolicyId, Question, Records, Scratch, Want, verify_batch,
    };
    use std::sync::Arc;

    const NOW: i64 = 1_800_000_000;

    /// What the generated configuration means, built by hand.
    fn issuer(test: &TestIssuer, private: &str) -> Issuer {
        let jwks = if is_hmac(test.alg) {
            JwkSet {
                keys: vec![Jwk::from_secret(private.as_bytes())],
                skipped: Vec::new(),
            }
        } else {
            JwkSet::parse(private.as_bytes()).expect("a key set")
        };
        let owner = Owner {
            issuer: test.name().into(),
            tenant: "default".into(),
        };
        let schemes = vec![test.alg.scheme()];
        let (keys, skipped) = KeySet::pin(&owner, &jwks, &schemes);
        assert_eq!((keys.len(), skipped.len()), (1, 0));
        Issuer {
            name: owner.issuer,
            tenant: owner.tenant,
            iss: IssuerMatch::Exact(test.iss.as_str().into()),
            policy: Policy {
                schemes,
                audiences: Accepted::OneOf(vec![AUDIENCE.into()]),
                ..Policy::default()
            },
            keys: IssuerKeys::Known(Arc::new(keys)),
            token_bytes_max: TOKEN_BYTES_DEFAULT,
        }
    }

    fn verdict(records: &Records, token: &[u8]) -> Verdict {
        let question = Question {
            token,
            policy: PolicyId::DEFAULT,
            want: &Want::Verdict,
        };
        let mut answers = Vec::new();
        let mut scratch = Scratch::default();
        verify_batch(
            records,
            &[question],
            Now::at(NOW),
            &mut scratch,
            &mut answers,
        );
        answers.remove(0).verdict
    }

    /// The table of expected verdicts, proven by the library: every class under every algorithm, several
    /// tokens each because some choose where they are wrong at random.
    #[test]
    fn the_library_gives_every_class_the_verdict_that_the_mix_expects() {
        let trust = Trust::generate(Algorithm::ALL.into_iter()).expect("keys");
        let records = trust
            .issuers()
            .iter()
            .map(|test| issuer(test, &test.public_text()))
            .collect();
        let records = Records::new(records, Vec::new()).expect("no two are alike");
        let mut random = Random::new(5);
        for test in trust.issuers() {
            let minter = Minter::new(test, NOW, 700).expect("it signs");
            for class in Class::ALL.into_iter().filter(|&class| minter.can(class)) {
                for _ in 0..3 {
                    let token = minter.mint(class, &mut random).expect("it signs");
                    let verdict = verdict(&records, &token);
                    assert_eq!(
                        verdict.reason(),
                        class.expected(),
                        "{class} under {}",
                        test.alg
                    );
                }
            }
        }
    }

    #[test]
    fn tokens_are_as_long_as_asked_and_all_different_and_plain_text() {
        let algs = [Algorithm::Es256, Algorithm::Rs256, Algorithm::Hs256];
        let trust = Trust::generate(algs.into_iter()).expect("keys");
        let mut random = Random::new(6);
        for test in trust.issuers() {
            for bytes in [900, 1_024, 1_025, 4_096] {
                let minter = Minter::new(test, NOW, bytes).expect("it signs");
                let good = minter.mint(Class::Good, &mut random).expect("it signs");
                // Base64url reaches three lengths of four, and a pad cannot be nothing.
                assert!(
                    (bytes - 2..=bytes).contains(&good.len()),
                    "{bytes}: {}",
                    good.len()
                );
                assert_ne!(
                    good,
                    minter.mint(Class::Good, &mut random).expect("it signs")
                );
            }
            let minter = Minter::new(test, NOW, 1_024).expect("it signs");
            for class in Class::ALL {
                let token = minter.mint(class, &mut random).expect("it signs");
                let text = String::from_utf8(token).expect("ASCII");
                let json = serde_json::to_string(&text).expect("a string");
                assert_eq!(
                    json,
                    format!("\"{text}\""),
                    "{class} goes into JSON as it is"
                );
            }
        }
    }

    #[test]
    fn a_truncated_token_never_keeps_three_segments() {
        let mut random = Random::new(7);
        for _ in 0..200 {
            let token = truncated(b"aa.bb.cc".to_vec(), &mut random);
            assert!(!token.is_empty());
            assert!(token.iter().filter(|&&byte| byte == b'.').count() < 2);
        }
    }
}
