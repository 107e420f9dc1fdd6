//! One test for each rule and each known defect.

use super::*;

const WEB: &str = "web.example.test";

fn zone() -> Policy {
    policy(&["example.test"])
}

#[test]
fn cause_18_a_type_change_is_one_message_that_deletes_first() {
    let policy = zone();
    let mut world = World::new(&policy);
    world.apply_all(&create([owned(WEB, "A", &["192.0.2.1"]), owned(WEB, "AAAA", &["2001:db8::1"])].concat()), &policy);
    let to_cname = Changes {
        create: owned(WEB, "CNAME", &["x.test"]),
        delete: [owned(WEB, "A", &["192.0.2.1"]), owned(WEB, "AAAA", &["2001:db8::1"])].concat(),
        ..Changes::default()
    };
    let outcome = world.apply(&to_cname, &policy);
    assert_eq!((outcome.batches.len(), outcome.failed, outcome.refused.len()), (1, 0, 0));
    assert_eq!((world.texts(WEB, "CNAME"), world.texts(WEB, "A").len()), (vec!["x.test".to_owned()], 0));
    let back = Changes {
        create: owned(WEB, "A", &["192.0.2.1"]),
        delete: owned(WEB, "CNAME", &["x.test"]),
        ..Changes::default()
    };
    let outcome = world.apply(&back, &policy);
    assert_eq!((outcome.batches.len(), outcome.failed, outcome.refused.len()), (1, 0, 0));
    assert_eq!((world.texts(WEB, "A"), world.texts(WEB, "CNAME").len()), (vec!["192.0.2.1".to_owned()], 0));
}

#[test]
fn a_create_never_merges_into_a_foreign_rrset() {
    let policy = zone();
    for target in ["192.0.2.9", "192.0.2.1"] {
        let mut world = World::new(&policy).with(WEB, "A", &[target]);
        let outcome = world.apply(&create(owned(WEB, "A", &["192.0.2.1"])), &policy);
        assert!(matches!(reasons(&outcome)[..], [Reason::ExistsUnowned(_)]), "{target}");
        assert_eq!(world.texts(WEB, "A"), [target]);
        assert_eq!(world.texts("a-web.example.test", "TXT"), [""; 0]);
    }
}

#[test]
fn a_create_that_meets_an_unseen_record_fails_at_its_prerequisite() {
    let policy = zone();
    let copies = World::new(&policy).copies();
    let mut world = World::new(&policy).with(WEB, "A", &["192.0.2.9"]);
    let outcome = world.apply_from(&create(owned(WEB, "A", &["192.0.2.1"])), &copies, &policy);
    assert_eq!(outcome.failed, 1);
    assert_eq!(world, World::new(&policy).with(WEB, "A", &["192.0.2.9"]));
}

#[test]
fn the_registry_text_of_one_type_does_not_give_away_another() {
    let policy = zone();
    let mut world = World::new(&policy)
        .with(WEB, "A", &["192.0.2.1"])
        .with("a-web.example.test", "TXT", &[&heritage(OWNER)])
        .with(WEB, "AAAA", &["2001:db8::9"]);
    let before = world.clone();
    let mut asked = update(owned(WEB, "A", &["192.0.2.1"]), owned(WEB, "A", &["192.0.2.2"]));
    asked.create = owned(WEB, "AAAA", &["2001:db8::1"]);
    let outcome = world.apply(&asked, &policy);
    assert!(matches!(reasons(&outcome)[..], [Reason::ExistsUnowned(_)]));
    assert_eq!(world, before);
}

#[test]
fn an_update_starts_from_a_text_however_it_is_cut() {
    let policy = zone();
    let mut world = World::new(&policy);
    world.put(WEB, RecordType::TXT, Rdata::from_wire(*b"\x03one\x03two"));
    // Without a registry TXT, equal values are all that lets it start.
    let text = |targets: &[&str]| vec![record(WEB, "TXT", targets)];
    world.apply_all(&update(text(&["onetwo"]), text(&["onetwo", "three"])), &policy);
    assert_eq!(world.texts(WEB, "TXT"), ["onetwo", "three"]);
    world.apply_all(&delete(text(&["onetwo", "three"])), &policy);
    assert_eq!(world, World::new(&policy));
}

