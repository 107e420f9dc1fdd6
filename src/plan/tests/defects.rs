//! Defects of ExternalDNS's own provider that are the planner's business, each shown to be absent.

use super::*;

#[test]
fn defect_11_names_and_targets_are_never_read_as_zone_file_text() {
    let policy = policy(&["example.test"]);
    let hostile = [
        "www.example.test. 0 A 203.0.113.66 ;x.example.test",
        "$INCLUDE /etc/passwd",
        "$GENERATE 1-100 h$ A 203.0.113.66",
        "x\nwww.example.test. 0 A 203.0.113.66",
        "x\0.example.test",
        r"x\000.example.test",
        r"x\010.example.test",
        "(\n) A 203.0.113.66",
        "\"",
        "\\",
        r"\256.example.test",
    ];
    let mut world = World::new(&policy).with("www.example.test", "A", &["192.0.2.1"]);
    let before = world.clone();
    let mut create = Vec::new();
    for text in hostile {
        create.extend(owned(text, "A", &["192.0.2.7"]));
        create.extend(owned(&format!("{text}.example.test"), "A", &[text]));
        create.extend(owned("target.example.test", "CNAME", &[text]));
        create.extend(owned("mail.example.test", "MX", &[&format!("10 {text}")]));
    }
    world.apply(&super::create(create), &policy);
    assert_eq!(world.texts("www.example.test", "A"), ["192.0.2.1"]);
    let addresses = world.0.values().flat_map(ZoneContents::iter).filter(|rrset| rrset.rtype == RecordType::A);
    let is_listed_before =
        |rrset: &crate::dns::RrsetRef<'_>| before.0.values().any(|zone| zone.rrset(rrset.name, rrset.rtype).is_some());
    for rrset in addresses.filter(|rrset| !is_listed_before(rrset)) {
        assert_eq!(canonical::canonical_targets(RecordType::A, rrset.rdata), ["192.0.2.7"], "{:?}", rrset.name);
    }
    // A text is a text, whatever it says, and takes nothing along.
    for (n, text) in hostile.into_iter().enumerate() {
        let mut world = before.clone();
        world.apply(&super::create(owned(&format!("t{n}.example.test"), "TXT", &[text])), &policy);
        let others = world.0.values().flat_map(ZoneContents::iter).filter(|rrset| rrset.rtype != RecordType::TXT);
        assert_eq!(others.count(), 1, "{text:?}");
        assert_eq!(world.texts(&format!("t{n}.example.test"), "TXT").len(), 1, "{text:?}");
    }
}

#[test]
fn defect_12_a_text_is_one_text_and_a_ttl_never_wraps() {
    let policy = policy(&["example.test"]);
    let mut world = World::new(&policy);
    let spf = "v=spf1 include:_spf.example.test; -all";
    let text = Endpoint { record_ttl: 4_294_967_296, ..record("t.example.test", "TXT", &[spf]) };
    world.apply_all(&create(vec![text]), &policy);
    assert_eq!(world.texts("t.example.test", "TXT"), [spf]);
    let ttls: Vec<_> = world.0.values().flat_map(ZoneContents::iter).map(|rrset| rrset.ttl).collect();
    assert_eq!(ttls, [Ttl::MAX]);
    for (rtype, target) in [("CNAME", ""), ("A", ""), ("A", "192.0.2.1 "), ("MX", "10")] {
        let outcome = World::new(&policy).apply(&create(vec![record("e.example.test", rtype, &[target])]), &policy);
        let written = outcome.batches.iter().flat_map(|batch| &batch.steps).flat_map(|step| &step.step.operations);
        assert!(written.clone().all(|op| op.name().to_undotted() == "e.example.test"), "{rtype} {target:?}");
        assert_eq!(outcome.refused.len() + written.count(), 1, "{rtype} {target:?}");
    }
}

#[test]
fn defect_13_a_name_in_utf_8_goes_out_as_a_labels() {
    let policy = policy(&["example.test"]);
    let mut world = World::new(&policy);
    world.apply_all(&create(owned("bücher.example.test", "CNAME", &["straße.example.test"])), &policy);
    assert_eq!(world.texts("xn--bcher-kva.example.test", "CNAME"), ["xn--strae-oqa.example.test"]);
}

#[test]
fn defect_15_a_record_and_its_registry_text_share_a_message() {
    let policy = Policy { batch_change_size: 3, ..policy(&["example.test"]) };
    let names: Vec<_> = (0..20).map(|n| format!("h{n}.example.test")).collect();
    let pairs: Vec<_> = names.iter().map(|name| owned(name, "A", &["192.0.2.1"])).collect();
    // As ExternalDNS sends them: all records first, then all registry TXT.
    let (records, texts): (Vec<_>, Vec<_>) =
        pairs.into_iter().flatten().partition(|endpoint| endpoint.record_type == "A");
    let mut world = World::new(&policy);
    let outcome = world.apply(&create([records, texts].concat()), &policy);
    for batch in &outcome.batches {
        let touched: BTreeSet<_> =
            batch.steps.iter().flat_map(|s| &s.step.planned).map(|p| p.name.to_undotted()).collect();
        for name in touched.iter().filter(|name| !name.starts_with("a-")) {
            assert!(touched.contains(&format!("a-{name}")), "{touched:?}");
        }
    }
    assert_eq!(world.0.values().flat_map(ZoneContents::iter).count(), 40);
}

#[test]
fn defect_18_messages_are_capped_by_octets_too() {
    let policy = Policy { batch_change_size: 1000, ..policy(&["example.test"]) };
    let text = "x".repeat(2000);
    let create = create((0..100).map(|n| record(&format!("t{n}.example.test"), "TXT", &[&text])).collect());
    let outcome = World::new(&policy).apply(&create, &policy);
    assert!(outcome.batches.len() > 10);
    for batch in &outcome.batches {
        let zone = &batch.steps[0].step.zone;
        let octets = batch.update(zone).encode(0).unwrap().len();
        assert!(octets < policy.profile.message_octets(), "{octets}");
    }
}
