//! Dynamic updates: what must hold, and what is to change (RFC 2136).

use std::fmt::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::ProtoError;
use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{self, DNSClass, RData, rdata::NULL};
use thiserror::Error;

use super::message::HEADER_OCTETS;
use super::{Name, Rdata, RecordType, Rrset, Ttl, ZoneContents, ZoneName};

/// Octets of a record beside its name and RDATA: type, class, TTL, RDLENGTH.
const RECORD_OCTETS: usize = 10;
/// Octets of a zone section beside its name: type and class.
const QUESTION_OCTETS: usize = 4;

/// A condition that the zone must meet, or nothing is changed (RFC 2136 §2.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prerequisite {
    /// The name has records of some type (RFC 2136 §2.4.4).
    NameInUse(Name),
    /// The name has no records (RFC 2136 §2.4.5).
    NameNotInUse(Name),
    /// The RRset exists, whatever it holds (RFC 2136 §2.4.1).
    RrsetExists {
        /// Owner name.
        name: Name,
        /// Record type.
        rtype: RecordType,
    },
    /// The RRset does not exist (RFC 2136 §2.4.3).
    RrsetDoesNotExist {
        /// Owner name.
        name: Name,
        /// Record type.
        rtype: RecordType,
    },
    /// The RRset holds exactly these records, their TTL aside (RFC 2136 §2.4.2).
    RrsetEquals(Rrset),
}

/// A change of one record, or the end of an RRset. There is none that deletes a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Adds a record to its RRset (RFC 2136 §2.5.1).
    Add {
        /// Owner name.
        name: Name,
        /// Record type.
        rtype: RecordType,
        /// Time to live; servers give it to the whole RRset.
        ttl: Ttl,
        /// RDATA.
        rdata: Rdata,
    },
    /// Deletes the record that has this RDATA (RFC 2136 §2.5.4).
    Delete {
        /// Owner name.
        name: Name,
        /// Record type.
        rtype: RecordType,
        /// RDATA.
        rdata: Rdata,
    },
    /// Deletes the RRset, whatever it holds (RFC 2136 §2.5.2).
    DeleteRrset {
        /// Owner name.
        name: Name,
        /// Record type.
        rtype: RecordType,
    },
}

/// One update: applied whole or not at all (RFC 2136 §3.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The zone to change.
    pub zone: ZoneName,
    /// What must hold.
    pub prerequisites: Vec<Prerequisite>,
    /// What is done then, in this order.
    pub operations: Vec<Operation>,
}

/// Why an update is no message.
#[derive(Debug, Error)]
pub enum EncodeError {
    /// More than a DNS message can hold; nothing of it may be sent.
    #[error("the message does not fit 65,535 octets ({records} records, about {octets} octets)")]
    TooLarge {
        /// Records it should have held.
        records: usize,
        /// Its estimated size.
        octets: usize,
    },
    /// The codec refused it.
    #[error("the message cannot be encoded")]
    Codec(#[from] ProtoError),
}

impl Prerequisite {
    /// Number of records it takes in a message.
    #[must_use]
    pub fn records(&self) -> usize {
        match self {
            Self::RrsetEquals(rrset) => rrset.rdata().len(),
            _ => 1,
        }
    }

    /// Upper bound of the octets it takes in a message.
    #[must_use]
    pub fn octets(&self) -> usize {
        match self {
            Self::NameInUse(name)
            | Self::NameNotInUse(name)
            | Self::RrsetExists { name, .. }
            | Self::RrsetDoesNotExist { name, .. } => record_octets(name, &[]),
            Self::RrsetEquals(rrset) => {
                rrset.rdata().iter().map(|rdata| record_octets(rrset.name(), rdata.as_wire())).sum()
            }
        }
    }

    fn encode(&self) -> Result<Vec<rr::Record>, ProtoError> {
        let one = |name, rtype, class| record(name, rtype, class, Ttl::ZERO, None).map(|record| vec![record]);
        match self {
            Self::NameInUse(name) => one(name, RecordType::ANY, DNSClass::ANY),
            Self::NameNotInUse(name) => one(name, RecordType::ANY, DNSClass::NONE),
            Self::RrsetExists { name, rtype } => one(name, *rtype, DNSClass::ANY),
            Self::RrsetDoesNotExist { name, rtype } => one(name, *rtype, DNSClass::NONE),
            Self::RrsetEquals(rrset) => rrset
                .rdata()
                .iter()
                .map(|rdata| record(rrset.name(), rrset.rtype(), DNSClass::IN, Ttl::ZERO, Some(rdata)))
                .collect(),
        }
    }
}

impl Operation {
    /// Owner name.
    #[must_use]
    pub const fn name(&self) -> &Name {
        let (Self::Add { name, .. } | Self::Delete { name, .. } | Self::DeleteRrset { name, .. }) = self;
        name
    }

