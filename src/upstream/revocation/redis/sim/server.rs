//! A log as the scripts make it: one server or a primary with a replica, with the ways in which they forget.

use super::super::READ_ENTRIES_MAX;
use super::super::lane::Jitter;
use super::super::wire::{
    Ask, Content, Cursor, Entry, Fault, Look, Mark, Millis, Position, Present, Reply,
};
use crate::revocation::{Record, RecordKey};
use std::collections::BTreeMap;

/// What a server holds; also what it sends to a replica.
#[derive(Clone, Debug, Default)]
pub(super) struct Store {
    head: Cursor,
    history: Mark,
    pub(super) held: BTreeMap<RecordKey, (u32, u32)>,
    pub(super) stream: Vec<Entry>,
    /// The newest id that the stream has given out.
    top: Position,
    beat_at: Millis,
    awaited: Position,
    /// Notes of daemons.
    hosts: BTreeMap<String, (Position, u64)>,
}

#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) store: Store,
    pub(super) replid: Mark,
    pub(super) is_primary: bool,
    pub(super) is_up: bool,
    /// Its clock is ahead by this much.
    pub(super) skew: Millis,
    /// Answers take this much longer.
    pub(super) delay: Millis,
    pub(super) refusal: Option<Fault>,
    /// One that is never cut off, and that nobody promotes.
    pub(super) has_another_replica: bool,
    /// Writes so far, and how many of them the replica has confirmed, when last.
    pub(super) writes: u64,
    pub(super) confirmed: u64,
    pub(super) heard_at: Millis,
    /// What the replica was sent and has not yet confirmed.
    pub(super) sent: Option<(u64, Store)>,
}

/// What a server does with a question.
pub(super) enum Response {
    Now(Result<Reply, Fault>),
    /// Once something comes after this position, or the time is up.
    Block(Position, bool),
    /// Once the replica has confirmed so many writes.
    Durable(u64, Position),
}

impl Store {
    /// `DEL` of the stream alone, which forgets its newest id too.
    pub(super) fn lose_stream(&mut self) {
        self.stream.clear();
        self.top = Position::default();
    }
}

impl Server {
    pub(super) fn new(is_primary: bool, random: &mut Jitter) -> Self {
        Self {
            store: Store::default(),
            replid: mark(random),
            is_primary,
            is_up: true,
            skew: 0,
            delay: 0,
            refusal: None,
            has_another_replica: false,
            writes: 0,
            confirmed: 0,
            heard_at: 0,
            sent: None,
        }
    }

    /// Restarted: a new replication id, as a Redis that is not a replica takes one.
    pub(super) fn restart(&mut self, random: &mut Jitter) {
        self.is_up = true;
        self.replid = mark(random);
    }

    pub(super) fn answer(
        &mut self,
        ask: &Ask,
        host: &str,
        replicas: u64,
        beat_ms: Millis,
        now: Millis,
    ) -> Response {
        let replicas = if self.has_another_replica {
            0
        } else {
            replicas
        };
        if let Some(fault) = self.refusal
            && (fault != Fault::Refused || is_write(ask))
        {
            return Response::Now(Err(fault));
        }
        if is_write(ask) && !self.is_primary {
            return Response::Now(Err(Fault::NotPrimary));
        }
        Response::Now(Ok(match ask {
            Ask::Look { at } => Reply::Look(self.look(*at)),
            Ask::Open { epoch, server } => {
                let is_done = self.is_intact() && self.store.head.at.epoch >= *epoch;
                if *server == self.replid && !is_done {
                    self.open(*epoch);
                }
                Reply::Look(self.look(None))
            }
            // Two pages. What is there throughout is on one of them, as SCAN promises, and no more than that.
            Ask::Page { cursor } => {
                let half = |(key, _): &(&RecordKey, _)| (key.id[0] < 32) == (*cursor == 0);
                let all = self.store.held.iter().filter(half);
                let record = |(key, (before, until)): (&RecordKey, &(u32, u32))| Record {
                    key: *key,
                    before: *before,
                    until: *until,
                };
                Reply::Page {
                    next: u64::from(*cursor == 0),
                    records: all.map(record).collect(),
                    unreadable: 0,
                }
            }
            Ask::Read {
                after,
                block_ms,
                note,
            } => {
                let is_noted = note.is_some_and(|count| self.note(host, *after, count));
                match self.read(*after) {
                    entries if entries.is_empty() && *block_ms > 0 => {
                        return Response::Block(*after, is_noted);
                    }
                    entries => Reply::Entries {
                        entries,
                        look: self.look(None),
                        is_noted,
                    },
                }
            }
            Ask::Write {
                epoch,
                records,
                is_awaited,
            } => {
                if !self.is_intact() || self.store.head.at.epoch != *epoch {
                    return Response::Now(Err(Fault::Fenced));
                }
                for record in records {
                    self.put(record, true);
                }
                if *is_awaited {
                    self.store.awaited = self.store.head.at;
                }
                self.writes += 1;
                if replicas > 0 {
                    return Response::Durable(self.writes, self.store.head.at);
                }
                Reply::Written {
                    last: self.store.head.at,
                    is_durable: true,
                }
            }
            Ask::Fill { epoch, records } => {
                if !self.is_intact() || self.store.head.at.epoch != *epoch {
                    return Response::Now(Err(Fault::Fenced));
                }
                for record in records {
                    self.put(record, false);
                }
                self.writes += 1;
                Reply::Written {
                    last: self.store.head.at,
                    is_durable: true,
                }
            }
            Ask::Beat { epoch } => {
                if !self.is_intact() || self.store.head.at.epoch != *epoch {
                    return Response::Now(Err(Fault::Fenced));
                }
                if replicas > 0 && now.saturating_sub(self.heard_at) > super::MAX_LAG_MS {
                    return Response::Now(Err(Fault::Refused));
                }
                let clock = now + self.skew;
                if clock < self.store.beat_at || clock - self.store.beat_at >= beat_ms {
                    self.append(Content::Beat);
                    self.store.beat_at = clock;
                    self.writes += 1;
                }
                Reply::Done
            }
            Ask::Prune => Reply::Pruned { is_all: true },
            Ask::Call { epoch, outdated } => {
                if !self.is_intact() || self.store.head.at.epoch != *epoch {
                    return Response::Now(Err(Fault::Fenced));
                }
                let hosts = &mut self.store.hosts;
                hosts.retain(|host, (at, count)| {
                    let is_it =
                        |old: &&Present| old.host == *host && (old.at, old.count) == (*at, *count);
                    !outdated.iter().any(|old| is_it(&old))
                });
                let note = |(host, (at, count)): (&String, &(Position, u64))| Present {
                    host: host.clone(),
                    at: *at,
                    count: *count,
                };
                Reply::Called(hosts.iter().map(note).collect())
            }
        }))
    }

