//! Names that belong to a zone's own infrastructure: never listed, never touched.

use std::collections::BTreeSet;

use super::canonical::canonical_name;
use crate::dns::{Name, Rdata, RecordType, WireReader, ZoneContents, ZoneName, ZoneSet};

/// Active Directory's own subtrees.
const SUBTREES: [&str; 4] = ["_msdcs", "_sites", "domaindnszones", "forestdnszones"];
/// Services that a domain announces at its apex.
const LOCATORS: [&str; 5] = ["_ldap", "_gc", "_kerberos", "_kerberos-master", "_kpasswd"];
const PROTOCOLS: [&str; 2] = ["_tcp", "_udp"];

/// An entry of `RFC2136_PROTECTED_NAMES`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectedName {
    /// Relative to each zone, or absolute when it lies in one; `@` is the apex.
    pub name: String,
    /// What the entry does.
    pub effect: Protection,
}

/// What an entry of `RFC2136_PROTECTED_NAMES` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// `name`: protects the name.
    Exact,
    /// `.name`: protects the name and all below it.
    Subtree,
    /// `-name`: lifts the protection of the name and of what lies below it.
    Lift,
}

/// The rules, as they follow from the configuration.
#[derive(Debug, Clone, Default)]
pub struct Protected {
    rules: Vec<(Name, Protection)>,
}

impl Protected {
    /// Applies the entries to each zone. An entry that is no name protects nothing.
    #[must_use]
    pub fn new(entries: &[ProtectedName], zones: &ZoneSet) -> Self {
        let absolute = |entry: &ProtectedName| {
            let effect = entry.effect;
            absolute_names(&entry.name, zones).into_iter().map(move |name| (name, effect))
        };
        Self { rules: entries.iter().flat_map(absolute).collect() }
    }

    /// Whether an RRset is protected. Where it is not known what the zone holds, only what is protected everywhere is.
    #[must_use]
    pub fn covers(
        &self,
        zone: &ZoneName,
        infrastructure: Option<&Infrastructure>,
        name: &Name,
        rtype: RecordType,
    ) -> bool {
        let apex = zone.as_name();
        if name == apex && matches!(rtype, RecordType::SOA | RecordType::NS) {
            return true;
        }
        if self.rules.iter().any(|(lifted, effect)| *effect == Protection::Lift && name.is_at_or_below(lifted)) {
            return false;
        }
        self.is_listed(name)
            || is_infrastructure(apex, name)
            || infrastructure.is_some_and(|infrastructure| infrastructure.covers(name, rtype))
    }

    fn is_listed(&self, name: &Name) -> bool {
        self.rules.iter().any(|(rule, effect)| match effect {
            Protection::Exact => name == rule,
            Protection::Subtree => name.is_at_or_below(rule),
            Protection::Lift => false,
        })
    }
}

fn absolute_names(text: &str, zones: &ZoneSet) -> Vec<Name> {
    if text == "@" {
        return zones.iter().map(|zone| zone.as_name().clone()).collect();
    }
    let Ok(name) = canonical_name(text) else { return Vec::new() };
    if zones.find(&name).is_some() {
        return vec![name];
    }
    let below = |zone: &ZoneName| Name::from_labels(name.labels().chain(zone.as_name().labels())).ok();
    zones.iter().filter_map(below).collect()
}

fn child(labels: &[&str], apex: &Name) -> Option<Name> {
    Name::from_labels(labels.iter().map(|label| label.as_bytes()).chain(apex.labels())).ok()
}

/// What every zone protects, whatever it holds.
fn is_infrastructure(apex: &Name, name: &Name) -> bool {
    let depth = name.label_count().saturating_sub(apex.label_count());
    let Some(place) = depth.checked_sub(1).filter(|_| name.is_at_or_below(apex)) else { return false };
    // The label next to the apex, and the one before that.
    let mut labels = name.labels().skip(place.saturating_sub(1));
    let service = if place > 0 { labels.next() } else { None };
    let Some(label) = labels.next() else { return false };
    let is_one_of = |label: &[u8], known: &[&str]| known.iter().any(|known| known.as_bytes() == label);
    is_one_of(label, &SUBTREES)
        || (depth == 1 && label == b"_kerberos")
        || (depth == 2 && is_one_of(label, &PROTOCOLS) && service.is_some_and(|service| is_one_of(service, &LOCATORS)))
}

/// What a zone protects because of what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Infrastructure {
    /// Its name servers and, in a domain's zone, its controllers and the domain itself: their addresses.
    hosts: BTreeSet<Name>,
    /// FreeIPA's name for its certificate authorities.
    authorities: Option<Name>,
}

