//! Revocation, where it is configured: this host's log, the register, and what the admin listener gets of them.
#![forbid(unsafe_code)]

use super::{Fault, redis};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::engine::Engine;
use crate::metrics::Metrics;
use crate::os;
use crate::replay::{SharedUses, UsedTokens};
use crate::revocation::{IdKey, Options, Register};
use crate::transport::admin::{self, BearerSecret};
use crate::upstream::revocation::redis::{Durability, LogOptions, Options as LogsOptions, Uses};
use crate::upstream::revocation::{Desk, Intake, Poll, Polling, Polls};
use crate::verify::{self, Replay};
use http::HeaderValue;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::runtime::Handle;
use zeroize::Zeroizing;

/// What is configured, before the log is read. Tenants must be known to the register by then: records of others are
/// held to a stricter quota.
pub(super) struct Prepared {
    state_dir: PathBuf,
    logs: Option<LogsOptions>,
    ids: Arc<IdKey>,
    /// Names uses of single-use tokens, as all who share logs do.
    use_ids: IdKey,
    secret: Option<BearerSecret>,
    feeds: Vec<admin::Feed>,
    polls: Vec<Poll>,
    held_against: Arc<verify::Revocation>,
}

/// What is running.
pub(super) struct Revocation {
    pub(super) desk: Desk,
    ids: Arc<IdKey>,
    secret: Option<BearerSecret>,
    feeds: Arc<[admin::Feed]>,
    polls: Vec<Poll>,
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
            use_ids: IdKey::new(id_secret),
            secret: secret.map(|secret| BearerSecret::new(&secret)),
            feeds: delivered(config)?,
            polls: fetched(config)?,
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
            feeds: self.feeds.into(),
            polls: self.polls,
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

    /// Starts to fetch the feeds that are fetched.
    pub(super) fn poll(&self, engine: Engine, metrics: Arc<Metrics>, runtime: &Handle) -> Polls {
        let polling = Polling {
            engine,
            desk: self.desk.clone(),
            ids: Arc::clone(&self.ids),
            metrics,
        };
        Polls::start(self.polls.clone(), &polling, runtime)
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
            feeds: Arc::clone(&self.feeds),
        }
    }
}

/// The feeds that the admin listener takes.
fn delivered(config: &config::Revocation) -> Result<Vec<admin::Feed>, Fault> {
    let feeds = config.feeds.iter().filter(|feed| feed.poll.is_none());
    let feed = |feed: &config::RevocationFeed| {
        let secret = feed.token_file.as_deref().map(read).transpose()?;
        Ok(admin::Feed {
            feed: Arc::clone(&feed.feed),
            secret: secret.map(|secret| BearerSecret::new(&secret)),
        })
    };
    feeds.map(feed).collect()
}

/// The feeds that are fetched.
fn fetched(config: &config::Revocation) -> Result<Vec<Poll>, Fault> {
    let mut polls = Vec::new();
    for config::RevocationFeed {
        feed,
        token_file,
        poll,
    } in &config.feeds
    {
        let Some(poll) = poll else { continue };
        let authorization = token_file.as_deref().map(|path| -> Result<_, Fault> {
            let secret = read(path)?;
            let bearer = [b"Bearer ", secret.trim_ascii()].concat();
            let mut value = HeaderValue::from_bytes(&bearer).map_err(|_| {
                Fault::Revocation(format!("{} does not fit a header", path.display()))
            })?;
            value.set_sensitive(true);
            Ok(value)
        });
        polls.push(Poll {
            feed: Arc::clone(feed),
            uri: poll.uri.clone(),
            authorization: authorization.transpose()?,
            every: poll.every,
            trust: poll.trust.clone(),
        });
    }
    Ok(polls)
}

/// How single-use tokens pass once: on this host, or with logs elsewhere on all that share them.
///
/// # Errors
/// [`Fault::Revocation`].
pub(super) fn replay(config: &Config, prepared: Option<&Prepared>) -> Result<Replay, Fault> {
    let logs = prepared.and_then(|prepared| prepared.logs.as_ref());
    let shared = logs.map(Uses::start).transpose();
    let shared = shared.map_err(|cause| Fault::Revocation(cause.to_string()))?;
    Ok(Replay {
        used: Arc::new(UsedTokens::new(config.single_use_tokens_max)),
        ids: prepared.map_or_else(random_ids, |prepared| prepared.use_ids.clone()),
        shared: shared.map(|uses| Arc::new(uses) as Arc<dyn SharedUses>),
    })
}

/// Nobody else needs to know the names of our uses.
fn random_ids() -> IdKey {
    let mut secret = Zeroizing::new([0; 32]);
    os::fill_random(&mut *secret);
    IdKey::new(&*secret)
}

/// Logs elsewhere, if there are any.
fn logs(config: &config::Revocation) -> Result<Option<LogsOptions>, Fault> {
    let mut logs = Vec::with_capacity(config.logs.len());
    for log in &config.logs {
        let address = redis::address(&log.server);
        let address =
            address.map_err(|why| Fault::Revocation(format!("log {}: {why}", log.name)))?;
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
