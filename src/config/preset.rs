//! Presets: what is the same for every issuer of a well-known kind, written as the settings that it stands for.
//!
//! A preset has no powers of its own. It is laid under what the operator wrote before anything is read, setting by
//! setting, and whatever is written counts; so `docs/issuers.md` can show all that a preset does, and does.
#![forbid(unsafe_code)]

use super::document::{self, Entry, Node, Table, Value};
use super::fault::{Found, Place, did_you_mean, shown};
use super::section::Setting;
use super::setting::{schema, string, wanted};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

/// A kind of issuer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Preset(pub(super) &'static Kind);

/// What is known of a kind of issuer.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// The settings that it stands for, in TOML.
    pub(super) settings: &'static str,
    /// What its `iss` looks like; the way out where one does not.
    pub(super) iss: fn(&str) -> Result<(), &'static str>,
    /// Claims one of which must be held to some value, because too many share the issuer; and why.
    pub(super) narrowed_by: &'static [&'static str],
    pub(super) narrowed_why: &'static str,
    /// Whether a list of audiences does as well.
    pub(super) or_by_audience: bool,
}

/// Names, why, and whether a list of audiences does as well.
type Narrowed = (&'static [&'static str], &'static str, bool);

const NOT_NARROWED: Narrowed = (&[], "", false);

macro_rules! kinds {
    ($($name:literal, $iss:expr, $narrowed:expr, $settings:literal;)*) => {
        /// Every kind, by name.
        pub(super) static KINDS: &[Kind] = &[$(Kind {
            name: $name,
            settings: $settings,
            iss: $iss,
            narrowed_by: $narrowed.0,
            narrowed_why: $narrowed.1,
            or_by_audience: $narrowed.2,
        }),*];
    };
}

kinds! {
    "auth0", auth0, NOT_NARROWED, r#"
discovery = true
algorithms = ["RS256"]
required_claims = ["sub"]
"#;
    "okta", okta, NOT_NARROWED, r#"
discovery = true
algorithms = ["RS256"]
required_claims = ["sub", "cid"]
"#;
    "entra", entra, NOT_NARROWED, r#"
discovery = true
algorithms = ["RS256"]
required_claims = ["sub", "tid"]
"#;
    "google", google, NOT_NARROWED, r#"
issuer = "https://accounts.google.com"
discovery = true
algorithms = ["RS256"]
required_claims = ["sub"]
"#;
    "cognito", cognito, COGNITO, r#"
discovery = true
algorithms = ["RS256"]
required_claims = ["sub", "token_use"]
"#;
    "keycloak", keycloak, NOT_NARROWED, r#"
discovery = true
algorithms = ["RS256"]
required_claims = ["sub"]
claims = { typ = "Bearer" }
"#;
    "github-actions", github_actions, GITHUB, r#"
issuer = "https://token.actions.githubusercontent.com"
discovery = true
algorithms = ["RS256"]
required_claims = ["sub", "repository", "ref"]
lifetime_seconds_max = 3600
"#;
    "gitlab-ci", gitlab_ci, GITLAB, r#"
issuer = "https://gitlab.com"
discovery = true
algorithms = ["RS256"]
required_claims = ["sub", "project_path", "ref"]
"#;
    "kubernetes", kubernetes, NOT_NARROWED, r#"
issuer = "https://kubernetes.default.svc.cluster.local"
discovery = true
ca_file = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
allow_private_address = true
algorithms = ["RS256", "ES256"]
required_claims = ["kubernetes.io"]
claims = { sub = "system:serviceaccount:*" }
"#;
    "spiffe", spiffe, SPIFFE, r#"
issuer = "any"
algorithms = ["ES256", "RS256", "ES384", "RS384", "ES512", "RS512", "PS256", "PS384", "PS512"]
required_claims = ["sub", "aud"]
"#;
}

const COGNITO: Narrowed = (
    &["client_id"],
    "access tokens of Cognito have no `aud`; say for which app clients they must be, claims = { client_id = \"CLIENT\" }, \
     or list audiences for its ID tokens",
    true,
);

const GITHUB: Narrowed = (
    &[
        "sub",
        "repository",
        "repository_id",
        "repository_owner",
        "repository_owner_id",
        "enterprise",
    ],
    "every workflow on GitHub has this issuer; say whose to trust, like claims = { repository_owner = \"acme\" }",
    false,
);

const GITLAB: Narrowed = (
    &[
        "sub",
        "project_path",
        "project_id",
        "namespace_path",
        "namespace_id",
    ],
    "every project on this GitLab has this issuer; say whose to trust, like claims = { namespace_path = \"acme\" }",
    false,
);

