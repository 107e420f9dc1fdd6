//! A directory server's zones: where they are, what they hold, and what has changed in them.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::client::{Client, Reader, Root, Settings};
use super::contents::{Gaps, changed, class, single, whole};
use super::dns_record::node_of;
use super::error::{LdapError, LdapFault};
use super::message::{Filter, Scope, Search};
use crate::dns::{Name, ServerAddress, ZoneContents, ZoneName};

/// A zone is read whole again after this time: what an administrator takes out of the directory leaves no trace that an
/// ordinary account may see.
const WHOLE_EVERY: Duration = Duration::from_secs(9 * 60);
/// Where zones are in a partition.
const CONTAINER: &str = "CN=MicrosoftDNS";
/// Changes that are asked for once more after a read that counted them: Samba may count one before it shows it, since
/// the count and the zones are in files of their own.
const OVERLAP: u64 = 2000;

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
    /// Whether no change came since the read before, so that all that were counted were seen.
    is_settled: bool,
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
        let contents = single(&mut reader, zone, &base, &wanted).await.map_err(fail)?;
        self.client.put_back(reader);
        Ok(contents)
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
        if let Some((held, marker)) = held
            && marker.leads_to(&invocation, change)
            && let Some(read) = follow(reader, &held, marker, change).await?
        {
            return Ok(read);
        }
        let base = self.find_with(reader, root, zone).await?;
        let (contents, gaps) = whole(reader, zone, &base).await?;
        let follows = !invocation.is_empty() && root.last_change.is_some() && shows_changes(reader, &base).await?;
        let marker = Marker { invocation, change, base, whole: Instant::now(), follows, is_settled: false };
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

impl Marker {
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Whether what has changed since can be asked for.
    fn leads_to(&self, invocation: &[u8], change: u64) -> bool {
        self.follows && self.invocation == invocation && self.change <= change && self.whole.elapsed() < WHOLE_EVERY
    }
}

/// The present version by what has changed since the held one; none when that does not tell.
async fn follow(
    reader: &mut Reader,
    held: &Arc<ZoneContents>,
    marker: Marker,
    change: u64,
) -> Result<Option<Read>, LdapFault> {
    let read = |contents: Arc<ZoneContents>, is_settled| {
        let extent = if Arc::ptr_eq(&contents, held) { Extent::Unchanged } else { Extent::Changes };
        let marker = Marker { change, is_settled, ..marker.clone() };
        Read { contents, marker, extent, gaps: Gaps::default() }
    };
    let is_settled = marker.change == change;
    if marker.is_settled && is_settled {
        return Ok(Some(read(Arc::clone(held), true)));
    }
    let overlap = if marker.is_settled { 0 } else { OVERLAP };
    let present = changed(reader, held, &marker.base, marker.change.saturating_sub(overlap)).await?;
    Ok(present.map(|contents| read(contents, is_settled)))
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

/// Which copy of the database this server counts changes in; empty where it does not tell.
async fn invocation(reader: &mut Reader, root: &Root) -> Result<Vec<u8>, LdapFault> {
    let Some(service) = root.service.clone() else { return Ok(Vec::new()) };
    let entry = reader.entry(service, &["invocationId"]).await?;
    Ok(entry.and_then(|entry| entry.values("invocationId").first().cloned()).unwrap_or_default())
}

/// Whether this account may see when nodes were changed.
async fn shows_changes(reader: &mut Reader, base: &str) -> Result<bool, LdapFault> {
    let apex = reader.entry(format!("DC=@,{base}"), &["uSNChanged"]).await?;
    Ok(apex.is_some_and(|apex| apex.text("uSNChanged").is_some()))
}
