//! base64url and JSON, each beside the library that most would use: the reference comes first.
#![allow(
    missing_docs,
    reason = "criterion's macros make undocumented functions"
)]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use jotd::encoding::{base64url, json};
use std::hint::black_box;

/// Octets of an HMAC-SHA-256, an ECDSA P-256 and an RSA-2048 signature, and of a large claims set.
const LENGTHS: [usize; 4] = [32, 64, 256, 1024];

/// A claims set as an authorization server writes it: 303 bytes, 11 members.
const CLAIMS: &[u8] = br#"{"iss":"https://idp.acme.example","sub":"8f1c2f4e-5a67-4b1e-9b0a-2f6f8a1f2b3c","aud":["payments","ledger"],"exp":1767225600,"nbf":1767222000,"iat":1767222000,"jti":"01JABCDEFGHJKMNPQRSTVWXYZ0","client_id":"checkout-frontend","scope":"payments:read payments:write","tenant":"acme-eu-1","roles":["a","b"]}"#;

fn octets(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 167 + 13) as u8).collect()
}

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("base64url/decode");
    for length in LENGTHS {
        let text = base64url::encode_string(&octets(length));
        let mut out = Vec::with_capacity(2 * length);
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(BenchmarkId::new("base64", length), |bencher| {
            bencher.iter(|| {
                out.clear();
                URL_SAFE_NO_PAD
                    .decode_vec(black_box(&text), &mut out)
                    .expect("base64url");
            });
        });
        group.bench_function(BenchmarkId::new("jotd", length), |bencher| {
            bencher.iter(|| {
                out.clear();
                base64url::decode(black_box(text.as_bytes()), &mut out).expect("base64url");
            });
        });
    }
    group.finish();
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("base64url/encode");
    for length in LENGTHS {
        let octets = octets(length);
        group.throughput(Throughput::Bytes(length as u64));
        group.bench_function(BenchmarkId::new("base64", length), |bencher| {
            bencher.iter(|| URL_SAFE_NO_PAD.encode(black_box(&octets)));
        });
        group.bench_function(BenchmarkId::new("jotd", length), |bencher| {
            bencher.iter(|| base64url::encode_string(black_box(&octets)));
        });
    }
    group.finish();
}

fn parse(criterion: &mut Criterion) {
    // The largest object accepted, whose names differ in their last bytes only.
    let members: Vec<_> = (0..128)
        .map(|index| format!("\"abcdefgh{index:03}\":0"))
        .collect();
    let wide = format!("{{{}}}", members.join(","));
    let mut group = criterion.benchmark_group("json/parse");
    for (name, text) in [("claims", CLAIMS), ("128_members", wide.as_bytes())] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(BenchmarkId::new("serde_json::Value", name), |bencher| {
            bencher.iter(|| serde_json::from_slice::<serde_json::Value>(black_box(text)));
        });
        group.bench_function(BenchmarkId::new("jotd", name), |bencher| {
            bencher.iter(|| json::Object::parse(black_box(text)).map(|object| object.len()));
        });
    }
    group.finish();
}

fn brief() -> Criterion {
    // Short runs: the rows are compared with each other, and all of them see the same machine.
    Criterion::default()
        .warm_up_time(std::time::Duration::from_millis(200))
        .measurement_time(std::time::Duration::from_millis(600))
}

criterion_group!(name = benches; config = brief(); targets = decode, encode, parse);
criterion_main!(benches);