#[test]
fn a_registry_text_in_several_strings_goes_and_a_foreign_text_beside_it_stays() {
    let policy = zone();
    let sealed_looking = "QUJD".repeat(20);
    let mut world = World::new(&policy).with(WEB, "A", &["192.0.2.1"]);
    let text = heritage(OWNER).trim_matches('"').to_owned();
    let (left, right) = text.split_at(40);
    let string = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    world.put("a-web.example.test", RecordType::TXT, Rdata::from_wire([string(left), string(right)].concat()));
    let mut world = world.with("a-web.example.test", "TXT", &["foreign", &sealed_looking]);
    world.apply_all(&update(owned(WEB, "A", &["192.0.2.1"]), owned(WEB, "A", &["192.0.2.2"])), &policy);
    assert_eq!(
        world.texts("a-web.example.test", "TXT"),
        [heritage(OWNER), sealed_looking.clone(), "foreign".to_owned()]
    );
    world.apply_all(&delete(owned(WEB, "A", &["192.0.2.2"])), &policy);
    assert_eq!(world, World::new(&policy).with("a-web.example.test", "TXT", &["foreign", &sealed_looking]));
}

#[test]
fn migration_carries_a_record_over_from_its_former_owner() {
    let policy = zone();
    let mut world =
        World::new(&policy).with(WEB, "A", &["192.0.2.1"]).with("a-web.example.test", "TXT", &[&heritage("former")]);
    world.apply_all(&update(owned(WEB, "A", &["192.0.2.1"]), owned(WEB, "A", &["192.0.2.1"])), &policy);
    assert_eq!(world.texts("a-web.example.test", "TXT"), [heritage(OWNER)]);
}

#[test]
fn cause_11_a_forced_text_update_creates_what_dns_never_held() {
    let policy = zone();
    let mut world = World::new(&policy).with(WEB, "A", &["192.0.2.1"]);
    let outcome = world.apply(&update(owned(WEB, "A", &["192.0.2.1"]), owned(WEB, "A", &["192.0.2.1"])), &policy);
    let absent = Prerequisite::NameNotInUse("a-web.example.test".parse().unwrap());
    assert!(outcome.batches[0].steps[0].step.prerequisites.contains(&absent));
    assert_eq!(world.texts("a-web.example.test", "TXT"), [heritage(OWNER)]);
}

/// The prerequisites of an apply that is one message.
fn required(outcome: &Applied) -> Vec<Prerequisite> {
    outcome.batches[0].steps.iter().flat_map(|step| step.step.prerequisites.clone()).collect()
}

#[test]
fn a_name_that_nobody_has_is_guarded_once_whatever_comes_to_it() {
    let policy = zone();
    let both = [owned(WEB, "A", &["192.0.2.1"]), owned(WEB, "AAAA", &["2001:db8::1"])].concat();
    let outcome = World::new(&policy).apply(&create(both), &policy);
    let names = ["a-web.example.test", "aaaa-web.example.test", WEB];
    let unused = names.map(|name| Prerequisite::NameNotInUse(name.parse().unwrap()));
    assert_eq!(required(&outcome), unused);
}

#[test]
fn a_name_that_a_server_may_take_for_used_is_guarded_by_type() {
    let other_profile = |profile| Policy { profile, ..zone() };
    let by_type = |policy: &Policy, world: World| {
        let outcome = { world }.apply(&create(owned(WEB, "A", &["192.0.2.1"])), policy);
        required(&outcome)
            .contains(&Prerequisite::RrsetDoesNotExist { name: WEB.parse().unwrap(), rtype: RecordType::A })
    };
    let world = || World::new(&zone());
    let wildcard = || world().with("*.example.test", "TXT", &["any"]);
    assert!(by_type(&zone(), world().with(WEB, "CAA", &["0 issue \"ca.test\""])));
    assert!(by_type(&zone(), world().with("below.web.example.test", "A", &["192.0.2.9"])));
    // Samba's BIND9_DLZ finds at a name what a wildcard would answer.
    assert!(by_type(&other_profile(ServerProfile::Auto), wildcard()));
    assert!(!by_type(&other_profile(ServerProfile::Bind), wildcard()));
}

