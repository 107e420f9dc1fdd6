//! Targets as ExternalDNS spells them, to RDATA and back. Typed encoders only: no zone-file lexer ever sees user text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;

use super::WireReader;
use super::{Name, NameError, Rdata, RecordType, WireError};

mod fields;
mod hex;
mod svcb;
mod text;

use fields::Fields;
pub use text::{is_heritage, joined};

/// How a domain name in a target is read; the planner's way maps international names to A-labels first.
pub type ReadName = fn(&str) -> Result<Name, NameError>;

/// Why a target cannot be written as its type.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TargetError {
    /// Neither an IPv4 nor an IPv6 address.
    #[error("{0:?} is no address")]
    NotAnAddress(String),
    /// An IPv6 address in an A record, or an IPv4 address in an AAAA record.
    #[error("{0} is an address of the other family")]
    OtherFamily(IpAddr),
    /// Too few or too many fields.
    #[error("{rtype} takes {expected} fields, found {found}")]
    FieldCount {
        /// Record type.
        rtype: RecordType,
        /// Fields of its presentation form.
        expected: usize,
        /// Fields in the target.
        found: usize,
    },
    /// A field that should be a number of this many bits.
    #[error("{text:?} is no number of {bits} bits")]
    NotANumber {
        /// The field.
        text: String,
        /// Bits that it may have.
        bits: u32,
    },
    /// A field that should be hexadecimal digits.
    #[error("{0:?} is not hexadecimal")]
    NotHex(String),
    /// A field that should be a name.
    #[error("{text:?} is no name: {source}")]
    BadName {
        /// The field.
        text: String,
        /// Why.
        source: NameError,
    },
    /// White space or a control character in a name.
    #[error("{0:?} is no name: it holds white space or a control character")]
    BlankInName(String),
    /// A quoted string that does not end, an incomplete escape, or more than 255 octets.
    #[error("a character-string is malformed")]
    BadString,
    /// A CAA tag takes ASCII letters and digits (RFC 8659 §4.1).
    #[error("{0:?} is no CAA tag")]
    BadTag(String),
    /// A service parameter that is unknown, twice there, or malformed (RFC 9460 §2.1).
    #[error("the service parameter {0:?} is malformed")]
    BadParameter(String),
    /// More octets than RDATA can have.
    #[error("the value has {0} octets, more than 65,535")]
    TooLong(usize),
    /// A type whose targets are not understood here.
    #[error("targets of type {0} are not supported")]
    Unsupported(RecordType),
}

/// Why RDATA has no presentation form here.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RdataError {
    /// The octets do not have the layout of the type.
    #[error("the RDATA is not of type {0}")]
    Malformed(RecordType),
    /// A type whose targets are not understood here.
    #[error("RDATA of type {0} is not supported")]
    Unsupported(RecordType),
}

/// Types that can be read and written.
pub const SUPPORTED: [RecordType; 15] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::CNAME,
    RecordType::DNAME,
    RecordType::TXT,
    RecordType::NS,
    RecordType::PTR,
    RecordType::MX,
    RecordType::SRV,
    RecordType::NAPTR,
    RecordType::CAA,
    RecordType::TLSA,
    RecordType::SSHFP,
    RecordType::SVCB,
    RecordType::HTTPS,
];

/// Reads one target of a type.
///
/// # Errors
/// When the text cannot be written as this type.
pub fn parse_target(rtype: RecordType, target: &str, read_name: ReadName) -> Result<Rdata, TargetError> {
    let mut fields = Fields::new(rtype, target, read_name);
    let wire = match rtype {
        RecordType::TXT => text::encode(&text::decode(target)),
        RecordType::A | RecordType::AAAA => address(rtype, target.trim())?,
        RecordType::CNAME | RecordType::DNAME | RecordType::NS | RecordType::PTR => fields.split(1)?.name()?.finish(),
        RecordType::MX => fields.split(2)?.u16()?.name()?.finish(),
        RecordType::SRV => fields.split(4)?.u16()?.u16()?.u16()?.name()?.finish(),
        RecordType::NAPTR => fields.split(6)?.u16()?.u16()?.string()?.string()?.string()?.name()?.finish(),
        RecordType::CAA => fields.split(3)?.u8()?.tag()?.rest_as_string()?.finish(),
        RecordType::TLSA => fields.split_up_to(4)?.u8()?.u8()?.u8()?.hex()?.finish(),
        RecordType::SSHFP => fields.split_up_to(3)?.u8()?.u8()?.hex()?.finish(),
        RecordType::SVCB | RecordType::HTTPS => svcb::parse(fields.split_up_to(3)?)?,
        _ => return Err(TargetError::Unsupported(rtype)),
    };
    if wire.len() > usize::from(u16::MAX) {
        return Err(TargetError::TooLong(wire.len()));
    }
    Ok(Rdata::from_wire(wire))
}

