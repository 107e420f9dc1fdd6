//! The service as a whole, against a stateful authority.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use super::fake::{FakeAuthority, Misbehaviour};
use super::*;
use crate::api::{Changes, DomainFilter, Endpoint};
use crate::config::{KeepAlive, ReadMode};
use crate::dns::presentation::parse_target;
use crate::dns::{Name, RecordType, ServerProfile, Ttl, ZoneName, ZoneSet};
use crate::metrics::Metrics;
use crate::plan::{Policy, Protected};

mod keep_alive;

const ZONE: &str = "example.test";

struct World {
    service: Service<FakeAuthority>,
    authority: FakeAuthority,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
}

fn world() -> World {
    world_with(|_| {})
}

fn world_with(change: impl FnOnce(&mut ServiceSettings)) -> World {
    let policy = Policy {
        zones: ZoneSet::new(vec![ZONE.parse().unwrap()]).unwrap(),
        profile: ServerProfile::Bind,
        min_ttl: Ttl::ZERO,
        default_ttl: Ttl::from_secs(300),
        protected: Protected::default(),
        allow_unowned: false,
        max_deletes: None,
        prerequisites: true,
        batch_change_size: 200,
    };
    let (domain_filter, deadline) = (DomainFilter::default(), Duration::from_secs(12));
    let mut settings = ServiceSettings {
        policy,
        domain_filter,
        read: ReadMode::Auto,
        deadline,
        dry_run: false,
        keep_alive: KeepAlive::Off,
    };
    change(&mut settings);
    let (authority, stop) = (FakeAuthority::new(&[ZONE]), CancellationToken::new());
    let metrics = Arc::new(Metrics::new());
    let service = Service::new(settings, authority.clone(), None, metrics.clone(), stop.clone());
    World { service, authority, metrics, stop }
}

impl World {
    /// As ExternalDNS does it: the records are read, then changed.
    async fn reconcile(&self, changes: &Changes) -> Result<Vec<Rejection>, Failure> {
        self.service.records().await?;
        self.apply(changes).await
    }

    async fn apply(&self, changes: &Changes) -> Result<Vec<Rejection>, Failure> {
        self.service.apply_changes(changes.clone()).await
    }

    fn put(&self, name: &str, rtype: &str, target: &str) {
        self.put_with_ttl(name, rtype, target, Ttl::from_secs(300));
    }

    fn put_with_ttl(&self, name: &str, rtype: &str, target: &str, ttl: Ttl) {
        let rtype: RecordType = rtype.parse().unwrap();
        let rdata = parse_target(rtype, target, |text| text.parse()).unwrap();
        let zone: ZoneName = ZONE.parse().unwrap();
        let name: Name = name.parse().unwrap();
        self.authority.world().zones.get_mut(&zone).unwrap().add(&name, rtype, ttl, rdata);
    }

    /// Every RRset in DNS as `name type` and its targets.
    fn held(&self) -> BTreeMap<String, Vec<String>> {
        let world = self.authority.world();
        let rrsets = world.zones.values().flat_map(|zone| zone.iter());
        rrsets
            .map(|rrset| {
                let targets = crate::plan::canonical::canonical_targets(rrset.rtype, rrset.rdata);
                (format!("{} {}", rrset.name.to_undotted(), rrset.rtype), targets)
            })
            .collect()
    }
}

fn record(name: &str, rtype: &str, target: &str) -> Vec<Endpoint> {
    let endpoint = |dns_name: String, record_type: &str, target: String, label: (&str, &str)| Endpoint {
        dns_name,
        record_type: record_type.to_owned(),
        targets: vec![target],
        labels: [(label.0.to_owned(), label.1.to_owned())].into(),
        ..Endpoint::default()
    };
    let text = "\"heritage=external-dns,external-dns/owner=k8s,external-dns/resource=service/default/web\"";
    let registry = format!("{}-{name}", rtype.to_lowercase());
    vec![
        endpoint(name.to_owned(), rtype, target.to_owned(), ("owner", "k8s")),
        endpoint(registry, "TXT", text.to_owned(), ("ownedRecord", name)),
    ]
}

