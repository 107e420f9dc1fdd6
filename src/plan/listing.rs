//! `GET /records`: what a zone holds, one endpoint per RRset.

use super::Policy;
use super::canonical::canonical_targets;
use super::hidden::Shown;
use crate::api::Endpoint;
use crate::dns::ZoneContents;
use crate::dns::zone::RrsetRef;

/// The endpoints of one zone, in canonical form and order.
#[must_use]
pub fn list(contents: &ZoneContents, policy: &Policy) -> Vec<Endpoint> {
    let is_ours = |rrset: &RrsetRef<'_>| {
        policy.zones.find(rrset.name) == Some(contents.zone())
            && !policy.protected.covers(contents.zone(), Some(contents), rrset.name, rrset.rtype)
    };
    let (mut shown, mut endpoints) = (Shown::new(contents), Vec::new());
    for rrsets in contents.nodes() {
        shown.enter(rrsets.clone());
        endpoints
            .extend(rrsets.filter(|rrset| shown.shows(rrset) && is_ours(rrset)).filter_map(|rrset| endpoint(&rrset)));
    }
    endpoints
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
