//! The HTTPS client of one server elsewhere: whom it trusts, and which addresses it connects to.
#![forbid(unsafe_code)]

use super::fetch::{FetchError, chain};
use super::uri::{is_loopback, is_public};
use bytes::Bytes;
use http::Uri;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task;
use tokio::net::TcpStream;
use tower_service::Service;

/// Whom a client trusts, and where it may connect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether the host may resolve to an address that is not public.
    pub allow_private_address: bool,
    /// Whether the host may be loopback over plain HTTP.
    pub allow_insecure_loopback: bool,
    /// An HTTP proxy to connect through. It resolves the host's name, so that it is the one to keep addresses of this
    /// network out.
    pub proxy: Option<Uri>,
}

/// Makes requests, each on a connection of its own.
pub(super) type HttpClient = Client<HttpsConnector<Dial>, Full<Bytes>>;

/// A client for one host. Reads certificate authorities, which takes milliseconds.
pub(super) fn client(host: Option<&str>, trust: &Trust) -> Result<HttpClient, FetchError> {
    let roots = match &trust.ca_file {
        Some(path) => Arc::new(read_roots(path)?),
        None => system_roots()?,
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| FetchError::Unreachable(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let plain = trust.allow_insecure_loopback && host.is_some_and(is_loopback);
    let mut tcp = HttpConnector::new_with_resolver(PublicResolver {
        // Where the operator put the proxy is the operator's business.
        allow_private: trust.allow_private_address || plain || trust.proxy.is_some(),
        inner: GaiResolver::new(),
    });
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let dial = match &trust.proxy {
        None => Dial::Straight(tcp),
        Some(proxy) => Dial::Through(Tunnel::new(proxy.clone(), tcp)),
    };
    let https = HttpsConnectorBuilder::new().with_tls_config(tls);
    let https = if plain {
        https.https_or_http()
    } else {
        https.https_only()
    };
    // One small request now and then gains nothing from HTTP/2.
    Ok(Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .http1_max_headers(64)
        .http1_max_buf_size(64 * 1024)
        .build(https.enable_http1().wrap_connector(dial)))
}

fn read_roots(path: &Path) -> Result<RootCertStore, FetchError> {
    let unusable =
        |why: &dyn Error| FetchError::Unreachable(format!("{}: {}", path.display(), chain(why)));
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| unusable(&error))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| unusable(&error))?;
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    Ok(roots)
}

/// The system's authorities, read once for all issuers.
fn system_roots() -> Result<Arc<RootCertStore>, FetchError> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        // A single certificate that cannot be read must not take the others with it.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(roots)
    });
    if roots.is_empty() {
        return Err(FetchError::Unreachable(
            "the system has no certificate authorities; install ca-certificates or set ca_file"
                .to_owned(),
        ));
    }
    // Shared: a copy each would be hundreds of megabytes with ten thousand issuers.
    Ok(Arc::clone(roots))
}

/// Makes connections: straight to the host, or through a proxy's tunnel (RFC 9110 §9.3.6). TLS goes from end to end
/// either way.
#[derive(Clone)]
pub(super) enum Dial {
    Straight(HttpConnector<PublicResolver>),
    Through(Tunnel<HttpConnector<PublicResolver>>),
}

impl Service<Uri> for Dial {
    type Response = TokioIo<TcpStream>;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(
        &mut self,
        context: &mut task::Context<'_>,
    ) -> task::Poll<Result<(), Self::Error>> {
        match self {
            Self::Straight(tcp) => tcp.poll_ready(context).map_err(Into::into),
            Self::Through(tunnel) => tunnel.poll_ready(context).map_err(Into::into),
        }
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        match self {
            Self::Straight(tcp) => {
                let connecting = tcp.call(uri);
                Box::pin(async { Ok(connecting.await?) })
            }
            Self::Through(tunnel) => {
                let connecting = tunnel.call(uri);
                Box::pin(async { Ok(connecting.await?) })
            }
        }
    }
}

/// Resolves names, and leaves out every address that is not on the Internet. What is connected to is what
/// was checked: a name that resolves differently the second time is never asked a second time.
#[derive(Clone)]
pub(super) struct PublicResolver {
    allow_private: bool,
    inner: GaiResolver,
}

impl Service<Name> for PublicResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(
        &mut self,
        context: &mut task::Context<'_>,
    ) -> task::Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let allow_private = self.allow_private;
        let resolved = self.inner.call(name);
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = resolved
                .await?
                .filter(|address| allow_private || is_public(address.ip()))
                .collect();
            if addresses.is_empty() {
                return Err(std::io::Error::other(
                    "the name resolves to addresses of this host or its network only, which \
                     allow_private_address would permit",
                ));
            }
            Ok(addresses.into_iter())
        })
    }
}
