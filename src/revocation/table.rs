//! Records by key, in the least memory that can still be searched quickly: full to nine tenths.
//!
//! Eight records share a *group*, which begins with a byte a record: 0 for an empty place, or seven bits of the
//! record's hash. A look-up compares those eight bytes at once and reads a record only where one fits; it goes on
//! to the next group as long as it meets full ones. A table only fills. To grow, or to drop the dead, another is
//! made and put in its place, so that readers need no lock: a record once found stays where it is, and its times
//! only rise.

use super::Members;
use super::record::{Record, RecordKey, TenantTag};
use std::sync::atomic::{AtomicU64, Ordering};

const GROUP: usize = 8;

/// A new table is filled so far, in percent: its groups are rarely full, and look-ups end early.
const FILL_PERCENT_NEW: usize = 86;

/// A table is exchanged for a larger one when it is filled so far, in percent. Growing by so little costs each
/// record ten copies in its life; leaving more empty would cost every record more memory than that is worth.
const FILL_PERCENT_MAX: usize = 94;

const HIGH_BITS: u64 = 0x8080_8080_8080_8080;
const LOW_BITS: u64 = 0x0101_0101_0101_0101;

/// A record as the table holds it. The tenant is its number in the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) id: [u64; 2],
    pub(super) whose: Whose,
    pub(super) before: u32,
    pub(super) until: u32,
    /// Seconds since boot before which it is not to be dropped, whatever the wall clock says.
    pub(super) keep_until_boot: u32,
}

/// The tenant's number and the members, together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whose(u32);

/// Tenants that can be told apart.
pub(super) const TENANTS_MAX: usize = 1 << 24;

/// The places of one shard.
pub(super) struct Table {
    groups: Box<[Group]>,
}

struct Group {
    /// A byte a place, the lowest first.
    tags: AtomicU64,
    places: [Place; GROUP],
}

#[derive(Default)]
struct Place {
    id: [AtomicU64; 2],
    /// `before` and `until`: one word, so that they rise together.
    times: AtomicU64,
    /// `keep_until_boot` and [`Whose`].
    rest: AtomicU64,
}

/// There is no empty place left.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Whose {
    pub(super) fn new(tenant: u32, members: Members) -> Self {
        Self(tenant << 8 | u32::from(members.bits()))
    }

    pub(super) fn tenant(self) -> u32 {
        self.0 >> 8
    }

    pub(super) fn members(self) -> Members {
        Members::from_bits((self.0 & 0x7f) as u8).unwrap_or(Members::NONE)
    }
}

impl Held {
    /// As it is outside, its tenant's tag given.
    pub(super) fn record(&self, tenant: TenantTag) -> Record {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.id[0].to_le_bytes());
        id[8..].copy_from_slice(&self.id[1].to_le_bytes());
        Record {
            key: RecordKey {
                tenant,
                members: self.whose.members(),
                id,
            },
            before: self.before,
            until: self.until,
        }
    }
}

/// An id as two words.
pub(super) fn words(id: &[u8; 16]) -> [u64; 2] {
    let id = u128::from_le_bytes(*id);
    [low(id), low(id >> 64)]
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the low half is what is wanted"
)]
fn low(wide: u128) -> u64 {
    wide as u64
}

impl Table {
    /// An empty table with room for so many records before it must grow.
    pub(super) fn with_room_for(records: usize) -> Self {
        let places = records * 100 / FILL_PERCENT_NEW + 1;
        let groups = places.div_ceil(GROUP);
        Self {
            groups: (0..groups).map(|_| Group::default()).collect(),
        }
    }

    /// How many records it takes before it must grow.
    pub(super) fn room(&self) -> usize {
        let places = self.groups.len() * GROUP;
        // In a table of one group a place stays empty, or a look-up would never end early.
        (places * FILL_PERCENT_MAX / 100).min(places - 1)
    }

