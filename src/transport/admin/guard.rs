//! Keeps web pages from driving the admin listener through the operator's own browser.
//!
//! The listener trusts who can reach it, and a browser on this host can. A page of another site sends
//! `Origin` with every POST; a name that was made to resolve to 127.0.0.1 (DNS rebinding) stands in
//! `Host`.
#![forbid(unsafe_code)]

use hyper::Request;
use hyper::header::{HOST, ORIGIN};
use std::net::IpAddr;

/// Whether a request that changes something may pass.
pub(super) fn check<B>(request: &Request<B>, hosts: &[Box<str>]) -> Result<(), &'static str> {
    let headers = request.headers();
    if headers.contains_key(ORIGIN) || headers.contains_key("sec-fetch-site") {
        return Err("forbidden: browsers may not do this");
    }
    let mut named = headers.get_all(HOST).iter();
    // HTTP/2 names the host in `:authority`, HTTP/1 in `Host` (RFC 9113 §8.3.1).
    let host = match (request.uri().authority(), named.next(), named.next()) {
        (Some(authority), _, None) => Some(authority.as_str()),
        (None, Some(host), None) => host.to_str().ok(),
        _ => None,
    };
    match host.and_then(without_port) {
        Some(host) if is_ours(host, hosts) => Ok(()),
        _ => Err("forbidden: call this listener by a loopback address or a configured host name"),
    }
}

fn is_ours(host: &str, hosts: &[Box<str>]) -> bool {
    host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        || host.eq_ignore_ascii_case("localhost")
        || hosts.iter().any(|ours| ours.eq_ignore_ascii_case(host))
}

/// The host of `host`, `host:port`, `[v6]` or `[v6]:port`; `None` for anything else.
fn without_port(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => match authority.find(':') {
            Some(at) => authority.split_at(at),
            None => (authority, ""),
        },
    };
    let is_port = match port.strip_prefix(':') {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_digit()),
        None => port.is_empty(),
    };
    is_port.then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(headers: &[(&str, &str)]) -> bool {
        let mut request = Request::post("/reload");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(()).expect("the headers are fine");
        check(&request, &["admin.example".into()]).is_ok()
    }

    #[test]
    fn only_by_a_name_of_this_host() {
        for ours in [
            "127.0.0.1:8485",
            "127.0.0.1",
            "localhost:1",
            "LOCALHOST",
            "[::1]:8485",
            "127.9.9.9",
            "Admin.Example:8485",
        ] {
            assert!(allowed(&[("host", ours)]), "{ours}");
        }
        for other in [
            "",
            "evil.example",
            "10.0.0.1:8485",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "[::2]",
            "[::1",
            "evil.example@127.0.0.1",
            "localhost:x",
        ] {
            assert!(!allowed(&[("host", other)]), "{other}");
        }
        assert!(!allowed(&[]));
        assert!(!allowed(&[("host", "localhost"), ("host", "evil.example")]));
    }

    #[test]
    fn never_for_a_browser() {
        assert!(!allowed(&[
            ("host", "localhost"),
            ("origin", "http://localhost")
        ]));
        assert!(!allowed(&[("host", "localhost"), ("origin", "null")]));
        assert!(!allowed(&[
            ("host", "localhost"),
            ("sec-fetch-site", "same-origin")
        ]));
    }

    #[test]
    fn http2_names_the_host_in_its_authority() {
        let check_uri = |uri: &str| {
            let request = Request::post(uri).body(()).expect("a URI");
            check(&request, &[])
        };
        assert!(check_uri("http://127.0.0.1:8485/reload").is_ok());
        assert!(check_uri("http://evil.example/reload").is_err());
        assert!(check_uri("http://x@127.0.0.1/reload").is_err());
    }
}