#[test]
fn what_the_registry_gives_to_another_owner_is_not_deleted() {
    let policy = zone();
    let mut world =
        World::new(&policy).with(WEB, "A", &["192.0.2.1"]).with("a-web.example.test", "TXT", &[&heritage("other")]);
    let before = world.clone();
    let outcome = world.apply(&delete(owned(WEB, "A", &["192.0.2.1"])), &policy);
    assert!(matches!(reasons(&outcome)[..], [Reason::OtherOwner(other)] if other == "other"));
    assert_eq!(world, before);
}

#[test]
fn noop_with_sync_deletes_nothing_foreign() {
    let policy = zone();
    let mut world = World::new(&policy).with(WEB, "A", &["192.0.2.1"]);
    let before = world.clone();
    let unlabelled = Endpoint { labels: BTreeMap::new(), ..record(WEB, "A", &["192.0.2.1"]) };
    let outcome = world.apply(&delete(vec![unlabelled]), &policy);
    assert_eq!(reasons(&outcome), [&Reason::Unowned]);
    assert_eq!(world, before);
}

#[test]
fn defect_17_updates_are_paired_by_name_and_type_never_by_index() {
    let policy = zone();
    let mut world = World::new(&policy);
    let (a, b) = ("a.example.test", "b.example.test");
    let old = [owned(a, "A", &["192.0.2.1"]), owned(b, "A", &["192.0.2.2"])].concat();
    world.apply_all(&create(old.clone()), &policy);
    world.apply_all(&update(old, [owned(b, "A", &["192.0.2.4"]), owned(a, "A", &["192.0.2.3"])].concat()), &policy);
    assert_eq!(
        (world.texts(a, "A"), world.texts(b, "A")),
        (vec!["192.0.2.3".to_owned()], vec!["192.0.2.4".to_owned()])
    );
}

#[test]
fn an_old_value_without_a_new_one_is_nothing_and_a_new_one_alone_a_create() {
    let policy = zone();
    let mut world = World::new(&policy);
    world.apply_all(&update(Vec::new(), owned(WEB, "A", &["192.0.2.1"])), &policy);
    let before = world.clone();
    assert_eq!(world.apply(&update(owned(WEB, "A", &["192.0.2.1"]), Vec::new()), &policy).batches.len(), 0);
    assert_eq!(world, before);
    assert_eq!(world.texts(WEB, "A"), ["192.0.2.1"]);
}

#[test]
fn a_cname_stands_alone_at_its_name() {
    let policy = zone();
    let mut world = World::new(&policy).with(WEB, "MX", &["10 mail.test"]);
    let before = world.clone();
    let outcome = world.apply(&create(owned(WEB, "CNAME", &["x.test"])), &policy);
    assert!(matches!(reasons(&outcome)[..], [Reason::ExistsUnowned(_)]));
    assert_eq!(world, before);
}

#[test]
fn a_legacy_registry_text_beside_a_cname_is_left_out() {
    let policy = zone();
    let mut asked = owned(WEB, "CNAME", &["x.test"]);
    asked.push(Endpoint { dns_name: WEB.to_owned(), ..registry(WEB, "CNAME", OWNER) });
    let left_out = group(intake(&create(asked.clone()), &policy).0, &policy).left_out;
    assert_eq!(left_out.iter().map(|refusal| refusal.rtype.as_str()).collect::<Vec<_>>(), ["TXT"]);
    let mut world = World::new(&policy);
    world.apply_all(&create(asked), &policy);
    assert_eq!((world.texts(WEB, "CNAME").len(), world.texts(WEB, "TXT").len()), (1, 0));
}

