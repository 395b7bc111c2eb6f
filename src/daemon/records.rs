//! From configuration to what the rooms below hold.
#![forbid(unsafe_code)]

use super::Fault;
use crate::config::{self, Config};
use crate::keys::Owner;
use crate::revocation::status::StatusLists;
use crate::transport::tls::Acceptor;
use crate::upstream::{
    DecryptionFeed, Feed, KeptSets, KeysAtHand, Source, StatusSources, TenantFeed,
};
use crate::verify::{Issuer, Records, RecordsError, Replay, Revocation};
use std::sync::Arc;

/// What outlives every configuration, and tokens are held against.
#[derive(Clone)]
pub(super) struct HeldAgainst {
    /// What was revoked, where anything can be.
    pub(super) revocation: Option<Arc<Revocation>>,
    /// Which single-use tokens have been used.
    pub(super) replay: Arc<Replay>,
    /// Status lists of issuers.
    pub(super) statuses: Arc<StatusLists>,
}

/// Where each issuer's keys come from.
pub(super) fn feeds(config: &Config) -> Vec<Feed> {
    let feed = |issuer: &config::Issuer| Feed {
        owner: Owner {
            issuer: issuer.name.clone(),
            tenant: issuer.tenant.clone(),
        },
        schemes: issuer.policy.schemes.clone(),
        source: issuer.source.clone(),
    };
    config.issuers.iter().map(feed).collect()
}

/// The templates, and where each of their tenants' keys come from.
pub(super) fn tenant_feeds(config: &Config) -> Vec<TenantFeed> {
    let feed = |issuer: &config::Issuer| {
        Some(TenantFeed {
            issuer: issuer.name.clone(),
            schemes: issuer.policy.schemes.clone(),
            keys: match &issuer.source {
                Source::Tenants(keys) => Some(keys.clone()),
                _ => None,
            },
            terms: issuer.tenants?,
        })
    };
    config.issuers.iter().filter_map(feed).collect()
}

/// Where the keys are that tokens may be encrypted to.
pub(super) fn decryption_feeds(config: &Config) -> Vec<DecryptionFeed> {
    let feed = |issuer: &config::Issuer| {
        Some(DecryptionFeed {
            issuer: issuer.name.clone(),
            files: issuer.decryption.as_ref()?.files.clone(),
        })
    };
    config.issuers.iter().filter_map(feed).collect()
}

/// Where fetched key sets are kept. Without them a start needs its issuers, which is no reason not to start.
pub(super) fn kept_sets(config: &Config) -> Option<Arc<KeptSets>> {
    let path = config.keys_state_dir.as_deref()?;
    match KeptSets::open(path) {
        Ok(kept) => Some(Arc::new(kept)),
        Err(error) => {
            let path = path.display();
            tracing::warn!(%path, %error, "fetched keys are not kept on disk");
            None
        }
    }
}

/// How issuers' status lists are fetched.
pub(super) fn status_sources(config: &Config) -> StatusSources {
    let looked_at = |issuer: &&config::Issuer| !issuer.policy.status_lists.is_empty();
    let issuers = config.issuers.iter().filter(looked_at);
    let source = |issuer: &config::Issuer| (issuer.name.clone(), issuer.status_source.clone());
    issuers.map(source).collect()
}

/// The issuers and policies, with the keys that are at hand, and what their tokens are held against.
pub(super) fn records(
    config: &Config,
    keys: &KeysAtHand,
    held_against: &HeldAgainst,
) -> Result<Records, RecordsError> {
    let issuer = |issuer: &config::Issuer| Issuer {
        name: issuer.name.clone(),
        tenant: issuer.tenant.clone(),
        iss: issuer.iss.clone(),
        policy: issuer.policy.clone(),
        keys: keys.of(&issuer.name),
        token_bytes_max: issuer.token_bytes_max,
    };
    let records = Records::new(
        config.issuers.iter().map(issuer).collect(),
        config.policies.clone(),
    )?;
    let bound = config.peers.iter();
    let decrypting = config.issuers.iter().filter_map(|issuer| {
        let keys = &issuer.decryption.as_ref()?.keys;
        Some((issuer.name.clone(), Arc::clone(keys)))
    });
    let records = records
        .binding(bound.filter_map(|rule| rule.terms.tenants.as_deref()))
        .decrypting(decrypting)
        .spending(&held_against.replay)
        .with_statuses(Arc::clone(&held_against.statuses));
    Ok(match &held_against.revocation {
        Some(revocation) => records.revoking(revocation),
        None => records,
    })
}

/// The acceptor for TLS, where it is configured.
pub(super) fn acceptor(config: &Config) -> Result<Option<Acceptor>, Fault> {
    let Some(tls) = &config.listen.tls else {
        return Ok(None);
    };
    let identity = tls.read().map_err(Fault::Tls)?;
    let acceptor = Acceptor::new(&identity);
    acceptor
        .map(Some)
        .map_err(|error| Fault::Tls(error.to_string()))
}
