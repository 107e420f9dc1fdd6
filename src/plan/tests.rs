//! The planner as a whole, against a stateful name server.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::fake_zone;
use super::*;
use crate::api::{Changes, Endpoint};
use crate::dns::presentation::parse_target;
use crate::dns::{Name, Operation, Prerequisite, Rdata, RecordType, ZoneContents};

const OWNER: &str = "k8s";

pub(super) fn policy(zones: &[&str]) -> Policy {
    Policy {
        zones: ZoneSet::new(zones.iter().map(|zone| zone.parse().unwrap()).collect()).unwrap(),
        profile: ServerProfile::Auto,
        min_ttl: Ttl::ZERO,
        default_ttl: Ttl::from_secs(300),
        protected: Protected::default(),
        allow_unowned: false,
        max_deletes: None,
        prerequisites: true,
        batch_change_size: 5,
    }
}

fn heritage(owner: &str) -> String {
    format!("\"heritage=external-dns,external-dns/owner={owner},external-dns/resource=service/default/web\"")
}

fn record(name: &str, rtype: &str, targets: &[&str]) -> Endpoint {
    Endpoint {
        dns_name: name.to_owned(),
        record_type: rtype.to_owned(),
        targets: targets.iter().map(|target| (*target).to_owned()).collect(),
        labels: BTreeMap::from([("owner".to_owned(), OWNER.to_owned())]),
        ..Endpoint::default()
    }
}

/// A registry TXT as ExternalDNS names it.
fn registry(name: &str, rtype: &str, owner: &str) -> Endpoint {
    let text_name = format!("{}-{name}", rtype.to_lowercase());
    let labels = BTreeMap::from([("ownedRecord".to_owned(), name.to_owned())]);
    Endpoint { labels, ..record(&text_name, "TXT", &[&heritage(owner)]) }
}

fn owned(name: &str, rtype: &str, targets: &[&str]) -> Vec<Endpoint> {
    vec![record(name, rtype, targets), registry(name, rtype, OWNER)]
}

fn create(endpoints: Vec<Endpoint>) -> Changes {
    Changes { create: endpoints, ..Changes::default() }
}

fn delete(endpoints: Vec<Endpoint>) -> Changes {
    Changes { delete: endpoints, ..Changes::default() }
}

fn update(old: Vec<Endpoint>, new: Vec<Endpoint>) -> Changes {
    Changes { update_old: old, update_new: new, ..Changes::default() }
}

fn rdata(rtype: &str, target: &str) -> Rdata {
    parse_target(rtype.parse().unwrap(), target, |text| text.parse()).unwrap()
}

/// The name servers of all zones.
#[derive(Debug, Clone, PartialEq, Eq)]
struct World(BTreeMap<crate::dns::ZoneName, ZoneContents>);

/// What became of an apply.
#[derive(Debug, Default)]
struct Applied {
    refused: Vec<Refusal>,
    failed: usize,
    batches: Vec<Batch>,
}

impl World {
    fn new(policy: &Policy) -> Self {
        Self(policy.zones.iter().map(|zone| (zone.clone(), ZoneContents::new(zone.clone(), 1))).collect())
    }

    fn with(mut self, name: &str, rtype: &str, targets: &[&str]) -> Self {
        for target in targets {
            self.put(name, rtype.parse().unwrap(), rdata(rtype, target));
        }
        self
    }

    fn put(&mut self, name: &str, rtype: RecordType, rdata: Rdata) {
        let name: Name = name.parse().unwrap();
        let zones = ZoneSet::new(self.0.keys().cloned().collect()).unwrap();
        let zone = zones.find(&name).unwrap();
        self.0.get_mut(zone).unwrap().add(&name, rtype, Ttl::from_secs(300), rdata);
    }

    fn copies(&self) -> Copies {
        self.0.iter().map(|(zone, contents)| (zone.clone(), Arc::new(contents.clone()))).collect()
    }

    fn texts(&self, name: &str, rtype: &str) -> Vec<String> {
        let (name, rtype): (Name, RecordType) = (name.parse().unwrap(), rtype.parse().unwrap());
        let rrset = self.0.values().find_map(|contents| contents.rrset(&name, rtype));
        rrset.map(|rrset| canonical::canonical_targets(rtype, rrset.rdata)).unwrap_or_default()
    }

    /// One apply against what this world holds.
    fn apply(&mut self, changes: &Changes, policy: &Policy) -> Applied {
        let copies = self.copies();
        self.apply_from(changes, &copies, policy)
    }

