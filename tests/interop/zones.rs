//! Several zones.

use crate::support::{Changes, Endpoint, Kdc, Named, NamedOptions, Settings, Zone};

const ZONES: [&str; 4] = ["example.test", "second.test", "2.0.192.in-addr.arpa", "8.b.d.0.1.0.0.2.ip6.arpa"];

#[test]
fn one_apply_reaches_two_zones_and_their_reverse_zones() {
    let kdc = Kdc::start();
    let named = ZONES.map(Zone::granted).into_iter().fold(Named::options().gss(&kdc), NamedOptions::zone).start();
    let sidecar = Settings::keytab(&kdc, &named, &ZONES).start();
    let ip6 = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
    let changes = Changes::new()
        .create(&Endpoint::a("www.example.test", &["192.0.2.1"]))
        .create(&Endpoint::new("www.second.test", "AAAA", &["2001:db8::1"]))
        .create(&Endpoint::new("1.2.0.192.in-addr.arpa", "PTR", &["www.example.test"]))
        .create(&Endpoint::new(ip6, "PTR", &["www.second.test"]));
    sidecar.apply_all(&changes);
    assert_eq!(named.answer("www.example.test", "A"), ["192.0.2.1"]);
    assert_eq!(named.answer("www.second.test", "AAAA"), ["2001:db8::1"]);
    assert_eq!(named.answer("1.2.0.192.in-addr.arpa", "PTR"), ["www.example.test."]);
    assert_eq!(named.answer(ip6, "PTR"), ["www.second.test."]);
    assert_eq!(sidecar.records().len(), 8, "four record sets and their registry TXT");
    assert_eq!(named.negotiations(), 1);
}

#[test]
fn the_domains_told_to_external_dns_are_the_zones() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let sidecar = Settings::keytab(&kdc, &named, &["example.test.", "Second.TEST"]).start();
    let answer = sidecar.get("/");
    assert_eq!(answer.content_type, "application/external.dns.webhook+json;version=1");
    assert_eq!(answer.json(), serde_json::json!({"include": ["example.test", "second.test"]}));
}

#[test]
fn the_keys_of_external_dns_before_v0_17_are_understood() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let sidecar = Settings::keytab(&kdc, &named, &["example.test"]).start();
    let [old, new] = ["192.0.2.1", "192.0.2.2"].map(|address| Endpoint::a("www.example.test", &[address]));
    for changes in [Changes::new().create(&old), Changes::new().update(&old, &new), Changes::new().delete(&new)] {
        let answer = sidecar.post("/records", &changes.capitalised_body());
        assert_eq!((answer.status, answer.body.as_str()), (204, ""), "{answer:?}");
    }
    assert_eq!(named.changing_updates().len(), 3);
    assert!(named.answer("www.example.test", "A").is_empty());
}

#[test]
fn one_zone_that_cannot_be_read_makes_the_whole_list_an_error() {
    let kdc = Kdc::start();
    let closed = Zone::granted("second.test").allow_transfer("none;");
    let named = Named::options().gss(&kdc).zone(Zone::granted("example.test")).zone(closed).start();
    let sidecar = Settings::keytab(&kdc, &named, &["example.test", "second.test"]).start();
    let answer = sidecar.get("/records");
    assert!((500..=510).contains(&answer.status), "{answer:?}");
    assert_eq!(answer.json()["cause"], "transfer_refused", "{answer:?}");
}
