//! Checks where HMAC secrets are said to be.
#![forbid(unsafe_code)]

use super::check::Checker;
use super::fault::Place;
use super::section::At;
use super::setting::Name;
use crate::limits::KEY_CANDIDATES_MAX;
use crate::upstream::{Given, Source};
use std::os::unix::ffi::OsStrExt;
use zeroize::Zeroizing;

/// Secrets out of the environment, as it is now.
pub(super) fn from_environment(
    names: &[At<Name>],
    place: &Place,
    checker: &mut Checker<'_>,
) -> Option<Source> {
    not_too_many(names, checker);
    let mut secrets = Vec::with_capacity(names.len());
    for At { value, place } in names {
        match checker.variable(&value.0) {
            Some(secret) => {
                let secret = Zeroizing::new(secret.as_bytes().to_vec());
                secrets.push((value.0.clone(), secret));
            }
            None => {
                let message = format!("${} is not set", value.0);
                checker.found.push(place, message);
            }
        }
    }
    match Given::new(secrets) {
        Ok(given) => Some(Source::Given(given)),
        Err(message) => {
            checker.found.push(place, message);
            None
        }
    }
}

pub(super) fn not_too_many<T>(secrets: &[At<T>], checker: &mut Checker<'_>) {
    if let Some(At { place, .. }) = secrets.get(KEY_CANDIDATES_MAX) {
        let message = format!(
            "more than {KEY_CANDIDATES_MAX} secrets, and a token that names none is tried against no more"
        );
        checker.found.push(place, message);
    }
}
