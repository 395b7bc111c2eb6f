//! Checks where an issuer's keys come from: exactly one source, which can be fetched or read, and whose keys fit the
//! issuer's algorithms.
#![forbid(unsafe_code)]

use super::check::{Checker, milliseconds};
use super::check_secrets;
use super::choice::{AnyOr, InlineJwks};
use super::fault::{Place, shown};
use super::section::At;
use super::setting::{FilePath, List, Text};
use super::{check_fetch, check_template, raw};
use crate::crypto::Scheme;
use crate::jose::{Algorithm, JwkSet};
use crate::keys::Owner;
use crate::upstream::{self, Endpoint, Files, Remote, Source, TenantKeys, UriFault};
use crate::vault::MANIFEST;
use crate::verify::IssTemplate;
use http::Uri;
use std::path::PathBuf;
use std::time::Duration;

/// Exactly one source of keys, with the place it was written at.
pub(super) fn source(
    raw: &raw::Issuer,
    template: Option<&IssTemplate>,
    place: &Place,
    checker: &mut Checker<'_>,
) -> Option<(Source, Place)> {
    const WAYS: &str = "jwks_uri, discovery = true, jwks_file, jwks, pem_file, keys_dir, secret_file \
                        or secret_env";
    let mut given: Vec<(&'static str, &Place)> = Vec::new();
    given.extend(raw.jwks_uri.as_ref().map(|at| ("jwks_uri", &at.place)));
    given.extend(
        raw.discovery
            .value
            .then_some(("discovery", &raw.discovery.place)),
    );
    given.extend(raw.jwks_file.as_ref().map(|at| ("jwks_file", &at.place)));
    given.extend(raw.jwks.as_ref().map(|at| ("jwks", &at.place)));
    given.extend(raw.pem_file.as_ref().map(|at| ("pem_file", &at.place)));
    given.extend(
        raw.secret_file
            .as_ref()
            .map(|at| ("secret_file", &at.place)),
    );
    given.extend(raw.secret_env.as_ref().map(|at| ("secret_env", &at.place)));
    given.extend(raw.keys_dir.as_ref().map(|at| ("keys_dir", &at.place)));
    match given[..] {
        [] => {
            checker
                .found
                .push(place, format!("the issuer has no keys: give one of {WAYS}"));
            return None;
        }
        [_] => {}
        [(first, _), (second, place), ..] => {
            checker.found.push(
                place,
                format!("`{first}` and `{second}` are both given: keys come from one source only"),
            );
            return None;
        }
    }
    let (_, place) = given[0];
    let faults = checker.found.len();
    if let Some(endpoint) =
        template.and_then(|template| check_template::endpoint(raw, template, checker))
    {
        let source = Source::Tenants(TenantKeys {
            remote: remote_of(endpoint.example()?, raw, checker),
            endpoint,
        });
        return Some((source, place.clone()));
    }
    if checker.found.len() > faults {
        return None;
    }
    let source = if let Some(uri) = &raw.jwks_uri {
        let uri = fetchable(&uri.value.0, raw, place, checker)?;
        remote(Endpoint::Jwks(uri), raw, checker)
    } else if raw.discovery.value {
        remote(discovery(raw, place, checker)?, raw, checker)
    } else if let Some(path) = &raw.jwks_file {
        Source::Files(Files::Jwks(checker.path(&path.value)))
    } else if let Some(At {
        value: InlineJwks(json),
        ..
    }) = &raw.jwks
    {
        Source::Inline(json.as_str().into())
    } else if let Some(paths) = &raw.pem_file {
        Source::Files(Files::Pem(resolve(&paths.value.0, checker)))
    } else if let Some(folder) = &raw.keys_dir {
        Source::Files(Files::Ring(checker.path(&folder.value).join(MANIFEST)))
    } else if let Some(names) = &raw.secret_env {
        check_secrets::from_environment(&names.value.0, place, checker)?
    } else {
        let paths = raw.secret_file.as_ref()?;
        check_secrets::not_too_many(&paths.value.0, checker);
        Source::Files(Files::Secret(resolve(&paths.value.0, checker)))
    };
    Some((source, place.clone()))
}

fn resolve(paths: &[At<FilePath>], checker: &Checker<'_>) -> Vec<PathBuf> {
    paths.iter().map(|path| checker.path(&path.value)).collect()
}

fn remote(endpoint: Endpoint, raw: &raw::Issuer, checker: &mut Checker<'_>) -> Source {
    Source::Remote(remote_of(endpoint, raw, checker))
}

fn remote_of(endpoint: Endpoint, raw: &raw::Issuer, checker: &mut Checker<'_>) -> Remote {
    Remote {
        endpoint,
        refresh: Duration::from_secs(raw.refresh_seconds.value.u64()),
        refetch_min: upstream::REFETCH_MIN,
        key_wait: milliseconds(raw.key_wait_ms.value.u64()),
        keys_max_age: check_fetch::keys_max_age(raw, checker),
        proxy: check_fetch::checked_proxy(raw, checker),
        timeout: milliseconds(raw.fetch_timeout_ms.value.u64()),
        ca_file: raw.ca_file.as_ref().map(|path| checker.readable(path)),
        allow_redirect: raw.allow_redirect.value,
        allow_private_address: raw.allow_private_address.value,
        allow_insecure_loopback: raw.allow_insecure_loopback.value,
    }
}

fn discovery(raw: &raw::Issuer, place: &Place, checker: &mut Checker<'_>) -> Option<Endpoint> {
    let AnyOr::These(Text(issuer)) = &raw.issuer.as_ref()?.value else {
        checker.found.push(
            place,
            "discovery needs the issuer's URL, but issuer = \"any\"; give jwks_uri instead",
        );
        return None;
    };
    // OpenID Connect Discovery 1.0 §4.1: a trailing slash is removed before the path is appended.
    let base = issuer.strip_suffix('/').unwrap_or(issuer);
    let document = format!("{base}/.well-known/openid-configuration");
    let document = fetchable(&document, raw, place, checker)?;
    Some(Endpoint::Discovery {
        issuer: issuer.clone(),
        document,
    })
}

/// A URL that we may fetch keys from (RFC 8725 §3.10: what it names decides whom we trust).
pub(super) fn fetchable(
    text: &str,
    raw: &raw::Issuer,
    place: &Place,
    checker: &mut Checker<'_>,
) -> Option<Uri> {
    let checked = upstream::check_uri(
        text,
        raw.allow_insecure_loopback.value,
        raw.allow_private_address.value,
    );
    match checked {
        Ok(uri) => Some(uri),
        Err(fault) => {
            // What may be a password is not repeated.
            let shown = match fault {
                UriFault::Credentials => "the URL".to_owned(),
                _ => shown(text),
            };
            checker.found.push(place, format!("{shown} {fault}"));
            None
        }
    }
}

/// Secrets and public keys never serve the same issuer: a public key that passes for an HMAC secret is
/// the oldest forgery there is (RFC 8725 §2.1).
pub(super) fn fit(algorithms: &List<Algorithm>, source: &Source, checker: &mut Checker<'_>) {
    let from_secrets = matches!(source, Source::Files(Files::Secret(_)) | Source::Given(_));
    let mut seen: Vec<Algorithm> = Vec::new();
    for At { value, place } in &algorithms.0 {
        let symmetric = matches!(
            value,
            Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512
        );
        if symmetric && !from_secrets {
            checker.found.push(
                place,
                format!("{value} is checked with a secret, and secrets come from secret_file and secret_env only"),
            );
        }
        if !symmetric && from_secrets {
            checker.found.push(
                place,
                format!("{value} is checked with a public key, but this issuer has secrets"),
            );
        }
        if seen.contains(value) {
            checker
                .found
                .push(place, format!("{value} is listed twice"));
        }
        seen.push(*value);
    }
}

fn is_of_secrets(source: &Source) -> bool {
    matches!(source, Source::Files(Files::Secret(_)) | Source::Given(_))
}

/// Reads the keys that are at hand, so that a broken file is a fault now and not an outage later.
pub(super) fn read_keys(
    owner: &Owner,
    source: &Source,
    schemes: &[Scheme],
    place: &Place,
    checker: &mut Checker<'_>,
) {
    let jwks = match source {
        Source::Remote(_) | Source::Tenants(_) => return,
        Source::Files(files) => match files.read() {
            Ok(read) => Ok(read.jwks),
            Err(error) => Err(error.to_string()),
        },
        Source::Inline(json) => inline(json),
        Source::Given(given) => Ok(given.jwks()),
    };
    let usable = jwks.and_then(|jwks| {
        if jwks.keys.is_empty() && source.may_be_empty() {
            return Ok(());
        }
        let pinned = upstream::pin(owner, &jwks, schemes).map_err(|error| match source {
            Source::Files(files) => {
                let paths: Vec<String> = files
                    .paths()
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect();
                format!("{}: {error}", paths.join(", "))
            }
            _ => error.to_string(),
        });
        let (_, skipped) = pinned?;
        // A set is somebody else's, and one bad key does not spoil it; a list of secrets is written here.
        if is_of_secrets(source) && !skipped.is_empty() {
            return Err(format!(
                "not every secret can be used: {}",
                skipped.join("; ")
            ));
        }
        Ok(())
    });
    if let Err(fault) = usable {
        checker.found.push(place, fault);
    }
}

/// An inline set must be public: the configuration is no place for secrets.
fn inline(json: &str) -> Result<JwkSet, String> {
    const PRIVATE: [&str; 2] = ["d", "k"];
    let value: serde_json::Value =
        serde_json::from_str(json).map_err(|_| "is not a JWK Set: not JSON".to_owned())?;
    let keys = value.get("keys").and_then(serde_json::Value::as_array);
    for (index, key) in keys.into_iter().flatten().enumerate() {
        if PRIVATE.iter().any(|member| key.get(member).is_some()) {
            return Err(format!(
                "key {index} is private or secret, and the configuration is no place for it; leave \
                 public members only, or use secret_file"
            ));
        }
    }
    JwkSet::parse(json.as_bytes()).map_err(|error| error.to_string())
}
