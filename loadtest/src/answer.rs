//! What a server says of a token, and how it is told when that is wrong.
#![forbid(unsafe_code)]

use crate::mix::Class;
use jotd::verdict::Reason;
use std::fmt;

/// What a server said of one token, in as little as checking it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// To be trusted.
    Valid {
        /// Whether the server says that its cache knew.
        cached: bool,
    },
    /// Refused.
    Invalid(Reason),
    /// The server could not say.
    Unavailable,
    /// Refused for a reason outside the closed set; never right.
    Unknown,
}

/// A verdict that is not the one the token must get. Holds the token's class and number, never the
/// token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// The class of the token.
    pub(crate) class: Class,
    /// Its number in the corpus.
    pub(crate) token: u32,
    /// What the server said.
    pub(crate) answer: Answer,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Valid { .. } => f.write_str("valid"),
            Self::Invalid(reason) => write!(f, "invalid/{reason}"),
            Self::Unavailable => f.write_str("unavailable"),
            Self::Unknown => f.write_str("invalid, for a reason outside the closed set"),
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "token {} of class {}: expected ", self.token, self.class)?;
        match self.class.expected() {
            None => f.write_str("valid")?,
            Some(reason) => write!(f, "invalid/{reason}")?,
        }
        write!(f, ", got {}", self.answer)
    }
}