    /// What it takes of memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.groups.len() * size_of::<Group>()
    }

    /// The times of a record: before, until.
    #[inline]
    pub(super) fn times(&self, hash: u64, id: [u64; 2], whose: Whose) -> Option<(u32, u32)> {
        let place = self.find(hash, id, whose)?;
        Some(halves(place.times.load(Ordering::Acquire)))
    }

    /// Raises the times of a record that is here, and how long it is kept; `None` if it is not here. Only for the
    /// one writer.
    pub(super) fn raise(&self, hash: u64, held: &Held) -> Option<Raised> {
        let place = self.find(hash, held.id, held.whose)?;
        let (before, until) = halves(place.times.load(Ordering::Relaxed));
        if held.before <= before && held.until <= until {
            return Some(Raised::Nothing);
        }
        let (keep, whose) = halves(place.rest.load(Ordering::Relaxed));
        let rest = join(keep.max(held.keep_until_boot), whose);
        place.rest.store(rest, Ordering::Relaxed);
        let times = join(before.max(held.before), until.max(held.until));
        place.times.store(times, Ordering::Release);
        Some(Raised::Times)
    }

    /// Adds a record that is not here. Only for the one writer.
    pub(super) fn insert(&self, hash: u64, held: &Held) -> Result<(), Full> {
        let mut at = self.home(hash);
        for _ in 0..self.groups.len() {
            let group = &self.groups[at];
            let tags = group.tags.load(Ordering::Relaxed);
            let empty = !tags & HIGH_BITS;
            if empty != 0 {
                let index = empty.trailing_zeros() / 8;
                let place = &group.places[index as usize];
                place.id[0].store(held.id[0], Ordering::Relaxed);
                place.id[1].store(held.id[1], Ordering::Relaxed);
                place
                    .times
                    .store(join(held.before, held.until), Ordering::Relaxed);
                let rest = join(held.keep_until_boot, held.whose.0);
                place.rest.store(rest, Ordering::Relaxed);
                // Whoever sees the tag sees the record.
                let tags = tags | u64::from(tag(hash)) << (8 * index);
                group.tags.store(tags, Ordering::Release);
                return Ok(());
            }
            at = self.after(at);
        }
        Err(Full)
    }

    /// All records, those added meanwhile perhaps.
    pub(super) fn iter(&self) -> impl Iterator<Item = Held> + '_ {
        self.groups.iter().flat_map(|group| {
            let tags = group.tags.load(Ordering::Acquire);
            let taken = move |place: &usize| tags >> (8 * place) & 0x80 != 0;
            (0..GROUP)
                .filter(taken)
                .map(|place| group.places[place].read())
        })
    }

    #[inline]
    fn find(&self, hash: u64, id: [u64; 2], whose: Whose) -> Option<&Place> {
        let wanted = u64::from(tag(hash)) * LOW_BITS;
        let mut at = self.home(hash);
        for _ in 0..self.groups.len() {
            let group = &self.groups[at];
            let tags = group.tags.load(Ordering::Acquire);
            // A byte is zero where a tag fits; the one above it may seem to be, which the id settles.
            let differing = tags ^ wanted;
            let mut fitting = differing.wrapping_sub(LOW_BITS) & !differing & HIGH_BITS;
            while fitting != 0 {
                let place = &group.places[(fitting.trailing_zeros() / 8) as usize];
                if place.is(id, whose) {
                    return Some(place);
                }
                fitting &= fitting - 1;
            }
            if !tags & HIGH_BITS != 0 {
                return None;
            }
            at = self.after(at);
        }
        None
    }

    fn home(&self, hash: u64) -> usize {
        let bits = u128::from(hash << SHARD_BITS);
        usize::try_from((bits * self.groups.len() as u128) >> 64).unwrap_or(0)
    }

    fn after(&self, at: usize) -> usize {
        if at + 1 == self.groups.len() {
            0
        } else {
            at + 1
        }
    }
}

/// What a record that came again did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Raised {
    /// It said nothing new.
    Nothing,
    /// Its times are greater.
    Times,
}

/// The hash's highest bits pick the shard, those below it the group, the lowest tell neighbours apart.
pub(super) const SHARD_BITS: u32 = 10;

/// Seven bits of the hash, and one that says the place is taken.
fn tag(hash: u64) -> u8 {
    (hash & 0x7f) as u8 | 0x80
}

impl Default for Group {
    fn default() -> Self {
        Self {
            tags: AtomicU64::new(0),
            places: std::array::from_fn(|_| Place::default()),
        }
    }
}

impl Place {
    #[inline]
    fn is(&self, id: [u64; 2], whose: Whose) -> bool {
        self.id[0].load(Ordering::Relaxed) == id[0]
            && self.id[1].load(Ordering::Relaxed) == id[1]
            && halves(self.rest.load(Ordering::Relaxed)).1 == whose.0
    }

    fn read(&self) -> Held {
        let (before, until) = halves(self.times.load(Ordering::Acquire));
        let (keep_until_boot, whose) = halves(self.rest.load(Ordering::Relaxed));
        Held {
            id: [
                self.id[0].load(Ordering::Relaxed),
                self.id[1].load(Ordering::Relaxed),
            ],
            whose: Whose(whose),
            before,
            until,
            keep_until_boot,
        }
    }
}

fn join(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the halves are what is wanted"
)]
fn halves(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::revocation::Member;

    fn held(number: u64, tenant: u32) -> Held {
        Held {
            id: [number, !number],
            whose: Whose::new(tenant, Members::NONE.with(Member::TokenId)),
            before: 5,
            until: 7,
            keep_until_boot: 9,
        }
    }

    /// All of one group, with one tag: what a hostile choice of ids would be, without the process's secret.
    #[test]
    fn records_that_collide_are_all_found_and_no_other_is() {
        let table = Table::with_room_for(20);
        for number in 0..20 {
            table.insert(3, &held(number, 1)).expect("room");
        }
        for number in 0..20 {
            let Held { id, whose, .. } = held(number, 1);
            assert_eq!(table.times(3, id, whose), Some((5, 7)));
            assert_eq!(
                table.times(3, id, held(0, 2).whose),
                None,
                "another tenant's"
            );
            assert_eq!(table.times(4, id, whose), None, "another tag");
        }
        assert_eq!(table.times(3, [20, !20], held(0, 1).whose), None);
        assert_eq!(table.iter().count(), 20);
        assert_eq!(table.iter().next(), Some(held(0, 1)));
    }

    #[test]
    fn a_full_table_says_so() {
        let table = Table::with_room_for(3);
        let results: Vec<bool> = (0..9)
            .map(|number| table.insert(number << 50, &held(number, 0)).is_ok())
            .collect();
        assert_eq!(results.iter().filter(|ok| **ok).count(), 8);
        assert_eq!(table.insert(0, &held(9, 0)), Err(Full));
        assert_eq!(
            table.times(9, [9, !9], held(0, 0).whose),
            None,
            "and a look-up ends"
        );
    }

    #[test]
    fn times_rise_each_by_itself() {
        let table = Table::with_room_for(3);
        let first = held(1, 0);
        assert_eq!(table.raise(8, &first), None);
        table.insert(8, &first).expect("room");
        assert_eq!(table.raise(8, &first), Some(Raised::Nothing));
        let other = Held {
            before: 4,
            until: 8,
            keep_until_boot: 3,
            ..first
        };
        assert_eq!(table.raise(8, &other), Some(Raised::Times));
        let both = Held { until: 8, ..first };
        assert_eq!(table.iter().next(), Some(both));
    }
}
