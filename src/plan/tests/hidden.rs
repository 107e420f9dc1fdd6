//! Nothing is written where nobody sees it, and nothing goes for what would not stand.

use super::*;

const WEB: &str = "web.example.test";

fn zone() -> Policy {
    policy(&["example.test"])
}

/// The names and types that `/records` shows.
fn listed(world: &World, policy: &Policy) -> Vec<(String, String)> {
    let endpoints = world.0.values().flat_map(|contents| list(contents, policy));
    endpoints.map(|endpoint| (endpoint.dns_name, endpoint.record_type)).collect()
}

/// A record with its registry TXT, made with `--txt-prefix=%{record_type}-reg.`.
fn prefixed(name: &str, rtype: &str, targets: &[&str]) -> Vec<Endpoint> {
    let text = format!("{}-reg.{name}", rtype.to_lowercase());
    vec![record(name, rtype, targets), Endpoint { dns_name: text, ..registry(name, rtype, OWNER) }]
}

#[test]
fn the_registry_text_of_a_delegation_is_listed_and_written_below_its_own_cut() {
    let policy = zone();
    let mut world = World::new(&policy);
    let (one, two) = (["ns1.test"], ["ns1.test", "ns2.test"]);
    let sub = |targets: &[&str]| prefixed("sub.example.test", "NS", targets);
    world.apply_all(&create(sub(&one)), &policy);
    assert!(listed(&world, &policy).contains(&("ns-reg.sub.example.test".to_owned(), "TXT".to_owned())));
    world.apply_all(&update(sub(&one), sub(&two)), &policy);
    assert_eq!(world.texts("sub.example.test", "NS"), two);
    world.apply_all(&delete(sub(&two)), &policy);
    assert_eq!(world, World::new(&policy));
    // Somebody else's texts below a delegation stay hidden.
    let foreign = World::new(&policy).with("sub.example.test", "NS", &one).with(
        "a-web.sub.example.test",
        "TXT",
        &[&heritage(OWNER)],
    );
    assert_eq!(listed(&foreign, &policy), [("sub.example.test".to_owned(), "NS".to_owned())]);
}

#[test]
fn the_glue_of_a_delegation_of_ours_changes_at_any_time_in_any_order() {
    let policy = zone();
    let (part, a, b) = ("part.example.test", "a.ns.part.example.test", "b.ns.part.example.test");
    for make in [owned, prefixed] {
        let glue = |name: &str, n: u8| {
            let (v4, v6) = (format!("192.0.2.{n}"), format!("2001:db8::{n}"));
            [make(name, "A", &[&v4]), make(name, "AAAA", &[&v6])].concat()
        };
        let both = || make(part, "NS", &[a, b]);
        let one = || make(part, "NS", &[a]);
        let steps = |ns_first: bool| {
            let changes = if ns_first {
                vec![create(both()), create(glue(a, 1)), create(glue(b, 1))]
            } else {
                vec![create(glue(a, 1)), create(one()), create(glue(b, 1)), update(one(), both())]
            };
            let then = vec![
                update(glue(a, 1), glue(a, 2)),
                update(glue(b, 1), glue(b, 2)),
                update(both(), one()),
                update(glue(b, 2), glue(b, 3)),
            ];
            let last = if ns_first {
                vec![delete(glue(b, 3)), delete(glue(a, 2)), delete(one())]
            } else {
                vec![delete(one()), delete(glue(b, 3)), delete(glue(a, 2))]
            };
            [changes, then, last].concat()
        };
        for ns_first in [true, false] {
            let mut world = World::new(&policy);
            for (n, changes) in steps(ns_first).iter().enumerate() {
                world.apply_all(changes, &policy);
                let held: usize = world.0.values().map(|contents| contents.iter().count()).sum();
                assert_eq!(listed(&world, &policy).len(), held, "step {n}, NS first {ns_first}");
            }
            assert_eq!(world, World::new(&policy), "NS first {ns_first}");
        }
    }
}

#[test]
fn nothing_is_listed_or_written_below_a_dname_or_a_foreign_cut() {
    let policy = zone();
    let below = "x.part.example.test";
    for (rtype, target) in [("DNAME", "elsewhere.test"), ("NS", "ns.elsewhere.test")] {
        let mut world =
            World::new(&policy).with("part.example.test", rtype, &[target]).with(below, "A", &["192.0.2.9"]);
        let before = world.clone();
        assert_eq!(listed(&world, &policy), [("part.example.test".to_owned(), rtype.to_owned())]);
        let outcome = world.apply(&create(owned("y.part.example.test", "A", &["192.0.2.1"])), &policy);
        assert!(
            matches!(reasons(&outcome)[..], [Reason::BelowDname { .. } | Reason::Delegated { .. }]),
            "{:?}",
            outcome.refused
        );
        assert_eq!(world, before);
    }
    let apex = World::new(&policy).with("example.test", "DNAME", &["elsewhere.test"]).with(below, "A", &["192.0.2.9"]);
    assert_eq!(listed(&apex, &policy), [("example.test".to_owned(), "DNAME".to_owned())]);
}

