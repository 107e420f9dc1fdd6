//! May a zone be read: by transfer, over LDAP, and which setting fits.

use std::time::Duration;

use tokio::time::timeout;

use super::report::{Finding, Grade};
use crate::config::{Config, KeepAlive, ReadMode};
use crate::dns::ZoneName;
use crate::ldap::zone_property::{Properties, Updates};
use crate::ldap::{Directory, Survey};
use crate::nameserver::Server;
use crate::provider::{Cause, Failure, chain};
use crate::zone_copy::Sources;

/// Longest wait for a whole zone, as long as it keeps coming.
const PATIENCE: Duration = Duration::from_secs(60);
/// The steps.
const TRANSFER: &str = "transfer";
const LDAP: &str = "ldap";

/// Tries every way of reading that there is; one that is not needed does not fail the check.
pub(super) async fn check(
    config: &Config,
    sources: &Sources,
    server: &Server,
    zone: &ZoneName,
    subject: &str,
) -> Vec<Finding> {
    if config.read == ReadMode::None {
        return vec![Finding::skipped(TRANSFER, subject, "RFC2136_READ=none reads no zone")];
    }
    let mut steps = vec![transfer(server, zone, subject).await];
    if let Some(directory) = sources.directory(server.address()) {
        steps.extend(ldap(&directory, config.keep_alive, zone, subject).await);
    }
    judge(config.read, &mut steps);
    steps
}

async fn transfer(server: &Server, zone: &ZoneName, subject: &str) -> Finding {
    match timeout(PATIENCE, server.transfer(zone)).await {
        Ok(Ok(contents)) => Finding::ok(TRANSFER, subject, format!("{} records", contents.record_count())),
        Ok(Err(error)) => Finding::failed(TRANSFER, subject, &Failure::from(&error)),
        Err(_) => {
            let detail = format!("allowed, and not at its end after {} seconds", PATIENCE.as_secs());
            Finding::warning(TRANSFER, subject, detail, "the sidecar is not ready before it has read the zone once")
        }
    }
}

async fn ldap(directory: &Directory, keep_alive: KeepAlive, zone: &ZoneName, subject: &str) -> Vec<Finding> {
    match timeout(PATIENCE, directory.survey(zone)).await {
        Ok(Ok(survey)) => {
            let Survey { base, records, ageing, tombstones, properties } = &survey;
            let detail = format!(
                "{records} records in {base}; {ageing} of them carry a time stamp, {tombstones} names are tombstones"
            );
            let ageing = self::ageing(properties, keep_alive, subject);
            vec![Finding::ok(LDAP, subject, detail), updates(properties, subject), ageing]
        }
        Ok(Err(error)) => {
            let failure = Failure::new(Cause::from(&error.fault), chain(&error));
            vec![Finding::failed(LDAP, subject, &failure)]
        }
        Err(_) => {
            let detail = format!("allowed, and not at its end after {} seconds", PATIENCE.as_secs());
            vec![Finding::warning(LDAP, subject, detail, "the sidecar is not ready before it has read the zone once")]
        }
    }
}

/// Whose updates the zone takes: what explains answers that do not verify.
fn updates(properties: &Properties, subject: &str) -> Finding {
    const STEP: &str = "update mode";
    let secure_only = "set the zone's dynamic updates to \"Secure only\"";
    match properties.updates {
        Some(Updates::SecureOnly) => Finding::ok(STEP, subject, "the zone takes secure updates only"),
        Some(Updates::NonsecureAndSecure) => {
            let detail = "the zone takes nonsecure updates too: anybody may change it, and Windows may answer signed updates \
                          with signatures that do not verify";
            Finding::warning(STEP, subject, detail, secure_only)
        }
        Some(Updates::Off) => Finding::warning(STEP, subject, "the zone takes no dynamic updates", secure_only),
        Some(Updates::Other(mode)) => {
            Finding::warning(STEP, subject, format!("the zone is in mode {mode}, which is not known"), secure_only)
        }
        None => Finding::skipped(STEP, subject, "the directory does not tell whose updates the zone takes"),
    }
}

fn ageing(properties: &Properties, keep_alive: KeepAlive, subject: &str) -> Finding {
    const STEP: &str = "ageing";
    let hours = |hours: Option<u32>| hours.map_or_else(|| "an unknown number of".to_owned(), |hours| hours.to_string());
    match properties.ageing {
        Some(false) => Finding::ok(STEP, subject, "off: no record is taken out for its age"),
        Some(true) => {
            let (no_refresh, refresh) = (hours(properties.no_refresh), hours(properties.refresh));
            let detail =
                format!("on: records may be taken out {no_refresh} + {refresh} hours after their last refresh");
            match keep_alive {
                KeepAlive::Off => Finding::warning(
                    STEP,
                    subject,
                    detail,
                    "set RFC2136_KEEP_ALIVE=auto, or turn ageing off for the zone",
                ),
                KeepAlive::Auto | KeepAlive::On => {
                    Finding::ok(STEP, subject, format!("{detail}; ours are refreshed in time"))
                }
            }
        }
        None => Finding::skipped(STEP, subject, "the directory does not tell whether records are aged"),
    }
}

/// Says which way works and which setting uses it, and lets what is not needed fail.
fn judge(read: ReadMode, steps: &mut Vec<Finding>) {
    let works = |step: &str| steps.iter().any(|found| found.step == step && found.grade != Grade::Failed);
    let (by_transfer, by_ldap) = (works(TRANSFER), works(LDAP));
    if by_transfer && !by_ldap && read != ReadMode::Ldap {
        // Most name servers are no directories.
        steps.retain(|step| step.step != LDAP);
    }
    for step in steps {
        let (needed, advice) = match step.step {
            TRANSFER => match read {
                ReadMode::Ldap => (false, "RFC2136_READ=auto or transfer would read the zone this way"),
                ReadMode::Auto => (!by_ldap, "RFC2136_READ=auto reads the zone this way"),
                ReadMode::Transfer | ReadMode::None => (true, "RFC2136_READ=transfer reads the zone this way"),
            },
            LDAP => match read {
                ReadMode::Ldap => (true, "RFC2136_READ=ldap reads the zone this way"),
                ReadMode::Auto if by_transfer => (false, "RFC2136_READ=ldap would read the zone this way"),
                ReadMode::Auto => (false, "RFC2136_READ=auto reads the zone this way"),
                ReadMode::Transfer | ReadMode::None => {
                    (false, "RFC2136_READ=ldap or auto would read the zone this way")
                }
            },
            _ => continue,
        };
        match step.grade {
            Grade::Ok => step.detail = format!("{}; {advice}", step.detail),
            Grade::Failed if !needed => {
                step.grade = Grade::Skipped;
                step.detail = format!("not needed: {}", step.detail);
                (step.cause, step.remedy) = (None, String::new());
            }
            Grade::Failed if by_ldap => step.remedy = "set RFC2136_READ=ldap or auto: LDAP works".to_owned(),
            Grade::Failed if by_transfer => {
                step.remedy = "set RFC2136_READ=auto or transfer: transfers work".to_owned()
            }
            _ => {}
        }
    }
}
