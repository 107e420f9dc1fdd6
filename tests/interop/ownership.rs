//! What does not belong to ExternalDNS stays as it is.

use crate::example;
use crate::support::{Changes, Endpoint, Kdc, Named, Settings, Sidecar, Zone};

const FOREIGN: &str = "www IN A 203.0.113.1\nmail IN MX 10 www\nalias IN CNAME www\n@ IN TXT \"v=spf1 -all\"\n\
                       shop IN A 203.0.113.2\na-shop IN TXT \"heritage=external-dns,external-dns/owner=other,\
                       external-dns/resource=service/default/shop\"";

fn beside(records: &str) -> (Kdc, Named, Sidecar) {
    let kdc = Kdc::start();
    let named = Named::options().gss(&kdc).zone(Zone::granted("example.test").records(records)).start();
    let sidecar = Settings::keytab(&kdc, &named, &["example.test"]).start();
    (kdc, named, sidecar)
}

#[test]
fn without_a_registry_a_zone_full_of_foreign_records_is_neither_deleted_nor_changed() {
    let (_kdc, named, sidecar) = beside(FOREIGN);
    let before = named.axfr("example.test");
    let mut changes = Changes::new().update(
        &Endpoint::a("www.example.test", &["203.0.113.1"]).unowned(),
        &Endpoint::a("www.example.test", &["192.0.2.1"]).unowned(),
    );
    let listed = sidecar.records();
    assert!(listed.len() >= 5, "{listed:?}");
    for endpoint in listed.iter().filter(|endpoint| endpoint["dnsName"] != "www.example.test") {
        let targets: Vec<String> = serde_json::from_value(endpoint["targets"].clone()).unwrap();
        let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
        let [name, record_type] = ["dnsName", "recordType"].map(|key| endpoint[key].as_str().unwrap());
        changes = changes.delete(&Endpoint::new(name, record_type, &targets).unowned());
    }
    assert_eq!(sidecar.apply(&changes), 500);
    assert_eq!(named.axfr("example.test"), before);
    let rejected = sidecar.rejected();
    assert_eq!(rejected.len(), listed.len());
    assert!(rejected.iter().all(|entry| entry.ends_with(" unowned")), "{rejected:?}");
    let remedy = sidecar.rejection("www.example.test", "A")["remedy"].to_string();
    assert!(remedy.contains("RFC2136_ALLOW_UNOWNED") && remedy.contains("--registry"), "{remedy}");
}

#[test]
fn without_a_registry_records_are_changed_where_that_is_allowed() {
    let kdc = Kdc::start();
    let named = Named::options().gss(&kdc).zone(Zone::granted("example.test").records(FOREIGN)).start();
    let settings = Settings::keytab(&kdc, &named, &["example.test"]).set("RFC2136_ALLOW_UNOWNED", "true");
    let sidecar = settings.start();
    sidecar.records();
    sidecar.apply_all(&Changes::new().delete(&Endpoint::a("www.example.test", &["203.0.113.1"]).unowned()));
    assert!(named.answer("www.example.test", "A").is_empty());
}

#[test]
fn a_record_of_another_owner_is_neither_updated_nor_deleted() {
    let (_kdc, named, sidecar) = beside(FOREIGN);
    let before = named.axfr("example.test");
    let shop = Endpoint::a("shop.example.test", &["203.0.113.2"]);
    let changed = Endpoint::a("shop.example.test", &["192.0.2.1"]);
    sidecar.records();
    for changes in [Changes::new().delete(&shop), Changes::new().create(&changed)] {
        assert_eq!(sidecar.apply(&changes), 500);
        assert_eq!(named.axfr("example.test"), before);
    }
    let rejection = sidecar.rejection("shop.example.test", "A");
    assert_eq!(rejection["cause"], "other_owner");
    assert!(rejection["detail"].as_str().unwrap().contains("\"other\""), "{rejection}");
}

#[test]
fn a_foreign_record_equal_to_what_is_asked_for_is_not_adopted() {
    let (_kdc, named, sidecar) = beside(FOREIGN);
    let before = named.axfr("example.test");
    sidecar.records();
    assert_eq!(sidecar.apply(&Changes::new().create(&Endpoint::a("www.example.test", &["203.0.113.1"]))), 500);
    assert_eq!(named.axfr("example.test"), before);
    assert_eq!(sidecar.rejection("www.example.test", "A")["cause"], "exists_unowned");
}

