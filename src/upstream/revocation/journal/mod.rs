//! Keeps revocation records on disk: a file that is only ever appended to, and replaced whole.
//!
//! What [`Journal::append`] has returned for is on the disk and is read at the next start, whatever ended the
//! process or the machine. A start after a crash finds the last commit torn at worst; nobody was told of it, so it
//! is cut off, and what can still be read of it is kept. Any other damage concerns records that were acknowledged,
//! and [`Journal::open`] refuses such a file: it never guesses, and it never deletes.
#![forbid(unsafe_code)]

mod compaction;
mod files;
mod slot;
#[cfg(test)]
mod tests;

pub use compaction::{Compacted, Compaction};

use crate::os;
use crate::revocation::Record;
use files::Folder;
use slot::{COMMIT_RECORDS_MAX, Header, SLOT_BYTES, Scan, Sound};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Why a journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The system refused something.
    #[error("{path}: {what}: {cause}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system said.
        cause: io::Error,
    },
    /// Another process has it open.
    #[error("{path} is in use by another process; two daemons need a state_dir each")]
    Locked {
        /// The lock.
        path: PathBuf,
    },
    /// Anybody could change it.
    #[error("{path} can be written by anybody (mode {mode:04o}); run: chmod o-w {path}")]
    Exposed {
        /// The folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is not a journal of this version.
    #[error(
        "{path} is no journal that this version can read; move it away only if nothing in it is needed"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Acknowledged records cannot be read.
    #[error(
        "{path} is damaged at byte {offset}: {bad} of its records cannot be read, {good} can. They were \
         acknowledged, so nothing was changed; restore the file from a copy, or let `jotd revoke salvage {path}` \
         write what can be read into a new file, and revoke again what was lost"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the first bad record stands.
        offset: u64,
        /// How many cannot be read.
        bad: u64,
        /// How many can.
        good: u64,
    },
}

/// What a start found torn, and mended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// Bytes cut off.
    pub bytes_cut: u64,
    /// Records in them that could be read, and were kept.
    pub records_kept: usize,
    /// Where the bytes were put aside.
    pub aside: PathBuf,
}

/// An open journal. No other process can open it meanwhile.
#[derive(Debug)]
pub struct Journal {
    folder: Folder,
    file: File,
    header: Header,
    /// Slots after the header.
    slots: u64,
    /// The last commit.
    commit: u64,
    repair: Option<Repair>,
    /// The disk may hold less than the file shows, until the file has been replaced.
    is_broken: bool,
}

impl Journal {
    /// Opens the journal `name` in a folder, both made where there are none, and reads it.
    ///
    /// # Errors
    /// [`JournalError`]. The file is then as it was.
    pub fn open(directory: &Path, name: &str) -> Result<(Self, Vec<Record>), JournalError> {
        let folder = Folder::open(directory, name)?;
        let file = match folder.open_file()? {
            Some(file) => file,
            None => folder.create_file(&fresh_header(0, 0))?,
        };
        let path = folder.path();
        let fault = |what| {
            let path = path.clone();
            move |cause| JournalError::Io { path, what, cause }
        };
        // What an earlier process wrote and did not live to sync must not vanish after we have believed it.
        file.sync_all().map_err(fault("cannot be synced"))?;
        let bytes = files::read(&file).map_err(fault("cannot be read"))?;
        let header =
            Header::decode(&bytes).ok_or_else(|| JournalError::Foreign { path: path.clone() })?;
        let slots = bytes.get(SLOT_BYTES..).unwrap_or_default();
        let (Sound { records, commit }, torn) = match slot::scan(slots, &header) {
            Scan::Sound(sound) => (sound, None),
            Scan::Torn { sound, rest } => (sound, Some(rest)),
            Scan::Damaged { slot, bad, good } => {
                let offset = (slot + 1) * SLOT_BYTES as u64;
                return Err(JournalError::Damaged {
                    path,
                    offset,
                    bad,
                    good,
                });
            }
        };
        let mut journal = Self {
            folder,
            file,
            header,
            slots: records.len() as u64,
            commit,
            repair: None,
            is_broken: false,
        };
        let mut records = records;
        if let Some(rest) = torn {
            let torn = bytes.get(journal.length_usize()..).unwrap_or_default();
            let repair = journal
                .mend(torn, &rest)
                .map_err(fault("cannot be mended"))?;
            tracing::warn!(
                journal = %path.display(),
                bytes_cut = repair.bytes_cut,
                records_kept = repair.records_kept,
                aside = %repair.aside.display(),
                "the last commit was torn, which nobody had been told of; it was cut off"
            );
            journal.repair = Some(repair);
            records.extend(rest);
        }
        Ok((journal, records))
    }

