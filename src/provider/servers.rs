//! The real authority: a pool of name servers and the copies of their zones.

use std::collections::HashSet;
use std::fmt;
use std::io::{self, Write as _};
use std::sync::Arc;

use tokio::time::Instant;
use tracing::Instrument as _;

use super::authority::{Authority, Seen};
use super::status::{ServerStatus, ZoneStatus, seconds};
use super::{Cause, Failure};
use crate::config::ReadMode;
use crate::dns::tsig::MacInput;
use crate::dns::{
    Name, Operation, Rcode, RecordType, ReplyError, ServerAddress, ServerProfile, Update, ZoneContents, ZoneName,
};
use crate::ldap::Ages;
use crate::metrics::Metrics;
use crate::nameserver::{
    self, Authenticity, DiscoveryError, Fault, LastError, Pin, Pool, Sent, Server, ServerError, UpdateReply,
};
use crate::plan::delivery::Fate;
use crate::zone_copy::{ReadError, Source, SourceError, Sources, Way, ZoneCopies, ZoneCopy};

/// Name servers with what is known of their zones.
#[derive(Debug)]
pub struct Servers {
    pool: Pool,
    sources: Arc<Sources>,
    copies: ZoneCopies<Source>,
    settings: ServersSettings,
    metrics: Arc<Metrics>,
}

/// How servers are used.
#[derive(Debug, Clone, Copy)]
pub struct ServersSettings {
    /// How zones are read.
    pub read: ReadMode,
    /// What kind of servers these are.
    pub profile: ServerProfile,
    /// Whether updates are printed instead of being sent.
    pub dry_run: bool,
}

/// What a zone is read for.
#[derive(Debug, Clone, Copy)]
enum Wish {
    /// To show it to the caller.
    List,
    /// To see that it can be read.
    Look,
    /// To decide from it that nothing is to be done.
    Confirm,
}

impl Servers {
    /// These servers, nothing known yet.
    #[must_use]
    pub fn new(pool: Pool, sources: Sources, settings: ServersSettings, metrics: Arc<Metrics>) -> Self {
        Self { pool, sources: Arc::new(sources), copies: ZoneCopies::new(), settings, metrics }
    }

    /// Sends an update and counts it.
    async fn send(&self, server: &Server, update: &Update) -> Result<UpdateReply, ServerError> {
        let began = Instant::now();
        let answer = server.update(update).await;
        let rcode = match &answer {
            Ok(UpdateReply { rcode, authenticity, .. }) if authenticity.is_believable() => rcode.to_string(),
            Ok(UpdateReply { rcode, .. }) => format!("{rcode} unverified"),
            Err(_) => "none".to_owned(),
        };
        let (zone, server) = (update.zone.to_string(), server.address().to_string());
        self.metrics.updated(zone, server, rcode, began.elapsed());
        answer
    }

    /// What an answer to an update means.
    fn judge(&self, reply: &UpdateReply, update: &Update, server: &Server) -> Fate<Failure> {
        let UpdateReply { rcode, authenticity, repeated } = reply;
        let about =
            |detail: &dyn fmt::Display| format!("name server {}, zone {}: {detail}", server.address(), update.zone);
        if *rcode == Rcode::NOERROR {
            return match authenticity {
                Authenticity::Unverified(flaw) => Fate::Unverified(Failure::new(Cause::UnverifiedReply, about(flaw))),
                Authenticity::Verified(_) | Authenticity::NotAsked => Fate::Applied,
            };
        }
        // Only a plain failure leaves it open whether something was done before.
        let maybe_applied = Cause::of_update(*rcode) == Cause::ServerFailed;
        let failure = match self.servfail_of_samba(reply, update, server) {
            Some((cause, meaning)) => Failure::new(cause, about(&format_args!("{rcode}, {meaning}"))),
            None => Failure::new(Cause::of_update(*rcode), about(rcode)),
        };
        match failure.cause {
            // It may not hold any more because the update itself was applied the first time.
            Cause::PrerequisiteFailed if *repeated => Fate::Unknown(failure),
            Cause::PrerequisiteFailed => Fate::PrerequisiteFailed(failure),
            Cause::NotAuthoritative => Fate::ZoneUnusable(failure),
            _ => Fate::Denied { failure, maybe_applied },
        }
    }

