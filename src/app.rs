//! Composition: from the configuration to the parts of a running sidecar.

use std::sync::Arc;

use crate::config::{Authentication, Config, Kerberos, LoadBalancing};
use crate::gss::{Credential, MitBackend};
use crate::nameserver::{self, PoolSettings, Settings, Strategy, Tls, TlsError, TlsSettings};

/// The Kerberos credential of this configuration; nothing is asked of a KDC yet.
#[must_use]
pub fn credential(kerberos: &Kerberos) -> Arc<Credential> {
    let backend = Arc::new(MitBackend::new(kerberos.principal.clone(), kerberos.source.clone()));
    Arc::new(Credential::new(backend, kerberos.principal.clone(), &kerberos.source))
}

/// What all name servers have in common; `credential` is the one of [`credential`], where Kerberos is configured.
///
/// # Errors
/// When the files of DNS over TLS cannot be used.
pub fn session_settings(config: &Config, credential: Option<&Arc<Credential>>) -> Result<Settings, TlsError> {
    let authentication = match (&config.authentication, credential) {
        (Authentication::Gss(kerberos), Some(credential)) => {
            nameserver::Authentication::gss(credential.clone(), kerberos.realm.clone())
        }
        (Authentication::Gss(kerberos), None) => {
            nameserver::Authentication::gss(self::credential(kerberos), kerberos.realm.clone())
        }
        (Authentication::Tsig(key), _) => {
            nameserver::Authentication::Hmac { name: key.name.clone(), key: key.key.clone() }
        }
        (Authentication::Insecure, _) => nameserver::Authentication::Insecure,
    };
    let tls = config.tls.as_ref().map(|tls| {
        Tls::load(&TlsSettings { skip_verify: tls.skip_verify, ca: tls.ca.clone(), client: tls.client.clone() })
    });
    Ok(Settings {
        timeout: config.timeout,
        authentication,
        tls: tls.transpose()?,
        sign_reads: !config.transfer_unsigned,
    })
}

/// The servers of this configuration.
#[must_use]
pub fn pool_settings(config: &Config, session: Settings) -> PoolSettings {
    PoolSettings {
        sources: config.servers.clone(),
        strategy: match config.load_balancing {
            LoadBalancing::Disabled => Strategy::Sticky,
            LoadBalancing::RoundRobin => Strategy::RoundRobin,
            LoadBalancing::Random => Strategy::Random,
        },
        port: config.port,
        session: Arc::new(session),
    }
}
