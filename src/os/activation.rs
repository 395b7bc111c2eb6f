//! Listeners that a service manager opened for us (`sd_listen_fds(3)`).
#![allow(
    unsafe_code,
    reason = "a descriptor number from the environment becomes an owned descriptor"
)]

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::sockopt::socket_acceptconn;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// A listener and the name its unit gives it (`FileDescriptorName=`).
pub type Activated = (String, OwnedFd);

/// Takes over the listeners that were passed to this process; only the first call gets them.
///
/// # Errors
/// The environment contradicts itself, or a descriptor is no listening socket.
pub fn take_activated() -> io::Result<Vec<Activated>> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(Vec::new());
    }
    sd_notify::listen_fds_with_names()?
        .map(|(number, name)| {
            // SAFETY: `listen_fds_with_names` has found the descriptor open, and that the service manager
            // meant it for this process. By that protocol it is ours alone, nothing else in this process
            // was given it, and `TAKEN` sees to it that it is taken once.
            let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
            fcntl_setfd(&descriptor, FdFlags::CLOEXEC)?;
            if socket_acceptconn(&descriptor)? {
                Ok((name, descriptor))
            } else {
                Err(io::Error::other(format!(
                    "descriptor {number} does not listen"
                )))
            }
        })
        .collect()
}
