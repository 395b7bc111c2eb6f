//! The states that a log can be in.
#![forbid(unsafe_code)]

/// How far one log can be relied upon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogState {
    /// Has not answered since the start.
    #[default]
    Cold,
    /// Answers, but has not been read to its end, or nobody writes there.
    Syncing,
    /// Read to its end, and that no longer ago than the lease.
    Live,
    /// Was live; the lease is over.
    Suspect,
    /// Has been suspect for long.
    Stale,
}

impl LogState {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Cold,
        Self::Syncing,
        Self::Live,
        Self::Suspect,
        Self::Stale,
    ];

    /// The stable name, as in readiness and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Syncing => "syncing",
            Self::Live => "live",
            Self::Suspect => "suspect",
            Self::Stale => "stale",
        }
    }
}
