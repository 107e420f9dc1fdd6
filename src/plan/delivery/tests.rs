//! The delivery against a server that does anything: outcomes of any kind, in any order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::api::{Changes, Endpoint};
use crate::dns::{Operation, RecordType, ServerProfile, Ttl, ZoneContents, ZoneSet};
use crate::plan::{Batch, Protected, fake_zone, group, intake};

const ZONES: [&str; 2] = ["one.test", "two.test"];
const HOSTS: usize = 10;

impl Failure for &'static str {
    fn is_like(&self, other: &Self) -> bool {
        self == other
    }
}

/// How a message goes.
#[derive(Debug, Clone, Copy)]
enum Turn {
    Good,
    AnswerLost,
    Lost,
    Unverified,
    Forged,
    Refused,
    FailsAfterwards,
    Unusable,
    Stopped,
}

/// What the servers hold, and how they behave.
struct Servers {
    zones: BTreeMap<ZoneName, ZoneContents>,
    unreadable: BTreeSet<ZoneName>,
    /// Hosts whose change is always refused.
    denied: BTreeSet<String>,
    turns: Vec<Turn>,
    /// Which of the commands under way ends next.
    order: Vec<usize>,
    /// Groups sent without a known fate, and not asked about since.
    in_doubt: BTreeSet<usize>,
    /// Whether each command ends before the next one is asked for.
    one_at_a_time: bool,
    sent: usize,
}

fn policy(prerequisites: bool, profile: ServerProfile) -> Policy {
    Policy {
        zones: ZoneSet::new(ZONES.iter().map(|zone| zone.parse().unwrap()).collect()).unwrap(),
        profile,
        min_ttl: Ttl::ZERO,
        default_ttl: Ttl::from_secs(300),
        protected: Protected::default(),
        allow_unowned: false,
        max_deletes: None,
        prerequisites,
        batch_change_size: 4,
    }
}

fn host(n: usize) -> String {
    format!("h{n}.{}", ZONES[n % 2])
}

/// A record; of every third host the registry TXT is in the other zone.
fn record(n: usize, target: &str) -> [Endpoint; 2] {
    let endpoint = |name: String, rtype: &str, target: &str, label: (&str, String)| Endpoint {
        dns_name: name,
        record_type: rtype.to_owned(),
        targets: vec![target.to_owned()],
        labels: [(label.0.to_owned(), label.1)].into(),
        ..Endpoint::default()
    };
    let zone = if n.is_multiple_of(3) { ZONES[(n + 1) % 2] } else { ZONES[n % 2] };
    let text = "\"heritage=external-dns,external-dns/owner=k8s\"";
    [
        endpoint(host(n), "A", target, ("owner", "k8s".to_owned())),
        endpoint(format!("a-h{n}.{zone}"), "TXT", text, ("ownedRecord", host(n))),
    ]
}

impl Servers {
    fn new() -> Self {
        let zone = |zone: &str| (zone.parse().unwrap(), ZoneContents::new(zone.parse().unwrap(), 1));
        Self {
            zones: ZONES.into_iter().map(zone).collect(),
            unreadable: BTreeSet::new(),
            denied: BTreeSet::new(),
            turns: Vec::new(),
            order: Vec::new(),
            in_doubt: BTreeSet::new(),
            one_at_a_time: false,
            sent: 0,
        }
    }

    fn copies(&self) -> Copies {
        self.zones.iter().map(|(zone, contents)| (zone.clone(), Arc::new(contents.clone()))).collect()
    }

    fn put(&mut self, n: usize, target: &str, with_text: bool) {
        for endpoint in record(n, target).iter().take(1 + usize::from(with_text)) {
            let name: crate::dns::Name = endpoint.dns_name.parse().unwrap();
            let rtype: RecordType = endpoint.record_type.parse().unwrap();
            let rdata =
                crate::dns::presentation::parse_target(rtype, &endpoint.targets[0], |text| text.parse()).unwrap();
            let zone = self.zones.values_mut().find(|zone| name.is_at_or_below(zone.zone().as_name())).unwrap();
            zone.add(&name, rtype, Ttl::from_secs(300), rdata);
        }
    }