fn hosts(range: std::ops::Range<usize>) -> Changes {
    let create = range.flat_map(|n| record(&format!("h{n}.{ZONE}"), "A", "192.0.2.1")).collect();
    Changes { create, ..Changes::default() }
}

fn causes(rejections: &[Rejection]) -> BTreeMap<&'static str, usize> {
    let mut causes = BTreeMap::new();
    for rejection in rejections {
        *causes.entry(rejection.failure.cause.label()).or_default() += 1;
    }
    causes
}

#[tokio::test(start_paused = true)]
async fn a_read_that_began_before_a_write_does_not_hide_it() {
    let world = world_with(|settings| settings.policy.profile = ServerProfile::Auto);
    world.authority.world().delay = Duration::from_secs(1);
    let created = hosts(0..1);
    let read = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        world.service.check_readiness().await;
    };
    let (rejections, ()) = tokio::join!(world.apply(&created), read);
    assert_eq!(rejections.unwrap(), []);
    let deleted = Changes { delete: created.create, ..Changes::default() };
    assert_eq!(world.apply(&deleted).await.unwrap(), []);
    assert_eq!(world.held(), BTreeMap::new(), "204 for a delete that was never sent");
}

#[tokio::test]
async fn a_few_bad_records_among_many_are_found_and_the_rest_applied_and_next_time_only_they_are_tried() {
    let world = world();
    for bad in ["h7", "h250", "h499"] {
        world.authority.world().denied.insert(format!("{bad}.{ZONE}").parse().unwrap());
    }
    world.put(&format!("h123.{ZONE}"), "A", "203.0.113.9");
    let rejections = world.reconcile(&hosts(0..500)).await.unwrap();
    assert_eq!(causes(&rejections), BTreeMap::from([("refused_by_policy", 6), ("exists_unowned", 2)]));
    assert_eq!(world.held().len(), 2 * 496 + 1);
    let messages = world.authority.take_changing().len();
    assert!(messages < 60, "{messages}");
    let status = world.service.status();
    assert_eq!(status.rejected.len(), 8);
    assert!(status.rejected.iter().all(|entry| !entry.remedy.is_empty() && entry.since > 0));

    let left = Changes {
        create: hosts(0..500)
            .create
            .into_iter()
            .filter(|e| ["h7.", "h250.", "h499.", "h123."].iter().any(|bad| e.dns_name.contains(bad)))
            .collect(),
        ..Changes::default()
    };
    assert_eq!(world.reconcile(&left).await.unwrap().len(), 8);
    let messages = world.authority.take_changing();
    let names = |message: &crate::dns::Update| -> BTreeSet<Name> {
        message.operations.iter().map(|operation| operation.name().clone()).collect()
    };
    assert!(messages.iter().all(|message| names(message).len() == 2), "each goes alone");
    assert!(messages.len() <= 4, "{}", messages.len());
    assert_eq!(world.reconcile(&left).await.unwrap().len(), 8);
    world.authority.take_changing();
    assert_eq!(world.reconcile(&left).await.unwrap().len(), 8, "they stay rejected");
    assert_eq!(world.authority.take_changing().len(), 0, "while they are backed off");
}

#[tokio::test]
async fn where_everything_is_refused_little_is_sent_and_one_cause_told() {
    let world = world();
    world.authority.world().denies_all = true;
    let rejections = world.reconcile(&hosts(0..2000)).await.unwrap();
    assert_eq!(causes(&rejections), BTreeMap::from([("refused_by_policy", 4000)]));
    let messages = world.authority.take_changing().len();
    assert!(messages < 60, "{messages}");
    // Once the policy is mended, all of them are written at the next attempt.
    world.authority.world().denies_all = false;
    assert_eq!(world.reconcile(&hosts(0..2000)).await.unwrap(), []);
    assert_eq!(world.held().len(), 4000);
}

