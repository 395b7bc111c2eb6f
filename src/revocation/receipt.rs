//! What is told of orders: to whoever gave one, how safe it is and where it stands; to whoever watches, that it
//! arrived.

use super::{Member, Members, Record};
use std::sync::Arc;

/// How long the giver of an order waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wait {
    /// Until the order cannot be lost any more.
    #[default]
    Accepted,
    /// Until, besides, every daemon that may answer knows it, or has stopped answering.
    Applied,
}

/// What has become of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    /// It is on this host's disk and will be delivered; fewer logs than wanted hold it so far.
    Pending,
    /// It cannot be lost any more.
    Accepted,
    /// Every daemon that may answer refuses its tokens.
    Applied,
}

/// Where an order stands in one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The log's configured name; `local` for this host's own.
    pub log: Arc<str>,
    /// The log's epoch; 0 for this host's own, whose history never forks.
    pub epoch: u64,
    /// The last entry of the order in it.
    pub sequence: u64,
}

/// What was made sure of before the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarantee {
    /// Written and synced to this host's disk. It is lost with that disk.
    Disk,
    /// Held by so many logs elsewhere, besides this host's disk.
    Logs {
        /// How many confirmed it.
        held: usize,
        /// How many must, before it is accepted.
        quorum: usize,
        /// How many there are.
        of: usize,
    },
}

/// What the giver of an order is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// What has become of it.
    pub progress: Progress,
    /// What was made sure of.
    pub guarantee: Guarantee,
    /// Where it stands, in each log that holds it.
    pub positions: Vec<Position>,
    /// What to ask as `min_revision` of this daemon, to be answered by one that knows the order.
    pub revision: u64,
    /// Daemons that may answer and had not said that they know it, where that was waited for in vain.
    pub unconfirmed: Vec<Arc<str>>,
}

/// Records that were taken in together.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// When, in seconds since the epoch.
    pub at: i64,
    /// The revision in which all of them are known.
    pub revision: u64,
    /// The records.
    pub records: Arc<[Record]>,
}

/// Why an order was not taken. It has no effect then, now or later, unless the variant says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// No room on the disk.
    #[error("the disk of state_dir is full; nothing was revoked")]
    DiskFull,
    /// The disk refuses.
    #[error("state_dir cannot be written; nothing was revoked, and the log says why")]
    Unwritable,
    /// The disk did not keep it, while it was on its way to logs that are shared.
    #[error(
        "state_dir could not be written while the order was on its way: it is in force, but may be forgotten; give it again"
    )]
    Unsynced,
    /// Too many orders wait already.
    #[error("too many orders wait already; nothing was revoked, so ask again")]
    Busy,
    /// The daemon is going down.
    #[error("the daemon is stopping; nothing was revoked")]
    Stopping,
}

impl Progress {
    /// The stable name, as in answers and audit lines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Applied => "applied",
        }
    }
}

impl NotTaken {
    /// The stable name, as in answers and audit lines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DiskFull => "disk_full",
            Self::Unwritable => "unwritable",
            Self::Unsynced => "unsynced",
            Self::Busy => "busy",
            Self::Stopping => "stopping",
        }
    }
}

impl Guarantee {
    /// In words, for people.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Disk => "synced to this host's disk".to_owned(),
            Self::Logs { held, quorum, of } => {
                format!("synced to this host's disk, held by {held} of {of} logs ({quorum} wanted)")
            }
        }
    }
}

/// The kind of an order, in one word of a closed set: what it names, besides the issuer.
#[must_use]
pub fn kind_of(members: Members) -> &'static str {
    let mut named = members.iter().filter(|member| *member != Member::Issuer);
    match (named.next(), named.next()) {
        (None, _) if members.is_empty() => "tenant",
        (None, _) => Member::Issuer.name(),
        (Some(member), None) => member.name(),
        (Some(_), Some(_)) => "several",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_what_is_named_besides_the_issuer() {
        let kind = |members: &[Member]| kind_of(members.iter().copied().collect());
        assert_eq!(kind(&[]), "tenant");
        assert_eq!(kind(&[Member::Issuer]), "iss");
        assert_eq!(kind(&[Member::Issuer, Member::TokenId]), "jti");
        assert_eq!(kind(&[Member::Session]), "sid");
        assert_eq!(kind(&[Member::Subject, Member::Client]), "several");
    }
}