    /// What Samba means by SERVFAIL; its internal DNS is known by how it signs other answers, its BIND9_DLZ by what it
    /// cannot hold.
    fn servfail_of_samba(
        &self,
        reply: &UpdateReply,
        update: &Update,
        server: &Server,
    ) -> Option<(Cause, &'static str)> {
        if reply.rcode != Rcode::SERVFAIL {
            return None;
        }
        if server.mac_input() == Some(MacInput::Samba) {
            return Some((Cause::RefusedByPolicy, "which is how Samba's internal DNS refuses"));
        }
        let may_be_samba = matches!(self.settings.profile, ServerProfile::Auto | ServerProfile::Samba);
        let cannot_be_held = |operation: &Operation| {
            matches!(operation, Operation::Add { .. }) && !ServerProfile::Samba.holds(operation.rtype())
        };
        (may_be_samba && update.operations.iter().any(cannot_be_held))
            .then_some((Cause::RecordTypeNotSupported, "which is how Samba's BIND9_DLZ refuses a type"))
    }

    /// Reads a zone from the pinned server, or from the one that takes over.
    async fn read_by(
        &self,
        pin: &Pin,
        zone: &ZoneName,
        deadline: Instant,
        wish: Wish,
    ) -> Result<Arc<ZoneContents>, Failure> {
        if self.settings.read == ReadMode::None {
            return Err(Failure::new(Cause::TransferRefused, format!("zone {zone}: RFC2136_READ=none reads no zone")));
        }
        loop {
            let server = pin.server();
            let source = self.sources.of(server.clone());
            let span = tracing::info_span!("zone", %zone, server = %server.address());
            let reading = async {
                match wish {
                    Wish::List => self.copies.list(zone, &source, deadline).await,
                    Wish::Look => self.copies.warm(zone, &source, deadline).await,
                    Wish::Confirm => self.copies.confirm(zone, &source, deadline).await,
                }
            };
            match reading.instrument(span).await {
                Ok(copy) => {
                    pin.succeeded(&server);
                    self.metrics.read(zone.to_string(), copy.kind.label());
                    return Ok(copy.contents);
                }
                Err(ReadError::Source(error)) if self.moves_on(pin, &server, &error) => {}
                Err(ReadError::Source(error)) => return Err(Failure::from(&error)),
                Err(ReadError::Deadline) => {
                    return Err(Failure::new(
                        Cause::Deadline,
                        format!("zone {zone} is still being read; the next request takes the result"),
                    ));
                }
                Err(ReadError::BrokenOff) => {
                    return Err(Failure::new(Cause::Internal, format!("reading zone {zone} broke off")));
                }
            }
        }
    }

    /// Whether another server is to be read from after this failure.
    fn moves_on(&self, pin: &Pin, server: &Server, whole: &SourceError) -> bool {
        match whole {
            SourceError::Transfer(error) => pin.fail_over(error),
            SourceError::Directory(error) | SourceError::Neither { directory: error, .. } => {
                let may_be_better = error.fault.is_transport() && self.sources.has_many_directories();
                may_be_better && pin.leave_for(server.address(), error, Failure::from(whole).to_string())
            }
        }
    }

    /// The copy of a zone on the server in use, and why it could not be read last.
    fn current(&self, zone: &ZoneName) -> Option<(ServerAddress, Option<ZoneCopy>, Option<SourceError>)> {
        let in_use = self.pool.status().into_iter().find(|server| server.in_use)?.address;
        let (copy, failure) = (self.copies.get(zone, &in_use), self.copies.failure(zone, &in_use));
        Some((in_use, copy, failure))
    }
}

impl Authority for Servers {
    type Pin = Pin;

