//! Realm, secret, KDCs and login.

use std::path::Path;
use std::sync::Arc;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::report::{Finding, Grade};
use super::{KDC_PATIENCE, kdc};
use crate::config::{Kerberos, Krb5Conf};
use crate::gss::keytab::{self, KeytabEntry};
use crate::gss::{Credential, GssBackend as _, GssError};
use crate::kerberos::{CredentialSource, Principal, Realm};
use crate::provider::{Cause, Failure};

/// Looks at everything that needs no network.
pub(super) fn inspect(kerberos: &Kerberos) -> Vec<Finding> {
    vec![realm(kerberos), secret(kerberos)]
}

/// Asks the KDCs, and logs in.
pub(super) async fn check(kerberos: &Kerberos, credential: &Arc<Credential>) -> Vec<Finding> {
    let mut steps = kdc::check(kerberos).await;
    let login = login(&kerberos.realm, credential).await;
    if login.grade == Grade::Ok {
        // One KDC is enough, and UDP is too.
        steps.iter_mut().filter(|step| step.step == "kdc").for_each(Finding::forgive);
    }
    steps.push(login);
    steps
}

fn realm(kerberos: &Kerberos) -> Finding {
    let source = match &kerberos.krb5_conf {
        Krb5Conf::Own(files) => format!("configured by {files}"),
        Krb5Conf::Generated { kdcs } if kdcs.is_empty() => "its KDCs are found by DNS SRV".to_owned(),
        Krb5Conf::Generated { kdcs } => format!("its KDCs are {}", kdcs.join(", ")),
    };
    Finding::ok("realm", &kerberos.realm, source)
}

fn secret(kerberos: &Kerberos) -> Finding {
    let client = shown(kerberos.principal.as_ref());
    match (&kerberos.source, &kerberos.principal) {
        (CredentialSource::Keytab(path), Some(principal)) => keytab(path, principal),
        (CredentialSource::Password(_), _) => Finding::ok("password", client, "given in the environment"),
        (CredentialSource::Keytab(path), None) => readable("keytab", path, client),
        (CredentialSource::PasswordFile(path), _) => readable("password", path, client),
        (CredentialSource::Ccache(path), _) => readable("ccache", path, client),
    }
}

fn shown(principal: Option<&Principal>) -> String {
    principal.map_or_else(|| "whoever the cache belongs to".to_owned(), ToString::to_string)
}

fn keytab(path: &Path, principal: &Principal) -> Finding {
    let entries = match keytab::check(path, principal) {
        Ok(entries) => entries,
        Err(error) => {
            let error = GssError::from(error);
            return Finding::failed("keytab", path.display(), &Failure::new(Cause::from(&error), error.to_string()));
        }
    };
    let name = principal.to_string();
    let (ours, others): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| entry.principal == name);
    let keys = |entry: &&KeytabEntry| format!("kvno {} {}", entry.kvno, entry.enctype_name());
    let mut detail = format!("holds keys for {name}: {}", ours.iter().map(keys).collect::<Vec<_>>().join(", "));
    let mut numbers: Vec<_> = ours.iter().map(|entry| entry.kvno).collect();
    numbers.sort_unstable();
    numbers.dedup();
    if let (2.., Some(tried)) = (numbers.len(), keytab::newest(ours.iter().copied())) {
        let numbers = numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        detail = format!("{detail}; of the key versions {numbers} the newest is tried, kvno {}", tried.kvno);
    }
    let mut others: Vec<_> = others.iter().map(|entry| entry.principal.as_str()).collect();
    others.dedup();
    if !others.is_empty() {
        detail = format!("{detail}; and for {}", others.join(", "));
    }
    Finding::ok("keytab", path.display(), detail)
}

fn readable(step: &'static str, path: &Path, client: String) -> Finding {
    match std::fs::read(path) {
        Ok(_) => Finding::ok(step, client, format!("{} can be read", path.display())),
        Err(error) => {
            let failure = Failure::new(Cause::CredentialUnreadable, format!("{}: {error}", path.display()));
            Finding::failed(step, client, &failure)
        }
    }
}

/// A ticket-granting ticket, with the secret that the sidecar would use.
async fn login(realm: &Realm, credential: &Arc<Credential>) -> Finding {
    let client = shown(credential.principal());
    let failed = |cause, detail: String| Finding::failed("login", &client, &Failure::new(cause, detail));
    let acquiring = spawn_blocking({
        let credential = credential.clone();
        move || credential.acquire()
    });
    match timeout(KDC_PATIENCE, acquiring).await {
        Ok(Ok(Ok(life))) => Finding::ok("login", &client, format!("a ticket for {} seconds", life.as_secs())),
        Ok(Ok(Err(error))) => failed(Cause::from(&error), error.to_string()),
        Ok(Err(_)) => failed(Cause::Internal, "the login broke off".to_owned()),
        Err(_) => {
            let waited = KDC_PATIENCE.as_secs();
            failed(Cause::NoKdc, format!("no KDC for realm {realm} has answered for {waited} seconds"))
        }
    }
}
