//! The threads that carry connections: one a CPU, each with a runtime of its own, all accepting from the
//! same listeners. A connection lives its whole life on the thread that accepted it.
#![forbid(unsafe_code)]

use super::Fault;
use super::listen::Listeners;
use crate::os;
use crate::transport::peers::Peers;
use crate::transport::tls::Acceptor;
use crate::transport::{Context, tcp, uds};
use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};

/// The running threads.
pub(super) struct IoThreads {
    handles: Vec<JoinHandle<()>>,
    runtimes: Vec<Handle>,
    /// Carries nothing; it disconnects when the last thread has ended.
    ended: Receiver<()>,
}

/// What every thread serves.
pub(super) struct Doors {
    pub(super) socket: Option<UnixListener>,
    pub(super) http: Option<TcpListener>,
    pub(super) tls: Option<Acceptor>,
    pub(super) peers: Arc<Peers>,
    pub(super) context: Context,
}

impl Doors {
    pub(super) fn new(
        listeners: &mut Listeners,
        tls: Option<Acceptor>,
        peers: Arc<Peers>,
        context: Context,
    ) -> Self {
        Self {
            socket: listeners.socket.take(),
            http: listeners.http.take(),
            tls,
            peers,
            context,
        }
    }

    fn try_clone(&self) -> io::Result<Self> {
        let socket = self.socket.as_ref().map(UnixListener::try_clone);
        let http = self.http.as_ref().map(TcpListener::try_clone);
        Ok(Self {
            socket: socket.transpose()?,
            http: http.transpose()?,
            tls: self.tls.clone(),
            peers: self.peers.clone(),
            context: self.context.clone(),
        })
    }
}

impl IoThreads {
    /// Starts one thread for each of `cpus`, pinned to it.
    ///
    /// # Errors
    /// [`Fault::Thread`].
    pub(super) fn start(cpus: &[usize], doors: &Doors) -> Result<Self, Fault> {
        let (alive, ended) = channel();
        let mut threads = Self {
            handles: Vec::with_capacity(cpus.len()),
            runtimes: Vec::with_capacity(cpus.len()),
            ended,
        };
        for cpu in cpus {
            let runtime = runtime().map_err(Fault::Thread)?;
            let doors = doors.try_clone().map_err(Fault::Thread)?;
            threads.runtimes.push(runtime.handle().clone());
            let alive = alive.clone();
            let cpu = *cpu;
            let handle = thread::Builder::new()
                .name(format!("jotd-io-{cpu}"))
                .spawn(move || serve(cpu, &runtime, doors, alive))
                .map_err(Fault::Thread)?;
            threads.handles.push(handle);
        }
        Ok(threads)
    }

    /// The threads' runtimes, for whoever wants to know whether they still turn.
    pub(super) fn runtimes(&self) -> &[Handle] {
        &self.runtimes
    }

    /// Waits until every connection has been answered what it was owed. Returns false if that took longer
    /// than `patience`; the threads are then left to the end of the process.
    pub(super) fn join(self, patience: Duration) -> bool {
        let all_ended = self.ended.recv_timeout(patience) == Err(RecvTimeoutError::Disconnected);
        if all_ended {
            for handle in self.handles {
                // A panic was reported when it happened.
                let _ = handle.join();
            }
        }
        all_ended
    }
}

/// A runtime for the calling thread and few helpers.
pub(super) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        // Names are resolved and files read there, both seldom.
        .max_blocking_threads(4)
        .build()
}

fn serve(cpu: usize, runtime: &Runtime, doors: Doors, _alive: Sender<()>) {
    if !os::pin_to(cpu) {
        tracing::warn!(
            cpu,
            "a thread for connections could not be pinned, and floats"
        );
    }
    let Doors {
        socket,
        http,
        tls,
        peers,
        context,
    } = doors;
    runtime.block_on(async {
        let socket = async {
            let Some(socket) = socket else { return };
            match tokio::net::UnixListener::from_std(socket) {
                Ok(listener) => {
                    let options = Arc::new(uds::Options {
                        peers: peers.clone(),
                    });
                    uds::serve(listener, options, context.clone()).await;
                }
                Err(error) => tracing::error!(%error, "the Unix socket is not served"),
            }
        };
        let http = async {
            let Some(http) = http else { return };
            match tokio::net::TcpListener::from_std(http) {
                Ok(listener) => tcp::serve(listener, tls, peers.clone(), context.clone()).await,
                Err(error) => tracing::error!(%error, "HTTP is not served"),
            }
        };
        tokio::join!(socket, http);
    });
}
