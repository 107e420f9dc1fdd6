//! The records of a directory's zone: the values of the attribute dnsRecord (MS-DNSP §2.3.2.2), and names of nodes.

use thiserror::Error;

use crate::dns::{Name, NameError, Rdata, RecordType, Ttl, WireError, WireReader, ZoneName};

/// The only version there is.
const VERSION: u8 = 5;
/// Octets before the data.
const HEADER: usize = 24;
/// The type that says that a node is deleted.
const TOMBSTONE: u16 = 0;
/// Hours from 1601, where the directory's time begins, to 1970.
const HOURS_TO_1970: u64 = 11_644_473_600 / 3600;

/// A value of dnsRecord.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsRecord {
    /// Its type.
    pub rtype: RecordType,
    /// Its time to live.
    pub ttl: Ttl,
    /// Where it comes from.
    pub rank: Rank,
    /// Hours since 1601 at which it was refreshed last; none for a static record.
    pub time_stamp: Option<u32>,
    /// What it says.
    pub rdata: Rdata,
}

/// What a value of dnsRecord is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A record.
    Record(DnsRecord),
    /// The mark of a deleted node.
    Tombstone,
}

/// Where a record comes from (MS-DNSP §2.2.2.2.5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rank {
    /// The zone's own data.
    Zone,
    /// A delegation, or the address of a delegation's name server.
    Delegation,
    /// A hint, or something that was cached: no data of the zone.
    Foreign(u8),
}

/// Why a value is not understood.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DnsRecordError {
    /// It ends before its data do, or goes on after them.
    #[error("its length is not what it says")]
    Length,
    /// Another version.
    #[error("it is of version {0}, which is not known")]
    Version(u8),
    /// The data are not those of the type; texts that are not certain are not told from others.
    #[error("its data are not those of a {0} record")]
    Data(RecordType),
    /// A text or a name that some servers store escaped and others do not.
    #[error("its text or name may be stored with escapes or without")]
    Ambiguous,
}

/// Why a node's name is not taken for a name in DNS.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NodeNameError {
    /// Characters that some servers escape and others do not.
    #[error("the node's name may be stored with escapes or without")]
    Ambiguous,
    /// No name at all.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl DnsRecord {
    /// When it was refreshed last, in seconds since 1970; none for a static record.
    #[must_use]
    pub fn refreshed(&self) -> Option<u64> {
        self.time_stamp.map(|hours| u64::from(hours).saturating_sub(HOURS_TO_1970) * 3600)
    }
}

impl Rank {
    const fn of(octet: u8) -> Self {
        match octet {
            0xf0 => Self::Zone,
            0x80 | 0x82 => Self::Delegation,
            other => Self::Foreign(other),
        }
    }
}

/// The type of a value, also where the rest of it is not understood.
#[must_use]
pub fn record_type(octets: &[u8]) -> Option<RecordType> {
    match octets {
        [_, _, low, high, ..] => Some(RecordType::from(u16::from_le_bytes([*low, *high]))),
        _ => None,
    }
}

/// Reads a value. Names in it come out in lower case, as those of a transfer do.
///
/// # Errors
/// When it is not understood for certain.
pub fn parse(octets: &[u8]) -> Result<Value, DnsRecordError> {
    let (header, data) = octets.split_first_chunk::<HEADER>().ok_or(DnsRecordError::Length)?;
    let [l0, l1, t0, t1, version, rank, _, _, _, _, _, _, ttl0, ttl1, ttl2, ttl3, _, _, _, _, s0, s1, s2, s3] = *header;
    if usize::from(u16::from_le_bytes([l0, l1])) != data.len() {
        return Err(DnsRecordError::Length);
    }
    if version != VERSION {
        return Err(DnsRecordError::Version(version));
    }
    let number = u16::from_le_bytes([t0, t1]);
    if number == TOMBSTONE {
        return Ok(Value::Tombstone);
    }
    let rtype = RecordType::from(number);
    let time_stamp = u32::from_le_bytes([s0, s1, s2, s3]);
    Ok(Value::Record(DnsRecord {
        rtype,
        // The one number in network order.
        ttl: Ttl::from_secs(u32::from_be_bytes([ttl0, ttl1, ttl2, ttl3])),
        rank: Rank::of(rank),
        time_stamp: (time_stamp != 0).then_some(time_stamp),
        rdata: Rdata::from_wire(rdata(rtype, data)?),
    }))
}