/// A record with its registry TXT as ExternalDNS up to 0.17 names them: with the type, and without.
fn doubly_owned(rtype: &str, targets: &[&str], untyped: &str) -> Vec<Endpoint> {
    let mut endpoints = owned(WEB, rtype, targets);
    endpoints.push(Endpoint { dns_name: untyped.to_owned(), ..registry(WEB, rtype, OWNER) });
    endpoints
}

#[test]
fn a_registry_text_that_types_share_stays_through_a_change_of_type() {
    let policy = zone();
    let untyped = "own-web.example.test";
    let (a, cname) = (doubly_owned("A", &["192.0.2.1"], untyped), doubly_owned("CNAME", &["x.test"], untyped));
    let mut world = World::new(&policy);
    world.apply_all(&create(a.clone()), &policy);
    world.apply_all(&Changes { create: cname.clone(), ..delete(a.clone()) }, &policy);
    let lengths = |world: &World| [WEB, "a-web.example.test", untyped].map(|name| world.texts(name, "TXT").len());
    assert_eq!((world.texts(WEB, "CNAME").len(), lengths(&world)), (1, [0, 0, 1]));
    world.apply_all(&Changes { create: a.clone(), ..delete(cname) }, &policy);
    assert_eq!((world.texts(WEB, "A").len(), lengths(&world)), (1, [0, 1, 1]));
    world.apply_all(&delete(a), &policy);
    assert_eq!(world, World::new(&policy));
}

#[test]
fn a_registry_text_that_a_deleted_record_shared_with_a_changed_one_stays() {
    let policy = zone();
    let untyped = "own-web.example.test";
    let a = |address| doubly_owned("A", &[address], untyped);
    let mx = doubly_owned("MX", &["10 mail.test"], untyped);
    let mut world = World::new(&policy);
    world.apply_all(&create([a("192.0.2.1"), mx.clone()].concat()), &policy);
    let asked = Changes { delete: mx, ..update(a("192.0.2.1"), a("192.0.2.2")) };
    world.apply_all(&asked, &policy);
    assert_eq!((world.texts(WEB, "A"), world.texts(WEB, "MX")), (vec!["192.0.2.2".to_owned()], Vec::new()));
    assert_eq!((world.texts(untyped, "TXT").len(), world.texts("mx-web.example.test", "TXT").len()), (1, 0));
}

#[test]
fn a_legacy_registry_text_goes_when_its_name_becomes_a_cname_and_comes_back_after() {
    let policy = zone();
    let (a, cname) = (doubly_owned("A", &["192.0.2.1"], WEB), doubly_owned("CNAME", &["x.test"], WEB));
    let mut world = World::new(&policy);
    world.apply_all(&create(a.clone()), &policy);
    world.apply_all(&Changes { create: cname.clone(), ..delete(a.clone()) }, &policy);
    assert_eq!((world.texts(WEB, "CNAME").len(), world.texts(WEB, "TXT").len()), (1, 0));
    world.apply_all(&update(cname.clone(), cname.clone()), &policy);
    world.apply_all(&Changes { create: a, ..delete(cname) }, &policy);
    assert_eq!((world.texts(WEB, "A").len(), world.texts(WEB, "TXT").len()), (1, 1));
}

#[test]
fn a_registry_text_outside_every_zone_rejects_its_record() {
    let policy = zone();
    let outcome = World::new(&policy).apply(&create(owned("example.test", "A", &["192.0.2.1"])), &policy);
    assert!(matches!(reasons(&outcome)[..], [Reason::RegistryOutsideZones(name)] if name == "a-example.test"));
    assert_eq!((outcome.refused.len(), outcome.batches.len()), (2, 0));
}

