//! The bytes of a journal: a header and slots, all of one width, each with a check of its own.
//!
//! A slot says which commit wrote it and where in that commit it stands. Commits are written one after the
//! other, and the next begins only when the one before is on the disk; so whatever a crash has torn lies within
//! the last commit, nobody was told of it, and it can be told from damage to what had been acknowledged.
#![forbid(unsafe_code)]

use crate::crypto::checksum;
use crate::revocation::Record;

/// Bytes of a slot, and of the header.
pub(super) const SLOT_BYTES: usize = 48;

/// Most records of one commit, which bounds what a crash can tear.
pub(super) const COMMIT_RECORDS_MAX: usize = 1 << 16;

const RECORD_BYTES: usize = Record::BYTES;
const MAGIC: [u8; 8] = *b"jotdrev1";
const CHECK_BYTES: usize = 8;
const CHECKED_BYTES: usize = SLOT_BYTES - CHECK_BYTES;

/// Names one file. Blocks that the file system hands on from a deleted file do not pass for its slots.
pub(super) type FileId = [u8; 16];

/// What the first bytes of a file say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) id: FileId,
    /// Records that had been appended before the file began.
    pub(super) base: u64,
    /// Slots at the front that were on the disk before the file had its name.
    pub(super) snapshot: u64,
}

/// One record in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) record: Record,
    /// 0 for the snapshot, then counting.
    pub(super) commit: u64,
    /// Place within the commit; 0 throughout the snapshot.
    pub(super) place: u32,
}

impl Header {
    pub(super) fn encode(&self) -> [u8; SLOT_BYTES] {
        let mut bytes = [0; SLOT_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..24].copy_from_slice(&self.id);
        bytes[24..32].copy_from_slice(&self.base.to_be_bytes());
        bytes[32..40].copy_from_slice(&self.snapshot.to_be_bytes());
        let check = check(&[0; 16], &bytes[..CHECKED_BYTES]);
        bytes[CHECKED_BYTES..].copy_from_slice(&check);
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.first_chunk::<SLOT_BYTES>()?;
        let is_sound = bytes[CHECKED_BYTES..] == check(&[0; 16], &bytes[..CHECKED_BYTES]);
        if !is_sound || bytes[..8] != MAGIC {
            return None;
        }
        Some(Self {
            id: bytes[8..24].try_into().ok()?,
            base: u64::from_be_bytes(bytes[24..32].try_into().ok()?),
            snapshot: u64::from_be_bytes(bytes[32..40].try_into().ok()?),
        })
    }
}

impl Slot {
    pub(super) fn encode(&self, id: &FileId) -> [u8; SLOT_BYTES] {
        let mut bytes = [0; SLOT_BYTES];
        bytes[..RECORD_BYTES].copy_from_slice(&self.record.to_bytes());
        // Below 2^24 by `COMMIT_RECORDS_MAX`, so the highest byte is free.
        bytes[RECORD_BYTES..32].copy_from_slice(&self.place.to_be_bytes()[1..]);
        bytes[32..40].copy_from_slice(&self.commit.to_be_bytes());
        let check = check(id, &bytes[..CHECKED_BYTES]);
        bytes[CHECKED_BYTES..].copy_from_slice(&check);
        bytes
    }

    pub(super) fn decode(bytes: &[u8], id: &FileId) -> Option<Self> {
        let bytes = bytes.first_chunk::<SLOT_BYTES>()?;
        if bytes[CHECKED_BYTES..] != check(id, &bytes[..CHECKED_BYTES]) {
            return None;
        }
        Some(Self {
            record: Record::from_bytes(bytes.first_chunk::<RECORD_BYTES>()?).ok()?,
            place: u32::from_be_bytes([0, bytes[29], bytes[30], bytes[31]]),
            commit: u64::from_be_bytes(bytes[32..40].try_into().ok()?),
        })
    }
}

