//! `GET /records`: what a zone holds, one endpoint per RRset.

use super::Policy;
use super::canonical::canonical_targets;
use super::hidden::{Below, Cover, cover};
use crate::api::Endpoint;
use crate::dns::ZoneContents;
use crate::dns::zone::RrsetRef;

/// The endpoints of one zone, in canonical form and order.
#[must_use]
pub fn list(contents: &ZoneContents, policy: &Policy) -> Vec<Endpoint> {
    let mut below: Option<Below<'_>> = None;
    let mut is_shown = |rrset: &RrsetRef<'_>| match cover(contents, rrset.name, rrset.rtype) {
        None => true,
        Some(Cover::Dname(_)) => false,
        Some(Cover::Cut(cut)) => {
            // What is below one delegation comes together.
            let known = below.take().filter(|below| below.is_of(&cut));
            below.insert(known.unwrap_or_else(|| Below::new(contents, cut))).shows(rrset.name, rrset.rtype)
        }
    };
    let is_ours = |rrset: &RrsetRef<'_>| {
        policy.zones.find(rrset.name) == Some(contents.zone())
            && !policy.protected.covers(contents.zone(), Some(contents), rrset.name, rrset.rtype)
    };
    contents.iter().filter(is_ours).filter(|rrset| is_shown(rrset)).filter_map(|rrset| endpoint(&rrset)).collect()
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
