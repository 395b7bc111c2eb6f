//! Checks what concerns tenants: templates of `iss`, beside each other and with where their keys come from, and presets.
#![forbid(unsafe_code)]

use super::check::{Checker, texts};
use super::choice::AnyOr;
use super::fault::{Place, shown};
use super::raw;
use super::section::At;
use super::setting::Text;
use crate::limits::TEMPLATES_MAX;
use crate::upstream::{self, TenantEndpoint, TenantTerms};
use crate::verify::{HOLE, IssTemplate, fill, names_meet};
use std::time::Duration;

/// What fills a hole to see whether the rest is in order.
const EXAMPLE: &str = "tenant";

/// The tenant of an issuer; of a template, what its tenants are called.
pub(super) fn tenant_of(raw: &raw::Issuer) -> String {
    let name = raw.name.as_ref().map(|name| &*name.value.0);
    match &raw.tenant.place {
        Place::Nowhere if is_template(raw) => format!("{}/{HOLE}", name.unwrap_or_default()),
        _ => raw.tenant.value.0.to_string(),
    }
}

/// Whether an issuer answers to a template.
pub(super) fn is_template(raw: &raw::Issuer) -> bool {
    let iss = raw.issuer.as_ref().map(|iss| &iss.value);
    matches!(iss, Some(AnyOr::These(Text(iss))) if iss.contains(HOLE))
}

/// The template that an issuer answers to, if it is a good one.
pub(super) fn template(raw: &raw::Issuer, checker: &mut Checker<'_>) -> Option<IssTemplate> {
    let At { value, place } = raw.issuer.as_ref()?;
    let AnyOr::These(Text(iss)) = value else {
        return None;
    };
    let template = match IssTemplate::parse(iss) {
        Ok(template) => template,
        Err(fault) => {
            checker.found.push(place, format!("{} {fault}", shown(iss)));
            return None;
        }
    };
    if !tenant_of(raw).contains(HOLE) {
        let message = format!(
            "of a template, this is what its tenants are called, and must tell them apart: put {HOLE} in it, or leave it \
             out"
        );
        checker.found.push(&raw.tenant.place, message);
    }
    if let Some(lists) = &raw.status_lists {
        let message = "status lists are not fetched for tenants of a template; give this tenant an issuer of its own";
        checker.found.push(&lists.place, message);
    }
    let Some(tenants) = &raw.tenants else {
        return Some(template);
    };
    for At {
        value: Text(tenant),
        place,
    } in &tenants.value.0
    {
        if !template.fits(tenant) {
            let message = format!(
                "{} can never stand for {HOLE} in this template",
                shown(tenant)
            );
            checker.found.push(place, message);
        }
    }
    Some(template.only(texts(&tenants.value)))
}

/// Faults what only a template can have, on an issuer that is none.
pub(super) fn refuse_template_settings(raw: &raw::Issuer, checker: &mut Checker<'_>) {
    if raw.tenant.value.0.contains(HOLE) {
        let message = format!(
            "{HOLE} stands for what the issuer's template leaves open, and this issuer is no template"
        );
        checker.found.push(&raw.tenant.place, message);
    }
    if let Some(tenants) = &raw.tenants {
        let message = format!(
            "only a template has several tenants: issuer = \"https://login.example/{HOLE}\""
        );
        checker.found.push(&tenants.place, message);
    }
    if let Some(At {
        value: Text(uri),
        place,
    }) = &raw.jwks_uri
        && uri.contains(HOLE)
    {
        let message = format!(
            "{HOLE} stands for what the issuer's template leaves open, and this issuer is no template"
        );
        checker.found.push(place, message);
    }
}