    fn target(&self, n: usize) -> Vec<String> {
        let name: crate::dns::Name = host(n).parse().unwrap();
        let held = self.zones.values().find_map(|zone| zone.rrset(&name, RecordType::A));
        held.map(|held| crate::plan::canonical::canonical_targets(RecordType::A, held.rdata)).unwrap_or_default()
    }

    fn apply(&mut self, batch: &Batch) -> Fate<&'static str> {
        let zone = batch.zone().unwrap();
        let update = batch.update(zone);
        let is_denied = |operation: &Operation| self.denied.contains(&operation.name().to_undotted());
        if update.operations.iter().any(is_denied) {
            return Fate::Denied { failure: "refused", maybe_applied: false };
        }
        match fake_zone::apply(&update, self.zones.get_mut(zone).unwrap()) {
            Ok(()) => Fate::Applied,
            Err(_) => Fate::PrerequisiteFailed("prerequisite"),
        }
    }

    /// What a message comes to; none when nothing more can be sent.
    fn send(&mut self, batch: &Batch, prerequisites: bool) -> Option<Fate<&'static str>> {
        let groups = || batch.steps.iter().map(|step| step.group);
        assert!(prerequisites || batch.steps.iter().all(|step| step.step.prerequisites.is_empty()));
        assert!(groups().all(|group| !self.in_doubt.contains(&group)), "sent again before anybody asked");
        self.sent += 1;
        let fate = match self.turns.pop().unwrap_or(Turn::Good) {
            Turn::Good => self.apply(batch),
            Turn::AnswerLost => {
                self.apply(batch);
                Fate::Unknown("lost")
            }
            Turn::Lost => Fate::Unknown("lost"),
            Turn::Unverified => match self.apply(batch) {
                Fate::Applied => Fate::Unverified("unverified"),
                other => other,
            },
            Turn::Forged => Fate::Unverified("unverified"),
            Turn::Refused => Fate::Denied { failure: "refused", maybe_applied: false },
            Turn::FailsAfterwards => {
                self.apply(batch);
                Fate::Denied { failure: "failed", maybe_applied: true }
            }
            Turn::Unusable => Fate::ZoneUnusable("unusable"),
            Turn::Stopped => return None,
        };
        if matches!(fate, Fate::Unknown(_) | Fate::Unverified(_)) {
            self.in_doubt.extend(groups());
        }
        Some(fate)
    }

    fn read(&mut self, zone: &ZoneName, delivery: &Delivery<'_, &'static str>) -> Option<Arc<ZoneContents>> {
        if self.unreadable.contains(zone) {
            return None;
        }
        let rounds = 0..delivery.desk.ledger.rounds();
        let asked = rounds.flat_map(|round| delivery.desk.ledger.indices(zone, round));
        for group in asked.chain(delivery.desk.groups(zone)) {
            self.in_doubt.remove(&group);
        }
        Some(Arc::new(self.zones[zone].clone()))
    }

    /// Drives a delivery to its end; many commands are under way at once, and end in any order.
    fn drive(&mut self, delivery: &mut Delivery<'_, &'static str>, prerequisites: bool) {
        let mut under_way: Vec<Request> = Vec::new();
        for _ in 0..1000 {
            while under_way.is_empty() || !self.one_at_a_time {
                let Some(command) = delivery.next() else { break };
                match command {
                    Command::Note(Note::Remember(_) | Note::Doubt(_)) => {}
                    Command::Note(Note::Tell(step)) => {
                        assert!(step.is_done(&self.zones[&step.zone]), "told done, and is not: {step:?}");
                    }
                    Command::Ask(request) => under_way.push(request),
                }
            }
            if under_way.is_empty() {
                return;
            }
            let at = self.order.pop().unwrap_or(0) % under_way.len();
            let outcome = match under_way.swap_remove(at) {
                Request::Send(id, batch) => match self.send(&batch, prerequisites) {
                    Some(fate) => Outcome::Sent(id, fate),
                    None => {
                        delivery.stop("stopped");
                        continue;
                    }
                },
                Request::Read(id, zone) => Outcome::Read(id, self.read(&zone, delivery)),
                Request::ReadBack(id, batch) => {
                    let zone = batch.zone().unwrap();
                    let question = batch.read_back(zone, "unused");
                    batch.steps.iter().for_each(|step| {
                        self.in_doubt.remove(&step.group);
                    });
                    Outcome::ReadBack(id, fake_zone::apply(&question, self.zones.get_mut(zone).unwrap()).is_ok())
                }
            };
            delivery.take(outcome);
        }
        panic!("it does not end");
    }
}

