//! Transaction signatures over raw octets: what was sent and what was received, never a re-encoding (RFC 8945, RFC 3645).
//!
//! Signing gives the octets to send together with the only value that can verify the answer. No answer is worth
//! anything before [`Transaction::verify`] or [`Stream::verify`] has made a [`Verified`] message of it.

use std::fmt;

use thiserror::Error;

use super::message::{Message, Rcode};
use super::{Name, WireError};

mod hmac;
mod record;
mod stream;
mod transaction;

pub use hmac::{BadMac, HmacAlgorithm, HmacKey};
pub use record::unsigned;
pub use stream::{Stream, StreamError};
pub use transaction::Transaction;

/// How far the clocks of both sides may differ, in seconds (RFC 8945 §10).
pub const FUDGE: u16 = 300;

/// What makes and checks message authentication codes: a shared secret or a security context.
pub trait Mac {
    /// Why a code could not be made, or does not verify.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The algorithm's name, as requests carry it.
    fn algorithm(&self) -> &Name;

    /// Whether answers may carry this algorithm's name.
    fn accepts(&self, algorithm: &Name) -> bool {
        self.algorithm() == algorithm
    }

    /// Makes the code of these octets.
    ///
    /// # Errors
    /// When the key is not usable, or no longer.
    fn sign(&mut self, octets: &[u8]) -> Result<Vec<u8>, Self::Error>;

    /// Checks the code of these octets.
    ///
    /// # Errors
    /// When the code is not the other side's for these octets.
    fn verify(&mut self, octets: &[u8], mac: &[u8]) -> Result<(), Self::Error>;
}

/// Something that was proved to come from the holder of the key, in answer to what was asked.
///
/// Only this module makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T> {
    inner: T,
    mac_input: MacInput,
    skew: i64,
}

impl<T> Verified<T> {
    /// What was proved.
    #[must_use]
    pub const fn get(&self) -> &T {
        &self.inner
    }

    /// What was proved, without the proof.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.inner
    }

    /// The signer's clock minus ours, in seconds.
    #[must_use]
    pub const fn skew(&self) -> i64 {
        self.skew
    }

    /// How the answer was tied to its request.
    #[must_use]
    pub const fn mac_input(&self) -> MacInput {
        self.mac_input
    }
}

/// What the MAC of a verified answer covers, and so ties it to its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MacInput {
    /// The request's MAC, its length in front (RFC 8945 §4.3.1).
    Standard,
    /// The request's MAC without its length, as Samba's internal DNS server does; just as authentic.
    Samba,
}

impl fmt::Display for MacInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Standard => "they cover the request's MAC with its length (RFC 8945)",
            Self::Samba => "they cover the request's MAC without its length, as Samba's internal DNS signs",
        })
    }
}

/// An answer, and what its signature is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<E> {
    /// It comes from the holder of the key.
    Verified(Verified<Message>),
    /// It may come from anyone.
    Unverified(Message, Flaw<E>),
}

/// Why an answer is not verified.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Flaw<E> {
    /// The request's own MAC came back; Windows DNS does this.
    #[error("the answer carries the request's own MAC")]
    Echoed,
    /// There is no TSIG record.
    #[error("the answer is not signed")]
    Unsigned,
    /// The answer is signed with something else than the request.
    #[error("the answer is signed with key {key} and algorithm {algorithm}")]
    OtherKey {
        /// Key name.
        key: Name,
        /// Algorithm name.
        algorithm: Name,
    },
    /// The MAC is not the one of this answer.
    #[error("the answer's MAC does not verify")]
    Unverifiable(#[source] E),
    /// The MAC is good, but the answer was signed at another time.
    #[error("the answer was signed {skew} seconds away from our clock")]
    OutOfTime {
        /// The server's clock minus ours, in seconds.
        skew: i64,
    },
    /// The server did not accept the request's signature.
    #[error("the server does not accept the signature: {error}")]
    Rejected {
        /// What the server says.
        error: TsigError,
        /// Whether that is proved; otherwise it is a hint, which anyone can have sent.
        signed: bool,
    },
}

/// The error that a server reports in a TSIG record (RFC 8945 §5.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum TsigError {
    /// The MAC is wrong.
    #[error("BADSIG")]
    BadSig,
    /// The server does not know the key or the algorithm, or no longer.
    #[error("BADKEY")]
    BadKey,
    /// The clocks differ too much.
    #[error("BADTIME{}", skew_in_words(*.skew))]
    BadTime {
        /// The server's clock minus ours in seconds, where it tells.
        skew: Option<i64>,
    },
    /// The MAC is shorter than the server's policy allows.
    #[error("BADTRUNC")]
    BadTrunc,
    /// A code that RFC 8945 does not know.
    #[error("{0}")]
    Other(Rcode),
}

fn skew_in_words(skew: Option<i64>) -> String {
    let direction = |skew: i64| if skew < 0 { "behind" } else { "ahead of" };
    skew.map(|skew| format!(": its clock is {} seconds {} ours", skew.unsigned_abs(), direction(skew)))
        .unwrap_or_default()
}

/// Why a message was not signed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignError<E> {
    /// The key is not usable, or no longer.
    #[error("the message cannot be signed")]
    Mac(#[source] E),
    /// There is no room for a TSIG record.
    #[error("the message has no room for its signature")]
    TooLarge,
    /// What is to be signed is no message.
    #[error("the octets to sign are no DNS message")]
    Wire(#[from] WireError),
}

/// Signs a message, at `now` seconds since 1970.
///
/// Gives the octets to send, and what verifies the answer to them.
///
/// # Errors
/// When the key is not usable or the message has no room.
pub fn sign<M: Mac>(
    mac: &mut M,
    key: &Name,
    message: &[u8],
    now: u64,
) -> Result<(Vec<u8>, Transaction), SignError<M::Error>> {
    let id = super::WireReader::at(message, 0).u16()?;
    let mut tsig = record::Tsig::new(key.clone(), mac.algorithm().clone(), now, id);
    tsig.mac = mac.sign(&[message, &tsig.variables()].concat()).map_err(SignError::Mac)?;
    let octets = tsig.append(message).ok_or(SignError::TooLarge)?;
    Ok((octets, Transaction::new(key.clone(), tsig.mac)))
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