#[test]
fn a_registry_txt_of_several_strings_is_updated_and_deleted() {
    let (_kdc, named, sidecar) = beside(
        "www IN A 192.0.2.1\na-www IN TXT \"heritage=external-dns,external-dns/own\" \"er=default,\" \
         \"external-dns/resource=service/default/www\"",
    );
    let [old, new] = ["192.0.2.1", "192.0.2.2"].map(|address| Endpoint::a("www.example.test", &[address]));
    assert_eq!(sidecar.targets("a-www.example.test", "TXT"), Some(old.registry_txt().targets));
    sidecar.apply_all(&Changes::new().update(&old, &new));
    assert_eq!(named.answer("www.example.test", "A"), ["192.0.2.2"]);
    let moved = new.clone().resource_named("ingress/default/www");
    sidecar.apply_all(&Changes::new().update(&new, &moved));
    assert_eq!(named.answer("a-www.example.test", "TXT"), moved.registry_txt().targets);
    sidecar.apply_all(&Changes::new().delete(&moved));
    assert!(named.answer("www.example.test", "A").is_empty());
    assert!(named.answer("a-www.example.test", "TXT").is_empty());
}

#[test]
fn a_registry_txt_beside_a_foreign_string_is_updated_and_deleted_and_the_foreign_string_stays() {
    let (_kdc, named, sidecar) = beside(
        "www IN A 192.0.2.1\na-www IN TXT \"a foreign\" \" string\"\na-www IN TXT \"heritage=external-dns,\
         external-dns/owner=default,external-dns/resource=service/default/www\"",
    );
    let foreign = "\"a foreign\" \" string\"";
    let www = Endpoint::a("www.example.test", &["192.0.2.1"]);
    let listed = sidecar.targets("a-www.example.test", "TXT").unwrap();
    assert_eq!(listed, [www.registry_txt().targets[0].as_str(), "a foreign string"], "the registry reads the first");
    let moved = Endpoint::a("www.example.test", &["192.0.2.2"]).resource_named("ingress/default/www");
    sidecar.apply_all(&Changes::new().update(&www, &moved));
    let held = named.answer("a-www.example.test", "TXT");
    assert_eq!(held, [foreign, moved.registry_txt().targets[0].as_str()]);
    sidecar.apply_all(&Changes::new().delete(&moved));
    assert_eq!(named.answer("a-www.example.test", "TXT"), [foreign]);
    assert!(named.answer("www.example.test", "A").is_empty());
}

#[test]
fn a_change_of_owner_carries_every_record_over() {
    let (_kdc, named, sidecar) = example();
    let old = |number: usize| Endpoint::a(&format!("h{number}.example.test"), &["192.0.2.1"]).owner("old");
    sidecar.apply_all(&(0..20).fold(Changes::new(), |changes, number| changes.create(&old(number))));
    sidecar.records();
    // ExternalDNS builds the old texts from the new owner's labels: DNS never held them.
    let new = |number: usize| old(number).owner("new");
    sidecar.apply_all(&(0..20).fold(Changes::new(), |changes, number| changes.update(&new(number), &new(number))));
    for number in 0..20 {
        let held = named.answer(&format!("a-h{number}.example.test"), "TXT");
        assert_eq!(held, new(number).registry_txt().targets);
        assert_eq!(named.answer(&format!("h{number}.example.test"), "A"), ["192.0.2.1"]);
    }
}

#[test]
fn the_zones_own_infrastructure_is_neither_listed_nor_touched() {
    let (_kdc, named, sidecar) = beside("_kerberos._tcp IN SRV 0 0 88 dc1\n_ldap._tcp.dc._msdcs IN SRV 0 0 389 dc1");
    let before = named.axfr("example.test");
    assert!(sidecar.records().is_empty(), "{:?}", sidecar.records());
    let changes = Changes::new()
        .create(&Endpoint::a("ns1.example.test", &["192.0.2.1"]))
        .create(&Endpoint::a("x._msdcs.example.test", &["192.0.2.1"]))
        .create(&Endpoint::new("example.test", "NS", &["ns.example.com"]).registry_named("ns-x.example.test"));
    assert_eq!(sidecar.apply(&changes), 500);
    assert_eq!(named.axfr("example.test"), before);
    assert_eq!(sidecar.rejection("ns1.example.test", "A")["cause"], "protected");
}