#[tokio::test]
async fn a_zone_that_is_never_read_is_written_all_the_same() {
    let world = world_with(|settings| settings.read = ReadMode::None);
    world.authority.world().is_readable = false;
    world.put(&format!("h3.{ZONE}"), "A", "203.0.113.9");
    let rejections = world.apply(&hosts(0..20)).await.unwrap();
    assert_eq!(causes(&rejections), BTreeMap::from([("prerequisite_failed", 2)]));
    assert_eq!(world.held().len(), 2 * 19 + 1);
    // The same once more, as after a lost answer: it stands already.
    let rejections = world.apply(&hosts(0..20)).await.unwrap();
    assert_eq!(rejections.len(), 2);

    let old = record(&format!("h1.{ZONE}"), "A", "192.0.2.1");
    let new = record(&format!("h1.{ZONE}"), "A", "192.0.2.77");
    let update = Changes { update_old: old, update_new: new.clone(), ..Changes::default() };
    assert_eq!(world.apply(&update).await.unwrap(), []);
    assert_eq!(world.held()[&format!("h1.{ZONE} A")], ["192.0.2.77"]);
    let delete = Changes { delete: new, ..Changes::default() };
    assert_eq!(world.apply(&delete).await.unwrap(), []);
    assert_eq!(world.apply(&delete).await.unwrap(), []);
    assert!(!world.held().contains_key(&format!("h1.{ZONE} A")));
}

#[tokio::test]
async fn a_dry_run_counts_nothing_as_changed() {
    let world = world_with(|settings| settings.dry_run = true);
    world.authority.world().only_prints = true;
    assert_eq!(world.reconcile(&hosts(0..2)).await.unwrap(), []);
    let text = world.metrics.scrape(&world.service.gauges()).unwrap();
    assert!(!text.contains("external_dns_rfc2136_update_records_total{"), "{text}");
    let status = world.service.status();
    assert_eq!((status.zones[0].last_apply, status.changes), (None, vec![]));
}

#[tokio::test]
async fn the_fifty_changes_made_last_are_told_the_latest_first() {
    let world = world();
    assert_eq!(world.reconcile(&hosts(0..30)).await.unwrap(), []);
    let gone = Changes { delete: hosts(0..1).create, ..Changes::default() };
    assert_eq!(world.reconcile(&gone).await.unwrap(), []);
    let changes = world.service.status().changes;
    assert_eq!(changes.len(), 50);
    let mut deleted: Vec<_> = changes[..2].iter().map(|entry| (entry.op, entry.name.as_str())).collect();
    deleted.sort_unstable();
    assert_eq!(deleted, [("delete", "a-h0.example.test"), ("delete", "h0.example.test")]);
    assert!(changes[2..].iter().all(|entry| entry.op == "create" && entry.at > 0), "{changes:?}");
}

#[tokio::test]
async fn the_list_is_written_once_for_each_version_and_as_anew() {
    let world = world();
    let pieces = async || world.service.records_json().await.unwrap();
    let anew = async || serde_json::to_vec(&world.service.records().await.unwrap()).unwrap();
    assert_eq!(pieces().await.concat(), anew().await);
    for n in 0..5 {
        assert_eq!(world.reconcile(&hosts(n * 3..n * 3 + 3)).await.unwrap(), []);
        let (first, second) = (pieces().await, pieces().await);
        assert_eq!(first.concat(), anew().await);
        let place = |pieces: &[Bytes]| pieces.iter().map(|piece| piece.as_ptr()).collect::<Vec<_>>();
        assert_eq!(place(&first), place(&second), "shared, not written again");
    }
    world.put("by-somebody-else.example.test", "A", "192.0.2.9");
    let json = pieces().await.concat();
    assert!(String::from_utf8(json.clone()).unwrap().contains("by-somebody-else"));
    assert_eq!(json, anew().await);
}

