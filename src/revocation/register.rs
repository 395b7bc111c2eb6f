//! All records of the process: one writer at a time, and readers who never wait for it.

use super::coherence::{BUCKETS, Coherence};
use super::record::{Record, TenantTag};
use super::standing::{Standing, StandingCell};
use super::table::{Full, Held, Raised, SHARD_BITS, TENANTS_MAX, Table, Whose, words};
use super::tenant::{Tenancy, Tenant};
use super::{IdKey, Members, quota};
use crate::clock::Now;
use crate::limits::LEEWAY_SECONDS_MAX;
use crate::os;
use crate::sync::{Place, pin};
use hashbrown::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// Bounds of a register.
#[derive(Clone, Debug)]
pub struct Options {
    /// Most records of one tenant, before the oldest are exchanged for a watermark that covers them.
    pub tenant_records_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tenant_records_max: TENANT_RECORDS_DEFAULT,
        }
    }
}

/// Default for the records of one tenant: 400 MB.
pub const TENANT_RECORDS_DEFAULT: usize = 10_000_000;

/// A record is kept for so long after its `until`, in seconds: a token is accepted for its policy's leeway after its
/// `exp`, and hosts' clocks differ.
pub const PRUNE_MARGIN_SECONDS: i64 = LEEWAY_SECONDS_MAX + 300;

/// A record that is over by the wall clock when it comes is kept for so long all the same, in seconds: it may be the
/// clock that is wrong.
const DOUBT_SECONDS: i64 = 86_400;

/// Merges of so many records or more go through the shards one by one, and make room for all that is new at once.
const BULK_RECORDS: usize = 4_096;

/// Marks that one merge leaves. A resync changes so many buckets that every token may as well look again.
const MARKS_MAX: usize = BUCKETS / 16;

const SHARDS: usize = 1 << SHARD_BITS;

/// What a merge did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Merged {
    /// How many of the records said anything new.
    pub new: usize,
    /// The register's generation, in which all of them are known.
    pub generation: u64,
    /// Records of tenants not served here that were not taken, because those tenants have more than their quota.
    pub declined: usize,
}

/// How many records a tenant has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// The tenant.
    pub tenant: TenantTag,
    /// Its records.
    pub records: usize,
}

/// All records of the process. It only grows, but for what is dead by two clocks and what a watermark covers.
pub struct Register {
    pub(super) shards: Box<[Place<Table>]>,
    hash: Hash,
    pub(super) coherence: Coherence,
    pub(super) writer: Mutex<Writer>,
    pub(super) options: Options,
    records: AtomicUsize,
    bytes: AtomicUsize,
    applied: AtomicU64,
    standing: StandingCell,
    /// Whether there were more tenants than can be told apart: nothing here is complete then.
    pub(super) is_overrun: AtomicBool,
}

/// What only the one writer needs.
pub(super) struct Writer {
    /// Records of each shard.
    pub(super) lens: Box<[usize]>,
    pub(super) tenants: Vec<Arc<Tenant>>,
    by_tag: HashMap<TenantTag, u32>,
}

