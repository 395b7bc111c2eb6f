//! Holds `docs/protocol.md` and `docs/protocol-vectors.json` against the code, in both directions.
#![forbid(unsafe_code)]

use super::*;
use crate::verdict::{Cause, ClaimsJson, Reason, Refusal, Signer, Trusted, Unavailable, Verdict};
use crate::verify::Want;
use serde_json::{Value, json};
use std::sync::Arc;

const PAGE: &str = include_str!("../../../docs/protocol.md");
const VECTORS: &str = include_str!("../../../docs/protocol-vectors.json");

const FRAME_BYTES_MAX: usize = 1 << 20;

fn vectors() -> Vec<Value> {
    serde_json::from_str(VECTORS).expect("the vectors are a JSON array")
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().expect(name)
}

fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().expect(name)
}

fn bytes_of(vector: &Value) -> Vec<u8> {
    let digits = text(vector, "hex");
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else {
        panic!("hex has two digits a byte");
    };
    pairs
        .iter()
        .map(|pair| {
            let pair = std::str::from_utf8(pair).expect("hex is ASCII");
            u8::from_str_radix(pair, 16).expect("hex digits")
        })
        .collect()
}

#[test]
fn what_a_vector_means_is_what_we_send() {
    for vector in vectors() {
        let name = text(&vector, "name");
        assert_eq!(encode(&vector["meaning"]), bytes_of(&vector), "{name}");
    }
}

#[test]
fn what_a_vector_says_is_what_we_understand() {
    for vector in vectors() {
        let name = text(&vector, "name");
        assert_eq!(decode(&bytes_of(&vector)), vector["meaning"], "{name}");
    }
}

#[test]
fn the_page_shows_every_vector() {
    for vector in vectors() {
        let mut dump = String::new();
        for (line, bytes) in bytes_of(&vector).chunks(16).enumerate() {
            let bytes: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            dump += &format!("{:04x}  {}\n", line * 16, bytes.join(" "));
        }
        let block = format!("```text\n{dump}```");
        let name = text(&vector, "name");
        assert!(
            PAGE.contains(&block),
            "docs/protocol.md lacks {name}:\n{block}"
        );
    }
}

/// Rows of the page's tables that begin with a number and a name.
fn rows(heading: &str) -> Vec<(u64, &'static str)> {
    let (_, section) = PAGE.split_once(heading).expect("the page has this heading");
    let section = section.split("\n#").next().unwrap_or_default();
    section
        .lines()
        .filter_map(|line| {
            let (number, rest) = line.strip_prefix("| ")?.split_once(" | `")?;
            Some((number.parse().ok()?, rest.split_once('`')?.0))
        })
        .collect()
}

#[test]
fn the_page_lists_the_closed_sets_and_nothing_else() {
    let reasons = Reason::ALL.map(|reason| (u64::from(reason.code()), reason.name()));
    assert_eq!(rows("### Reasons"), reasons);
    let causes = Cause::ALL.map(|cause| (u64::from(cause.code()), cause.name()));
    assert_eq!(rows("### Causes"), causes);
    let faults = FaultCode::ALL.map(|code| (code as u64, code.name()));
    assert_eq!(rows("### ERROR"), faults);
    for code in FaultCode::ALL {
        let ends = if code.closes() { "yes" } else { "no" };
        let row = format!("| {} | `{}` | {ends} |", code as u16, code.name());
        assert!(PAGE.contains(&row), "{row}");
    }
}

#[test]
fn the_page_s_json_verdicts_are_ours() {
    let vector = vectors()
        .into_iter()
        .find(|vector| vector["name"] == "every kind of verdict")
        .expect("there is such a vector");
    let verdicts = vector["meaning"]["verdicts"]["verdicts"].as_array();
    for verdict in verdicts.expect("an array").iter().take(3) {
        let json = String::from_utf8(verdict_of(verdict, &[]).to_json()).expect("UTF-8");
        assert!(PAGE.contains(&json), "{json}");
    }
}