    /// Record type.
    #[must_use]
    pub const fn rtype(&self) -> RecordType {
        let (Self::Add { rtype, .. } | Self::Delete { rtype, .. } | Self::DeleteRrset { rtype, .. }) = self;
        *rtype
    }

    /// Upper bound of the octets it takes in a message.
    #[must_use]
    pub fn octets(&self) -> usize {
        match self {
            Self::Add { name, rdata, .. } | Self::Delete { name, rdata, .. } => record_octets(name, rdata.as_wire()),
            Self::DeleteRrset { name, .. } => record_octets(name, &[]),
        }
    }

    /// Does to a copy of the zone what it does to the zone; an added record gives its TTL to the whole RRset.
    pub fn apply_to(&self, contents: &mut ZoneContents) {
        match self {
            Self::Add { name, rtype, ttl, rdata } => {
                let held = contents.rrset(name, *rtype).map(|rrset| rrset.rdata.to_vec()).unwrap_or_default();
                let all = held.into_iter().chain([rdata.clone()]).collect();
                if let Some(rrset) = Rrset::new(name.clone(), *rtype, *ttl, all) {
                    contents.replace(&rrset);
                }
            }
            Self::Delete { name, rtype, rdata } => contents.remove(name, *rtype, rdata),
            Self::DeleteRrset { name, rtype } => contents.remove_rrset(name, *rtype),
        }
    }

    fn encode(&self) -> Result<rr::Record, ProtoError> {
        match self {
            Self::Add { name, rtype, ttl, rdata } => record(name, *rtype, DNSClass::IN, *ttl, Some(rdata)),
            Self::Delete { name, rtype, rdata } => record(name, *rtype, DNSClass::NONE, Ttl::ZERO, Some(rdata)),
            Self::DeleteRrset { name, rtype } => record(name, *rtype, DNSClass::ANY, Ttl::ZERO, None),
        }
    }
}

impl Update {
    /// Octets of a message without prerequisites and operations: header and zone section.
    #[must_use]
    pub fn overhead(zone: &ZoneName) -> usize {
        HEADER_OCTETS + zone.as_name().as_wire().len() + QUESTION_OCTETS
    }

    /// Upper bound of the message's size, before it is signed.
    #[must_use]
    pub fn octets(&self) -> usize {
        Self::overhead(&self.zone)
            + self.prerequisites.iter().map(Prerequisite::octets).sum::<usize>()
            + self.operations.iter().map(Operation::octets).sum::<usize>()
    }

    /// Number of records in the prerequisite and update sections.
    #[must_use]
    pub fn records(&self) -> usize {
        self.prerequisites.iter().map(Prerequisite::records).sum::<usize>() + self.operations.len()
    }

    /// The unsigned message.
    ///
    /// # Errors
    /// When it does not fit a DNS message; it is never cut.
    pub fn encode(&self, id: u16) -> Result<Vec<u8>, EncodeError> {
        let mut message = Message::new(id, MessageType::Query, OpCode::Update);
        message.queries.push(Query::query(hickory_name(self.zone.as_name())?, rr::RecordType::SOA));
        for prerequisite in &self.prerequisites {
            message.answers.extend(prerequisite.encode()?);
        }
        for operation in &self.operations {
            message.authorities.push(operation.encode()?);
        }
        let announced = [message.answers.len(), message.authorities.len()];
        let octets = message.to_vec()?;
        // Past 65,535 octets the codec cuts the message and sets TC instead of failing.
        if is_whole(&octets, announced) { Ok(octets) } else { Err(self.too_large()) }
    }

    fn too_large(&self) -> EncodeError {
        EncodeError::TooLarge { records: self.records(), octets: self.octets() }
    }

    /// A script that makes `nsupdate` send this update.
    #[must_use]
    pub fn nsupdate_script(&self) -> String {
        self.to_string()
    }
}

/// The lines of [`Update::nsupdate_script`].
impl fmt::Display for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "zone {}", self.zone.as_name())?;
        self.prerequisites.iter().try_for_each(|prerequisite| write!(f, "{prerequisite}"))?;
        self.operations.iter().try_for_each(|operation| writeln!(f, "{operation}"))?;
        writeln!(f, "send")
    }
}

/// `nsupdate` lines, each with its line feed: an RRset that must be equal takes one per record.
impl fmt::Display for Prerequisite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameInUse(name) => writeln!(f, "prereq yxdomain {name}"),
            Self::NameNotInUse(name) => writeln!(f, "prereq nxdomain {name}"),
            Self::RrsetExists { name, rtype } => writeln!(f, "prereq yxrrset {name} IN {rtype}"),
            Self::RrsetDoesNotExist { name, rtype } => writeln!(f, "prereq nxrrset {name} IN {rtype}"),
            Self::RrsetEquals(rrset) => rrset.rdata().iter().try_for_each(|rdata| {
                let (name, rtype) = (rrset.name(), rrset.rtype());
                writeln!(f, "prereq yxrrset {name} IN {rtype} {}", RdataText(rtype, rdata))
            }),
        }
    }
}

