//! Each zone: who serves it, may it be read, may it be changed, and by whom else.

use std::sync::Arc;

use super::report::Step;
use crate::config::{Config, ReadMode};
use crate::dns::presentation::parse_target;
use crate::dns::{Name, Operation, Prerequisite, Rcode, Rdata, RecordType, Rrset, Ttl, Update, ZoneName};
use crate::nameserver::{Authentication, Authenticity, Server, ServerError, Settings, UpdateReply};
use crate::provider::{Cause, Failure};

const TEXT: &str = "external-dns-rfc2136-webhook check; may be deleted";
const ADVICE_SECURE_ONLY: &str =
    "allow signed updates only (AD: dynamic updates \"Secure only\"; BIND: update-policy instead of allow-update)";

/// Looks at one zone on every server that can be used; changes are tried on the first.
pub(super) async fn check(config: &Config, session: &Settings, zone: &ZoneName, servers: &[Server]) -> Vec<Step> {
    if servers.is_empty() {
        return vec![Step::skipped("zone", zone, "no server can be used")];
    }
    let mut steps = Vec::new();
    for (number, server) in servers.iter().enumerate() {
        let served = serves(server, zone).await;
        let is_served = served.cause.is_none();
        steps.push(served);
        if !is_served {
            continue;
        }
        steps.push(read(config, server, zone).await);
        if number == 0 {
            steps.extend(write(config, session, server, zone).await);
        }
    }
    steps
}

fn on(zone: &ZoneName, server: &Server) -> String {
    format!("{zone} on {}", server.address())
}

/// Whether the server is authoritative, and whether it is the primary.
async fn serves(server: &Server, zone: &ZoneName) -> Step {
    match server.soa(zone).await {
        Err(error) => Step::failed("zone", on(zone, server), &Failure::from(&error)),
        Ok(soa) if soa.mname.to_undotted() == server.address().host => {
            Step::ok("zone", on(zone, server), format!("served, serial {}, and this is its primary", soa.serial))
        }
        Ok(soa) => {
            let detail = format!("served, serial {}, with the primary {}", soa.serial, soa.mname.to_undotted());
            // Every domain controller is a primary of its own, whatever the name in the record.
            Step::ok("zone", on(zone, server), format!("{detail}; a secondary would have to forward updates"))
        }
    }
}

async fn read(config: &Config, server: &Server, zone: &ZoneName) -> Step {
    if config.read == ReadMode::None {
        return Step::skipped("transfer", on(zone, server), "RFC2136_READ=none reads no zone");
    }
    match server.transfer(zone).await {
        Ok(contents) => Step::ok("transfer", on(zone, server), format!("{} records", contents.record_count())),
        Err(error) => Step::failed("transfer", on(zone, server), &Failure::from(&error)),
    }
}

/// A test record is written, looked for and deleted, and an unsigned update is tried meanwhile.
async fn write(config: &Config, session: &Settings, server: &Server, zone: &ZoneName) -> Vec<Step> {
    if config.dry_run {
        return vec![Step::skipped("update", on(zone, server), "RFC2136_DRY_RUN sends no updates")];
    }
    let Some(record) = TestRecord::new(zone) else {
        return vec![Step::skipped("update", on(zone, server), "the zone's name leaves no room for a test record")];
    };
    let reply = server.update(&record.create()).await;
    let mut steps = vec![judge("update", server, zone, &record, reply).await];
    if !matches!(session.authentication, Authentication::Insecure) {
        steps.push(unsigned(session, server, zone, &record).await);
    }
    let reply = server.update(&record.delete()).await;
    if steps.iter().any(|step| step.step == "update" && step.cause.is_none()) {
        steps.push(judge("delete", server, zone, &record, reply).await);
    }
    steps
}

