//! Names that belong to a zone's own infrastructure: never listed, never touched.

use super::canonical::canonical_name;
use crate::dns::wire::Reader;
use crate::dns::{Name, Rdata, RecordType, ZoneContents, ZoneName, ZoneSet};

/// Active Directory's own subtrees.
const SUBTREES: [&str; 4] = ["_msdcs", "_sites", "domaindnszones", "forestdnszones"];
/// Services that a domain announces at its apex.
const LOCATORS: [&str; 5] = ["_ldap", "_gc", "_kerberos", "_kerberos-master", "_kpasswd"];

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

    /// Whether an RRset is protected. Without the zone's contents only what is protected everywhere is.
    #[must_use]
    pub fn covers(&self, zone: &ZoneName, contents: Option<&ZoneContents>, name: &Name, rtype: RecordType) -> bool {
        let apex = zone.as_name();
        if name == apex && matches!(rtype, RecordType::SOA | RecordType::NS) {
            return true;
        }
        if self.rules.iter().any(|(lifted, effect)| *effect == Protection::Lift && name.is_at_or_below(lifted)) {
            return false;
        }
        self.is_listed(name)
            || is_infrastructure(apex, name)
            || contents.is_some_and(|contents| is_infrastructure_of(contents, name, rtype))
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
    let at_or_below = |label: &str| child(&[label], apex).is_some_and(|subtree| name.is_at_or_below(&subtree));
    let is = |labels: &[&str]| child(labels, apex).as_ref() == Some(name);
    SUBTREES.iter().any(|label| at_or_below(label))
        || is(&["_kerberos"])
        || LOCATORS.iter().any(|service| is(&[service, "_tcp"]) || is(&[service, "_udp"]))
}

/// What a zone protects because of what it holds.
fn is_infrastructure_of(contents: &ZoneContents, name: &Name, rtype: RecordType) -> bool {
    let apex = contents.zone().as_name();
    let names_host = |owner: &Name, rtype, skip| {
        contents
            .rrset(owner, rtype)
            .is_some_and(|rrset| rrset.rdata.iter().any(|rdata| host(rdata, skip).as_ref() == Some(name)))
    };
    if matches!(rtype, RecordType::A | RecordType::AAAA) {
        let is_domain = || child(&["_msdcs"], apex).is_some_and(|msdcs| contents.at_or_below(&msdcs).next().is_some());
        let is_controller =
            || child(&["_ldap", "_tcp"], apex).is_some_and(|owner| names_host(&owner, RecordType::SRV, 6));
        if names_host(apex, RecordType::NS, 0) || ((name == apex || is_controller()) && is_domain()) {
            return true;
        }
    }
    child(&["ipa-ca"], apex).as_ref() == Some(name)
        && child(&["_kerberos"], apex).is_some_and(|realm| contents.rrset(&realm, RecordType::TXT).is_some())
}

/// The name in RDATA after `skip` octets.
pub(super) fn host(rdata: &Rdata, skip: usize) -> Option<Name> {
    Reader::at(rdata.as_wire(), skip).name().ok()
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
        protected.covers(contents.zone(), Some(contents), &name(owner), rtype)
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