#[test]
fn a_name_protected_by_the_settings_is_neither_listed_nor_touched() {
    let kdc = Kdc::start();
    let zone = Zone::granted("example.test").records("keep IN A 192.0.2.1\nx.tree IN A 192.0.2.1\nfree IN A 192.0.2.1");
    let named = Named::options().gss(&kdc).zone(zone).start();
    let settings = Settings::keytab(&kdc, &named, &["example.test"]);
    let sidecar = settings.set("RFC2136_PROTECTED_NAMES", "keep,.tree.example.test,-ns1").start();
    let listed: Vec<String> =
        sidecar.records().iter().map(|endpoint| endpoint["dnsName"].as_str().unwrap().to_owned()).collect();
    assert_eq!(listed, ["free.example.test", "ns1.example.test"]);
    let adjusted = sidecar.adjust(&[
        Endpoint::a("keep.example.test", &["192.0.2.9"]),
        Endpoint::a("y.tree.example.test", &["192.0.2.9"]),
    ]);
    assert!(adjusted.is_empty(), "{adjusted:?}");
    assert_eq!(
        sidecar.apply(&Changes::new().create(&Endpoint::new("keep.example.test", "AAAA", &["2001:db8::1"]))),
        500
    );
    assert!(named.answer("keep.example.test", "AAAA").is_empty());
}

#[test]
fn more_deletions_than_allowed_are_rejected_and_the_rest_is_applied() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let sidecar = Settings::keytab(&kdc, &named, &["example.test"]).set("RFC2136_MAX_DELETES", "3").start();
    let host = |number: usize| Endpoint::a(&format!("h{number}.example.test"), &["192.0.2.1"]);
    sidecar.apply_all(&(0..8).fold(Changes::new(), |changes, number| changes.create(&host(number))));
    sidecar.records();
    let all = (0..4).fold(Changes::new(), |changes, number| changes.delete(&host(number)));
    assert_eq!(sidecar.apply(&all.create(&host(8))), 500);
    assert_eq!(named.answer("h8.example.test", "A"), ["192.0.2.1"]);
    assert_eq!(named.answer("h0.example.test", "A"), ["192.0.2.1"]);
    assert_eq!(sidecar.rejection("h0.example.test", "A")["cause"], "too_many_deletes");
    sidecar.apply_all(&(0..3).fold(Changes::new(), |changes, number| changes.delete(&host(number))));
    assert!(named.answer("h0.example.test", "A").is_empty());
}

#[test]
fn a_registry_txt_that_falls_outside_every_zone_rejects_its_record_with_the_remedy() {
    let (_kdc, named, sidecar) = example();
    let before = named.axfr("example.test");
    let apex = Endpoint::a("example.test", &["192.0.2.1"]);
    assert_eq!(sidecar.apply(&Changes::new().create(&apex)), 500);
    assert_eq!(named.axfr("example.test"), before);
    let remedy = sidecar.rejection("example.test", "A")["remedy"].to_string();
    assert!(remedy.contains("--txt-prefix"), "{remedy}");
    sidecar.apply_all(&Changes::new().create(&apex.registry_named("a-ext.example.test")));
    assert_eq!(named.answer("example.test", "A"), ["192.0.2.1"]);
    assert_eq!(named.answer("a-ext.example.test", "TXT").len(), 1);
}

#[test]
fn what_nobody_would_see_is_rejected_even_where_it_came_after_the_last_list() {
    let (_kdc, named, sidecar) = example();
    sidecar.records();
    // BIND itself takes every one of these.
    named.nsupdate("update add d.example.test 60 DNAME elsewhere.test.");
    named.nsupdate("update add cut.example.test 60 NS ns.elsewhere.test.");
    named.nsupdate("update add x.full.example.test 60 A 203.0.113.9");
    let before = named.axfr("example.test");
    for (endpoint, cause) in [
        (Endpoint::a("a.d.example.test", &["192.0.2.1"]), "hidden_by_dname"),
        (Endpoint::a("a.cut.example.test", &["192.0.2.1"]), "delegated"),
        (Endpoint::new("full.example.test", "NS", &["ns.elsewhere.test"]), "hides"),
        (Endpoint::new("loop.example.test", "CNAME", &["loop.example.test"]), "cname_loop"),
    ] {
        assert_eq!(sidecar.apply(&Changes::new().create(&endpoint)), 500, "{cause}");
        let rejected = sidecar.rejected();
        assert!(rejected.iter().any(|entry| entry.ends_with(&format!(" {cause}"))), "{cause}: {rejected:?}");
        assert_eq!(named.axfr("example.test"), before, "{cause}");
    }
}

