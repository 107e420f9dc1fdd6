//! Two owners in one zone at once: each name is one owner's in the end, and nothing is lost.
//!
//! `SOAK=1000` asks for so many changes of each owner.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Backend, Changes, Endpoint, Kdc, Named, Samba, Settings, Sidecar, Zone};

/// Changes that each owner asks for at least.
fn changes_each() -> usize {
    std::env::var("SOAK").map_or(120, |text| text.parse().expect("SOAK is a number of changes"))
}

/// Names that only one owner wants, and such that both want.
const NAMES: usize = 12;
/// Why somebody may not have a name that somebody else has.
const LOST: [&str; 5] = ["exists_unowned", "other_owner", "prerequisite_failed", "no_registry_text", "cname_not_alone"];

/// A small generator of choices, the same in every run.
struct Choices(u64);

impl Choices {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

/// An ExternalDNS with its sidecar.
struct Owner {
    id: &'static str,
    zone: &'static str,
    settings: Settings,
    sidecar: Sidecar,
    choices: Choices,
    /// What it wants, by name.
    wanted: BTreeMap<String, Endpoint>,
    is_killed: bool,
}

/// Name and type of a record set.
type Key = (String, String);

/// What is listed: every record set but registry TXT, and whose it is by them.
#[derive(Debug, Default)]
struct Listed {
    records: BTreeMap<Key, Endpoint>,
    owners: BTreeMap<Key, BTreeSet<String>>,
}

impl Listed {
    fn of(records: &[Value]) -> Self {
        let mut listed = Self::default();
        for json in records {
            let text = |key: &str| json[key].as_str().unwrap().to_owned();
            let (name, record_type) = (text("dnsName"), text("recordType"));
            let targets: Vec<&str> = json["targets"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect();
            let owner = targets[0].split_once("external-dns/owner=").map(|(_, rest)| rest.split(',').next().unwrap());
            match (owner, name.split_once('-')) {
                (Some(owner), Some((record_type, record))) => {
                    let key = (record.to_owned(), record_type.to_uppercase());
                    listed.owners.entry(key).or_default().insert(owner.to_owned());
                }
                _ => {
                    let endpoint = Endpoint::new(&name, &record_type, &targets);
                    listed.records.insert((name, record_type), endpoint);
                }
            }
        }
        listed
    }

    fn is_of(&self, endpoint: &Endpoint, owner: &str) -> bool {
        self.owners.get(&key(endpoint)).is_some_and(|owners| owners.contains(owner))
    }

    fn at(&self, name: &str) -> impl Iterator<Item = &Endpoint> {
        self.records.values().filter(move |endpoint| endpoint.name == name)
    }
}

fn key(endpoint: &Endpoint) -> Key {
    (endpoint.name.clone(), endpoint.record_type.clone())
}

impl Owner {
    fn new(id: &'static str, zone: &'static str, settings: Settings, is_killed: bool) -> Self {
        let sidecar = settings.start();
        let choices = Choices(id.bytes().map(u64::from).sum());
        Self { id, zone, settings, sidecar, choices, wanted: BTreeMap::new(), is_killed }
    }

    /// Wants something else of some names.
    fn change_its_mind(&mut self) {
        for _ in 0..NAMES / 2 {
            let number = self.choices.below(NAMES);
            let whose = if self.choices.below(3) == 0 { "both" } else { self.id };
            let name = format!("{whose}{number}.{}", self.zone);
            let value = self.choices.below(200);
            let endpoint = match self.choices.below(5) {
                0 => None,
                1 => Some(Endpoint::new(&name, "CNAME", &[&format!("t{value}.example.com")])),
                2 => Some(Endpoint::new(&name, "TXT", &[&format!("{}{value}", self.id)])),
                _ => Some(Endpoint::a(&name, &[&format!("192.0.2.{value}")])),
            };
            match endpoint {
                Some(endpoint) => self.wanted.insert(name, endpoint.owner(self.id)),
                None => self.wanted.remove(&name),
            };
        }
    }

    /// What ExternalDNS would ask for, and how many changes that is.
    fn plan(&self, listed: &Listed) -> (usize, Changes) {
        let (mut count, mut changes) = (0, Changes::new());
        let is_kept =
            |held: &Endpoint| self.wanted.get(&held.name).is_some_and(|wanted| wanted.record_type == held.record_type);
        let ours: Vec<&Endpoint> = listed.records.values().filter(|held| listed.is_of(held, self.id)).collect();
        for held in ours.iter().filter(|held| !is_kept(held)) {
            changes = changes.delete(&(*held).clone().owner(self.id));
            count += 1;
        }
        for wanted in self.wanted.values() {
            match ours.iter().find(|held| key(held) == key(wanted)) {
                Some(held) if held.targets == wanted.targets => continue,
                Some(held) => changes = changes.update(&(*held).clone().owner(self.id), wanted),
                // What is somebody else's already is not asked for.
                None if listed.at(&wanted.name).any(|held| !listed.is_of(held, self.id)) => continue,
                None => changes = changes.create(wanted),
            }
            count += 1;
        }
        (count, changes)
    }

