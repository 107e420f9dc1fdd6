//! A record and its registry TXT stay together.

use super::*;

const WEB: &str = "web.example.test";

fn zone() -> Policy {
    policy(&["example.test"])
}

#[test]
fn a_record_whose_registry_name_is_malformed_is_rejected_with_it() {
    let policy = zone();
    let long = format!("{}.{}.{}.{}.example.test", "a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(63));
    for bad in [long, "a-..web.example.test".to_owned(), format!("a-{}.example.test", "x".repeat(62))] {
        let text = Endpoint { dns_name: bad.clone(), ..registry(WEB, "A", OWNER) };
        let pair = vec![record(WEB, "A", &["192.0.2.1"]), text];
        let mut world = World::new(&policy);
        let outcome = world.apply(&create(pair.clone()), &policy);
        assert_eq!((outcome.refused.len(), outcome.batches.len()), (2, 0), "{bad}");
        assert!(reasons(&outcome).iter().any(|reason| matches!(reason, Reason::BadRegistryName { .. })), "{bad}");
        let mut world = World::new(&policy).with(WEB, "A", &["192.0.2.1"]);
        let before = world.clone();
        world.apply(&delete(pair.clone()), &policy);
        world.apply(&update(pair.clone(), vec![record(WEB, "A", &["192.0.2.2"]), pair[1].clone()]), &policy);
        assert_eq!(world, before, "{bad}");
    }
}

#[test]
fn a_record_without_a_registry_text_beside_others_that_have_theirs_is_rejected() {
    let policy = zone();
    let lonely = || record("lonely.example.test", "A", &["192.0.2.2"]);
    let with_web = || [owned(WEB, "A", &["192.0.2.1"]), vec![lonely()]].concat();
    let mut world = World::new(&policy);
    let outcome = world.apply(&create(with_web()), &policy);
    assert_eq!(reasons(&outcome), [&Reason::NoRegistryText]);
    assert_eq!((world.texts("lonely.example.test", "A").len(), world.texts(WEB, "A").len()), (0, 1));
    // ExternalDNS leaves out a text that it has seen in DNS.
    for (owner, refused) in [(OWNER, 0), ("other", 1)] {
        let mut world = World::new(&policy).with("a-lonely.example.test", "TXT", &[&heritage(owner)]);
        assert_eq!(world.apply(&create(with_web()), &policy).refused.len(), refused, "{owner}");
    }
    // Without any registry TXT in the plan the registry is another one.
    World::new(&policy).apply_all(&create(vec![lonely()]), &policy);
}

#[test]
fn of_two_records_that_share_a_registry_name_the_second_is_rejected() {
    let policy = zone();
    let shared = |name: &str| {
        let text = Endpoint { dns_name: "a-any.wc.example.test".to_owned(), ..registry(name, "A", OWNER) };
        vec![record(name, "A", &["192.0.2.1"]), text]
    };
    let mut world = World::new(&policy);
    let outcome = world.apply(&create([shared("*.wc.example.test"), shared("any.wc.example.test")].concat()), &policy);
    assert!(matches!(reasons(&outcome)[..], [Reason::RegistryShared { .. }]), "{outcome:?}");
    assert_eq!(world.texts("any.wc.example.test", "A"), [""; 0]);
    assert_eq!(world.texts("a-any.wc.example.test", "TXT"), [heritage(OWNER)]);
    world.apply_all(&delete(shared("*.wc.example.test")), &policy);
    assert_eq!(world, World::new(&policy));
}

#[test]
fn a_record_that_another_owner_claims_too_stays_when_ours_is_deleted() {
    let policy = zone();
    let text = "a-web.example.test";
    let mut world = World::new(&policy);
    world.apply_all(&create(owned(WEB, "A", &["192.0.2.1"])), &policy);
    let mut world = world.with(text, "TXT", &[&heritage("other"), "foreign"]);
    let outcome = world.apply(&delete(owned(WEB, "A", &["192.0.2.1"])), &policy);
    assert_eq!((outcome.refused.len(), outcome.failed), (0, 0));
    assert_eq!(outcome.batches[0].steps[0].step.kept, [(WEB.parse().unwrap(), RecordType::A, "other".to_owned())]);
    assert_eq!(world.texts(WEB, "A"), ["192.0.2.1"]);
    assert_eq!(world.texts(text, "TXT"), [heritage("other"), "foreign".to_owned()]);
}
