//! Redis and Valkey servers as they are configured: their addresses, with what lies in files.
#![forbid(unsafe_code)]

use crate::clock::Clock;
use crate::config::{RedisServer, SharedKeys};
use crate::metrics::Metrics;
use crate::upstream::dial::Address;
use crate::upstream::{Seal, SharedSets};
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The address, with its password and authorities.
///
/// # Errors
/// What cannot be used, as a sentence.
pub(super) fn address(server: &RedisServer) -> Result<Address, String> {
    let address = Address::of_parts(
        &server.addresses,
        server.sentinel_primary.as_deref(),
        server.user.as_deref(),
    );
    let mut address = address.map_err(|fault| fault.to_string())?;
    if let Some(path) = &server.password_file {
        let password = String::from_utf8_lossy(read(path)?.trim_ascii()).into_owned();
        address.password = Some(password);
    }
    if let Some(path) = &server.ca_file {
        address.authorities = Some(read(path)?.to_vec());
    }
    Ok(address)
}

/// The key sets that are shared.
///
/// # Errors
/// What cannot be used, as a sentence.
pub(super) fn shared_sets(
    shared: &SharedKeys,
    clock: &Clock,
    metrics: &Arc<Metrics>,
) -> Result<Arc<SharedSets>, String> {
    let secrets = read(&shared.secret_file)?;
    let path = shared.secret_file.display();
    let seal = Seal::parse(&secrets).map_err(|fault| format!("{path} {fault}"))?;
    let sets = SharedSets::new(
        &address(&shared.server)?,
        seal,
        &shared.prefix,
        clock.clone(),
        Arc::clone(metrics),
    );
    sets.map(Arc::new).map_err(|fault| fault.to_string())
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let unreadable = |error| format!("{} cannot be read: {error}", path.display());
    std::fs::read(path).map(Zeroizing::new).map_err(unreadable)
}
