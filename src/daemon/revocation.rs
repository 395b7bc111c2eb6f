//! Revocation, where it is configured: this host's log, the register, and what the admin listener gets of them.
#![forbid(unsafe_code)]

use super::Fault;
use crate::clock::Clock;
use crate::config;
use crate::metrics::Metrics;
use crate::revocation::{IdKey, Options, Register};
use crate::transport::admin::{self, BearerSecret};
use crate::upstream::revocation::{Desk, Intake};
use std::path::Path;
use std::sync::Arc;

/// What is running.
pub(super) struct Revocation {
    pub(super) desk: Desk,
    pub(super) register: Arc<Register>,
    pub(super) ids: Arc<IdKey>,
    secret: Option<BearerSecret>,
}

impl Revocation {
    /// Opens the log and takes all that it holds into the register, before any door is open.
    ///
    /// # Errors
    /// [`Fault::Revocation`].
    pub(super) fn start(
        config: &config::Revocation,
        clock: &Clock,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, Fault> {
        let secret = config.token_file.as_deref().map(read).transpose()?;
        let id_secret = config.id_secret_file.as_deref().map(read).transpose()?;
        let ids = IdKey::new(id_secret.unwrap_or_default().trim_ascii());
        let options = Options {
            tenant_records_max: config.tenant_records_max,
        };
        let register = Arc::new(Register::new(&options));
        let intake = Intake::new(Arc::clone(&register), clock.clone(), Arc::clone(metrics));
        let desk = Desk::open(&config.state_dir, Arc::new(intake));
        let desk = desk.map_err(|error| Fault::Revocation(error.to_string()))?;
        Ok(Self {
            desk,
            register,
            ids: Arc::new(ids),
            secret: secret.as_deref().map(BearerSecret::new),
        })
    }

    /// What the admin listener does with it.
    pub(super) fn served(&self) -> admin::Revocation {
        let (submitting, watched) = (self.desk.clone(), Arc::clone(self.desk.intake()));
        let reported = Arc::clone(self.desk.intake());
        admin::Revocation {
            submit: Arc::new(move |records, wait| {
                let desk = submitting.clone();
                Box::pin(async move { desk.submit(records, wait).await })
            }),
            watch: Arc::new(move || watched.watch()),
            report: Arc::new(move || reported.report()),
            register: Arc::clone(&self.register),
            ids: Arc::clone(&self.ids),
            secret: self.secret.clone(),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    let unreadable =
        |error| Fault::Revocation(format!("{} cannot be read: {error}", path.display()));
    std::fs::read(path).map_err(unreadable)
}
