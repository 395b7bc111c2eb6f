//! The verdict as JSON, exactly as `docs/protocol.md` prints it: one line, members in a fixed order.

use super::{Refusal, RevocationState, Trusted, Unavailable, Verdict};
use std::io::Write;

impl Verdict {
    /// Appends the verdict as one line of JSON, without a line feed.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Self::Valid(trusted) => trusted.write_json(out),
            Self::Invalid(refusal) => refusal.write_json(out),
            Self::Unavailable(unavailable) => unavailable.write_json(out),
        }
    }

    /// The verdict as one line of JSON.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        self.write_json(&mut out);
        out
    }
}

impl Trusted {
    fn write_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"valid":true,"issuer":"#);
        write_string(out, &self.signer.issuer);
        out.extend_from_slice(br#","tenant":"#);
        write_string(out, &self.signer.tenant);
        out.extend_from_slice(br#","alg":"#);
        write_string(out, self.signer.alg);
        out.extend_from_slice(br#","kid":"#);
        match &self.signer.kid {
            Some(kid) => write_string(out, kid),
            None => out.extend_from_slice(b"null"),
        }
        if let Some(claims) = self.claims.as_bytes() {
            out.extend_from_slice(br#","claims":"#);
            out.extend_from_slice(claims);
        }
        out.extend_from_slice(br#","expires_in":"#);
        match self.expires_in {
            Some(seconds) => write_integer(out, seconds),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(br#","cached":"#);
        out.extend_from_slice(if self.cached { b"true" } else { b"false" });
        out.extend_from_slice(br#","revocation":{"state":""#);
        out.extend_from_slice(self.revocation.state.name().as_bytes());
        out.push(b'"');
        if self.revocation.state != RevocationState::Off {
            write_member(out, "age_ms", i64::from(self.revocation.age_ms));
        }
        out.extend_from_slice(b"}}");
    }
}

impl Refusal {
    fn write_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"valid":false,"reason":""#);
        out.extend_from_slice(self.reason().name().as_bytes());
        out.extend_from_slice(br#"","detail":"#);
        write_string(out, &self.to_string());
        match self {
            Self::Expired { expired_at, .. } => write_member(out, "expired_at", *expired_at),
            Self::NotYetValid { not_before } => write_member(out, "not_before", *not_before),
            Self::IssuedInFuture { issued_at } => write_member(out, "issued_at", *issued_at),
            _ => {}
        }
        out.push(b'}');
    }
}

impl Unavailable {
    fn write_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"valid":null,"reason":"unavailable","cause":""#);
        out.extend_from_slice(self.cause.name().as_bytes());
        out.push(b'"');
        write_member(out, "retry_after_ms", i64::from(self.retry_after_ms));
        out.push(b'}');
    }
}

fn write_member(out: &mut Vec<u8>, name: &str, value: i64) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    write_integer(out, value);
}

fn write_integer(out: &mut Vec<u8>, value: i64) {
    write!(out, "{value}").expect("writing to a Vec cannot fail");
}

/// Writes a JSON string, escaping what RFC 8259 §7 says must be escaped.
fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for &byte in text.as_bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x00..=0x1f => write!(out, "\\u{byte:04x}").expect("writing to a Vec cannot fail"),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::super::{Cause, ClaimsJson, Freshness, Reason, Signer};
    use super::*;
    use std::sync::Arc;

    fn text(verdict: &Verdict) -> String {
        String::from_utf8(verdict.to_json()).expect("JSON is UTF-8")
    }

    #[test]
    fn a_valid_verdict_is_the_contract_s_line() {
        let mut trusted = Trusted {
            signer: Arc::new(Signer {
                issuer: "acme".into(),
                tenant: "default".into(),
                alg: "ES256",
                kid: Some("k\"1".into()),
            }),
            claims: ClaimsJson::new(br#"{"sub":"a"}"#[..].into()),
            expires_at: Some(1_710_600_000),
            expires_in: Some(812),
            cached: false,
            revocation: Freshness::default(),
        };
        assert_eq!(
            text(&Verdict::Valid(trusted.clone())),
            r#"{"valid":true,"issuer":"acme","tenant":"default","alg":"ES256","kid":"k\"1","claims":{"sub":"a"},"expires_in":812,"cached":false,"revocation":{"state":"off"}}"#
        );
        trusted.revocation = Freshness {
            state: RevocationState::Live,
            age_ms: 3,
        };
        let line = text(&Verdict::Valid(trusted));
        assert!(
            line.ends_with(r#","revocation":{"state":"live","age_ms":3}}"#),
            "{line}"
        );
    }

    #[test]
    fn an_expired_token_says_when_it_expired() {
        let verdict = Verdict::from(Refusal::Expired {
            expired_at: 1_710_600_000,
            ago_seconds: 12,
        });
        assert_eq!(
            text(&verdict),
            r#"{"valid":false,"reason":"expired","detail":"expired 12 s ago (exp 1710600000)","expired_at":1710600000}"#
        );
    }

    #[test]
    fn undecided_is_null_and_says_when_to_ask_again() {
        assert_eq!(
            text(&Verdict::from(Unavailable::OVERLOADED)),
            r#"{"valid":null,"reason":"unavailable","cause":"overloaded","retry_after_ms":50}"#
        );
    }

    #[test]
    fn every_number_on_the_wire_finds_its_way_back() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_code(reason.code()), Some(reason));
        }
        for cause in Cause::ALL {
            assert_eq!(Cause::from_code(cause.code()), Some(cause));
        }
        assert_eq!((Reason::from_code(0), Reason::from_code(26)), (None, None));
        assert_eq!((Cause::from_code(0), Cause::from_code(6)), (None, None));
    }
}
