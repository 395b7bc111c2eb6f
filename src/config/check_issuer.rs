//! Checks issuers: whom to trust, and for what.
#![forbid(unsafe_code)]

use super::check::{Checker, milliseconds, optional_texts, texts};
use super::choice::{AnyOr, ReplayWord, Types};
use super::fault::Place;
use super::section::At;
use super::setting::{List, Text};
use super::{Issuer, check_fetch, check_jwe, check_source, check_template, raw};
use crate::crypto::Scheme;
use crate::jose::Algorithm;
use crate::keys::Owner;
use crate::limits::ISSUERS_MAX;
use crate::policy::{Accepted, Policy, TokenTypes};
use crate::upstream::{Source, StatusSource, Trust};
use crate::verify::{IssTemplate, IssuerMatch};
use std::collections::HashMap;
use std::sync::Arc;

/// Checks every issuer, alone and beside the others.
pub(super) fn issuers(raw: &raw::Document, checker: &mut Checker<'_>) -> Vec<Issuer> {
    if raw.issuer.is_empty() {
        checker.found.push(
            &Place::Nowhere,
            "no [[issuer]] is configured, so every token would be refused; name one whose tokens to \
             trust",
        );
    }
    if let Some(At { place, .. }) = raw.issuer.get(ISSUERS_MAX) {
        checker
            .found
            .push(place, format!("more than {ISSUERS_MAX} issuers"));
        return Vec::new();
    }
    let mut names = HashMap::new();
    let mut matches = HashMap::new();
    let mut anyone: Option<Place> = None;
    let mut templates = Vec::new();
    let mut issuers = Vec::with_capacity(raw.issuer.len());
    for At {
        value: issuer,
        place,
    } in &raw.issuer
    {
        if let Some(name) = &issuer.name {
            checker.unique(&mut names, "the issuer name", &name.value.0, &name.place);
        }
        match issuer.issuer.as_ref().map(|iss| (&iss.value, &iss.place)) {
            Some((AnyOr::These(Text(iss)), place)) => {
                checker.unique(&mut matches, "the `iss`", iss, place);
            }
            Some((AnyOr::Any, place)) if anyone.is_some() => {
                checker.found.push(
                    place,
                    "another issuer has issuer = \"any\" already, and only one can be asked",
                );
            }
            Some((AnyOr::Any, place)) => anyone = Some(place.clone()),
            None => {}
        }
        let token_bytes_max = raw.limits.token_bytes_max.value.usize();
        let read = one(issuer, place, token_bytes_max, checker);
        if let Some(Issuer {
            iss: IssuerMatch::Template(template),
            ..
        }) = &read
        {
            let place = issuer.issuer.as_ref().map_or(place, |iss| &iss.place);
            templates.push(check_template::Beside {
                template: IssTemplate::clone(template),
                place: place.clone(),
                tenant: check_template::tenant_of(issuer),
                tenant_place: match &issuer.tenant.place {
                    Place::Nowhere => place.clone(),
                    written => written.clone(),
                },
            });
        }
        issuers.extend(read);
    }
    check_template::beside_each_other(&templates, checker);
    check_jwe::names(&issuers, checker);
    issuers
}

