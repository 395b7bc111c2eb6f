//! Where a log is: one server, by TCP, TLS or a Unix socket, or whichever server Sentinels name.
#![forbid(unsafe_code)]

use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, TlsCertificates, TlsMode};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::fmt;
use std::sync::Arc;
use url::Url;

/// The port that Sentinels listen on.
const SENTINEL_PORT: u16 = 26379;

/// Where a log is, and as whom to go there. `Debug` leaves the password out.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    url: Url,
    /// Certificate authorities in PEM, instead of the system's.
    pub authorities: Option<Vec<u8>>,
    /// Instead of what the URL says; keeps it out of configuration files.
    pub password: Option<String>,
}

/// Why text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressFault {
    /// Not a URL at all.
    #[error("not a URL: {0}")]
    NotUrl(String),
    /// Some other protocol.
    #[error(
        "scheme `{0}` is none of redis, rediss, valkey, valkeys, redis+unix, redis+sentinel, rediss+sentinel"
    )]
    Scheme(String),
    /// What the client library makes of it.
    #[error("{0}")]
    Unusable(String),
    /// `redis+sentinel://sentinel-a:26379,sentinel-b/name` has to name the service.
    #[error(
        "the path of a Sentinel address names the service, as in redis+sentinel://host:26379/mymaster"
    )]
    Service,
    /// Which of them is in charge, only Sentinels can say.
    #[error("several addresses are Sentinels, and need the name of the primary to ask them for")]
    Several,
}

/// Finds the server that is in charge at that moment.
pub(crate) struct Finder {
    servers: Servers,
    tls: Option<Arc<ClientConfig>>,
}

enum Servers {
    One(Box<Client>),
    Sentinels(Box<SentinelClient>),
}

impl Finder {
    /// Where it is, as whom to go there, and what is trusted on the way.
    pub(crate) async fn find(
        &mut self,
    ) -> redis::RedisResult<(ConnectionInfo, Option<&Arc<ClientConfig>>)> {
        let info = match &mut self.servers {
            Servers::One(client) => client.get_connection_info().clone(),
            Servers::Sentinels(client) => {
                let client = client.async_get_client().await?;
                client.get_connection_info().clone()
            }
        };
        Ok((info, self.tls.as_ref()))
    }
}