impl Register {
    /// An empty register, of a standing that is off.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Place::empty()).collect(),
            hash: Hash::random(),
            coherence: Coherence::new(BUCKETS),
            writer: Mutex::new(Writer {
                lens: vec![0; SHARDS].into_boxed_slice(),
                tenants: Vec::new(),
                by_tag: HashMap::new(),
            }),
            options: options.clone(),
            records: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            applied: AtomicU64::new(0),
            standing: StandingCell::default(),
            is_overrun: AtomicBool::new(false),
        }
    }

    /// Takes records in: the union, and of each time the greater. From its return on no reader finds a token good
    /// that they revoke.
    pub fn merge(&self, records: &[Record], now: Now) -> Merged {
        let mut writer = self.lock();
        let mut change = Change::default();
        if records.len() < BULK_RECORDS {
            for record in records {
                self.take(&mut writer, record, now, &mut change);
            }
        } else {
            for record in self.by_shard(&mut writer, records) {
                self.take(&mut writer, &record, now, &mut change);
            }
        }
        for number in std::mem::take(&mut change.grown) {
            self.hold_to_quota(&mut writer, number, now, &mut change);
        }
        let generation = if change.new > 0 {
            self.announce(&writer, &change)
        } else {
            self.coherence.generation()
        };
        Merged {
            new: change.new,
            generation,
            declined: change.declined,
        }
    }

    /// Whether merging this record would change nothing.
    #[must_use]
    pub fn contains(&self, record: &Record) -> bool {
        let writer = self.lock();
        let Some(number) = writer.by_tag.get(&record.key.tenant) else {
            return false;
        };
        let tenant = &writer.tenants[*number as usize];
        if quota::is_covered(tenant, record.key.members, record.before, record.until) {
            return true;
        }
        let whose = Whose::new(*number, record.key.members);
        let times = self.times(words(&record.key.id), whose);
        times.is_some_and(|(before, until)| before >= record.before && until >= record.until)
    }

    /// All records, for logs to be compacted and repaired from. Whatever was merged before the call is among them,
    /// or covered by one that is; one may be there twice.
    pub fn records(&self) -> impl Iterator<Item = Record> + '_ {
        let tenants = self.lock().tenants.clone();
        let tags: Vec<TenantTag> = tenants.iter().map(|tenant| tenant.tag).collect();
        let held = self.shards.iter().flat_map(move |shard| {
            let pinned = pin();
            let table = shard.get(&pinned);
            let held = table.into_iter().flat_map(Table::iter);
            // A tenant that came after the call has records that did.
            let tag = |held: &Held| tags.get(held.whose.tenant() as usize).copied();
            held.filter_map(|held| tag(&held).map(|tag| held.record(tag)))
                .collect::<Vec<_>>()
        });
        // Last, for a watermark may have taken the place of records while the shards were walked.
        let watermarks = tenants.into_iter().filter_map(|tenant| {
            let (before, until) = tenant.watermark()?;
            let key = tenant.everything()?;
            Some(Record { key, before, until })
        });
        held.chain(watermarks)
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.load(Ordering::Relaxed)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Memory that the records take, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// How many records each tenant has.
    #[must_use]
    pub fn counts(&self) -> Vec<Count> {
        let writer = self.lock();
        let count = |tenant: &Arc<Tenant>| Count {
            tenant: tenant.tag,
            records: tenant.records.load(Ordering::Relaxed),
        };
        writer.tenants.iter().map(count).collect()
    }

    /// Begins to verify tokens of a tenant.
    #[must_use]
    pub fn tenancy(&self, ids: &IdKey, tenant: &str) -> Tenancy {
        let ids = ids.tenant(tenant);
        let mut writer = self.lock();
        let tenant = match self.number(&mut writer, ids.tag()) {
            Some(number) => Arc::clone(&writer.tenants[number as usize]),
            // It has no records, and the register says that it is overrun.
            None => Arc::new(Tenant::new(ids.tag(), 0)),
        };
        let everything = ids.everything();
        tenant.learn_everything(everything);
        // The record of the whole tenant may be here already.
        let whose = Whose::new(tenant.number, Members::NONE);
        if let Some((before, until)) = self.times(words(&everything.id), whose) {
            tenant.raise_watermark(before, until);
        }
        Tenancy { tenant, ids }
    }

    /// Forgets records of tokens that are dead by the wall clock and by time since boot. Returns how many.
    pub fn prune(&self, now: Now) -> usize {
        let since_boot = boot_seconds(now);
        let is_dead = |held: &Held| {
            held.until != Record::FOREVER
                && now.earliest > i64::from(held.until) + PRUNE_MARGIN_SECONDS
                && since_boot >= held.keep_until_boot
        };
        // A shard at a time, so that orders are not kept waiting.
        (0..SHARDS)
            .map(|shard| self.drop_from(&mut self.lock(), shard, is_dead))
            .sum()
    }

    /// Raised after each merge that said anything new.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.coherence.generation()
    }

    /// The revision that callers may ask for: every order up to it has been merged.
    #[must_use]
    pub fn applied(&self) -> u64 {
        self.applied.load(Ordering::Acquire)
    }

    /// Says that every order up to this revision has been merged. It never goes back.
    pub fn advance_applied(&self, revision: u64) {
        self.applied.fetch_max(revision, Ordering::Release);
    }

    /// How much the register's word is worth.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing.get()
    }

    /// Says how much the register's word is worth.
    pub fn set_standing(&self, standing: Standing) {
        self.standing.set(standing);
    }

    /// The times of a record: before, until.
    #[inline]
    pub(super) fn times(&self, id: [u64; 2], whose: Whose) -> Option<(u32, u32)> {
        let hash = self.hash.of(id);
        let pinned = pin();
        let table = self.shards[shard(hash)].get(&pinned)?;
        table.times(hash, id, whose)
    }

    /// The bucket in which a change to this id shows.
    #[inline]
    pub(super) fn bucket(&self, id: [u64; 2]) -> usize {
        // Other bits than those that pick group and tag.
        usize::try_from(self.hash.of(id) >> 8).unwrap_or(0) % BUCKETS
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(|poisoned| {
            let writer = poisoned.into_inner();
            // Tables are changed by single stores and exchanged whole: a writer that panicked has left no half of
            // one. But it may have put what it did not announce.
            let next = self.coherence.next();
            writer.tenants.iter().for_each(|tenant| tenant.change(next));
            self.coherence.raise(next);
            self.writer.clear_poison();
            writer
        })
    }

    /// Everything is where readers find it; marks come next and the generation last.
    fn announce(&self, writer: &Writer, change: &Change) -> u64 {
        let next = self.coherence.next();
        for bucket in &change.buckets {
            self.coherence.mark(*bucket, next);
        }
        for number in &change.tenants {
            writer.tenants[*number as usize].change(next);
        }
        self.coherence.raise(next);
        next
    }

    fn take(&self, writer: &mut Writer, record: &Record, now: Now, change: &mut Change) {
        let Some(number) = self.number(writer, record.key.tenant) else {
            self.is_overrun.store(true, Ordering::Release);
            change.declined += 1;
            return;
        };
        let tenant = Arc::clone(&writer.tenants[number as usize]);
        let members = record.key.members;
        if quota::is_covered(&tenant, members, record.before, record.until) {
            return;
        }
        let held = Held {
            id: words(&record.key.id),
            whose: Whose::new(number, members),
            before: record.before,
            until: record.until,
            keep_until_boot: keep_until_boot(record.until, now),
        };
        let count = tenant.records.load(Ordering::Relaxed);
        let may_add = count < self.options.tenant_records_max || tenant.everything().is_some();
        match self.put(writer, &held, may_add) {
            Put::Nothing => return,
            Put::Declined => {
                tenant.is_incomplete.store(true, Ordering::Release);
                change.declined += 1;
                return;
            }
            Put::Raised => {}
            Put::Added => {
                tenant.records.store(count + 1, Ordering::Relaxed);
                if count + 1 > self.options.tenant_records_max {
                    change.grown.insert(number);
                }
            }
        }
        change.new += 1;
        if tenant.everything() == Some(record.key) {
            tenant.raise_watermark(record.before, record.until);
        }
        let is_first = tenant.uses(members);
        if is_first || !leaves_a_mark(members) || change.buckets.len() >= MARKS_MAX {
            change.tenants.insert(number);
        } else {
            change.buckets.push(self.bucket(held.id));
        }
    }

    /// Puts a record where readers find it.
    pub(super) fn put(&self, writer: &mut Writer, held: &Held, may_add: bool) -> Put {
        let hash = self.hash.of(held.id);
        let shard = shard(hash);
        {
            let pinned = pin();
            let table = self.shards[shard].get(&pinned);
            match table.and_then(|table| table.raise(hash, held)) {
                Some(Raised::Nothing) => return Put::Nothing,
                Some(Raised::Times) => return Put::Raised,
                None if !may_add => return Put::Declined,
                None => {}
            }
            if let Some(table) = table
                && writer.lens[shard] < table.room()
                && table.insert(hash, held).is_ok()
            {
                writer.lens[shard] += 1;
                self.records.fetch_add(1, Ordering::Relaxed);
                return Put::Added;
            }
        }
        self.grow(writer, shard, writer.lens[shard] + 1, Some((hash, held)));
        Put::Added
    }

    /// Exchanges a shard's table for one with room for so many records, and one more record in it.
    fn grow(&self, writer: &mut Writer, shard: usize, room: usize, more: Option<(u64, &Held)>) {
        self.exchange(writer, shard, room, |_| true, more);
    }

    /// Exchanges a shard's table for one without the records that are to go. Returns how many went.
    pub(super) fn drop_from(
        &self,
        writer: &mut Writer,
        shard: usize,
        goes: impl Fn(&Held) -> bool,
    ) -> usize {
        let going = {
            let pinned = pin();
            let table = self.shards[shard].get(&pinned);
            let going = table
                .into_iter()
                .flat_map(Table::iter)
                .filter(|held| goes(held));
            going
                .inspect(|held| {
                    let tenant = writer.tenants.get(held.whose.tenant() as usize);
                    if let Some(tenant) = tenant {
                        tenant.records.fetch_sub(1, Ordering::Relaxed);
                        if tenant.everything() == Some(held.record(tenant.tag).key) {
                            tenant.forget_watermark();
                        }
                    }
                })
                .count()
        };
        if going > 0 {
            let room = writer.lens[shard].saturating_sub(going);
            self.exchange(writer, shard, room, |held| !goes(held), None);
        }
        going
    }

    fn exchange(
        &self,
        writer: &mut Writer,
        shard: usize,
        room: usize,
        stays: impl Fn(&Held) -> bool,
        more: Option<(u64, &Held)>,
    ) {
        let place = &self.shards[shard];
        let pinned = pin();
        let old = place.get(&pinned);
        let staying = || {
            old.into_iter()
                .flat_map(Table::iter)
                .filter(|held| stays(held))
        };
        let mut room = room;
        let (table, len) = loop {
            let table = Table::with_room_for(room);
            match self.fill(&table, staying(), more) {
                Ok(len) => break (table, len),
                // The count was wrong; the records themselves decide.
                Err(Full) => room = staying().count() + 2,
            }
        };
        let (old_bytes, old_len) = (old.map_or(0, Table::bytes), writer.lens[shard]);
        self.bytes.fetch_add(table.bytes(), Ordering::Relaxed);
        self.bytes.fetch_sub(old_bytes, Ordering::Relaxed);
        self.records.fetch_add(len, Ordering::Relaxed);
        self.records.fetch_sub(old_len, Ordering::Relaxed);
        writer.lens[shard] = len;
        place.replace(Some(table));
    }

    fn fill(
        &self,
        table: &Table,
        staying: impl Iterator<Item = Held>,
        more: Option<(u64, &Held)>,
    ) -> Result<usize, Full> {
        let mut len = 0;
        for held in staying {
            table.insert(self.hash.of(held.id), &held)?;
            len += 1;
        }
        if let Some((hash, held)) = more {
            table.insert(hash, held)?;
            len += 1;
        }
        Ok(len)
    }

    /// The records in the order of their shards, each of which then has room for those that are new. They are copied:
    /// one after the other, they come from memory faster than from all over it.
    fn by_shard(&self, writer: &mut Writer, records: &[Record]) -> Vec<Record> {
        let shard_of = |record: &Record| shard(self.hash.of(words(&record.key.id)));
        let mut ends = vec![0; SHARDS];
        for record in records {
            ends[shard_of(record)] += 1;
        }
        let mut sum = 0;
        let mut places: Vec<usize> = Vec::with_capacity(SHARDS);
        for end in &mut ends {
            places.push(sum);
            sum += *end;
            *end = sum;
        }
        let mut sorted = records.to_vec();
        for record in records {
            let place = &mut places[shard_of(record)];
            sorted[*place] = *record;
            *place += 1;
        }
        let mut start = 0;
        for (shard, end) in ends.into_iter().enumerate() {
            let of_shard = &sorted[start..end];
            start = end;
            if of_shard.is_empty() {
                continue;
            }
            let pinned = pin();
            let table = self.shards[shard].get(&pinned);
            let is_new = |record: &Record| {
                let Some(number) = writer.by_tag.get(&record.key.tenant) else {
                    return true;
                };
                let id = words(&record.key.id);
                let whose = Whose::new(*number, record.key.members);
                table.is_none_or(|table| table.times(self.hash.of(id), id, whose).is_none())
            };
            let new = of_shard.iter().filter(|record| is_new(record)).count();
            let room = writer.lens[shard] + new;
            if table.is_none_or(|table| table.room() < room) {
                self.grow(writer, shard, room, None);
            }
        }
        sorted
    }

    fn number(&self, writer: &mut Writer, tag: TenantTag) -> Option<u32> {
        if let Some(number) = writer.by_tag.get(&tag) {
            return Some(*number);
        }
        let number = u32::try_from(writer.tenants.len()).ok()?;
        if writer.tenants.len() >= TENANTS_MAX {
            return None;
        }
        writer.tenants.push(Arc::new(Tenant::new(tag, number)));
        writer.by_tag.insert(tag, number);
        Some(number)
    }
}