    /// Whether it takes one: only a primary does, and one that takes writes.
    fn note(&mut self, host: &str, at: Position, count: u64) -> bool {
        let takes_writes = self.is_primary && self.refusal.is_none();
        if takes_writes {
            self.store.hosts.insert(host.to_owned(), (at, count));
            self.writes += 1;
        }
        takes_writes
    }

    pub(super) fn look(&self, at: Option<Position>) -> Look {
        let entry = |at: Position| self.store.stream.iter().find(|entry| entry.cursor.at == at);
        Look {
            head: self.store.head,
            server: self.replid,
            is_primary: self.is_primary,
            is_intact: self.is_intact(),
            awaited: self.store.awaited,
            there: at.and_then(entry).map(|entry| entry.cursor.chain),
        }
    }

    pub(super) fn read(&self, after: Position) -> Vec<Entry> {
        let from = self
            .store
            .stream
            .partition_point(|entry| entry.cursor.at <= after);
        self.store.stream[from..]
            .iter()
            .take(READ_ENTRIES_MAX)
            .copied()
            .collect()
    }

    /// The replica's copy becomes this.
    pub(super) fn copy(&mut self, store: Store, replid: Mark) {
        self.store = store;
        self.replid = replid;
    }

    fn is_intact(&self) -> bool {
        let store = &self.store;
        store.head.at.epoch > 0 && store.history == self.replid && store.top == store.head.at
    }

    fn open(&mut self, wanted: u64) {
        let store = &mut self.store;
        let epoch = wanted.max(store.head.at.epoch + 1).max(store.top.epoch + 1);
        let cursor = store.head.reopened(epoch, self.replid);
        store.history = self.replid;
        self.push(Entry {
            cursor,
            content: Content::Opened(self.replid),
        });
        self.writes += 1;
    }

    fn put(&mut self, record: &Record, always: bool) {
        let times = self.store.held.get(&record.key).copied();
        let has_it =
            times.is_some_and(|(before, until)| before >= record.before && until >= record.until);
        if always || !has_it {
            let times = times.unwrap_or_default();
            let merged = (times.0.max(record.before), times.1.max(record.until));
            self.store.held.insert(record.key, merged);
            self.append(Content::Order(*record));
        }
    }

    fn append(&mut self, content: Content) {
        let cursor = self.store.head.next(&content);
        self.push(Entry { cursor, content });
    }

    fn push(&mut self, entry: Entry) {
        assert!(entry.cursor.at > self.store.top, "Redis takes no older id");
        self.store.head = entry.cursor;
        self.store.top = entry.cursor.at;
        self.store.stream.push(entry);
    }
}

pub(super) fn mark(random: &mut Jitter) -> Mark {
    let mut bytes = [0; 20];
    bytes[..8].copy_from_slice(&random.next().to_le_bytes());
    bytes[8..16].copy_from_slice(&random.next().to_le_bytes());
    Mark(bytes)
}

fn is_write(ask: &Ask) -> bool {
    !matches!(ask, Ask::Look { .. } | Ask::Page { .. } | Ask::Read { .. })
}
