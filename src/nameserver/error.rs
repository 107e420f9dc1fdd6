//! What can go wrong between a request and its answer.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::dns::tkey::{TkeyError, TokenTooLarge};
use crate::dns::tsig::{BadMac, Flaw, TsigError};
use crate::dns::{EncodeError, Name, ReplyError, ServerAddress, TransferError, WireError, ZoneName};
use crate::gss::GssError;

/// A request that has no usable answer.
#[derive(Debug, Clone, Error)]
pub struct ServerError {
    /// The server it was meant for.
    pub server: ServerAddress,
    /// The zone it was about, where it was about one.
    pub zone: Option<ZoneName>,
    /// How far the request came.
    pub sent: Sent,
    /// What went wrong.
    #[source]
    pub fault: Fault,
}

/// How far a request came: what decides whether it may have had an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sent {
    /// The server has not got it.
    Nothing,
    /// The server may have got it, and may have done what it asks: the outcome is unknown.
    Unknown,
    /// The server has answered it.
    Answered,
}

/// What went wrong.
#[derive(Debug, Clone, Error)]
pub enum Fault {
    /// The server's name has no address.
    #[error("the server's name cannot be resolved")]
    Resolve(#[source] Arc<io::Error>),
    /// No connection.
    #[error("no connection")]
    Connect(#[source] Arc<io::Error>),
    /// No connection in time.
    #[error("no connection within {0:?}")]
    ConnectTimeout(Duration),
    /// No TLS session: the server's certificate is not trusted, or it speaks no TLS.
    #[error("no TLS session")]
    Tls(#[source] Arc<io::Error>),
    /// The connection broke while sending.
    #[error("the request could not be sent")]
    Send(#[source] Arc<io::Error>),
    /// The connection broke while an answer was due.
    #[error("the connection broke before the answer")]
    Receive(#[source] Arc<io::Error>),
    /// The server closed the connection where an answer was due.
    #[error("the server closed the connection before the answer")]
    Closed,
    /// No answer in time.
    #[error("no answer within {0:?}")]
    Silent(Duration),
    /// The answer belongs to another request.
    #[error("the answer belongs to another request")]
    WrongAnswer,
    /// The answer is no DNS message.
    #[error("the answer cannot be read")]
    Malformed(#[from] WireError),
    /// Kerberos gives no credential or no service ticket, or the server's token is refused.
    #[error("Kerberos gives no security context")]
    Kerberos(#[source] GssError),
    /// Kerberos is still waiting for a KDC.
    #[error("no KDC answered within {0:?}")]
    KdcSilent(Duration),
    /// The Kerberos library broke off, or the two sides do not come to an end.
    #[error("the negotiation of a security context came to no end")]
    Stalled,
    /// The token fits no message.
    #[error("the key request cannot be sent")]
    Token(#[from] TokenTooLarge),
    /// The server refuses the security context.
    #[error("no security context")]
    Tkey(#[source] TkeyError),
    /// The message cannot be encoded.
    #[error("the update cannot be encoded")]
    Encode(#[source] Arc<EncodeError>),
    /// The message cannot be signed.
    #[error("the request cannot be signed with key {key}")]
    Sign {
        /// Key name.
        key: Name,
        /// Why.
        #[source]
        cause: KeyError,
    },
    /// The message has no room for its signature.
    #[error("the request has no room for its signature")]
    NoRoom,
    /// The server does not accept the request's signature, also with a new security context.
    #[error("the server rejects key {key}: {error}")]
    Rejected {
        /// Key name.
        key: Name,
        /// Whether it is a shared key, and no security context.
        shared: bool,
        /// What the server says; BADTIME comes with the clocks' difference.
        #[source]
        error: TsigError,
        /// Whether that is proved; otherwise it is a hint.
        signed: bool,
    },
    /// The answer claims success, but nothing proves that it is the server's.
    #[error("the answer is not verified")]
    Unverified(#[source] Flaw<KeyError>),
    /// A transfer is not signed as RFC 8945 §5.3.1 wants it.
    #[error("the transfer leaves too many messages unsigned")]
    SignatureGap,
    /// The server does not answer the question.
    #[error("the query failed")]
    Reply(#[from] ReplyError),
    /// The transfer came to no good end.
    #[error("the transfer failed")]
    Transfer(#[from] TransferError),
}

/// Why something is not signed, or does not verify.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyError {
    /// With a shared key.
    #[error(transparent)]
    Hmac(#[from] BadMac),
    /// With a security context.
    #[error(transparent)]
    Gss(#[from] GssError),
}

impl ServerError {
    /// Whether another server may do better: this one, or the way to it, is at fault and not the request.
    #[must_use]
    pub const fn is_transport(&self) -> bool {
        self.fault.is_transport()
    }

    /// Whether the server was silent for the whole timeout; it is not asked again within the same request.
    #[must_use]
    pub const fn is_timeout(&self) -> bool {
        matches!(self.fault, Fault::Silent(_) | Fault::ConnectTimeout(_))
    }

    /// Whether the server closed the connection before it answered, which need not mean that it is dead
    /// (RFC 7766 §6.2.4).
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.fault, Fault::Closed | Fault::Receive(_))
    }

    /// Names the zone the request was about.
    #[must_use]
    pub(super) fn about(self, zone: &ZoneName) -> Self {
        Self { zone: Some(zone.clone()), ..self }
    }
}

impl Fault {
    /// Whether the server, or the way to it, is at fault and not what was asked.
    #[must_use]
    pub const fn is_transport(&self) -> bool {
        match self {
            Self::Resolve(_)
            | Self::Connect(_)
            | Self::ConnectTimeout(_)
            | Self::Tls(_)
            | Self::Send(_)
            | Self::Receive(_)
            | Self::Closed
            | Self::Silent(_)
            | Self::WrongAnswer
            | Self::Malformed(_)
            | Self::Transfer(TransferError::CutOff { .. } | TransferError::Wire(_)) => true,
            Self::Kerberos(_)
            | Self::KdcSilent(_)
            | Self::Stalled
            | Self::Token(_)
            | Self::Tkey(_)
            | Self::Encode(_)
            | Self::Sign { .. }
            | Self::NoRoom
            | Self::Rejected { .. }
            | Self::Unverified(_)
            | Self::SignatureGap
            | Self::Reply(_)
            | Self::Transfer(_) => false,
        }
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "name server {}", self.server)?;
        if let Some(zone) = &self.zone {
            write!(f, ", zone {zone}")?;
        }
        if self.sent == Sent::Unknown {
            f.write_str(", outcome unknown")?;
        }
        Ok(())
    }
}