/// Writes RDATA in ExternalDNS's conventions: final dots kept for SRV and NAPTR (and SVCB), dropped elsewhere.
///
/// # Errors
/// When the octets are not of the type, or the type is not supported.
pub fn render_target(rtype: RecordType, rdata: &Rdata) -> Result<String, RdataError> {
    if !SUPPORTED.contains(&rtype) {
        return Err(RdataError::Unsupported(rtype));
    }
    let mut reader = WireReader::at(rdata.as_wire(), 0);
    render(rtype, &mut reader).ok().flatten().filter(|_| reader.remaining() == 0).ok_or(RdataError::Malformed(rtype))
}

/// None where the layout is right but a value in it is not.
fn render(rtype: RecordType, reader: &mut WireReader<'_>) -> Result<Option<String>, WireError> {
    let rendered = match rtype {
        RecordType::TXT => return text::render(reader),
        RecordType::A => Ipv4Addr::from(reader.array::<4>()?).to_string(),
        RecordType::AAAA => Ipv6Addr::from(reader.array::<16>()?).to_string(),
        RecordType::CNAME | RecordType::DNAME | RecordType::NS | RecordType::PTR => reader.name()?.to_undotted(),
        RecordType::MX => format!("{} {}", reader.u16()?, reader.name()?.to_undotted()),
        RecordType::SRV => format!("{} {} {} {}", reader.u16()?, reader.u16()?, reader.u16()?, reader.name()?),
        RecordType::NAPTR => {
            let (order, preference) = (reader.u16()?, reader.u16()?);
            let (flags, service, regexp) = (text::quoted(reader)?, text::quoted(reader)?, text::quoted(reader)?);
            format!("{order} {preference} {flags} {service} {regexp} {}", reader.name()?)
        }
        RecordType::CAA => {
            let (flags, length) = (reader.u8()?, reader.u8()?);
            let tag = reader.octets(usize::from(length))?;
            if tag.is_empty() || !tag.iter().all(u8::is_ascii_alphanumeric) {
                return Ok(None);
            }
            let value = reader.octets(reader.remaining())?;
            format!("{flags} {} {}", String::from_utf8_lossy(tag), text::quote(value))
        }
        RecordType::TLSA => {
            let numbers = reader.array::<3>()?;
            let [usage, selector, matching] = numbers;
            format!("{usage} {selector} {matching} {}", hex::render(reader.octets(reader.remaining())?))
        }
        RecordType::SSHFP => {
            let [algorithm, kind] = reader.array::<2>()?;
            format!("{algorithm} {kind} {}", hex::render(reader.octets(reader.remaining())?))
        }
        RecordType::SVCB | RecordType::HTTPS => return svcb::render(reader),
        _ => return Ok(None),
    };
    Ok(Some(rendered))
}

fn address(rtype: RecordType, target: &str) -> Result<Vec<u8>, TargetError> {
    let address = target.parse().map_err(|_| TargetError::NotAnAddress(target.to_owned()))?;
    match (rtype, address) {
        (RecordType::A, IpAddr::V4(address)) => Ok(address.octets().to_vec()),
        (RecordType::AAAA, IpAddr::V6(address)) => Ok(address.octets().to_vec()),
        _ => Err(TargetError::OtherFamily(address)),
    }
}

#[cfg(test)]
mod tests;
