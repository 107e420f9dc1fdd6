//! Zone transfers: one request, and messages until the zone is whole.

use std::sync::Arc;

use tokio::task::yield_now;
use tracing::Instrument as _;

use super::super::clock;
use super::super::connection::Connection;
use super::super::error::{Fault, KeyError, Sent, ServerError};
use super::super::security::Key;
use super::super::trace;
use super::{FailedAttempt, Request, Session, Signed, id_of, random_id, refusal, sign};
use crate::dns::tsig::{Flaw, StreamError, Verified};
use crate::dns::{Progress, Rcode, Transfer, TransferError, Transferred};

/// A first message that has come, the connection that may bring more, and what verifies them.
struct Start {
    connection: Connection,
    octets: Vec<u8>,
    signed: Signed,
}

impl Session {
    /// Transfers a zone; `transfer` makes each attempt afresh from its message id.
    pub(in crate::nameserver) async fn transfer(
        self: &Arc<Self>,
        transfer: impl Fn(u16) -> Transfer,
        signed: bool,
    ) -> Result<Transferred, ServerError> {
        let span = trace::exchange(self.address(), &transfer(0).request());
        let outcome = self.transferred(transfer, signed).instrument(span.clone()).await;
        trace::ended(&span, outcome.as_ref().map(|_| Rcode::NOERROR));
        outcome
    }

    async fn transferred(
        self: &Arc<Self>,
        transfer: impl Fn(u16) -> Transfer,
        signed: bool,
    ) -> Result<Transferred, ServerError> {
        let (mut renegotiated, mut repeated) = (false, false);
        loop {
            let attempt = transfer(random_id());
            let request = Request { octets: &attempt.request(), signed, repeatable: true };
            let start = match self.start(&request).await {
                Ok(start) => start,
                Err((_, Fault::Send(_) | Fault::Closed | Fault::Receive(_))) if !repeated => {
                    repeated = true;
                    continue;
                }
                Err(failure) => return Err(self.error(failure)),
            };
            let key = start.signed.as_ref().map(|(key, _)| key.clone());
            match (self.receive_transfer(attempt, &request, start).await, key) {
                (Err(Fault::Rejected { error, .. }), Some(key)) if !renegotiated && self.forgets(&key, error) => {
                    renegotiated = true;
                }
                // The server may have closed the connection for reasons of its own, and goes on over another.
                (Err(Fault::Transfer(TransferError::CutOff { .. }) | Fault::Receive(_)), _) if !repeated => {
                    repeated = true;
                }
                (outcome, _) => return outcome.map_err(|fault| self.error((Sent::Answered, fault))),
            }
        }
    }

    /// Sends the request with a key that is good, and waits for the first message.
    async fn start(self: &Arc<Self>, request: &Request<'_>) -> Result<Start, FailedAttempt> {
        match self.start_once(request).await {
            Err(failure) if self.has_ended(&failure) => self.start_once(request).await,
            outcome => outcome,
        }
    }

    async fn start_once(self: &Arc<Self>, request: &Request<'_>) -> Result<Start, FailedAttempt> {
        let key = self.key_for(request).await?;
        let _order = match &key {
            Some(key) => key.alone().await,
            None => None,
        };
        self.start_with(request, key.clone()).await
    }

    /// Over the idle connection, or over a new one where that is gone.
    async fn start_with(&self, request: &Request<'_>, mut key: Option<Key>) -> Result<Start, FailedAttempt> {
        if let Some(idle) = self.lines.take_idle() {
            match begin(idle, request, key.as_mut()).await {
                // The server may have closed it in just this moment.
                Err((_, Fault::Send(_) | Fault::Closed | Fault::Receive(_))) => {}
                outcome => return outcome,
            }
        }
        let connection = self.lines.open().await.map_err(|fault| (Sent::Nothing, fault))?;
        begin(connection, request, key.as_mut()).await
    }

    /// Reads a transfer to its end; every message is verified before it is believed.
    async fn receive_transfer(
        &self,
        transfer: Transfer,
        request: &Request<'_>,
        start: Start,
    ) -> Result<Transferred, Fault> {
        let id = id_of(request.octets)?;
        let Start { mut connection, mut octets, signed } = start;
        let mut stream = signed.map(|(key, transaction)| (key, transaction.into_stream()));
        let (mut transfer, mut received) = (transfer, 0);
        loop {
            received += octets.len();
            trace::received(received);
            let messages = match &mut stream {
                None => vec![octets],
                Some((key, stream)) => {
                    let verified = stream.verify(key, &octets, clock::now());
                    let verified = verified.map_err(|error| unverified(key, error))?;
                    verified.into_iter().map(Verified::into_inner).collect()
                }
            };
            let mut progress = Progress::More(transfer);
            for message in messages {
                let Progress::More(waiting) = progress else { return Err(TransferError::Trailing.into()) };
                progress = waiting.answer(&message)?;
            }
            match progress {
                Progress::Done(outcome) => {
                    self.lines.put_back(connection);
                    return Ok(outcome);
                }
                Progress::More(waiting) => transfer = waiting,
            }
            // A message may be large, and the next one there already: others have their turn between two.
            yield_now().await;
            (connection, octets) = match connection.receive(id).await {
                Ok(next) => next,
                Err(Fault::Closed) => return Err(transfer.cut_off().into()),
                Err(fault) => return Err(fault),
            };
        }
    }
}

/// Signs and sends a request over a connection of its own, and receives the first message of its answer.
async fn begin(connection: Connection, request: &Request<'_>, key: Option<&mut Key>) -> Result<Start, FailedAttempt> {
    let unsent = |fault| (Sent::Nothing, fault);
    let id = id_of(request.octets).map_err(unsent)?;
    let (octets, signed) = sign(key, request.octets).map_err(unsent)?;
    trace::sent(octets.len());
    let connection = connection.send(&octets).await.map_err(unsent)?;
    let (connection, octets) = connection.receive(id).await.map_err(|fault| (Sent::Unknown, fault))?;
    Ok(Start { connection, octets, signed })
}

/// What a message that does not verify means: its code is a hint why nothing came, and its contents are worth nothing.
fn unverified(key: &Key, error: StreamError<KeyError>) -> Fault {
    match error {
        StreamError::Wire(error) => Fault::Malformed(error),
        StreamError::TooManyUnsigned | StreamError::UnsignedEnd(_) => Fault::SignatureGap,
        StreamError::Flaw { flaw: Flaw::Rejected { error, signed }, .. } => key.rejected(error, signed),
        StreamError::Flaw { message, flaw } => {
            refusal(&message).map_or(Fault::Unverified(flaw), |error| Fault::Transfer(error.into()))
        }
    }
}
