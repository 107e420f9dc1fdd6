//! A node of a zone in the directory: all records of one name.

use super::dns_record::{self, DnsRecord, Rank, Value};
use super::message::Entry;
use crate::dns::{RecordType, Soa, ZoneContents};

/// What is asked for of a node.
pub(super) const ATTRIBUTES: &[&str] = &["name", "dnsRecord", "dNSTombstoned"];
/// How the name of an attribute begins that comes with a part of its values (MS-ADTS §3.1.1.3.1.3.3).
const RANGED: &str = "dnsrecord;range=";

/// What a node holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Node {
    /// Its records, as far as it is certain what they are: of a type all or none.
    pub(super) records: Vec<DnsRecord>,
    /// Whether these are all.
    pub(super) is_whole: bool,
}

impl Node {
    /// Reads the attributes of a node.
    pub(super) fn read(entry: &Entry) -> Self {
        if is_tombstoned(entry) {
            return Self { records: Vec::new(), is_whole: true };
        }
        if entry.attributes.iter().any(|(name, _)| name.to_ascii_lowercase().starts_with(RANGED)) {
            return Self::default();
        }
        let mut records = Vec::new();
        let mut uncertain: Vec<RecordType> = Vec::new();
        for octets in entry.values("dnsRecord") {
            match dns_record::parse(octets) {
                Ok(Value::Record(DnsRecord { rank: Rank::Foreign(_), .. }) | Value::Tombstone) => {}
                Ok(Value::Record(record)) => records.push(record),
                Err(_) => match dns_record::record_type(octets) {
                    Some(rtype) => uncertain.push(rtype),
                    None => return Self::default(),
                },
            }
        }
        records.retain(|record| !uncertain.contains(&record.rtype));
        Self { records, is_whole: uncertain.is_empty() }
    }
}

/// Whether a node is marked as deleted.
pub(super) fn is_tombstoned(entry: &Entry) -> bool {
    entry.text("dNSTombstoned").is_some_and(|text| text.eq_ignore_ascii_case("TRUE"))
}

/// Whether a node tells neither records nor that it is deleted.
pub(super) fn is_bare(entry: &Entry) -> bool {
    let is_about_records = |name: &str| name.to_ascii_lowercase().starts_with("dnsrecord");
    !is_tombstoned(entry) && !entry.attributes.iter().any(|(name, _)| is_about_records(name))
}

/// The serial in the SOA at the apex, if that is there.
pub(super) fn serial(contents: &ZoneContents) -> Option<u32> {
    let soa = contents.rrset(contents.zone().as_name(), RecordType::SOA)?;
    soa.rdata.first().and_then(Soa::from_rdata).map(|soa| soa.serial)
}
