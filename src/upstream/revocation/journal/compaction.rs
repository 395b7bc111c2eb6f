//! Replaces a journal by a smaller one that says the same: write a new file, sync it, give it the name, sync the
//! folder. The old file goes only when the new one is on the disk under its name.
#![forbid(unsafe_code)]

use super::files::Folder;
use super::slot::{Header, SLOT_BYTES, Slot};
use super::{Journal, fresh_header};
use crate::revocation::Record;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;

/// A compaction that has begun. Appends to the journal go on meanwhile.
#[derive(Debug)]
pub struct Compaction {
    folder: Folder,
    /// Slots that the old file had when it began: what comes after them is copied at the end.
    slots: u64,
}

/// A new file that waits for its name.
#[derive(Debug)]
pub struct Compacted {
    file: File,
    header: Header,
    slots: u64,
    old_slots: u64,
}

impl Compaction {
    /// Writes the new file, on any thread. `live` must be taken after the compaction began: it stands for
    /// everything that had been appended by then.
    ///
    /// # Errors
    /// What the system said; the journal is none the worse.
    pub fn write(self, live: impl Iterator<Item = Record>) -> io::Result<Compacted> {
        let header = fresh_header(0, 0);
        let mut slots = 0;
        let mut writer = BufWriter::with_capacity(1 << 20, self.folder.create_new()?);
        writer.write_all(&header.encode())?;
        for record in live {
            writer.write_all(&snapshot_slot(record, &header))?;
            slots += 1;
        }
        let file = writer
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        Ok(Compacted {
            file,
            header,
            slots,
            old_slots: self.slots,
        })
    }
}

impl Journal {
    /// Begins a compaction. At most one may be under way.
    ///
    /// # Errors
    /// Where the folder cannot be held open.
    pub fn begin_compaction(&self) -> io::Result<Compaction> {
        Ok(Compaction {
            folder: self.folder.again()?,
            slots: self.slots,
        })
    }

    /// Puts the new file into the old one's place, with what has been appended since the compaction began. It
    /// mends a broken journal.
    ///
    /// # Errors
    /// What the system said; the old file is still there then, and goes on unless the journal
    /// [is broken](Self::is_broken).
    pub fn adopt(&mut self, new: Compacted) -> io::Result<()> {
        let tail = self.slots.saturating_sub(new.old_slots);
        let mut slots = new.slots;
        let mut old = [0; SLOT_BYTES];
        for at in new.old_slots..self.slots {
            self.file.read_exact_at(&mut old, offset(at))?;
            let Some(slot) = Slot::decode(&old, &self.header.id) else {
                return Err(io::Error::other("the journal has changed on the disk"));
            };
            let bytes = snapshot_slot(slot.record, &new.header);
            new.file.write_all_at(&bytes, offset(slots))?;
            slots += 1;
        }
        let header = Header {
            base: self.sequence(),
            snapshot: slots,
            ..new.header
        };
        new.file.write_all_at(&header.encode(), 0)?;
        new.file.sync_all()?;
        self.folder.rename_new()?;
        tracing::debug!(
            old = self.slots,
            new = slots,
            tail,
            "a journal was compacted"
        );
        self.file = new.file;
        self.header = header;
        self.slots = slots;
        self.commit = 0;
        // Until the folder is on the disk, a crash may bring the old file back under this name.
        self.is_broken = true;
        self.folder.sync()?;
        self.is_broken = false;
        Ok(())
    }

    /// Replaces the file by one that holds `live` alone.
    ///
    /// # Errors
    /// As [`Self::adopt`].
    pub fn compact(&mut self, live: impl Iterator<Item = Record>) -> io::Result<()> {
        let new = self.begin_compaction()?.write(live)?;
        self.adopt(new)
    }
}

fn snapshot_slot(record: Record, header: &Header) -> [u8; SLOT_BYTES] {
    let slot = Slot {
        record,
        commit: 0,
        place: 0,
    };
    slot.encode(&header.id)
}

fn offset(slot: u64) -> u64 {
    (slot + 1) * SLOT_BYTES as u64
}
