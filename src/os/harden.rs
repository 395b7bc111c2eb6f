//! Keeps what passes through this process in it: tokens and secrets must not end up in a core dump, and
//! nothing it creates is open to others.
#![forbid(unsafe_code)]

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Resource, Rlimit};
use std::io;

/// Turns core dumps and debuggers of other users away, and creates files for owner and group only.
///
/// # Errors
/// What the system said, where it would not.
pub fn harden() -> io::Result<()> {
    rustix::process::umask(Mode::from_raw_mode(0o027));
    rustix::process::setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    )?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// Lets this process open as many files as it may, and returns how many; `None` for no limit. The usual
/// soft limit of 1024 is for programs that use `select`, which this one does not.
#[must_use]
pub fn raise_open_files() -> Option<u64> {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match rustix::process::setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}
