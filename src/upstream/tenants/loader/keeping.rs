//! Tenants' keys on this host's disk: those in use are verified from the first second on although their issuer is down.
//! Tokens make tenants up as they like, and files are not made up by tokens: a tenant is kept once one of its tokens was
//! found genuine and its keys were looked at again since.
#![forbid(unsafe_code)]

use super::Loader;
use super::fetching::{Brought, Content, Done};
use crate::jose::JwkSet;
use crate::keys::Owner;
use crate::upstream::fetch::FetchError;
use crate::upstream::kept::{KeptSets, is_young};
use crate::upstream::source::{Remote, pin};
use crate::upstream::tenants::TenantFeed;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::spawn_blocking;

impl Loader {
    /// Keeps what a look has brought.
    pub(super) fn keep(&mut self, done: &Done, brought: &Brought, is_changed: bool, now: Duration) {
        let (Some(kept), Some(known)) = (self.kept.clone(), self.known.get_mut(&done.iss)) else {
            return;
        };
        let Content::Keys(_, body) = &brought.content else {
            return;
        };
        if !done.sought.is_used || (is_young(known.kept_at, &done.remote, now) && !is_changed) {
            return;
        }
        let body = body.clone();
        known.kept_at = Some(now);
        let age_seconds = i64::try_from(brought.age.as_secs()).unwrap_or(i64::MAX);
        let seen_at = self.publisher.now().saturating_sub(age_seconds);
        let (iss, remote) = (Arc::clone(&done.iss), done.remote.clone());
        #[expect(
            clippy::disallowed_methods,
            reason = "this runtime carries no connections, and writing a file is seldom"
        )]
        spawn_blocking(move || {
            let written = kept.save(&iss, &remote, seen_at, &body);
            if let Err(error) = written {
                tracing::warn!(issuer = &*iss, %error, "a tenant's keys are not kept on disk");
            }
        });
    }
}

/// What is kept of a tenant that could not be fetched; the error where nothing is, or the issuer does not know it.
pub(super) async fn kept_or(
    error: FetchError,
    kept: Option<Arc<KeptSets>>,
    (iss, remote, now): (&Arc<str>, &Remote, i64),
    owner: &Owner,
    feed: &TenantFeed,
) -> Result<Brought, FetchError> {
    let Some(kept) = kept.filter(|_| !error.says_no()) else {
        return Err(error);
    };
    let (name, from) = (Arc::clone(iss), remote.clone());
    #[expect(
        clippy::disallowed_methods,
        reason = "this runtime carries no connections, and reading a file is seldom"
    )]
    let read = spawn_blocking(move || kept.load(&name, &from, now)).await;
    let Ok(Some(kept)) = read else {
        return Err(error);
    };
    let keys = JwkSet::parse(&kept.body).ok();
    let Some((keys, _)) = keys.and_then(|jwks| pin(owner, &jwks, &feed.schemes).ok()) else {
        return Err(error);
    };
    tracing::info!(
        issuer = &**iss,
        "a tenant's keys taken from disk, for its issuer is down: {error}"
    );
    Ok(Brought {
        content: Content::Keys(Arc::new(keys), kept.body.into()),
        fresh_for: Some(Duration::ZERO),
        age: remote.keys_max_age.saturating_sub(kept.trust_left),
        is_proof: false,
        outcome: "kept",
        changes: None,
    })
}
