//! The preflight: configuration, Kerberos, servers and zones, step by step in plain words, each with a remedy.
//!
//! It uses the sidecar's own environment, and writes one TXT record per zone, which it deletes again. Every step has a
//! deadline; none hides what the others find.

use std::time::Duration;

use crate::app;
use crate::config::{Authentication, Loaded};
use crate::nameserver::Pool;
use crate::provider::chain;
use crate::zone_copy::Way;

mod as_exchange;
mod clock;
mod kdc;
mod kerberos;
mod reading;
mod report;
mod servers;
mod trial;
mod zones;

pub use report::{Finding, Grade, Report};
use zones::Candidate;

/// Longest wait for a KDC, which the Kerberos library itself waits for half a minute.
const KDC_PATIENCE: Duration = Duration::from_secs(8);

/// Checks everything that a sidecar with this configuration needs; `tell` hears of each step as it is done.
pub async fn check(loaded: &Loaded, mut tell: impl FnMut(&Finding)) -> Report {
    let Loaded { config, warnings } = loaded;
    let mut report = Report::default();
    let mut note = |steps: Vec<Finding>| {
        steps.iter().for_each(&mut tell);
        let is_good = steps.iter().all(|step| step.grade != Grade::Failed);
        report.steps.extend(steps);
        is_good
    };
    let zones = config.zones.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    note(vec![Finding::ok("configuration", "environment", format!("valid, for {zones}"))]);
    let warnings = warnings.iter().chain(&config.inspect_files()).map(Finding::from).collect();
    note(warnings);
    let (mut credential, mut login) = (None, None);
    if let Authentication::Gss(kerberos) = &config.authentication {
        note(kerberos::inspect(kerberos));
        let ours = credential.insert(app::credential(kerberos));
        let steps = kerberos::check(kerberos, ours).await;
        login = steps.last().filter(|login| login.grade == Grade::Ok).map(|_| ours.clone());
        note(steps);
    }
    let session = match app::session_settings(config, credential.as_ref()) {
        Ok(session) => session,
        Err(error) => {
            let remedy = "check RFC2136_TLS_CA, RFC2136_TLS_CLIENT_CERT and RFC2136_TLS_CLIENT_CERT_KEY";
            note(vec![Finding::broken("tls", "files", chain(&error), remedy)]);
            return report;
        }
    };
    let pool = Pool::new(app::pool_settings(config, session.clone()));
    note(servers::find(config, &pool).await);
    let mut candidates = Vec::new();
    for server in pool.servers() {
        let steps = servers::check(config, login.as_ref(), &server).await;
        let answers = steps.iter().any(|step| step.step == "server" && step.grade == Grade::Ok);
        let is_usable = steps.iter().all(|step| !matches!(step.grade, Grade::Failed | Grade::Skipped));
        candidates.extend(answers.then_some(Candidate { server, is_usable }));
        note(steps);
    }
    // Whatever is configured: it is to be told what would work.
    let way = if login.is_some() { Way::Either } else { Way::Transfer };
    let sources = app::sources(config, way, &session);
    for zone in &config.zones {
        note(zones::check(config, &session, &sources, zone, &candidates).await);
    }
    // Signed answers have told by now.
    note(candidates.iter().filter_map(|candidate| servers::clock(&candidate.server)).collect());
    tokio::join!(pool.close(), sources.close());
    report
}
