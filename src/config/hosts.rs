//! Entries of `RFC2136_HOST` and `RFC2136_KERBEROS_KDC`.

use std::net::{IpAddr, Ipv6Addr};

use thiserror::Error;

use crate::dns::{Name, ServerAddress, ServerSource};

/// Why an entry names no server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HostError {
    /// An IPv6 address whose end cannot be told from a port.
    #[error("an IPv6 address needs brackets")]
    Unbracketed,
    /// Neither a name of letters, digits, `-` and `_`, nor an address.
    #[error("neither a host name nor an address")]
    BadHost,
    /// What follows the `@` is no address.
    #[error("what follows the @ is not an address")]
    BadAddress,
    /// No number from 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    BadPort,
    /// A Kerberos target needs a name.
    #[error("a Kerberos target needs a name, not an address")]
    AddressAlone,
}

impl HostError {
    pub(super) fn remedy(self) -> &'static str {
        match self {
            Self::Unbracketed => "write it as [2001:db8::1] or [2001:db8::1]:53",
            Self::BadHost => "give fqdn, fqdn@address or fqdn@address:port, or srv:domain",
            Self::BadAddress => "give fqdn@10.0.0.5 or fqdn@[2001:db8::1]",
            Self::BadPort => "give a port such as :53, or none",
            Self::AddressAlone => "give the server's name too, as fqdn@address",
        }
    }
}

/// Reads `fqdn[@address][:port]`, `address[:port]` or `srv:domain`.
pub(super) fn server(entry: &str, port: u16, gss: bool) -> Result<ServerSource, HostError> {
    if let Some(domain) = entry.strip_prefix("srv:") {
        return Ok(ServerSource::Srv(host_name(domain)?));
    }
    let (name, rest) = match entry.split_once('@') {
        Some((name, rest)) => (Some(host_name(name)?), rest),
        None => (None, entry),
    };
    let (host, given) = split_port(rest)?;
    let port = given.unwrap_or(port);
    let address = ip(host);
    let server = match (name, address) {
        (Some(host), Some(address)) => ServerAddress { host, address: Some(address), port },
        (Some(_), None) => return Err(HostError::BadAddress),
        (None, Some(_)) if gss => return Err(HostError::AddressAlone),
        (None, Some(address)) => ServerAddress { host: address.to_string(), address: None, port },
        (None, None) => ServerAddress { host: host_name(host)?, address: None, port },
    };
    Ok(ServerSource::Server(server))
}

/// Checks `host[:port]` of a KDC; what passes is safe to write into a krb5.conf.
pub(super) fn kdc(entry: &str) -> Result<String, HostError> {
    let (host, _) = split_port(entry)?;
    if ip(host).is_none() {
        host_name(host)?;
    }
    Ok(entry.to_owned())
}

/// Host and port; the brackets of an IPv6 address stay.
fn split_port(text: &str) -> Result<(&str, Option<u16>), HostError> {
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err(HostError::Unbracketed);
    }
    let after_brackets = text.find(']').unwrap_or(0);
    let Some(colon) = text.get(after_brackets..).and_then(|rest| rest.find(':')) else { return Ok((text, None)) };
    let (host, port) = text.split_at_checked(after_brackets + colon).ok_or(HostError::BadHost)?;
    let digits = port.strip_prefix(':').filter(|port| port.bytes().all(|octet| octet.is_ascii_digit()));
    let number = digits.and_then(|port| port.parse().ok()).filter(|&port: &u16| port != 0);
    Ok((host, Some(number.ok_or(HostError::BadPort)?)))
}

fn ip(text: &str) -> Option<IpAddr> {
    match text.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => text.parse().ok(),
    }
}

/// A host name in lower case without trailing dot.
fn host_name(text: &str) -> Result<String, HostError> {
    let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.');
    let name = text.parse::<Name>().ok().filter(|name| !name.is_root() && text.bytes().all(is_plain));
    // An all-numeric last label is a mistyped address, never a name.
    let is_numeric = |label: &str| label.bytes().all(|octet| octet.is_ascii_digit());
    let name = name.ok_or(HostError::BadHost)?.to_undotted();
    match name.rsplit('.').next() {
        Some(last) if is_numeric(last) => Err(HostError::BadHost),
        _ => Ok(name),
    }
}
