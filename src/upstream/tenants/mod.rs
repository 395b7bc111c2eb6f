//! Brings in the keys of tenants that templates stand for: each once its tokens come, and for as long as they do.
//!
//! Nothing that a stranger sends can make this keep more than a bounded number of names, ask an issuer more often than
//! its template's bucket allows, or put out a tenant whose tokens are being found genuine. It never decides about a
//! token, and a set that breaks leaves a tenant's keys as they were last known.
#![forbid(unsafe_code)]

mod bucket;
mod loader;
mod rest;
mod wishes;

use super::publish::{Publisher, Turn};
use super::source::{Endpoint, Remote};
use crate::crypto::Scheme;
use crate::verify::{Records, fill};
use arc_swap::ArcSwap;
use http::Uri;
use loader::Loader;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use wishes::Wishes;

/// How the keys of each of a template's tenants are fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantKeys {
    /// The address, with a hole for the tenant.
    pub endpoint: TenantEndpoint,
    /// How; what it asks is an example's.
    pub remote: Remote,
}

/// What to ask for a tenant's JWK Set: an address with a hole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantEndpoint {
    /// The set itself.
    Jwks(Box<str>),
    /// The tenant's OpenID Connect discovery document, which names the set.
    Discovery {
        /// The template of `iss`.
        issuer: Box<str>,
    },
}

/// How tenants come and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TenantTerms {
    /// Most that are loaded at a time.
    pub tenants_max: usize,
    /// Most fetches a second on average, of tenants that are not loaded.
    pub fetches_per_second: u32,
    /// How long one stays without a good token.
    pub idle: Duration,
}

/// A template's tenants: whose, what their keys may be used for, and where those come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantFeed {
    /// The template's configured name.
    pub issuer: Arc<str>,
    /// The schemes allowed.
    pub schemes: Vec<Scheme>,
    /// Where each tenant's keys are; `None` where all have the template's.
    pub keys: Option<TenantKeys>,
    /// How they come and go.
    pub terms: TenantTerms,
}

/// Templates by name.
type Feeds = HashMap<Arc<str>, Arc<TenantFeed>>;

/// Tells of tenants that are not loaded, or whose keys lack a `kid`. Cheap to call, however often.
#[derive(Clone)]
pub struct TenantHint(Arc<Wishes>);

impl TenantHint {
    /// A token is of the tenant of this `iss`, and cannot be verified with what is known of it.
    pub fn missing(&self, iss: &str) {
        self.0.wish(iss);
    }
}

/// Keeps tenants loaded that are in use. Stops when dropped.
pub(super) struct Tenants {
    wishes: Arc<Wishes>,
    feeds: Arc<ArcSwap<Feeds>>,
    task: AbortHandle,
}

impl Tenants {
    pub(super) fn start(publisher: Arc<Publisher>, runtime: &Handle) -> Self {
        let wishes = Arc::new(Wishes::new());
        let feeds: Arc<ArcSwap<Feeds>> = Arc::default();
        let loader = Loader::new(Arc::clone(&wishes), Arc::clone(&feeds), publisher);
        let task = runtime.spawn(loader.run()).abort_handle();
        Self {
            wishes,
            feeds,
            task,
        }
    }

    pub(super) fn hint(&self) -> TenantHint {
        TenantHint(Arc::clone(&self.wishes))
    }

    /// From now on, these are the templates. Takes a turn as witness that nobody is publishing right now.
    pub(super) fn set_feeds(&self, feeds: Vec<TenantFeed>, _turn: &Turn<'_>) {
        let old = self.feeds.load();
        let kept = |feed: TenantFeed| match old.get(&feed.issuer) {
            Some(same) if **same == feed => Arc::clone(same),
            _ => Arc::new(feed),
        };
        let feeds = feeds.into_iter().map(kept);
        let feeds = feeds.map(|feed| (Arc::clone(&feed.issuer), feed)).collect();
        self.feeds.store(Arc::new(feeds));
        self.wishes.wake();
    }

    /// New records, with the tenants of the old ones that these templates bring in the same way.
    pub(super) fn carry_over(&self, new: Records, old: &Records, feeds: &[TenantFeed]) -> Records {
        let known = self.feeds.load();
        new.adopt_tenants(old, |name| {
            let feed = feeds.iter().find(|feed| *feed.issuer == *name);
            feed.is_some_and(|feed| {
                let same = known.get(name);
                same.is_some_and(|same| same.keys == feed.keys && same.schemes == feed.schemes)
            })
        })
    }
}

impl Drop for Tenants {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl TenantEndpoint {
    /// The address that is asked first, with its hole.
    #[must_use]
    pub fn address(&self) -> String {
        match self {
            Self::Jwks(uri) => uri.to_string(),
            Self::Discovery { issuer } => discovery_address(issuer),
        }
    }

    /// What to ask for this tenant's keys.
    #[must_use]
    pub fn of(&self, tenant: &str) -> Option<Endpoint> {
        Some(match self {
            Self::Jwks(uri) => Endpoint::Jwks(fill(uri, tenant).parse().ok()?),
            Self::Discovery { issuer } => {
                let issuer = fill(issuer, tenant);
                Endpoint::Discovery {
                    document: discovery_address(&issuer).parse::<Uri>().ok()?,
                    issuer: issuer.into(),
                }
            }
        })
    }

    /// The same for some tenant, to see whether it is in order.
    #[must_use]
    pub fn example(&self) -> Option<Endpoint> {
        self.of("tenant")
    }
}

impl TenantKeys {
    fn remote_of(&self, tenant: &str) -> Option<Remote> {
        Some(Remote {
            endpoint: self.endpoint.of(tenant)?,
            ..self.remote.clone()
        })
    }
}

/// OpenID Connect Discovery 1.0 §4.1: a trailing slash is removed before the path is appended.
fn discovery_address(issuer: &str) -> String {
    let base = issuer.strip_suffix('/').unwrap_or(issuer);
    format!("{base}/.well-known/openid-configuration")
}