#[tokio::test]
async fn several_zones_are_one_list() {
    let zones = ["a.test", "b.test", "c.test", ZONE];
    let world = world_with(|settings| {
        settings.policy.zones = ZoneSet::new(zones.iter().map(|zone| zone.parse().unwrap()).collect()).unwrap();
    });
    for zone in &zones[..3] {
        let zone: ZoneName = zone.parse().unwrap();
        let contents = crate::dns::ZoneContents::new(zone.clone(), 1);
        world.authority.world().zones.insert(zone, contents);
    }
    // Between two that hold something is one that holds nothing.
    for (zone, name) in [("a.test", "x.a.test"), ("c.test", "x.c.test")] {
        let rdata = parse_target(RecordType::A, "192.0.2.1", |text| text.parse()).unwrap();
        let (zone, name): (ZoneName, Name) = (zone.parse().unwrap(), name.parse().unwrap());
        let mut authority = world.authority.world();
        authority.zones.get_mut(&zone).unwrap().add(&name, RecordType::A, Ttl::ZERO, rdata);
    }
    let json = world.service.records_json().await.unwrap().concat();
    assert_eq!(json, serde_json::to_vec(&world.service.records().await.unwrap()).unwrap());
    assert_eq!(serde_json::from_slice::<Vec<Endpoint>>(&json).unwrap().len(), 2);
}

#[tokio::test]
async fn readiness_names_every_zone_that_is_in_the_way() {
    let zones = [ZONE, "second.test", "third.test"];
    let world = world_with(|settings| {
        settings.policy.zones = ZoneSet::new(zones.iter().map(|zone| zone.parse().unwrap()).collect()).unwrap();
    });
    world.service.check_readiness().await;
    let unready = world.service.unready();
    assert_eq!(unready.len(), 2, "{unready:?}");
    for (failure, zone) in unready.iter().zip(&zones[1..]) {
        assert!(failure.detail.contains(zone), "{failure:?}");
    }
}

/// What is guessed of an update that failed is used only where a prerequisite proves the guess.
#[tokio::test]
async fn without_prerequisites_a_create_deletes_nothing_that_equals_an_earlier_value() {
    for prerequisites in [true, false] {
        let world = world_with(|settings| {
            settings.read = ReadMode::None;
            settings.policy.prerequisites = prerequisites;
        });
        world.authority.world().is_readable = false;
        let of = |target| record(&format!("h0.{ZONE}"), "A", target).into_iter().take(1).collect::<Vec<_>>();
        world.put(&format!("h0.{ZONE}"), "A", "192.0.2.1");
        world.authority.world().faults.insert(0, Misbehaviour::Unreachable);
        let update = Changes { update_old: of("192.0.2.1"), update_new: of("192.0.2.2"), ..Changes::default() };
        assert!(world.apply(&update).await.is_err());
        let _ = world.apply(&Changes { create: of("192.0.2.3"), ..Changes::default() }).await;
        let held = world.held().remove(&format!("h0.{ZONE} A")).unwrap();
        assert_eq!(held.contains(&"192.0.2.1".to_owned()), !prerequisites, "{held:?}");
    }
}

#[tokio::test]
async fn an_update_that_failed_in_an_unread_zone_may_return_as_a_create() {
    let world = world_with(|settings| settings.read = ReadMode::None);
    world.authority.world().is_readable = false;
    assert_eq!(world.apply(&hosts(0..1)).await.unwrap(), []);
    let (old, new) = (hosts(0..1).create, record(&format!("h0.{ZONE}"), "A", "192.0.2.50"));
    world.authority.world().faults.insert(0, Misbehaviour::Unreachable);
    world.authority.take_changing();
    let update = Changes { update_old: old, update_new: new.clone(), ..Changes::default() };
    assert!(world.apply(&update).await.is_err());
    assert_eq!(world.apply(&Changes { create: new, ..Changes::default() }).await.unwrap(), []);
    assert_eq!(world.held()[&format!("h0.{ZONE} A")], ["192.0.2.50"]);
}

