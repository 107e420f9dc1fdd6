//! When the records of a zone were refreshed last, and what the zone makes of that.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use super::contents::nodes;
use super::directory::Directory;
use super::dns_record::node_name;
use super::error::LdapError;
use super::message::Filter;
use super::node::Node;
use super::survey::properties;
use super::zone_property::Properties;
use crate::dns::{Name, RecordType, ZoneName};

/// How old the records of a zone are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ages {
    /// What the zone is set to, as far as the account may see that.
    pub properties: Properties,
    /// When each RRset was refreshed last, by its oldest record; none of those that do not age.
    pub stamps: HashMap<(Name, RecordType), SystemTime>,
}

impl Directory {
    /// How old these RRsets of a zone are.
    ///
    /// # Errors
    /// When the zone is not there, or cannot be read.
    pub async fn ages(&self, zone: &ZoneName, wanted: &HashSet<(Name, RecordType)>) -> Result<Ages, LdapError> {
        let fail = |fault| LdapError { server: self.address().clone(), zone: Some(zone.clone()), fault };
        let base = self.find(zone).await?;
        let mut reader = self.open().await.map_err(fail)?;
        let mut ages = Ages { properties: properties(&mut reader, &base).await.map_err(fail)?, stamps: HashMap::new() };
        let search = nodes(&base, Filter::Present("dnsRecord"));
        let taken = reader.search(&search, |entry| {
            let Some(Ok(name)) = entry.text("name").map(|name| node_name(name, zone)) else { return Ok(()) };
            for record in Node::read(&entry).records {
                let key = (name.clone(), record.rtype);
                let Some(stamp) = record.refreshed().filter(|_| wanted.contains(&key)) else { continue };
                let stamp = SystemTime::UNIX_EPOCH + Duration::from_secs(stamp);
                let oldest = ages.stamps.entry(key).or_insert(stamp);
                *oldest = stamp.min(*oldest);
            }
            Ok(())
        });
        taken.await.map_err(fail)?;
        self.put_back(reader);
        Ok(ages)
    }
}