fn encode(meaning: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    let (kind, value) = single_member(meaning);
    let bare = |out: &mut Vec<u8>, kind, request_id| encode_bare(out, kind, request_id);
    match kind {
        "hello" => hello_of(value).encode(&mut out),
        "verify" => {
            let tokens: Vec<_> = value["tokens"].as_array().expect("tokens").to_vec();
            let tokens: Vec<_> = tokens.iter().filter_map(Value::as_str).collect();
            ask_of(value)
                .encode(&tokens, FRAME_BYTES_MAX, &mut out)
                .expect("it fits");
        }
        "verdicts" => encode_verdicts_of(value, &mut out),
        "error" => {
            let name = text(value, "code");
            let code = FaultCode::ALL.into_iter().find(|code| code.name() == name);
            let code = code.expect("a known code");
            Fault::of_request(code, number(value, "request_id")).encode(&mut out);
        }
        "ping" => bare(&mut out, FrameKind::Ping, number(value, "request_id")),
        "pong" => bare(&mut out, FrameKind::Pong, number(value, "request_id")),
        "goaway" => bare(&mut out, FrameKind::Goaway, 0),
        other => panic!("no frame is called {other}"),
    }
    out
}

fn single_member(meaning: &Value) -> (&str, &Value) {
    let members = meaning.as_object().expect("a meaning is an object");
    let (kind, value) = members.iter().next().expect("a meaning has one member");
    (kind, value)
}

fn hello_of(value: &Value) -> Hello {
    let field = |name| u32::try_from(number(value, name)).expect("a u32");
    Hello {
        version: u8::try_from(number(value, "version")).expect("a u8"),
        frame_bytes_max: field("frame_bytes_max"),
        frame_tokens_max: field("frame_tokens_max"),
        credits: field("credits"),
        features: number(value, "features"),
    }
}

fn ask_of(value: &Value) -> Ask<'_> {
    let want = match &value["want"] {
        Value::Array(members) => Want::Members(
            members
                .iter()
                .filter_map(Value::as_str)
                .map(Into::into)
                .collect(),
        ),
        Value::String(word) if word == "claims" => Want::Claims,
        _ => Want::Verdict,
    };
    Ask {
        request_id: number(value, "request_id"),
        deadline_ms: u32::try_from(number(value, "deadline_ms")).expect("a u32"),
        want,
        policy: value["policy"].as_str(),
        min_revision: number(value, "min_revision"),
        traceparent: value["traceparent"].as_str(),
    }
}

fn encode_verdicts_of(value: &Value, out: &mut Vec<u8>) {
    let described = value["verdicts"].as_array().expect("verdicts");
    // In the daemon, tokens of one key share one signer.
    let mut signers: Vec<Arc<Signer>> = Vec::new();
    for verdict in described {
        if verdict["status"] == "valid" && !signers.iter().any(|known| is_signer(known, verdict)) {
            signers.push(Arc::new(signer_of(verdict)));
        }
    }
    let verdicts: Vec<_> = described
        .iter()
        .map(|verdict| verdict_of(verdict, &signers))
        .collect();
    let standing = Standing {
        applied_revision: number(value, "applied_revision"),
        staleness_ms: u32::try_from(number(value, "staleness_ms")).expect("a u32"),
        revocation_state: u8::try_from(number(value, "revocation_state")).expect("a u8"),
    };
    let request_id = number(value, "request_id");
    encode_verdicts(out, request_id, &verdicts, standing, FRAME_BYTES_MAX).expect("it fits");
}

fn signer_of(value: &Value) -> Signer {
    Signer {
        issuer: text(value, "issuer").into(),
        tenant: text(value, "tenant").into(),
        alg: if value["alg"] == "ES256" {
            "ES256"
        } else {
            "EdDSA"
        },
        kid: value["kid"].as_str().map(Into::into),
    }
}

fn is_signer(signer: &Signer, value: &Value) -> bool {
    *signer == signer_of(value)
}

fn verdict_of(value: &Value, signers: &[Arc<Signer>]) -> Verdict {
    match text(value, "status") {
        "valid" => Verdict::Valid(Trusted {
            signer: signers
                .iter()
                .find(|known| is_signer(known, value))
                .map_or_else(|| Arc::new(signer_of(value)), Arc::clone),
            claims: match value["claims"].as_str() {
                Some(claims) => ClaimsJson::new(claims.as_bytes().into()),
                None => ClaimsJson::default(),
            },
            expires_at: value["expires_at"].as_i64(),
            expires_in: value["expires_in"].as_i64(),
            cached: value["cached"].as_bool().expect("cached"),
            revocation: crate::verdict::Freshness::default(),
        }),
        "invalid" => Verdict::Invalid(match text(value, "reason") {
            "expired" => Refusal::Expired {
                expired_at: value["moment"].as_i64().expect("moment"),
                ago_seconds: 12,
            },
            "bad_signature" => Refusal::BadSignature,
            other => panic!("no vector has the reason {other}"),
        }),
        _ => {
            let name = text(value, "cause");
            let cause = Cause::ALL.into_iter().find(|cause| cause.name() == name);
            let retry_after_ms = number(value, "retry_after_ms");
            Verdict::Unavailable(Unavailable {
                cause: cause.expect("a known cause"),
                retry_after_ms: u32::try_from(retry_after_ms).expect("a u32"),
            })
        }
    }
}

