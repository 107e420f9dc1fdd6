//! `POST /adjustendpoints`: what is desired in canonical form, without what can never be written.

use super::Policy;
use super::canonical::{
    canonical_name, canonical_rdata, canonical_targets, canonical_ttl, canonical_type, passed_over,
};
use super::reason::{Reason, Refusal};
use crate::api::Endpoint;
use crate::dns::RecordType;

/// The result of [`adjust`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Adjusted {
    /// What remains, in canonical form.
    pub endpoints: Vec<Endpoint>,
    /// What can never be written; and of an alias with several targets, which of them are.
    pub dropped: Vec<Refusal>,
}

/// Puts every endpoint in canonical form and leaves out what can never be written. Never fails because of one.
///
/// Endpoints that become equal are one; candidates of one name that still differ are left for ExternalDNS to choose from.
#[must_use]
pub fn adjust(desired: Vec<Endpoint>, policy: &Policy) -> Adjusted {
    let mut adjusted = Adjusted::default();
    let mut seen = std::collections::BTreeSet::new();
    for endpoint in desired {
        match check(&endpoint, policy) {
            Ok(canonical) => {
                let narrowed = canonical_type(&endpoint.record_type).ok();
                let narrowed = narrowed.and_then(|rtype| passed_over(rtype, &endpoint.targets));
                adjusted.dropped.extend(narrowed.map(|reason| refusal(&endpoint, reason, policy)));
                let identity = (
                    canonical.dns_name.clone(),
                    canonical.record_type.clone(),
                    canonical.targets.clone(),
                    canonical.record_ttl,
                    canonical.labels.clone(),
                );
                if seen.insert(identity) {
                    adjusted.endpoints.push(canonical);
                }
            }
            Err(reason) => adjusted.dropped.push(refusal(&endpoint, reason, policy)),
        }
    }
    adjusted
}

fn refusal(endpoint: &Endpoint, reason: Reason, policy: &Policy) -> Refusal {
    let zone = canonical_name(&endpoint.dns_name).ok().and_then(|name| policy.zones.find(&name).cloned());
    Refusal { zone, name: endpoint.dns_name.clone(), rtype: endpoint.record_type.clone(), reason }
}

fn check(endpoint: &Endpoint, policy: &Policy) -> Result<Endpoint, Reason> {
    let rtype = canonical_type(&endpoint.record_type)?;
    let name = canonical_name(&endpoint.dns_name)?;
    let zone = policy.zones.find(&name).ok_or(Reason::OutsideZones)?;
    if rtype == RecordType::CNAME && name == *zone.as_name() {
        return Err(Reason::ApexCname(zone.clone()));
    }
    if policy.protected.covers(zone, None, &name, rtype) {
        return Err(Reason::Protected);
    }
    if !policy.profile.holds(rtype) {
        return Err(Reason::NotInProfile(rtype));
    }
    let rdata = canonical_rdata(rtype, &endpoint.targets)?;
    if rdata.is_empty() {
        return Err(Reason::NoTargets);
    }
    Ok(Endpoint {
        dns_name: name.to_undotted(),
        targets: canonical_targets(rtype, &rdata),
        record_type: rtype.to_string(),
        record_ttl: canonical_ttl(endpoint, policy.min_ttl).map_or(0, |ttl| i64::from(ttl.as_secs())),
        labels: endpoint.labels.clone(),
        ..Endpoint::default()
    })
}
