//! The roof: starts the rooms in order, reloads, drains, stops.
//!
//! Start goes from the inside out, so that no door opens before there is someone behind it: keys at hand,
//! records, engine, key feeds, listeners, threads for connections, ready. Stop goes from the outside in:
//! not ready, no new connections, answer what was accepted, workers, admin.
#![forbid(unsafe_code)]

mod control;
mod dev;
mod io;
mod listen;
mod notify;
mod records;
mod redis;
mod reload;
mod revocation;
mod watchdog;

pub use dev::{Dev, dev};
pub use reload::Load;

use crate::clock::{self, Clock};
use crate::config::Config;
use crate::engine::{Engine, EngineError};
use crate::metrics::Metrics;
use crate::os;
use crate::transport::admin::{Admin, Readiness};
use crate::transport::peers::Peers;
use crate::transport::{Context, Shutdown, ShutdownTrigger};
use crate::upstream::revocation::Polls;
use crate::upstream::{KeysAtHand, Statuses, Upstream};
use control::Control;
use io::{Doors, IoThreads};
use listen::{Listeners, OwnedPath};
use records::HeldAgainst;
use reload::{Fetched, Reloader};
use revocation::{Prepared, Revocation};
use std::net::SocketAddr;
use std::sync::Arc;

/// Why the daemon could not start.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A listener could not be opened.
    #[error("{what} cannot be listened on: {cause}")]
    Listen {
        /// Which.
        what: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Key files changed for the worse between check and start.
    #[error("keys cannot be used: {}", .0.join("; "))]
    Keys(Vec<String>),
    /// Issuers or policies contradict each other.
    #[error(transparent)]
    Records(#[from] crate::verify::RecordsError),
    /// TLS cannot be served.
    #[error("TLS cannot be served: {0}")]
    Tls(String),
    /// The log of revocations cannot be used. Starting without it would let revoked tokens pass.
    #[error("revocations cannot be kept: {0}")]
    Revocation(String),
    /// The workers could not be started.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The system refused a thread or what it needs.
    #[error("a thread could not be started: {0}")]
    Thread(std::io::Error),
    /// No development token could be made.
    #[error("no development token could be made: {0}")]
    Issuer(#[from] crate::issuer::SigningError),
    /// The development configuration was refused.
    #[error("{0}")]
    Config(#[from] crate::config::Faults),
}

/// How the daemon ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything that was accepted was answered.
    Drained,
    /// A second signal or the deadline came first, and some callers got no answer.
    Cut,
}

impl Ended {
    /// What the process says of it: 0 where nothing was lost, 1 where a caller got no answer.
    #[must_use]
    pub fn exit_code(self) -> i32 {
        match self {
            Self::Drained => 0,
            Self::Cut => 1,
        }
    }
}

/// A running daemon.
pub struct Daemon {
    engine: Engine,
    config: Config,
    addresses: Addresses,
    serving: ShutdownTrigger,
    io: IoThreads,
    control: Control,
    reloader: Arc<Reloader>,
    upstream: Arc<Upstream>,
    revocation: Option<Revocation>,
    polls: Option<Polls>,
    owned_paths: Vec<OwnedPath>,
}

/// Where a daemon listens; with port 0 configured, the port it was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// HTTP and gRPC.
    pub http: Option<SocketAddr>,
    /// Metrics, health, reload, revocation.
    pub admin: Option<SocketAddr>,
}

impl Daemon {
    /// Starts a daemon; it is ready when this returns. `load` reads the configuration again for a reload.
    ///
    /// # Errors
    /// [`Fault`]; nothing is left running then.
    pub fn start(config: Config, load: Load) -> Result<Self, Fault> {
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        let metrics = Arc::new(Metrics::new());
        let tls = records::acceptor(&config)?;
        let feeds = records::feeds(&config);
        let clock = Clock::system();
        let keys = match records::kept_sets(&config) {
            Some(kept) => KeysAtHand::read_kept(&feeds, kept, clock.now()),
            None => KeysAtHand::read(&feeds),
        };
        let mut keys = keys.map_err(Fault::Keys)?;
        if let Some(shared) = &config.keys_shared {
            let sets = redis::shared_sets(shared, &clock, &metrics);
            keys = keys.sharing(sets.map_err(|why| Fault::Keys(vec![why]))?);
        }
        let revocation = config.revocation.as_ref().map(Prepared::new).transpose()?;
        let held_against = HeldAgainst {
            replay: Arc::new(revocation::replay(&config, revocation.as_ref())?),
            statuses: Arc::default(),
            revocation: revocation.as_ref().map(Prepared::held_against).cloned(),
        };
        let records = Arc::new(records::records(&config, &keys, &held_against)?);
        let passed = os::take_activated().map_err(|cause| Fault::Listen {
            what: "what the service manager passed".to_owned(),
            cause,
        })?;
        let mut listeners = Listeners::open(&config.listen, passed)?;
        let revocation = revocation.map(|prepared| prepared.open(&clock, &metrics));
        let revocation = revocation.transpose()?;
        let engine = Engine::start(&config.engine, records, clock, metrics.clone())?;
        let addresses = Addresses {
            http: listeners
                .http
                .as_ref()
                .and_then(|http| http.local_addr().ok()),
            admin: listeners
                .admin
                .as_ref()
                .and_then(|admin| admin.local_addr().ok()),
        };
        let limits = Arc::new(config.limits.clone());
        let (serving, shutdown) = Shutdown::new();
        let readiness = Readiness::new(
            engine.clone(),
            shutdown.clone(),
            config.listen.keys_required,
            revocation.as_ref().map(Revocation::register),
            revocation.as_ref().map(Revocation::logs),
        );
        let context = Context {
            engine: engine.clone(),
            metrics: metrics.clone(),
            limits: limits.clone(),
            shutdown,
        };
        let peers = Peers::new(
            engine.clone(),
            metrics.clone(),
            limits,
            config.peers.clone(),
        );

        let control = Control::start()?;
        let upstream = Arc::new(Upstream::start(
            feeds,
            &keys,
            engine.clone(),
            metrics.clone(),
            control.runtime().clone(),
        ));
        let seeker = upstream.seeker();
        engine.on_missing_key(move |key| seeker.seek(key));
        upstream.serve_tenants(records::tenant_feeds(&config));
        upstream.follow_decryption(records::decryption_feeds(&config));
        let hint = upstream.tenant_hint();
        engine.on_missing_tenant(move |tenant| hint.missing(tenant));
        let statuses = Statuses::start(
            held_against.statuses.clone(),
            records::status_sources(&config),
            engine.clone(),
            metrics.clone(),
            control.runtime(),
        );
        let polls = revocation.as_ref().map(|revocation| {
            let runtime = control.runtime();
            revocation.poll(engine.clone(), metrics.clone(), runtime)
        });
        let reloader = Arc::new(Reloader::new(
            load,
            config.clone(),
            Fetched {
                upstream: upstream.clone(),
                statuses,
            },
            peers.clone(),
            tls.clone(),
            held_against,
            metrics,
        ));
        let served = Admin {
            readiness: readiness.clone(),
            reload: control::reload_of(reloader.clone()),
            keys: Some(control::keys_of(&upstream)),
            revocation: revocation.as_ref().map(Revocation::served),
            hosts: config.listen.admin_hosts.as_slice().into(),
        };
        let (admin, socket) = (listeners.admin.take(), listeners.admin_socket.take());
        control.serve_admin(admin, socket, &served, &context)?;
        let doors = Doors::new(&mut listeners, tls, peers, context);
        let io = IoThreads::start(&config.threads.io, &doors)?;
        control.watch(engine.clone(), io.runtimes().to_vec());
        readiness.set_started();
        Ok(Self {
            engine,
            config,
            addresses,
            serving,
            io,
            control,
            reloader,
            upstream,
            revocation,
            polls,
            owned_paths: listeners.owned_paths,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Loads the configuration again: what was done, or the text of all its faults.
    ///
    /// # Errors
    /// The faults; the old configuration stays then.
    pub fn reload(&self) -> Result<String, String> {
        self.reloader.reload()
    }

    /// Stops: takes nothing more, answers what was accepted, and ends within the configured patience.
    #[must_use]
    pub fn stop(self) -> Ended {
        let began = clock::since_boot();
        let patience = self.config.drain_patience;
        let left = || patience.saturating_sub(clock::since_boot().saturating_sub(began));
        self.serving.begin();
        let connections_done = self.io.join(left());
        drop(self.upstream);
        drop(self.polls);
        let workers_done = self.engine.drain(left());
        // Orders are taken to the last: whoever is told that one stands finds it at the next start.
        if let Some(revocation) = &self.revocation {
            revocation.desk.stop();
        }
        self.control.stop();
        drop(self.owned_paths);
        if connections_done && workers_done {
            Ended::Drained
        } else {
            Ended::Cut
        }
    }
}

/// Runs a daemon until SIGTERM or SIGINT; SIGHUP reloads. `on_ready` is called when it serves.
///
/// # Errors
/// [`Fault`] where it could not start.
pub fn run(config: Config, load: Load, on_ready: impl FnOnce(&Daemon)) -> Result<Ended, Fault> {
    if let Err(error) = os::harden() {
        tracing::warn!(%error, "core dumps could not be forbidden");
    }
    let open_files_max = os::raise_open_files();
    // The rest is for key files, logs and listeners; refusing a connection beats not being able to reload.
    if open_files_max.is_some_and(|max| max / 2 < config.limits.connections_max as u64) {
        tracing::warn!(
            open_files_max,
            connections_max = config.limits.connections_max,
            "connections_max is more than half of the open files allowed; raise LimitNOFILE="
        );
    }
    // Before anything else: a signal that comes early must not kill a daemon that could drain.
    let mut signals = control::Signals::new()?;
    let daemon = Daemon::start(config, load)?;
    let status = format!("serving {} issuers", daemon.config.issuers.len());
    tracing::info!(
        issuers = daemon.config.issuers.len(),
        io_cpus = ?daemon.config.threads.io,
        verify_cpus = ?daemon.config.threads.verify,
        socket = ?daemon.config.listen.socket.as_ref().map(|socket| &socket.path),
        http = daemon.addresses.http.map(tracing::field::display),
        admin = daemon.addresses.admin.map(tracing::field::display),
        "ready"
    );
    notify::ready(&status);
    on_ready(&daemon);
    while let control::Signal::Reload = signals.next() {
        notify::reloading();
        let _ = daemon.reload();
        notify::ready(&status);
    }
    tracing::info!("stopping: answering what was accepted");
    notify::stopping();
    signals.exit_on_next(Ended::Cut);
    let ended = daemon.stop();
    match ended {
        Ended::Drained => tracing::info!("stopped"),
        Ended::Cut => tracing::warn!("stopped before everything was answered"),
    }
    Ok(ended)
}
