//! DNS over TLS (RFC 7858): TLS 1.3, ALPN `dot`, own authorities, client certificates.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use thiserror::Error;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::{self, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, version};

use crate::dial::Tcp;

/// BIND transfers zones only over connections that name this protocol (RFC 9103 §7.1).
const ALPN: &[u8] = b"dot";
/// Where distributions keep the system's authorities.
const SYSTEM_AUTHORITIES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// What is wanted of TLS.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsSettings {
    /// Accepts any certificate.
    pub skip_verify: bool,
    /// PEM file of certification authorities; the system's where none is given.
    pub ca: Option<PathBuf>,
    /// PEM files of a client certificate and its key.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// TLS, ready to connect.
#[derive(Clone)]
pub struct Tls {
    connector: TlsConnector,
}

/// Why TLS cannot be set up.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A PEM file cannot be read, or is none.
    #[error("{path} cannot be read as PEM")]
    Pem {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: pem::Error,
    },
    /// No certification authority is known.
    #[error("no certification authority was found in {0}")]
    NoAuthority(PathBuf),
    /// The system has no file of authorities where one is expected.
    #[error("the system has no certification authorities; give a file of your own")]
    NoSystemAuthorities,
    /// Certificate and key do not go together, or cannot be used.
    #[error("the certificates cannot be used")]
    Rustls(#[from] rustls::Error),
}

impl Tls {
    /// Reads the files that the settings name.
    ///
    /// # Errors
    /// When a file cannot be read or holds nothing usable.
    pub fn load(settings: &TlsSettings) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider.clone()).with_protocol_versions(&[&version::TLS13])?;
        let verified = if settings.skip_verify {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        } else {
            builder.with_root_certificates(authorities(settings.ca.as_deref())?)
        };
        let mut config = match &settings.client {
            None => verified.with_no_client_auth(),
            Some((certificate, key)) => {
                verified.with_client_auth_cert(certificates(certificate)?, private_key(key)?)?
            }
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self { connector: TlsConnector::from(Arc::new(config)) })
    }

    /// Makes a TLS session with the server of this name or address.
    pub(super) async fn connect(&self, host: &str, stream: Tcp) -> io::Result<TlsStream<Tcp>> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        self.connector.connect(name, stream).await
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

fn authorities(file: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let system = || SYSTEM_AUTHORITIES.iter().map(Path::new).find(|path| path.exists());
    let path = file.or_else(system).ok_or(TlsError::NoSystemAuthorities)?;
    let mut roots = RootCertStore::empty();
    let (added, _ignored) = roots.add_parsable_certificates(certificates(path)?);
    if added == 0 { Err(TlsError::NoAuthority(path.to_owned())) } else { Ok(roots) }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unreadable = |cause| TlsError::Pem { path: path.to_owned(), cause };
    CertificateDer::pem_file_iter(path).map_err(unreadable)?.collect::<Result<_, _>>().map_err(unreadable)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|cause| TlsError::Pem { path: path.to_owned(), cause })
}

/// Trusts whoever answers, for `RFC2136_SKIP_TLS_VERIFY`; handshakes are still proved by the certificate's key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
