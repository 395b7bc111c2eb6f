//! From a daemon's configuration to the records that it would start with, as far as its keys lie in files.

use crate::cli::exit::Failure;
use jotd::config::{self, Config};
use jotd::jose::JwkSet;
use jotd::keys::{KeySet, Owner};
use jotd::upstream::{self, Source};
use jotd::verify::{Issuer, IssuerKeys, Records};
use std::path::Path;
use std::sync::Arc;

/// The records of a configuration. Keys that cannot be had here are reported, and their issuer's tokens
/// will be `unavailable`: that is what the daemon would say too.
pub(super) fn records(path: &Path) -> Result<Records, Failure> {
    let config = config::load(path).map_err(|faults| Failure::usage(faults.to_string()))?;
    for warning in &config.warnings {
        eprintln!("warning: {warning}");
    }
    let Config {
        issuers, policies, ..
    } = config;
    let issuers = issuers.into_iter().map(|issuer| {
        let keys = match keys(&issuer) {
            Ok(keys) => IssuerKeys::Known(Arc::new(keys)),
            Err(why) => {
                eprintln!("warning: issuer {}: {why}", issuer.name);
                IssuerKeys::Awaited
            }
        };
        Issuer {
            name: issuer.name,
            tenant: issuer.tenant,
            iss: issuer.iss,
            policy: issuer.policy,
            keys,
            token_bytes_max: issuer.token_bytes_max,
        }
    });
    Records::new(issuers.collect(), policies).map_err(|error| Failure::usage(error.to_string()))
}

fn keys(issuer: &config::Issuer) -> Result<KeySet, String> {
    let set = match &issuer.source {
        Source::Files(files) => files.read().map_err(|error| error.to_string())?,
        Source::Inline(json) => {
            JwkSet::parse(json.as_bytes()).map_err(|error| error.to_string())?
        }
        Source::Remote(remote) => {
            return Err(format!(
                "its keys are at {}, and nothing is fetched here",
                remote.endpoint
            ));
        }
    };
    let owner = Owner {
        issuer: Arc::clone(&issuer.name),
        tenant: Arc::clone(&issuer.tenant),
    };
    let (keys, skipped) =
        upstream::pin(&owner, &set, &issuer.policy.schemes).map_err(|error| error.to_string())?;
    for why in skipped {
        eprintln!("warning: issuer {}: skipped {why}", issuer.name);
    }
    Ok(keys)
}
