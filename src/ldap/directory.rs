//! A directory server's zones: where they are, what they hold, and what has changed in them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::client::{Client, Reader, Root, Settings};
use super::dns_record::{node_name, node_of};
use super::error::{LdapError, LdapFault};
use super::message::{Entry, Filter, Scope, Search};
use super::node::{self, Node};
use crate::dns::{Name, RecordType, ServerAddress, ZoneContents, ZoneName};

/// A zone is read whole again after this time: what an administrator takes out of the directory leaves no trace that an
/// ordinary account may see.
const WHOLE_EVERY: Duration = Duration::from_secs(9 * 60);
/// Where zones are in a partition.
const CONTAINER: &str = "CN=MicrosoftDNS";
/// Nodes that one search asks for.
const NODES_AT_ONCE: usize = 100;
/// The apex among the nodes of a zone.
const APEX: &str = "@";

/// A directory server that zones are read from. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Directory {
    client: Client,
}

/// What a version of a zone is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// Which copy of the database counts the changes; it changes when that is restored.
    invocation: Vec<u8>,
    /// The last change that the version holds.
    change: u64,
    /// Where the zone is.
    base: String,
    /// When it was read whole.
    pub(super) whole: Instant,
    /// Whether changes can be asked for.
    follows: bool,
}

/// What a read brought.
#[derive(Debug, Clone)]
pub struct Read {
    /// What the zone holds.
    pub contents: Arc<ZoneContents>,
    /// What this version is known by.
    pub marker: Marker,
    /// What it took.
    pub extent: Extent,
    /// Where a whole read tells nothing.
    pub gaps: Gaps,
}

/// Names of which a whole read tells nothing.
#[derive(Debug, Clone, Default)]
pub struct Gaps {
    /// Entries of which nothing may be read: neither records nor that there are none.
    pub bare: Vec<Name>,
    /// Entries that are shown and hold nothing that is taken: deleted ones, and what is not certain.
    pub empty: HashSet<Name>,
}

/// What a read took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Nothing had changed.
    Unchanged,
    /// The nodes that have changed.
    Changes,
    /// Every node.
    Whole,
}

impl Directory {
    /// The directory of this server; nothing is sent yet.
    #[must_use]
    pub fn new(address: ServerAddress, settings: Arc<Settings>) -> Self {
        Self { client: Client::new(address, settings) }
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> &ServerAddress {
        self.client.address()
    }

    /// The zone's present version, by what has changed since the one that is held where that tells.
    ///
    /// # Errors
    /// When the directory cannot be read, or the zone is not there whole.
    pub async fn read(&self, zone: &ZoneName, held: Option<(Arc<ZoneContents>, Marker)>) -> Result<Read, LdapError> {
        let fail = |fault| LdapError { server: self.address().clone(), zone: Some(zone.clone()), fault };
        let (mut reader, root) = self.client.open().await.map_err(fail)?;
        let read = self.read_with(&mut reader, &root, zone, held).await.map_err(fail)?;
        self.client.put_back(reader);
        Ok(read)
    }

    /// What a zone holds at these names, and nothing else of it; none where that is not certain.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub async fn nodes(&self, zone: &ZoneName, names: &[Name]) -> Result<Option<ZoneContents>, LdapError> {
        let fail = |fault| LdapError { server: self.address().clone(), zone: Some(zone.clone()), fault };
        let Some(wanted) = names.iter().map(|name| node_of(name, zone)).collect::<Option<Vec<_>>>() else {
            return Ok(None);
        };
        let (mut reader, root) = self.client.open().await.map_err(fail)?;
        let base = self.find_with(&mut reader, &root, zone).await.map_err(fail)?;
        let mut contents = ZoneContents::new(zone.clone(), 0);
        let mut left_out = LeftOut::default();
        for some in wanted.chunks(NODES_AT_ONCE) {
            let any = some.iter().map(|name| Filter::Equal("name", name.clone())).collect();
            let search = nodes(&base, Filter::And(vec![class("dnsNode"), Filter::Or(any)]));
            let taken = reader.search(&search, |entry| {
                place(&mut contents, zone, entry.text("name").unwrap_or_default(), &entry, &mut left_out);
                Ok(())
            });
            taken.await.map_err(fail)?;
        }
        self.client.put_back(reader);
        Ok((left_out.count == 0).then_some(contents))
    }

    /// Where a zone is in the directory.
    ///
    /// # Errors
    /// When it is not there, or the directory cannot be read.
    pub async fn find(&self, zone: &ZoneName) -> Result<String, LdapError> {
        let fail = |fault| LdapError { server: self.address().clone(), zone: Some(zone.clone()), fault };
        let (mut reader, root) = self.client.open().await.map_err(fail)?;
        let base = self.find_with(&mut reader, &root, zone).await.map_err(fail)?;
        self.client.put_back(reader);
        Ok(base)
    }