#[tokio::test]
async fn an_update_that_failed_in_an_unread_zone_may_return_as_a_create_of_what_somebody_has_deleted() {
    let world = world_with(|settings| settings.read = ReadMode::None);
    world.authority.world().is_readable = false;
    let host: Name = format!("h0.{ZONE}").parse().unwrap();
    let [old, new] = ["192.0.2.1", "192.0.2.50"].map(|target| {
        // Without a registry TXT, as the CRD registry writes it.
        record(&format!("h0.{ZONE}"), "A", target).into_iter().take(1).collect::<Vec<_>>()
    });
    assert_eq!(world.apply(&Changes { create: old.clone(), ..Changes::default() }).await.unwrap(), []);
    world.authority.world().denied.insert(host.clone());
    let update = Changes { update_old: old, update_new: new.clone(), ..Changes::default() };
    assert_eq!(causes(&world.apply(&update).await.unwrap()), BTreeMap::from([("refused_by_policy", 1)]));
    world.authority.world().denied.clear();
    world.authority.world().zones.values_mut().for_each(|zone| zone.remove_rrset(&host, RecordType::A));
    let create = Changes { create: new, ..Changes::default() };
    assert_eq!(causes(&world.apply(&create).await.unwrap()), BTreeMap::from([("prerequisite_failed", 1)]));
    assert_eq!(world.apply(&create).await.unwrap(), [], "neither value is there, so none is expected any more");
    assert_eq!(world.held()[&format!("h0.{ZONE} A")], ["192.0.2.50"]);
}

#[tokio::test]
async fn what_is_asked_twice_is_done_once() {
    let world = world();
    assert_eq!(world.reconcile(&hosts(0..10)).await.unwrap(), []);
    world.authority.take_changing();
    assert_eq!(world.apply(&hosts(0..10)).await.unwrap(), []);
    assert_eq!(world.authority.take_changing(), []);
}

#[tokio::test]
async fn a_fault_in_the_middle_is_decided_by_what_dns_holds() {
    for fault in
        [Misbehaviour::AnswerLost, Misbehaviour::MessageLost, Misbehaviour::FailsAfterwards, Misbehaviour::Unverifiable]
    {
        for is_readable in [true, false] {
            let world = world();
            world.service.records().await.unwrap();
            world.authority.world().is_readable = is_readable;
            world.authority.world().faults.insert(1, fault);
            let rejections = world.apply(&hosts(0..300)).await.unwrap();
            assert_eq!(rejections, [], "{fault:?}, readable: {is_readable}");
            assert_eq!(world.held().len(), 600, "{fault:?}");
        }
    }
}

#[tokio::test]
async fn defect_30_a_forged_success_is_not_believed() {
    let world = world();
    world.authority.world().faults.insert(0, Misbehaviour::Forged);
    let rejections = world.reconcile(&hosts(0..3)).await.unwrap();
    assert_eq!(causes(&rejections), BTreeMap::from([("unverified_reply", 6)]));
    assert_eq!(world.held().len(), 0);
}

#[tokio::test]
async fn success_beside_a_wildcard_is_read_back() {
    let world = world_with(|settings| settings.policy.profile = ServerProfile::Auto);
    world.put(&format!("*.{ZONE}"), "A", "192.0.2.1");
    world.authority.world().loses_updates = true;
    let rejections = world.reconcile(&hosts(0..1)).await.unwrap();
    assert_eq!(causes(&rejections), BTreeMap::from([("not_stored", 2)]));
    world.authority.world().loses_updates = false;
    assert_eq!(world.reconcile(&hosts(0..1)).await.unwrap(), []);
}

#[tokio::test]
async fn what_a_wildcard_answers_is_not_taken_for_what_was_written() {
    for target in ["192.0.2.1", "192.0.2.9"] {
        let world = world_with(|settings| settings.policy.profile = ServerProfile::Auto);
        world.authority.world().is_readable = false;
        world.authority.world().wildcards_exist_everywhere = true;
        world.put(&format!("*.{ZONE}"), "A", target);
        // Without a registry TXT, as the CRD registry writes it.
        let alone = record(&format!("h0.{ZONE}"), "A", "192.0.2.1").into_iter().take(1).collect();
        let rejections = world.apply(&Changes { create: alone, ..Changes::default() }).await.unwrap();
        assert_eq!(causes(&rejections), BTreeMap::from([("prerequisite_failed", 1)]), "{target}");
        assert_eq!(world.held().len(), 1);
        // The wildcard itself, and what it does not answer, are read back well.
        let others =
            [record(&format!("*.sub.{ZONE}"), "AAAA", "2001:db8::1"), record(&format!("t.{ZONE}"), "TXT", "text")];
        let changes = Changes { create: others.concat(), ..Changes::default() };
        assert_eq!(world.apply(&changes).await.unwrap(), []);
        assert_eq!(world.held().len(), 5);
    }
}

