//! TLS on the TCP listener, and peers by certificate.

use crate::house::{Client, House, Plan, within};
use crate::tokens;
use hyper::StatusCode;
use jotd::transport::Limits;
use jotd::transport::tls::{Acceptor, Identity, TlsError};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate for `name` and its key.
fn issue(authority: &Authority, name: &str) -> (CertificateDer<'static>, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([name.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    (certificate.der().clone(), key)
}

fn identity(authority: &Authority, clients: Option<&Authority>) -> Identity {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    Identity {
        certificate_chain: certificate.pem().into_bytes(),
        private_key: key.serialize_pem().into_bytes(),
        client_authorities: clients.map(|clients| clients.pem().into_bytes()),
    }
}

async fn connect(
    house: &House,
    authority: &Authority,
    alpn: &[u8],
    certificate: Option<(CertificateDer<'static>, KeyPair)>,
) -> std::io::Result<TlsStream<tokio::net::TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match certificate {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
            config
                .with_client_auth_cert(vec![certificate], key)
                .unwrap()
        }
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    within(connector.connect(name, house.tcp().await)).await
}

async fn house(identity: &Identity) -> (House, Acceptor) {
    let acceptor = Acceptor::new(identity).unwrap();
    let plan = Plan {
        limits: Limits {
            handshake_timeout: Duration::from_millis(500),
            ..Limits::default()
        },
        tls: Some(acceptor.clone()),
        ..Plan::default()
    };
    (House::with(plan).await, acceptor)
}

#[tokio::test]
async fn both_versions_by_alpn() {
    let authority = authority();
    let (house, _) = house(&identity(&authority, None)).await;
    let stream = connect(&house, &authority, b"h2", None).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let reply = Client::h2(stream).await.verify(&tokens::good()).await;
    assert_eq!(reply.status, StatusCode::OK);
    let stream = connect(&house, &authority, b"http/1.1", None)
        .await
        .unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let reply = Client::h1(stream).await.verify(&tokens::good()).await;
    assert!(reply.body.contains("\"valid\":true"), "{}", reply.body);
}

#[tokio::test]
async fn a_new_certificate_serves_new_connections() {
    let (old, new) = (authority(), authority());
    let (house, acceptor) = house(&identity(&old, None)).await;
    let kept = connect(&house, &old, b"h2", None).await.unwrap();
    let mut kept = Client::h2(kept).await;
    acceptor.set_identity(&identity(&new, None)).unwrap();
    assert!(connect(&house, &old, b"h2", None).await.is_err());
    assert!(connect(&house, &new, b"h2", None).await.is_ok());
    assert_eq!(kept.verify(&tokens::good()).await.status, StatusCode::OK);

    // What cannot be used changes nothing.
    let unusable = Identity::default();
    assert!(acceptor.set_identity(&unusable).is_err());
    assert!(connect(&house, &new, b"h2", None).await.is_ok());
}

/// Checks V-41.
#[tokio::test]
async fn a_client_is_known_by_its_certificate_and_none_without() {
    let (ours, theirs, others) = (authority(), authority(), authority());
    let (house, _) = house(&identity(&ours, Some(&theirs))).await;
    let certificate = Some(issue(&theirs, "client.example"));
    let stream = connect(&house, &ours, b"h2", certificate).await.unwrap();
    let reply = Client::h2(stream).await.verify(&tokens::good()).await;
    assert_eq!(reply.status, StatusCode::OK);

    for certificate in [None, Some(issue(&others, "client.example"))] {
        // In TLS 1.3 the client learns with its first read that it was refused.
        if let Ok(mut stream) = connect(&house, &ours, b"h2", certificate).await {
            let mut nothing = [0; 1];
            assert!(within(stream.read(&mut nothing)).await.is_err());
        }
    }
    house.faulted("tcp", "tls").await;
}

#[tokio::test]
async fn what_is_not_tls_or_never_comes_ends() {
    let authority = authority();
    let (house, _) = house(&identity(&authority, None)).await;
    let mut silent = house.tcp().await;
    let mut said = Vec::new();
    let _ = within(silent.read_to_end(&mut said)).await;
    assert!(said.is_empty());
    house.faulted("tcp", "slow").await;
    let mut plain = house.tcp().await;
    tokio::io::AsyncWriteExt::write_all(&mut plain, b"GET / HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    let _ = within(plain.read_to_end(&mut said)).await;
    assert!(
        !said.starts_with(b"HTTP"),
        "{}",
        String::from_utf8_lossy(&said)
    );
    house.faulted("tcp", "tls").await;
}

#[test]
fn what_cannot_be_used_is_named() {
    let ours = authority();
    let good = identity(&ours, None);
    let other = identity(&ours, None);
    let with = |change: &dyn Fn(&mut Identity)| {
        let mut identity = good.clone();
        change(&mut identity);
        Acceptor::new(&identity).expect_err("unusable").to_string()
    };
    let none = with(&|identity| identity.certificate_chain.clear());
    assert!(none.contains("certificate chain"), "{none}");
    let no_key = with(&|identity| identity.private_key = b"not PEM".to_vec());
    assert!(no_key.contains("private key"), "{no_key}");
    let mismatch = with(&|identity| identity.private_key.clone_from(&other.private_key));
    assert!(mismatch.contains("cannot be used"), "{mismatch}");
    let roots = with(&|identity| identity.client_authorities = Some(Vec::new()));
    assert!(roots.contains("client authorities"), "{roots}");
    assert!(matches!(
        Acceptor::new(&Identity::default()),
        Err(TlsError::NoCertificate(_))
    ));
    assert!(!format!("{good:?}").contains("PRIVATE"));
}