fn ledger(changes: &Changes, policy: &Policy) -> Ledger<&'static str> {
    let (changes, refused) = intake(changes, policy);
    assert_eq!(refused, []);
    let grouped = group(changes, policy);
    assert_eq!(grouped.refused, []);
    Ledger::new(Vec::new(), grouped.groups)
}

fn creates(hosts: std::ops::Range<usize>) -> Changes {
    Changes { create: hosts.flat_map(|n| record(n, "192.0.2.2")).collect(), ..Changes::default() }
}

#[test]
fn it_sends_what_fits_and_is_done() {
    let (mut servers, policy) = (Servers::new(), policy(true, ServerProfile::Bind));
    let mut delivery = Delivery::new(&policy, servers.copies(), ledger(&creates(0..HOSTS), &policy));
    servers.drive(&mut delivery, true);
    let (mut ledger, _, stopped) = delivery.close();
    assert!(ledger.close().all(|(_, state, _)| state == State::Done) && stopped.is_none());
    assert!((0..HOSTS).all(|n| servers.target(n) == ["192.0.2.2"]));
}

/// One round trip tells both.
#[test]
fn what_sends_nothing_is_confirmed_beside_the_first_message() {
    let (mut servers, policy) = (Servers::new(), policy(true, ServerProfile::Bind));
    servers.put(1, "192.0.2.2", true);
    let changes = Changes { create: [record(1, "192.0.2.2"), record(5, "192.0.2.2")].concat(), ..Changes::default() };
    let mut delivery = Delivery::new(&policy, servers.copies(), ledger(&changes, &policy));
    let zone: ZoneName = ZONES[1].parse().unwrap();
    assert!(matches!(delivery.next(), Some(Command::Ask(Request::Read(_, asked))) if asked == zone));
    assert!(matches!(delivery.next(), Some(Command::Ask(Request::Send(_, batch))) if batch.steps.len() == 1));
    assert_eq!(delivery.next(), None);
}

#[test]
fn what_is_under_way_when_it_is_stopped_still_counts() {
    let (servers, policy) = (Servers::new(), policy(true, ServerProfile::Bind));
    let mut delivery = Delivery::new(&policy, servers.copies(), ledger(&creates(1..3), &policy));
    let Some(Command::Ask(Request::Send(id, batch))) = delivery.next() else { panic!("nothing to send") };
    delivery.stop("stopped");
    assert_eq!(delivery.next(), None);
    delivery.take(Outcome::Sent(id, Fate::Applied));
    assert_eq!(delivery.next(), Some(Command::Note(Note::Remember(batch))));
    assert!(matches!(delivery.next(), Some(Command::Note(Note::Tell(_)))));
    assert_eq!(delivery.next(), None);
    let (mut ledger, _, stopped) = delivery.close();
    let states: Vec<_> = ledger.close().map(|(_, state, _)| state == State::Done).collect();
    assert_eq!((states, stopped), (vec![true, false], Some("stopped")));
}

#[test]
fn an_outcome_that_nobody_waits_for_changes_nothing() {
    let (servers, policy) = (Servers::new(), policy(true, ServerProfile::Bind));
    let mut delivery = Delivery::new(&policy, servers.copies(), ledger(&creates(1..2), &policy));
    let Some(Command::Ask(Request::Send(id, _))) = delivery.next() else { panic!("nothing to send") };
    delivery.take(Outcome::Sent(id, Fate::PrerequisiteFailed("prerequisite")));
    delivery.take(Outcome::Sent(id, Fate::Applied));
    assert!(matches!(delivery.next(), Some(Command::Ask(Request::Read(..)))));
    assert_eq!(delivery.next(), None);
}

