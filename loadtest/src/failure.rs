//! Why there are no figures, and whose fault that is.
#![forbid(unsafe_code)]

use crate::drive::DriveError;
use crate::keys::KeysError;
use crate::server::ServerError;
use jotd::issuer::SigningError;
use std::fmt;

/// Why a run gave no figures.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What was asked for makes no sense.
    Usage(String),
    /// Something did not work.
    Fault(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::Fault(text) => f.write_str(text),
        }
    }
}

impl From<KeysError> for Failure {
    fn from(error: KeysError) -> Self {
        match error {
            KeysError::Signing(..) => Self::Fault(error.to_string()),
            KeysError::File(..) | KeysError::Foreign(_) => Self::Usage(error.to_string()),
        }
    }
}

impl From<SigningError> for Failure {
    fn from(error: SigningError) -> Self {
        Self::Fault(format!("minting: {error}"))
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        Self::Fault(error.to_string())
    }
}

impl From<DriveError> for Failure {
    fn from(error: DriveError) -> Self {
        Self::Fault(error.to_string())
    }
}
