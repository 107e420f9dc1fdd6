//! Each name server: does it answer, is there a ticket for it, does it take the context, does its clock agree.

use std::sync::Arc;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::report::Finding;
use super::{KDC_PATIENCE, clock};
use crate::config::{Authentication, Config, Kerberos};
use crate::dns::ServerSource;
use crate::gss::{Credential, GssBackend as _};
use crate::kerberos::TargetName;
use crate::nameserver::{Pool, Server};
use crate::provider::{Cause, Failure};

/// Finds the servers; SRV records are looked up where some are to be found by them.
pub(super) async fn find(config: &Config, pool: &Pool) -> Vec<Finding> {
    let domains = config.servers.iter().filter_map(|source| match source {
        ServerSource::Srv(domain) => Some(domain.as_str()),
        ServerSource::Server(_) => None,
    });
    let domains = domains.collect::<Vec<_>>().join(", ");
    match pool.advance().await {
        Err(error) => vec![Finding::failed("discovery", domains, &Failure::from(&error))],
        Ok(_) if domains.is_empty() => Vec::new(),
        Ok(_) => {
            let found: Vec<_> = pool.servers().iter().map(|server| server.address().to_string()).collect();
            vec![Finding::ok("discovery", domains, format!("SRV records name {}", found.join(", ")))]
        }
    }
}

/// Looks at one server, whatever its zones; a login that failed leaves the rest of Kerberos out.
pub(super) async fn check(config: &Config, login: Option<&Arc<Credential>>, server: &Server) -> Vec<Finding> {
    let subject = server.address();
    if let Err(error) = server.probe().await {
        return vec![Finding::failed("server", subject, &Failure::from(&error))];
    }
    let mut steps = vec![Finding::ok("server", subject, "answers")];
    match (&config.authentication, login) {
        (Authentication::Insecure, _) => {
            let remedy = "use RFC2136_GSS_TSIG or RFC2136_TSIG_KEYNAME where the server can";
            steps.push(Finding::warning("negotiation", subject, "messages are neither signed nor verified", remedy));
        }
        (Authentication::Tsig(key), _) => {
            let detail = format!("not needed with the shared key {} ({})", key.name.to_undotted(), key.algorithm);
            steps.push(Finding::ok("negotiation", subject, detail));
        }
        (Authentication::Gss(_), None) => steps.push(Finding::skipped("negotiation", subject, "there was no login")),
        (Authentication::Gss(kerberos), Some(credential)) => {
            steps.extend(negotiate(kerberos, credential, server).await);
        }
    }
    steps
}

/// A ticket for the server, and a security context with it.
async fn negotiate(kerberos: &Kerberos, credential: &Arc<Credential>, server: &Server) -> Vec<Finding> {
    let target = TargetName::dns(&server.address().host, &kerberos.realm);
    if let Err(failure) = fetch_ticket(credential, target.clone()).await {
        return vec![Finding::failed("ticket", &target, &failure)];
    }
    let subject = server.address();
    let negotiation = match server.authenticate().await {
        Ok(life) => {
            let seconds = life.unwrap_or_default().as_secs();
            Finding::ok("negotiation", subject, format!("a security context for {seconds} seconds"))
        }
        Err(error) => Finding::failed("negotiation", subject, &Failure::from(&error)),
    };
    vec![Finding::ok("ticket", &target, "the KDC gives a service ticket"), negotiation]
}

/// Begins a context, which takes the service ticket; the negotiation then finds it in the cache.
async fn fetch_ticket(credential: &Arc<Credential>, target: TargetName) -> Result<(), Failure> {
    let credential = credential.clone();
    let fetching = spawn_blocking(move || credential.initiate(&target)?.step(None));
    match timeout(KDC_PATIENCE, fetching).await {
        Ok(Ok(Ok(_))) => Ok(()),
        Ok(Ok(Err(error))) => Err(Failure::new(Cause::from(&error), error.to_string())),
        Ok(Err(_)) => Err(Failure::new(Cause::Internal, "the request broke off")),
        Err(_) => Err(Failure::new(Cause::NoKdc, format!("no answer for {} seconds", KDC_PATIENCE.as_secs()))),
    }
}

/// What a signed answer has told of the server's clock.
pub(super) fn clock(server: &Server) -> Option<Finding> {
    server.clock_skew().map(|skew| clock::compare(server.address(), skew))
}
