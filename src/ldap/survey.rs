//! What an account may see of a zone, and what the directory says about it.

use super::client::Reader;
use super::contents::nodes;
use super::directory::Directory;
use super::dns_record::{self, Value};
use super::error::{LdapError, LdapFault};
use super::message::Filter;
use super::node::is_tombstoned;
use super::zone_property::Properties;
use crate::dns::ZoneName;

/// What an account may see of a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// Where the zone is.
    pub base: String,
    /// What it is set to, as far as the account may see that.
    pub properties: Properties,
    /// Records that it holds.
    pub records: usize,
    /// Those with a time stamp, which ageing may take out.
    pub ageing: usize,
    /// Nodes that are marked as deleted.
    pub tombstones: usize,
}

impl Directory {
    /// Looks at a zone, for who wants to know whether it can be read.
    ///
    /// # Errors
    /// When it cannot, or is not there whole.
    pub async fn survey(&self, zone: &ZoneName) -> Result<Survey, LdapError> {
        let read = self.read(zone, None).await?;
        let base = read.marker.base().to_owned();
        let fail = |fault| LdapError { server: self.address().clone(), zone: Some(zone.clone()), fault };
        let mut reader = self.open().await.map_err(fail)?;
        let mut survey = Survey {
            properties: properties(&mut reader, &base).await.map_err(fail)?,
            base,
            records: read.contents.record_count(),
            ageing: 0,
            tombstones: 0,
        };
        let search = nodes(&survey.base, Filter::Present("dnsRecord"));
        let counted = reader.search(&search, |entry| {
            survey.tombstones += usize::from(is_tombstoned(&entry));
            survey.ageing += entry.values("dnsRecord").iter().filter(|octets| is_ageing(octets)).count();
            Ok(())
        });
        counted.await.map_err(fail)?;
        self.put_back(reader);
        Ok(survey)
    }
}

pub(super) async fn properties(reader: &mut Reader, base: &str) -> Result<Properties, LdapFault> {
    let zone = reader.entry(base.to_owned(), &["dNSProperty"]).await?.unwrap_or_default();
    let mut properties = Properties::default();
    zone.values("dNSProperty").iter().for_each(|octets| properties.take(octets));
    Ok(properties)
}

fn is_ageing(octets: &[u8]) -> bool {
    matches!(dns_record::parse(octets), Ok(Value::Record(record)) if record.time_stamp.is_some())
}
