//! Which URLs keys may be fetched from, and which addresses those may resolve to.
#![forbid(unsafe_code)]

use http::Uri;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why a URL is not one to fetch keys from. Reads as the end of a sentence that begins with the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UriFault {
    /// Not a URL with scheme and host.
    #[error("is no https URL")]
    Malformed,
    /// Plain HTTP.
    #[error("is not https: whoever sits on the way could hand out keys of their own")]
    Plain,
    /// Plain HTTP to this host, which needs to be spelled out.
    #[error("is not https; for development on this host, write allow_insecure_loopback = true")]
    PlainLoopback,
    /// A user name or password in the URL.
    #[error("carries credentials, which would end up in logs; leave out what stands before the @")]
    Credentials,
    /// An address that is not on the Internet.
    #[error(
        "is an address of this host or its network; if that is meant, write \
             allow_private_address = true"
    )]
    PrivateAddress,
    /// A fragment, which is never sent.
    #[error("has a fragment, which no server ever sees; leave out the # and what follows")]
    Fragment,
}

/// Checks a URL to fetch keys from: https to a public host, or plain HTTP to loopback where that was
/// allowed. Names are resolved, and their addresses checked, when they are fetched.
///
/// # Errors
/// [`UriFault`].
pub fn check_uri(
    text: &str,
    allow_insecure_loopback: bool,
    allow_private_address: bool,
) -> Result<Uri, UriFault> {
    if text.contains('#') {
        return Err(UriFault::Fragment);
    }
    let uri: Uri = text.parse().map_err(|_| UriFault::Malformed)?;
    let authority = uri.authority().ok_or(UriFault::Malformed)?;
    if authority.as_str().contains('@') {
        return Err(UriFault::Credentials);
    }
    let host = authority.host();
    match uri.scheme_str() {
        Some("https")
            if !allow_private_address && address(host).is_some_and(|ip| !is_public(ip)) =>
        {
            Err(UriFault::PrivateAddress)
        }
        Some("https") => Ok(uri),
        Some("http") if is_loopback(host) => {
            if allow_insecure_loopback {
                Ok(uri)
            } else {
                Err(UriFault::PlainLoopback)
            }
        }
        Some("http") => Err(UriFault::Plain),
        _ => Err(UriFault::Malformed),
    }
}

/// Whether a URL's host can only be this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost" || address(host).is_some_and(|ip| ip.is_loopback())
}

/// The address that a URL's host is, where it is no name.
fn address(host: &str) -> Option<IpAddr> {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    bare.unwrap_or(host).parse().ok()
}

/// Whether an address is out on the Internet. A key URL whose name suddenly resolves to this host or its
/// neighbours is somebody using us to reach what only we can reach (RFC 8725 §3.10).
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        || a == 0
        // 100.64.0.0/10, shared by carriers and clouds (RFC 6598).
        || (a == 100 && (64..128).contains(&b))
        // 192.0.0.0/24, protocol assignments (RFC 6890).
        || (a == 192 && b == 0 && c == 0)
        // 198.18.0.0/15, benchmarks (RFC 2544).
        || (a == 198 && (18..20).contains(&b))
        // 240.0.0.0/4, reserved (RFC 1112).
        || a >= 240)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(v4) = address.to_ipv4_mapped() {
        return is_public_v4(v4);
    }
    let [first, second, ..] = address.segments();
    // NAT64 (RFC 6052) and 6to4 (RFC 3056) carry an IPv4 address that we would have refused.
    if first == 0x64 && second == 0xff9b {
        let [.., high, low] = address.segments();
        return is_public_v4(v4_from(high, low));
    }
    if first == 0x2002 {
        return is_public_v4(v4_from(second, address.segments()[2]));
    }
    !(address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || address.is_unique_local()
        || address.is_unicast_link_local()
        // ::/96, the deprecated IPv4-compatible addresses.
        || address.segments()[..6] == [0; 6]
        // 2001:db8::/32, documentation.
        || (first == 0x2001 && second == 0xdb8)
        // fec0::/10, the deprecated site-local addresses.
        || first & 0xffc0 == 0xfec0)
}

fn v4_from(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks V-43.
    #[test]
    fn only_https_is_fetched_and_plain_loopback_only_when_spelled_out() {
        let refused = |uri, allow| check_uri(uri, allow, false).expect_err(uri);
        assert!(check_uri("https://idp.example/jwks.json", false, false).is_ok());
        assert!(check_uri("HTTPS://idp.example:8443/k?a=b", false, false).is_ok());
        assert_eq!(refused("http://idp.example/k", true), UriFault::Plain);
        assert_eq!(
            refused("http://127.0.0.1/k", false),
            UriFault::PlainLoopback
        );
        for loopback in [
            "http://127.0.0.1:1/k",
            "http://[::1]/k",
            "http://localhost/k",
        ] {
            assert!(check_uri(loopback, true, false).is_ok(), "{loopback}");
        }
        assert_eq!(
            refused("http://localhost.evil.example/k", true),
            UriFault::Plain
        );
        assert_eq!(
            refused("http://127.0.0.1.evil.example/k", true),
            UriFault::Plain
        );
        assert_eq!(
            refused("https://u:p@idp.example/k", false),
            UriFault::Credentials
        );
        assert_eq!(
            refused("https://idp.example/k#x", false),
            UriFault::Fragment
        );
        for private in [
            "https://10.0.0.1/k",
            "https://[::1]/k",
            "https://127.0.0.1:8443/k",
        ] {
            assert_eq!(
                refused(private, true),
                UriFault::PrivateAddress,
                "{private}"
            );
            assert!(check_uri(private, false, true).is_ok(), "{private}");
        }
        for other in [
            "",
            "idp.example",
            "/jwks.json",
            "ftp://idp.example/k",
            "file:///etc/passwd",
        ] {
            assert_eq!(refused(other, true), UriFault::Malformed, "{other}");
        }
    }

    /// Checks V-43.
    #[test]
    fn addresses_of_this_host_and_its_neighbours_are_not_public() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "192.0.0.8",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "fec0::1",
            "2001:db8::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
        ] {
            assert!(!is_public(private.parse().expect(private)), "{private}");
        }
        for public in [
            "1.1.1.1",
            "93.184.216.34",
            "2606:4700:4700::1111",
            "64:ff9b::101:101",
        ] {
            assert!(is_public(public.parse().expect(public)), "{public}");
        }
    }
}
