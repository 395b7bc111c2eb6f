//! Checks how key sets are fetched, and where they are kept.
#![forbid(unsafe_code)]

use super::check::Checker;
use super::fault::shown;
use super::raw;
use http::Uri;
use std::path::PathBuf;
use std::time::Duration;

/// The folder of [revocation]'s `state_dir` in which fetched sets are kept, unless another is named.
const FOLDER_DEFAULT: &str = "keys";

/// Where fetched sets are kept, if anywhere.
pub(super) fn state_dir(raw: &raw::Document, checker: &Checker<'_>) -> Option<PathBuf> {
    if let Some(own) = &raw.keys.state_dir {
        return Some(checker.path(&own.value));
    }
    let shared = raw.revocation.state_dir.as_ref()?;
    Some(checker.path(&shared.value).join(FOLDER_DEFAULT))
}

/// How long unconfirmed keys are trusted: longer than it takes to ask, or good keys would go while all is well.
pub(super) fn keys_max_age(raw: &raw::Issuer, checker: &mut Checker<'_>) -> Duration {
    let (max_age, refresh) = (&raw.keys_max_age_seconds, &raw.refresh_seconds);
    if max_age.value.u64() < 2 * refresh.value.u64() {
        checker.found.push(
            &max_age.place,
            format!(
                "must be at least twice refresh_seconds, which is {}: keys would be given up between two fetches",
                refresh.value.u64()
            ),
        );
    }
    Duration::from_secs(max_age.value.u64())
}

/// The proxy, with a fault if it is none.
pub(super) fn checked_proxy(raw: &raw::Issuer, checker: &mut Checker<'_>) -> Option<Uri> {
    let at = raw.proxy.as_ref()?;
    let checked = proxy(&at.value.0);
    if checked.is_none() {
        // What may be a password is not repeated.
        let text = match at.value.0.contains('@') {
            true => "the URL".to_owned(),
            false => shown(&at.value.0),
        };
        let message = format!(
            "{text} is no proxy's URL: write http://, a host and a port, without credentials or a path"
        );
        checker.found.push(&at.place, message);
    }
    checked
}

/// An HTTP proxy's URL: a host with or without a port, and nothing else.
pub(super) fn proxy(text: &str) -> Option<Uri> {
    let uri: Uri = text.parse().ok()?;
    let authority = uri.authority()?;
    let is_plain = uri.scheme_str() == Some("http")
        && !authority.as_str().contains('@')
        && uri.path() == "/"
        && uri.query().is_none();
    (is_plain && !text.contains('#')).then_some(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_a_host_and_a_port() {
        for good in ["http://proxy.example:3128", "http://10.0.0.1:8080/"] {
            assert!(proxy(good).is_some(), "{good}");
        }
        for bad in [
            "proxy.example:3128",
            "https://proxy.example:3128",
            "http://user:secret@proxy.example",
            "http://proxy.example/path",
            "http://proxy.example?x",
            "",
        ] {
            assert!(proxy(bad).is_none(), "{bad}");
        }
    }
}
