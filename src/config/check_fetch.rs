//! Checks how key sets are fetched, where they are kept, and with whom they are shared.
#![forbid(unsafe_code)]

use super::check::Checker;
use super::check_redis::{self, Parts};
use super::fault::shown;
use super::{SharedKeys, raw};
use crate::upstream::Seal;
use http::Uri;
use std::path::PathBuf;
use std::time::Duration;
use zeroize::Zeroizing;

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

/// How fetched sets are shared, if they are.
pub(super) fn shared(raw: &raw::Document, checker: &mut Checker<'_>) -> Option<SharedKeys> {
    let raw = &raw.keys.shared;
    let secret_file = raw.secret_file.as_ref().map(|file| {
        let path = checker.readable(file);
        checker.refuse_exposed(&path, &file.place);
        // Whether it can be read at all has been said.
        if let Ok(text) = std::fs::read(&path).map(Zeroizing::new)
            && let Err(fault) = Seal::parse(&text)
        {
            let message = format!("{} {fault}", path.display());
            checker.found.push(&file.place, message);
        }
        (path, &file.place)
    });
    let prefix = check_redis::prefix(&raw.prefix, checker);
    let Some(address) = &raw.address else {
        if let Some((_, place)) = secret_file {
            let message =
                "does nothing without `address`, the Redis through which key sets are shared";
            checker.found.push(place, message);
        }
        return None;
    };
    let parts = Parts {
        address,
        sentinel_primary: raw.sentinel_primary.as_ref(),
        user: raw.user.as_ref(),
        password_file: raw.password_file.as_ref(),
        ca_file: raw.ca_file.as_ref(),
    };
    let server = check_redis::server(&parts, checker);
    let Some((secret_file, _)) = secret_file else {
        let message = "needs a `secret_file`: without a seal, whoever can write to Redis could put keys there; run: \
                       openssl rand -hex 32 > keys.secret";
        checker.found.push(&address.place, message);
        return None;
    };
    Some(SharedKeys {
        server,
        secret_file,
        prefix,
    })
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