const SPIFFE: Narrowed = (
    &["sub"],
    "say which trust domain these keys are for: claims = { sub = \"spiffe://example.org/*\" }",
    false,
);

fn auth0(iss: &str) -> Result<(), &'static str> {
    held(
        iss.ends_with('/'),
        "Auth0 ends its `iss` with a slash: https://acme.eu.auth0.com/",
    )
}

fn okta(iss: &str) -> Result<(), &'static str> {
    held(
        iss.contains("/oauth2/") && !iss.ends_with('/') && !iss.contains("-admin."),
        "Okta means tokens of its org server for itself alone; name an authorization server, like \
         https://acme.okta.com/oauth2/default",
    )
}

fn entra(iss: &str) -> Result<(), &'static str> {
    const HOSTS: [&str; 3] = [
        "login.microsoftonline.com",
        "login.microsoftonline.us",
        "login.partner.microsoftonline.cn",
    ];
    let tenant = iss.strip_prefix("https://").and_then(|rest| {
        if let Some(tenant) = rest.strip_prefix("sts.windows.net/") {
            return tenant.strip_suffix('/');
        }
        let rest = HOSTS
            .iter()
            .find_map(|host| rest.strip_prefix(host)?.strip_prefix('/'))?;
        rest.strip_suffix("/v2.0")
    });
    held(
        tenant.is_some_and(|tenant| tenant == crate::verify::HOLE || is_uuid(tenant)),
        "Entra writes the tenant's id into `iss`, and never \"common\", \"organizations\" or a domain: \
         https://login.microsoftonline.com/TENANT-ID/v2.0, with {tenant} for TENANT-ID to trust many",
    )
}

fn google(iss: &str) -> Result<(), &'static str> {
    held(
        iss == "https://accounts.google.com",
        "Google's `iss` is https://accounts.google.com",
    )
}

fn cognito(iss: &str) -> Result<(), &'static str> {
    let rest = iss.strip_prefix("https://cognito-idp.");
    let path = rest
        .and_then(|rest| rest.split_once(".amazonaws.com"))
        .map(|(_, rest)| rest);
    let path = path.map(|path| path.strip_prefix(".cn").unwrap_or(path));
    let pool = path.and_then(|path| path.strip_prefix('/'));
    held(
        pool.is_some_and(|pool| !pool.is_empty() && !pool.contains('/')),
        "Cognito's `iss` names region and pool: https://cognito-idp.REGION.amazonaws.com/POOL",
    )
}

fn keycloak(iss: &str) -> Result<(), &'static str> {
    let realm = iss.split_once("/realms/").map(|(_, realm)| realm);
    held(
        realm.is_some_and(|realm| !realm.is_empty() && !realm.contains('/')),
        "Keycloak's `iss` ends with the realm: https://HOST/realms/REALM",
    )
}

fn github_actions(iss: &str) -> Result<(), &'static str> {
    held(
        iss.starts_with("https://") && !iss.ends_with('/'),
        "GitHub's `iss` is https://token.actions.githubusercontent.com, or https://HOST/_services/token",
    )
}

fn gitlab_ci(iss: &str) -> Result<(), &'static str> {
    held(
        iss.starts_with("https://") && !iss.ends_with('/'),
        "GitLab's `iss` is its address without a slash at the end: https://gitlab.example",
    )
}

fn kubernetes(iss: &str) -> Result<(), &'static str> {
    held(
        iss.starts_with("https://"),
        "a cluster's `iss` is an https URL: its --service-account-issuer",
    )
}

fn spiffe(_iss: &str) -> Result<(), &'static str> {
    Ok(())
}

