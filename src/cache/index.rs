//! Finds the slot of a name: open addressing with linear probing, half empty, without tombstones.
//!
//! A cell packs a slot's number with as many bits of the name as fit beside it, so that a probe looks at
//! a slot only when it is very likely the right one.
#![forbid(unsafe_code)]

use super::Name;
use std::sync::atomic::{AtomicU32, Ordering};

/// Cells for each slot: at half load a probe looks at 1.5 cells on average.
const CELLS_PER_SLOT: usize = 2;

/// What a slot costs here.
#[cfg(test)]
pub(super) const BYTES_PER_SLOT: usize = CELLS_PER_SLOT * size_of::<AtomicU32>();

/// Where each name's slot is.
pub(super) struct Index {
    cells: Box<[AtomicU32]>,
    /// Covers the bits of a cell that are the slot's number; all of them set is an empty cell.
    slot_mask: u32,
}

impl Index {
    pub(super) fn new(slots: usize) -> Self {
        let slot_mask = u32::try_from(slots.next_power_of_two() * 2 - 1).unwrap_or(u32::MAX);
        let cells = slots * CELLS_PER_SLOT;
        Self {
            cells: (0..cells).map(|_| AtomicU32::new(slot_mask)).collect(),
            slot_mask,
        }
    }

    /// The first slot on the name's way for which `is_it` says yes. Its tag fits already.
    #[inline]
    pub(super) fn find<T>(
        &self,
        name: &Name,
        mut is_it: impl FnMut(u32) -> Option<T>,
    ) -> Option<T> {
        let tag = name.tag() & !self.slot_mask;
        let mut at = name.home(self.cells.len());
        // At most one round: the bound matters only to a reader that writers keep overtaking.
        for _ in 0..self.cells.len() {
            let cell = self.cells[at].load(Ordering::Acquire);
            let slot = cell & self.slot_mask;
            if slot == self.slot_mask {
                return None;
            }
            if cell & !self.slot_mask == tag
                && let Some(found) = is_it(slot)
            {
                return Some(found);
            }
            at = self.after(at);
        }
        None
    }

    /// The slot in the cell where the name's way begins; the mask, which is no slot, where that is empty.
    #[inline]
    pub(super) fn first(&self, name: &Name) -> u32 {
        let home = name.home(self.cells.len());
        let cell = self.cells.get(home);
        cell.map_or(self.slot_mask, |cell| cell.load(Ordering::Relaxed)) & self.slot_mask
    }

    /// Enters a name's slot. Only for whoever holds the shard's lock.
    pub(super) fn enter(&self, name: &Name, slot: u32) {
        let mut at = name.home(self.cells.len());
        while self.slot_at(at).is_some() {
            at = self.after(at);
        }
        let cell = name.tag() & !self.slot_mask | slot;
        self.cells[at].store(cell, Ordering::Release);
    }

    /// Strikes a name's slot out and closes the gap, so that no tombstone is needed. `name_of` tells the
    /// name in a slot. Only for whoever holds the shard's lock.
    pub(super) fn strike(&self, name: &Name, slot: u32, name_of: impl Fn(u32) -> Name) {
        let mut gap = name.home(self.cells.len());
        while self.slot_at(gap) != Some(slot) {
            if self.slot_at(gap).is_none() {
                return;
            }
            gap = self.after(gap);
        }
        let mut at = self.after(gap);
        while let Some(follower) = self.slot_at(at) {
            // A follower may move into the gap unless its home lies behind the gap.
            let home = name_of(follower).home(self.cells.len());
            if self.distance(home, at) >= self.distance(gap, at) {
                let cell = self.cells[at].load(Ordering::Relaxed);
                self.cells[gap].store(cell, Ordering::Release);
                gap = at;
            }
            at = self.after(at);
        }
        self.cells[gap].store(self.slot_mask, Ordering::Release);
    }

    /// Strikes everything out.
    pub(super) fn clear(&self) {
        for cell in &self.cells {
            cell.store(self.slot_mask, Ordering::Relaxed);
        }
    }

    fn slot_at(&self, at: usize) -> Option<u32> {
        let slot = self.cells[at].load(Ordering::Relaxed) & self.slot_mask;
        (slot != self.slot_mask).then_some(slot)
    }

    fn after(&self, at: usize) -> usize {
        if at + 1 == self.cells.len() {
            0
        } else {
            at + 1
        }
    }

    /// Steps from `from` forward to `to`.
    fn distance(&self, from: usize, to: usize) -> usize {
        if to >= from {
            to - from
        } else {
            to + self.cells.len() - from
        }
    }
}