fn one(
    raw: &raw::Issuer,
    place: &Place,
    token_bytes_max: usize,
    checker: &mut Checker<'_>,
) -> Option<Issuer> {
    let algorithms = raw.algorithms.as_ref();
    let template = if check_template::is_template(raw) {
        Some(check_template::template(raw, checker)?)
    } else {
        check_template::refuse_template_settings(raw, checker);
        None
    };
    check_template::check_preset(raw, checker);
    let source = check_source::source(raw, template.as_ref(), place, checker);
    let decryption = check_jwe::decryption(raw, checker);
    check_status_lists(raw, checker);
    if let (Some(algorithms), Some((source, _))) = (algorithms, &source) {
        check_source::fit(&algorithms.value, source, checker);
    }
    let name: Arc<str> = (&*raw.name.as_ref()?.value.0).into();
    let tenant: Arc<str> = check_template::tenant_of(raw).into();
    let schemes = schemes(&algorithms?.value);
    let (source, source_place) = source?;
    let owner = Owner {
        issuer: name.clone(),
        tenant: tenant.clone(),
    };
    check_source::read_keys(&owner, &source, &schemes, &source_place, checker);
    Some(Issuer {
        name,
        tenant,
        tenants: template.is_some().then(|| check_template::terms(raw)),
        iss: match (&raw.issuer.as_ref()?.value, template) {
            (_, Some(template)) if matches!(source, Source::Tenants(_)) => {
                IssuerMatch::Template(Arc::new(template))
            }
            (_, Some(template)) => IssuerMatch::Template(Arc::new(template.sharing_keys())),
            (AnyOr::Any, None) => IssuerMatch::Any,
            (AnyOr::These(Text(iss)), None) => IssuerMatch::Exact(iss.clone()),
        },
        policy: Policy {
            schemes,
            audiences: accepted(&raw.audiences.as_ref()?.value),
            types: match &raw.types.value {
                Types::Any => TokenTypes::Any,
                Types::AccessToken => TokenTypes::AccessToken,
                Types::These(list) => TokenTypes::OneOf(texts(list)),
            },
            leeway_seconds: raw.leeway_seconds.value.0,
            required_claims: optional_texts(raw.required_claims.as_ref()),
            claims: raw
                .claims
                .as_ref()
                .map(|claims| claims.value.0.clone())
                .unwrap_or_default(),
            expiry_required: raw.require_expiry.value,
            lifetime_seconds_max: raw.lifetime_seconds_max.as_ref().map(|max| max.value.0),
            age_seconds_max: raw.age_seconds_max.as_ref().map(|max| max.value.0),
            bound_tokens_as_bearer: raw.bound_tokens_as_bearer.value,
            single_use: raw.replay.value == ReplayWord::SingleUse,
            status_lists: optional_texts(raw.status_lists.as_ref()),
            status_grace_seconds: u32::try_from(raw.status_grace_seconds.value.0).unwrap_or(0),
            verifications_per_second_max: raw
                .verifications_per_second_max
                .as_ref()
                .and_then(|max| u32::try_from(max.value.0).ok()),
        },
        token_bytes_max: raw
            .token_bytes_max
            .as_ref()
            .map_or(token_bytes_max, |max| max.value.usize()),
        source,
        status_source: StatusSource {
            trust: Trust {
                ca_file: raw.ca_file.as_ref().map(|path| checker.path(&path.value)),
                allow_private_address: raw.allow_private_address.value,
                allow_insecure_loopback: raw.allow_insecure_loopback.value,
                proxy: raw
                    .proxy
                    .as_ref()
                    .and_then(|at| check_fetch::proxy(&at.value.0)),
            },
            timeout: milliseconds(raw.fetch_timeout_ms.value.u64()),
        },
        decryption,
    })
}

/// What a status list's address may begin with: of one host, so that no other can be made of it.
fn check_status_lists(raw: &raw::Issuer, checker: &mut Checker<'_>) {
    for At { value, place } in raw.status_lists.iter().flat_map(|list| &list.value.0) {
        let Some(_) = check_source::fetchable(&value.0, raw, place, checker) else {
            continue;
        };
        if !value.0.ends_with('/') || value.0.contains('?') {
            let message = "must end with a slash: it is what the lists' addresses begin with";
            checker.found.push(place, message);
        }
    }
}

fn accepted(raw: &AnyOr<List<Text>>) -> Accepted {
    match raw {
        AnyOr::Any => Accepted::Any,
        AnyOr::These(list) => Accepted::OneOf(texts(list)),
    }
}

/// `EdDSA` and `Ed25519` are two names of one scheme, so a list of both is a list of one.
fn schemes(algorithms: &List<Algorithm>) -> Vec<Scheme> {
    let mut schemes = Vec::new();
    for At { value, .. } in &algorithms.0 {
        if !schemes.contains(&value.scheme()) {
            schemes.push(value.scheme());
        }
    }
    schemes
}
