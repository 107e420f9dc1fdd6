//! `GET /records`: what a zone holds, one endpoint per RRset.

use super::Policy;
use super::canonical::canonical_targets;
use super::protected::host;
use crate::api::Endpoint;
use crate::dns::zone::RrsetRef;
use crate::dns::{Name, RecordType, ZoneContents};

/// The endpoints of one zone, in canonical form and order.
#[must_use]
pub fn list(contents: &ZoneContents, policy: &Policy) -> Vec<Endpoint> {
    contents.iter().filter(|rrset| is_listed(contents, rrset, policy)).filter_map(|rrset| endpoint(&rrset)).collect()
}

fn is_listed(contents: &ZoneContents, rrset: &RrsetRef<'_>, policy: &Policy) -> bool {
    policy.zones.find(rrset.name) == Some(contents.zone())
        && !policy.protected.covers(contents.zone(), Some(contents), rrset.name, rrset.rtype)
        && hiding_delegation(contents, rrset.name, rrset.rtype).is_none()
}

/// None when the RDATA has no presentation form.
fn endpoint(rrset: &RrsetRef<'_>) -> Option<Endpoint> {
    let targets = canonical_targets(rrset.rtype, rrset.rdata);
    (!targets.is_empty()).then(|| Endpoint {
        dns_name: rrset.name.to_undotted(),
        targets,
        record_type: rrset.rtype.to_string(),
        record_ttl: i64::from(rrset.ttl.as_secs()),
        ..Endpoint::default()
    })
}

/// The delegation below which an RRset is not this zone's: all but the NS RRset itself and the glue of its servers.
#[must_use]
pub fn hiding_delegation<'a>(contents: &'a ZoneContents, name: &Name, rtype: RecordType) -> Option<RrsetRef<'a>> {
    let cut = contents.delegation_of(name)?;
    let is_cut = cut.name == name && matches!(rtype, RecordType::NS | RecordType::DS);
    let is_glue = matches!(rtype, RecordType::A | RecordType::AAAA)
        && cut.rdata.iter().any(|server| host(server, 0).as_ref() == Some(name));
    (!is_cut && !is_glue).then_some(cut)
}
