//! A lock on a file, between processes.
#![forbid(unsafe_code)]

use std::fs::{File, TryLockError};
use std::io;

/// A file that is locked (`flock(2)`) while this is held. The system unlocks it when the process ends, however it ends.
#[derive(Debug)]
pub struct FileLock(File);

impl FileLock {
    /// Takes the lock; `None` while somebody else holds it.
    ///
    /// # Errors
    /// What the system said.
    pub fn take(file: File) -> io::Result<Option<Self>> {
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl Drop for FileLock {
    /// Closing is not enough: a program that another thread is just starting has the file open, and with it the lock,
    /// until it is that program.
    fn drop(&mut self) {
        // It is closed next, in any case.
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_the_next_though_the_file_is_open_elsewhere() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = || File::create(folder.path().join("lock")).expect("open");
        let file = open();
        // As a child has it from before it becomes another program.
        let _inherited = file.try_clone().expect("cloned");
        let held = FileLock::take(file).expect("no error").expect("free");
        assert!(FileLock::take(open()).expect("no error").is_none());
        drop(held);
        assert!(FileLock::take(open()).expect("no error").is_some());
    }
}