fn decode(bytes: &[u8]) -> Value {
    if let Ok(Some((hello, length))) = Hello::decode(bytes) {
        assert_eq!(length, bytes.len());
        return json!({"hello": {
            "version": hello.version,
            "frame_bytes_max": hello.frame_bytes_max,
            "frame_tokens_max": hello.frame_tokens_max,
            "credits": hello.credits,
            "features": hello.features,
        }});
    }
    let Ok(Framing::Complete(head, length)) = next_frame(bytes, FRAME_BYTES_MAX) else {
        panic!("a whole frame");
    };
    assert_eq!(length, bytes.len());
    let request = json!({"request_id": head.request_id});
    match FrameKind::from_code(head.kind).expect("a known type") {
        FrameKind::Verify => describe_ask(head, bytes),
        FrameKind::Verdicts => describe_verdicts(bytes),
        FrameKind::Error => {
            let report = FaultReport::decode(bytes).expect("an ERROR frame");
            let code = FaultCode::from_number(report.code).expect("a known code");
            json!({"error": {
                "code": code.name(),
                "request_id": report.request_id,
                "closes": report.closes,
                "retry_after_ms": report.retry_after_ms,
                "text": report.text,
            }})
        }
        FrameKind::Ping => json!({"ping": request}),
        FrameKind::Pong => json!({"pong": request}),
        FrameKind::Goaway => json!({"goaway": {}}),
    }
}

fn describe_ask(head: Head, frame: &[u8]) -> Value {
    let (ask, tokens) = Ask::decode(head, frame, 1024).expect("a VERIFY frame");
    let want = match &ask.want {
        Want::Verdict => json!("verdict"),
        Want::Claims => json!("claims"),
        Want::Members(members) => json!(members),
    };
    let tokens: Vec<_> = tokens.iter().map(String::from_utf8_lossy).collect();
    json!({"verify": {
        "request_id": ask.request_id,
        "deadline_ms": ask.deadline_ms,
        "want": want,
        "policy": ask.policy,
        "min_revision": ask.min_revision,
        "traceparent": ask.traceparent,
        "tokens": tokens,
    }})
}

fn describe_verdicts(frame: &[u8]) -> Value {
    let verdicts = Verdicts::decode(frame).expect("a VERDICTS frame");
    let described: Vec<_> = verdicts
        .to_remote()
        .expect("known numbers")
        .iter()
        .map(describe_verdict)
        .collect();
    json!({"verdicts": {
        "request_id": verdicts.request_id,
        "applied_revision": verdicts.standing.applied_revision,
        "staleness_ms": verdicts.standing.staleness_ms,
        "revocation_state": verdicts.standing.revocation_state,
        "verdicts": described,
    }})
}

fn describe_verdict(verdict: &RemoteVerdict) -> Value {
    match verdict {
        RemoteVerdict::Valid {
            signer,
            claims,
            expires_at,
            expires_in,
            cached,
        } => json!({
            "status": "valid",
            "issuer": signer.issuer,
            "tenant": signer.tenant,
            "alg": signer.alg,
            "kid": signer.kid,
            "claims": claims.as_bytes().map(String::from_utf8_lossy),
            "expires_at": expires_at,
            "expires_in": expires_in,
            "cached": cached,
        }),
        RemoteVerdict::Invalid {
            reason,
            detail,
            moment,
        } => json!({
            "status": "invalid",
            "reason": reason.name(),
            "detail": detail,
            "moment": moment,
        }),
        RemoteVerdict::Unavailable(unavailable) => json!({
            "status": "unavailable",
            "cause": unavailable.cause.name(),
            "retry_after_ms": unavailable.retry_after_ms,
        }),
    }
}
