//! A ring's folder: files that come into being whole or not at all, and a lock between those that change it.

use super::{MANIFEST, VaultError};
use crate::limits::JWKS_BYTES_MAX;
use crate::os::FileLock;
use rustix::fs::{AtFlags, Dir, Mode, OFlags, openat, renameat, unlinkat};
use rustix::io::Errno;
use std::fs::{DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What the names of private keys' files begin with. Whatever else is in the folder is left alone.
pub(super) const KEY_PREFIX: &str = "key-";

const LOCK: &str = "ring.lock";

/// What is being written has this at the end of its name.
const NEW: &str = ".new";

const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);
const PUBLIC: Mode = PRIVATE.union(Mode::RGRP).union(Mode::ROTH);

/// A ring's folder.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    folder: File,
    /// Tests end a change after so many steps, as `kill -9` would.
    #[cfg(test)]
    pub(super) steps_left: std::cell::Cell<Option<usize>>,
}

impl Folder {
    /// Opens a folder that is there.
    pub(super) fn open(path: &Path) -> Result<Self, VaultError> {
        let folder = match File::open(path) {
            Ok(folder) => folder,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(VaultError::Missing(path.to_owned()));
            }
            Err(cause) => return Err(fault(path, "cannot be opened")(cause)),
        };
        Ok(Self {
            path: path.to_owned(),
            folder,
            #[cfg(test)]
            steps_left: std::cell::Cell::new(None),
        })
    }

    /// Opens a folder, and makes it where there is none. Others may look into it: what is private in it says so
    /// itself.
    pub(super) fn make(path: &Path) -> Result<Self, VaultError> {
        if !path.is_dir() {
            let mut builder = DirBuilder::new();
            let made = builder.recursive(true).mode(0o755).create(path);
            made.map_err(fault(path, "cannot be made"))?;
            // Otherwise a power cut may take the folder, and keys that have signed by then.
            let parent = path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty());
            let parent = File::open(parent.unwrap_or(Path::new(".")));
            let synced = parent.and_then(|parent| parent.sync_all());
            synced.map_err(fault(path, "cannot be synced"))?;
        }
        Self::open(path)
    }

    /// The path of a file in it.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the right to change it; whoever comes second is turned away, and does not wait for what may take long.
    pub(super) fn lock(&self) -> Result<FileLock, VaultError> {
        let path = self.path.join(LOCK);
        let flags = OFlags::RDWR | OFlags::CREATE;
        let lock = self.open_at(LOCK, flags, PRIVATE);
        let lock = lock.map_err(fault(&path, "cannot be locked"))?;
        FileLock::take(lock)
            .map_err(fault(&path, "cannot be locked"))?
            .ok_or_else(|| VaultError::Busy(self.path.clone()))
    }

    /// The manifest; `None` where there is none.
    pub(super) fn manifest(&self) -> Result<Option<Vec<u8>>, VaultError> {
        let path = self.path.join(MANIFEST);
        let file = match self.open_at(MANIFEST, OFlags::RDONLY, PUBLIC) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(fault(&path, "cannot be opened")(cause)),
        };
        let bytes = read_bounded(&file).map_err(fault(&path, "cannot be read"))?;
        Ok(Some(bytes.to_vec()))
    }

    /// Replaces the manifest: this moment is the one at which a change happens.
    pub(super) fn commit(&self, manifest: &[u8]) -> Result<(), VaultError> {
        self.put(MANIFEST, manifest, PUBLIC)
    }

    /// Writes a private key's file.
    pub(super) fn put_private(&self, name: &str, bytes: &[u8]) -> Result<(), VaultError> {
        self.put(name, bytes, PRIVATE)
    }

    /// Reads a private key's file, which others must not be able to read.
    pub(super) fn private(&self, name: &str) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let path = self.path.join(name);
        let file = self.open_at(name, OFlags::RDONLY, PRIVATE);
        let file = file.map_err(fault(&path, "cannot be opened"))?;
        let metadata = file.metadata().map_err(fault(&path, "cannot be read"))?;
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(VaultError::Exposed { path, mode });
        }
        read_bounded(&file).map_err(fault(&path, "cannot be read"))
    }

    /// Removes private keys' files that the manifest does not name, and what an earlier process left half
    /// written.
    pub(super) fn sweep(&self, named: &[&str]) -> Result<(), VaultError> {
        let cannot = fault(&self.path, "cannot be tidied");
        let entries = Dir::read_from(&self.folder).map_err(|errno| cannot(errno.into()))?;
        for entry in entries {
            let entry = entry.map_err(|errno| cannot(errno.into()))?;
            let Ok(name) = entry.file_name().to_str() else {
                continue;
            };
            let is_key = name.starts_with(KEY_PREFIX) && !named.contains(&name);
            let is_half = name.strip_suffix(NEW) == Some(MANIFEST);
            if is_key || is_half {
                self.step().map_err(cannot)?;
                match unlinkat(&self.folder, name, AtFlags::empty()) {
                    Ok(()) | Err(Errno::NOENT) => {}
                    Err(errno) => return Err(cannot(errno.into())),
                }
            }
        }
        self.folder.sync_all().map_err(cannot)
    }

    /// Writes a file that is there whole or not at all, whatever happens meanwhile.
    fn put(&self, name: &str, bytes: &[u8], mode: Mode) -> Result<(), VaultError> {
        let new = format!("{name}{NEW}");
        let put = || {
            self.step()?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
            let mut file = self.open_at(&new, flags, mode)?;
            self.step()?;
            // One who was here before may have left it with other permissions, and a umask may have taken some.
            file.set_permissions(std::fs::Permissions::from_mode(mode.as_raw_mode()))?;
            let (first, second) = bytes.split_at(bytes.len() / 2);
            file.write_all(first)?;
            self.step()?;
            file.write_all(second)?;
            file.sync_all()?;
            self.step()?;
            renameat(&self.folder, &new, &self.folder, name)?;
            self.step()?;
            self.folder.sync_all()
        };
        put().map_err(fault(&self.path.join(name), "cannot be written"))
    }

    /// Opens a file of the folder; never through a link that somebody else put there.
    fn open_at(&self, name: &str, flags: OFlags, mode: Mode) -> io::Result<File> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        Ok(File::from(openat(&self.folder, name, flags, mode)?))
    }

    #[cfg(not(test))]
    #[expect(
        clippy::unnecessary_wraps,
        clippy::unused_self,
        reason = "tests end here"
    )]
    fn step(&self) -> io::Result<()> {
        Ok(())
    }

    #[cfg(test)]
    fn step(&self) -> io::Result<()> {
        match self.steps_left.get() {
            Some(0) => Err(io::Error::other("killed")),
            left => {
                self.steps_left.set(left.map(|left| left - 1));
                Ok(())
            }
        }
    }
}

fn read_bounded(file: &File) -> io::Result<Zeroizing<Vec<u8>>> {
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    if length > JWKS_BYTES_MAX {
        return Err(io::Error::other("it is too large"));
    }
    // The room is reserved beforehand: a growing buffer would leave copies of a secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(length + 1));
    let limit = u64::try_from(JWKS_BYTES_MAX).unwrap_or(u64::MAX);
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn fault(path: &Path, what: &'static str) -> impl Fn(io::Error) -> VaultError + Copy {
    move |cause| VaultError::Io {
        path: path.to_owned(),
        what,
        cause,
    }
}
