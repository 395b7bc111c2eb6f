//! One remembered token, readable without a lock.
//!
//! A sequence lock out of plain atomics: the writer makes the version odd, writes, and makes it even
//! again; a reader that saw an odd or a changed version has seen nothing.
#![forbid(unsafe_code)]

use super::{Entry, Name};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// Hits that are told apart when something must go. More would only make a token that was popular once
/// outlive those that are popular now.
const USES_MAX: u32 = 3;

/// Name, entry, and how often it was used lately.
#[derive(Default)]
pub(super) struct Slot {
    version: AtomicU32,
    uses: AtomicU32,
    name: [AtomicU64; 4],
    entry: [AtomicU64; 5],
}

impl Slot {
    /// The entry, if the slot holds exactly this name and no writer disturbed the look.
    #[inline]
    pub(super) fn read(&self, name: &Name) -> Option<Entry> {
        let version = self.version.load(Ordering::Acquire);
        let held: [u64; 4] = std::array::from_fn(|i| self.name[i].load(Ordering::Relaxed));
        if held != name.0 || version % 2 == 1 {
            return None;
        }
        let words: [u64; 5] = std::array::from_fn(|i| self.entry[i].load(Ordering::Relaxed));
        // Keeps the loads above from sinking below the second look at the version.
        fence(Ordering::Acquire);
        (self.version.load(Ordering::Relaxed) == version).then(|| unpack(words))
    }

    /// Reads from both ends, and so from every line the slot lies in, for the reading's sake.
    #[inline]
    pub(super) fn approach(&self) {
        let [.., last] = &self.entry;
        std::hint::black_box((
            self.version.load(Ordering::Relaxed),
            last.load(Ordering::Relaxed),
        ));
    }

    /// Counts a use. Racing readers may lose a count, which is fine for an estimate; once the count is
    /// full, readers no longer write and the line stays shared between cores.
    #[inline]
    pub(super) fn touch(&self) {
        let uses = self.uses.load(Ordering::Relaxed);
        if uses < USES_MAX {
            self.uses.store(uses + 1, Ordering::Relaxed);
        }
    }

    /// Takes one use away; false if there was none.
    pub(super) fn spend_use(&self) -> bool {
        let uses = self.uses.load(Ordering::Relaxed);
        self.uses.store(uses.saturating_sub(1), Ordering::Relaxed);
        uses > 0
    }

    /// Forgets all uses; false if there were none.
    pub(super) fn spend_all_uses(&self) -> bool {
        self.uses.swap(0, Ordering::Relaxed) > 0
    }

    /// The name held. Only for whoever holds the shard's lock: no writer can be at work.
    pub(super) fn name(&self) -> Name {
        Name(std::array::from_fn(|i| {
            self.name[i].load(Ordering::Relaxed)
        }))
    }

    /// Replaces name and entry. Only for whoever holds the shard's lock.
    pub(super) fn write(&self, name: &Name, entry: &Entry) {
        let version = self.version.load(Ordering::Relaxed);
        self.version
            .store(version.wrapping_add(1), Ordering::Relaxed);
        // Keeps the stores below from rising above the odd version.
        fence(Ordering::Release);
        for (cell, word) in self.name.iter().zip(name.0) {
            cell.store(word, Ordering::Relaxed);
        }
        for (cell, word) in self.entry.iter().zip(pack(entry)) {
            cell.store(word, Ordering::Relaxed);
        }
        self.version
            .store(version.wrapping_add(2), Ordering::Release);
    }
}

fn pack(entry: &Entry) -> [u64; 5] {
    [
        entry.generation,
        entry.valid_from.cast_unsigned(),
        entry.valid_until.cast_unsigned(),
        entry.expires_at.cast_unsigned(),
        u64::from(entry.issuer) << 32 | u64::from(entry.key_slot),
    ]
}

fn unpack(words: [u64; 5]) -> Entry {
    let [generation, valid_from, valid_until, expires_at, place] = words;
    Entry {
        generation,
        valid_from: valid_from.cast_signed(),
        valid_until: valid_until.cast_signed(),
        expires_at: expires_at.cast_signed(),
        issuer: super::high(place),
        key_slot: super::low(place),
    }
}