    /// One apply, planned from `copies`.
    fn apply_from(&mut self, changes: &Changes, copies: &Copies, policy: &Policy) -> Applied {
        let (changes, refused) = intake(changes, policy);
        let grouped = group(changes, policy);
        let mut outcome = Applied { refused, ..Applied::default() };
        outcome.refused.extend(grouped.refused);
        let (mut steps, mut ordered) = (BTreeMap::new(), Vec::new());
        for (index, group) in grouped.groups.iter().enumerate() {
            let planned: Result<Vec<_>, _> = group.parts.iter().map(|part| plan(group, part, copies, policy)).collect();
            match planned {
                Err(refused) => outcome.refused.extend(refused),
                Ok(parts) => {
                    for step in parts.into_iter().flatten() {
                        let indexed = Indexed { group: index, step: Arc::new(step) };
                        if group.parts.len() > 1 {
                            ordered.push(Batch { steps: vec![indexed] });
                        } else {
                            steps.entry(indexed.step.zone.clone()).or_insert_with(Vec::new).push(indexed);
                        }
                    }
                }
            }
        }
        let limits = Limits { endpoints: policy.batch_change_size, profile: policy.profile };
        outcome.batches = steps.into_values().flat_map(|steps| pack(steps, limits).0).chain(ordered).collect();
        for batch in &outcome.batches {
            let zone = &batch.steps[0].step.zone;
            let sent = fake_zone::apply(&batch.update(zone), self.0.get_mut(zone).unwrap());
            outcome.failed += usize::from(sent.is_err());
        }
        outcome
    }

    fn apply_all(&mut self, changes: &Changes, policy: &Policy) {
        let outcome = self.apply(changes, policy);
        assert_eq!(outcome.refused, []);
        assert_eq!(outcome.failed, 0);
    }
}

fn reasons(outcome: &Applied) -> Vec<&Reason> {
    let own = |refusal: &&Refusal| !matches!(refusal.reason, Reason::GoesWith { .. });
    outcome.refused.iter().filter(own).map(|refusal| &refusal.reason).collect()
}

mod defects;
mod hidden;
mod loops;
mod quarantine;
mod rules;
mod texts;

const NAMES: [&str; 4] = ["a.example.test", "b.example.test", "mx-1.example.test", "*.example.test"];

/// Wanted record sets: per name either a CNAME, or any of A, AAAA and TXT.
type Wants = BTreeMap<(&'static str, &'static str), Vec<String>>;

fn wants() -> impl Strategy<Value = Wants> {
    let set = |values: &'static [&'static str]| prop::collection::btree_set(prop::sample::select(values), 0..3);
    let node = (
        prop::bool::weighted(0.3),
        prop::sample::select(&["x.test", "y.test"][..]),
        set(&["192.0.2.1", "192.0.2.2", "192.0.2.3"]),
        set(&["2001:db8::1", "2001:db8::2"]),
        set(&["v=spf1 -all", "a;b", r"back\slash"]),
    );
    prop::array::uniform4(node).prop_map(|nodes| {
        let mut wants = Wants::new();
        for (name, (is_cname, target, a, aaaa, txt)) in NAMES.into_iter().zip(nodes) {
            let mut put = |rtype, targets: Vec<&str>| {
                if !targets.is_empty() {
                    wants.insert((name, rtype), targets.into_iter().map(str::to_owned).collect());
                }
            };
            if is_cname {
                put("CNAME", vec![target]);
                continue;
            }
            put("A", a.into_iter().collect());
            put("AAAA", aaaa.into_iter().collect());
            put("TXT", txt.into_iter().collect());
        }
        wants
    })
}

fn endpoints(name: &str, rtype: &str, targets: &[String]) -> Vec<Endpoint> {
    owned(name, rtype, &targets.iter().map(String::as_str).collect::<Vec<_>>())
}

/// What ExternalDNS asks to get from one state to another.
fn changes(have: &Wants, want: &Wants) -> Changes {
    let mut changes = Changes::default();
    for key in have.keys().chain(want.keys()).collect::<BTreeSet<_>>() {
        let of = |targets: &Vec<String>| endpoints(key.0, key.1, targets);
        match (have.get(key), want.get(key)) {
            (Some(old), Some(new)) if old != new => {
                changes.update_old.extend(of(old));
                changes.update_new.splice(0..0, of(new));
            }
            (Some(old), None) => changes.delete.extend(of(old)),
            (None, Some(new)) => changes.create.extend(of(new)),
            _ => {}
        }
    }
    changes
}

fn foreign(policy: &Policy) -> World {
    World::new(policy)
        .with("example.test", "NS", &["ns.example.test"])
        .with("a.sub.example.test", "A", &["198.51.100.1"])
        .with("a-a.example.test", "A", &["198.51.100.2"])
        .with("foreign.example.test", "CNAME", &["elsewhere.test"])
}