#[test]
fn a_registry_text_in_another_zone_is_not_written_for_a_record_that_cannot_be() {
    let (mut servers, policy) = (Servers::new(), policy(true, ServerProfile::Bind));
    servers.put(0, "203.0.113.9", false);
    let before = servers.zones.clone();
    let mut delivery = Delivery::new(&policy, servers.copies(), ledger(&creates(0..1), &policy));
    servers.drive(&mut delivery, true);
    assert!(matches!(delivery.close().0.close().next(), Some((_, State::Failed(Verdict::Refused(_)), _))));
    assert_eq!((servers.zones, servers.sent), (before, 0));
}

/// Texts in the zone that is not their record's.
fn lone_texts(servers: &Servers, n: usize) -> Vec<String> {
    let name: crate::dns::Name = record(n, "192.0.2.2")[1].dns_name.parse().unwrap();
    let held = servers.zones.values().find_map(|zone| zone.rrset(&name, RecordType::TXT));
    held.map(|held| crate::plan::canonical::canonical_targets(RecordType::TXT, held.rdata)).unwrap_or_default()
}

/// One apply from copies that know nothing of what `race` puts into the zones.
fn race(turns: Vec<Turn>, policy: &Policy, race: impl FnOnce(&mut Servers)) -> (Servers, Ledger<&'static str>) {
    let mut servers = Servers::new();
    let copies = servers.copies();
    race(&mut servers);
    servers.turns = turns;
    let mut delivery = Delivery::new(policy, copies, ledger(&creates(0..1), policy));
    servers.drive(&mut delivery, policy.prerequisites);
    (servers, delivery.close().0)
}

#[test]
fn a_registry_text_in_another_zone_does_not_stay_for_a_record_that_somebody_else_made_meanwhile() {
    // The message with the text comes first; a read after a lost answer shows the text, which is no reason to believe it.
    for turns in [vec![], vec![Turn::Good, Turn::AnswerLost], vec![Turn::Good, Turn::Lost]] {
        for profile in [ServerProfile::Bind, ServerProfile::Auto] {
            let policy = policy(true, profile);
            let (servers, mut ledger) = race(turns.clone(), &policy, |servers| servers.put(0, "203.0.113.9", false));
            assert!(matches!(ledger.close().next(), Some((_, State::Failed(_), _))));
            assert_eq!((servers.target(0), lone_texts(&servers, 0)), (vec!["203.0.113.9".to_owned()], vec![]));
        }
    }
}

#[test]
fn a_registry_text_that_stood_beside_the_withdrawn_one_stays() {
    let policy = policy(true, ServerProfile::Bind);
    let foreign = "\"heritage=external-dns,external-dns/owner=other\"";
    let mut servers = Servers::new();
    let mut delivery = Delivery::new(&policy, servers.copies(), ledger(&creates(0..1), &policy));
    servers.put(0, "203.0.113.9", false);
    let name: crate::dns::Name = record(0, "192.0.2.2")[1].dns_name.parse().unwrap();
    for is_record in [false, true] {
        let message = std::iter::from_fn(|| delivery.next()).find_map(|command| match command {
            Command::Ask(Request::Send(id, batch)) => Some((id, batch)),
            _ => None,
        });
        let (id, batch) = message.unwrap();
        if is_record {
            let rdata = crate::dns::presentation::parse_target(RecordType::TXT, foreign, |text| text.parse()).unwrap();
            let zone = servers.zones.get_mut(&ZONES[1].parse().unwrap()).unwrap();
            zone.add(&name, RecordType::TXT, Ttl::from_secs(300), rdata);
        }
        let fate = servers.apply(&batch);
        delivery.take(Outcome::Sent(id, fate));
    }
    servers.drive(&mut delivery, true);
    assert_eq!(lone_texts(&servers, 0).len(), 2, "nobody has the RRset as it was written");
}

/// Its text stands, and the record as it was to be: whoever asks the server finds both done.
#[test]
fn a_record_whose_answer_was_lost_is_done_though_its_registry_text_is_in_another_zone() {
    let policy = policy(true, ServerProfile::Bind);
    let (servers, mut ledger) = race(vec![Turn::AnswerLost, Turn::Good], &policy, |_| {});
    assert!(matches!(ledger.close().next(), Some((_, State::Done, _))));
    assert_eq!((servers.target(0).len(), lone_texts(&servers, 0).len()), (1, 1));
}