impl Address {
    /// Reads `redis://`, `rediss://`, `redis+unix:///path` and `redis+sentinel://a:26379,b:26379/service`.
    ///
    /// # Errors
    /// [`AddressFault`].
    pub fn parse(text: &str) -> Result<Self, AddressFault> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let is_sentinel = scheme.ends_with("+sentinel");
        // A list of hosts is no URL: the others go into the query.
        let text = if is_sentinel {
            let (hosts, path) = rest.split_once('/').ok_or(AddressFault::Service)?;
            let (first, others) = hosts.split_once(',').unwrap_or((hosts, ""));
            let (path, query) = path.split_once('?').unwrap_or((path, ""));
            format!("{scheme}://{first}/{path}?{query}&sentinels={others}")
        } else {
            text.to_owned()
        };
        let url = Url::parse(&text).map_err(|fault| AddressFault::NotUrl(fault.to_string()))?;
        let known = [
            "redis",
            "rediss",
            "valkey",
            "valkeys",
            "redis+unix",
            "valkey+unix",
            "unix",
        ];
        if !is_sentinel && !known.contains(&url.scheme()) {
            return Err(AddressFault::Scheme(url.scheme().to_owned()));
        }
        if is_sentinel && url.path().trim_matches('/').is_empty() {
            return Err(AddressFault::Service);
        }
        let address = Self {
            url,
            authorities: None,
            password: None,
        };
        address.finder()?;
        Ok(address)
    }

    /// From what a configuration says: one server, or the Sentinels to ask for the primary of that name.
    ///
    /// # Errors
    /// [`AddressFault`].
    pub fn of_parts(
        addresses: &[Box<str>],
        primary: Option<&str>,
        user: Option<&str>,
    ) -> Result<Self, AddressFault> {
        let first = addresses.first().map_or("", |address| &**address);
        let mut address = match primary {
            Some(primary) => {
                let host = |address: &str| {
                    let (_, host) = address.split_once("://").unwrap_or(("", address));
                    host.trim_end_matches('/').to_owned()
                };
                let hosts = addresses
                    .iter()
                    .map(|address| host(address))
                    .collect::<Vec<_>>()
                    .join(",");
                let (scheme, _) = first.split_once("://").unwrap_or(("redis", first));
                Self::parse(&format!("{scheme}+sentinel://{hosts}/{primary}"))?
            }
            None if addresses.len() > 1 => return Err(AddressFault::Several),
            None => match first.strip_prefix("unix:") {
                // `unix:/path` and `unix:///path` are the same place.
                Some(path) => {
                    let path = path.trim_start_matches('/');
                    Self::parse(&format!("redis+unix:///{path}"))?
                }
                None => Self::parse(first)?,
            },
        };
        if let Some(user) = user {
            let url = &mut address.url;
            if url.scheme().contains("unix") {
                url.query_pairs_mut().append_pair("user", user);
            } else if url.set_username(user).is_err() {
                return Err(AddressFault::Unusable("this address takes no user".into()));
            }
        }
        Ok(address)
    }

    pub(crate) fn finder(&self) -> Result<Finder, AddressFault> {
        let unusable =
            |fault: redis::RedisError| AddressFault::Unusable(fault.category().to_owned());
        // Only the first call has an effect, and all of ours install the same one.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let certificates = TlsCertificates {
            client_tls: None,
            root_cert: self.authorities.clone(),
        };
        let tls = self.is_tls().then(|| self.trust()).transpose()?;
        if self.url.scheme().ends_with("+sentinel") {
            let servers = Servers::Sentinels(Box::new(self.sentinels(certificates)?));
            return Ok(Finder { servers, tls });
        }
        let mut url = self.url.clone();
        if let Some(password) = &self.password {
            url = self.with_password(url, password)?;
        }
        let client = if self.is_tls() {
            Client::build_with_tls(url.as_str(), certificates)
        } else {
            url.as_str().into_connection_info().and_then(Client::open)
        };
        let servers = Servers::One(Box::new(client.map_err(unusable)?));
        Ok(Finder { servers, tls })
    }

    /// The authorities of the address, or the system's.
    fn trust(&self) -> Result<Arc<ClientConfig>, AddressFault> {
        let unusable = |why: &dyn fmt::Display| AddressFault::Unusable(why.to_string());
        let mut roots = RootCertStore::empty();
        match &self.authorities {
            Some(pem) => {
                for certificate in CertificateDer::pem_slice_iter(pem) {
                    let certificate = certificate.map_err(|error| unusable(&error))?;
                    roots.add(certificate).map_err(|error| unusable(&error))?;
                }
            }
            // One that cannot be read must not take the others with it.
            None => {
                let system = rustls_native_certs::load_native_certs();
                roots.add_parsable_certificates(system.certs);
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::new(config))
    }

    fn with_password(&self, mut url: Url, password: &str) -> Result<Url, AddressFault> {
        let refused = || AddressFault::Unusable("this address takes no password".into());
        if url.scheme().contains("unix") {
            url.query_pairs_mut().append_pair("pass", password);
        } else {
            url.set_password(Some(password)).map_err(|()| refused())?;
        }
        Ok(url)
    }

    fn sentinels(&self, certificates: TlsCertificates) -> Result<SentinelClient, AddressFault> {
        let unusable =
            |fault: redis::RedisError| AddressFault::Unusable(fault.category().to_owned());
        let service = self.url.path().trim_matches('/');
        let first = self.url.host_str().map(|host| {
            let port = self.url.port().unwrap_or(SENTINEL_PORT);
            (host.to_owned(), port)
        });
        let others = self
            .url
            .query_pairs()
            .find(|(name, _)| name == "sentinels")
            .map(|(_, hosts)| hosts.into_owned())
            .unwrap_or_default();
        let others = others
            .split(',')
            .filter(|host| !host.is_empty())
            .map(|host| {
                let (name, port) = host.rsplit_once(':').unwrap_or((host, ""));
                (name.to_owned(), port.parse().unwrap_or(SENTINEL_PORT))
            });
        let hosts = first.into_iter().chain(others);
        let addresses = hosts.map(|(host, port)| match self.is_tls() {
            true => ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            },
            false => ConnectionAddr::Tcp(host, port),
        });
        let mut builder =
            SentinelClientBuilder::new(addresses, service, SentinelServerType::Master)
                .map_err(unusable)?;
        if self.is_tls() {
            builder = builder
                .set_client_to_redis_tls_mode(TlsMode::Secure)
                .set_client_to_redis_certificates(certificates.clone())
                .set_client_to_sentinel_tls_mode(TlsMode::Secure)
                .set_client_to_sentinel_certificates(certificates);
        }
        if !self.url.username().is_empty() {
            builder = builder.set_client_to_redis_username(self.url.username());
        }
        if let Some(password) = self.password.as_deref().or(self.url.password()) {
            builder = builder.set_client_to_redis_password(password);
        }
        builder.build().map_err(unusable)
    }

    fn is_tls(&self) -> bool {
        matches!(self.url.scheme(), "rediss" | "valkeys" | "rediss+sentinel")
    }
}