    /// A connection in the hands of who asked for it, until it is put back.
    pub(super) async fn open(&self) -> Result<Reader, LdapFault> {
        Ok(self.client.open().await?.0)
    }

    /// Keeps a connection for the next one.
    pub(super) fn put_back(&self, reader: Reader) {
        self.client.put_back(reader);
    }

    /// Closes the connections.
    pub async fn close(&self) {
        self.client.close().await;
    }

    async fn read_with(
        &self,
        reader: &mut Reader,
        root: &Root,
        zone: &ZoneName,
        held: Option<(Arc<ZoneContents>, Marker)>,
    ) -> Result<Read, LdapFault> {
        let invocation = invocation(reader, root).await?;
        let change = root.last_change.unwrap_or_default();
        if let Some((contents, marker)) = held
            && marker.leads_to(&invocation, change)
            && let Some(read) =
                changes(reader, zone, contents, Marker { change, ..marker.clone() }, marker.change).await?
        {
            return Ok(read);
        }
        let base = self.find_with(reader, root, zone).await?;
        let (contents, gaps) = whole(reader, zone, &base).await?;
        let follows = !invocation.is_empty() && root.last_change.is_some() && shows_changes(reader, &base).await?;
        let marker = Marker { invocation, change, base, whole: Instant::now(), follows };
        Ok(Read { contents: Arc::new(contents), marker, extent: Extent::Whole, gaps })
    }

    /// Looks for the zone in every place where a directory may have it, or in the one that is configured.
    async fn find_with(&self, reader: &mut Reader, root: &Root, zone: &ZoneName) -> Result<String, LdapFault> {
        let places = match self.client.base() {
            Some(base) => vec![base.to_owned()],
            None => places(root)?,
        };
        for place in &places {
            let search = Search {
                base: place.clone(),
                scope: Scope::OneLevel,
                filter: Filter::And(vec![class("dnsZone"), Filter::Equal("name", zone.to_string())]),
                attributes: &["name"],
            };
            let mut found = None;
            let taken = reader.search(&search, |entry| match found.replace(entry.dn) {
                None => Ok(()),
                Some(dn) => Err(LdapFault::Twice(dn)),
            });
            match taken.await {
                Ok(()) => {}
                Err(fault) if fault.is_no_such_object() => {}
                Err(fault) => return Err(fault),
            }
            if let Some(dn) = found {
                return Ok(dn);
            }
        }
        Err(LdapFault::NoZone { searched: places })
    }
}

impl Gaps {
    fn note(&mut self, contents: &ZoneContents, name: Option<Name>, entry: &Entry) {
        match name {
            Some(name) if node::is_bare(entry) => self.bare.push(name),
            Some(name) if contents.at(&name).next().is_none() => {
                self.empty.insert(name);
            }
            _ => {}
        }
    }
}

impl Marker {
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Whether what has changed since can be asked for.
    fn leads_to(&self, invocation: &[u8], change: u64) -> bool {
        self.follows && self.invocation == invocation && self.change <= change && self.whole.elapsed() < WHOLE_EVERY
    }
}

/// The containers of zones: of the domain, of the forest, of older domains, and of further partitions.
fn places(root: &Root) -> Result<Vec<String>, LdapFault> {
    // Other directories have contexts too.
    root.service.as_deref().ok_or(LdapFault::NoDomain("dsServiceName"))?;
    let domain = root.domain.as_deref().ok_or(LdapFault::NoDomain("defaultNamingContext"))?;
    let forest = root.root_domain.as_deref().unwrap_or(domain);
    let mut places = vec![
        format!("{CONTAINER},DC=DomainDnsZones,{domain}"),
        format!("{CONTAINER},DC=ForestDnsZones,{forest}"),
        format!("{CONTAINER},CN=System,{domain}"),
    ];
    for context in root.contexts.iter().filter(|context| !context.to_ascii_uppercase().starts_with("CN=")) {
        let place = format!("{CONTAINER},{context}");
        if *context != domain && !places.iter().any(|known| known.eq_ignore_ascii_case(&place)) {
            places.push(place);
        }
    }
    Ok(places)
}

fn class(name: &str) -> Filter {
    Filter::Equal("objectClass", name.to_owned())
}

/// Which copy of the database this server counts changes in; empty where it does not tell.
async fn invocation(reader: &mut Reader, root: &Root) -> Result<Vec<u8>, LdapFault> {
    let Some(service) = root.service.clone() else { return Ok(Vec::new()) };
    let entry = reader.entry(service, &["invocationId"]).await?;
    Ok(entry.and_then(|entry| entry.values("invocationId").first().cloned()).unwrap_or_default())
}

