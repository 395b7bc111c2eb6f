//! Reading a token's parts, beside what `jsonwebtoken` does for the same: the reference comes first.
//!
//! `jsonwebtoken` has no public function for claims alone, so its row decodes without checking the
//! signature, which is cutting, base64url, header and claims together; jotd's row does the same work.
#![allow(
    missing_docs,
    reason = "criterion's macros make undocumented functions"
)]

use criterion::{Criterion, criterion_group, criterion_main};
use jotd::clock::Now;
use jotd::encoding::base64url;
use jotd::jose::{Claims, CompactJws, Header, JwkSet, inspect};
use std::hint::black_box;

const HEADER: &str = r#"{"alg":"ES256","typ":"at+jwt","kid":"2025-11-key-01"}"#;

const CLAIMS: &str = r#"{"iss":"https://idp.acme.example","sub":"8f1c2f4e-5a67-4b1e-9b0a-2f6f8a1f2b3c","aud":["payments","ledger"],"exp":1767225600,"nbf":1767222000,"iat":1767222000,"jti":"01JABCDEFGHJKMNPQRSTVWXYZ0","client_id":"checkout-frontend","scope":"payments:read payments:write","tenant":"acme-eu-1","roles":["a","b"]}"#;

const TOKEN_BYTES_MAX: usize = 16 * 1024;

fn token() -> String {
    let [header, claims] = [HEADER, CLAIMS].map(|json| base64url::encode_string(json.as_bytes()));
    format!("{header}.{claims}.{}", base64url::encode_string(&[7; 64]))
}

fn whole(criterion: &mut Criterion) {
    let token = token();
    let mut group = criterion.benchmark_group("jose/read_token");
    group.bench_function("jsonwebtoken", |bencher| {
        bencher.iter(|| {
            jsonwebtoken::dangerous::insecure_decode::<serde_json::Value>(black_box(&token))
                .expect("a token")
        });
    });
    let mut payload = Vec::with_capacity(1024);
    let mut signature = Vec::with_capacity(128);
    group.bench_function("jotd", |bencher| {
        bencher.iter(|| {
            payload.clear();
            signature.clear();
            let jws = CompactJws::parse(black_box(token.as_bytes()), TOKEN_BYTES_MAX).expect("JWS");
            let header = Header::parse_segment(jws.header_segment()).expect("a header");
            jws.decode_signature(&mut signature).expect("base64url");
            jws.decode_payload(&mut payload).expect("base64url");
            let claims = Claims::parse(&payload).expect("claims");
            (header.alg, claims.exp)
        });
    });
    group.finish();
}

fn parts(criterion: &mut Criterion) {
    let token = token();
    let mut group = criterion.benchmark_group("jose/parts");
    group.bench_function("serde_json::Value of the claims", |bencher| {
        bencher.iter(|| serde_json::from_str::<serde_json::Value>(black_box(CLAIMS)));
    });
    group.bench_function("Claims::parse", |bencher| {
        bencher.iter(|| Claims::parse(black_box(CLAIMS.as_bytes())).map(|claims| claims.exp));
    });
    group.bench_function("CompactJws::parse", |bencher| {
        bencher.iter(|| {
            CompactJws::parse(black_box(token.as_bytes()), TOKEN_BYTES_MAX)
                .map(|jws| jws.signing_input().len())
        });
    });
    let jws = CompactJws::parse(token.as_bytes(), TOKEN_BYTES_MAX).expect("a JWS");
    group.bench_function("Header::parse_segment", |bencher| {
        bencher.iter(|| Header::parse_segment(black_box(jws.header_segment())));
    });
    let claims = Claims::parse(CLAIMS.as_bytes()).expect("claims");
    group.bench_function("Claims::to_json", |bencher| {
        bencher.iter(|| claims.to_json())
    });
    group.bench_function("Claims::project of two", |bencher| {
        bencher.iter(|| claims.project(black_box(&["sub", "scope"])));
    });
    let jwks = include_bytes!("../src/jose/vectors/rfc7517_a1.jwks");
    group.bench_function("JwkSet::parse of RFC 7517 A.1", |bencher| {
        bencher.iter(|| JwkSet::parse(black_box(jwks)));
    });
    group.bench_function("inspect", |bencher| {
        bencher.iter(|| inspect(black_box(token.as_bytes()), Now::at(1_767_223_000)));
    });
    group.finish();
}

/// What an attacker sends must not cost more than what friends send: each of these is as long as the good
/// token or longer, and refused.
fn refusals(criterion: &mut Criterion) {
    let token = token();
    let foreign = token.replace('-', "=");
    let nested = format!(
        "{}.{}.AAAA",
        base64url::encode_string(HEADER.as_bytes()),
        base64url::encode_string("{\"a\":".repeat(100).as_bytes())
    );
    let long = "A".repeat(1 << 20);
    let mut group = criterion.benchmark_group("jose/refusals");
    let read = |token: &str| {
        let jws = CompactJws::parse(token.as_bytes(), TOKEN_BYTES_MAX).ok()?;
        Header::parse_segment(jws.header_segment()).ok()?;
        let mut payload = Vec::new();
        jws.decode_payload(&mut payload).ok()?;
        Claims::parse(&payload).ok().map(|claims| claims.exp)
    };
    for (name, token) in [
        ("accepted, to compare with", &token),
        ("a foreign byte", &foreign),
        ("100 nested objects", &nested),
        ("a mebibyte", &long),
    ] {
        group.bench_function(name, |bencher| bencher.iter(|| read(black_box(token))));
    }
    group.finish();
}

fn brief() -> Criterion {
    // Short runs: the rows are compared with each other, and all of them see the same machine.
    Criterion::default()
        .warm_up_time(std::time::Duration::from_millis(200))
        .measurement_time(std::time::Duration::from_millis(600))
}

criterion_group!(name = benches; config = brief(); targets = whole, parts, refusals);
criterion_main!(benches);
