//! What an answer's headers say of time: how long it stays good, and what time it is where it came from.
#![forbid(unsafe_code)]

use http::header::{AGE, CACHE_CONTROL, DATE, HeaderMap};
use std::time::{Duration, UNIX_EPOCH};

/// How long the answer stays good from now on: what it was given, less what it has spent in caches
/// (RFC 9111 §4.2).
pub(super) fn fresh_for(headers: &HeaderMap) -> Option<Duration> {
    max_age(headers).map(|max_age| max_age.saturating_sub(age(headers)))
}

/// What time it is at the server, as far as its answer says, in seconds since the epoch.
pub(super) fn server_time(headers: &HeaderMap) -> Option<i64> {
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    let since_epoch = date.duration_since(UNIX_EPOCH).ok()?;
    // One that was cached is as much older as it says.
    i64::try_from((since_epoch + age(headers)).as_secs()).ok()
}

/// `Age` (RFC 9111 §5.1): how long the answer has lain in caches.
fn age(headers: &HeaderMap) -> Duration {
    let seconds = headers
        .get(AGE)
        .and_then(|age| age.to_str().ok()?.parse().ok());
    // RFC 9111 §1.2.2: what is larger than anybody counts means as much as 2^31.
    Duration::from_secs(seconds.unwrap_or(0_u64).min(1 << 31))
}

/// `max-age` of `Cache-Control` (RFC 9111 §5.2.2.1); nothing for what is not to be reused unasked (§5.2.2.4, §5.2.2.5).
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    headers
        .get_all(CACHE_CONTROL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .find_map(|directive| {
            let directive = directive.trim();
            let forbids = ["no-cache", "no-store"];
            if forbids
                .iter()
                .any(|word| directive.eq_ignore_ascii_case(word))
            {
                return Some(Duration::ZERO);
            }
            let (name, value) = directive.split_once('=')?;
            let seconds = value.trim_matches('"').parse().ok()?;
            name.eq_ignore_ascii_case("max-age")
                .then(|| Duration::from_secs(seconds))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn max_age_is_found_among_other_directives() {
        let max_age_of = |value| {
            let mut headers = HeaderMap::new();
            headers.insert(CACHE_CONTROL, HeaderValue::from_static(value));
            max_age(&headers).map(|age| age.as_secs())
        };
        assert_eq!(max_age_of("public, Max-Age=60"), Some(60));
        assert_eq!(max_age_of("s-maxage=60"), None);
        assert_eq!(max_age_of("max-age=never"), None);
        assert_eq!(max_age_of("No-Store"), Some(0));
        assert_eq!(max_age_of("private"), None);
    }

    #[test]
    fn what_lay_in_caches_is_fresh_for_less_and_its_clock_has_gone_on() {
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=300"));
        headers.insert(
            DATE,
            HeaderValue::from_static("Tue, 14 Nov 2023 22:13:20 GMT"),
        );
        assert_eq!(fresh_for(&headers), Some(Duration::from_secs(300)));
        assert_eq!(server_time(&headers), Some(1_700_000_000));
        headers.insert(AGE, HeaderValue::from_static("120"));
        assert_eq!(fresh_for(&headers), Some(Duration::from_secs(180)));
        assert_eq!(server_time(&headers), Some(1_700_000_120));
        headers.insert(AGE, HeaderValue::from_static("400"));
        assert_eq!(fresh_for(&headers), Some(Duration::ZERO));
        headers.insert(DATE, HeaderValue::from_static("yesterday"));
        assert_eq!(server_time(&headers), None);
    }
}