impl std::fmt::Debug for Register {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Register({} records)", self.len())
    }
}

/// What became of a record.
pub(super) enum Put {
    Nothing,
    Raised,
    Added,
    Declined,
}

/// What a merge has changed so far.
#[derive(Default)]
pub(super) struct Change {
    pub(super) new: usize,
    declined: usize,
    buckets: Vec<usize>,
    /// Tenants all of whose tokens must look again.
    pub(super) tenants: hashbrown::HashSet<u32>,
    /// Tenants beyond their quota.
    grown: hashbrown::HashSet<u32>,
}

/// Whether tokens remember a mark for such records. Those of a whole tenant, issuer or key concern so many tokens
/// that all of the tenant's may as well look again.
pub(super) fn leaves_a_mark(members: Members) -> bool {
    use super::Member::{Client, Digest, Session, Subject, TokenId};
    [TokenId, Subject, Session, Client, Digest]
        .into_iter()
        .any(|member| members.contains(member))
}

/// Until when, in seconds since boot, a record is kept whatever the wall clock comes to say.
pub(super) fn keep_until_boot(until: u32, now: Now) -> u32 {
    let left = i64::from(until) + PRUNE_MARGIN_SECONDS - now.earliest;
    let keep = if left > 0 { left } else { DOUBT_SECONDS };
    boot_seconds(now).saturating_add(u32::try_from(keep).unwrap_or(u32::MAX))
}

fn boot_seconds(now: Now) -> u32 {
    u32::try_from(now.since_boot.as_secs()).unwrap_or(u32::MAX)
}

fn shard(hash: u64) -> usize {
    usize::try_from(hash >> (64 - SHARD_BITS)).unwrap_or(0)
}

/// Scatters ids under a secret of the process: ids are uniform unless somebody who may write to a log chooses them,
/// and that somebody must not choose where they lie.
struct Hash([u64; 2]);

impl Hash {
    fn random() -> Self {
        let mut bytes = [0; 16];
        os::fill_random(&mut bytes);
        Self(words(&bytes))
    }

    #[inline]
    fn of(&self, id: [u64; 2]) -> u64 {
        let product = u128::from(id[0] ^ self.0[0]) * u128::from(id[1] ^ self.0[1]);
        let folded = (product >> 64) ^ product;
        u64::try_from(folded & u128::from(u64::MAX)).unwrap_or(0)
    }
}