#[test]
fn a_record_of_which_nobody_knows_what_became_keeps_its_registry_text() {
    let policy = policy(true, ServerProfile::Bind);
    let zone: ZoneName = ZONES[0].parse().unwrap();
    // The text arrives, and neither try of the record; whatever came after that would arrive too.
    let turns = vec![Turn::Lost, Turn::Lost, Turn::Good];
    let (servers, mut ledger) = race(turns, &policy, |servers| servers.unreadable.extend([zone]));
    assert_eq!(servers.sent, 3);
    assert!(matches!(ledger.close().next(), Some((_, State::Failed(_), _))));
    assert_eq!(lone_texts(&servers, 0).len(), 1);
}

#[test]
fn what_a_message_makes_room_for_is_planned_again_after_it() {
    let named = |name: &str, rtype: &str, target: &str| Endpoint {
        dns_name: name.to_owned(),
        record_type: rtype.to_owned(),
        targets: vec![target.to_owned()],
        labels: [("owner".to_owned(), "k8s".to_owned())].into(),
        ..Endpoint::default()
    };
    let (dname, below) = ("h1.two.test".parse().unwrap(), "x.h1.two.test".parse().unwrap());
    let changes = Changes {
        create: vec![named("x.h1.two.test", "A", "192.0.2.2")],
        delete: vec![named("h1.two.test", "DNAME", "elsewhere.test")],
        ..Changes::default()
    };
    // Without prerequisites the copy is confirmed before anything is planned; else it may be old.
    for (prerequisites, one_at_a_time) in [(true, true), (true, false), (false, true), (false, false)] {
        let (mut servers, policy) = (Servers::new(), policy(prerequisites, ServerProfile::Bind));
        servers.one_at_a_time = one_at_a_time;
        let target = crate::dns::presentation::parse_target(RecordType::DNAME, "elsewhere.test", |text| text.parse());
        let zone = servers.zones.get_mut(&"two.test".parse().unwrap()).unwrap();
        zone.add(&dname, RecordType::DNAME, Ttl::from_secs(300), target.unwrap());
        let mut delivery = Delivery::new(&policy, servers.copies(), ledger(&changes, &policy));
        servers.drive(&mut delivery, prerequisites);
        let (mut ledger, ..) = delivery.close();
        assert!(ledger.close().all(|(_, state, _)| state == State::Done), "{prerequisites}");
        let zone = &servers.zones[&"two.test".parse().unwrap()];
        assert!(zone.rrset(&below, RecordType::A).is_some() && zone.at(&dname).next().is_none(), "{prerequisites}");
    }
}

/// RRsets of one name that do not fit a message twice.
const LARGE: [(&str, usize); 3] = [("A", 1500), ("AAAA", 1200), ("TXT", 60)];

fn large(rtype: &str, count: usize, salt: usize) -> [Endpoint; 2] {
    let target = |n: usize| match rtype {
        "A" => format!("10.{salt}.{}.{}", n / 250, n % 250 + 1),
        "AAAA" => format!("2001:db8:{salt}::{:x}", n + 1),
        _ => format!("{salt}-{n:03}-{}", "x".repeat(590)),
    };
    let [mut record, mut text] = record(1, "192.0.2.1");
    record.record_type = rtype.to_owned();
    record.targets = (0..count).map(target).collect();
    text.dns_name = format!("{}-h1.{}", rtype.to_lowercase(), ZONES[1]);
    [record, text]
}

/// One apply, after which all is done.
fn deliver(servers: &mut Servers, changes: &Changes, policy: &Policy) {
    let mut delivery = Delivery::new(policy, servers.copies(), ledger(changes, policy));
    servers.drive(&mut delivery, true);
    let (mut ledger, ..) = delivery.close();
    for (_, state, _) in ledger.close() {
        assert_eq!(state, State::Done);
    }
}

fn held(servers: &Servers) -> usize {
    servers.zones.values().map(ZoneContents::record_count).sum()
}