/// Without user and password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.url.scheme())?;
        if let Some(host) = self.url.host_str() {
            f.write_str(host)?;
        }
        if let Some(port) = self.url.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(self.url.path())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_every_kind_are_read() {
        for (text, shown) in [
            ("redis://127.0.0.1:6380/0", "redis://127.0.0.1:6380/0"),
            ("redis://jotd:secret@redis.example", "redis://redis.example"),
            (
                "rediss://jotd:secret@redis.example:6380",
                "rediss://redis.example:6380",
            ),
            (
                "redis+unix:///run/redis/redis.sock?user=jotd&pass=secret",
                "redis+unix:///run/redis/redis.sock",
            ),
            (
                "redis+sentinel://jotd:secret@a.example:26379,b.example/main",
                "redis+sentinel://a.example:26379/main",
            ),
            (
                "rediss+sentinel://a.example/main",
                "rediss+sentinel://a.example/main",
            ),
        ] {
            let mut address = Address::parse(text).expect(text);
            assert_eq!(format!("{address:?}"), shown);
            address.password = Some("another secret/with?marks&more".into());
            assert!(address.finder().is_ok(), "{text}");
        }
    }

    #[test]
    fn addresses_are_made_of_parts() {
        let parts: [(&[&str], Option<&str>, &str); 4] = [
            (
                &["unix:/run/redis.sock"],
                None,
                "redis+unix:///run/redis.sock",
            ),
            (&["redis://a.example:1"], None, "redis://a.example:1"),
            (
                &["redis://a.example", "redis://b.example:2"],
                Some("main"),
                "redis+sentinel://a.example/main",
            ),
            (
                &["rediss://a.example"],
                Some("main"),
                "rediss+sentinel://a.example/main",
            ),
        ];
        for (addresses, primary, shown) in parts {
            let addresses: Vec<Box<str>> = addresses.iter().map(|text| (*text).into()).collect();
            let address = Address::of_parts(&addresses, primary, Some("jotd")).expect(shown);
            assert_eq!(address.to_string(), shown);
            assert!(address.finder().is_ok());
        }
        assert!(Address::of_parts(&[], None, None).is_err());
        let two = ["redis://a.example".into(), "redis://b.example".into()];
        assert_eq!(
            Address::of_parts(&two, None, None),
            Err(AddressFault::Several)
        );
    }

    #[test]
    fn what_is_no_address_is_told_without_what_it_held() {
        for (text, told) in [
            ("redis", "not a URL"),
            ("http://secret@x", "scheme `http`"),
            ("redis+sentinel://secret@a", "names the service"),
            ("redis+sentinel://secret@a/", "names the service"),
        ] {
            let fault = Address::parse(text).expect_err(text).to_string();
            assert!(
                fault.contains(told) && !fault.contains("secret"),
                "{text}: {fault}"
            );
        }
    }
}
