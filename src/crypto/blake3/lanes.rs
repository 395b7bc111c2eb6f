//! Cuts messages into BLAKE3's chunks, takes chunks of any messages side by side, and joins what belongs
//! together again.
#![forbid(unsafe_code)]

use super::avx512;
use crate::simd::Avx512;
use ::blake3::Hasher;
use ::blake3::hazmat::{HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};

/// Chunks side by side.
pub(super) const LANES: usize = 16;

/// Fewest chunks worth the trouble: sixteen lanes take about the time of three or four one after the other,
/// however few of the lanes are in use.
pub(super) const LANES_MIN: usize = 4;

/// Bytes that one call of the compression function takes.
pub(super) const BLOCK_BYTES: usize = 64;

/// Bytes of a leaf of the tree (BLAKE3 paper §2.1).
const CHUNK_BYTES: usize = 1024;

/// Blocks of a whole chunk.
const CHUNK_BLOCKS: usize = CHUNK_BYTES / BLOCK_BYTES;

/// A leaf of one message's tree.
#[derive(Clone, Copy)]
pub(super) struct Chunk<'a> {
    /// At most 1024 bytes.
    pub(super) body: &'a [u8],
    /// How many chunks of the message come before.
    pub(super) counter: u32,
    /// Whether the chunk is the whole message.
    pub(super) is_root: bool,
}

impl<'a> Chunk<'a> {
    fn new(message: &'a [u8], counter: usize) -> Self {
        let start = CHUNK_BYTES * counter;
        let end = (start + CHUNK_BYTES).min(message.len());
        Self {
            body: &message[start..end],
            // It would take four TiB to have more: no machine holds such a message.
            counter: counter as u32,
            is_root: counter == 0 && end == message.len(),
        }
    }

    /// Its chaining value, or the digest where the chunk is the whole message, by the plain crate.
    fn value(&self, secret: &[u8; 32]) -> [u8; 32] {
        let mut hasher = Hasher::new_keyed(secret);
        hasher.set_input_offset(u64::from(self.counter) * CHUNK_BYTES as u64);
        hasher.update(self.body);
        if self.is_root {
            hasher.finalize().into()
        } else {
            hasher.finalize_non_root()
        }
    }
}

/// Where a chunk is cut from, and where its value goes.
#[derive(Clone, Copy, Default)]
struct Job {
    message: usize,
    counter: usize,
    place: usize,
}

/// Digests messages into `digests`, which is empty.
pub(super) fn digest_side_by_side(
    cpu: Avx512,
    secret: &[u8; 32],
    messages: &[&[u8]],
    digests: &mut Vec<[u8; 32]>,
) {
    let jobs = jobs_longest_first(messages);
    // First the values of all chunks, a message's side by side.
    digests.resize(jobs.len(), [0; 32]);
    for group in jobs.chunks(LANES) {
        let chunk = |job: &Job| Chunk::new(messages[job.message], job.counter);
        if group.len() < LANES_MIN {
            for job in group {
                digests[job.place] = chunk(job).value(secret);
            }
            continue;
        }
        // Lanes that the group does not fill repeat its last chunk, and their value is dropped.
        let chunks = std::array::from_fn(|at| chunk(&group[at.min(group.len() - 1)]));
        let values = avx512::chunk_values(cpu, secret, &chunks);
        for (job, value) in group.iter().zip(values) {
            digests[job.place] = value;
        }
    }
    // Then each message's values become its digest. Those still to be read never lie before it.
    let mut start = 0;
    for (at, message) in messages.iter().enumerate() {
        let end = start + chunk_count(message);
        digests[at] = root(secret, &mut digests[start..end]);
        start = end;
    }
    digests.truncate(messages.len());
}

/// All chunks of all messages, sorted by their count of blocks, so that lanes end together.
fn jobs_longest_first(messages: &[&[u8]]) -> Vec<Job> {
    // There are but sixteen counts: one pass over the messages tells where the chunks of each begin, and
    // another puts them there.
    let mut starts = [0; CHUNK_BLOCKS + 1];
    for message in messages {
        starts[CHUNK_BLOCKS] += chunk_count(message) - 1;
        starts[last_blocks(message)] += 1;
    }
    let mut total = 0;
    for start in starts.iter_mut().rev() {
        total += std::mem::replace(start, total);
    }
    let mut jobs = vec![Job::default(); total];
    let mut place = 0;
    for (index, message) in messages.iter().enumerate() {
        let last = chunk_count(message) - 1;
        for counter in 0..=last {
            let blocks = match counter == last {
                true => last_blocks(message),
                false => CHUNK_BLOCKS,
            };
            jobs[starts[blocks]] = Job {
                message: index,
                counter,
                place,
            };
            starts[blocks] += 1;
            place += 1;
        }
    }
    jobs
}

/// How many chunks a message makes: at least one.
fn chunk_count(message: &[u8]) -> usize {
    message.len().div_ceil(CHUNK_BYTES).max(1)
}

/// How many blocks the last chunk of a message has: at least one.
fn last_blocks(message: &[u8]) -> usize {
    let before = (chunk_count(message) - 1) * CHUNK_BYTES;
    (message.len() - before).div_ceil(BLOCK_BYTES).max(1)
}

/// The digest of a message from the values of its chunks. Joining neighbours level by level, with an odd one
/// going up as it is, makes the tree of the BLAKE3 paper (§2.1): left subtrees full, and as large as may be.
fn root(secret: &[u8; 32], mut values: &mut [[u8; 32]]) -> [u8; 32] {
    let mode = Mode::KeyedHash(secret);
    loop {
        match *values {
            [digest] => return digest,
            [left, right] => return merge_subtrees_root(&left, &right, mode).into(),
            _ => {}
        }
        let parents = values.len().div_ceil(2);
        for parent in 0..parents {
            values[parent] = match values[2 * parent..] {
                [left, right, ..] => merge_subtrees_non_root(&left, &right, mode),
                [odd] => odd,
                [] => break,
            };
        }
        values = &mut values[..parents];
    }
}