#[test]
fn a_registry_text_of_another_zone_is_created_first_and_deleted_last() {
    let policy = policy(&["example.test", "sub.example.test"]);
    let asked = owned("sub.example.test", "A", &["192.0.2.1"]);
    let zones = |changes: &Changes| -> Vec<String> {
        group_of(changes, &policy).parts.iter().map(|part| part.zone.to_string()).collect()
    };
    assert_eq!(zones(&create(asked.clone())), ["example.test", "sub.example.test"]);
    assert_eq!(zones(&delete(asked)), ["sub.example.test", "example.test"]);
}

#[test]
fn defect_14_a_suffix_without_a_label_boundary_is_another_zone() {
    let policy = zone();
    let outcome = World::new(&policy).apply(&create(owned("www.notexample.test", "A", &["192.0.2.1"])), &policy);
    assert!(reasons(&outcome).contains(&&Reason::OutsideZones));
}

#[test]
fn defect_10_one_bad_target_rejects_its_group_and_no_other() {
    let policy = zone();
    let mut world = World::new(&policy);
    let asked = [owned(WEB, "A", &["no address"]), owned("b.example.test", "A", &["192.0.2.2"])].concat();
    let outcome = world.apply(&create(asked), &policy);
    assert!(matches!(reasons(&outcome)[..], [Reason::BadTarget { .. }]));
    assert_eq!((world.texts(WEB, "A").len(), world.texts("b.example.test", "A").len()), (0, 1));
}

#[test]
fn contradictory_duplicates_reject_their_group_and_equal_ones_are_one() {
    let policy = zone();
    let twice = |second: &str| create([owned(WEB, "A", &["192.0.2.1"]), owned(WEB, "A", &[second])].concat());
    let mut world = World::new(&policy);
    assert_eq!(reasons(&world.apply(&twice("192.0.2.2"), &policy)), [&Reason::Contradiction]);
    assert_eq!(world, World::new(&policy));
    world.apply_all(&twice("192.0.2.1"), &policy);
    let (old, new) = (owned(WEB, "A", &["192.0.2.1"]), owned(WEB, "A", &["192.0.2.3"]));
    world.apply_all(&update([old.clone(), old].concat(), [new.clone(), new].concat()), &policy);
    assert_eq!(world.texts(WEB, "A"), ["192.0.2.3"]);
}

#[test]
fn a_name_below_a_delegation_is_rejected_and_glue_is_not() {
    let policy = Policy { allow_unowned: true, ..zone() };
    let mut world = World::new(&policy).with("sub.example.test", "NS", &["ns.sub.example.test"]);
    let hidden = world.apply(&create(owned("www.sub.example.test", "A", &["192.0.2.1"])), &policy);
    assert!(matches!(reasons(&hidden)[..], [Reason::Delegated { .. }]));
    world.apply_all(&create(vec![record("ns.sub.example.test", "A", &["192.0.2.1"])]), &policy);
}

#[test]
fn too_many_deletes_are_rejected_and_the_rest_applied() {
    let policy = Policy { max_deletes: Some(1), ..zone() };
    let mut world = World::new(&policy);
    let (a, b) = (owned("a.example.test", "A", &["192.0.2.1"]), owned("b.example.test", "A", &["192.0.2.2"]));
    world.apply_all(&create([a.clone(), b.clone()].concat()), &policy);
    let asked = Changes { create: owned(WEB, "A", &["192.0.2.3"]), ..delete([a.clone(), b].concat()) };
    let outcome = world.apply(&asked, &policy);
    assert_eq!(reasons(&outcome), [&Reason::TooManyDeletes { count: 2, limit: 1 }; 2]);
    assert_eq!((world.texts("a.example.test", "A").len(), world.texts(WEB, "A").len()), (1, 1));
    world.apply_all(&delete(a), &policy);
}