#[test]
fn a_new_delegation_or_dname_over_foreign_names_is_rejected() {
    let policy = zone();
    for (rtype, target) in [("NS", "ns.elsewhere.test"), ("DNAME", "elsewhere.test")] {
        let mut world = World::new(&policy).with("x.sub.example.test", "A", &["192.0.2.9"]);
        let before = world.clone();
        let outcome = world.apply(&create(owned("sub.example.test", rtype, &[target])), &policy);
        assert!(matches!(reasons(&outcome)[..], [Reason::Hides(_)]), "{:?}", outcome.refused);
        assert_eq!(world, before);
        // In one plan the name below is the one that is not written.
        let both =
            [owned("sub.example.test", rtype, &[target]), owned("y.sub.example.test", "A", &["192.0.2.1"])].concat();
        let mut world = World::new(&policy);
        let outcome = world.apply(&create(both), &policy);
        assert_eq!(reasons(&outcome).len(), 1, "{:?}", outcome.refused);
        assert_eq!(
            (world.texts("sub.example.test", rtype).len(), world.texts("y.sub.example.test", "A").len()),
            (1, 0)
        );
    }
}

#[test]
fn a_delegation_or_dname_that_came_after_the_last_list_stops_what_it_would_hide() {
    let policy = zone();
    let copies = World::new(&policy).copies();
    for (cut, rtype, target) in
        [("sub.example.test", "NS", "ns.elsewhere.test"), ("b.sub.example.test", "DNAME", "elsewhere.test")]
    {
        let mut world = World::new(&policy).with(cut, rtype, &[target]);
        let before = world.clone();
        let asked =
            [owned("a.b.sub.example.test", "A", &["192.0.2.1"]), owned("c.b.sub.example.test", "A", &["192.0.2.1"])];
        let outcome = world.apply_from(&create(asked.concat()), &copies, &policy);
        assert_eq!((outcome.failed, &world), (1, &before));
        // What several records lie below is asked for once.
        let update = outcome.batches[0].update(&outcome.batches[0].steps[0].step.zone);
        let above =
            |name: &str| update.prerequisites.iter().filter(|p| p.to_string().contains(&format!(" {name}. "))).count();
        assert_eq!((above("sub.example.test"), above("b.sub.example.test"), above("example.test")), (2, 2, 0));
    }
}

#[test]
fn an_alias_that_leads_back_to_itself_is_rejected() {
    let policy = zone();
    let alias = |name: &str, target: &str| {
        owned(&format!("{name}.example.test"), "CNAME", &[&format!("{target}.example.test")])
    };
    let held = |name: &str, target: &str| {
        World::new(&policy).with(&format!("{name}.example.test"), "CNAME", &[&format!("{target}.example.test")])
    };
    for (mut world, changes, refused) in [
        (World::new(&policy), create(alias("x", "x")), 1),
        (World::new(&policy), create([alias("x", "y"), alias("y", "x")].concat()), 2),
        (held("y", "x"), create(alias("x", "y")), 1),
        (held("y", "z"), create([alias("x", "y"), alias("z", "x")].concat()), 2),
        (held("*", "x"), create(alias("x", "y")), 1),
        (World::new(&policy), create(alias("*", "y")), 1),
        (held("y", "z"), create(alias("x", "y")), 0),
        (World::new(&policy), create([alias("x", "y"), alias("y", "z")].concat()), 0),
        (World::new(&policy), create(owned("d.example.test", "DNAME", &["e.d.example.test"])), 1),
    ] {
        let outcome = world.apply(&changes, &policy);
        let loops = reasons(&outcome).iter().filter(|reason| matches!(reason, Reason::CnameLoop)).count();
        assert_eq!((loops, reasons(&outcome).len()), (refused, refused), "{changes:?}");
    }
}

#[test]
fn nothing_is_deleted_for_an_alias_that_would_not_stand() {
    let policy = zone();
    let swap = Changes {
        create: vec![record(WEB, "CNAME", &["x.test"])],
        delete: vec![record(WEB, "A", &["192.0.2.1"])],
        ..Changes::default()
    };
    for (rtype, target) in [("CAA", "0 issue \"ca.test\""), ("TLSA", "3 1 1 00"), ("SSHFP", "1 1 00"), ("HTTPS", "1 .")]
    {
        let mut world = World::new(&policy).with(WEB, "A", &["192.0.2.1"]).with(WEB, rtype, &[target]);
        let before = world.clone();
        let outcome = world.apply_from(&swap, &Copies::new(), &policy);
        assert_eq!((outcome.failed, &world), (1, &before), "{rtype}");
    }
    let mut world = World::new(&policy).with(WEB, "A", &["192.0.2.1"]);
    world.put(WEB, RecordType::from(29), Rdata::from_wire([0; 16]));
    assert_eq!(world.apply_from(&swap, &Copies::new(), &policy).failed, 1, "LOC");
}