#[test]
fn what_can_be_made_can_be_replaced_and_unmade() {
    for profile in [ServerProfile::Auto, ServerProfile::Bind] {
        for (rtype, count) in LARGE {
            let (mut servers, policy) = (Servers::new(), policy(true, profile));
            let [one, other] = [1, 2].map(|salt| large(rtype, count, salt).to_vec());
            deliver(&mut servers, &Changes { create: one.clone(), ..Changes::default() }, &policy);
            let update = Changes { update_old: one, update_new: other.clone(), ..Changes::default() };
            deliver(&mut servers, &update, &policy);
            assert_eq!(held(&servers), count + 1, "{rtype} {profile:?}");
            deliver(&mut servers, &Changes { delete: other, ..Changes::default() }, &policy);
            assert_eq!(held(&servers), 0, "{rtype} {profile:?}");
        }
    }
}

/// Where the zone cannot be read, a portion whose answer was lost would be lost too: all has to fit one message.
#[test]
fn what_could_not_be_unmade_is_not_made() {
    for (profile, is_read, count, fits) in [
        (ServerProfile::Auto, true, 3800, true),
        (ServerProfile::Auto, true, 3930, false),
        (ServerProfile::Auto, false, 1900, true),
        (ServerProfile::Auto, false, 2000, false),
        (ServerProfile::Bind, false, 2000, true),
    ] {
        let (mut servers, policy) = (Servers::new(), policy(true, profile));
        let records = large("A", count, 1).to_vec();
        let create = Changes { create: records.clone(), ..Changes::default() };
        let delete = Changes { delete: records, ..Changes::default() };
        for (changes, left) in [(create, if fits { count + 1 } else { 0 }), (delete, 0)] {
            let copies = if is_read { servers.copies() } else { Copies::new() };
            servers.unreadable.extend(ZONES.iter().map(|zone| zone.parse().unwrap()).filter(|_: &ZoneName| !is_read));
            let mut delivery = Delivery::new(&policy, copies, ledger(&changes, &policy));
            servers.drive(&mut delivery, true);
            assert_eq!(held(&servers), left, "{profile:?} {is_read} {count}");
        }
    }
}

/// All types of a name that goes make one group.
#[test]
fn several_large_record_sets_of_a_name_go_together() {
    let (mut servers, policy) = (Servers::new(), policy(true, ServerProfile::Auto));
    let all: Vec<Vec<Endpoint>> = LARGE.iter().map(|(rtype, count)| large(rtype, *count, 1).to_vec()).collect();
    for one in &all {
        deliver(&mut servers, &Changes { create: one.clone(), ..Changes::default() }, &policy);
    }
    deliver(&mut servers, &Changes { delete: all.concat(), ..Changes::default() }, &policy);
    assert_eq!(held(&servers), 0);
}