/// The wire RDATA that a value's data tell.
fn rdata(rtype: RecordType, data: &[u8]) -> Result<Vec<u8>, DnsRecordError> {
    let mut data = Data { rest: data, rdata: Vec::with_capacity(data.len()), is_escaped: false };
    let read = match rtype {
        RecordType::A => data.octets(4),
        RecordType::AAAA => data.octets(16),
        RecordType::CNAME | RecordType::NS | RecordType::PTR | RecordType::DNAME => data.name(),
        RecordType::MX => data.octets(2).and_then(|()| data.name()),
        RecordType::SRV => data.octets(6).and_then(|()| data.name()),
        RecordType::SOA => data.soa(),
        RecordType::TXT => return texts(data.rest),
        RecordType::NAPTR => data.naptr(),
        _ => data.octets(data.rest.len()),
    };
    read.filter(|()| data.rest.is_empty()).ok_or(DnsRecordError::Data(rtype))?;
    if data.is_escaped { Err(DnsRecordError::Ambiguous) } else { Ok(data.rdata) }
}

/// Data that become RDATA field by field.
struct Data<'a> {
    rest: &'a [u8],
    rdata: Vec<u8>,
    /// Whether a name may hold an escape where it should hold the octet that is meant.
    is_escaped: bool,
}

impl Data<'_> {
    fn octets(&mut self, count: usize) -> Option<()> {
        let (octets, rest) = self.rest.split_at_checked(count)?;
        self.rdata.extend_from_slice(octets);
        self.rest = rest;
        Some(())
    }

    /// DNS_COUNT_NAME (MS-DNSP §2.2.2.2.2): octets of the wire name, number of its labels, the wire name.
    fn name(&mut self) -> Option<()> {
        let (&[length, labels], rest) = self.rest.split_first_chunk()?;
        let (wire, rest) = rest.split_at_checked(usize::from(length))?;
        let name = Name::from_wire(wire).ok().filter(|name| name.label_count() == usize::from(labels))?;
        self.rdata.extend_from_slice(name.as_wire());
        self.rest = rest;
        self.is_escaped |= wire.contains(&b'\\');
        Some(())
    }

    /// The numbers are in front here, and behind the names on the wire.
    fn soa(&mut self) -> Option<()> {
        let (numbers, rest) = self.rest.split_first_chunk::<20>()?;
        self.rest = rest;
        self.name()?;
        self.name()?;
        self.rdata.extend_from_slice(numbers);
        Some(())
    }

    /// Its last name may also be a plain wire name, where the server keeps the type as it came.
    fn naptr(&mut self) -> Option<()> {
        self.octets(4)?;
        for _ in 0..3 {
            self.octets(1 + usize::from(*self.rest.first()?))?;
        }
        // The counts in front of a name are control characters, were they read as its first label.
        if self.name().is_none() {
            self.rdata.extend_from_slice(Name::from_wire(self.rest).ok()?.as_wire());
            self.rest = &[];
        }
        Some(())
    }
}

/// The character-strings of a TXT record, which are kept as on the wire.
///
/// Samba's BIND9_DLZ keeps the text as in a zone file instead, several strings as one, which shows by `\` and `" "`.
fn texts(data: &[u8]) -> Result<Vec<u8>, DnsRecordError> {
    let mut reader = WireReader::at(data, 0);
    let malformed = |_: WireError| DnsRecordError::Data(RecordType::TXT);
    if data.is_empty() {
        return Err(DnsRecordError::Data(RecordType::TXT));
    }
    while reader.remaining() > 0 {
        let length = reader.u8().map_err(malformed)?;
        let text = reader.octets(usize::from(length)).map_err(malformed)?;
        if text.contains(&b'\\') || text.windows(3).any(|three| three == b"\" \"") {
            return Err(DnsRecordError::Ambiguous);
        }
    }
    Ok(data.to_vec())
}

/// The name in DNS of a node: relative to its zone, `@` at the apex.
///
/// # Errors
/// When it is not certain what the name in DNS is.
pub fn node_name(node: &str, zone: &ZoneName) -> Result<Name, NodeNameError> {
    let apex = zone.as_name();
    if node == "@" {
        return Ok(apex.clone());
    }
    // What a zone file would escape is stored with the escape by one server, and without by another.
    let is_plain = |octet: u8| octet.is_ascii_graphic() && !b"\\\"();@$".contains(&octet);
    if !node.bytes().all(is_plain) {
        return Err(NodeNameError::Ambiguous);
    }
    Ok(Name::from_labels(node.split('.').map(str::as_bytes).chain(apex.labels()))?)
}

/// The node of a name, the other way round; none where it is not certain.
#[must_use]
pub fn node_of(name: &Name, zone: &ZoneName) -> Option<String> {
    let below = name.label_count().checked_sub(zone.as_name().label_count())?;
    let labels: Option<Vec<_>> = name.labels().take(below).map(|label| str::from_utf8(label).ok()).collect();
    let node = match labels?.as_slice() {
        [] => "@".to_owned(),
        labels => labels.join("."),
    };
    // A label with a dot in it becomes two.
    (node_name(&node, zone).as_ref() == Ok(name)).then_some(node)
}

#[cfg(test)]
mod tests;
