//! A thread of its own for tasks that must hold nobody else up.
#![forbid(unsafe_code)]

use std::io;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// Runs what is spawned on its handle, until it is dropped.
pub(super) struct Apart {
    handle: Handle,
    _running: oneshot::Sender<()>,
}

impl Apart {
    /// Starts a thread of this name.
    ///
    /// # Errors
    /// What the system said.
    pub(super) fn start(name: &str) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (running, ended) = oneshot::channel::<()>();
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                // An error is the end too: the other side is gone.
                let _ = runtime.block_on(ended);
            })?;
        Ok(Self {
            handle,
            _running: running,
        })
    }

    /// Where its tasks are spawned.
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }
}
