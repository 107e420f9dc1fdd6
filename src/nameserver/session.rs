//! What is kept between requests to one server: its connections and a security context.
//!
//! Every attempt is signed afresh. Requests that are dropped half-way leave gaps in the context's sequence, which do not
//! matter.

use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tracing::{Instrument as _, Span, info_span};

use super::clock;
use super::error::{Fault, KeyError, Sent, ServerError};
use super::lines::{Lines, Lost};
use super::negotiation::{Negotiation, Step};
use super::security::{Authentication, Context, Gss, Key, gss_tsig};
use super::tls::Tls;
use super::trace;
use crate::dns::WireReader;
use crate::dns::tkey::{Mode, TkeyError, TkeyQuery};
use crate::dns::tsig::{self, Answer, Flaw, MacInput, SignError, Transaction, TsigError};
use crate::dns::{Message, Name, Rcode, ReplyError, ServerAddress};

mod transfer;

/// A request is repeated this often at most, where the server closes the connections that it was sent over. Each time
/// another one was answered there, so that this is more than there are in flight.
const MAX_REPEATS: usize = 16;
/// Longest wait for a server to delete a security context, since shutting down must not take long.
const MAX_FAREWELL: Duration = Duration::from_secs(1);
/// Time between two attempts to renew a security context that is still good.
const RENEWAL_PAUSE: Duration = Duration::from_secs(10);

/// What all servers have in common.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Longest wait for one step: connecting, the KDC, an answer, or the next message of a transfer.
    pub timeout: Duration,
    /// What messages are signed with.
    pub authentication: Authentication,
    /// DNS over TLS, where wanted.
    pub tls: Option<Tls>,
    /// Whether queries and transfers are signed and verified; updates always are.
    pub sign_reads: bool,
}

/// A request in the unsigned form that each attempt starts from.
pub(super) struct Request<'a> {
    pub(super) octets: &'a [u8],
    pub(super) signed: bool,
    /// Whether it does no harm when the server gets it twice.
    pub(super) repeatable: bool,
}

/// An answer, and what proves it: nothing where nothing was signed.
pub(super) struct Reply {
    pub(super) message: Message,
    pub(super) proof: Option<Result<MacInput, Flaw<KeyError>>>,
    /// Whether the server may have got the request before, and answered it then.
    pub(super) repeated: bool,
}

/// The answer to a request as it came.
struct SignedAnswer {
    octets: Vec<u8>,
    signed: Signed,
    repeated: bool,
}

/// What a request was signed with, and what verifies its answer; nothing where it was not signed.
type Signed = Option<(Key, Transaction)>;

/// A failed attempt.
type FailedAttempt = (Sent, Fault);

/// Connection and security context of one server.
pub(super) struct Session {
    lines: Arc<Lines>,
    context: Mutex<Option<Arc<Context>>>,
    negotiating: tokio::sync::Mutex<()>,
    renewing: AtomicBool,
    negotiations: AtomicU64,
    failed_negotiations: AtomicU64,
    clock_skew: Mutex<Option<i64>>,
    /// How answers are tied to their requests, once that was told.
    mac_input: Mutex<Option<MacInput>>,
    /// When a security context was last asked after because of a refusal that nothing proves.
    pub(super) asked_after: tokio::sync::Mutex<Option<Instant>>,
}

impl Session {
    pub(super) fn new(address: ServerAddress, settings: Arc<Settings>) -> Self {
        Self {
            lines: Arc::new(Lines::new(address, settings)),
            context: Mutex::new(None),
            negotiating: tokio::sync::Mutex::new(()),
            renewing: AtomicBool::new(false),
            negotiations: AtomicU64::new(0),
            failed_negotiations: AtomicU64::new(0),
            clock_skew: Mutex::new(None),
            mac_input: Mutex::new(None),
            asked_after: tokio::sync::Mutex::new(None),
        }
    }

    pub(super) fn address(&self) -> &ServerAddress {
        self.lines.address()
    }

    pub(super) fn settings(&self) -> &Settings {
        self.lines.settings()
    }

    /// Security contexts negotiated so far.
    pub(super) fn negotiations(&self) -> u64 {
        self.negotiations.load(Ordering::Relaxed)
    }

    /// Negotiations that failed so far.
    pub(super) fn failed_negotiations(&self) -> u64 {
        self.failed_negotiations.load(Ordering::Relaxed)
    }

