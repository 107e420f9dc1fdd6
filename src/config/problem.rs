//! What can be wrong with the settings, and what merely deserves a warning.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use super::files::Krb5Files;
use super::hosts::HostError;
use crate::dns::NameError;
use crate::kerberos::{PrincipalError, Realm, RealmError};

/// A variable that is wrong, and why.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{variable}: {fault}; {}", .fault.remedy())]
pub struct Problem {
    /// The variable's name.
    pub variable: String,
    /// What is wrong with it.
    pub fault: VariableError,
}

/// What is wrong with a variable. Never holds the text of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VariableError {
    /// Unset, and there is no default.
    #[error("is not set")]
    Missing {
        /// What to set it to.
        example: &'static str,
    },
    /// Not of the right form.
    #[error("{found:?} is not understood")]
    Malformed {
        /// The text as given.
        found: String,
        /// What is.
        expected: &'static str,
    },
    /// An entry of a list that is no name.
    #[error("{found:?} is not a domain name: {reason}")]
    BadName {
        /// The text as given.
        found: String,
        /// Why not.
        reason: NameError,
    },
    /// An entry of `RFC2136_HOST` that is no server.
    #[error("{found:?}: {reason}")]
    Host {
        /// The entry as given.
        found: String,
        /// Why not.
        reason: HostError,
    },
    /// No server of the directory.
    #[error("{found:?}: {reason}")]
    LdapHost {
        /// The text as given.
        found: String,
        /// Why not.
        reason: HostError,
    },
    /// Reading over LDAP binds with Kerberos.
    #[error("LDAP takes Kerberos, and RFC2136_GSS_TSIG is not set")]
    LdapWithoutKerberos,
    /// No realm.
    #[error("{0}")]
    Realm(RealmError),
    /// No principal of the realm.
    #[error("{0}")]
    Principal(PrincipalError),
    /// None of several of which exactly one is needed.
    #[error("none of {} is set", .0.join(", "))]
    NoneOf(&'static [&'static str]),
    /// More than one of several that exclude each other.
    #[error("{} exclude each other", .0.join(", "))]
    Exclusive(Vec<&'static str>),
    /// Needs another variable.
    #[error("is set without {0}")]
    Without(&'static str),
    /// No variable of this program.
    #[error("is not a known setting")]
    Unknown {
        /// The name spelled most like it.
        nearest: Option<&'static str>,
    },
    /// Nobody refreshes what he does not see.
    #[error("records are refreshed as they stand in DNS, and RFC2136_READ=none reads none")]
    KeepAliveUnread,
    /// Octets that are no UTF-8.
    #[error("is not UTF-8")]
    NotUnicode,
    /// It, an entry of it, or what its file holds is in quotes.
    #[error("has a value in quotes, and they would count as part of it")]
    Quoted,
    /// A TSIG secret that is no base64.
    #[error("the secret is not base64")]
    NotBase64,
    /// A secret file that cannot be read at start.
    #[error("{} cannot be read: {kind}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        kind: io::ErrorKind,
    },
    /// The API has no authentication, so it stays on loopback.
    #[error("{0} is not a loopback address, and the webhook has no authentication")]
    NotLoopback(std::net::SocketAddr),
    /// No exchange could ever run into its timeout.
    #[error("{deadline:?} is not longer than RFC2136_TIMEOUT, {timeout:?}")]
    DeadlineTooShort {
        /// The webhook's deadline.
        deadline: Duration,
        /// One exchange.
        timeout: Duration,
    },
}

impl VariableError {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Missing { example } => format!("set it to {example}"),
            Self::Malformed { expected, .. } => format!("give {expected}"),
            Self::BadName { .. } => "give names such as example.com, separated by commas".to_owned(),
            Self::Host { reason, .. } => reason.remedy().to_owned(),
            Self::LdapHost { .. } => "give one domain controller as fqdn, fqdn@address or fqdn@address:port".to_owned(),
            Self::LdapWithoutKerberos => "set RFC2136_GSS_TSIG=true, or RFC2136_READ=transfer".to_owned(),
            Self::Realm(_) => "give the Kerberos realm alone, such as EXAMPLE.COM".to_owned(),
            Self::Principal(_) => "give the user alone, such as external-dns, or user@REALM of that realm".to_owned(),
            Self::NoneOf(names) => format!("set one of {}", names.join(", ")),
            Self::Exclusive(_) => "keep one of them".to_owned(),
            Self::Without(other) => format!("set {other} too, or unset this"),
            Self::Unknown { nearest: Some(name) } => format!("did you mean {name}?"),
            Self::Unknown { nearest: None } => "unset it; --help lists every setting".to_owned(),
            Self::KeepAliveUnread => "set RFC2136_KEEP_ALIVE=off, or RFC2136_READ=auto".to_owned(),
            Self::Quoted => {
                "remove the quotes; where the file or shell needs some, they go around the whole NAME=value".to_owned()
            }
            Self::NotUnicode => "give it as UTF-8 text".to_owned(),
            Self::NotBase64 => "give it as in the server's key file, in base64".to_owned(),
            Self::Unreadable { .. } => "mount the file, readable for this user".to_owned(),
            Self::NotLoopback(_) => {
                "use 127.0.0.1 or [::1], or set WEBHOOK_ALLOW_REMOTE=true where something else keeps strangers out"
                    .to_owned()
            }
            Self::DeadlineTooShort { .. } => "raise WEBHOOK_DEADLINE or lower RFC2136_TIMEOUT".to_owned(),
        }
    }
}

/// Everything that is wrong with the settings, in the order of the table.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct Problems(pub Vec<Problem>);

/// One problem per line.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

/// What does not stop the start, but should be known.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Warning {
    /// Kubernetes made it for a Service.
    #[error("{0} is a Kubernetes service link and is ignored; set enableServiceLinks: false to be rid of it")]
    ServiceLink(String),
    /// A name of the in-tree provider.
    #[error("{name} is retired and has no effect; use {instead}")]
    Retired {
        /// The name.
        name: &'static str,
        /// What replaces it.
        instead: &'static str,
    },
    /// Upper-cased, or a trailing dot removed.
    #[error("RFC2136_KERBEROS_REALM: {given:?} was read as {realm}")]
    RealmRewritten {
        /// The text as given.
        given: String,
        /// The realm.
        realm: Realm,
    },
    /// Set, but nothing reads it.
    #[error("{name} has no effect without {needs}")]
    NoEffect {
        /// The variable.
        name: &'static str,
        /// What would give it one.
        needs: &'static str,
    },
    /// `KRB5_CONFIG` is used instead.
    #[error("RFC2136_KERBEROS_KDC has no effect, because KRB5_CONFIG is set")]
    KdcOverridden,
    /// ExternalDNS may leave before the answer.
    #[error("WEBHOOK_DEADLINE: {0:?} is not below the 15s that ExternalDNS waits unless told otherwise")]
    DeadlineLong(Duration),
    /// TLS to the port of plain DNS.
    #[error("RFC2136_USE_TLS goes to port 53; set RFC2136_PORT=853 where the server listens there")]
    TlsOnPlainPort,
    /// A file that may be mounted later.
    #[error("{variable}: {} cannot be read now: {kind}", .path.display())]
    FileUnreadable {
        /// The variable that names it.
        variable: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        kind: io::ErrorKind,
    },
    /// The user's own krb5.conf does not fit the realm.
    #[error("KRB5_CONFIG: {files}: {objection}")]
    Krb5Conf {
        /// The file or files.
        files: Krb5Files,
        /// What does not fit.
        objection: String,
    },
}
