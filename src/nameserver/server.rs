//! What can be asked of an authoritative server.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::error::{Fault, KeyError, Sent, ServerError};
use super::session::{Reply, Request, Session, Settings, random_id, refusal};
use crate::dns::tsig::{Flaw, MacInput};
use crate::dns::{
    Message, Name, Opcode, Query, Rcode, RecordType, ReplyError, Rrset, ServerAddress, Soa, Transfer, Transferred,
    Update, ZoneContents, ZoneName,
};

/// An authoritative server, with its connection and security context. Clones share both.
#[derive(Clone)]
pub struct Server {
    session: Arc<Session>,
}

/// Time between two questions whether a server has lost a security context.
const ASKED_AFTER_PAUSE: Duration = if cfg!(test) { Duration::from_millis(100) } else { Duration::from_secs(60) };

/// How a server answered an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateReply {
    /// The response code.
    pub rcode: Rcode,
    /// What it is worth.
    pub authenticity: Authenticity,
    /// Whether the server may have got the update before, over a connection that it closed without an answer: then a
    /// prerequisite may have failed because of what the update itself has done.
    pub repeated: bool,
}

/// What an answer is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authenticity {
    /// It comes from the holder of the key.
    Verified(MacInput),
    /// It may come from anyone: NOERROR is to be decided by reading back, another code is a hint.
    Unverified(Flaw<KeyError>),
    /// Messages are neither signed nor verified here, by configuration.
    NotAsked,
}

impl Authenticity {
    /// Whether the answer may be believed.
    #[must_use]
    pub const fn is_believable(&self) -> bool {
        !matches!(self, Self::Unverified(_))
    }
}

impl Server {
    /// A server at this address; nothing is sent yet.
    #[must_use]
    pub fn new(address: ServerAddress, settings: Arc<Settings>) -> Self {
        Self { session: Arc::new(Session::new(address, settings)) }
    }

    /// Where it is, as configured or discovered.
    #[must_use]
    pub fn address(&self) -> &ServerAddress {
        self.session.address()
    }

    /// Time that the security context has left, while there is one.
    #[must_use]
    pub fn context_remaining(&self) -> Option<Duration> {
        self.session.context_remaining()
    }

    /// Security contexts negotiated so far.
    #[must_use]
    pub fn negotiations(&self) -> u64 {
        self.session.negotiations()
    }

    /// Negotiations that failed so far.
    #[must_use]
    pub fn failed_negotiations(&self) -> u64 {
        self.session.failed_negotiations()
    }

    /// The server's clock minus ours in seconds, as the last signed answer told it.
    #[must_use]
    pub fn clock_skew(&self) -> Option<i64> {
        self.session.clock_skew()
    }

    /// How the server signs its answers, once one has verified.
    #[must_use]
    pub fn mac_input(&self) -> Option<MacInput> {
        self.session.mac_input()
    }

    /// The zone's SOA record, from which its serial.
    ///
    /// # Errors
    /// When the server does not answer, is not authoritative, or the answer does not verify.
    pub async fn soa(&self, zone: &ZoneName) -> Result<Soa, ServerError> {
        let query = Query::soa(zone);
        let read = async {
            query.soa_answer(&self.read(&query, self.sign_reads()).await?).map_err(|error| self.unanswered(error))
        };
        read.await.map_err(|error| error.about(zone))
    }

    /// The RRset of this name and type; none when there is none. A wildcard may have answered for the name.
    ///
    /// It tells what became of an update, and so is signed and verified as updates are.
    ///
    /// # Errors
    /// When the server does not answer, is not authoritative, or the answer does not verify.
    pub async fn query(&self, name: &Name, rtype: RecordType) -> Result<Option<Rrset>, ServerError> {
        let query = Query::new(name.clone(), rtype);
        query.answer(&self.read(&query, true).await?).map_err(|error| self.unanswered(error))
    }

    /// The whole zone by AXFR, every message verified.
    ///
    /// # Errors
    /// When it does not come whole, or does not verify.
    pub async fn transfer(&self, zone: &ZoneName) -> Result<ZoneContents, ServerError> {
        let transfer = |id| Transfer::whole(zone.clone(), id);
        match self.session.transfer(transfer, self.sign_reads()).await {
            Ok(Transferred::Whole(contents) | Transferred::Updated(contents)) => Ok(contents),
            Ok(Transferred::Unchanged) => Err(self.unanswered(ReplyError::WrongQuestion).about(zone)),
            Err(error) => Err(error.about(zone)),
        }
    }