    /// The server's clock minus ours in seconds, as the last signed answer told it.
    pub(super) fn clock_skew(&self) -> Option<i64> {
        *lock(&self.clock_skew)
    }

    /// Time that the security context has left, while there is one.
    pub(super) fn context_remaining(&self) -> Option<Duration> {
        self.current().map(|context| context.remaining())
    }

    /// Sends a request and receives its one answer.
    pub(super) async fn exchange(self: &Arc<Self>, request: &Request<'_>) -> Result<Reply, ServerError> {
        let span = trace::exchange(self.address(), request.octets);
        let outcome = self.verified(request).instrument(span.clone()).await;
        trace::ended(&span, outcome.as_ref().map(|reply| reply.message.rcode()));
        outcome
    }

    /// An answer with what it is worth; asked again under another context where the server has lost the one in use.
    async fn verified(self: &Arc<Self>, request: &Request<'_>) -> Result<Reply, ServerError> {
        let mut renegotiated = false;
        loop {
            let SignedAnswer { octets, signed, repeated } =
                self.ask(request).await.map_err(|failure| self.error(failure))?;
            let answered = |fault| self.error((Sent::Answered, fault));
            let unread = |error| self.error((Sent::Unknown, Fault::Malformed(error)));
            let Some((mut key, transaction)) = signed else {
                return Ok(Reply { message: Message::parse(&octets).map_err(unread)?, proof: None, repeated });
            };
            match transaction.verify(&mut key, &octets, clock::now()).map_err(unread)? {
                Answer::Verified(verified) => {
                    *lock(&self.clock_skew) = Some(verified.skew());
                    let mac_input = verified.mac_input();
                    self.tell_mac_input(mac_input);
                    return Ok(Reply { message: verified.into_inner(), proof: Some(Ok(mac_input)), repeated });
                }
                Answer::Unverified(_, Flaw::Rejected { error, .. }) if !renegotiated && self.forgets(&key, error) => {
                    renegotiated = true;
                }
                Answer::Unverified(_, Flaw::Rejected { error, signed }) => {
                    if let TsigError::BadTime { skew: Some(skew) } = error {
                        *lock(&self.clock_skew) = Some(skew);
                    }
                    return Err(answered(key.rejected(error, signed)));
                }
                Answer::Unverified(message, flaw) => return Ok(Reply { message, proof: Some(Err(flaw)), repeated }),
            }
        }
    }

    /// Makes sure that there is a security context, where one is needed; tells what is left of its life.
    pub(super) async fn authenticate(self: &Arc<Self>) -> Result<Option<Duration>, ServerError> {
        self.key().await.map_err(|fault| self.error((Sent::Nothing, fault)))?;
        Ok(self.context_remaining())
    }

    /// How the server signs its answers, once one has verified.
    pub(super) fn mac_input(&self) -> Option<MacInput> {
        *lock(&self.mac_input)
    }

    /// The name of the context in use.
    pub(super) fn context_name(&self) -> Option<Name> {
        self.current().map(|context| context.name.clone())
    }

    /// Has the next request negotiate anew, unless that was done meanwhile.
    pub(super) fn drop_context(&self, name: &Name) {
        let mut context = lock(&self.context);
        if context.as_ref().is_some_and(|context| context.name == *name) {
            *context = None;
        }
    }

    /// Says how the server signs, when that is known and when it changes.
    fn tell_mac_input(&self, mac_input: MacInput) {
        if lock(&self.mac_input).replace(mac_input) != Some(mac_input) {
            tracing::info!(server = %self.address(), "signed answers verify: {mac_input}");
        }
    }

    /// Tells the server to delete the security context, and closes the connection.
    pub(super) async fn close(&self) {
        if let Some(context) = self.current() {
            let limit = MAX_FAREWELL.min(self.settings().timeout);
            // It is a courtesy: the server forgets the context by itself in the end.
            if !matches!(timeout(limit, self.delete(context)).await, Ok(Ok(_))) {
                tracing::debug!(server = %self.address(), "the security context was not deleted");
            }
        }
        *lock(&self.context) = None;
        self.lines.close();
    }

