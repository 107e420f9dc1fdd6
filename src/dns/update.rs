//! Dynamic updates: what must hold, and what is to change (RFC 2136).

use std::fmt::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::ProtoError;
use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr;
use thiserror::Error;

use super::message::{Class, HEADER_OCTETS};
use super::writer::Writer;
use super::{Name, Rdata, RecordType, Rrset, Ttl, ZoneContents, ZoneName};

/// Octets of a zone section beside its name: type and class.
const QUESTION_OCTETS: usize = 4;
/// Where the header counts the records of a section (RFC 2136 §2.2).
const PREREQUISITE_COUNT_AT: usize = 6;
const UPDATE_COUNT_AT: usize = 8;

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
    #[error("the message does not fit 65,535 octets ({records} records, {octets} octets)")]
    TooLarge {
        /// Records it should have held.
        records: usize,
        /// Its size.
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

    fn write<'a>(&'a self, writer: &mut Writer<'a>) {
        let (name, rtype, class) = match self {
            Self::NameInUse(name) => (name, RecordType::ANY, Class::ANY),
            Self::NameNotInUse(name) => (name, RecordType::ANY, Class::NONE),
            Self::RrsetExists { name, rtype } => (name, *rtype, Class::ANY),
            Self::RrsetDoesNotExist { name, rtype } => (name, *rtype, Class::NONE),
            Self::RrsetEquals(rrset) => {
                for rdata in rrset.rdata() {
                    writer.record(rrset.name(), rrset.rtype(), Class::IN, Ttl::ZERO, Some(rdata));
                }
                return;
            }
        };
        writer.record(name, rtype, class, Ttl::ZERO, None);
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

    /// Does to a copy of the zone what it does to the zone; an added record gives its TTL to the whole RRset.
    pub fn apply_to(&self, contents: &mut ZoneContents) {
        match self {
            Self::Add { name, rtype, ttl, rdata } => contents.add_by_update(name, *rtype, *ttl, rdata.clone()),
            Self::Delete { name, rtype, rdata } => contents.remove(name, *rtype, rdata),
            Self::DeleteRrset { name, rtype } => contents.remove_rrset(name, *rtype),
        }
    }

    fn write<'a>(&'a self, writer: &mut Writer<'a>) {
        match self {
            Self::Add { name, rtype, ttl, rdata } => writer.record(name, *rtype, Class::IN, *ttl, Some(rdata)),
            Self::Delete { name, rtype, rdata } => writer.record(name, *rtype, Class::NONE, Ttl::ZERO, Some(rdata)),
            Self::DeleteRrset { name, rtype } => writer.record(name, *rtype, Class::ANY, Ttl::ZERO, None),
        }
    }
}

/// The size of a message that grows, before it is signed.
///
/// It is exact where all prerequisites come before all operations. Else it may be a little too large: a message has its
/// prerequisites first, so that more names come where a pointer can tell them.
#[derive(Debug)]
pub struct Size<'a>(Writer<'a>);

impl<'a> Size<'a> {
    /// Of a message that holds its header and zone section alone.
    #[must_use]
    pub fn new(zone: &'a ZoneName) -> Self {
        let start = HEADER_OCTETS + zone.as_name().as_wire().len() + QUESTION_OCTETS;
        Self(Writer::new(vec![0; start], zone.as_name()))
    }

    /// Octets so far.
    #[must_use]
    pub const fn octets(&self) -> usize {
        self.0.len()
    }

    /// With one more prerequisite.
    pub fn require(&mut self, prerequisite: &'a Prerequisite) {
        prerequisite.write(&mut self.0);
    }

    /// With one more prerequisite, [`Prerequisite::RrsetDoesNotExist`].
    pub fn require_absent(&mut self, name: &'a Name, rtype: RecordType) {
        self.0.record(name, rtype, Class::NONE, Ttl::ZERO, None);
    }

    /// With one more operation.
    pub fn operate(&mut self, operation: &'a Operation) {
        operation.write(&mut self.0);
    }
}

impl Update {
    /// Octets of the message, before it is signed.
    #[must_use]
    pub fn octets(&self) -> usize {
        let mut size = Size::new(&self.zone);
        self.prerequisites.iter().for_each(|prerequisite| size.require(prerequisite));
        self.operations.iter().for_each(|operation| size.operate(operation));
        size.octets()
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
        let mut writer = Writer::new(message.to_vec()?, self.zone.as_name());
        self.prerequisites.iter().for_each(|prerequisite| prerequisite.write(&mut writer));
        self.operations.iter().for_each(|operation| operation.write(&mut writer));
        let too_large = EncodeError::TooLarge { records: self.records(), octets: writer.len() };
        let prerequisites = self.prerequisites.iter().map(Prerequisite::records).sum();
        let mut octets = writer.into_octets();
        if octets.len() > usize::from(u16::MAX) {
            return Err(too_large);
        }
        for (at, count) in [(PREREQUISITE_COUNT_AT, prerequisites), (UPDATE_COUNT_AT, self.operations.len())] {
            // Each record has more than one octet, so that what fits can be counted.
            let count = u16::try_from(count).unwrap_or(u16::MAX).to_be_bytes();
            octets.iter_mut().skip(at).zip(count).for_each(|(octet, count)| *octet = count);
        }
        Ok(octets)
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

/// A name for the codec; built from labels, since its text parser reads other escapes than RFC 1035's.
fn hickory_name(name: &Name) -> Result<rr::Name, ProtoError> {
    rr::Name::from_labels(name.labels())
}

#[cfg(test)]
mod tests;
