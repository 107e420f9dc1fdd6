//! Zones: their names, the set that is configured, and what one holds.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::{Name, NameError, Rdata, RecordType, Rrset, Ttl};

mod pages;

pub use pages::Page;
use pages::{Node, NodeRrset, Pages};

/// The name of a zone that this sidecar is configured to change.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ZoneName(Name);

impl ZoneName {
    /// The apex as a plain name.
    #[must_use]
    pub fn as_name(&self) -> &Name {
        &self.0
    }
}

impl From<Name> for ZoneName {
    fn from(name: Name) -> Self {
        Self(name)
    }
}

impl FromStr for ZoneName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        text.parse().map(Self)
    }
}

/// Without the final dot, as users write zones.
impl fmt::Display for ZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_undotted())
    }
}

impl fmt::Debug for ZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ZoneName({self})")
    }
}

/// The configured zones, at least one, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneSet(Vec<ZoneName>);

impl ZoneSet {
    /// The set of these zones; none when there are none.
    #[must_use]
    pub fn new(mut zones: Vec<ZoneName>) -> Option<Self> {
        zones.sort_unstable();
        zones.dedup();
        (!zones.is_empty()).then_some(Self(zones))
    }

    /// The zone that `name` belongs to: the longest match on label boundaries.
    #[must_use]
    pub fn find(&self, name: &Name) -> Option<&ZoneName> {
        self.0.iter().filter(|zone| name.is_at_or_below(&zone.0)).max_by_key(|zone| zone.0.label_count())
    }

    /// The zones in canonical order.
    pub fn iter(&self) -> std::slice::Iter<'_, ZoneName> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a ZoneSet {
    type Item = &'a ZoneName;
    type IntoIter = std::slice::Iter<'a, ZoneName>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

/// One version of a zone: every RRset under its name and type, as raw wire RDATA.
///
/// A clone is another version, to be changed; it shares with this one all that it does not change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneContents {
    zone: ZoneName,
    serial: u32,
    names: Pages,
}

/// A view of one RRset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RrsetRef<'a> {
    /// Owner name.
    pub name: &'a Name,
    /// Record type.
    pub rtype: RecordType,
    /// The lowest TTL of its records.
    pub ttl: Ttl,
    /// RDATA in sorted order, at least one.
    pub rdata: &'a [Rdata],
}

impl RrsetRef<'_> {
    /// The same as an owned value.
    #[must_use]
    pub fn to_rrset(&self) -> Option<Rrset> {
        Rrset::new(self.name.clone(), self.rtype, self.ttl, self.rdata.to_vec())
    }
}

impl ZoneContents {
    /// An empty version, to be filled record by record.
    #[must_use]
    pub fn new(zone: ZoneName, serial: u32) -> Self {
        Self { zone, serial, names: Pages::default() }
    }

    /// The zone this is a version of.
    #[must_use]
    pub fn zone(&self) -> &ZoneName {
        &self.zone
    }

    /// SOA serial of this version.
    #[must_use]
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// Sets the serial, when a difference was applied.
    pub fn set_serial(&mut self, serial: u32) {
        self.serial = serial;
    }

    /// Adds one record; of differing TTLs in an RRset the lowest stays.
    pub fn add(&mut self, name: &Name, rtype: RecordType, ttl: Ttl, rdata: Rdata) {
        self.names.change(name, |rrsets| {
            let held = held(rrsets, rtype, ttl);
            held.ttl = held.ttl.min(ttl);
            insert(held, rdata);
        });
    }

    /// Adds one record as an update does, which gives its TTL to the whole RRset.
    pub fn add_by_update(&mut self, name: &Name, rtype: RecordType, ttl: Ttl, rdata: Rdata) {
        self.names.change(name, |rrsets| {
            let held = held(rrsets, rtype, ttl);
            held.ttl = ttl;
            insert(held, rdata);
        });
    }

