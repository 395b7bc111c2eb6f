//! How a command ends. One place turns ends into exit codes: 0 done and valid, 1 a token was invalid or
//! a check failed, 2 usage or configuration error.

use jotd::issuer::{EncryptError, SigningError};
use jotd::vault::VaultError;
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// How a command that ran to its end came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Outcome {
    /// All was done, and all was valid.
    Done,
    /// A token was invalid, or a check failed; the command has said which.
    Refused,
}

impl Outcome {
    /// `Done` when the check held.
    pub(super) fn of(held: bool) -> Self {
        if held { Self::Done } else { Self::Refused }
    }
}

/// Why a command ended early.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The command line or a file it names makes no sense. The user can mend it.
    Usage(String),
    /// The command made sense and could not be carried out.
    Fault(String),
    /// Whoever read our output has gone. Not worth a word, and not a success either: what was not
    /// written was not found valid.
    OutputClosed,
}

impl Failure {
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    pub(super) fn fault(message: impl Into<String>) -> Self {
        Self::Fault(message.into())
    }

    /// A file named on the command line that could not be used.
    pub(super) fn file(path: &Path, cause: impl std::fmt::Display) -> Self {
        Self::Usage(format!("{}: {cause}", path.display()))
    }

    /// What a failed write to our own output means.
    pub(super) fn output(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::OutputClosed
        } else {
            Self::Fault(format!("the output could not be written: {error}"))
        }
    }

    /// What to tell the user; nothing where there is nothing to tell.
    pub(super) fn report(&self, command: &str) -> String {
        match self {
            Self::Usage(message) => {
                format!("error: {message}\n\nFor more information, try 'jotd {command} --help'.\n")
            }
            Self::Fault(message) => format!("error: {message}\n"),
            Self::OutputClosed => String::new(),
        }
    }
}

impl From<EncryptError> for Failure {
    fn from(error: EncryptError) -> Self {
        match error {
            EncryptError::Library => Self::Fault(error.to_string()),
            error => Self::Usage(error.to_string()),
        }
    }
}

/// What the issuer refuses can be mended on the command line; what it cannot do is not the user's fault.
impl From<SigningError> for Failure {
    fn from(error: SigningError) -> Self {
        match error {
            SigningError::Faulty | SigningError::Library | SigningError::Remote(_) => {
                Self::Fault(error.to_string())
            }
            error => Self::Usage(error.to_string()),
        }
    }
}

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        if error.is_usage() {
            Self::Usage(error.to_string())
        } else {
            Self::Fault(error.to_string())
        }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::SUCCESS,
            Outcome::Refused => Self::from(1),
        }
    }
}

impl From<&Failure> for ExitCode {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::Usage(_) => Self::from(2),
            Failure::Fault(_) | Failure::OutputClosed => Self::from(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_output_is_told_apart_from_a_full_disk() {
        let closed = io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(Failure::output(&closed), Failure::OutputClosed);
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert!(matches!(Failure::output(&full), Failure::Fault(_)));
    }
}
