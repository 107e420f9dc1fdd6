//! What is known about an authoritative server beforehand: where it is, and what kind it is.

use std::fmt;
use std::net::IpAddr;

use super::RecordType;

/// One entry of `RFC2136_HOST`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ServerSource {
    /// A server given by name or address.
    Server(ServerAddress),
    /// Domain controllers found by SRV records of this domain.
    Srv(String),
}

/// A name server: the name that Kerberos and TLS know it by, and where it is dialled.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerAddress {
    /// FQDN in lower case without trailing dot, or the literal address where that is all there is.
    pub host: String,
    /// Dialled instead of resolving `host`.
    pub address: Option<IpAddr>,
    /// TCP port.
    pub port: u16,
}

/// As configured: `fqdn[@address]:port`.
impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.address, self.host.contains(':')) {
            (Some(IpAddr::V6(address)), _) => write!(f, "{}@[{address}]:{}", self.host, self.port),
            (Some(IpAddr::V4(address)), _) => write!(f, "{}@{address}:{}", self.host, self.port),
            (None, true) => write!(f, "[{}]:{}", self.host, self.port),
            (None, false) => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// What kind of server it is; decides which types it holds and how large a message may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum ServerProfile {
    /// Unknown: careful everywhere.
    #[default]
    Auto,
    /// BIND, FreeIPA and other servers without peculiar limits.
    Bind,
    /// Samba AD, either DNS back end.
    Samba,
    /// Windows DNS.
    Windows,
}

impl ServerProfile {
    /// Most octets that a message of several groups may have, its TSIG included.
    #[must_use]
    pub const fn message_octets(self) -> usize {
        match self {
            Self::Bind => 48 * 1024,
            Self::Auto | Self::Samba | Self::Windows => 15 * 1024,
        }
    }

    /// Most octets that a message of one group that cannot be split may have, its TSIG included.
    #[must_use]
    pub const fn group_octets(self) -> usize {
        match self {
            Self::Auto | Self::Bind => 64_000,
            Self::Samba | Self::Windows => 15 * 1024,
        }
    }

    /// Whether such a server may hold the type: Samba's internal DNS answers NOTIMP to others, its BIND9_DLZ SERVFAIL.
    #[must_use]
    pub const fn holds(self, rtype: RecordType) -> bool {
        match self {
            Self::Auto | Self::Bind => true,
            Self::Samba => matches!(
                rtype,
                RecordType::A
                    | RecordType::AAAA
                    | RecordType::CNAME
                    | RecordType::TXT
                    | RecordType::NS
                    | RecordType::PTR
                    | RecordType::MX
                    | RecordType::SRV
            ),
            Self::Windows => {
                !matches!(rtype, RecordType::CAA | RecordType::SSHFP | RecordType::SVCB | RecordType::HTTPS)
            }
        }
    }
}
