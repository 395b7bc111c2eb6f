//! The folder of a journal: its lock, and files that come into being whole or not at all.
#![forbid(unsafe_code)]

use super::JournalError;
use super::slot::Header;
use crate::os::FileLock;
use rustix::fs::{AtFlags, Mode, OFlags, openat, renameat, unlinkat};
use rustix::io::Errno;
use std::fs::{DirBuilder, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);

/// Where a journal lives, locked for this process.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    name: String,
    folder: File,
    /// Held for as long as anybody has the folder.
    lock: Arc<FileLock>,
}

impl Folder {
    pub(super) fn open(path: &Path, name: &str) -> Result<Self, JournalError> {
        let fault = |what| {
            move |cause| JournalError::Io {
                path: path.to_owned(),
                what,
                cause,
            }
        };
        if !path.is_dir() {
            let mut builder = DirBuilder::new();
            let made = builder.recursive(true).mode(0o700).create(path);
            made.map_err(fault("cannot be made"))?;
        }
        let folder = File::open(path).map_err(fault("cannot be opened"))?;
        let metadata = folder.metadata().map_err(fault("cannot be looked at"))?;
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o002 != 0 {
            return Err(JournalError::Exposed {
                path: path.to_owned(),
                mode,
            });
        }
        let lock_name = format!("{name}.lock");
        let flags = OFlags::RDWR | OFlags::CREATE;
        let lock = open_at(&folder, &lock_name, flags).map_err(fault("cannot be locked"))?;
        let lock = FileLock::take(lock).map_err(fault("cannot be locked"))?;
        let lock = lock.ok_or_else(|| JournalError::Locked {
            path: path.join(lock_name),
        })?;
        let folder = Self {
            path: path.to_owned(),
            name: name.to_owned(),
            folder,
            lock: Arc::new(lock),
        };
        // A compaction that did not come to its end. The journal itself has its name from the first on.
        match unlinkat(&folder.folder, folder.new_name(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(fault("cannot be tidied")(errno.into())),
        }
        // An earlier process may have died between a rename and its sync.
        folder.sync().map_err(fault("cannot be synced"))?;
        Ok(folder)
    }

    /// The same folder, under the same lock.
    pub(super) fn again(&self) -> io::Result<Self> {
        Ok(Self {
            path: self.path.clone(),
            name: self.name.clone(),
            folder: self.folder.try_clone()?,
            lock: Arc::clone(&self.lock),
        })
    }

    /// The journal's path.
    pub(super) fn path(&self) -> PathBuf {
        self.path.join(&self.name)
    }

    /// The journal, if there is one.
    pub(super) fn open_file(&self) -> Result<Option<File>, JournalError> {
        let fault = |cause| JournalError::Io {
            path: self.path(),
            what: "cannot be opened",
            cause,
        };
        match open_at(&self.folder, &self.name, OFlags::RDWR) {
            Ok(file) => {
                let private = std::fs::Permissions::from_mode(0o600);
                file.set_permissions(private).map_err(fault)?;
                Ok(Some(file))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(fault(error)),
        }
    }

    /// Makes an empty journal.
    pub(super) fn create_file(&self, header: &Header) -> Result<File, JournalError> {
        let make = || {
            let mut file = self.create_new()?;
            file.write_all(&header.encode())?;
            file.sync_all()?;
            self.rename_new()?;
            self.sync()?;
            Ok(file)
        };
        make().map_err(|cause| JournalError::Io {
            path: self.path(),
            what: "cannot be made",
            cause,
        })
    }

    /// A new file that has not the journal's name yet.
    pub(super) fn create_new(&self) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC;
        open_at(&self.folder, &self.new_name(), flags)
    }

    /// Gives the new file the journal's name.
    pub(super) fn rename_new(&self) -> io::Result<()> {
        renameat(&self.folder, self.new_name(), &self.folder, &self.name)?;
        Ok(())
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.folder.sync_all()
    }

    /// Keeps bytes that are about to be cut off.
    pub(super) fn put_aside(&self, bytes: &[u8]) -> io::Result<PathBuf> {
        let name = format!("{}.torn", self.name);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC;
        let mut file = open_at(&self.folder, &name, flags)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        self.sync()?;
        Ok(self.path.join(name))
    }

    /// Replaces a small file beside the journal, whole or not at all.
    pub(super) fn put_beside(&self, suffix: &str, bytes: &[u8]) -> io::Result<()> {
        let (name, new) = (self.beside(suffix), self.beside(&format!("{suffix}.new")));
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC;
        let mut file = open_at(&self.folder, &new, flags)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        renameat(&self.folder, new, &self.folder, name)?;
        self.sync()
    }

    /// Reads a small file beside the journal, if it is there.
    pub(super) fn read_beside(&self, suffix: &str) -> io::Result<Option<Vec<u8>>> {
        match open_at(&self.folder, &self.beside(suffix), OFlags::RDONLY) {
            Ok(file) => read(&file).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn beside(&self, suffix: &str) -> String {
        format!("{}.{suffix}", self.name)
    }

    fn new_name(&self) -> String {
        format!("{}.new", self.name)
    }
}

/// Reads a whole file from its first byte.
pub(super) fn read(mut file: &File) -> io::Result<Vec<u8>> {
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(0);
    let mut bytes = Vec::with_capacity(length);
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens a private file of the folder; never through a link that somebody else put there.
fn open_at(folder: &File, name: &str, flags: OFlags) -> io::Result<File> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    Ok(File::from(openat(folder, name, flags, PRIVATE)?))
}
