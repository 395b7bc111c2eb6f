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
    entry: [AtomicU64; 6],
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
        let words: [u64; 6] = std::array::from_fn(|i| self.entry[i].load(Ordering::Relaxed));
        // Keeps the loads above from sinking below the second look at the version.
        fence(Ordering::Acquire);
        (self.version.load(Ordering::Relaxed) == version).then(|| unpack(words))
    }

    /// Whether an entry's times fit.
    pub(super) fn holds(entry: &Entry) -> bool {
        unpack(pack(entry)) == *entry
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

/// Bits of a time: 69,000 years either side of the epoch.
const TIME_BITS: u32 = 42;
const TIME_MAX: i64 = (1 << (TIME_BITS - 1)) - 1;
const TIME_MIN: i64 = -TIME_MAX;

/// A slot lies in two lines of the CPU's cache; unpacked, an entry would reach into a third.
fn pack(entry: &Entry) -> [u64; 6] {
    let times = [entry.valid_from, entry.valid_until, entry.expires_at];
    let times = times.into_iter().fold(0, |packed: u128, time| {
        let time = time.clamp(TIME_MIN, TIME_MAX) + TIME_MAX;
        packed << TIME_BITS | u128::from(time.cast_unsigned())
    });
    let [after, before] = entry.revocation;
    [
        entry.generation,
        halves(times).0,
        halves(times).1,
        u64::from(entry.issuer) << 32 | u64::from(entry.key),
        after,
        before,
    ]
}

#[inline]
fn unpack(words: [u64; 6]) -> Entry {
    let [generation, times_high, times_low, place, after, before] = words;
    let times = u128::from(times_high) << 64 | u128::from(times_low);
    let time = |nth: u32| {
        let packed = times >> (TIME_BITS * nth) & ((1 << TIME_BITS) - 1);
        let time = halves(packed).1.cast_signed() - TIME_MAX;
        // The ends stand for no bound at all.
        match time {
            TIME_MIN => i64::MIN,
            TIME_MAX => i64::MAX,
            time => time,
        }
    };
    Entry {
        generation,
        valid_from: time(2),
        valid_until: time(1),
        expires_at: time(0),
        issuer: super::high(place),
        key: super::low(place),
        revocation: [after, before],
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the halves are what is wanted"
)]
fn halves(wide: u128) -> (u64, u64) {
    ((wide >> 64) as u64, wide as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back_exactly_or_are_not_taken() {
        let entry = |time| Entry {
            generation: u64::MAX,
            valid_from: time,
            valid_until: time,
            expires_at: 1_710_000_000,
            issuer: u32::MAX,
            key: 7,
            revocation: [u64::MAX, 1],
        };
        for time in [
            0,
            -1,
            1_710_000_000,
            TIME_MAX - 1,
            1 - TIME_MAX,
            i64::MIN,
            i64::MAX,
        ] {
            assert!(Slot::holds(&entry(time)), "{time}");
        }
        for time in [TIME_MAX, -TIME_MAX, i64::MAX - 1, i64::MIN + 1, 1 << 50] {
            assert!(!Slot::holds(&entry(time)), "{time}");
        }
    }
}