/// Slots of one commit, as they are written.
pub(super) fn encode_commit(records: &[Record], commit: u64, id: &FileId) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(records.len() * SLOT_BYTES);
    for (place, record) in records.iter().enumerate() {
        let slot = Slot {
            record: *record,
            commit,
            place: u32::try_from(place).unwrap_or(u32::MAX),
        };
        bytes.extend_from_slice(&slot.encode(id));
    }
    bytes
}

/// What the slots of a file hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scan {
    /// All of it sound.
    Sound(Sound),
    /// The last commit is torn: what stands before it, and what of it can be read.
    Torn { sound: Sound, rest: Vec<Record> },
    /// Records that had been acknowledged cannot be read.
    Damaged {
        /// The first bad slot.
        slot: u64,
        /// How many are bad.
        bad: u64,
        /// How many are sound.
        good: u64,
    },
}

/// Slots that can be read, from the first on.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sound {
    pub(super) records: Vec<Record>,
    /// The last commit.
    pub(super) commit: u64,
}

/// Reads the slots that follow a header.
pub(super) fn scan(bytes: &[u8], header: &Header) -> Scan {
    let mut sound = Sound {
        records: Vec::with_capacity(bytes.len() / SLOT_BYTES),
        commit: 0,
    };
    let mut slots = bytes.chunks(SLOT_BYTES);
    for slot in slots.by_ref() {
        let Some(slot) = Slot::decode(slot, &header.id) else {
            let rest = &bytes[sound.records.len() * SLOT_BYTES..];
            return after_a_bad_slot(sound, rest, header);
        };
        sound.records.push(slot.record);
        sound.commit = slot.commit;
    }
    let read = sound.records.len() as u64;
    if read < header.snapshot {
        return Scan::Damaged {
            slot: read,
            bad: header.snapshot - read,
            good: read,
        };
    }
    Scan::Sound(sound)
}

/// Tells a torn commit from damage. `rest` begins with the first bad slot.
fn after_a_bad_slot(sound: Sound, rest: &[u8], header: &Header) -> Scan {
    let first_bad = sound.records.len() as u64;
    let readable: Vec<(u64, Slot)> = rest
        .chunks(SLOT_BYTES)
        .zip(first_bad..)
        .filter_map(|(bytes, at)| Some((at, Slot::decode(bytes, &header.id)?)))
        .collect();
    // Everything readable must belong to the commit that the bad slot is of, and to no later one.
    let commit = readable.first().map(|(_, slot)| slot.commit);
    let is_last = commit.is_none_or(|commit| commit == sound.commit || commit == sound.commit + 1);
    let is_of_one_commit = readable.iter().all(|(at, slot)| {
        let begins = at.checked_sub(u64::from(slot.place));
        Some(slot.commit) == commit && begins.is_some_and(|begins| begins <= first_bad)
    });
    let is_short = rest.len() <= COMMIT_RECORDS_MAX * SLOT_BYTES;
    if first_bad >= header.snapshot && is_last && is_of_one_commit && is_short {
        let rest = readable.into_iter().map(|(_, slot)| slot.record).collect();
        return Scan::Torn { sound, rest };
    }
    let slots = rest.len().div_ceil(SLOT_BYTES) as u64;
    Scan::Damaged {
        slot: first_bad,
        bad: slots - readable.len() as u64,
        good: first_bad + readable.len() as u64,
    }
}

/// A check over the file's id and these bytes, a multiple of eight of them. It guards against faults, not against
/// anybody: who can write the file could leave orders out as well.
fn check(id: &FileId, bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let (of_id, _) = id.as_chunks::<8>();
    let (of_bytes, rest) = bytes.as_chunks::<8>();
    debug_assert!(rest.is_empty(), "every byte is checked");
    checksum(
        of_id
            .iter()
            .chain(of_bytes)
            .map(|word| u64::from_le_bytes(*word)),
    )
    .to_le_bytes()
}
