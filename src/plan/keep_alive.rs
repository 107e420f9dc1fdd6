//! Records that are refreshed before a directory takes them out as forgotten: which ones, when, and by what update.
//!
//! Active Directory ages records that came by updates: one that nobody refreshes within its zone's no-refresh and refresh
//! intervals may be scavenged. ExternalDNS sends nothing while nothing changes, so somebody else must.

pub mod pace;
pub mod schedule;

use std::collections::BTreeMap;

use super::Policy;
use super::batch::room;
use super::canonical::{canonical_name, canonical_rdata, canonical_set, canonical_type};
use super::listing;
use super::ownership::{Claim, claim};
use super::registry::{may_speak_for, owned_candidates};
use crate::api::Endpoint;
use crate::dns::{Name, Operation, Prerequisite, Rdata, RecordType, RrsetRef, Update, ZoneContents, ZoneName};

pub use pace::{Basis, Pace};
pub use schedule::{Due, Kept, Schedule};

/// The identity of an RRset.
pub type Key = (Name, RecordType);

/// By what an update refreshes a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Manner {
    /// By adding what is there (RFC 2136 §3.4.2.2), which servers of a directory take for a refresh.
    #[default]
    Add,
    /// By deleting it and adding it in the same message: BIND passes nothing on to Samba's BIND9_DLZ that is there already.
    Replace,
}

/// What the caller wants to be there, as it said last: of each RRset every value that it may choose from.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Desired(BTreeMap<Key, Vec<Vec<Rdata>>>);

impl Desired {
    /// What these endpoints ask for.
    #[must_use]
    pub fn of(endpoints: &[Endpoint]) -> Self {
        let mut desired = Self::default();
        for endpoint in endpoints {
            let (Ok(name), Ok(rtype)) = (canonical_name(&endpoint.dns_name), canonical_type(&endpoint.record_type))
            else {
                continue;
            };
            if let Ok(rdata) = canonical_rdata(rtype, &endpoint.targets) {
                desired.0.entry((name, rtype)).or_default().push(canonical_set(rtype, &rdata));
            }
        }
        desired
    }

    /// The RRsets of a zone that are kept alive: those that stand as they are wanted, and the registry TXT that speak for
    /// them. What differs is about to be changed, or is somebody else's.
    #[must_use]
    pub fn standing(&self, contents: &ZoneContents, policy: &Policy) -> Vec<Key> {
        let mut keys = Vec::new();
        listing::visit(contents, policy, |rrset| {
            if self.is_kept(rrset, contents) {
                keys.push((rrset.name.clone(), rrset.rtype));
            }
        });
        keys
    }

    fn is_kept(&self, rrset: &RrsetRef<'_>, contents: &ZoneContents) -> bool {
        self.is_wanted(rrset) || self.is_text_of_wanted(rrset, contents)
    }

    fn is_wanted(&self, rrset: &RrsetRef<'_>) -> bool {
        let wanted = self.0.get(&(rrset.name.clone(), rrset.rtype));
        wanted.is_some_and(|wanted| wanted.contains(&canonical_set(rrset.rtype, rrset.rdata)))
    }

    fn is_text_of_wanted(&self, rrset: &RrsetRef<'_>, contents: &ZoneContents) -> bool {
        let is_registry =
            rrset.rtype == RecordType::TXT && rrset.rdata.iter().any(|text| claim(text) != Claim::Foreign);
        is_registry
            && owned_candidates(rrset.name).any(|owned| {
                contents.at(&owned).any(|held| may_speak_for(rrset.name, &owned, held.rtype) && self.is_wanted(&held))
            })
    }

