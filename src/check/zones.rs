//! Each zone: who serves it, may it be read, may it be changed.

use super::reading;
use super::report::{Finding, Grade};
use super::trial::{self, Trial};
use crate::config::Config;
use crate::dns::{Soa, ZoneName};
use crate::nameserver::{Server, ServerError, Settings};
use crate::provider::Failure;
use crate::zone_copy::Sources;

/// A server that answers.
pub(super) struct Candidate {
    pub(super) server: Server,
    /// Whether it can be used, or only be asked unsigned.
    pub(super) is_usable: bool,
}

/// Looks at one zone on every server; changes are tried on the first that can be used.
pub(super) async fn check(
    config: &Config,
    session: &Settings,
    sources: &Sources,
    zone: &ZoneName,
    servers: &[Candidate],
) -> Vec<Finding> {
    if servers.is_empty() {
        return vec![Finding::skipped("zone", zone, "no server answers")];
    }
    let mut steps = Vec::new();
    let mut is_tried = false;
    for Candidate { server, is_usable } in servers {
        let subject = format!("{zone} on {}", server.address());
        if !is_usable {
            // Whether it is there can be told all the same.
            let soa = trial::nobody(session, server).soa(zone).await;
            steps.push(serves(&subject, server, &soa));
            steps.push(Finding::skipped("transfer", &subject, "the server cannot be used"));
            continue;
        }
        let soa = server.soa(zone).await;
        let mut served = serves(&subject, server, &soa);
        let Ok(soa) = soa else {
            steps.push(served);
            continue;
        };
        let read = reading::check(config, sources, server, zone, &subject).await;
        let written = match is_tried {
            true => Vec::new(),
            false => write(config, session, server, zone, &subject).await,
        };
        is_tried = true;
        if written.iter().any(|step| step.step == trial::UPDATE && step.grade == Grade::Failed) {
            doubt(&mut served, server, &soa);
        }
        steps.push(served);
        steps.extend(read);
        steps.extend(written);
    }
    steps
}

/// Whether the server is authoritative, and whether it is the primary.
fn serves(subject: &str, server: &Server, soa: &Result<Soa, ServerError>) -> Finding {
    match soa {
        Err(error) => Finding::failed("zone", subject, &Failure::from(error)),
        Ok(soa) if is_primary(server, soa) => {
            Finding::ok("zone", subject, format!("served with serial {}, and this server is its primary", soa.serial))
        }
        // No fault by itself: every domain controller takes updates, whatever the name in the record.
        Ok(soa) => {
            let primary = soa.mname.to_undotted();
            Finding::ok(
                "zone",
                subject,
                format!("served with serial {}; its SOA names the primary {primary}", soa.serial),
            )
        }
    }
}

fn is_primary(server: &Server, soa: &Soa) -> bool {
    soa.mname.to_undotted().eq_ignore_ascii_case(&server.address().host)
}

/// Where updates fail, a server that is not the primary deserves a look.
fn doubt(served: &mut Finding, server: &Server, soa: &Soa) {
    if !is_primary(server, soa) {
        served.grade = Grade::Warning;
        let primary = soa.mname.to_undotted();
        served.remedy = format!("if this server is a secondary, set RFC2136_HOST to the primary, {primary}");
    }
}

async fn write(config: &Config, session: &Settings, server: &Server, zone: &ZoneName, subject: &str) -> Vec<Finding> {
    if config.dry_run {
        return vec![Finding::skipped(trial::UPDATE, subject, "RFC2136_DRY_RUN sends no updates")];
    }
    match Trial::new(zone, subject, config.prerequisites) {
        Some(trial) => trial.run(session, server).await,
        None => vec![Finding::skipped(trial::UPDATE, subject, "the zone's name leaves no room for a test record")],
    }
}
