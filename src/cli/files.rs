//! Files that the command line names: read within bounds, written so that nothing is lost or leaked.

use super::exit::Failure;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use zeroize::Zeroizing;

/// Reads a whole file that must not be longer than `bytes_max`. The bytes are erased when dropped: any of
/// these files may hold a private key.
pub(super) fn read(path: &Path, bytes_max: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let file = File::open(path).map_err(|error| Failure::file(path, error))?;
    // Reserving all of it at once leaves no half-copies of a secret behind in freed memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(bytes_max.saturating_add(1).min(1 << 20)));
    let limit = u64::try_from(bytes_max)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    file.take(limit)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::file(path, error))?;
    if bytes.len() > bytes_max {
        return Err(Failure::file(
            path,
            format_args!("longer than {bytes_max} bytes"),
        ));
    }
    Ok(bytes)
}

/// Refuses a private key that other users of this host can read.
pub(super) fn require_private(path: &Path) -> Result<(), Failure> {
    let metadata = std::fs::metadata(path).map_err(|error| Failure::file(path, error))?;
    let mode = metadata.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{path}: other users may read this private key (mode {mode:04o})\n\n  \
         hint: chmod 600 {path}\n  \
         hint: --insecure-key-permissions accepts it as it is",
        path = path.display(),
        mode = mode & 0o7777,
    )))
}

/// Writes a new file. An existing one is never overwritten: it may be the only copy of a key.
pub(super) fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::file(path, "exists already, and is left as it is"),
        _ => Failure::file(path, error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_over_the_limit_is_refused_and_one_at_the_limit_is_read() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("keys");
        std::fs::write(&path, b"12345").expect("written");
        assert_eq!(read(&path, 5).expect("five bytes fit").as_slice(), b"12345");
        assert!(matches!(read(&path, 4), Err(Failure::Usage(_))));
    }

    #[test]
    fn what_exists_is_not_overwritten() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("key");
        write_new(&path, b"first", 0o600).expect("written");
        assert!(write_new(&path, b"second", 0o600).is_err());
        assert_eq!(std::fs::read(&path).expect("readable"), b"first");
        let mode = std::fs::metadata(&path)
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_key_that_the_group_may_read_is_refused() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("key");
        write_new(&path, b"secret", 0o600).expect("written");
        assert_eq!(require_private(&path), Ok(()));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("set");
        let Err(Failure::Usage(message)) = require_private(&path) else {
            panic!("mode 0640 must be refused");
        };
        assert!(message.contains("chmod 600"), "{message}");
    }
}