/// Samba's prerequisites pass on a part of an RRset, and nobody's know a TTL.
#[tokio::test]
async fn in_a_zone_that_is_not_read_a_superset_and_another_ttl_are_no_success() {
    let host = format!("h0.{ZONE}");
    let held = [
        (vec![("192.0.2.1", 300), ("203.0.113.9", 300)], 1),
        (vec![("192.0.2.1", 60)], 1),
        (vec![("192.0.2.1", 300)], 0),
    ];
    for (held, rejected) in held {
        let world = world_with(|settings| settings.read = ReadMode::None);
        world.authority.world().is_readable = false;
        world.authority.world().parts_match = true;
        for (target, ttl) in &held {
            world.put_with_ttl(&host, "A", target, Ttl::from_secs(*ttl));
        }
        // Without a registry TXT, as the CRD registry writes it.
        let create = record(&host, "A", "192.0.2.1").into_iter().take(1).collect();
        let rejections = world.apply(&Changes { create, ..Changes::default() }).await.unwrap();
        assert_eq!(rejections.len(), rejected, "{held:?}");
    }
}

fn wildcard_and_host() -> Changes {
    let records = [record(&format!("*.{ZONE}"), "A", "192.0.2.1"), record(&format!("h.{ZONE}"), "A", "192.0.2.2")];
    Changes { create: records.concat(), ..Changes::default() }
}

/// Samba's BIND9_DLZ answers prerequisites with the wildcard, so that they prove nothing.
#[tokio::test]
async fn beside_a_wildcard_of_the_same_message_the_directory_tells_what_was_stored() {
    for (has_directory, loses_updates) in [(true, false), (true, true), (false, false)] {
        let world = world_with(|settings| settings.policy.profile = ServerProfile::Auto);
        world.authority.world().is_readable = false;
        world.authority.world().wildcards_exist_everywhere = true;
        world.authority.world().has_directory = has_directory;
        world.authority.world().loses_updates = loses_updates;
        let rejections = world.apply(&wildcard_and_host()).await.unwrap();
        assert_eq!(rejections.is_empty(), has_directory && !loses_updates, "{rejections:?}");
    }
}

#[tokio::test]
async fn what_comes_with_a_wildcard_is_read_back_even_where_there_was_none() {
    for loses_updates in [false, true] {
        let world = world_with(|settings| settings.policy.profile = ServerProfile::Auto);
        world.service.records().await.unwrap();
        world.authority.world().loses_updates = loses_updates;
        let rejections = world.apply(&wildcard_and_host()).await.unwrap();
        assert_eq!(rejections.len(), if loses_updates { 4 } else { 0 });
    }
}

#[tokio::test]
async fn a_read_back_whose_answer_is_lost_is_asked_for_again() {
    let world = world_with(|settings| settings.read = ReadMode::None);
    world.authority.world().is_readable = false;
    world.authority.world().faults.insert(0, Misbehaviour::AnswerLost);
    world.authority.world().lost_questions = 2;
    assert_eq!(world.apply(&hosts(0..1)).await.unwrap(), []);
    assert_eq!(world.authority.take_changing().len(), 1);
}

#[tokio::test]
async fn a_message_that_is_lost_twice_is_decided_by_what_dns_holds() {
    for (fault, rejected) in [(Misbehaviour::AnswerLost, 0), (Misbehaviour::MessageLost, 2)] {
        for is_readable in [true, false] {
            let world = world();
            world.service.records().await.unwrap();
            world.authority.world().is_readable = is_readable;
            world.authority.world().faults.extend([(0, Misbehaviour::MessageLost), (1, fault)]);
            let rejections = world.apply(&hosts(0..1)).await.unwrap();
            assert_eq!(rejections.len(), rejected, "{fault:?}, readable: {is_readable}");
            assert_eq!(world.held().len(), 2 - rejected, "{fault:?}, readable: {is_readable}");
        }
    }
}

