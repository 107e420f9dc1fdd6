use std::path::PathBuf;
use std::sync::Arc;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, crypto::ring};

use super::*;
use crate::dns::ServerAddress;

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/nameserver/tests/pem").join(name)
}

/// A server that speaks `dot` only, with or without asking for a client certificate.
fn acceptor(client_certificates: bool) -> TlsAcceptor {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let builder = if client_certificates {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(file("ca.pem")).unwrap()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let certificate = CertificateDer::from_pem_file(file("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
    let mut config = builder.with_single_cert(vec![certificate], key).unwrap();
    config.alpn_protocols = vec![b"dot".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

fn trusting() -> TlsSettings {
    TlsSettings { ca: Some(file("ca.pem")), ..TlsSettings::default() }
}

fn client(address: ServerAddress, tls: &TlsSettings) -> Server {
    let tls = Some(Tls::load(tls).unwrap());
    let authentication = FakeKerberos::new().authentication();
    Server::new(address, Arc::new(Settings { tls, ..(*settings(authentication)).clone() }))
}

#[tokio::test]
async fn defect_29_negotiation_updates_and_transfers_share_one_tls_connection() {
    let fake = FakeServer::start_with(Some(acceptor(false))).await;
    let server = client(fake.address(), &trusting());
    succeed(&server).await;
    let messages = [&[SOA, NS].concat()[..], SOA];
    fake.then([Reaction::Stream(messages.iter().map(|records| (records.to_vec(), true)).collect())]);
    assert_eq!(server.transfer(&zone()).await.unwrap().serial(), 7);
    succeed(&server).await;
    let world = fake.world();
    assert_eq!((world.connections, world.negotiations), (1, 1));
}

#[tokio::test]
async fn a_certificate_of_another_name_or_authority_is_refused_unless_verification_is_off() {
    let fake = FakeServer::start_with(Some(acceptor(false))).await;
    let other = ServerAddress { host: "ns2.example.test".into(), ..fake.address() };
    let error = client(other.clone(), &trusting()).update(&update()).await.unwrap_err();
    assert!(matches!(error.fault, Fault::Tls(_)) && error.sent == Sent::Nothing, "{error:?}");
    let stranger = TlsSettings { ca: Some(file("client.pem")), ..TlsSettings::default() };
    let error = client(fake.address(), &stranger).update(&update()).await.unwrap_err();
    assert!(matches!(error.fault, Fault::Tls(_)), "{error:?}");
    succeed(&client(other, &TlsSettings { skip_verify: true, ..TlsSettings::default() })).await;
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_one_is_given() {
    let fake = FakeServer::start_with(Some(acceptor(true))).await;
    let client_files = Some((file("client.pem"), file("client.key")));
    succeed(&client(fake.address(), &TlsSettings { client: client_files, ..trusting() })).await;
    assert!(client(fake.address(), &trusting()).update(&update()).await.is_err());
}

#[tokio::test]
async fn a_server_without_tls_is_not_talked_to_in_clear() {
    let fake = FakeServer::start().await;
    let error = client(fake.address(), &trusting()).update(&update()).await.unwrap_err();
    assert!(matches!(error.fault, Fault::Tls(_) | Fault::ConnectTimeout(_)), "{error:?}");
    assert!(fake.world().requests.is_empty());
}

#[test]
fn files_that_are_missing_or_hold_nothing_are_named() {
    let missing = TlsSettings { ca: Some(file("missing.pem")), ..TlsSettings::default() };
    assert!(matches!(Tls::load(&missing), Err(TlsError::Pem { path, .. }) if path == file("missing.pem")));
    let empty = TlsSettings { ca: Some(file("client.key")), ..TlsSettings::default() };
    assert!(matches!(Tls::load(&empty), Err(TlsError::NoAuthority(path)) if path == file("client.key")));
    let swapped = Some((file("client.pem"), file("server.key")));
    assert!(matches!(Tls::load(&TlsSettings { client: swapped, ..trusting() }), Err(TlsError::Rustls(_))));
}