    /// Puts an RRset in the place of what the zone held under its name and type.
    pub fn replace(&mut self, rrset: &Rrset) {
        self.names.change(rrset.name(), |rrsets| {
            *held(rrsets, rrset.rtype(), rrset.ttl()) =
                NodeRrset { rtype: rrset.rtype(), ttl: rrset.ttl(), rdata: rrset.rdata().to_vec() };
        });
    }

    /// Removes one record by its exact RDATA.
    pub fn remove(&mut self, name: &Name, rtype: RecordType, rdata: &Rdata) {
        if self.rrset(name, rtype).is_none_or(|rrset| !rrset.rdata.contains(rdata)) {
            return;
        }
        self.names.change(name, |rrsets| {
            for held in rrsets.iter_mut().filter(|held| held.rtype == rtype) {
                held.rdata.retain(|kept| kept != rdata);
            }
            rrsets.retain(|held| !held.rdata.is_empty());
        });
    }

    /// Removes an RRset.
    pub fn remove_rrset(&mut self, name: &Name, rtype: RecordType) {
        if self.rrset(name, rtype).is_some() {
            self.names.change(name, |rrsets| rrsets.retain(|held| held.rtype != rtype));
        }
    }

    /// The RRset of this name and type.
    #[must_use]
    pub fn rrset(&self, name: &Name, rtype: RecordType) -> Option<RrsetRef<'_>> {
        self.at(name).find(|rrset| rrset.rtype == rtype)
    }

    /// All RRsets at a name.
    pub fn at<'a>(&'a self, name: &Name) -> impl Iterator<Item = RrsetRef<'a>> + use<'a> {
        self.names.get(name).into_iter().flat_map(Node::rrsets)
    }

    /// All RRsets at and below a name, in canonical order.
    pub fn at_or_below<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = RrsetRef<'a>> {
        self.names.from(name).take_while(move |node| node.name.is_at_or_below(name)).flat_map(Node::rrsets)
    }

    /// All RRsets of the zone, in canonical order of names.
    pub fn iter(&self) -> impl Iterator<Item = RrsetRef<'_>> {
        self.names.nodes().flat_map(Node::rrsets)
    }

    /// The same in pages: the same one in two versions means that its names are the same in both.
    pub fn pages(&self) -> impl Iterator<Item = &Arc<Page>> {
        self.names.pages()
    }

    /// Number of records.
    #[must_use]
    pub fn record_count(&self) -> usize {
        self.names.record_count()
    }

    /// Whether the zone holds a wildcard, at any height.
    #[must_use]
    pub fn has_wildcard(&self) -> bool {
        self.names.has_wildcard()
    }

    /// The wildcard whose answer a plain query for an absent `name` may get (RFC 4592 §3.3.1).
    #[must_use]
    pub fn wildcard_above(&self, name: &Name) -> Option<&Name> {
        let mut encloser = name.parent();
        while let Some(candidate) = encloser.filter(|candidate| candidate.is_at_or_below(self.zone.as_name())) {
            let labels = std::iter::once(&b"*"[..]).chain(candidate.labels());
            if let Some(node) = Name::from_labels(labels).ok().and_then(|star| self.names.get(&star)) {
                return Some(&node.name);
            }
            encloser = candidate.parent();
        }
        None
    }
}

/// The RRset of this type among those of a name, empty where there was none.
fn held(rrsets: &mut Vec<NodeRrset>, rtype: RecordType, ttl: Ttl) -> &mut NodeRrset {
    let position = rrsets.partition_point(|held| held.rtype < rtype);
    if rrsets.get(position).is_none_or(|held| held.rtype != rtype) {
        // Exact: names have one or two RRsets, and there are very many names.
        rrsets.reserve_exact(1);
        rrsets.insert(position, NodeRrset { rtype, ttl, rdata: Vec::new() });
    }
    &mut rrsets[position]
}

fn insert(held: &mut NodeRrset, rdata: Rdata) {
    if let Err(position) = held.rdata.binary_search(&rdata) {
        held.rdata.reserve_exact(usize::from(held.rdata.is_empty()));
        held.rdata.insert(position, rdata);
    }
}

#[cfg(test)]
mod tests;