    /// Asks the server to delete a security context (RFC 2930 §4.2).
    async fn delete(&self, context: Arc<Context>) -> Result<SignedAnswer, FailedAttempt> {
        let query = TkeyQuery { key: &context.name, algorithm: gss_tsig(), mode: Mode::Delete, key_data: &[] };
        let octets = query.encode(random_id(), clock::now()).map_err(|error| (Sent::Nothing, error.into()))?;
        let request = Request { octets: &octets, signed: true, repeatable: false };
        self.attempt(&request, Some(Key::Gss(context))).await
    }

    /// Sends a request with a key that is good, and waits for its answer.
    async fn ask(self: &Arc<Self>, request: &Request<'_>) -> Result<SignedAnswer, FailedAttempt> {
        match self.ask_once(request).await {
            Err(failure) if self.has_ended(&failure) => self.ask_once(request).await,
            outcome => outcome,
        }
    }

    async fn ask_once(self: &Arc<Self>, request: &Request<'_>) -> Result<SignedAnswer, FailedAttempt> {
        let key = self.key_for(request).await?;
        let _order = match &key {
            Some(key) => key.in_order().await,
            None => None,
        };
        self.attempt(request, key.clone()).await
    }

    /// One request, signed with this key; over a new connection where the server has closed the one in use.
    async fn attempt(&self, request: &Request<'_>, key: Option<Key>) -> Result<SignedAnswer, FailedAttempt> {
        let id = id_of(request.octets).map_err(|fault| (Sent::Nothing, fault))?;
        let mut losses = 0;
        loop {
            let signed = Arc::new(Mutex::new(None));
            let (mut key, message, kept) = (key.clone(), request.octets.to_vec(), Arc::clone(&signed));
            let span = Span::current();
            let sign = move || {
                let (octets, signed) = sign(key.as_mut(), &message)?;
                span.in_scope(|| trace::sent(octets.len()));
                *lock(&kept) = signed;
                Ok(octets)
            };
            match self.lines.ask(id, sign).await {
                Ok(octets) => {
                    trace::received(octets.len());
                    let signed = lock(&signed).take();
                    return Ok(SignedAnswer { octets, signed, repeated: losses > 0 });
                }
                // A few connections without an answer are the end, so that this comes to one.
                Err(Lost { sent: Sent::Nothing, closed: true, .. }) => {}
                Err(Lost { closed: true, .. }) if request.repeatable && losses < MAX_REPEATS => losses += 1,
                Err(Lost { sent, fault, .. }) => return Err((if losses > 0 { Sent::Unknown } else { sent }, fault)),
            }
        }
    }

    /// What a request is to be signed with, if at all.
    async fn key_for(self: &Arc<Self>, request: &Request<'_>) -> Result<Option<Key>, FailedAttempt> {
        if request.signed { self.key().await.map_err(|fault| (Sent::Nothing, fault)) } else { Ok(None) }
    }

    /// Whether an attempt failed because the security context has expired or is broken, before anything was sent; it
    /// is dropped then.
    fn has_ended(&self, failure: &FailedAttempt) -> bool {
        let (_, Fault::Sign { key, cause: KeyError::Gss(cause) }) = failure else { return false };
        tracing::info!(server = %self.address(), %key, %cause, "the security context has ended");
        *lock(&self.context) = None;
        true
    }

    /// What requests are signed with now; negotiates where there is nothing yet.
    async fn key(self: &Arc<Self>) -> Result<Option<Key>, Fault> {
        match &self.settings().authentication {
            Authentication::Insecure => Ok(None),
            Authentication::Hmac { name, key } => Ok(Some(Key::Hmac { name: name.clone(), key: key.clone() })),
            Authentication::Gss(gss) => self.established(gss).await.map(|context| Some(Key::Gss(context))),
        }
    }

    async fn established(self: &Arc<Self>, gss: &Gss) -> Result<Arc<Context>, Fault> {
        if let Some(context) = self.current() {
            if context.is_due() {
                self.renew(gss);
            }
            return Ok(context);
        }
        let limit = self.settings().timeout;
        let _turn = timeout(limit, self.negotiating.lock()).await.map_err(|_| Fault::KdcSilent(limit))?;
        match self.current() {
            Some(context) => Ok(context),
            None => self.negotiate(gss).await,
        }
    }

    async fn negotiate(&self, gss: &Gss) -> Result<Arc<Context>, Fault> {
        let span = info_span!("negotiation", server = %self.address());
        let outcome = self.negotiate_once(gss).instrument(span).await;
        let counter = if outcome.is_ok() { &self.negotiations } else { &self.failed_negotiations };
        counter.fetch_add(1, Ordering::Relaxed);
        outcome
    }

