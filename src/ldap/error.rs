//! What can go wrong while the directory is read.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::ber::BerError;
use super::message::{LdapResult, code};
use crate::dial::DialError;
use crate::dns::{Name, RecordType, ServerAddress, ZoneName};
use crate::gss::{GssError, InitiateError};

/// A read that brought nothing.
#[derive(Debug, Clone, Error)]
pub struct LdapError {
    /// The directory server.
    pub server: ServerAddress,
    /// The zone it was about, where it was about one.
    pub zone: Option<ZoneName>,
    /// What went wrong.
    #[source]
    pub fault: LdapFault,
}

/// What went wrong.
#[derive(Debug, Clone, Error)]
pub enum LdapFault {
    /// No connection.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] Arc<io::Error>),
    /// The server closed the connection where an answer was due.
    #[error("the server closed the connection before the answer")]
    Closed,
    /// The server said that it closes the connection.
    #[error("the server closes the connection")]
    Disconnected(#[source] LdapResult),
    /// No answer in time.
    #[error("no answer within {0:?}")]
    Silent(Duration),
    /// The read took too long as a whole.
    #[error("the read took longer than {0:?}")]
    TooLong(Duration),
    /// Kerberos gives no credential or no service ticket, or no KDC answers.
    #[error(transparent)]
    Initiate(#[from] InitiateError),
    /// The server's token is refused.
    #[error("the server's token is refused")]
    Token(#[source] GssError),
    /// The two sides do not come to an end.
    #[error("the bind came to no end")]
    Stalled,
    /// The server refuses the bind.
    #[error("the server refuses the bind")]
    Bind(#[source] LdapResult),
    /// The server does not seal.
    #[error("the server offers no sealed connection (layers {0:#04x})")]
    NoSealing(u8),
    /// What was received is not what the server sealed, or not in its order.
    #[error("what was received is not the server's next message")]
    Unsealed(#[source] GssError),
    /// A message cannot be sealed.
    #[error("the request cannot be sealed")]
    Sealing(#[source] GssError),
    /// A frame that is larger than was agreed.
    #[error("a frame of {0} octets is larger than was agreed")]
    FrameTooLarge(u32),
    /// What was received is no message of LDAP.
    #[error("the answer cannot be read")]
    Malformed(#[from] BerError),
    /// The answer belongs to another request.
    #[error("the answer belongs to another request")]
    WrongAnswer,
    /// The server did not do the search.
    #[error("the search for {base} failed")]
    Search {
        /// Where it started.
        base: String,
        /// What the server said.
        #[source]
        outcome: LdapResult,
    },
    /// Pages that lead nowhere, or back.
    #[error("the pages of the search do not come to an end")]
    EndlessPages,
    /// More than a zone can be.
    #[error("the search brought more than {0} octets")]
    TooMuch(usize),
    /// The directory has no such zone, or does not show it to this account.
    #[error("no zone of this name in {}", .searched.join("; "))]
    NoZone {
        /// Where it was looked for.
        searched: Vec<String>,
    },
    /// A zone without its apex SOA is not all of the zone.
    #[error("what the account may see of the zone has no SOA at its apex")]
    NoSoa,
    /// A name that the directory does not show, though DNS has it.
    #[error("{name} has {rtype} records in DNS, and the account may not see its entry")]
    Hidden {
        /// The name.
        name: Name,
        /// What it has.
        rtype: RecordType,
    },
    /// A node that came twice.
    #[error("node {0} came twice")]
    Twice(String),
    /// The server does not tell what an LDAP server of a domain tells.
    #[error("the server does not tell its {0}: it is no domain controller")]
    NoDomain(&'static str),
}

impl LdapFault {
    /// Whether the server, or the way to it, is at fault and not what was asked.
    #[must_use]
    pub const fn is_transport(&self) -> bool {
        match self {
            Self::Dial(_)
            | Self::Broken(_)
            | Self::Closed
            | Self::Disconnected(_)
            | Self::Silent(_)
            | Self::TooLong(_)
            | Self::Unsealed(_)
            | Self::FrameTooLarge(_)
            | Self::Malformed(_)
            | Self::WrongAnswer
            | Self::EndlessPages => true,
            Self::Initiate(_)
            | Self::Token(_)
            | Self::Stalled
            | Self::Bind(_)
            | Self::NoSealing(_)
            | Self::Sealing(_)
            | Self::Search { .. }
            | Self::TooMuch(_)
            | Self::NoZone { .. }
            | Self::NoSoa
            | Self::Hidden { .. }
            | Self::Twice(_)
            | Self::NoDomain(_) => false,
        }
    }

    /// Whether there is no entry where a search was to start.
    #[must_use]
    pub const fn is_no_such_object(&self) -> bool {
        matches!(self, Self::Search { outcome: LdapResult { code: code::NO_SUCH_OBJECT, .. }, .. })
    }
}

impl fmt::Display for LdapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "directory server {}", self.server)?;
        match &self.zone {
            Some(zone) => write!(f, ", zone {zone}"),
            None => Ok(()),
        }
    }
}
