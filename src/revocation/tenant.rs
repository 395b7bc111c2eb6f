//! What the register knows of one tenant besides its records: in which ways its tokens are revoked at all, and the
//! watermark of them all.

use super::record::{RecordKey, TenantTag};
use super::{Members, TenantIds};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// One tenant's state, read by many and written by the register's one writer.
pub(super) struct Tenant {
    pub(super) tag: TenantTag,
    pub(super) number: u32,
    /// Which member sets there are records of, by their bits.
    sets: [AtomicU64; 2],
    /// The generation of the last change that leaves no mark of its own.
    changed: AtomicU64,
    /// `before` and `until` of the record of the whole tenant; 0 while there is none.
    watermark: AtomicU64,
    pub(super) records: AtomicUsize,
    /// The key of the record of the whole tenant; known once tokens of it are verified here.
    everything: OnceLock<RecordKey>,
    /// Whether records were turned away while nobody verified its tokens here.
    pub(super) is_incomplete: AtomicBool,
    /// Number of records at which the quota is looked at again.
    pub(super) looked_at: AtomicUsize,
}

/// A tenant whose tokens are verified here: its state, and how its ids are made.
pub struct Tenancy {
    pub(super) tenant: std::sync::Arc<Tenant>,
    pub(super) ids: TenantIds,
}

impl Tenancy {
    /// How the tenant's ids are made.
    #[must_use]
    pub fn ids(&self) -> &TenantIds {
        &self.ids
    }
}

impl std::fmt::Debug for Tenancy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tenancy({:?})", self.ids)
    }
}

impl Tenant {
    pub(super) fn new(tag: TenantTag, number: u32) -> Self {
        Self {
            tag,
            number,
            sets: Default::default(),
            changed: AtomicU64::new(0),
            watermark: AtomicU64::new(0),
            records: AtomicUsize::new(0),
            everything: OnceLock::new(),
            is_incomplete: AtomicBool::new(false),
            looked_at: AtomicUsize::new(0),
        }
    }

    /// The sets in use, that of the whole tenant aside: its watermark stands for it.
    #[inline]
    pub(super) fn sets(&self) -> Sets {
        Sets([
            self.sets[0].load(Ordering::Acquire) & !1,
            self.sets[1].load(Ordering::Acquire),
        ])
    }

    /// Notes that there is a record of this set; whether it is the first. Only for the one writer.
    pub(super) fn uses(&self, members: Members) -> bool {
        let word = &self.sets[usize::from(members.bits() / 64)];
        let bit = 1 << (members.bits() % 64);
        let sets = word.load(Ordering::Relaxed);
        word.store(sets | bit, Ordering::Release);
        sets & bit == 0
    }

    /// The generation of the last change that every token of the tenant must look at.
    #[inline]
    pub(super) fn changed(&self) -> u64 {
        self.changed.load(Ordering::Relaxed)
    }

    /// Notes a change that every token of the tenant must look at. Only for the one writer.
    pub(super) fn change(&self, generation: u64) {
        self.changed.store(generation, Ordering::Relaxed);
    }

    /// `before` and `until` of the record of the whole tenant, if there is one and its key is known.
    #[inline]
    pub(super) fn watermark(&self) -> Option<(u32, u32)> {
        match self.watermark.load(Ordering::Acquire) {
            0 => None,
            word => Some(((word >> 32) as u32, (word & u64::from(u32::MAX)) as u32)),
        }
    }

    /// Raises the watermark. Only for the one writer.
    pub(super) fn raise_watermark(&self, before: u32, until: u32) {
        let (held_before, held_until) = self.watermark().unwrap_or((0, 0));
        let (before, until) = (before.max(held_before), until.max(held_until));
        let word = u64::from(before) << 32 | u64::from(until);
        self.watermark.store(word, Ordering::Release);
    }

    /// Forgets the watermark, whose tokens are all dead. Only for the one writer.
    pub(super) fn forget_watermark(&self) {
        self.watermark.store(0, Ordering::Release);
    }

    /// The key of the record of the whole tenant, once known.
    pub(super) fn everything(&self) -> Option<RecordKey> {
        self.everything.get().copied()
    }

    /// Learns the key of the record of the whole tenant. Only for the one writer.
    pub(super) fn learn_everything(&self, key: RecordKey) {
        let _ = self.everything.set(key);
    }
}

/// Member sets by their bits.
#[derive(Clone, Copy)]
pub(super) struct Sets([u64; 2]);

impl Sets {
    #[inline]
    pub(super) fn is_empty(self) -> bool {
        self.0 == [0, 0]
    }

    /// Every set, in the order of their bits.
    pub(super) fn iter(self) -> impl Iterator<Item = Members> {
        let bits = |mut word: u64, first: u8| {
            std::iter::from_fn(move || {
                (word != 0).then(|| {
                    let bit = word.trailing_zeros() as u8;
                    word &= word - 1;
                    Members::from_bits(first + bit).unwrap_or(Members::NONE)
                })
            })
        };
        bits(self.0[0], 0).chain(bits(self.0[1], 64))
    }
}
