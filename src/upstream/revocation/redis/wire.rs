//! What is said to one Redis log, and what it answers, as plain values: the reader, the writer and the keeper
//! speak these and know neither sockets nor RESP, so that a simulator can hold the other end.
#![forbid(unsafe_code)]

use crate::revocation::Record;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use std::fmt;

/// Milliseconds since boot. The machines are told the time; they have no clock.
pub(crate) type Millis = u64;

/// A place in the log, which is a stream id: epochs only grow, and sequences have no holes in an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Which history.
    pub epoch: u64,
    /// How many entries before it in that history.
    pub sequence: u64,
}

/// Twenty bytes that are written in hexadecimal: a replication id or a link of the chain.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Mark(pub(crate) [u8; 20]);

/// A position and the chain there, which together say what has been read: no other history has both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) at: Position,
    pub(crate) chain: Mark,
}

/// One entry of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) cursor: Cursor,
    pub(crate) content: Content,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Order(Record),
    /// Somebody could write just then, on a primary that its replicas had heard from.
    Beat,
    /// The first entry of a history, with the replication id of its server.
    Opened(Mark),
    /// Something that this version cannot read.
    Unreadable,
}

/// Where a log stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// The last entry; epoch 0 where there has never been one.
    pub(crate) head: Cursor,
    /// Replication id of the server that answers.
    pub(crate) server: Mark,
    pub(crate) is_primary: bool,
    /// Whether this server began this history and its stream ends where the state says.
    pub(crate) is_intact: bool,
    /// Up to where somebody waits for every daemon.
    pub(crate) awaited: Position,
    /// The chain of the entry that was asked for.
    pub(crate) there: Option<Mark>,
}

/// A question or an order to one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Look {
        at: Option<Position>,
    },
    Open {
        epoch: u64,
        server: Mark,
    },
    Page {
        cursor: u64,
    },
    /// With a note that everything up to `after` has been applied here; the number makes it another than the last.
    Read {
        after: Position,
        block_ms: u64,
        note: Option<u64>,
    },
    /// Answered after the durability that the log is configured for, or its lack, is known.
    Write {
        epoch: u64,
        records: Vec<Record>,
        is_awaited: bool,
    },
    /// Writes what the log lacks of these.
    Fill {
        epoch: u64,
        records: Vec<Record>,
    },
    Beat {
        epoch: u64,
    },
    Prune,
    /// Who follows this log. Takes away notes that still say this.
    Call {
        epoch: u64,
        outdated: Vec<Present>,
    },
}

/// A daemon's note on how far it has applied a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Present {
    pub(crate) host: String,
    pub(crate) at: Position,
    /// Another one in each note.
    pub(crate) count: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Look(Look),
    Page {
        next: u64,
        records: Vec<Record>,
        unreadable: usize,
    },
    /// With where the log stood after they had been read, and on what kind of server.
    Entries {
        entries: Vec<Entry>,
        look: Look,
        /// Whether a note was to be taken, and was.
        is_noted: bool,
    },
    Written {
        last: Position,
        is_durable: bool,
    },
    Pruned {
        is_all: bool,
    },
    Called(Vec<Present>),
    Done,
}

/// Why there is no answer. All but [`Fault::Fenced`] and [`Fault::Refused`] end the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fault {
    /// No connection, or no answer in time.
    Lost,
    /// What came is not what this question is answered with.
    Garbage,
    /// Loading, or its master is down.
    Busy,
    /// A replica, or a node that the keys do not live on.
    NotPrimary,
    /// Not let in, or not allowed to.
    Denied,
    /// It does not write now: out of memory, too few replicas, a disk that is full.
    Refused,
    /// The log is in another epoch.
    Fenced,
}

impl Fault {
    /// For logs and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Garbage => "garbage",
            Self::Busy => "busy",
            Self::NotPrimary => "not_primary",
            Self::Denied => "denied",
            Self::Refused => "refused",
            Self::Fenced => "fenced",
        }
    }
}

impl Cursor {
    /// The entry that says this after this one, in the same history.
    pub(crate) fn next(&self, content: &Content) -> Self {
        Self {
            at: Position {
                epoch: self.at.epoch,
                sequence: self.at.sequence + 1,
            },
            chain: self.chain.then(content, self.at.epoch),
        }
    }

    /// The first entry of a later history that goes on where this one ends.
    pub(crate) fn reopened(&self, epoch: u64, server: Mark) -> Self {
        Self {
            at: Position { epoch, sequence: 0 },
            chain: self.chain.then(&Content::Opened(server), epoch),
        }
    }