impl Infrastructure {
    /// What is in a zone.
    #[must_use]
    pub fn of(contents: &ZoneContents) -> Self {
        let apex = contents.zone().as_name();
        let named_by = |owner: &Name, rtype, skip| {
            let rdata = contents.rrset(owner, rtype).map(|rrset| rrset.rdata).unwrap_or_default();
            rdata.iter().filter_map(move |rdata| host(rdata, skip))
        };
        let mut hosts: BTreeSet<Name> = named_by(apex, RecordType::NS, 0).collect();
        if child(&["_msdcs"], apex).is_some_and(|msdcs| contents.at_or_below(&msdcs).next().is_some()) {
            hosts.insert(apex.clone());
            hosts.extend(child(&["_ldap", "_tcp"], apex).iter().flat_map(|owner| named_by(owner, RecordType::SRV, 6)));
        }
        let realm = child(&["_kerberos"], apex).filter(|realm| contents.rrset(realm, RecordType::TXT).is_some());
        Self { hosts, authorities: realm.and_then(|_| child(&["ipa-ca"], apex)) }
    }

    fn covers(&self, name: &Name, rtype: RecordType) -> bool {
        (matches!(rtype, RecordType::A | RecordType::AAAA) && self.hosts.contains(name))
            || self.authorities.as_ref() == Some(name)
    }
}

/// The name in RDATA after `skip` octets.
pub(super) fn host(rdata: &Rdata, skip: usize) -> Option<Name> {
    WireReader::at(rdata.as_wire(), skip).name().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Ttl;
    use crate::dns::presentation::parse_target;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn contents(records: &[(&str, RecordType, &str)]) -> ZoneContents {
        let mut contents = ZoneContents::new("ad.test".parse().unwrap(), 1);
        for (owner, rtype, target) in records {
            let rdata = parse_target(*rtype, target, |text| text.parse()).unwrap();
            contents.add(&name(owner), *rtype, Ttl::ZERO, rdata);
        }
        contents
    }

    fn rules(entries: &[(&str, Protection)]) -> Protected {
        let zones = ZoneSet::new(vec!["ad.test".parse().unwrap()]).unwrap();
        let entry = |(name, effect): &(&str, Protection)| ProtectedName { name: (*name).to_owned(), effect: *effect };
        Protected::new(&entries.iter().map(entry).collect::<Vec<_>>(), &zones)
    }

    fn covers(protected: &Protected, contents: &ZoneContents, owner: &str, rtype: RecordType) -> bool {
        protected.covers(contents.zone(), Some(&Infrastructure::of(contents)), &name(owner), rtype)
    }

    #[test]
    fn a_domain_keeps_its_locators_controllers_and_subtrees() {
        let zone = contents(&[
            ("ad.test", RecordType::NS, "dc1.ad.test"),
            ("_ldap._tcp.ad.test", RecordType::SRV, "0 100 389 dc2.ad.test."),
            ("x._msdcs.ad.test", RecordType::CNAME, "dc1.ad.test"),
        ]);
        let protected = rules(&[]);
        for (owner, rtype) in [
            ("ad.test", RecordType::NS),
            ("ad.test", RecordType::A),
            ("dc1.ad.test", RecordType::A),
            ("dc2.ad.test", RecordType::AAAA),
            ("gc._msdcs.ad.test", RecordType::A),
            ("_kerberos._udp.ad.test", RecordType::SRV),
            ("_kerberos.ad.test", RecordType::TXT),
        ] {
            assert!(covers(&protected, &zone, owner, rtype), "{owner}");
        }
        for (owner, rtype) in [
            ("dc1.ad.test", RecordType::TXT),
            ("_sip._tcp.ad.test", RecordType::SRV),
            ("_ldap._tcp.app.ad.test", RecordType::SRV),
            ("_ldap.ad.test", RecordType::SRV),
            ("_tcp.ad.test", RecordType::SRV),
            ("x._ldap._tcp.ad.test", RecordType::SRV),
            ("x._kerberos.ad.test", RecordType::TXT),
            ("_msdcs.other.test", RecordType::A),
            ("web.ad.test", RecordType::A),
        ] {
            assert!(!covers(&protected, &zone, owner, rtype), "{owner}");
        }
    }

    #[test]
    fn a_plain_zone_does_not_protect_its_apex_address() {
        assert!(!covers(&rules(&[]), &contents(&[]), "ad.test", RecordType::A));
    }

    #[test]
    fn entries_add_and_lift() {
        let protected = rules(&[
            ("db", Protection::Exact),
            ("infra", Protection::Subtree),
            ("_sites", Protection::Lift),
            ("vip.ad.test", Protection::Exact),
        ]);
        let zone = contents(&[]);
        assert!(covers(&protected, &zone, "db.ad.test", RecordType::A));
        assert!(!covers(&protected, &zone, "x.db.ad.test", RecordType::A));
        assert!(covers(&protected, &zone, "x.infra.ad.test", RecordType::A));
        assert!(covers(&protected, &zone, "vip.ad.test", RecordType::A));
        assert!(!covers(&protected, &zone, "x._sites.ad.test", RecordType::A));
    }
}
