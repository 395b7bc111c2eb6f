//! Revocation, where it is configured: this host's log, the register, and what the admin listener gets of them.
#![forbid(unsafe_code)]

use super::Fault;
use crate::clock::Clock;
use crate::config;
use crate::metrics::Metrics;
use crate::revocation::{IdKey, Options, Register};
use crate::transport::admin::{self, BearerSecret};
use crate::upstream::revocation::redis::{Address, Durability, LogOptions, Options as LogsOptions};
use crate::upstream::revocation::{Desk, Intake};
use crate::verify;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// What is configured, before the log is read. Tenants must be known to the register by then: records of others are
/// held to a stricter quota.
pub(super) struct Prepared {
    state_dir: PathBuf,
    logs: Option<LogsOptions>,
    ids: Arc<IdKey>,
    secret: Option<BearerSecret>,
    held_against: Arc<verify::Revocation>,
}

/// What is running.
pub(super) struct Revocation {
    pub(super) desk: Desk,
    ids: Arc<IdKey>,
    secret: Option<BearerSecret>,
}

impl Prepared {
    /// Reads secrets, and makes an empty register.
    ///
    /// # Errors
    /// [`Fault::Revocation`].
    pub(super) fn new(config: &config::Revocation) -> Result<Self, Fault> {
        let secret = config.token_file.as_deref().map(read).transpose()?;
        let id_secret = config.id_secret_file.as_deref().map(read).transpose()?;
        let id_secret = id_secret
            .as_ref()
            .map_or(&[][..], |secret| secret.trim_ascii());
        let options = Options {
            tenant_records_max: config.tenant_records_max,
        };
        let held_against = verify::Revocation {
            register: Arc::new(Register::new(&options)),
            ids: IdKey::new(id_secret),
            staleness: config.tenant_staleness.iter().cloned().collect(),
            staleness_default: config.staleness,
        };
        Ok(Self {
            state_dir: config.state_dir.clone(),
            logs: logs(config)?,
            ids: Arc::new(IdKey::new(id_secret)),
            secret: secret.map(|secret| BearerSecret::new(&secret)),
            held_against: Arc::new(held_against),
        })
    }

    /// What tokens are held against.
    pub(super) fn held_against(&self) -> &Arc<verify::Revocation> {
        &self.held_against
    }

    /// Opens the log and takes all that it holds into the register, before any question is answered.
    ///
    /// # Errors
    /// [`Fault::Revocation`].
    pub(super) fn open(self, clock: &Clock, metrics: &Arc<Metrics>) -> Result<Revocation, Fault> {
        let register = Arc::clone(&self.held_against.register);
        let intake = Intake::new(register, clock.clone(), Arc::clone(metrics));
        let desk = Desk::open_shared(&self.state_dir, Arc::new(intake), self.logs.as_ref());
        let desk = desk.map_err(|error| Fault::Revocation(error.to_string()))?;
        Ok(Revocation {
            desk,
            ids: self.ids,
            secret: self.secret,
        })
    }
}

impl Revocation {
    /// What is revoked.
    pub(super) fn register(&self) -> Arc<Register> {
        Arc::clone(self.desk.intake().register())
    }

    /// How logs elsewhere are doing.
    pub(super) fn logs(&self) -> admin::Logs {
        let desk = self.desk.clone();
        Arc::new(move || desk.logs())
    }

    /// What the admin listener does with it.
    pub(super) fn served(&self) -> admin::Revocation {
        let (submitting, watched) = (self.desk.clone(), Arc::clone(self.desk.intake()));
        let reported = self.desk.clone();
        admin::Revocation {
            submit: Arc::new(move |records, wait| {
                let desk = submitting.clone();
                Box::pin(async move { desk.submit(records, wait).await })
            }),
            watch: Arc::new(move || watched.watch()),
            report: Arc::new(move || reported.report()),
            register: self.register(),
            ids: Arc::clone(&self.ids),
            secret: self.secret.clone(),
        }
    }
}

/// Logs elsewhere, if there are any.
fn logs(config: &config::Revocation) -> Result<Option<LogsOptions>, Fault> {
    let mut logs = Vec::with_capacity(config.logs.len());
    for log in &config.logs {
        let address = Address::of_parts(
            &log.addresses,
            log.sentinel_primary.as_deref(),
            log.user.as_deref(),
        );
        let mut address =
            address.map_err(|fault| Fault::Revocation(format!("log {}: {fault}", log.name)))?;
        if let Some(path) = &log.password_file {
            let password = String::from_utf8_lossy(read(path)?.trim_ascii()).into_owned();
            address.password = Some(password);
        }
        if let Some(path) = &log.ca_file {
            address.authorities = Some(read(path)?.to_vec());
        }
        let replicas = u32::try_from(log.replicas).unwrap_or(u32::MAX);
        logs.push(LogOptions {
            name: log.name.to_string(),
            address,
            durability: match replicas {
                _ if log.on_disk => Durability::Disks { replicas },
                0 => Durability::Memory,
                _ => Durability::Replicas(replicas),
            },
        });
    }
    Ok((!logs.is_empty()).then(|| LogsOptions {
        logs,
        write_quorum: config.write_quorum,
        prefix: config.prefix.to_string(),
        lease: config.lease,
        replica_lag_seconds: config.replica_lag_seconds,
        keep_entries: config.keep_entries,
    }))
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let unreadable =
        |error| Fault::Revocation(format!("{} cannot be read: {error}", path.display()));
    std::fs::read(path).map(Zeroizing::new).map_err(unreadable)
}
