//! Who calls the admin listener, and whether they may revoke.
//!
//! Looking is open to whoever reaches the listener. Revoking ends other people's sessions, so on TCP it takes a
//! secret; on the admin socket its permissions have said already who may.
#![forbid(unsafe_code)]

use super::guard;
use hyper::Request;
use hyper::header::AUTHORIZATION;
use std::fmt;
use std::net::IpAddr;

/// Who a connection comes from, as its socket says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// This address, over TCP.
    Address(IpAddr),
    /// A process of this host, over the admin socket.
    Process {
        /// Its user.
        uid: u32,
        /// Its number, as it was when it connected.
        pid: Option<i32>,
    },
}

/// The secret that callers over TCP bear. Only its hash is kept.
#[derive(Clone)]
pub struct BearerSecret(blake3::Hash);

/// Why a caller may not revoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unauthorized {
    /// A browser, or by a name that is not ours.
    Forbidden(&'static str),
    /// No secret, or another.
    Unauthenticated,
}

impl BearerSecret {
    /// Takes the text of a secret's file; white space at its ends is not part of it.
    #[must_use]
    pub fn new(text: &[u8]) -> Self {
        Self(blake3::hash(text.trim_ascii()))
    }

    /// Hashes compare in constant time, so that no secret is found byte by byte.
    fn is(&self, candidate: &[u8]) -> bool {
        blake3::hash(candidate) == self.0
    }
}

impl Caller {
    /// Whether this request may revoke, and see what was revoked.
    pub(super) fn authorize<B>(
        self,
        request: &Request<B>,
        hosts: &[Box<str>],
        secret: Option<&BearerSecret>,
    ) -> Result<(), Unauthorized> {
        guard::check(request, hosts).map_err(Unauthorized::Forbidden)?;
        if matches!(self, Self::Process { .. }) {
            return Ok(());
        }
        let Some(secret) = secret else {
            return Err(Unauthorized::Forbidden(
                "forbidden: over TCP this takes the secret of [revocation] token_file, and none is configured",
            ));
        };
        match bearer(request) {
            Some(candidate) if secret.is(candidate) => Ok(()),
            _ => Err(Unauthorized::Unauthenticated),
        }
    }
}

/// Whether the request bears this secret.
pub(super) fn bears<B>(request: &Request<B>, secret: &BearerSecret) -> bool {
    bearer(request).is_some_and(|candidate| secret.is(candidate))
}

/// RFC 6750 §2.1: `Authorization: Bearer …`, once; the scheme in any case (RFC 9110 §11.1).
fn bearer<B>(request: &Request<B>) -> Option<&[u8]> {
    let mut values = request.headers().get_all(AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let (scheme, secret) = value.as_bytes().split_at_checked(b"Bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"Bearer ")
        .then(|| secret.trim_ascii())
}

/// As audit lines name it.
impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "bearer@{address}"),
            Self::Process {
                uid,
                pid: Some(pid),
            } => write!(f, "uid:{uid}/pid:{pid}"),
            Self::Process { uid, pid: None } => write!(f, "uid:{uid}"),
        }
    }
}

impl fmt::Debug for BearerSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerSecret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const TCP: Caller = Caller::Address(IpAddr::V4(Ipv4Addr::LOCALHOST));
    const SOCKET: Caller = Caller::Process {
        uid: 7,
        pid: Some(9),
    };

    fn asks(
        caller: Caller,
        headers: &[(&str, &str)],
        secret: Option<&str>,
    ) -> Result<(), Unauthorized> {
        let mut request = Request::post("/v1/revocations").header("host", "localhost");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let secret = secret.map(|secret| BearerSecret::new(secret.as_bytes()));
        caller.authorize(
            &request.body(()).expect("fine headers"),
            &[],
            secret.as_ref(),
        )
    }

    #[test]
    fn only_the_secret_opens_on_tcp() {
        let good = [("authorization", "bearer s3cret")];
        assert_eq!(asks(TCP, &good, Some("s3cret\n")), Ok(()));
        for bad in [
            &[][..],
            &[("authorization", "Bearer s3cres")],
            &[("authorization", "Bearer ")],
            &[("authorization", "Bearer")],
            &[("authorization", "Basic s3cret")],
            &[
                ("authorization", "Bearer s3cret"),
                ("authorization", "Bearer s3cret"),
            ],
        ] {
            assert_eq!(
                asks(TCP, bad, Some("s3cret")),
                Err(Unauthorized::Unauthenticated),
                "{bad:?}"
            );
        }
        assert!(matches!(
            asks(TCP, &good, None),
            Err(Unauthorized::Forbidden(_))
        ));
    }

    #[test]
    fn the_admin_socket_has_let_in_whom_it_would_and_browsers_come_in_nowhere() {
        assert_eq!(asks(SOCKET, &[], None), Ok(()));
        let browser = [
            ("origin", "https://evil.example"),
            ("authorization", "Bearer s3cret"),
        ];
        for caller in [TCP, SOCKET] {
            assert!(matches!(
                asks(caller, &browser, Some("s3cret")),
                Err(Unauthorized::Forbidden(_))
            ));
        }
    }

    #[test]
    fn nothing_prints_the_secret() {
        assert_eq!(
            format!("{:?}", BearerSecret::new(b"s3cret")),
            "BearerSecret"
        );
        assert_eq!(
            (TCP.to_string(), SOCKET.to_string()),
            ("bearer@127.0.0.1".into(), "uid:7/pid:9".into())
        );
    }
}