#[test]
fn a_dname_that_goes_makes_room_for_a_name_below_it_in_one_plan() {
    let (_kdc, named, sidecar) = example();
    let dname = Endpoint::new("d.example.test", "DNAME", &["elsewhere.test"]);
    sidecar.records();
    sidecar.apply_all(&Changes::new().create(&dname));
    sidecar.apply_all(&Changes::new().delete(&dname).create(&Endpoint::a("x.d.example.test", &["192.0.2.1"])));
    assert_eq!(named.answer("x.d.example.test", "A"), ["192.0.2.1"]);
    assert!(named.answer("d.example.test", "DNAME").is_empty());
}

/// With `--txt-prefix=%{record_type}-reg.` the registry TXT of a delegation lies below its own cut, as its glue does.
#[test]
fn a_delegation_of_ours_its_glue_and_their_registry_txt_live_and_go_at_separate_reconciles() {
    let (_kdc, named, sidecar) = example();
    let empty = named.axfr("example.test").len();
    let make = |name: &str, record_type: &str, targets: &[&str]| {
        let text = format!("{}-reg.{name}", record_type.to_lowercase());
        Endpoint::new(name, record_type, targets).registry_named(&text)
    };
    let (part, a, b) = ("part.example.test", "a.ns.part.example.test", "b.ns.part.example.test");
    let (one, both) = (make(part, "NS", &[a]), make(part, "NS", &[a, b]));
    let glue = |name, n: u8| make(name, "A", &[&format!("192.0.2.{n}")]);
    for changes in [
        Changes::new().create(&one),
        Changes::new().create(&glue(a, 1)),
        Changes::new().create(&glue(b, 1)),
        Changes::new().update(&one, &both),
        Changes::new().update(&glue(a, 1), &glue(a, 2)),
        Changes::new().update(&both, &one),
        Changes::new().update(&glue(b, 1), &glue(b, 2)),
    ] {
        sidecar.apply_all(&changes);
    }
    for (name, record_type) in [(part, "NS"), (a, "A"), (b, "A"), ("ns-reg.part.example.test", "TXT")] {
        assert!(sidecar.record(name, record_type).is_some(), "{name} {record_type}");
    }
    for endpoint in [one, glue(a, 2), glue(b, 2)] {
        sidecar.apply_all(&Changes::new().delete(&endpoint));
    }
    assert_eq!(named.axfr("example.test").len(), empty);
}

/// The text of a record at a zone's apex lies in the zone above, and goes there in a message of its own, ahead of the record's.
#[test]
fn a_registry_text_in_the_zone_above_does_not_stay_for_a_record_that_somebody_else_made_meanwhile() {
    let kdc = Kdc::start();
    let zones = ["example.test", "sub.example.test"];
    let options = zones.into_iter().fold(Named::options().gss(&kdc), |options, zone| options.zone(Zone::granted(zone)));
    let named = options.start();
    let sidecar = Settings::keytab(&kdc, &named, &zones).start();
    sidecar.records();
    let apex = Endpoint::a("sub.example.test", &["192.0.2.1"]);
    assert_eq!(apex.registry_txt().name, "a-sub.example.test");
    named.nsupdate("update add sub.example.test 300 A 203.0.113.9");
    assert_eq!(sidecar.apply(&Changes::new().create(&apex)), 500);
    assert_eq!(sidecar.rejection("sub.example.test", "A")["cause"], "exists_unowned");
    assert_eq!(named.answer("sub.example.test", "A"), ["203.0.113.9"]);
    assert!(named.answer("a-sub.example.test", "TXT").is_empty(), "{}", sidecar.log());
    // It was written ahead, and taken back.
    assert_eq!(sidecar.logged("op=\"delete\""), 1, "{}", sidecar.log());
    named.nsupdate("update delete sub.example.test A");
    sidecar.records();
    sidecar.apply_all(&Changes::new().create(&apex));
    assert_eq!(named.answer("sub.example.test", "A"), ["192.0.2.1"]);
    assert_eq!(named.answer("a-sub.example.test", "TXT").len(), 1);
}