fn held(is_so: bool, way_out: &'static str) -> Result<(), &'static str> {
    if is_so { Ok(()) } else { Err(way_out) }
}

fn is_uuid(text: &str) -> bool {
    let mut groups = text.split('-');
    let hexadecimal = |group: &str, length: usize| {
        group.len() == length
            && group
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    [8, 4, 4, 4, 12].iter().all(|length| {
        groups
            .next()
            .is_some_and(|group| hexadecimal(group, *length))
    }) && groups.next().is_none()
}

impl Preset {
    fn named(name: &str) -> Option<Self> {
        KINDS.iter().find(|kind| kind.name == name).map(Self)
    }
}

impl Setting for Preset {
    fn read(node: &Node, found: &mut Found) -> Option<Self> {
        let Some(name) = string(node) else {
            wanted(node, "the name of a preset, like \"auth0\"", found);
            return None;
        };
        let preset = Self::named(name);
        if preset.is_none() {
            let known: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
            let guess = did_you_mean(name, known.iter().copied());
            let message = format!("{} is none of {}{guess}", shown(name), known.join(", "));
            found.push(&node.place, message);
        }
        preset
    }
}

schema!([] Preset, _generator => {
    let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    json_schema!({ "type": "string", "enum": names })
});

/// Settings that say where keys come from; whoever writes one wants none of the preset's.
const SOURCES: [&str; 6] = [
    "jwks_uri",
    "discovery",
    "jwks_file",
    "jwks",
    "pem_file",
    "secret_file",
];

/// Settings that say how they are fetched, which go with the source.
const FETCHING: [&str; 2] = ["ca_file", "allow_private_address"];

/// Lays the presets that issuers name under what is written there.
pub(super) fn apply(document: &mut Table) {
    let Some(issuers) = document.0.iter_mut().find(|entry| entry.name == "issuer") else {
        return;
    };
    let Value::Array(issuers) = &mut issuers.node.value else {
        return;
    };
    for issuer in issuers {
        let Value::Table(issuer) = &mut issuer.value else {
            continue;
        };
        let named = issuer.0.iter().find(|entry| entry.name == "preset");
        let preset = named
            .and_then(|entry| Some((Preset::named(string(&entry.node)?)?, entry.place.clone())));
        if let Some((Preset(kind), place)) = preset {
            let mut settings = document::parse(kind.settings, &mut Found::default());
            if has_one_of(issuer, &SOURCES) {
                settings.0.retain(|entry| {
                    let name = entry.name.as_str();
                    !SOURCES.contains(&name) && !FETCHING.contains(&name)
                });
            }
            lay_under(issuer, settings, &place);
        }
    }
}

fn has_one_of(table: &Table, names: &[&str]) -> bool {
    table
        .0
        .iter()
        .any(|entry| names.contains(&entry.name.as_str()))
}

/// Adds what is not written yet. Faults of what is added are told where the preset is named.
fn lay_under(table: &mut Table, settings: Table, place: &Place) {
    for Entry { name, node, .. } in settings.0 {
        let written = table.0.iter_mut().find(|entry| entry.name == name);
        match (written, node.value) {
            (None, value) => table.0.push(Entry {
                name,
                place: place.clone(),
                node: placed(value, place),
            }),
            (Some(written), Value::Table(inner)) => {
                if let Value::Table(written) = &mut written.node.value {
                    lay_under(written, inner, place);
                }
            }
            (Some(_), _) => {}
        }
    }
}

fn placed(value: Value, place: &Place) -> Node {
    let value = match value {
        Value::Array(items) => {
            let items = items.into_iter().map(|item| placed(item.value, place));
            Value::Array(items.collect())
        }
        Value::Table(Table(entries)) => {
            let entries = entries.into_iter().map(|entry| Entry {
                place: place.clone(),
                node: placed(entry.node.value, place),
                name: entry.name,
            });
            Value::Table(Table(entries.collect()))
        }
        plain => plain,
    };
    Node {
        place: place.clone(),
        value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page shows all that a preset does, and nothing else.
    #[test]
    fn every_preset_is_documented_as_the_settings_that_it_stands_for() {
        let page = include_str!("../../docs/issuers.md");
        for kind in KINDS {
            let heading = format!("\n## `{}`", kind.name);
            let (_, part) = page.split_once(&heading).expect(kind.name);
            let part = part.split("\n## ").next().unwrap_or_default();
            let settings = format!("```toml\n# preset = \"{}\"{}```", kind.name, kind.settings);
            assert!(part.contains(&settings), "{} lacks\n{settings}", kind.name);
        }
    }

    #[test]
    fn what_is_written_counts_and_tables_are_laid_together() {
        let text = "[[issuer]]\npreset = \"kubernetes\"\njwks_file = \"x\"\nalgorithms = [\"PS256\"]\nclaims = { a = \"b\" }\n";
        let mut found = Found::default();
        let mut document = document::parse(text, &mut found);
        apply(&mut document);
        let Value::Array(issuers) = &document.0[0].node.value else {
            panic!("an array");
        };
        let Value::Table(issuer) = &issuers[0].value else {
            panic!("a table");
        };
        let names: Vec<&str> = issuer.0.iter().map(|entry| entry.name.as_str()).collect();
        let wanted = [
            "preset",
            "jwks_file",
            "algorithms",
            "claims",
            "issuer",
            "required_claims",
        ];
        assert_eq!(
            names, wanted,
            "keys come from a file, so nothing says how to fetch them"
        );
        let Value::Table(claims) = &issuer.0[3].node.value else {
            panic!("a table");
        };
        let claims: Vec<&str> = claims.0.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(claims, ["a", "sub"]);
    }
}