    /// Whether the entry follows this one directly, so that nothing between has been missed.
    pub(crate) fn is_followed_by(&self, entry: &Entry) -> bool {
        match entry.content {
            Content::Unreadable => false,
            Content::Opened(server) => {
                let epoch = entry.cursor.at.epoch;
                epoch > self.at.epoch && entry.cursor == self.reopened(epoch, server)
            }
            _ => entry.cursor == self.next(&entry.content),
        }
    }
}

impl Mark {
    /// Forty hexadecimal digits.
    pub(crate) fn from_hex(text: &[u8]) -> Option<Self> {
        let (pairs, []) = text.as_chunks::<2>() else {
            return None;
        };
        let mut bytes = [0; 20];
        if pairs.len() != bytes.len() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(pairs) {
            let digit = |digit: u8| char::from(digit).to_digit(16);
            *byte = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()?;
        }
        Some(Self(bytes))
    }

    /// The chain after an entry: what `append` in `scripts/prelude.lua` computes. Against accidents, not
    /// against people: who may write could write a chain too.
    fn then(self, content: &Content, epoch: u64) -> Self {
        let text = match content {
            Content::Order(record) => format!("{self}record{}", record.to_hex()),
            Content::Beat => format!("{self}beat"),
            Content::Opened(server) => format!("{self}open{epoch}:{server}"),
            Content::Unreadable => return self,
        };
        let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
        let mut bytes = [0; 20];
        bytes.copy_from_slice(hash.as_ref());
        Self(bytes)
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Written as a stream id.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.sequence)
    }
}

/// Reads a stream id.
impl std::str::FromStr for Position {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (epoch, sequence) = text.split_once('-').unwrap_or((text, ""));
        Ok(Self {
            epoch: epoch.parse()?,
            sequence: sequence.parse()?,
        })
    }
}

/// Written as what Redis keeps under the host's name: the position and the number.
impl Present {
    pub(crate) fn said(at: Position, count: u64) -> String {
        format!("{at} {count}")
    }

    pub(crate) fn parse(host: &str, said: &str) -> Option<Self> {
        let (at, count) = said.split_once(' ')?;
        Some(Self {
            host: host.to_owned(),
            at: at.parse().ok()?,
            count: count.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_is_that_of_the_scripts() {
        // Taken from a Redis 7.0.15 that ran them.
        let server = Mark::from_hex(b"ac5a7966d2342be8e95b3ab80902f3df1dd14547").expect("hex");
        let opened = Cursor::default().reopened(1, server);
        assert_eq!(
            opened.chain.to_string(),
            "11bfcb03a0175a6e4d5f5fe802bc9bffb08dc0f5"
        );
        let record = "000000010100000000000000000000000000000005ffffffffffffffff";
        let order = Content::Order(Record::from_hex(record).expect("a record"));
        let next = opened.next(&order);
        assert_eq!(
            next.chain.to_string(),
            "0f40db5ecfe77e384e767e1db81104982d33c7f5"
        );
        assert_eq!(next.at.to_string().parse(), Ok(next.at));
        assert!(opened.is_followed_by(&Entry {
            cursor: next,
            content: order
        }));
        assert!(!opened.is_followed_by(&Entry {
            cursor: next,
            content: Content::Beat
        }));
        assert!(!next.is_followed_by(&Entry {
            cursor: next,
            content: order
        }));
    }

    #[test]
    fn notes_are_read_as_they_are_written() {
        let at = Position {
            epoch: 3,
            sequence: 17,
        };
        let said = Present::said(at, 9);
        assert_eq!(said, "3-17 9");
        let present = Present::parse("web-1", &said).expect("a note");
        assert_eq!(
            (&*present.host, present.at, present.count),
            ("web-1", at, 9)
        );
        for wrong in ["", "3-17", "3 9", "3-17 x", "3-17 9 9"] {
            assert_eq!(Present::parse("web-1", wrong), None, "{wrong}");
        }
    }

    #[test]
    fn marks_and_positions_that_are_none_are_refused() {
        for text in ["", "ab", &"g".repeat(40), &"a".repeat(39), &"a".repeat(42)] {
            assert_eq!(Mark::from_hex(text.as_bytes()), None, "{text}");
        }
        for text in [
            "",
            "1",
            "1-",
            "-1",
            "a-b",
            "1-2-3",
            "99999999999999999999-1",
        ] {
            assert!(text.parse::<Position>().is_err(), "{text}");
        }
    }
}
