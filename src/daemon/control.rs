//! The thread for everything that is not a token: admin requests, key fetches, the watchdog; and the
//! signals. It floats over all CPUs, so that a large key set never stands in a connection's way.
#![forbid(unsafe_code)]

use super::reload::Reloader;
use super::{Ended, Fault, io, watchdog};
use crate::engine::Engine;
use crate::transport::admin::{self, Admin, Reload};
use crate::transport::{Context, Shutdown, ShutdownTrigger};
use crate::upstream::{Refreshed, Upstream};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use tokio::runtime::{Handle, Runtime};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};
use tokio::sync::oneshot;

/// The running thread.
pub(super) struct Control {
    runtime: Handle,
    end: ShutdownTrigger,
    /// Seen by the admin listener, which answers until everything else is done.
    ending: Shutdown,
    thread: JoinHandle<()>,
}

impl Control {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`Fault::Thread`].
    pub(super) fn start() -> Result<Self, Fault> {
        let runtime = io::runtime().map_err(Fault::Thread)?;
        let handle = runtime.handle().clone();
        let (end, ending) = Shutdown::new();
        let mut until = ending.clone();
        let thread = thread::Builder::new()
            .name("jotd-control".to_owned())
            .spawn(move || {
                runtime.block_on(until.begun());
                // What still runs there is a fetch at most, which nobody waits for.
                runtime.shutdown_background();
            })
            .map_err(Fault::Thread)?;
        Ok(Self {
            runtime: handle,
            end,
            ending,
            thread,
        })
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Serves the admin listener, and the admin socket.
    ///
    /// # Errors
    /// [`Fault::Listen`].
    pub(super) fn serve_admin(
        &self,
        listener: Option<TcpListener>,
        socket: Option<UnixListener>,
        admin: &Admin,
        context: &Context,
    ) -> Result<(), Fault> {
        let _entered = self.runtime.enter();
        let fault = |cause| Fault::Listen {
            what: "the admin listener".to_owned(),
            cause,
        };
        let context = Context {
            shutdown: self.ending.clone(),
            ..context.clone()
        };
        if let Some(listener) = listener {
            let listener = tokio::net::TcpListener::from_std(listener).map_err(fault)?;
            let serving = admin::serve(listener, admin.clone(), context.clone());
            self.runtime.spawn(serving);
        }
        if let Some(socket) = socket {
            let socket = tokio::net::UnixListener::from_std(socket).map_err(fault)?;
            self.runtime
                .spawn(admin::serve_socket(socket, admin.clone(), context));
        }
        Ok(())
    }

    /// Starts the watchdog.
    pub(super) fn watch(&self, engine: Engine, io: Vec<Handle>) {
        self.runtime.spawn(watchdog::run(engine, io));
    }

    /// Ends the thread.
    pub(super) fn stop(self) {
        self.end.begin();
        // A panic there was reported when it happened.
        let _ = self.thread.join();
    }
}

/// What the admin listener's `POST /reload` does.
pub(super) fn reload_of(reloader: Arc<Reloader>) -> Reload {
    Arc::new(move || Box::pin(reload_aside(Arc::clone(&reloader))))
}

/// What the admin listener knows of keys. It does not keep them current any longer than the daemon does.
pub(super) fn keys_of(upstream: &Arc<Upstream>) -> admin::Keys {
    let (reporting, refreshing) = (Arc::downgrade(upstream), Arc::downgrade(upstream));
    admin::Keys {
        report: Arc::new(move |query| {
            let upstream = reporting.upgrade();
            upstream.map_or(serde_json::Value::Null, |upstream| {
                let (issuer, after) = (query.issuer.as_deref(), query.after.as_deref());
                upstream.report(issuer, after, query.issuers_max)
            })
        }),
        refresh: Arc::new(move |issuer| {
            let upstream = refreshing.upgrade();
            Box::pin(async move {
                let upstream = upstream.ok_or_else(|| "the daemon stops".to_owned())?;
                let refreshed = upstream.refresh(issuer.as_deref()).await;
                let refreshed = refreshed.map_err(|error| error.to_string())?;
                let one = |one: &Refreshed| {
                    serde_json::json!({
                        "issuer": &*one.issuer,
                        "outcome": one.outcome,
                        "why": one.why,
                    })
                };
                Ok(refreshed.iter().map(one).collect())
            })
        }),
    }
}

/// Reloads on a thread of its own: it reads files, and the control thread has signals and a watchdog to mind.
async fn reload_aside(reloader: Arc<Reloader>) -> Result<String, String> {
    let (done, outcome) = oneshot::channel();
    std::thread::Builder::new()
        .name("jotd-reload".to_owned())
        // Nobody may be listening any more; the reload has then still been logged and counted.
        .spawn(move || done.send(reloader.reload()))
        .map_err(|cause| format!("no thread could be started to reload: {cause}\n"))?;
    outcome
        .await
        .unwrap_or_else(|_| Err("the reload stopped half-way; the log says why\n".to_owned()))
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Reload,
    Stop,
}

/// The signals that the daemon listens to.
pub(super) struct Signals {
    runtime: Runtime,
    hangup: Stream,
    terminate: Stream,
    interrupt: Stream,
}

impl Signals {
    /// Catches the signals from now on.
    ///
    /// # Errors
    /// [`Fault::Thread`].
    pub(super) fn new() -> Result<Self, Fault> {
        let runtime = io::runtime().map_err(Fault::Thread)?;
        let _entered = runtime.enter();
        let catch = |kind| signal(kind).map_err(Fault::Thread);
        let hangup = catch(SignalKind::hangup())?;
        let terminate = catch(SignalKind::terminate())?;
        let interrupt = catch(SignalKind::interrupt())?;
        drop(_entered);
        Ok(Self {
            runtime,
            hangup,
            terminate,
            interrupt,
        })
    }

    /// Waits for the next one.
    pub(super) fn next(&mut self) -> Signal {
        let Self {
            runtime,
            hangup,
            terminate,
            interrupt,
        } = self;
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => Signal::Stop,
                _ = interrupt.recv() => Signal::Stop,
                _ = hangup.recv() => Signal::Reload,
            }
        })
    }

    /// From now on, the next signal to stop ends the process on the spot: whoever asks twice will not
    /// wait.
    #[expect(
        clippy::disallowed_methods,
        reason = "destructors are what whoever asks twice will not wait for"
    )]
    pub(super) fn exit_on_next(mut self, ended: Ended) {
        let spawned = thread::Builder::new()
            .name("jotd-signals".to_owned())
            .spawn(move || {
                while self.next() == Signal::Reload {}
                tracing::warn!("stopping at once: a second signal came");
                std::process::exit(ended.exit_code());
            });
        if let Err(error) = spawned {
            tracing::warn!(%error, "a second signal will not hurry the stop");
        }
    }
}