/// Whether this account may see when nodes were changed.
async fn shows_changes(reader: &mut Reader, base: &str) -> Result<bool, LdapFault> {
    let apex = reader.entry(format!("DC={APEX},{base}"), &["uSNChanged"]).await?;
    Ok(apex.is_some_and(|apex| apex.text("uSNChanged").is_some()))
}

pub(super) fn nodes(base: &str, filter: Filter) -> Search {
    Search { base: base.to_owned(), scope: Scope::OneLevel, filter, attributes: node::ATTRIBUTES }
}

/// Every node of a zone, which is all of it only if the apex with its SOA is among them.
async fn whole(reader: &mut Reader, zone: &ZoneName, base: &str) -> Result<(ZoneContents, Gaps), LdapFault> {
    let mut contents = ZoneContents::new(zone.clone(), 0);
    let (mut names, mut gaps) = (HashSet::new(), Gaps::default());
    let mut left_out = LeftOut::default();
    let search = nodes(base, class("dnsNode"));
    let taken = reader.search(&search, |entry| {
        let Some(name) = entry.text("name").or_else(|| entry.first_value()).map(str::to_owned) else {
            left_out.add(&entry.dn);
            return Ok(());
        };
        if !names.insert(name.to_ascii_lowercase()) {
            return Err(LdapFault::Twice(name));
        }
        place(&mut contents, zone, &name, &entry, &mut left_out);
        gaps.note(&contents, node_name(&name, zone).ok(), &entry);
        Ok(())
    });
    taken.await?;
    let serial = node::serial(&contents).ok_or(LdapFault::NoSoa)?;
    contents.set_serial(serial);
    left_out.tell(zone);
    Ok((contents, gaps))
}

/// The version that the nodes changed since `since` make of the one that is held; none when that does not tell.
async fn changes(
    reader: &mut Reader,
    zone: &ZoneName,
    contents: Arc<ZoneContents>,
    marker: Marker,
    since: u64,
) -> Result<Option<Read>, LdapFault> {
    let unchanged =
        |contents, marker| Ok(Some(Read { contents, marker, extent: Extent::Unchanged, gaps: Gaps::default() }));
    if marker.change == since {
        return unchanged(contents, marker);
    }
    let changed = Filter::And(vec![class("dnsNode"), Filter::AtLeast("uSNChanged", since.saturating_add(1))]);
    let mut entries = Vec::new();
    let search = nodes(&marker.base, changed);
    let taken = reader.search(&search, |entry| {
        entries.push(entry);
        Ok(())
    });
    match taken.await {
        Ok(()) => {}
        Err(fault) if fault.is_no_such_object() => return Ok(None),
        Err(fault) => return Err(fault),
    }
    if entries.is_empty() {
        return unchanged(contents, marker);
    }
    let mut present = (*contents).clone();
    let mut left_out = LeftOut::default();
    for entry in &entries {
        if node::is_bare(entry) {
            return Ok(None);
        }
        match entry.text("name") {
            // A serial moves with changes that leave no other trace.
            Some(APEX) | None => return Ok(None),
            Some(name) => place(&mut present, zone, name, entry, &mut left_out),
        }
    }
    Ok(Some(Read { contents: Arc::new(present), marker, extent: Extent::Changes, gaps: Gaps::default() }))
}

/// Puts what a node holds in the place of what its name held.
fn place(contents: &mut ZoneContents, zone: &ZoneName, node: &str, entry: &Entry, left_out: &mut LeftOut) {
    let Ok(name) = node_name(node, zone) else {
        left_out.add(node);
        return;
    };
    let held: Vec<RecordType> = contents.at(&name).map(|rrset| rrset.rtype).collect();
    held.into_iter().for_each(|rtype| contents.remove_rrset(&name, rtype));
    let Node { records, is_whole } = Node::read(entry);
    for record in records {
        contents.add(&name, record.rtype, record.ttl, record.rdata);
    }
    if !is_whole {
        left_out.add(node);
    }
}

/// Nodes that are not taken, or not with all their records, since it is not certain what they are.
#[derive(Default)]
struct LeftOut {
    count: usize,
    first: Vec<String>,
}

impl LeftOut {
    fn add(&mut self, node: &str) {
        const SHOWN: usize = 5;
        self.count += 1;
        if self.first.len() < SHOWN {
            self.first.push(node.escape_debug().collect());
        }
    }

    fn tell(&self, zone: &ZoneName) {
        if self.count > 0 {
            let nodes = self.first.join(", ");
            tracing::info!(%zone, count = self.count, nodes, "some nodes are left alone: their names or values may be escaped");
        }
    }
}
