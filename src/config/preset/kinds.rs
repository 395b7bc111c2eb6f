//! The kinds of issuers that are known: the settings of each, what its `iss` looks like, and what must be held to some
//! value because too many share it.
#![forbid(unsafe_code)]

/// What is known of a kind of issuer.
#[derive(Debug)]
pub(in crate::config) struct Kind {
    pub(in crate::config) name: &'static str,
    /// The settings that it stands for, in TOML.
    pub(in crate::config) settings: &'static str,
    /// What its `iss` looks like; the way out where one does not.
    pub(in crate::config) iss: fn(&str) -> Result<(), &'static str>,
    /// Claims one of which must be held to some value, because too many share the issuer; and why.
    pub(in crate::config) narrowed_by: &'static [&'static str],
    pub(in crate::config) narrowed_why: &'static str,
    /// Whether a list of audiences does as well.
    pub(in crate::config) or_by_audience: bool,
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
