//! `jotd keys list` and `jotd keys public`: what a key file holds, and its public half.

use super::FileArgs;
use super::ring::relative;
use crate::cli::exit::{Failure, Outcome};
use crate::cli::output::{self, Table};
use crate::cli::{algorithms, keyfiles};
use jotd::clock::Clock;
use jotd::issuer::ring::{PrivatePart, Ring, RingKey, Sealed};
use jotd::jose::{Jwk, KeyUse, Skipped};
use jotd::vault::KeyRing;
use serde_json::json;
use std::path::Path;

/// Lists the keys of a file.
pub(super) fn list(file: &Path, as_json: bool) -> Result<Outcome, Failure> {
    if file.is_dir() {
        return list_ring(file, as_json);
    }
    let set = keyfiles::read_keys(file)?;
    if as_json {
        let mut lines: Vec<_> = set.keys.iter().map(described).collect();
        lines.extend(set.skipped.iter().map(described_skipped));
        output::print_json(&lines)?;
        return Ok(Outcome::Done);
    }
    let mut table = Table::new(
        &["KID", "TYPE", "ALG", "USE", "BITS", "THUMBPRINT", "USABLE"],
        &[4],
    );
    for key in &set.keys {
        table.push(row(key));
    }
    for skipped in &set.skipped {
        let unknown = || "-".to_owned();
        table.push(vec![
            skipped.kid.as_deref().map_or_else(unknown, visible),
            unknown(),
            unknown(),
            unknown(),
            unknown(),
            unknown(),
            format!("no: {}", skipped.why),
        ]);
    }
    output::print(&table.render())?;
    Ok(Outcome::Done)
}

/// Prints the public halves as a JWK Set.
pub(super) fn public(args: &FileArgs) -> Result<Outcome, Failure> {
    if args.file.is_dir() {
        let ring = KeyRing::open(&args.file)?;
        let set = ring.ring().public_jwks(Clock::system().now().latest);
        output::print(&format!("{set}\n"))?;
        return Ok(Outcome::Done);
    }
    let set = keyfiles::read_keys(&args.file)?;
    keyfiles::warn_of_skipped(&set.skipped);
    let mut public = Vec::new();
    for (index, key) in set.keys.iter().enumerate() {
        match key.to_public_json() {
            Some(json) => public.push(json),
            None => keyfiles::warn_of_skipped(&[Skipped {
                index,
                kid: key.kid.as_deref().map(str::to_owned),
                why: "a secret has no public half".to_owned(),
            }]),
        }
    }
    output::print(&format!("{{\"keys\":[{}]}}\n", public.join(",")))?;
    Ok(Outcome::Done)
}

/// Lists the keys of a ring, with what they are now and will be.
fn list_ring(folder: &Path, as_json: bool) -> Result<Outcome, Failure> {
    let ring = KeyRing::open(folder)?;
    let ring = ring.ring();
    let now = Clock::system().now().latest;
    if as_json {
        let lines: Vec<_> = ring
            .keys()
            .iter()
            .map(|key| {
                json!({
                    "kid": key.kid(),
                    "alg": key.algorithm().name(),
                    "state": ring.state(key, now).name(),
                    "signs_from": key.signs_from(),
                    "signs_until": key.signs_until(),
                    "removed_at": key.removed_at(),
                    "private": private(ring, key),
                })
            })
            .collect();
        output::print_json(&lines)?;
        return Ok(Outcome::Done);
    }
    let mut table = Table::new(
        &[
            "KID",
            "ALG",
            "STATE",
            "SIGNS FROM",
            "SIGNS UNTIL",
            "REMOVED",
            "PRIVATE KEY",
        ],
        &[],
    );
    let moment = |moment: Option<i64>| moment.map_or("-".to_owned(), |at| relative(at, now));
    for key in ring.keys() {
        table.push(vec![
            visible(key.kid()),
            key.algorithm().name().to_owned(),
            ring.state(key, now).name().to_owned(),
            moment(Some(key.signs_from())),
            moment(key.signs_until()),
            moment(key.removed_at()),
            private(ring, key).to_owned(),
        ]);
    }
    output::print(&table.render())?;
    Ok(Outcome::Done)
}

fn private(ring: &Ring, key: &RingKey) -> &'static str {
    match (key.private(), ring.sealed()) {
        (PrivatePart::Pkcs11(_), _) => "in a module",
        (PrivatePart::Erased, _) => "erased",
        (PrivatePart::File(_), None) => "file",
        (PrivatePart::File(_), Some(Sealed::Kek)) => "file, sealed under a KEK",
        (PrivatePart::File(_), Some(Sealed::Passphrase)) => "file, sealed under a passphrase",
    }
}

fn row(key: &Jwk) -> Vec<String> {
    vec![
        key.kid.as_deref().map_or_else(|| "-".to_owned(), visible),
        kind(key),
        alg_name(key).unwrap_or("-").to_owned(),
        use_name(key).to_owned(),
        key.bits().to_string(),
        thumbprint(key).unwrap_or_else(|| "-".to_owned()),
        match why_unusable(key) {
            None if key.is_private() => "yes, private".to_owned(),
            None => "yes".to_owned(),
            Some(why) => format!("no: {why}"),
        },
    ]
}

fn described(key: &Jwk) -> serde_json::Value {
    json!({
        "kid": key.kid.as_deref(),
        "kty": key.kty(),
        "crv": key.crv(),
        "alg": alg_name(key),
        "use": use_name(key),
        "bits": key.bits(),
        "private": key.is_private(),
        "thumbprint": thumbprint(key),
        "usable": why_unusable(key).is_none(),
        "why": why_unusable(key),
    })
}

fn described_skipped(skipped: &Skipped) -> serde_json::Value {
    json!({ "kid": skipped.kid, "usable": false, "why": skipped.why })
}

fn kind(key: &Jwk) -> String {
    match key.crv() {
        Some(crv) => format!("{} {crv}", key.kty()),
        None => key.kty().to_owned(),
    }
}

fn use_name(key: &Jwk) -> &'static str {
    match key.key_use {
        KeyUse::Verify => "sig",
        KeyUse::Other if key.may_encrypt => "enc",
        KeyUse::Other => "other",
    }
}

/// RFC 7638 §7: the thumbprint of a secret is a hash of the secret, against which guesses can be tried.
fn thumbprint(key: &Jwk) -> Option<String> {
    key.to_public_json().is_some().then(|| key.thumbprint())
}

fn alg_name(key: &Jwk) -> Option<&'static str> {
    let encryption = || key.encryption_alg.map(jotd::jose::EncryptionAlg::name);
    key.alg.map(jotd::jose::Algorithm::name).or_else(encryption)
}

fn why_unusable(key: &Jwk) -> Option<String> {
    let signs_nothing = key.key_use == KeyUse::Other || key.schemes().is_empty();
    if signs_nothing && key.may_encrypt && !key.managements().is_empty() {
        return None;
    }
    if key.key_use == KeyUse::Other {
        return Some("it is not for verifying signatures".to_owned());
    }
    match algorithms::usual_scheme(key) {
        Some(scheme) => key
            .verifying_key(scheme)
            .err()
            .map(|error| error.to_string()),
        None => Some("it names no alg; --algorithms must say how it may be used".to_owned()),
    }
}

/// Text for a terminal: whatever a file says must not move the cursor.
fn visible(text: &str) -> String {
    text.escape_debug().to_string()
}