#[test]
fn a_ttl_is_kept_unless_asked_for() {
    let policy = Policy { default_ttl: Ttl::from_secs(60), ..zone() };
    let mut world =
        World::new(&policy).with(WEB, "A", &["192.0.2.1"]).with("a-web.example.test", "TXT", &[&heritage(OWNER)]);
    let ttl = |world: &World| world.0.values().next().unwrap().rrset(&WEB.parse().unwrap(), RecordType::A).unwrap().ttl;
    world.apply_all(&update(owned(WEB, "A", &["192.0.2.1"]), owned(WEB, "A", &["192.0.2.2"])), &policy);
    assert_eq!(ttl(&world), Ttl::from_secs(300));
    let timed = Endpoint { record_ttl: 90, ..record(WEB, "A", &["192.0.2.2"]) };
    world.apply_all(&update(vec![record(WEB, "A", &["192.0.2.2"])], vec![timed]), &policy);
    assert_eq!(ttl(&world), Ttl::from_secs(90));
}

#[test]
fn an_update_of_an_unread_zone_keeps_the_ttl_that_the_caller_was_shown() {
    let policy = Policy { default_ttl: Ttl::from_secs(60), ..zone() };
    let mut world = World::new(&policy).with(WEB, "A", &["192.0.2.1"]);
    let old = Endpoint { record_ttl: 300, ..record(WEB, "A", &["192.0.2.1"]) };
    let asked = update(vec![old], vec![record(WEB, "A", &["192.0.2.2"])]);
    let outcome = world.apply_from(&asked, &Copies::new(), &policy);
    assert_eq!((outcome.failed, world), (0, World::new(&policy).with(WEB, "A", &["192.0.2.2"])));
}

#[test]
fn a_failed_update_that_comes_back_as_a_create_may_start_from_either_value() {
    let policy = zone();
    let mut unknown_fates = UnknownFates::default();
    let tried = update(vec![record(WEB, "A", &["192.0.2.1"])], vec![record(WEB, "A", &["192.0.2.2"])]);
    intake(&tried, &policy).0.iter().for_each(|change| unknown_fates.keep(change, SystemTime::UNIX_EPOCH));
    let (mut changes, _) = intake(&create(vec![record(WEB, "A", &["192.0.2.2"])]), &policy);
    unknown_fates.accept(&mut changes);
    let planned = |held: &str| {
        let group = &group(changes.clone(), &policy).groups[0];
        plan(group, &group.parts[0], &World::new(&policy).with(WEB, "A", &[held]).copies(), &policy)
    };
    assert!(planned("192.0.2.1").unwrap().is_some());
    assert_eq!(planned("192.0.2.2"), Ok(None));
    assert!(planned("192.0.2.9").is_err());
}

#[test]
fn name_servers_of_a_delegation_are_replaced_whole_but_on_bind() {
    let policy = zone();
    let name = "child.example.test";
    let mut world = World::new(&policy);
    world.apply_all(&create(owned(name, "NS", &["a.test", "b.test"])), &policy);
    let change = update(owned(name, "NS", &["a.test", "b.test"]), owned(name, "NS", &["b.test", "c.test"]));
    let outcome = world.apply(&change, &policy);
    let operations = &outcome.batches[0].steps[0].step.operations;
    assert!(matches!(operations[..], [Operation::DeleteRrset { .. }, Operation::Add { .. }, Operation::Add { .. }]));
    let on_bind = Policy { profile: ServerProfile::Bind, ..zone() };
    let outcome = World::new(&policy).with(name, "NS", &["a.test", "b.test"]).apply(&change, &on_bind);
    let operations = outcome.batches.iter().flat_map(|batch| &batch.steps).flat_map(|step| &step.step.operations);
    assert!(
        operations.clone().count() > 0 && !operations.clone().any(|op| matches!(op, Operation::DeleteRrset { .. }))
    );
    assert_eq!(world.texts(name, "NS"), ["b.test", "c.test"]);
    world.apply_all(&delete(owned(name, "NS", &["b.test", "c.test"])), &policy);
    assert_eq!(world.texts(name, "NS"), [""; 0]);
}

