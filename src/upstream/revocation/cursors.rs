//! How far logs elsewhere had been read into what this disk holds, so that a start goes on from there.
//!
//! A cursor says "all before me is in the journal". It is worth nothing with another journal, with an older copy of
//! this one, or half written, and is then as good as none: everything is read again. Whether the log still holds what
//! the cursor says is for the reader to ask.
#![forbid(unsafe_code)]

use super::journal::Journal;
use super::redis::Remembered;
use crate::encoding::hex;
use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::io;

/// The file is the journal's name and this.
const SUFFIX: &str = "cursors";

/// What has been remembered, by the log's name.
pub(super) type Cursors = HashMap<String, Remembered>;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    /// The journal that this goes with, and what it held at least.
    journal: String,
    sequence: u64,
    logs: BTreeMap<String, Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    epoch: u64,
    sequence: u64,
    chain: String,
    is_settled: bool,
}

const VERSION: u32 = 1;

/// Writes them down. Everything before them must be in the journal.
///
/// # Errors
/// What the system said; what was written before still stands then.
pub(super) fn save(journal: &Journal, cursors: &Cursors) -> io::Result<()> {
    journal.put_beside(SUFFIX, &encode(journal.id(), journal.sequence(), cursors))
}

/// Reads what was written down, as far as it goes with this journal.
pub(super) fn load(journal: &Journal) -> Cursors {
    let bytes = match journal.read_beside(SUFFIX) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Cursors::new(),
        Err(error) => {
            tracing::warn!(%error, "how far logs had been read cannot be read; they are read from the beginning");
            return Cursors::new();
        }
    };
    decode(&bytes, journal.id(), journal.sequence()).unwrap_or_else(|why| {
        tracing::info!(why, "logs are read from the beginning");
        Cursors::new()
    })
}

/// One line with the digest of the rest, and the rest as JSON.
fn encode(journal: [u8; 16], sequence: u64, cursors: &Cursors) -> Vec<u8> {
    let entry = |(name, remembered): (&String, &Remembered)| {
        let (epoch, at, chain) = remembered.at?;
        let entry = Entry {
            epoch,
            sequence: at,
            chain: hex(&chain),
            is_settled: remembered.is_settled,
        };
        Some((name.clone(), entry))
    };
    let file = File {
        version: VERSION,
        journal: hex(&journal),
        sequence,
        logs: cursors.iter().filter_map(entry).collect(),
    };
    let text = serde_json::to_string(&file).expect("strings and numbers are always JSON");
    format!("{}\n{text}\n", checksum(&text)).into_bytes()
}

fn decode(bytes: &[u8], journal: [u8; 16], sequence: u64) -> Result<Cursors, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "the cursors are damaged")?;
    let (sum, text) = text.split_once('\n').ok_or("the cursors are damaged")?;
    let text = text.trim_end_matches('\n');
    if sum != checksum(text) {
        return Err("the cursors are damaged");
    }
    let file: File =
        serde_json::from_str(text).map_err(|_| "the cursors are of another version")?;
    if file.version != VERSION {
        return Err("the cursors are of another version");
    }
    if file.journal != hex(&journal) {
        return Err("the cursors are those of another journal");
    }
    if file.sequence > sequence {
        return Err("the journal holds less than when the cursors were written");
    }
    // Orders that came later may not have reached the logs.
    let is_all = file.sequence == sequence;
    let entry = |(name, entry): (String, Entry)| {
        let remembered = Remembered {
            at: Some((entry.epoch, entry.sequence, unhex(&entry.chain)?)),
            is_settled: entry.is_settled && is_all,
        };
        Some((name, remembered))
    };
    let logs: Option<Cursors> = file.logs.into_iter().map(entry).collect();
    logs.ok_or("the cursors are damaged")
}

fn checksum(text: &str) -> String {
    hex(digest(&SHA256, text.as_bytes()).as_ref())
}

fn unhex(text: &str) -> Option<[u8; 20]> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let mut bytes = [0; 20];
    if pairs.len() != bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOURNAL: [u8; 16] = [7; 16];

    fn cursors() -> Cursors {
        let remembered = |at, is_settled| Remembered { at, is_settled };
        HashMap::from([
            ("a".to_owned(), remembered(Some((3, 41, [0xab; 20])), true)),
            ("b".to_owned(), remembered(Some((1, 0, [0; 20])), false)),
            ("c".to_owned(), remembered(None, true)),
        ])
    }

    #[test]
    fn what_was_written_is_read_back() {
        let bytes = encode(JOURNAL, 9, &cursors());
        let mut expected = cursors();
        expected.remove("c");
        assert_eq!(decode(&bytes, JOURNAL, 9), Ok(expected.clone()));
        // More has been written into the journal since: the cursors hold, but not everything was delivered.
        expected.values_mut().for_each(|log| log.is_settled = false);
        assert_eq!(decode(&bytes, JOURNAL, 10), Ok(expected));
    }

    #[test]
    fn cursors_of_another_journal_or_an_older_copy_are_none() {
        let bytes = encode(JOURNAL, 9, &cursors());
        assert!(decode(&bytes, [8; 16], 9).is_err());
        assert!(decode(&bytes, JOURNAL, 8).is_err());
    }

    #[test]
    fn no_byte_may_be_another_and_none_may_be_missing() {
        let bytes = encode(JOURNAL, 9, &cursors());
        for at in 0..bytes.len() - 1 {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1;
            assert!(decode(&wrong, JOURNAL, 9).is_err(), "byte {at}");
            assert!(decode(&bytes[..at], JOURNAL, 9).is_err(), "cut at {at}");
        }
    }
}
