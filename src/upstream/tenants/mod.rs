//! Brings in the keys of tenants that templates stand for: each once its tokens come, and for as long as they do.
//!
//! Nothing that a stranger sends can make this keep more than a bounded number of names, ask an issuer more often than
//! its template's bucket allows, or put out a tenant whose tokens are being found genuine. It never decides about a
//! token, and a set that breaks leaves a tenant's keys as they were last known.
#![forbid(unsafe_code)]

mod bucket;
mod loader;
mod rest;
mod searches;
mod wishes;

use super::kept::KeptSets;
use super::publish::{Publisher, Turn};
use super::shared::SharedSets;
use super::source::KEY_WAIT_MS_DEFAULT;
use super::source::{Endpoint, Remote};
use crate::clock;
use crate::crypto::Scheme;
use crate::engine::{MissingTenant, Sought};
use crate::verify::{Records, fill};
use arc_swap::ArcSwap;
use http::Uri;
use loader::Loader;
use rest::Rest;
use searches::Searches;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
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

/// What loading a tenant is thought to take.
const LOAD_TAKES: Duration = Duration::from_millis(100);

/// Knows whether a tenant may be there after a while, or a key that a tenant's set lacks. Cheap to call, however often.
#[derive(Clone)]
pub struct TenantHint(Arc<Asked>);

/// What whoever asks for tenants shares with the loop that loads them.
struct Asked {
    wishes: Wishes,
    feeds: ArcSwap<Feeds>,
    /// Those who are not to be asked about yet.
    rest: Mutex<Rest>,
    /// Of tenants that are loaded, with keys of their own.
    searches: Searches,
    /// Templates whose tenants an operator wants looked at.
    refresh: Mutex<BTreeSet<Arc<str>>>,
}

impl Asked {
    fn rest(&self) -> std::sync::MutexGuard<'_, Rest> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn to_refresh(&self) -> std::sync::MutexGuard<'_, BTreeSet<Arc<str>>> {
        self.refresh.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TenantHint {
    /// What can be said of a tenant that a token is of, and that it cannot be verified with what is known of; it is
    /// loaded, or its set looked at, where that may help.
    #[must_use]
    pub fn missing(&self, tenant: &MissingTenant<'_>) -> Sought {
        let now = clock::since_boot();
        let asked = &*self.0;
        if tenant.is_loaded
            && let Some((sought, is_wanted)) = asked.searches.seek(tenant, now)
        {
            if is_wanted {
                asked.wishes.wish(tenant.iss);
            }
            return sought;
        }
        let resting_until = asked.rest().until(tenant.iss, now);
        if let Some(retry_at) = resting_until {
            return Sought::Later { retry_at };
        }
        asked.wishes.wish(tenant.iss);
        let feeds = asked.feeds.load();
        let keys = feeds.get(tenant.template).map(|feed| feed.keys.as_ref());
        let patience = match keys {
            // Nobody will load it.
            None => Duration::ZERO,
            Some(None) => Duration::from_millis(KEY_WAIT_MS_DEFAULT),
            Some(Some(keys)) => keys.remote.key_wait,
        };
        let (until, retry_at) = (tenant.asked_at + patience, now + LOAD_TAKES);
        if until > now {
            Sought::Soon {
                until,
                retry_at,
                news_at: retry_at,
            }
        } else {
            Sought::Later { retry_at }
        }
    }
}

/// Keeps tenants loaded that are in use. Stops when dropped.
pub(super) struct Tenants {
    asked: Arc<Asked>,
    task: AbortHandle,
}

impl Tenants {
    pub(super) fn start(
        publisher: Arc<Publisher>,
        sets: (Option<Arc<SharedSets>>, Option<Arc<KeptSets>>),
        runtime: &Handle,
    ) -> Self {
        let asked = Arc::new(Asked {
            wishes: Wishes::new(),
            feeds: ArcSwap::default(),
            rest: Mutex::default(),
            searches: Searches::default(),
            refresh: Mutex::default(),
        });
        let loader = Loader::new(Arc::clone(&asked), publisher, sets);
        let task = runtime.spawn(loader.run()).abort_handle();
        Self { asked, task }
    }

    /// Has every loaded tenant of a template looked at, as many at a time as there ever are.
    pub(super) fn refresh(&self, template: &Arc<str>) {
        self.asked.to_refresh().insert(Arc::clone(template));
        self.asked.wishes.wake();
    }

    pub(super) fn hint(&self) -> TenantHint {
        TenantHint(Arc::clone(&self.asked))
    }

    /// From now on, these are the templates. Takes a turn as witness that nobody is publishing right now.
    pub(super) fn set_feeds(&self, feeds: Vec<TenantFeed>, _turn: &Turn<'_>) {
        let old = self.asked.feeds.load();
        let kept = |feed: TenantFeed| match old.get(&feed.issuer) {
            Some(same) if **same == feed => Arc::clone(same),
            _ => Arc::new(feed),
        };
        let feeds = feeds.into_iter().map(kept);
        let feeds = feeds.map(|feed| (Arc::clone(&feed.issuer), feed)).collect();
        self.asked.feeds.store(Arc::new(feeds));
        self.asked.wishes.wake();
    }

    /// New records, with the tenants of the old ones that these templates bring in the same way.
    pub(super) fn carry_over(&self, new: Records, old: &Records, feeds: &[TenantFeed]) -> Records {
        let known = self.asked.feeds.load();
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
