//! One request and the many messages of its answer: a zone transfer (RFC 8945 §5.3.1).

use thiserror::Error;

use super::record::{Tsig, length, split};
use super::transaction::{Proof, check_time, difference, reported};
use super::{Flaw, Mac, MacInput, Transaction, Verified};
use crate::dns::{Message, WireError};

/// Most messages in a row that may be unsigned (RFC 8945 §5.3.1).
const MAX_UNSIGNED: usize = 99;

/// An answer of many messages that is being verified; each message is held back until a signature covers it.
#[derive(Debug)]
pub struct Stream {
    transaction: Transaction,
    /// MAC of the last signed message, none before the first.
    prior_mac: Option<Vec<u8>>,
    /// Digested messages since then, as received.
    pending: Vec<Vec<u8>>,
    mac_input: MacInput,
}

/// Why a message of a stream is not verified; no later one can be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StreamError<E> {
    /// The octets are no DNS message.
    #[error("the message cannot be read")]
    Wire(#[from] WireError),
    /// The message is not verified. An error answer of the server is here as well, with what it says.
    #[error("a message of the transfer is not verified")]
    Flaw {
        /// The message, which may come from anyone.
        message: Box<Message>,
        /// What is wrong with it.
        #[source]
        flaw: Flaw<E>,
    },
    /// More unsigned messages in a row than allowed.
    #[error("more than 99 messages in a row are not signed")]
    TooManyUnsigned,
    /// The last messages are not signed.
    #[error("the transfer ends with {0} messages that are not signed")]
    UnsignedEnd(usize),
}

impl Stream {
    pub(super) const fn new(transaction: Transaction) -> Self {
        Self { transaction, prior_mac: None, pending: Vec::new(), mac_input: MacInput::Standard }
    }

    /// Takes the next message, at `now` seconds since 1970, and gives all that are verified by it, in order.
    ///
    /// Each is given without its TSIG record. An unsigned message gives none: the next signed one brings it.
    ///
    /// # Errors
    /// When the message is no message, or does not verify.
    pub fn verify<M: Mac>(
        &mut self,
        mac: &mut M,
        octets: &[u8],
        now: u64,
    ) -> Result<Vec<Verified<Vec<u8>>>, StreamError<M::Error>> {
        let Some(prior_mac) = &self.prior_mac else {
            return self.verify_first(mac, octets, now);
        };
        let split = split(octets)?;
        self.pending.push(split.message);
        let Some(tsig) = split.tsig else {
            return if self.pending.len() > MAX_UNSIGNED { Err(StreamError::TooManyUnsigned) } else { Ok(Vec::new()) };
        };
        match self.judge(mac, prior_mac, &tsig, now) {
            Ok(()) => {
                let skew = difference(tsig.time_signed, now);
                Ok(self.release(tsig.mac, skew))
            }
            Err(flaw) => Err(flawed(self.pending.last().map_or(&[], Vec::as_slice), flaw)?),
        }
    }

    /// The digest is the prior MAC, all messages since, and the timers instead of all variables.
    fn judge<M: Mac>(&self, mac: &mut M, prior_mac: &[u8], tsig: &Tsig, now: u64) -> Result<(), Flaw<M::Error>> {
        self.transaction.check_key(mac, tsig)?;
        let mut digested = [&length(prior_mac)[..], prior_mac].concat();
        self.pending.iter().for_each(|message| digested.extend(message));
        digested.extend(tsig.timers());
        match mac.verify(&digested, &tsig.mac) {
            Err(cause) => Err(reported(tsig, now, false).unwrap_or(Flaw::Unverifiable(cause))),
            Ok(()) => reported(tsig, now, true).map_or_else(|| check_time(tsig, now), Err),
        }
    }

    /// The first message must be signed, and is digested like a lone answer.
    fn verify_first<M: Mac>(
        &mut self,
        mac: &mut M,
        octets: &[u8],
        now: u64,
    ) -> Result<Vec<Verified<Vec<u8>>>, StreamError<M::Error>> {
        let checked = self.transaction.check(mac, octets, now)?;
        match checked.verdict {
            Ok(Proof { mac_input, mac, skew }) => {
                self.mac_input = mac_input;
                self.pending.push(checked.message);
                Ok(self.release(mac, skew))
            }
            Err(flaw) => Err(flawed(&checked.message, flaw)?),
        }
    }

    fn release(&mut self, prior_mac: Vec<u8>, skew: i64) -> Vec<Verified<Vec<u8>>> {
        self.prior_mac = Some(prior_mac);
        let mac_input = self.mac_input;
        self.pending.drain(..).map(|inner| Verified { inner, mac_input, skew }).collect()
    }

    /// Ends the stream: its last message must have been signed.
    ///
    /// # Errors
    /// When messages are left that no signature covers.
    pub fn finish<E>(self) -> Result<(), StreamError<E>> {
        match self.pending.len() {
            0 => Ok(()),
            left => Err(StreamError::UnsignedEnd(left)),
        }
    }
}

fn flawed<E>(octets: &[u8], flaw: Flaw<E>) -> Result<StreamError<E>, WireError> {
    Ok(StreamError::Flaw { message: Box::new(Message::parse(octets)?), flaw })
}