    /// Updates that refresh these RRsets as far as they still stand, and change nothing; of each, which RRsets it is about.
    #[must_use]
    pub fn refreshes(&self, due: &[Due], contents: &ZoneContents, policy: &Policy) -> Vec<(Update, Vec<Due>)> {
        let zone = contents.zone();
        let (shared, _) = room(policy.profile);
        let mut updates: Vec<(Update, Vec<Due>)> = Vec::new();
        let mut left = 0_usize;
        for one in due {
            let (name, rtype) = &one.key;
            let held = contents.rrset(name, *rtype).filter(|held| self.is_kept(held, contents));
            let Some(single) = held.and_then(|held| refresh(zone, &held, one.manner)) else { continue };
            // More than it takes among others, whose names it may point at.
            let octets = single.octets();
            match updates.last_mut().filter(|(_, about)| about.len() < policy.batch_change_size && octets <= left) {
                Some((update, about)) => {
                    left -= octets;
                    update.prerequisites.extend(single.prerequisites);
                    update.operations.extend(single.operations);
                    about.push(one.clone());
                }
                None => {
                    left = shared.saturating_sub(octets);
                    updates.push((single, vec![one.clone()]));
                }
            }
        }
        updates
    }

    /// Whether nothing is wanted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Adds to an RRset what it holds, if it still holds exactly that: what is deleted meanwhile stays so.
fn refresh(zone: &ZoneName, held: &RrsetRef<'_>, manner: Manner) -> Option<Update> {
    let (name, rtype, ttl) = (held.name, held.rtype, held.ttl);
    let delete = |rdata: &Rdata| Operation::Delete { name: name.clone(), rtype, rdata: rdata.clone() };
    let add = |rdata: &Rdata| Operation::Add { name: name.clone(), rtype, ttl, rdata: rdata.clone() };
    let deleted = if manner == Manner::Replace { held.rdata } else { &[] };
    Some(Update {
        zone: zone.clone(),
        prerequisites: vec![Prerequisite::RrsetEquals(held.to_rrset()?)],
        operations: deleted.iter().map(delete).chain(held.rdata.iter().map(add)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Ttl;
    use crate::dns::presentation::parse_target;
    use crate::plan::fake_zone;
    use crate::plan::tests::policy;

    const HERITAGE: &str = "\"heritage=external-dns,external-dns/owner=k8s\"";

    fn key(name: &str, rtype: RecordType) -> Key {
        (name.parse().unwrap(), rtype)
    }

    fn endpoint(name: &str, rtype: &str, targets: &[&str]) -> Endpoint {
        let targets = targets.iter().map(|target| (*target).to_owned()).collect();
        Endpoint { dns_name: name.to_owned(), record_type: rtype.to_owned(), targets, ..Endpoint::default() }
    }

    fn zone(records: &[(&str, RecordType, &str)]) -> ZoneContents {
        let mut contents = ZoneContents::new("example.test".parse().unwrap(), 1);
        for (name, rtype, target) in records {
            let rdata = parse_target(*rtype, target, |text| text.parse()).unwrap();
            contents.add(&name.parse().unwrap(), *rtype, Ttl::from_secs(60), rdata);
        }
        contents
    }

    fn standing(desired: &Desired, contents: &ZoneContents) -> Vec<Key> {
        desired.standing(contents, &policy(&["example.test"]))
    }

    fn due(keys: Vec<Key>, manner: Manner) -> Vec<Due> {
        keys.into_iter().map(|key| Due { key, manner }).collect()
    }

    #[test]
    fn what_stands_as_it_is_wanted_is_kept_alive_with_the_texts_that_speak_for_it() {
        let contents = zone(&[
            ("www.example.test", RecordType::A, "192.0.2.1"),
            ("a-www.example.test", RecordType::TXT, HERITAGE),
            ("aaaa-www.example.test", RecordType::TXT, HERITAGE),
            ("note-www.example.test", RecordType::TXT, "\"v=spf1 -all\""),
            // Another value than is wanted, and one that nobody wants.
            ("changed.example.test", RecordType::A, "192.0.2.9"),
            ("a-changed.example.test", RecordType::TXT, HERITAGE),
            ("foreign.example.test", RecordType::A, "192.0.2.3"),
            ("a-foreign.example.test", RecordType::TXT, HERITAGE),
            // Hidden by a delegation, and of the zone itself.
            ("sub.example.test", RecordType::NS, "ns.elsewhere.test"),
            ("hidden.sub.example.test", RecordType::A, "192.0.2.4"),
            ("example.test", RecordType::NS, "ns.example.test"),
            ("ns.example.test", RecordType::A, "192.0.2.5"),
        ]);
        let desired = Desired::of(&[
            endpoint("WWW.example.test", "A", &["192.0.2.1"]),
            endpoint("changed.example.test", "A", &["192.0.2.2"]),
            endpoint("absent.example.test", "A", &["192.0.2.2"]),
            endpoint("hidden.sub.example.test", "A", &["192.0.2.4"]),
            endpoint("ns.example.test", "A", &["192.0.2.5"]),
            endpoint("no name", "A", &["192.0.2.5"]),
        ]);
        let kept = [key("a-www.example.test", RecordType::TXT), key("www.example.test", RecordType::A)];
        assert_eq!(standing(&desired, &contents), kept);
        // Of candidates that differ ExternalDNS has chosen one, and nobody here knows which.
        let candidates = ["192.0.2.8", "192.0.2.1"].map(|target| endpoint("www.example.test", "A", &[target]));
        assert_eq!(standing(&Desired::of(&candidates), &contents), kept);
        assert_eq!(standing(&Desired::default(), &contents), []);
    }

    #[test]
    fn a_refresh_changes_nothing_and_brings_nothing_back() {
        let contents = zone(&[
            ("a.example.test", RecordType::A, "192.0.2.1"),
            ("a.example.test", RecordType::A, "192.0.2.2"),
            ("b.example.test", RecordType::TXT, "\"text\""),
        ]);
        let desired = Desired::of(&[
            endpoint("a.example.test", "A", &["192.0.2.2", "192.0.2.1"]),
            endpoint("b.example.test", "TXT", &["text"]),
        ]);
        for (manner, operations) in [(Manner::Add, 3), (Manner::Replace, 6)] {
            let due = due(standing(&desired, &contents), manner);
            let updates = desired.refreshes(&due, &contents, &policy(&["example.test"]));
            let [(update, about)] = &updates[..] else { panic!("{updates:?}") };
            assert_eq!((about, update.operations.len()), (&due, operations));
            let mut after = contents.clone();
            fake_zone::apply(update, &mut after).unwrap();
            assert_eq!(after, contents);
            let mut changed = contents.clone();
            changed.remove_rrset(&due[0].key.0, RecordType::A);
            let before = changed.clone();
            assert!(fake_zone::apply(update, &mut changed).is_err());
            assert_eq!(changed, before);
            // Nor is it asked for, once that is known.
            let updates = desired.refreshes(&due, &changed, &policy(&["example.test"]));
            assert_eq!(updates.iter().flat_map(|(_, about)| about).collect::<Vec<_>>(), [&due[1]]);
        }
    }

    #[test]
    fn messages_hold_as_many_records_as_are_allowed_and_as_fit() {
        let name = |number: usize| format!("h{number}.example.test");
        let long = format!("\"{}\"", "x".repeat(250));
        let names: Vec<String> = (0..300).map(name).collect();
        let records: Vec<_> = names.iter().map(|name| (name.as_str(), RecordType::TXT, long.as_str())).collect();
        let contents = zone(&records);
        let endpoints: Vec<Endpoint> = names.iter().map(|name| endpoint(name, "TXT", &[&long])).collect();
        let desired = Desired::of(&endpoints);
        for batch_change_size in [7, 200] {
            let policy = Policy { batch_change_size, ..policy(&["example.test"]) };
            let due = due(desired.standing(&contents, &policy), Manner::Add);
            let updates = desired.refreshes(&due, &contents, &policy);
            let room = room(policy.profile).0;
            assert!(updates.iter().all(|(update, about)| update.octets() <= room && about.len() <= batch_change_size));
            assert_eq!(updates.iter().map(|(_, about)| about.len()).sum::<usize>(), 300);
            assert!(updates.len() >= 10);
        }
    }
}
