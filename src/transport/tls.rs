//! TLS for the TCP listener: rustls on aws-lc-rs, from PEM that somebody else read.
//!
//! The acceptor's configuration can be swapped while it serves, so that a renewed certificate needs no
//! restart; connections keep what they were accepted under. It never reads a file and never logs a key.
#![forbid(unsafe_code)]

use crate::encoding::hex;
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The PEM texts that TLS is made of.
#[derive(Clone, Default)]
pub struct Identity {
    /// Our certificate, and those between it and a root the clients know, in that order.
    pub certificate_chain: Vec<u8>,
    /// Our private key: PKCS#8, PKCS#1 or SEC1.
    pub private_key: Vec<u8>,
    /// Certificates of authorities, one of which must have signed a client's certificate; `None` asks
    /// clients for none.
    pub client_authorities: Option<Vec<u8>>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity")
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.private_key);
    }
}

/// Why TLS cannot be served with what was given.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM text cannot be read.
    #[error("the {what} is not PEM as expected: {cause}")]
    Pem {
        /// Which text.
        what: &'static str,
        /// What is wrong with it.
        cause: rustls::pki_types::pem::Error,
    },
    /// A PEM text has none of what it should have.
    #[error("the {0} has no certificate in it")]
    NoCertificate(&'static str),
    /// The parts do not fit together, or are weaker than allowed.
    #[error("the certificate and its key cannot be used: {0}")]
    Unusable(rustls::Error),
    /// The client authorities cannot be used.
    #[error("the client authorities cannot be used: {0}")]
    Authorities(String),
}

/// Accepts TLS connections; clones share one configuration.
#[derive(Clone)]
pub struct Acceptor(Arc<ArcSwap<ServerConfig>>);

impl Acceptor {
    /// An acceptor with this identity.
    ///
    /// # Errors
    /// [`TlsError`], naming the text that is at fault.
    pub fn new(identity: &Identity) -> Result<Self, TlsError> {
        let config = server_config(identity)?;
        Ok(Self(Arc::new(ArcSwap::from_pointee(config))))
    }

    /// Serves new connections with another identity. On an error the old one stays.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn set_identity(&self, identity: &Identity) -> Result<(), TlsError> {
        self.0.store(Arc::new(server_config(identity)?));
        Ok(())
    }

    /// Shakes hands on a stream. The caller bounds the time.
    pub(super) async fn accept<S>(&self, stream: S) -> std::io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let acceptor = TlsAcceptor::from(self.0.load_full());
        acceptor.accept(stream).await
    }
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Acceptor")
    }
}

/// The name of a client that has shown a certificate: the certificate's SHA-256. It was verified, and no
/// field in it could be chosen to look like another's.
pub(super) fn client_name<S>(stream: &TlsStream<S>) -> Option<String> {
    let (_, session) = stream.get_ref();
    let certificate = session.peer_certificates()?.first()?;
    Some(format!("cert:{}", hex(&Sha256::digest(certificate))))
}

fn server_config(identity: &Identity) -> Result<ServerConfig, TlsError> {
    let chain = certificates("certificate chain", &identity.certificate_chain)?;
    let key = PrivateKeyDer::from_pem_slice(&identity.private_key).map_err(|cause| {
        let what = "private key";
        TlsError::Pem { what, cause }
    })?;
    // Named here, because a process may hold several providers and then has no default.
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Unusable)?;
    let builder = match &identity.client_authorities {
        None => builder.with_no_client_auth(),
        Some(authorities) => {
            builder.with_client_cert_verifier(client_verifier(authorities, provider)?)
        }
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(TlsError::Unusable)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn client_verifier(
    authorities: &[u8],
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsError> {
    let mut roots = rustls::RootCertStore::empty();
    for authority in certificates("client authorities", authorities)? {
        roots
            .add(authority)
            .map_err(|error| TlsError::Authorities(error.to_string()))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| TlsError::Authorities(error.to_string()))
}

fn certificates(what: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|cause| TlsError::Pem { what, cause })?;
    if all.is_empty() {
        return Err(TlsError::NoCertificate(what));
    }
    Ok(all)
}
