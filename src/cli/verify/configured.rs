//! From a daemon's configuration to the records that it would start with.

use crate::cli::exit::Failure;
use jotd::config;
use jotd::keys::Owner;
use jotd::upstream::{Feed, KeysAtHand, Source};
use jotd::verify::{Issuer, Records};
use std::path::Path;

/// The records of a configuration. Nothing is fetched: tokens of an issuer whose keys are elsewhere are
/// `unavailable`, which is what a daemon says too until it has them.
pub(super) fn records(path: &Path) -> Result<Records, Failure> {
    let config = config::load(path).map_err(|faults| Failure::usage(faults.to_string()))?;
    for warning in &config.warnings {
        eprintln!("warning: {warning}");
    }
    let feeds: Vec<Feed> = config.issuers.iter().map(feed).collect();
    let keys = KeysAtHand::read(&feeds).map_err(|faults| Failure::usage(faults.join("\n")))?;
    let decrypting: Vec<_> = config
        .issuers
        .iter()
        .filter_map(|issuer| {
            Some((
                issuer.name.clone(),
                issuer.decryption.as_ref()?.keys.clone(),
            ))
        })
        .collect();
    let issuers = config.issuers.into_iter().map(|issuer| Issuer {
        keys: keys.of(&issuer.name),
        name: issuer.name,
        tenant: issuer.tenant,
        iss: issuer.iss,
        policy: issuer.policy,
        token_bytes_max: issuer.token_bytes_max,
    });
    Records::new(issuers.collect(), config.policies)
        .map(|records| records.decrypting(decrypting))
        .map_err(|error| Failure::usage(error.to_string()))
}

fn feed(issuer: &config::Issuer) -> Feed {
    if let Source::Remote(remote) = &issuer.source {
        eprintln!(
            "warning: issuer {}: its keys are at {}, and nothing is fetched here",
            issuer.name, remote.endpoint
        );
    }
    Feed {
        owner: Owner {
            issuer: issuer.name.clone(),
            tenant: issuer.tenant.clone(),
        },
        schemes: issuer.policy.schemes.clone(),
        source: issuer.source.clone(),
    }
}
