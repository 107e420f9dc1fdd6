//! The real authority: a pool of name servers and the copies of their zones.

use std::sync::Arc;

use tokio::time::Instant;

use super::authority::{Authority, Outcome};
use super::{Cause, Failure};
use crate::config::ReadMode;
use crate::dns::{Rcode, Update, ZoneContents, ZoneName};
use crate::nameserver::{Authenticity, Pin, Pool, Sent, Server, ServerError, ServerStatus, UpdateReply};
use crate::zone_copy::{ReadError, ZoneCopies, ZoneCopy};

/// Name servers with what is known of their zones.
#[derive(Debug)]
pub struct Servers {
    pool: Pool,
    copies: ZoneCopies<Server>,
    read: ReadMode,
}

impl Servers {
    /// These servers, nothing known yet.
    #[must_use]
    pub fn new(pool: Pool, read: ReadMode) -> Self {
        Self { pool, copies: ZoneCopies::new(), read }
    }

    /// What is known of each server.
    #[must_use]
    pub fn status(&self) -> Vec<ServerStatus> {
        self.pool.status()
    }

    /// The copy of a zone on the server in use.
    #[must_use]
    pub fn current_copy(&self, zone: &ZoneName) -> Option<(String, ZoneCopy)> {
        let status = self.pool.status();
        let in_use = status.iter().find(|server| server.in_use)?;
        Some((in_use.address.to_string(), self.copies.get(zone, &in_use.address)?))
    }

    /// Deletes the security contexts and closes the connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

impl Authority for Servers {
    type Pin = Pin;

    async fn pin_for_read(&self) -> Result<Pin, Failure> {
        self.pool.advance().await.map_err(|error| undiscovered(&error))
    }

    async fn pin_for_write(&self) -> Result<Pin, Failure> {
        self.pool.pin().await.map_err(|error| undiscovered(&error))
    }

    fn server(&self, pin: &Pin) -> String {
        pin.server().address().to_string()
    }

    async fn read(&self, pin: &mut Pin, zone: &ZoneName, deadline: Instant) -> Result<Arc<ZoneContents>, Failure> {
        if self.read == ReadMode::None {
            return Err(Failure::new(Cause::TransferRefused, format!("zone {zone}: RFC2136_READ=none reads no zone")));
        }
        loop {
            match self.copies.read_anew(zone, &Arc::new(pin.server().clone()), deadline).await {
                Ok(copy) => {
                    pin.succeeded();
                    return Ok(copy.contents);
                }
                Err(ReadError::Source(error)) if pin.fail_over(&error) => {}
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

    fn copy(&self, pin: &Pin, zone: &ZoneName) -> Option<Arc<ZoneContents>> {
        self.copies.get(zone, pin.server().address()).map(|copy| copy.contents)
    }

    fn remember(&self, pin: &Pin, update: &Update) {
        self.copies.apply(pin.server().address(), update);
    }

    fn doubt(&self, pin: &Pin, zone: &ZoneName) {
        self.copies.invalidate(zone, pin.server().address());
    }

    async fn update(&self, pin: &mut Pin, update: &Update) -> Outcome {
        loop {
            match pin.server().update(update).await {
                Ok(reply) => {
                    pin.succeeded();
                    return judge(&reply, &update.zone, pin.server());
                }
                Err(error) => {
                    let failure = Failure::from(&error);
                    if error.sent == Sent::Unknown {
                        self.copies.invalidate(&update.zone, pin.server().address());
                    }
                    match (pin.fail_over(&error), error.sent) {
                        (true, Sent::Nothing) => {}
                        (true, Sent::Unknown | Sent::Answered) => return Outcome::Unknown(failure),
                        (false, _) => return Outcome::Stopped(failure),
                    }
                }
            }
        }
    }
}

/// What an answer to an update means.
fn judge(reply: &UpdateReply, zone: &ZoneName, server: &Server) -> Outcome {
    let found = |cause| Failure::new(cause, format!("name server {}, zone {zone}: {}", server.address(), reply.rcode));
    let denied = |cause, maybe_applied| Outcome::Denied { failure: found(cause), maybe_applied };
    match (reply.rcode, &reply.authenticity) {
        (Rcode::NOERROR, Authenticity::Unverified(flaw)) => Outcome::Unverified(Failure::new(
            Cause::UnverifiedReply,
            format!("name server {}, zone {zone}: {flaw}", server.address()),
        )),
        (Rcode::NOERROR, Authenticity::Verified(_) | Authenticity::NotAsked) => Outcome::Applied,
        (Rcode::NXDOMAIN | Rcode::YXDOMAIN | Rcode::NXRRSET | Rcode::YXRRSET, _) => {
            Outcome::PrerequisiteFailed(found(Cause::PrerequisiteFailed))
        }
        (Rcode::REFUSED, _) => denied(Cause::RefusedByPolicy, false),
        (Rcode::NOTIMP, _) => denied(Cause::RecordTypeNotSupported, false),
        (Rcode::NOTAUTH, _) => Outcome::ZoneUnusable(found(Cause::NotAuthoritative)),
        _ => denied(Cause::ServerFailed, true),
    }
}

fn undiscovered(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::new(Cause::ServerUnreachable, super::failure::chain(error))
}

impl From<&ServerError> for Failure {
    fn from(error: &ServerError) -> Self {
        Self::new(Cause::from(&error.fault), super::failure::chain(error))
    }
}