/// A server that closes every connection on an update is not asked for ever.
#[tokio::test]
async fn after_three_lost_messages_in_a_row_the_rest_is_not_sent() {
    let world = world();
    world.service.records().await.unwrap();
    world.authority.world().faults.extend((0..1000).map(|number| (number, Misbehaviour::MessageLost)));
    let rejections = world.apply(&hosts(0..1000)).await.unwrap();
    assert_eq!(causes(&rejections), BTreeMap::from([("server_unreachable", 2000)]));
    assert_eq!(world.authority.take_changing().len(), 3);
}

#[tokio::test]
async fn without_prerequisites_every_message_is_read_back() {
    let world = world_with(|settings| settings.policy.prerequisites = false);
    world.authority.world().loses_updates = true;
    let rejections = world.reconcile(&hosts(0..1)).await.unwrap();
    assert_eq!(causes(&rejections), BTreeMap::from([("not_stored", 2)]));
    assert!(world.authority.take_changing().iter().all(|message| message.prerequisites.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn out_of_time_it_stops_between_two_messages_and_what_is_done_stays() {
    let world = world_with(|settings| settings.policy.batch_change_size = 4);
    world.authority.world().delay = Duration::from_secs(5);
    let failure = world.reconcile(&hosts(0..1000)).await.unwrap_err();
    assert_eq!(failure.cause, Cause::Deadline);
    let held = world.held().len();
    assert!(held > 0 && held < 2000 && held.is_multiple_of(2), "{held}");
}

#[tokio::test(start_paused = true)]
async fn a_stopping_sidecar_finishes_the_messages_in_flight_and_no_more() {
    let world = world();
    world.authority.world().delay = Duration::from_secs(1);
    world.service.records().await.unwrap();
    let (service, changes) = (world.service.clone(), hosts(0..1000));
    let apply = tokio::spawn(async move { service.apply_changes(changes).await });
    tokio::time::sleep(Duration::from_millis(1500)).await;
    world.stop.cancel();
    assert_eq!(apply.await.unwrap().unwrap_err().cause, Cause::Deadline);
    assert_eq!(world.authority.take_changing().len(), 3, "one, and two when that had succeeded");
    assert!(world.service.records().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn who_waits_behind_another_apply_is_answered_at_the_deadline() {
    let world = world();
    world.authority.world().delay = Duration::from_secs(60);
    let service = world.service.clone();
    let first = tokio::spawn(async move { service.apply_changes(hosts(0..1)).await });
    tokio::task::yield_now().await;
    let failure = world.apply(&hosts(1..2)).await.unwrap_err();
    assert_eq!(failure.cause, Cause::Deadline);
    assert_eq!(first.await.unwrap().unwrap(), []);
}

#[tokio::test]
async fn two_lists_without_an_apply_end_what_was_rejected() {
    let world = world();
    world.authority.world().denies_all = true;
    world.reconcile(&hosts(0..1)).await.unwrap();
    world.service.records().await.unwrap();
    assert_eq!(world.service.status().rejected.len(), 2);
    world.service.records().await.unwrap();
    assert_eq!(world.service.status().rejected.len(), 0);
}

fn faults() -> impl Strategy<Value = BTreeMap<usize, Misbehaviour>> {
    let fault = prop::sample::select(vec![
        Misbehaviour::AnswerLost,
        Misbehaviour::MessageLost,
        Misbehaviour::FailsAfterwards,
        Misbehaviour::Unverifiable,
        Misbehaviour::Forged,
        Misbehaviour::Unreachable,
    ]);
    prop::collection::btree_map(0_usize..12, fault, 0..4)
}

proptest! {
    /// Promise 1: success means that DNS is as asked; and whatever is not rejected is as asked, too.
    #[test]
    fn it_never_lies(
        faults in faults(),
        denied in prop::collection::btree_set(0_usize..12, 0..4),
        foreign in prop::collection::btree_set(0_usize..12, 0..3),
        before in prop::collection::btree_set(0_usize..12, 0..6),
        batch_change_size in 1_usize..9,
        is_read: bool,
        is_readable_later: bool,
        prerequisites: bool,
    ) {
        let world = world_with(|settings| {
            settings.policy.batch_change_size = batch_change_size;
            settings.policy.prerequisites = prerequisites;
            settings.policy.profile = ServerProfile::Auto;
        });
        let name = |n: usize| format!("h{n}.{ZONE}");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let outcome = runtime.block_on(async {
            let foreign = foreign.difference(&before);
            let create = before.iter().flat_map(|n| record(&name(*n), "A", "192.0.2.1")).collect();
            world.reconcile(&Changes { create, ..Changes::default() }).await.unwrap();
            foreign.for_each(|n| world.put(&name(*n), "A", "203.0.113.9"));
            world.authority.take_changing();
            if is_read {
                world.service.records().await.unwrap();
            }
            {
                let mut fake = world.authority.world();
                fake.faults = faults;
                fake.denied = denied.iter().map(|n| name(*n).parse().unwrap()).collect();
                fake.is_readable = is_readable_later;
            }
            let mut changes = Changes::default();
            for n in 0..12 {
                if before.contains(&n) {
                    changes.update_old.extend(record(&name(n), "A", "192.0.2.1"));
                    changes.update_new.extend(record(&name(n), "A", "192.0.2.2"));
                } else {
                    changes.create.extend(record(&name(n), "A", "192.0.2.2"));
                }
            }
            world.apply(&changes).await
        });
        let held = world.held();
        if let Ok(rejections) = outcome {
            let rejected: BTreeSet<_> = rejections.iter().map(|rejection| rejection.name.clone()).collect();
            for n in (0..12).filter(|n| !rejected.contains(&name(*n))) {
                prop_assert_eq!(held.get(&format!("{} A", name(n))), Some(&vec!["192.0.2.2".to_owned()]));
                prop_assert!(held.contains_key(&format!("a-{} TXT", name(n))), "{} has lost its owner", name(n));
            }
        }
        // Promise 3, whatever came of it.
        for n in foreign.difference(&before) {
            prop_assert_eq!(held.get(&format!("{} A", name(*n))).unwrap().contains(&"203.0.113.9".to_owned()), true);
        }
    }
}

#[tokio::test]
async fn nothing_to_do_is_decided_from_a_copy_that_was_confirmed_in_the_apply() {
    let name = format!("web.{ZONE}");
    let asked = record(&name, "A", "192.0.2.1");
    // A delete of what is there, and not yet in the copy.
    let world = world();
    world.service.records().await.unwrap();
    world.put(&name, "A", "192.0.2.1");
    let text = asked[1].targets[0].as_str();
    world.put(&asked[1].dns_name, "TXT", text);
    let delete = Changes { delete: asked.clone(), ..Changes::default() };
    assert_eq!(world.apply(&delete).await.unwrap(), []);
    assert_eq!(world.held(), BTreeMap::new(), "204 for a delete that was never sent");
    // A create of what the copy holds, and DNS no more.
    let create = Changes { create: asked, ..Changes::default() };
    assert_eq!(world.reconcile(&create).await.unwrap(), []);
    world.service.records().await.unwrap();
    let zone: ZoneName = ZONE.parse().unwrap();
    world.authority.world().zones.get_mut(&zone).unwrap().remove_rrset(&name.parse().unwrap(), RecordType::A);
    assert_eq!(world.apply(&create).await.unwrap(), []);
    assert_eq!(world.held().len(), 2, "204 for a create that was never sent");
}

#[tokio::test]
async fn a_record_that_was_somebody_elses_in_an_old_copy_only_is_deleted() {
    let name = format!("web.{ZONE}");
    let world = world();
    let asked = record(&name, "A", "192.0.2.1");
    world.put(&name, "A", "192.0.2.1");
    let other = "heritage=external-dns,external-dns/owner=other";
    world.put(&asked[1].dns_name, "TXT", other);
    world.service.records().await.unwrap();
    let zone: ZoneName = ZONE.parse().unwrap();
    let text_name: Name = asked[1].dns_name.parse().unwrap();
    world.authority.world().zones.get_mut(&zone).unwrap().remove_rrset(&text_name, RecordType::TXT);
    world.put(&asked[1].dns_name, "TXT", &asked[1].targets[0]);
    let delete = Changes { delete: asked, ..Changes::default() };
    assert_eq!(world.apply(&delete).await.unwrap(), []);
    assert_eq!(world.held(), BTreeMap::new());
}