/// Faults templates beside each other: too many, or two that one `iss` could fit.
pub(super) fn beside_each_other(templates: &[Beside], checker: &mut Checker<'_>) {
    if let Some(beyond) = templates.get(TEMPLATES_MAX) {
        let message = format!("more than {TEMPLATES_MAX} templates");
        checker.found.push(&beyond.place, message);
        return;
    }
    for (index, one) in templates.iter().enumerate() {
        for other in &templates[..index] {
            if other.template.overlaps(&one.template) {
                let other = shown(&other.template.to_string());
                let message = format!("some `iss` would fit this template and {other} as well");
                checker.found.push(&one.place, message);
            }
            if names_meet(&one.tenant, &other.tenant) {
                let other = shown(&other.tenant);
                let message = format!(
                    "a tenant of this template could be called as one of another is, by {other}"
                );
                checker.found.push(&one.tenant_place, message);
            }
        }
    }
}

/// What of a template is held against the others.
pub(super) struct Beside {
    pub(super) template: IssTemplate,
    pub(super) place: Place,
    pub(super) tenant: String,
    pub(super) tenant_place: Place,
}

/// Where each tenant's keys are, if each has its own.
pub(super) fn endpoint(
    raw: &raw::Issuer,
    template: &IssTemplate,
    checker: &mut Checker<'_>,
) -> Option<TenantEndpoint> {
    let (endpoint, at) = if let Some(At {
        value: Text(uri),
        place,
    }) = &raw.jwks_uri
    {
        if !uri.contains(HOLE) {
            return None;
        }
        match IssTemplate::parse(uri) {
            Err(fault) => {
                checker.found.push(place, format!("{} {fault}", shown(uri)));
                return None;
            }
            Ok(pattern) if pattern.fills_host() && !template.fills_host() => {
                let message = format!(
                    "what stands for {HOLE} in the issuer's path need not be good for a host's name"
                );
                checker.found.push(place, message);
                return None;
            }
            Ok(_) => {}
        }
        (TenantEndpoint::Jwks(uri.clone()), place)
    } else if raw.discovery.value {
        let issuer = template.to_string().into();
        (TenantEndpoint::Discovery { issuer }, &raw.discovery.place)
    } else {
        return None;
    };
    let address = fill(&endpoint.address(), EXAMPLE);
    let allow = (
        raw.allow_insecure_loopback.value,
        raw.allow_private_address.value,
    );
    if let Err(fault) = upstream::check_uri(&address, allow.0, allow.1) {
        checker
            .found
            .push(at, format!("{} {fault}", shown(&address)));
    }
    Some(endpoint)
}

/// How tenants come and go.
pub(super) fn terms(raw: &raw::Issuer) -> TenantTerms {
    TenantTerms {
        tenants_max: raw.tenants_max.value.usize(),
        fetches_per_second: u32::try_from(raw.tenant_fetches_per_second.value.0).unwrap_or(1),
        idle: Duration::from_secs(raw.tenant_idle_seconds.value.u64()),
    }
}

/// Holds an issuer against what is known of its kind.
pub(super) fn check_preset(raw: &raw::Issuer, checker: &mut Checker<'_>) {
    let Some(At {
        value: preset,
        place,
    }) = &raw.preset
    else {
        return;
    };
    let kind = preset.0;
    if let Some(At {
        value: AnyOr::These(Text(iss)),
        place,
    }) = &raw.issuer
        && let Err(way_out) = (kind.iss)(iss)
    {
        checker.found.push(
            place,
            format!("{} is no `iss` of {}: {way_out}", shown(iss), kind.name),
        );
    }
    let rules = raw.claims.iter().flat_map(|claims| &claims.value.0);
    let mut held = rules.map(|rule| &*rule.name);
    let audiences = raw.audiences.as_ref().map(|audiences| &audiences.value);
    let by_audience = kind.or_by_audience && !matches!(audiences, Some(AnyOr::Any));
    if !kind.narrowed_by.is_empty()
        && !by_audience
        && !held.any(|name| kind.narrowed_by.contains(&name))
    {
        checker.found.push(place, kind.narrowed_why);
    }
}