    async fn pin_for_read(&self) -> Result<Pin, Failure> {
        self.pool.advance().await.map_err(|error| Failure::from(&error))
    }

    async fn pin_for_write(&self) -> Result<Pin, Failure> {
        self.pool.pin().await.map_err(|error| Failure::from(&error))
    }

    async fn pin_to_look(&self) -> Result<Pin, Failure> {
        self.pool.look().await.map_err(|error| Failure::from(&error))
    }

    fn server(&self, pin: &Pin) -> String {
        pin.server().address().to_string()
    }

    async fn read(&self, pin: &Pin, zone: &ZoneName, deadline: Instant) -> Result<Arc<ZoneContents>, Failure> {
        self.read_by(pin, zone, deadline, Wish::List).await
    }

    async fn warm(&self, pin: &Pin, zone: &ZoneName, deadline: Instant) -> Result<(), Failure> {
        self.read_by(pin, zone, deadline, Wish::Look).await.map(drop)
    }

    async fn confirm(&self, pin: &Pin, zone: &ZoneName, deadline: Instant) -> Result<Arc<ZoneContents>, Failure> {
        self.read_by(pin, zone, deadline, Wish::Confirm).await
    }

    async fn reach(&self, pin: &Pin, zone: &ZoneName) -> Result<(), Failure> {
        loop {
            let server = pin.server();
            match server.soa(zone).await {
                Ok(_) => {
                    pin.succeeded(&server);
                    return Ok(());
                }
                Err(error) if pin.fail_over(&error) => {}
                Err(error) => return Err(Failure::from(&error)),
            }
        }
    }

    fn copy(&self, pin: &Pin, zone: &ZoneName) -> Option<Arc<ZoneContents>> {
        self.copies.trusted(zone, pin.server().address()).map(|copy| copy.contents)
    }

    fn remember(&self, pin: &Pin, update: &Update) {
        self.copies.apply(pin.server().address(), update);
    }

    fn doubt(&self, pin: &Pin, zone: &ZoneName) {
        self.copies.invalidate(zone, pin.server().address());
    }

    async fn update(&self, pin: &Pin, update: &Update) -> Result<Fate<Failure>, Failure> {
        if self.settings.dry_run {
            return print(pin.server().address(), update);
        }
        let mut is_last_try = false;
        loop {
            let server = pin.server();
            let context = server.context();
            match self.send(&server, update).await {
                Ok(reply) => {
                    pin.succeeded(&server);
                    if let Some(context) = context.filter(|_| !is_last_try && is_unproven_refusal(&reply)) {
                        is_last_try = true;
                        if server.has_lost(&context, &update.zone).await {
                            continue;
                        }
                    }
                    if reply.rcode == Rcode::SERVFAIL && server.mac_input().is_none() {
                        // Whatever comes of it: a signed answer shows whether this is Samba.
                        let _ = server.soa(&update.zone).await;
                    }
                    return Ok(self.judge(&reply, update, &server));
                }
                Err(error) => {
                    let failure = Failure::from(&error);
                    if error.sent == Sent::Unknown {
                        self.copies.invalidate(&update.zone, server.address());
                    }
                    match (pin.fail_over(&error), error.sent) {
                        (true, Sent::Nothing) => {}
                        (true, Sent::Unknown | Sent::Answered) => return Ok(Fate::Unknown(failure)),
                        // It need not be dead: whoever asks what became of it finds out.
                        (false, Sent::Unknown) if error.is_closed() => return Ok(Fate::Unknown(failure)),
                        (false, _) => return Err(failure),
                    }
                }
            }
        }
    }

    async fn look(&self, pin: &Pin, name: &Name, rtype: RecordType) -> Result<Seen, Failure> {
        loop {
            let server = pin.server();
            match server.query(name, rtype).await {
                Ok(rrset) => {
                    pin.succeeded(&server);
                    return Ok(Seen::Records(rrset));
                }
                Err(error) if matches!(error.fault, Fault::Reply(ReplyError::NotAuthoritative)) => {
                    return Ok(Seen::Referral);
                }
                Err(error) if pin.fail_over(&error) => {}
                Err(error) => return Err(Failure::from(&error)),
            }
        }
    }