#[test]
fn another_ttl_for_many_records_leaves_them_all_there() {
    let (mut servers, policy) = (Servers::new(), policy(true, ServerProfile::Auto));
    let [old, new] =
        [300, 60].map(|ttl| large("AAAA", 1200, 1).map(|endpoint| Endpoint { record_ttl: ttl, ..endpoint }).to_vec());
    deliver(&mut servers, &Changes { create: old.clone(), ..Changes::default() }, &policy);
    deliver(&mut servers, &Changes { update_old: old, update_new: new, ..Changes::default() }, &policy);
    let name: crate::dns::Name = host(1).parse().unwrap();
    let held = servers.zones[&ZONES[1].parse::<ZoneName>().unwrap()].rrset(&name, RecordType::AAAA).unwrap();
    assert_eq!((held.rdata.len(), held.ttl), (1200, Ttl::from_secs(60)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is lost on the way, no record stands without its text, and asking again ends where it should.
    #[test]
    fn what_is_done_in_portions_can_be_interrupted(
        turns in turns(),
        (rtype, count) in prop::sample::select(LARGE.to_vec()),
        is_bind: bool,
        is_delete: bool,
    ) {
        let mut servers = Servers::new();
        let policy = policy(true, if is_bind { ServerProfile::Bind } else { ServerProfile::Auto });
        let [one, other] = [1, 2].map(|salt| large(rtype, count, salt).to_vec());
        deliver(&mut servers, &Changes { create: one.clone(), ..Changes::default() }, &policy);
        let changes = if is_delete {
            Changes { delete: one, ..Changes::default() }
        } else {
            Changes { update_old: one, update_new: other, ..Changes::default() }
        };
        servers.turns = turns;
        let mut delivery = Delivery::new(&policy, servers.copies(), ledger(&changes, &policy));
        servers.drive(&mut delivery, true);
        let texts = |servers: &Servers| servers.zones.values().flat_map(ZoneContents::iter).filter(|rrset| rrset.rtype == RecordType::TXT && rrset.rdata.len() == 1).count();
        prop_assert!(held(&servers) == 0 || texts(&servers) == 1);
        servers.turns.clear();
        servers.in_doubt.clear();
        deliver(&mut servers, &changes, &policy);
        prop_assert_eq!(held(&servers), if is_delete { 0 } else { count + 1 });
    }
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let turn = prop_oneof![
        6 => Just(Turn::Good),
        1 => Just(Turn::AnswerLost),
        1 => Just(Turn::Lost),
        1 => Just(Turn::Unverified),
        1 => Just(Turn::Forged),
        1 => Just(Turn::Refused),
        1 => Just(Turn::FailsAfterwards),
        1 => prop_oneof![4 => Just(Turn::Good), 1 => Just(Turn::Unusable), 1 => Just(Turn::Stopped)],
    ];
    prop::collection::vec(turn, 0..24)
}

fn some_hosts() -> impl Strategy<Value = BTreeSet<usize>> {
    prop::collection::btree_set(0..HOSTS, 0..4)
}

proptest! {
    /// Whatever the servers do: nothing is told done that is not, nothing is sent again before somebody asked what became
    /// of it, it ends, and then each group is done or has its verdict.
    #[test]
    fn whatever_happens_it_ends_and_tells_the_truth(
        turns in turns(),
        order in prop::collection::vec(0_usize..8, 0..64),
        before in some_hosts(),
        foreign in some_hosts(),
        denied in some_hosts(),
        unreadable in prop::collection::btree_set(0_usize..2, 0..3),
        unknown in prop::collection::btree_set(0_usize..2, 0..3),
        one_at_a_time: bool,
        prerequisites: bool,
        is_careful: bool,
    ) {
        let policy = policy(prerequisites, if is_careful { ServerProfile::Auto } else { ServerProfile::Bind });
        let mut servers = Servers { one_at_a_time, ..Servers::new() };
        before.iter().for_each(|n| servers.put(*n, "192.0.2.1", true));
        let mut copies = servers.copies();
        let zone = |n: &usize| -> ZoneName { ZONES[*n].parse().unwrap() };
        unknown.iter().for_each(|n| { copies.remove(&zone(n)); });
        let foreign: Vec<usize> = foreign.difference(&before).copied().collect();
        // Nobody knows of these, and without prerequisites only a read could tell.
        if prerequisites {
            foreign.iter().for_each(|n| servers.put(*n, "203.0.113.9", false));
        }
        servers.unreadable = unreadable.iter().map(zone).collect();
        servers.denied = denied.into_iter().map(host).collect();
        (servers.turns, servers.order) = (turns, order);
        let mut changes = Changes::default();
        for n in 0..HOSTS {
            if before.contains(&n) {
                changes.update_old.extend(record(n, "192.0.2.1"));
                changes.update_new.extend(record(n, "192.0.2.2"));
            } else {
                changes.create.extend(record(n, "192.0.2.2"));
            }
        }
        let mut delivery = Delivery::new(&policy, copies, ledger(&changes, &policy));
        servers.drive(&mut delivery, prerequisites);
        prop_assert!(servers.sent <= 40 * HOSTS, "{} messages", servers.sent);
        let (mut ledger, _, stopped) = delivery.close();
        for (group, state, _) in ledger.close() {
            let name = group.changes().find(|change| change.rtype == RecordType::A).unwrap().name.to_undotted();
            let n = (0..HOSTS).find(|n| host(*n) == name).unwrap();
            match state {
                State::Done => prop_assert_eq!(servers.target(n), ["192.0.2.2"]),
                State::Failed(_) => {}
                State::Open => prop_assert!(stopped.is_some()),
            }
        }
        if prerequisites {
            prop_assert!(foreign.iter().all(|n| servers.target(*n) == ["203.0.113.9"]));
        }
    }
}
