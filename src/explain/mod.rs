//! `explain NAME [TYPE]`: what DNS holds at a name, whose it is, and what a change of it would do now.
//!
//! It asks the servers as the sidecar does, and the running sidecar for what it has rejected. Nothing is written.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::api::{Changes, Endpoint};
use crate::app;
use crate::config::{Authentication, Config, ReadMode};
use crate::dns::presentation::SUPPORTED;
use crate::dns::{Name, RecordType, ZoneContents, ZoneName};
use crate::metrics::Metrics;
use crate::nameserver::Pool;
use crate::plan::canonical::{canonical_name, canonical_type};
use crate::plan::inspect::{Attempt, RecordSet, attempt, record_sets};
use crate::plan::{Copies, Policy, Reason};
use crate::provider::authority::{Authority, Seen};
use crate::provider::chain;
use crate::provider::{Cause, Failure, Servers, ServersSettings};

mod report;
mod status;

pub use report::Report;
use report::{Answer, Explanation, Prospect, Record, ZoneRead};

/// Longest wait for the zone.
const PATIENCE: Duration = Duration::from_secs(60);

/// Explains a name, and all types at it or the one that is given.
pub async fn explain(config: &Config, name: &str, record_type: Option<&str>) -> Report {
    let mut report = Report { name: name.to_owned(), ..Report::default() };
    let read = canonical_name(name).and_then(|name| Ok((name, record_type.map(canonical_type).transpose()?)));
    let (name, rtype) = match read {
        Ok(read) => read,
        Err(reason) => return report.failed(&of(&reason)),
    };
    report.name = name.to_undotted();
    let policy = app::policy(config);
    let Some(zone) = policy.zones.find(&name).cloned() else { return report.failed(&of(&Reason::OutsideZones)) };
    match read_zone(config, &zone, &name).await {
        Ok((read, contents)) => {
            report.zone = Some(read);
            let copies = Copies::from_iter([(zone, contents)]);
            tell(&mut report, &name, rtype, &copies, &policy);
        }
        Err(failure) => report = report.failed(&failure),
    }
    match status::of_name(config.webhook_listen, &report.name).await {
        Ok(rejected) => report.rejected = rejected,
        Err(error) => report.no_sidecar = Some(error),
    }
    report
}

fn of(reason: &Reason) -> Failure {
    Failure::new(Cause::from(reason), reason.to_string())
}

/// The zone as the sidecar would read it; or what the server answers for the name, where zones are not read.
async fn read_zone(config: &Config, zone: &ZoneName, name: &Name) -> Result<(ZoneRead, Arc<ZoneContents>), Failure> {
    let credential = match &config.authentication {
        Authentication::Gss(kerberos) => Some(app::credential(kerberos)),
        Authentication::Tsig(_) | Authentication::Insecure => None,
    };
    let session = app::session_settings(config, credential.as_ref())
        .map_err(|error| Failure::new(Cause::Internal, chain(&error)))?;
    let sources = app::sources(config, app::way(config.read), &session);
    let pool = Pool::new(app::pool_settings(config, session));
    // Were something sent by a defect, it would be printed.
    let how = ServersSettings { read: config.read, profile: config.profile, dry_run: true };
    let servers = Servers::new(pool, sources, how, Arc::new(Metrics::new()));
    let read = async {
        let pin = servers.pin_for_read().await?;
        if config.read == ReadMode::None {
            let contents = asked(&servers, &pin, zone, name).await?;
            let by = "queries for the name alone";
            let read = ZoneRead { zone: zone.to_string(), server: servers.server(&pin), by, serial: None };
            return Ok((read, Arc::new(contents)));
        }
        let contents = servers.read(&pin, zone, Instant::now() + PATIENCE).await?;
        let by = servers.zone_status(zone).read.unwrap_or("transfer");
        let serial = Some(contents.serial());
        Ok((ZoneRead { zone: zone.to_string(), server: servers.server(&pin), by, serial }, contents))
    };
    let outcome = read.await;
    servers.close().await;
    outcome
}