    async fn nodes(&self, pin: &Pin, zone: &ZoneName, names: &[Name]) -> Option<ZoneContents> {
        self.sources.of(pin.server()).nodes(zone, names).await
    }

    async fn ages(
        &self,
        pin: &Pin,
        zone: &ZoneName,
        wanted: &HashSet<(Name, RecordType)>,
    ) -> Result<Option<Ages>, Failure> {
        let Some(directory) = self.sources.directory(pin.server().address()) else { return Ok(None) };
        let ages = directory.ages(zone, wanted).await;
        ages.map(Some).map_err(|error| Failure::from(&SourceError::Directory(error)))
    }

    fn zone_status(&self, zone: &ZoneName) -> ZoneStatus {
        let (server, copy, failure) = self.current(zone).map_or((None, None, None), |(a, b, c)| (Some(a), b, c));
        // Once something has been read.
        let in_use = server.as_ref().filter(|_| copy.is_some());
        let read = in_use.map(|server| match self.sources.way_of(zone, server) {
            Way::Directory => "ldap",
            Way::Transfer | Way::Either => "transfer",
        });
        ZoneStatus {
            zone: zone.to_string(),
            read,
            server: server.map(|server| server.to_string()),
            serial: copy.as_ref().map(|copy| copy.contents.serial()),
            records: copy.as_ref().map(|copy| copy.contents.record_count()),
            last_read: copy.map(|copy| seconds(copy.read_at)),
            last_apply: None,
            error: failure.map(|error| Failure::from(&error).to_string()),
        }
    }

    fn server_status(&self) -> Vec<ServerStatus> {
        let status = |status: nameserver::ServerStatus| {
            let error = status.last_error.map(|error| match error {
                LastError::Server(error) => Failure::from(&error).to_string(),
                LastError::Host(told) => told,
            });
            ServerStatus {
                server: status.address.to_string(),
                in_use: status.in_use,
                failed: status.failed,
                error,
                context_expires_in: status.context_remaining.map(|left| left.as_secs()),
                negotiations: status.negotiations,
                failed_negotiations: status.failed_negotiations,
                clock_skew: status.clock_skew,
            }
        };
        self.pool.status().into_iter().map(status).collect()
    }

    async fn close(&self) {
        tokio::join!(self.pool.close(), self.sources.close());
    }
}

/// Whether it was refused, and nothing shows by whom.
fn is_unproven_refusal(reply: &UpdateReply) -> bool {
    matches!(reply.rcode, Rcode::REFUSED | Rcode::NOTAUTH) && !reply.authenticity.is_believable()
}

/// Prints what `nsupdate` would have to be told.
fn print(server: &ServerAddress, update: &Update) -> Result<Fate<Failure>, Failure> {
    let host = server.address.map_or_else(|| server.host.clone(), |address| address.to_string());
    // Owner names are the server's business; nsupdate would refuse those that are no host names.
    let script = format!("server {host} {}\ncheck-names no\n{}", server.port, update.nsupdate_script());
    match io::stdout().lock().write_all(script.as_bytes()) {
        Ok(()) => Ok(Fate::Printed),
        Err(error) => Err(Failure::new(Cause::Internal, format!("standard output: {error}"))),
    }
}

impl From<&DiscoveryError> for Failure {
    fn from(error: &DiscoveryError) -> Self {
        Self::new(Cause::ServerUnreachable, super::failure::chain(error))
    }
}

impl From<&SourceError> for Failure {
    fn from(error: &SourceError) -> Self {
        Self::new(Cause::from(error), super::failure::chain(error))
    }
}

impl From<&ServerError> for Failure {
    fn from(error: &ServerError) -> Self {
        Self::new(Cause::from(&error.fault), super::failure::chain(error))
    }
}