/// What a world holds beside the foreign records and the registry TXT.
fn state(world: &World, foreign: &World) -> BTreeMap<(String, String), Vec<String>> {
    let rrsets = world.0.values().flat_map(ZoneContents::iter);
    let is_foreign = |name: &Name, rtype| foreign.0.values().any(|zone| zone.rrset(name, rtype).is_some());
    let mut state = BTreeMap::new();
    for rrset in rrsets.filter(|rrset| !is_foreign(rrset.name, rrset.rtype)) {
        let targets = canonical::canonical_targets(rrset.rtype, rrset.rdata);
        state.insert((rrset.name.to_undotted(), rrset.rtype.to_string()), targets);
    }
    state
}

fn expected(want: &Wants) -> BTreeMap<(String, String), Vec<String>> {
    let mut state = BTreeMap::new();
    for ((name, rtype), targets) in want {
        let mut targets = targets.clone();
        targets.sort();
        state.insert(((*name).to_owned(), (*rtype).to_owned()), targets);
        state.insert((format!("{}-{name}", rtype.to_lowercase()), "TXT".to_owned()), vec![heritage(OWNER)]);
    }
    state
}

fn is_well_formed(outcome: &Applied, policy: &Policy) {
    let mut seen = BTreeSet::new();
    for batch in &outcome.batches {
        let zone = &batch.steps[0].step.zone;
        let update = batch.update(zone);
        let endpoints: usize = batch.steps.iter().map(|indexed| indexed.step.planned.len()).sum();
        assert!(batch.steps.len() == 1 || endpoints <= policy.batch_change_size);
        assert!(update.octets() <= policy.profile.message_octets());
        let mut added = BTreeSet::new();
        for operation in &update.operations {
            match operation {
                Operation::Add { name, .. } => drop(added.insert(name)),
                Operation::Delete { name, .. } | Operation::DeleteRrset { name, .. } => {
                    assert!(!added.contains(name), "deletes precede adds")
                }
            }
        }
        for indexed in &batch.steps {
            assert!(seen.insert(indexed.group), "a group is in one message");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn dns_becomes_what_is_wanted_and_the_second_plan_is_empty(path in prop::collection::vec(wants(), 1..5)) {
        let policy = policy(&["example.test"]);
        let foreign = foreign(&policy);
        let mut world = foreign.clone();
        let mut have = Wants::new();
        for want in path {
            let asked = changes(&have, &want);
            let outcome = world.apply(&asked, &policy);
            prop_assert_eq!(&outcome.refused, &[]);
            prop_assert_eq!(outcome.failed, 0);
            is_well_formed(&outcome, &policy);
            prop_assert_eq!(state(&world, &foreign), expected(&want));
            let before = world.clone();
            let again = world.apply(&asked, &policy);
            prop_assert_eq!(&again.refused, &[]);
            prop_assert_eq!(again.batches.len(), 0);
            prop_assert_eq!(&world, &before);
            have = want;
        }
    }

    #[test]
    fn nothing_foreign_changes_however_stale_the_copy(
        have in wants(), want in wants(), others in wants(), prompt: bool,
    ) {
        let policy = policy(&["example.test"]);
        let mut world = World::new(&policy);
        world.apply_all(&changes(&Wants::new(), &have), &policy);
        let copies = world.copies();
        // Somebody else's records come in wherever we hold nothing.
        let mut planted = World::new(&policy);
        for ((name, rtype), targets) in &others {
            let node = name.parse().unwrap();
            let zone = world.0.values().next().unwrap();
            if zone.at(&node).all(|held| (held.rtype == RecordType::CNAME) == (*rtype == "CNAME"))
                && zone.rrset(&node, rtype.parse().unwrap()).is_none()
            {
                for target in targets {
                    world.put(name, rtype.parse().unwrap(), rdata(rtype, target));
                    planted.put(name, rtype.parse().unwrap(), rdata(rtype, target));
                }
            }
        }
        let asked = changes(&have, &want);
        if !prompt {
            world.apply_from(&asked, &copies, &policy);
        }
        world.apply(&asked, &policy);
        for rrset in planted.0.values().flat_map(ZoneContents::iter) {
            let now = world.0.values().find_map(|zone| zone.rrset(rrset.name, rrset.rtype));
            prop_assert_eq!(now.map(|now| now.rdata), Some(rrset.rdata), "{}", rrset.name);
        }
    }
}

fn group_of(changes: &Changes, policy: &Policy) -> Group {
    let mut grouped = group(intake(changes, policy).0, policy);
    assert_eq!((grouped.groups.len(), grouped.refused.len()), (1, 0));
    grouped.groups.remove(0)
}

fn at(secs: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(secs)
}