/// What an answer to one of our own updates means.
async fn judge(
    step: &'static str,
    server: &Server,
    zone: &ZoneName,
    record: &TestRecord,
    reply: Result<UpdateReply, ServerError>,
) -> Step {
    let subject = on(zone, server);
    let failed = |cause, detail: String| Step::failed(step, &subject, &Failure::new(cause, detail));
    match reply {
        Err(error) => Step::failed(step, &subject, &Failure::from(&error)),
        Ok(UpdateReply { rcode: Rcode::NOERROR, authenticity: Authenticity::Unverified(flaw) }) => {
            let is_there = server.update(&record.is_there(step == "update")).await;
            let is_believable =
                is_there.is_ok_and(|reply| reply.rcode == Rcode::NOERROR && reply.authenticity.is_believable());
            if is_believable {
                let detail = format!("done, but the answer proves nothing ({flaw}); every update is read back");
                Step::warning(step, &subject, detail, Cause::UnverifiedReply.remedy())
            } else {
                failed(Cause::UnverifiedReply, flaw.to_string())
            }
        }
        Ok(UpdateReply { rcode: Rcode::NOERROR, .. }) => {
            Step::ok(step, &subject, format!("{} {}", record.name.to_undotted(), RecordType::TXT))
        }
        Ok(UpdateReply { rcode, .. }) => failed(Cause::of_update(rcode), rcode.to_string()),
    }
}

/// Whether the zone takes updates from anybody. The update is without effect where the record stands.
async fn unsigned(session: &Settings, server: &Server, zone: &ZoneName, record: &TestRecord) -> Step {
    let nobody = Settings { authentication: Authentication::Insecure, ..session.clone() };
    let nobody = Server::new(server.address().clone(), Arc::new(nobody));
    match nobody.update(&record.again()).await {
        Ok(UpdateReply { rcode: Rcode::NOERROR, .. }) => Step::warning(
            "unsigned",
            on(zone, server),
            "the zone takes updates from anybody, unsigned",
            ADVICE_SECURE_ONLY,
        ),
        Ok(UpdateReply { rcode, .. }) => {
            Step::ok("unsigned", on(zone, server), format!("unsigned updates are answered with {rcode}"))
        }
        Err(error) => Step::failed("unsigned", on(zone, server), &Failure::from(&error)),
    }
}

/// `_external-dns-check-<random>` TXT.
struct TestRecord {
    zone: ZoneName,
    name: Name,
    rdata: Rdata,
}

impl TestRecord {
    fn new(zone: &ZoneName) -> Option<Self> {
        let label = format!("_external-dns-check-{:08x}", rand::random::<u32>());
        let labels = std::iter::once(label.as_bytes()).chain(zone.as_name().labels());
        let rdata = parse_target(RecordType::TXT, TEXT, |text| text.parse()).ok()?;
        Some(Self { zone: zone.clone(), name: Name::from_labels(labels).ok()?, rdata })
    }

    fn update(&self, prerequisites: Vec<Prerequisite>, operations: Vec<Operation>) -> Update {
        Update { zone: self.zone.clone(), prerequisites, operations }
    }

    fn add(&self) -> Operation {
        let (name, rdata) = (self.name.clone(), self.rdata.clone());
        Operation::Add { name, rtype: RecordType::TXT, ttl: Ttl::from_secs(60), rdata }
    }

    fn create(&self) -> Update {
        self.update(vec![Prerequisite::NameNotInUse(self.name.clone())], vec![self.add()])
    }

    fn again(&self) -> Update {
        self.update(Vec::new(), vec![self.add()])
    }

    fn delete(&self) -> Update {
        let (name, rdata) = (self.name.clone(), self.rdata.clone());
        self.update(Vec::new(), vec![Operation::Delete { name, rtype: RecordType::TXT, rdata }])
    }

    /// Holds where the record is there, or is not.
    fn is_there(&self, wanted: bool) -> Update {
        let (name, rtype) = (self.name.clone(), RecordType::TXT);
        let there = Rrset::new(name.clone(), rtype, Ttl::ZERO, vec![self.rdata.clone()]).filter(|_| wanted);
        let absent = Prerequisite::RrsetDoesNotExist { name, rtype };
        self.update(vec![there.map_or(absent, Prerequisite::RrsetEquals)], Vec::new())
    }
}