    /// Negotiates a context over a connection of its own, which becomes the idle one.
    async fn negotiate_once(&self, gss: &Gss) -> Result<Arc<Context>, Fault> {
        let target = gss.target(&self.address().host);
        let mut negotiation = Negotiation::start(gss, target, self.settings().timeout).await?;
        let mut connection = self.lines.open().await?;
        loop {
            let id = random_id();
            let request = negotiation.request(id, clock::now())?;
            let (open, answer) = connection.send(&request).await?.receive(id).await?;
            connection = open;
            match negotiation.answer(&answer, clock::now()).inspect_err(|fault| forget_tickets(gss, fault))? {
                Step::Ask(next) => negotiation = next,
                Step::Established(context) => {
                    let context = Arc::new(context);
                    tracing::info!(server = %self.address(), key = %context.name, lifetime = ?context.lifetime,
                        "security context established");
                    *lock(&self.context) = Some(context.clone());
                    self.lines.put_back(connection);
                    return Ok(context);
                }
            }
        }
    }

    /// Negotiates the next context in the background; the present one stays in use until that stands.
    fn renew(self: &Arc<Self>, gss: &Gss) {
        if self.renewing.swap(true, Ordering::AcqRel) {
            return;
        }
        let (session, gss) = (self.clone(), gss.clone());
        tokio::spawn(async move {
            if let Err(fault) = session.negotiate(&gss).await {
                tracing::warn!(server = %session.address(), error = &fault as &dyn Error, "the security context could not be renewed yet");
                sleep(RENEWAL_PAUSE).await;
            }
            session.renewing.store(false, Ordering::Release);
        });
    }

    /// Drops the context that the server does not accept; false where a new one would not help.
    ///
    /// BADSIG counts too: a context that has fallen out of step with the server's never gets into it again.
    fn forgets(&self, key: &Key, error: TsigError) -> bool {
        let Key::Gss(rejected) = key else { return false };
        if !matches!(error, TsigError::BadKey | TsigError::BadSig) {
            return false;
        }
        tracing::info!(server = %self.address(), key = %rejected.name, %error, "the server has lost the security context");
        let mut context = lock(&self.context);
        if context.as_ref().is_some_and(|current| Arc::ptr_eq(current, rejected)) {
            *context = None;
        }
        true
    }

    fn current(&self) -> Option<Arc<Context>> {
        lock(&self.context).clone().filter(|context| !context.remaining().is_zero())
    }

    fn error(&self, (sent, fault): FailedAttempt) -> ServerError {
        ServerError { server: self.address().clone(), zone: None, sent, fault }
    }
}

/// A server that has got new keys refuses tickets made for the old ones, for as long as they live: get fresh ones.
fn forget_tickets(gss: &Gss, fault: &Fault) {
    if matches!(fault, Fault::Tkey(TkeyError::Refused(Rcode::BADKEY))) {
        gss.initiator.forget_tickets();
    }
}

fn sign(key: Option<&mut Key>, message: &[u8]) -> Result<(Vec<u8>, Signed), Fault> {
    let Some(key) = key else { return Ok((message.to_vec(), None)) };
    let name = key.name().clone();
    let (octets, transaction) = tsig::sign(key, &name, message, clock::now()).map_err(|error| match error {
        SignError::Mac(cause) => Fault::Sign { key: name, cause },
        SignError::TooLarge => Fault::NoRoom,
        SignError::Wire(error) => Fault::Malformed(error),
    })?;
    Ok((octets, Some((key.clone(), transaction))))
}

/// The failure that a reply's code tells, if it does.
pub(super) fn refusal(message: &Message) -> Option<ReplyError> {
    match message.rcode() {
        Rcode::NOERROR | Rcode::NXDOMAIN => None,
        Rcode::REFUSED => Some(ReplyError::Refused),
        Rcode::NOTAUTH => Some(ReplyError::NotAuthoritative),
        other => Some(ReplyError::Failed(other)),
    }
}

/// A message id; unpredictable, since it also tells answers apart.
pub(super) fn random_id() -> u16 {
    rand::random()
}

fn id_of(octets: &[u8]) -> Result<u16, Fault> {
    Ok(WireReader::at(octets, 0).u16()?)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
