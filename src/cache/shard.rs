//! One shard: slots and index that anyone may read, and the ledger behind a lock for those who write.
#![forbid(unsafe_code)]

use super::index::Index;
use super::ledger::{Ledger, Uses};
use super::slot::Slot;
use super::{Entry, Name};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock};

/// Slots are allocated so many at a time, when the first of them is needed: an idle daemon stays small.
const CHUNK_SLOTS: usize = 64;

/// One shard of the cache.
pub(super) struct Shard {
    index: Index,
    slots: Slots,
    /// A copy of the ledger's count that can be read without its lock.
    len: AtomicUsize,
    capacity: usize,
    share_max: usize,
    ledger: Mutex<Ledger>,
}

struct Slots(Box<[OnceLock<Box<[Slot]>>]>);

impl Shard {
    pub(super) fn new(capacity: usize, share_max: usize) -> Self {
        Self {
            index: Index::new(capacity),
            slots: Slots::new(capacity),
            len: AtomicUsize::new(0),
            capacity,
            share_max,
            ledger: Mutex::new(Ledger::new(capacity, share_max)),
        }
    }

    #[inline]
    pub(super) fn get(&self, name: &Name) -> Option<Entry> {
        self.index.find(name, |slot| {
            let slot = self.slots.get(slot)?;
            let entry = slot.read(name)?;
            slot.touch();
            Some(entry)
        })
    }

    /// The slot that the name's first cell speaks of; perhaps none.
    #[inline]
    pub(super) fn likely_slot(&self, name: &Name) -> u32 {
        self.index.first(name)
    }

    /// Reads from a slot, so that its lines are near when it is looked at.
    #[inline]
    pub(super) fn approach(&self, slot: u32) {
        if let Some(slot) = self.slots.get(slot) {
            slot.approach();
        }
    }

    pub(super) fn insert(&self, name: &Name, entry: &Entry, share: u32) -> bool {
        if self.capacity == 0 || !Slot::holds(entry) {
            return false;
        }
        let mut ledger = self.lock();
        if let Some(slot) = self.slot_of(name) {
            if ledger.share(slot) == share {
                self.slots.get_or_allocate(slot).write(name, entry);
                return false;
            }
            self.forget(&mut ledger, name, slot);
        }
        let must_go = ledger.must_go(share, &self.slots);
        if let Some(slot) = must_go {
            self.forget(&mut ledger, &self.slots.name(slot), slot);
        }
        if let Some(slot) = ledger.admit(name, share) {
            let place = self.slots.get_or_allocate(slot);
            place.spend_all_uses();
            place.write(name, entry);
            self.index.enter(name, slot);
        }
        self.len.store(ledger.len(), Ordering::Relaxed);
        must_go.is_some()
    }

    pub(super) fn renew(&self, name: &Name, found: &Entry, revocation: [u64; 2]) {
        // A hit does not wait for a writer.
        let Ok(_ledger) = self.ledger.try_lock() else {
            return;
        };
        let slot = self.slot_of(name).and_then(|slot| self.slots.get(slot));
        if let Some(slot) = slot
            && slot.read(name).as_ref() == Some(found)
        {
            slot.write(
                name,
                &Entry {
                    revocation,
                    ..*found
                },
            );
        }
    }

    pub(super) fn remove(&self, name: &Name) {
        let mut ledger = self.lock();
        if let Some(slot) = self.slot_of(name) {
            self.forget(&mut ledger, name, slot);
        }
        self.len.store(ledger.len(), Ordering::Relaxed);
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    pub(super) fn share_len(&self, share: u32) -> usize {
        self.lock().share_len(share)
    }

    fn slot_of(&self, name: &Name) -> Option<u32> {
        self.index.find(name, |slot| {
            (self.slots.name(slot) == *name).then_some(slot)
        })
    }

    fn forget(&self, ledger: &mut Ledger, name: &Name, slot: u32) {
        self.index.strike(name, slot, |slot| self.slots.name(slot));
        ledger.release(slot);
    }

    /// The ledger. A writer that panicked half-way may have left it inconsistent; forgetting the shard
    /// costs verifications, trusting it could cost more.
    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(|poisoned| {
            let mut ledger = poisoned.into_inner();
            self.index.clear();
            *ledger = Ledger::new(self.capacity, self.share_max);
            self.len.store(0, Ordering::Relaxed);
            self.ledger.clear_poison();
            ledger
        })
    }
}

impl Slots {
    fn new(count: usize) -> Self {
        let chunks = count.div_ceil(CHUNK_SLOTS);
        Self((0..chunks).map(|_| OnceLock::new()).collect())
    }

    #[inline]
    fn get(&self, slot: u32) -> Option<&Slot> {
        let slot = slot as usize;
        let chunk = self.0.get(slot / CHUNK_SLOTS)?.get()?;
        chunk.get(slot % CHUNK_SLOTS)
    }

    fn get_or_allocate(&self, slot: u32) -> &Slot {
        let slot = slot as usize;
        let chunk = self.0[slot / CHUNK_SLOTS]
            .get_or_init(|| (0..CHUNK_SLOTS).map(|_| Slot::default()).collect());
        &chunk[slot % CHUNK_SLOTS]
    }
}

impl Uses for Slots {
    fn spend_all(&self, slot: u32) -> bool {
        self.get_or_allocate(slot).spend_all_uses()
    }

    fn spend_one(&self, slot: u32) -> bool {
        self.get_or_allocate(slot).spend_use()
    }

    fn name(&self, slot: u32) -> Name {
        self.get_or_allocate(slot).name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            generation: 1,
            valid_from: 2,
            valid_until: 3,
            expires_at: 4,
            issuer: 5,
            key: 6,
            revocation: [7, 8],
        }
    }

    #[test]
    fn a_writer_that_panicked_costs_the_shards_entries_and_nothing_else() {
        let shard = Shard::new(64, 64);
        let name = Name([1, 2, 3, 4]);
        shard.insert(&name, &entry(), 0);
        std::thread::scope(|scope| {
            let died = scope
                .spawn(|| {
                    let _ledger = shard.lock();
                    panic!("half-way through a write");
                })
                .join();
            assert!(died.is_err());
        });
        shard.insert(&Name([5, 6, 7, 8]), &entry(), 0);
        assert_eq!(shard.get(&name), None);
        assert_eq!(shard.len(), 1);
        shard.insert(&name, &entry(), 0);
        assert_eq!(shard.get(&name), Some(entry()));
    }
}