    /// One interval; none where the sidecar did not live to see its end.
    fn reconcile(&mut self) -> Option<usize> {
        let listed = Listed::of(&self.sidecar.try_records()?);
        let (count, changes) = self.plan(&listed);
        if count > 0 {
            let status = self.sidecar.try_apply(&changes)?;
            assert!(status == 204 || (500..=510).contains(&status), "{status}");
        }
        Some(count)
    }

    fn run(&mut self) {
        let mut changed = 0;
        while changed < changes_each() {
            self.change_its_mind();
            let killer = self.is_killed.then(|| self.sidecar.kill_after(Duration::from_millis(200)));
            match killer {
                None => changed += self.reconcile().expect("its sidecar lives"),
                Some(killer) => {
                    while let Some(count) = self.reconcile() {
                        changed += count;
                        self.change_its_mind();
                    }
                    killer.join().unwrap();
                    self.sidecar = self.settings.start();
                }
            }
        }
    }

    /// Reconciles until nothing is left to do but what is rejected because it is somebody else's.
    fn settle(&mut self) {
        for _ in 0..8 {
            let (count, changes) = self.plan(&Listed::of(&self.sidecar.records()));
            if count == 0 || self.sidecar.apply(&changes) == 204 {
                break;
            }
        }
        let (count, changes) = self.plan(&Listed::of(&self.sidecar.records()));
        assert_eq!(count, 0, "{}: the second plan is not empty: {changes:?}\n{:?}", self.id, self.sidecar.rejected());
    }
}

/// Each of two owners changes what it wants, while the other does.
fn soak(zone: &'static str, settings: &Settings, is_killed: bool) {
    let mut owners =
        [("one", is_killed), ("two", false)].map(|(id, is_killed)| Owner::new(id, zone, settings.clone(), is_killed));
    thread::scope(|scope| {
        owners.iter_mut().for_each(|owner| {
            scope.spawn(|| owner.run());
        });
    });
    for owner in &mut owners {
        // A child ends with the thread that has started it.
        owner.sidecar = owner.settings.start();
        owner.settle();
    }
    let listed = Listed::of(&owners[0].sidecar.records());
    // Nothing without an owner or with two, and nothing that its owner does not want.
    assert_eq!(listed.records.keys().collect::<Vec<_>>(), listed.owners.keys().collect::<Vec<_>>());
    for (held, whose) in listed.records.values().zip(listed.owners.values()) {
        assert_eq!(whose.len(), 1, "{held:?} is of {whose:?}");
        let owner = owners.iter().find(|owner| whose.contains(owner.id)).unwrap();
        let wanted = owner.wanted.get(&held.name).map(|wanted| (key(wanted), wanted.targets.clone()));
        assert_eq!(wanted, Some((key(held), held.targets.clone())), "{}", owner.id);
    }
    // Nothing that is wanted is missing, unless the name is the other's.
    for owner in &owners {
        for wanted in owner.wanted.values() {
            let is_taken = listed.at(&wanted.name).any(|held| !listed.is_of(held, owner.id));
            assert!(is_taken || listed.is_of(wanted, owner.id), "{} lacks {wanted:?}", owner.id);
        }
    }
    for owner in &owners {
        for rejected in owner.sidecar.rejected() {
            let cause = rejected.rsplit(' ').next().unwrap();
            assert!(LOST.contains(&cause), "{}: {rejected}", owner.id);
        }
    }
}

fn on_bind(is_killed: bool) {
    let kdc = Kdc::start();
    let named = Named::options().gss(&kdc).zone(Zone::granted("example.test")).start();
    soak("example.test", &Settings::keytab(&kdc, &named, &["example.test"]), is_killed);
}

#[test]
fn two_owners_on_bind_have_each_name_once_and_lose_nothing() {
    on_bind(false);
}

#[test]
fn two_owners_on_bind_of_whom_one_is_killed_again_and_again_lose_nothing() {
    on_bind(true);
}

#[test]
fn two_owners_on_samba_have_each_name_once_and_lose_nothing() {
    let samba = Samba::start(Backend::Internal);
    soak("second.test", &samba.settings(&["second.test"]), false);
}

#[test]
fn two_owners_on_samba_of_whom_one_is_killed_again_and_again_lose_nothing() {
    let samba = Samba::start(Backend::Internal);
    soak("second.test", &samba.settings(&["second.test"]), true);
}
