//! The preflight: configuration, Kerberos, servers and zones, step by step in plain words, each with a remedy.
//!
//! It uses the sidecar's own environment, and writes one TXT record per zone, which it deletes again.

use std::time::Duration;

use crate::app;
use crate::config::{Authentication, Loaded};
use crate::nameserver::Pool;
use crate::provider::Failure;

mod kerberos;
mod report;
mod servers;
mod zones;

pub use report::{Report, Step, Verdict};

/// Longest wait for a KDC, which the Kerberos library itself waits for half a minute.
const KDC_PATIENCE: Duration = Duration::from_secs(8);

/// Checks everything that a sidecar with this configuration needs.
pub async fn check(loaded: &Loaded) -> Report {
    let Loaded { config, warnings } = loaded;
    let mut report = Report::default();
    let zones = config.zones.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    report.push(Step::ok("configuration", "environment", format!("zones {zones}")));
    for warning in warnings.iter().chain(&config.inspect_files()) {
        report.push(Step::warning("configuration", "environment", warning.to_string(), ""));
    }
    let credential = match &config.authentication {
        Authentication::Gss(kerberos) => {
            let credential = app::credential(kerberos);
            report.extend(kerberos::check(kerberos, &credential).await);
            Some(credential)
        }
        Authentication::Tsig(_) | Authentication::Insecure => None,
    };
    let session = match app::session_settings(config, credential.as_ref()) {
        Ok(session) => session,
        Err(error) => {
            let remedy = "check RFC2136_TLS_CA, RFC2136_TLS_CLIENT_CERT and RFC2136_TLS_CLIENT_CERT_KEY";
            report.push(Step::broken("tls", "files", crate::provider::failure::chain(&error), remedy));
            return report;
        }
    };
    let pool = Pool::new(app::pool_settings(config, session.clone()));
    // Looks up SRV records where the servers are to be found by them.
    if let Err(error) = pool.advance().await {
        report.push(Step::failed("servers", "discovery", &Failure::from(&error)));
        return report;
    }
    let mut usable = Vec::new();
    for server in pool.servers() {
        let steps = servers::check(config, &server).await;
        if steps.iter().all(|step| step.verdict != Verdict::Failed) {
            usable.push(server);
        }
        report.extend(steps);
    }
    for zone in &config.zones {
        report.extend(zones::check(config, &session, zone, &usable).await);
    }
    // Signed answers have told by now.
    report.extend(usable.iter().filter_map(servers::clock).collect());
    pool.close().await;
    report
}
