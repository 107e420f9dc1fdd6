//! Wildcards, sub-zones and delegations.

use std::collections::BTreeSet;

use crate::support::{Changes, Endpoint, Kdc, Named, Settings, Zone};

/// Answers everything below `wild` with one value, and denies one name there.
fn wild() -> Zone {
    Zone::granted("example.test")
        .policy("deny * name x.wild.example.test ANY; grant externaldns@EXAMPLE.TEST zonesub ANY;")
        .records("*.wild IN A 192.0.2.77\n*.wild IN TXT \"heritage=external-dns,external-dns/owner=default\"")
}

#[test]
fn a_refused_create_below_a_wildcard_that_answers_its_value_is_no_success() {
    for read in ["auto", "none"] {
        let kdc = Kdc::start();
        let named = Named::options().gss(&kdc).zone(wild()).start();
        let sidecar = Settings::keytab(&kdc, &named, &["example.test"]).set("RFC2136_READ", read).start();
        assert_eq!(named.answer("x.wild.example.test", "A"), ["192.0.2.77"]);
        let create = Changes::new().create(&Endpoint::a("x.wild.example.test", &["192.0.2.77"]));
        assert_eq!(sidecar.apply(&create), 500, "RFC2136_READ={read}");
        assert_eq!(sidecar.rejection("x.wild.example.test", "A")["cause"], "refused_by_policy");
        sidecar.apply_all(&Changes::new().create(&Endpoint::a("y.wild.example.test", &["192.0.2.77"])));
        let zone = named.axfr("example.test");
        assert!(zone.contains(&"y.wild.example.test. 300 A 192.0.2.77".to_owned()), "{zone:?}");
        assert!(!zone.iter().any(|record| record.starts_with("x.wild.")), "{zone:?}");
    }
}

#[test]
fn a_wildcard_record_lives() {
    let (_kdc, named, sidecar) = crate::example();
    let [old, new] = ["192.0.2.1", "192.0.2.2"].map(|address| Endpoint::a("*.apps.example.test", &[address]));
    sidecar.apply_all(&Changes::new().create(&old));
    assert_eq!(named.answer("any.apps.example.test", "A"), ["192.0.2.1"]);
    assert_eq!(sidecar.targets("*.apps.example.test", "A"), Some(vec!["192.0.2.1".to_owned()]));
    sidecar.apply_all(&Changes::new().update(&old, &new));
    assert_eq!(named.answer("other.apps.example.test", "A"), ["192.0.2.2"]);
    sidecar.apply_all(&Changes::new().delete(&new));
    assert!(named.answer("any.apps.example.test", "A").is_empty());
}

#[test]
fn a_sub_zone_beside_its_parent_is_listed_once_with_glue_in_both() {
    let kdc = Kdc::start();
    let parent =
        Zone::granted("example.test").records("sub IN NS ns.sub\nns.sub IN A 192.0.2.53\nold.sub IN A 192.0.2.5");
    let child = Zone::granted("sub.example.test").records("@ IN NS ns\nns IN A 192.0.2.53\nweb IN A 192.0.2.8");
    let named = Named::options().gss(&kdc).zone(parent).zone(child).start();
    let sidecar = Settings::keytab(&kdc, &named, &["example.test", "sub.example.test"]).start();
    let www = Endpoint::a("www.sub.example.test", &["192.0.2.1"]);
    sidecar.records();
    sidecar.apply_all(&Changes::new().create(&www));
    let listed = sidecar.records();
    let keys: BTreeSet<String> =
        listed.iter().map(|endpoint| format!("{} {}", endpoint["dnsName"], endpoint["recordType"])).collect();
    assert_eq!(keys.len(), listed.len(), "a key comes twice: {listed:?}");
    assert!(
        keys.contains(r#""web.sub.example.test" "A""#) && keys.contains(r#""www.sub.example.test" "A""#),
        "{keys:?}"
    );
    assert!(!keys.contains(r#""old.sub.example.test" "A""#), "the sub-zone does not hold it: {keys:?}");
    let in_zone = |zone: &str| named.axfr(zone).iter().any(|record| record.starts_with("www.sub.example.test. "));
    assert!(in_zone("sub.example.test"));
    assert!(!in_zone("example.test"));
    let serials = ["example.test", "sub.example.test"].map(|zone| named.serial(zone));
    sidecar.apply_all(&Changes::new().create(&www));
    assert_eq!(["example.test", "sub.example.test"].map(|zone| named.serial(zone)), serials, "nothing was left to do");
}

#[test]
fn a_name_below_a_delegation_to_elsewhere_is_neither_listed_nor_written() {
    let kdc = Kdc::start();
    let zone = Zone::granted("example.test")
        .records("sub IN NS ns.example.com.\nsub IN NS ns.sub\nns.sub IN A 192.0.2.53\nold.sub IN A 192.0.2.5");
    let named = Named::options().gss(&kdc).zone(zone).start();
    let sidecar = Settings::keytab(&kdc, &named, &["example.test"]).start();
    let before = named.axfr("example.test");
    let mut listed: Vec<String> = sidecar
        .records()
        .iter()
        .map(|endpoint| format!("{} {}", endpoint["dnsName"], endpoint["recordType"]))
        .collect();
    listed.sort();
    assert_eq!(listed, [r#""ns.sub.example.test" "A""#, r#""sub.example.test" "NS""#], "glue and cut alone");
    let changes = Changes::new()
        .create(&Endpoint::a("www.sub.example.test", &["192.0.2.1"]))
        .create(&Endpoint::a("fine.example.test", &["192.0.2.1"]));
    assert_eq!(sidecar.apply(&changes), 500);
    let rejection = sidecar.rejection("www.sub.example.test", "A");
    assert_eq!(rejection["cause"], "delegated");
    assert!(rejection["detail"].to_string().contains("delegated to ns.example.com"), "{rejection}");
    let after: Vec<String> =
        named.axfr("example.test").into_iter().filter(|record| !record.contains("fine.example.test")).collect();
    assert_eq!(after, before);
    assert_eq!(named.answer("fine.example.test", "A"), ["192.0.2.1"]);
}

#[test]
fn names_of_all_kinds_are_created_listed_and_deleted() {
    let (_kdc, named, sidecar) = crate::example();
    let names = [
        ("bücher.example.test", "xn--bcher-kva.example.test"),
        ("_dmarc.example.test", "_dmarc.example.test"),
        ("MiXeD.Example.Test.", "mixed.example.test"),
        ("0/25.example.test", "0/25.example.test"),
        ("a.very.deep.name.example.test", "a.very.deep.name.example.test"),
    ];
    for (given, canonical) in names {
        let endpoint = Endpoint::new(given, "TXT", &["text"]).registry_named(&format!("txt-{canonical}"));
        let adjusted = sidecar.adjust(std::slice::from_ref(&endpoint));
        assert_eq!(adjusted[0]["dnsName"], canonical);
        sidecar.apply_all(&Changes::new().create(&endpoint));
        assert_eq!(named.answer(canonical, "TXT"), ["\"text\""], "{given}");
        assert!(sidecar.record(canonical, "TXT").is_some(), "{given}");
        sidecar.apply_all(&Changes::new().delete(&endpoint));
        assert!(sidecar.records().is_empty(), "{given}");
    }
}
