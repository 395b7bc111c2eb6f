//! An issuer's place in the records, with what a hit of the cache reads of it in one line of the CPU's own memory.
//!
//! Ten thousand tenants do not fit there with their policies, key sets and stamps, each an allocation of its own that
//! leads to the next. Their places do nearly, and lie side by side. What stands here is a copy: a place is made of its
//! entry, as a whole, and never changed.
#![forbid(unsafe_code)]

use super::entry::Entry;
use super::key_numbers::KeyNumbers;
use crate::clock::Now;
use crate::verdict::Signer;
use std::hint::black_box;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Signers that a place has room for. Of a larger set the others are found by way of its keys.
const SIGNERS: usize = 4;

/// An entry, and beside it what is read at every hit.
#[repr(align(64))]
pub(super) struct Place {
    entry: Arc<Entry>,
    generation: u64,
    /// Those of the first keys, in their order, and beside it the keys' numbers.
    signers: [Option<Arc<Signer>>; SIGNERS],
    keys: [u16; SIGNERS],
    /// The second, as [`Entry::note_use`] counts them, that the entry was last told of by way of this place.
    noted: AtomicU32,
    checks_revocation: bool,
    checks_status: bool,
}

const _: () = assert!(size_of::<Option<Place>>() == 64, "one line");

impl Place {
    pub(super) fn new(entry: Entry) -> Self {
        let mut signers = [const { None }; SIGNERS];
        let mut numbers = [KeyNumbers::NOBODYS; SIGNERS];
        let places = (0..).zip(signers.iter_mut().zip(&mut numbers));
        for ((index, (signer, number)), slot) in places.zip(entry.issuer.keys.slots()) {
            *signer = Some(Arc::clone(&slot.signer));
            *number = entry.key_numbers.number(index);
        }
        Self {
            generation: entry.generation,
            signers,
            keys: numbers,
            noted: AtomicU32::new(0),
            checks_revocation: entry.revoking.is_some(),
            checks_status: !entry.issuer.policy.status_lists.is_empty(),
            entry: Arc::new(entry),
        }
    }

    /// As in the entry.
    #[inline]
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether [`Entry::revoking`] says how.
    #[inline]
    pub(super) fn checks_revocation(&self) -> bool {
        self.checks_revocation
    }

    /// Whether its policy names status lists.
    #[inline]
    pub(super) fn checks_status(&self) -> bool {
        self.checks_status
    }

    /// Whose the key with this number is; `None` where there is none, or none any more.
    #[inline]
    pub(super) fn signer(&self, key: u32) -> Option<&Arc<Signer>> {
        let near = self.keys.iter().position(|known| u32::from(*known) == key);
        match near {
            Some(slot) => self.signers[slot].as_ref(),
            None => self.entry.slot_of(key).map(|slot| &slot.signer),
        }
    }

    /// Reads of what the place leads to what a hit will, for the reading's sake. What a verdict shares of its signer is
    /// the count of those who do.
    #[inline]
    pub(super) fn approach_signer(&self, key: u32) {
        black_box(self.signer(key).map(Arc::strong_count));
        if self.checks_revocation
            && let Some(revoking) = &self.entry.revoking
        {
            revoking.approach();
        }
    }

    /// Notes that a token of a loaded tenant passed.
    #[inline]
    pub(super) fn note_use(&self, now: Now) {
        // The entry's own stamp lies elsewhere, and once a second is all that it is told.
        let second = Entry::second_of(now);
        if self.noted.load(Ordering::Relaxed) != second {
            self.noted.store(second, Ordering::Relaxed);
            self.entry.note_use(now);
        }
    }
}

impl Clone for Place {
    fn clone(&self) -> Self {
        Self {
            entry: Arc::clone(&self.entry),
            generation: self.generation,
            signers: self.signers.clone(),
            keys: self.keys,
            noted: AtomicU32::new(self.noted.load(Ordering::Relaxed)),
            checks_revocation: self.checks_revocation,
            checks_status: self.checks_status,
        }
    }
}

impl Deref for Place {
    type Target = Entry;

    #[inline]
    fn deref(&self) -> &Entry {
        &self.entry
    }
}
