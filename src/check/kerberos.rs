//! Realm, secret, KDC and login.

use std::net::ToSocketAddrs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::KDC_PATIENCE;
use super::report::Step;
use crate::config::{Kerberos, Krb5Conf};
use crate::gss::keytab::{self, KeytabEntry};
use crate::gss::{Credential, GssBackend as _, GssError};
use crate::kerberos::CredentialSource;
use crate::provider::{Cause, Failure};

/// Kerberos (RFC 4120 §7.2.3.1).
const KDC_PORT: u16 = 88;
const CONNECT_PATIENCE: Duration = Duration::from_secs(3);

/// Looks at everything of Kerberos that needs no name server.
pub(super) async fn check(kerberos: &Kerberos, credential: &Arc<Credential>) -> Vec<Step> {
    let mut steps = vec![realm(kerberos), secret(kerberos)];
    if let Krb5Conf::Generated { kdcs } = &kerberos.krb5_conf {
        for kdc in kdcs {
            steps.push(reach(kdc).await);
        }
    }
    steps.push(login(credential).await);
    steps
}

fn realm(kerberos: &Kerberos) -> Step {
    let source = match &kerberos.krb5_conf {
        Krb5Conf::Own(path) => format!("its KDCs are those of {}", path.display()),
        Krb5Conf::Generated { kdcs } if kdcs.is_empty() => "its KDCs are found by DNS SRV".to_owned(),
        Krb5Conf::Generated { kdcs } => format!("its KDCs are {}", kdcs.join(", ")),
    };
    Step::ok("realm", &kerberos.realm, source)
}

fn client(kerberos: &Kerberos) -> String {
    kerberos.principal.as_ref().map_or_else(|| "whoever the cache belongs to".to_owned(), ToString::to_string)
}

fn secret(kerberos: &Kerberos) -> Step {
    let failed = |step, path: &Path, error: GssError| {
        Step::failed(step, path.display(), &Failure::new(Cause::from(&error), error.to_string()))
    };
    match (&kerberos.source, &kerberos.principal) {
        (CredentialSource::Keytab(path), Some(principal)) => match keytab::check(path, principal) {
            Ok(entries) => {
                let name = principal.to_string();
                let keys: Vec<_> = entries.iter().filter(|entry| entry.principal == name).map(describe).collect();
                Step::ok("keytab", path.display(), format!("holds keys for {name}: {}", keys.join(", ")))
            }
            Err(error) => failed("keytab", path, error.into()),
        },
        (CredentialSource::Password(_), _) => {
            Step::ok("password", client(kerberos), "given in the environment; a file is followed when it changes")
        }
        (CredentialSource::Keytab(path) | CredentialSource::PasswordFile(path) | CredentialSource::Ccache(path), _) => {
            match std::fs::metadata(path) {
                Ok(_) => Step::ok("secret", path.display(), format!("is there, for {}", client(kerberos))),
                Err(error) => {
                    let failure = Failure::new(Cause::CredentialUnreadable, error.to_string());
                    Step::failed("secret", path.display(), &failure)
                }
            }
        }
    }
}

fn describe(entry: &KeytabEntry) -> String {
    format!("kvno {} {}", entry.kvno, entry.enctype_name())
}

/// Whether something listens where a KDC should.
async fn reach(kdc: &str) -> Step {
    let has_port = kdc.rsplit_once(':').is_some_and(|(host, _)| !host.contains(':') || host.ends_with(']'));
    let address = if has_port { kdc.to_owned() } else { format!("{kdc}:{KDC_PORT}") };
    let unreachable = |why: String| Step::failed("kdc", &address, &Failure::new(Cause::NoKdc, why));
    let resolved = spawn_blocking({
        let address = address.clone();
        move || address.to_socket_addrs().map(Iterator::collect::<Vec<_>>)
    });
    let addresses = match timeout(CONNECT_PATIENCE, resolved).await {
        Ok(Ok(Ok(addresses))) => addresses,
        Ok(Ok(Err(error))) => return unreachable(error.to_string()),
        Ok(Err(_)) | Err(_) => return unreachable("its name is not resolved in time".to_owned()),
    };
    match timeout(CONNECT_PATIENCE, TcpStream::connect(addresses.as_slice())).await {
        Ok(Ok(_)) => Step::ok("kdc", &address, "takes connections"),
        Ok(Err(error)) => unreachable(error.to_string()),
        Err(_) => unreachable(format!("no connection within {CONNECT_PATIENCE:?}")),
    }
}

/// A ticket-granting ticket, with the secret that the sidecar would use.
async fn login(credential: &Arc<Credential>) -> Step {
    let subject = credential.principal().map_or_else(|| "the cache's own".to_owned(), ToString::to_string);
    let acquiring = spawn_blocking({
        let credential = credential.clone();
        move || credential.acquire()
    });
    match timeout(KDC_PATIENCE, acquiring).await {
        Ok(Ok(Ok(life))) => Step::ok("login", subject, format!("a ticket for {} seconds", life.as_secs())),
        Ok(Ok(Err(error))) => Step::failed("login", subject, &Failure::new(Cause::from(&error), error.to_string())),
        Ok(Err(_)) => Step::failed("login", subject, &Failure::new(Cause::Internal, "the login broke off")),
        Err(_) => {
            let why = format!("none has answered within {} seconds", KDC_PATIENCE.as_secs());
            Step::failed("login", subject, &Failure::new(Cause::NoKdc, why))
        }
    }
}
