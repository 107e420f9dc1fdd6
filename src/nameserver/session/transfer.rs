//! Zone transfers: one request, and messages until the zone is whole.

use std::sync::Arc;

use super::super::clock;
use super::super::error::{Fault, Sent, ServerError};
use super::super::security::{Key, KeyError};
use super::{Arrival, Request, Session, id_of, random_id, refusal};
use crate::dns::tsig::{Flaw, StreamError, Verified};
use crate::dns::{Outcome, Progress, Transfer, TransferError};

impl Session {
    /// Transfers a zone; `transfer` makes each attempt afresh from its message id.
    pub(in crate::nameserver) async fn transfer(
        self: &Arc<Self>,
        transfer: impl Fn(u16) -> Transfer,
        signed: bool,
    ) -> Result<Outcome, ServerError> {
        let mut renegotiated = false;
        loop {
            let attempt = transfer(random_id());
            let request = Request { octets: &attempt.request(), signed, repeatable: true };
            let arrival = self.begin(&request).await.map_err(|failure| self.error(failure))?;
            let key = arrival.signed.as_ref().map(|(key, _)| key.clone());
            match (self.receive_transfer(attempt, &request, arrival).await, key) {
                (Err(Fault::Rejected { error, .. }), Some(key)) if !renegotiated && self.forgets(&key, error) => {
                    renegotiated = true;
                }
                (outcome, _) => return outcome.map_err(|fault| self.error((Sent::Answered, fault))),
            }
        }
    }

    /// Reads a transfer to its end; every message is verified before it is believed.
    async fn receive_transfer(
        &self,
        transfer: Transfer,
        request: &Request<'_>,
        arrival: Arrival,
    ) -> Result<Outcome, Fault> {
        let id = id_of(request.octets)?;
        let Arrival { mut connection, mut octets, signed } = arrival;
        let mut stream = signed.map(|(key, transaction)| (key, transaction.into_stream()));
        let mut transfer = transfer;
        loop {
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
                    self.put_back(connection);
                    return Ok(outcome);
                }
                Progress::More(waiting) => transfer = waiting,
            }
            (connection, octets) = match connection.receive(id).await {
                Ok(next) => next,
                Err(Fault::Closed) => return Err(transfer.cut_off().into()),
                Err(fault) => return Err(fault),
            };
        }
    }
}

/// What a message that does not verify means: its code is a hint why nothing came, and its contents are worth nothing.
fn unverified(key: &Key, error: StreamError<KeyError>) -> Fault {
    match error {
        StreamError::Wire(error) => Fault::Malformed(error),
        StreamError::TooManyUnsigned | StreamError::UnsignedEnd(_) => Fault::SignatureGap,
        StreamError::Flaw { flaw: Flaw::Rejected { error, signed }, .. } => {
            Fault::Rejected { key: key.name().clone(), error, signed }
        }
        StreamError::Flaw { message, flaw } => {
            refusal(&message).map_or(Fault::Unverified(flaw), |error| Fault::Transfer(error.into()))
        }
    }
}