#[test]
fn a_type_that_the_configured_servers_cannot_hold_is_rejected_and_what_is_there_can_go() {
    let policy = Policy { profile: ServerProfile::Samba, ..zone() };
    let mut world = World::new(&policy).with("old.example.test", "CAA", &["0 issue \"ca.test\""]);
    world.apply_all(&create(owned(WEB, "A", &["192.0.2.1"])), &policy);
    let outcome = world.apply(&create(owned("new.example.test", "CAA", &["0 issue \"ca.test\""])), &policy);
    assert!(matches!(reasons(&outcome)[..], [Reason::NotInProfile(RecordType::CAA)]));
    world.apply_all(&delete(vec![record("old.example.test", "CAA", &["0 issue \"ca.test\""])]), &policy);
    assert_eq!(world.texts("old.example.test", "CAA"), [""; 0]);
}

/// Adds a TTL to every endpoint.
fn timed(endpoints: Vec<Endpoint>, record_ttl: i64) -> Vec<Endpoint> {
    endpoints.into_iter().map(|endpoint| Endpoint { record_ttl, ..endpoint }).collect()
}

#[test]
fn a_ttl_changes_by_delete_and_add_of_every_record_whatever_the_type() {
    let cases: [(&str, &[&str], &[&str]); 8] = [
        ("A", &["192.0.2.1", "192.0.2.2", "192.0.2.3"], &["192.0.2.1", "192.0.2.2", "192.0.2.4"]),
        ("AAAA", &["2001:db8::1"], &["2001:db8::1"]),
        ("TXT", &["one", "two"], &["one", "two"]),
        ("MX", &["10 mail.test"], &["10 mail.test"]),
        ("SRV", &["0 0 53 ns.test."], &["0 0 53 ns.test."]),
        ("NS", &["a.test", "b.test"], &["a.test", "b.test"]),
        ("CAA", &["0 issue \"ca.test\""], &["0 issue \"ca.test\""]),
        ("CNAME", &["x.test"], &["x.test"]),
    ];
    for profile in [ServerProfile::Auto, ServerProfile::Bind] {
        for (rtype, old, new) in cases {
            let policy = Policy { profile, min_ttl: Ttl::from_secs(30), ..zone() };
            let mut world = World::new(&policy);
            let (old, new) = (timed(owned(WEB, rtype, old), 300), timed(owned(WEB, rtype, new), 20));
            world.apply_all(&create(old.clone()), &policy);
            let asked = update(old, new);
            world.apply_all(&asked, &policy);
            for rrset in world.0.values().flat_map(ZoneContents::iter) {
                assert_eq!(rrset.ttl, Ttl::from_secs(30), "{profile:?} {rtype} at {}", rrset.name);
            }
            assert_eq!(world.apply(&asked, &policy).batches, [], "{rtype}: the second plan is empty");
        }
    }
}

#[test]
fn of_several_targets_of_an_alias_adjust_and_apply_keep_the_lowest_and_say_so() {
    let policy = zone();
    for rtype in ["CNAME", "DNAME"] {
        let asked = record(WEB, rtype, &["z.test", "bb.test", "z.test", "ccc.test."]);
        let adjusted = adjust(vec![asked.clone()], &policy);
        assert_eq!(adjusted.endpoints[0].targets, ["bb.test"]);
        let told = Reason::OneTarget {
            rtype: rtype.parse().unwrap(),
            kept: "bb.test".to_owned(),
            others: "ccc.test, z.test".to_owned(),
        };
        assert_eq!(adjusted.dropped.iter().map(|refusal| &refusal.reason).collect::<Vec<_>>(), [&told]);
        let left_out = group(intake(&create(vec![asked.clone()]), &policy).0, &policy).left_out;
        assert_eq!(left_out.iter().map(|refusal| &refusal.reason).collect::<Vec<_>>(), [&told]);
        let mut world = World::new(&policy);
        world.apply_all(&create(vec![asked.clone()]), &policy);
        assert_eq!(world.texts(WEB, rtype), ["bb.test"]);
        assert_eq!(world.apply(&create(vec![asked]), &policy).batches, []);
    }
    assert_eq!(adjust(vec![record(WEB, "CNAME", &["x.test", "X.test."])], &policy).dropped, []);
}
