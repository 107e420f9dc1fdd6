//! What a zone holds: every node, or those that have changed.

use std::collections::HashSet;
use std::sync::Arc;

use super::client::Reader;
use super::dns_record::node_name;
use super::error::LdapFault;
use super::message::{Entry, Filter, Scope, Search};
use super::node::{self, Node};
use crate::dns::{Name, RecordType, ZoneContents, ZoneName};

/// Names of which a whole read tells nothing.
#[derive(Debug, Clone, Default)]
pub struct Gaps {
    /// Entries of which nothing may be read: neither records nor that there are none.
    pub bare: Vec<Name>,
    /// Entries that are shown and hold nothing that is taken: deleted ones, and what is not certain.
    pub empty: HashSet<Name>,
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

pub(super) fn class(name: &str) -> Filter {
    Filter::Equal("objectClass", name.to_owned())
}

pub(super) fn nodes(base: &str, filter: Filter) -> Search {
    Search { base: base.to_owned(), scope: Scope::OneLevel, filter, attributes: node::ATTRIBUTES }
}

/// Every node of a zone, which is all of it only if the apex with its SOA is among them.
pub(super) async fn whole(reader: &mut Reader, zone: &ZoneName, base: &str) -> Result<(ZoneContents, Gaps), LdapFault> {
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

/// What a zone holds at these nodes, and nothing else of it; none where that is not certain.
pub(super) async fn single(
    reader: &mut Reader,
    zone: &ZoneName,
    base: &str,
    wanted: &[String],
) -> Result<Option<ZoneContents>, LdapFault> {
    const AT_ONCE: usize = 100;
    let mut contents = ZoneContents::new(zone.clone(), 0);
    let mut left_out = LeftOut::default();
    for some in wanted.chunks(AT_ONCE) {
        let any = some.iter().map(|name| Filter::Equal("name", name.clone())).collect();
        let search = nodes(base, Filter::And(vec![class("dnsNode"), Filter::Or(any)]));
        let taken = reader.search(&search, |entry| {
            place(&mut contents, zone, entry.text("name").unwrap_or_default(), &entry, &mut left_out);
            Ok(())
        });
        taken.await?;
    }
    Ok((left_out.count == 0).then_some(contents))
}

/// The version that the nodes changed after `since` make of the one that is held; none when that does not tell.
pub(super) async fn changed(
    reader: &mut Reader,
    held: &Arc<ZoneContents>,
    base: &str,
    since: u64,
) -> Result<Option<Arc<ZoneContents>>, LdapFault> {
    let zone = held.zone();
    let filter = Filter::And(vec![class("dnsNode"), Filter::AtLeast("uSNChanged", since.saturating_add(1))]);
    let mut entries = Vec::new();
    let search = nodes(base, filter);
    let taken = reader.search(&search, |entry| {
        entries.push(entry);
        Ok(())
    });
    match taken.await {
        Ok(()) => {}
        Err(fault) if fault.is_no_such_object() => return Ok(None),
        Err(fault) => return Err(fault),
    }
    let mut present = (**held).clone();
    let mut left_out = LeftOut::default();
    for entry in &entries {
        let Some(name) = entry.text("name").filter(|_| !node::is_bare(entry)) else { return Ok(None) };
        place(&mut present, zone, name, entry, &mut left_out);
    }
    // A serial moves with changes that leave no other trace.
    Ok((node::serial(&present) == Some(held.serial()))
        .then(|| if present == **held { Arc::clone(held) } else { Arc::new(present) }))
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