async fn asked<A: Authority>(servers: &A, pin: &A::Pin, zone: &ZoneName, name: &Name) -> Result<ZoneContents, Failure> {
    let mut contents = ZoneContents::new(zone.clone(), 0);
    for rtype in SUPPORTED {
        if let Seen::Records(Some(rrset)) = servers.look(pin, name, rtype).await? {
            rrset.rdata().iter().for_each(|rdata| contents.add(name, rtype, rrset.ttl(), rdata.clone()));
        }
    }
    Ok(contents)
}

fn tell(report: &mut Report, name: &Name, rtype: Option<RecordType>, copies: &Copies, policy: &Policy) {
    let mut sets = record_sets(name, copies, policy);
    sets.retain(|set| rtype.is_none_or(|rtype| set.rtype == rtype));
    for set in &sets {
        let owner = set.texts.first().and_then(|text| text.owner.clone());
        let texts = registry(set, name, copies);
        let held = endpoint(name, set.rtype, set.targets.clone(), owner.as_deref());
        let delete = [vec![held.clone()], texts].concat();
        report.changes.push(change("delete", set.rtype, &Changes { delete, ..Changes::default() }, copies, policy));
        if let Some(other) = example(set.rtype).filter(|other| !set.targets.contains(other)) {
            let new = endpoint(name, set.rtype, vec![other], owner.as_deref());
            let changes = Changes { update_old: vec![held], update_new: vec![new], ..Changes::default() };
            report.changes.push(change("update", set.rtype, &changes, copies, policy));
        }
    }
    let wanted = rtype.unwrap_or(RecordType::A);
    if let Some(target) = example(wanted).filter(|_| sets.is_empty()) {
        let create = vec![endpoint(name, wanted, vec![target], Some("default"))];
        report.changes.push(change("create", wanted, &Changes { create, ..Changes::default() }, copies, policy));
    }
    report.records = sets.into_iter().map(Record::from).collect();
}

/// The registry TXT of a record, as ExternalDNS would delete them.
fn registry(set: &RecordSet, name: &Name, copies: &Copies) -> Vec<Endpoint> {
    let of = |text: &Name| {
        let held = copies.contents().find_map(|contents| contents.rrset(text, RecordType::TXT))?;
        let targets = crate::plan::canonical::canonical_targets(RecordType::TXT, held.rdata);
        let labels = BTreeMap::from([("ownedRecord".to_owned(), name.to_undotted())]);
        Some(Endpoint { labels, ..endpoint(text, RecordType::TXT, targets, None) })
    };
    let names: std::collections::BTreeSet<&Name> = set.texts.iter().map(|text| &text.name).collect();
    names.into_iter().filter_map(of).collect()
}

fn endpoint(name: &Name, rtype: RecordType, targets: Vec<String>, owner: Option<&str>) -> Endpoint {
    Endpoint {
        dns_name: name.to_undotted(),
        record_type: rtype.to_string(),
        targets,
        labels: owner.map(|owner| ("owner".to_owned(), owner.to_owned())).into_iter().collect(),
        ..Endpoint::default()
    }
}

/// A target that stands for any other; none where there is no usual one.
fn example(rtype: RecordType) -> Option<String> {
    let text = match rtype {
        RecordType::A => "192.0.2.1",
        RecordType::AAAA => "2001:db8::1",
        RecordType::CNAME | RecordType::NS | RecordType::PTR | RecordType::DNAME => "host.example.com",
        RecordType::TXT => "\"text\"",
        RecordType::MX => "10 host.example.com",
        RecordType::SRV => "0 0 443 host.example.com",
        _ => return None,
    };
    Some(text.to_owned())
}

fn change(op: &'static str, rtype: RecordType, changes: &Changes, copies: &Copies, policy: &Policy) -> Prospect {
    let answer = match attempt(changes, copies, policy) {
        Attempt::Nothing => Answer::Nothing,
        Attempt::Updates(updates) => Answer::Script(updates.iter().map(|update| update.nsupdate_script()).collect()),
        Attempt::Refused(refusals) => {
            // The first that is no mere companion of another one.
            let reason = refusals.iter().map(|refusal| &refusal.reason);
            let own = reason.clone().find(|reason| !matches!(reason, Reason::GoesWith { .. }));
            own.or(reason.clone().next())
                .map_or(Answer::Nothing, |reason| Answer::Rejected(Explanation::from(&of(reason))))
        }
    };
    Prospect { op, record_type: rtype.to_string(), answer }
}