    /// Appends records, and returns when they are on the disk.
    ///
    /// # Errors
    /// What the system said. None of the records of a failed commit count then, and the file is as it was;
    /// or, where not even that is sure, every further append fails until the file has been replaced by a
    /// compaction.
    pub fn append(&mut self, records: &[Record]) -> io::Result<()> {
        for commit in records.chunks(COMMIT_RECORDS_MAX) {
            self.commit(commit)?;
        }
        Ok(())
    }

    /// Records appended since the journal was first made. It never runs back.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.header.base + (self.slots - self.header.snapshot)
    }

    /// Records in the file, those that repeat another's key included.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.slots
    }

    /// Whether the file holds no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots == 0
    }

    /// Which file this is: a compaction makes another. With [`Self::sequence`] it says what the file holds, and a
    /// copy that was put back in its place is known for what it is.
    #[must_use]
    pub fn id(&self) -> [u8; 16] {
        self.header.id
    }

    /// Replaces a small file beside the journal, and returns when it is on the disk.
    ///
    /// # Errors
    /// What the system said; the old file is still there then.
    pub fn put_beside(&self, suffix: &str, bytes: &[u8]) -> io::Result<()> {
        self.folder.put_beside(suffix, bytes)
    }

    /// Reads a small file beside the journal, if it is there.
    ///
    /// # Errors
    /// What the system said.
    pub fn read_beside(&self, suffix: &str) -> io::Result<Option<Vec<u8>>> {
        self.folder.read_beside(suffix)
    }

    /// Whether appends fail until the file has been replaced.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// What [`Self::open`] mended.
    #[must_use]
    pub fn repair(&self) -> Option<&Repair> {
        self.repair.as_ref()
    }

    fn commit(&mut self, records: &[Record]) -> io::Result<()> {
        if self.is_broken {
            return Err(io::Error::other(
                "an earlier write failed half-way, and the journal has not been replaced yet",
            ));
        }
        let bytes = slot::encode_commit(records, self.commit + 1, &self.header.id);
        let written = self.file.write_all_at(&bytes, self.length());
        if let Err(cause) = written {
            self.cut();
            return Err(cause);
        }
        if let Err(cause) = self.file.sync_data() {
            // After a failed sync the kernel may call pages clean that never reached the disk, so a second
            // sync that succeeds says nothing. Only another file can be trusted.
            self.cut();
            self.is_broken = true;
            return Err(cause);
        }
        self.slots += records.len() as u64;
        self.commit += 1;
        Ok(())
    }

    /// Takes back what a failed commit may have written.
    fn cut(&mut self) {
        let cut = self.file.set_len(self.length());
        if let Err(error) = cut.and_then(|()| self.file.sync_all()) {
            tracing::error!(
                journal = %self.folder.path().display(), %error,
                "a half-written commit could not be taken back"
            );
            self.is_broken = true;
        }
    }

    /// Cuts off a torn commit, after it has been put aside, and appends what could be read of it.
    fn mend(&mut self, torn: &[u8], rest: &[Record]) -> io::Result<Repair> {
        let aside = self.folder.put_aside(torn)?;
        self.file.set_len(self.length())?;
        self.file.sync_all()?;
        self.append(rest)?;
        Ok(Repair {
            bytes_cut: torn.len() as u64,
            records_kept: rest.len(),
            aside,
        })
    }

    fn length(&self) -> u64 {
        (self.slots + 1) * SLOT_BYTES as u64
    }

    fn length_usize(&self) -> usize {
        usize::try_from(self.length()).unwrap_or(usize::MAX)
    }
}

/// Reads what can be read of a damaged journal, in a file that nobody has open.
///
/// # Errors
/// Where it cannot be read at all, or is no journal.
pub fn salvage(path: &Path) -> Result<Vec<Record>, JournalError> {
    let fault = |cause| JournalError::Io {
        path: path.to_owned(),
        what: "cannot be read",
        cause,
    };
    let bytes = File::open(path)
        .and_then(|file| files::read(&file))
        .map_err(fault)?;
    let foreign = || JournalError::Foreign {
        path: path.to_owned(),
    };
    let header = Header::decode(&bytes).ok_or_else(foreign)?;
    let slots = bytes.get(SLOT_BYTES..).unwrap_or_default();
    let readable = slots.chunks(SLOT_BYTES);
    Ok(readable
        .filter_map(|slot| slot::Slot::decode(slot, &header.id))
        .map(|slot| slot.record)
        .collect())
}

fn fresh_header(base: u64, snapshot: u64) -> Header {
    let mut id = [0; 16];
    os::fill_random(&mut id);
    Header { id, base, snapshot }
}