    /// The zone by its differences to what is held (IXFR), every message verified; the server may send it whole.
    ///
    /// # Errors
    /// When it does not come whole, does not verify, or the differences do not fit.
    pub async fn transfer_since(&self, held: Arc<ZoneContents>) -> Result<Transferred, ServerError> {
        let transfer = |id| Transfer::incremental(held.clone(), id);
        self.session.transfer(transfer, self.sign_reads()).await.map_err(|error| error.about(held.zone()))
    }

    /// Sends an update and tells how the server answered, whatever the code.
    ///
    /// # Errors
    /// When there is no answer, or the server does not accept the signature. [`ServerError::sent`] tells whether the
    /// update may have been applied all the same.
    pub async fn update(&self, update: &Update) -> Result<UpdateReply, ServerError> {
        self.send_update(update).await.map_err(|error| error.about(&update.zone))
    }

    async fn send_update(&self, update: &Update) -> Result<UpdateReply, ServerError> {
        let encoded = update.encode(random_id());
        let octets = encoded.map_err(|error| self.error(Sent::Nothing, Fault::Encode(Arc::new(error))))?;
        // Where prerequisites guard it, a second time does nothing.
        let repeatable = update.operations.is_empty() || !update.prerequisites.is_empty();
        let request = Request { octets: &octets, signed: true, repeatable };
        let Reply { message, proof, repeated } = self.session.exchange(&request).await?;
        if message.opcode() != Opcode::UPDATE {
            return Err(self.error(Sent::Unknown, Fault::WrongAnswer));
        }
        let authenticity = match proof {
            None => Authenticity::NotAsked,
            Some(Ok(mac_input)) => Authenticity::Verified(mac_input),
            Some(Err(flaw)) => Authenticity::Unverified(flaw),
        };
        Ok(UpdateReply { rcode: message.rcode(), authenticity, repeated })
    }

    /// The name of the security context in use.
    #[must_use]
    pub fn context(&self) -> Option<Name> {
        self.session.context_name()
    }

    /// Whether a refusal that nothing proves came of this security context, which the server has lost: then the next
    /// request has another one.
    ///
    /// Samba's internal DNS (4.22) sends an update under a context that it does not know back as it came, with REFUSED,
    /// as Windows is reported to do with a true refusal. A signed query tells them apart.
    pub async fn has_lost(&self, context: &Name, zone: &ZoneName) -> bool {
        let mut asked_after = self.session.asked_after.lock().await;
        if self.context().as_ref() != Some(context) {
            return true;
        }
        // Where a server refuses much and proves nothing, this is not to cost a context each time.
        if asked_after.is_some_and(|at| at.elapsed() < ASKED_AFTER_PAUSE) {
            return false;
        }
        *asked_after = Some(Instant::now());
        match self.read(&Query::soa(zone), true).await {
            Ok(_) => self.context().as_ref() != Some(context),
            Err(error) => {
                tracing::info!(server = %self.address(), key = %context, error = &error as &dyn Error,
                    "a refusal and what follows it are not signed: the security context is negotiated anew");
                self.session.drop_context(context);
                true
            }
        }
    }

    /// Whether the server answers at all; any answer will do.
    ///
    /// # Errors
    /// When it does not.
    pub async fn probe(&self) -> Result<(), ServerError> {
        let octets = Query::new(Name::root(), RecordType::SOA).encode(random_id());
        let request = Request { octets: &octets, signed: false, repeatable: true };
        self.session.exchange(&request).await.map(|_| ())
    }

    /// Negotiates a security context, where Kerberos is used and there is none yet; tells how long it lives.
    ///
    /// # Errors
    /// When Kerberos or the server refuses.
    pub async fn authenticate(&self) -> Result<Option<Duration>, ServerError> {
        self.session.authenticate().await
    }

    /// Deletes the security context on the server and closes the connection, within a second.
    pub async fn close(&self) {
        self.session.close().await;
    }

    /// The answer to a query, verified where it is signed.
    async fn read(&self, query: &Query, signed: bool) -> Result<Message, ServerError> {
        let id = random_id();
        let octets = query.encode(id);
        let request = Request { octets: &octets, signed, repeatable: true };
        let Reply { message, proof, .. } = self.session.exchange(&request).await?;
        if let Some(Err(flaw)) = proof {
            let fault = refusal(&message).map_or(Fault::Unverified(flaw), Fault::Reply);
            return Err(self.error(Sent::Answered, fault));
        }
        query.check(id, &message).map_err(|error| self.unanswered(error))?;
        Ok(message)
    }

    fn sign_reads(&self) -> bool {
        self.session.settings().sign_reads
    }

    fn unanswered(&self, error: ReplyError) -> ServerError {
        self.error(Sent::Answered, Fault::Reply(error))
    }

    fn error(&self, sent: Sent, fault: Fault) -> ServerError {
        ServerError { server: self.address().clone(), zone: None, sent, fault }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({})", self.address())
    }
}