/// An `nsupdate` line, without its line feed.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Add { name, rtype, ttl, rdata } => {
                write!(f, "update add {name} {} IN {rtype} {}", ttl.as_secs(), RdataText(*rtype, rdata))
            }
            Self::Delete { name, rtype, rdata } => {
                write!(f, "update delete {name} IN {rtype} {}", RdataText(*rtype, rdata))
            }
            Self::DeleteRrset { name, rtype } => write!(f, "update delete {name} IN {rtype}"),
        }
    }
}

/// RDATA as text: addresses, names and strings to be read, all else by RFC 3597 §5, which cannot be misread.
struct RdataText<'a>(RecordType, &'a Rdata);

impl fmt::Display for RdataText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wire = self.1.as_wire();
        match self.readable() {
            Some(text) => f.write_str(&text),
            None => {
                write!(f, "\\# {} ", wire.len())?;
                wire.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
            }
        }
    }
}

impl RdataText<'_> {
    fn readable(&self) -> Option<String> {
        let wire = self.1.as_wire();
        match self.0 {
            RecordType::A => <[u8; 4]>::try_from(wire).ok().map(|octets| Ipv4Addr::from(octets).to_string()),
            RecordType::AAAA => <[u8; 16]>::try_from(wire).ok().map(|octets| Ipv6Addr::from(octets).to_string()),
            RecordType::CNAME | RecordType::DNAME | RecordType::NS | RecordType::PTR => numbers_and_name(0, wire),
            RecordType::MX => numbers_and_name(1, wire),
            RecordType::SRV => numbers_and_name(3, wire),
            RecordType::TXT => quoted(wire),
            _ => None,
        }
    }
}

/// So many 16-bit numbers and a name; none when the octets are something else.
fn numbers_and_name(count: usize, wire: &[u8]) -> Option<String> {
    let (numbers, name) = wire.split_at_checked(2 * count)?;
    let name = Name::from_wire(name).ok()?;
    let numbers = numbers.as_chunks().0.iter().map(|number| u16::from_be_bytes(*number).to_string());
    Some(numbers.chain([name.to_string()]).collect::<Vec<_>>().join(" "))
}

/// Character-strings in quotes, blank separated; none when the octets are something else.
fn quoted(mut wire: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(wire.len() + 2);
    while let Some((&length, rest)) = wire.split_first() {
        let (string, rest) = rest.split_at_checked(usize::from(length))?;
        text.push_str(if text.is_empty() { "\"" } else { " \"" });
        for &octet in string {
            match octet {
                b'"' | b'\\' => text.extend(['\\', char::from(octet)]),
                b' '..=b'~' => text.push(char::from(octet)),
                _ => write!(text, "\\{octet:03}").ok()?,
            }
        }
        text.push('"');
        wire = rest;
    }
    (!text.is_empty()).then_some(text)
}

fn record_octets(name: &Name, rdata: &[u8]) -> usize {
    name.as_wire().len() + RECORD_OCTETS + rdata.len()
}

/// A record for the codec, its RDATA opaque so that it is sent octet for octet; none is an empty RDATA.
fn record(
    name: &Name,
    rtype: RecordType,
    class: DNSClass,
    ttl: Ttl,
    rdata: Option<&Rdata>,
) -> Result<rr::Record, ProtoError> {
    let code = rr::RecordType::from(rtype.number());
    let data = match rdata.map(Rdata::as_wire).filter(|wire| !wire.is_empty()) {
        Some(wire) => RData::Unknown { code, rdata: NULL::with(wire.to_vec()) },
        None => RData::Update0(code),
    };
    let mut record = rr::Record::from_rdata(hickory_name(name)?, ttl.as_secs(), data);
    record.dns_class = class;
    Ok(record)
}

/// A name for the codec; built from labels, since its text parser reads other escapes than RFC 1035's.
fn hickory_name(name: &Name) -> Result<rr::Name, ProtoError> {
    rr::Name::from_labels(name.labels())
}

/// Whether a message holds as many records in its two middle sections as were put in, and is not truncated.
fn is_whole(octets: &[u8], announced: [usize; 2]) -> bool {
    const TC: u8 = 0x02;
    let count = |high: u8, low: u8| usize::from(u16::from_be_bytes([high, low]));
    match octets {
        [_, _, flags, _, _, _, a, b, c, d, ..] => flags & TC == 0 && [count(*a, *b), count(*c, *d)] == announced,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
