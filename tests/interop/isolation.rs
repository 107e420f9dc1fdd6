//! One bad record never blocks the others.

use std::collections::BTreeSet;

use crate::support::{Changes, Endpoint, Forwarder, Kdc, Named, Settings, Sidecar, Zone};

const DENIED: [usize; 3] = [7, 250, 499];
const FOREIGN: usize = 123;

fn name(number: usize) -> String {
    format!("h{number}.example.test")
}

fn host(number: usize) -> Endpoint {
    Endpoint::a(&name(number), &["192.0.2.1"])
}

fn creates(numbers: impl IntoIterator<Item = usize>) -> Changes {
    numbers.into_iter().fold(Changes::new(), |changes, number| changes.create(&host(number)))
}

/// A sidecar whose messages are counted.
fn watched(kdc: &Kdc, named: &Named) -> (Forwarder, Sidecar) {
    let forwarder = Forwarder::start(named.socket());
    let server = forwarder.server(named.host());
    let sidecar = Settings::keytab(kdc, named, &["example.test"]).servers(&[&server], &["example.test"]).start();
    sidecar.records();
    (forwarder, sidecar)
}

#[test]
fn of_five_hundred_creates_the_four_bad_ones_are_named_and_the_others_applied() {
    let kdc = Kdc::start();
    let deny: String = DENIED.iter().map(|number| format!("deny * name h{number}.example.test ANY; ")).collect();
    let zone = Zone::granted("example.test")
        .policy(&format!("{deny} grant externaldns@EXAMPLE.TEST zonesub ANY;"))
        .records(&format!("h{FOREIGN} IN A 203.0.113.9"));
    let named = Named::options().gss(&kdc).zone(zone).start();
    let (forwarder, sidecar) = watched(&kdc, &named);

    let answer = sidecar.post("/records", &creates(0..500).body());
    assert_eq!(answer.status, 500, "{}", answer.body);
    let zone: BTreeSet<String> = named.axfr("example.test").into_iter().collect();
    let good = (0..500).filter(|number| !DENIED.contains(number) && *number != FOREIGN);
    for number in good {
        assert!(zone.contains(&format!("{}. 300 A 192.0.2.1", name(number))), "{number} is missing");
        assert!(
            zone.iter().any(|record| record.starts_with(&format!("a-{}. ", name(number)))),
            "{number} has no owner"
        );
    }
    assert_eq!(named.answer(&name(FOREIGN), "A"), ["203.0.113.9"]);
    let mut expected: Vec<String> = Vec::new();
    for (number, cause) in
        DENIED.map(|number| (number, "refused_by_policy")).into_iter().chain([(FOREIGN, "exists_unowned")])
    {
        expected.extend([format!("{} A {cause}", name(number)), format!("a-{} TXT {cause}", name(number))]);
        assert!(!named.answer(&format!("a-{}", name(number)), "TXT").iter().any(|text| text.contains("owner=default")));
    }
    expected.sort();
    assert_eq!(sidecar.rejected(), expected);
    let changing = named.changing_updates().len();
    assert!(changing < 60, "{changing} messages");

    assert_eq!(sidecar.logged(" rejected: "), expected.len(), "one line for each");

    // Next time ExternalDNS asks for the four again, and for something new.
    forwarder.forget();
    let bad = DENIED.into_iter().chain([FOREIGN]);
    assert_eq!(sidecar.apply(&creates(bad.clone().chain([1000, 1001]))), 500);
    assert_eq!(sidecar.rejected(), expected);
    assert_eq!(sidecar.logged(" rejected: "), expected.len(), "told once");
    assert_eq!(named.answer(&name(1000), "A"), ["192.0.2.1"]);
    for message in forwarder.updates().iter().filter(|message| message.is_change()) {
        let names = message.changed_names();
        if let Some(number) = bad.clone().find(|number| names.contains(&name(*number))) {
            assert_eq!(names, [name(number), format!("a-{}", name(number))].into(), "not alone");
        }
    }
}

#[test]
fn two_thousand_creates_in_a_zone_that_refuses_all_cost_fewer_than_sixty_messages() {
    let kdc = Kdc::start();
    let zone = Zone::new("example.test").policy("grant nobody zonesub ANY;");
    let named = Named::options().gss(&kdc).zone(zone).start();
    let (forwarder, sidecar) = watched(&kdc, &named);
    let answer = sidecar.post("/records", &creates(0..2000).body());
    assert_eq!(answer.status, 500);
    let messages = forwarder.updates().len();
    assert!(messages < 60, "{messages} messages");
    let causes: BTreeSet<String> =
        sidecar.rejected().iter().map(|entry| entry.rsplit(' ').next().unwrap().to_owned()).collect();
    assert_eq!(causes, ["refused_by_policy".to_owned()].into());
    assert_eq!(sidecar.rejected().len(), 4000);
    assert!(named.changing_updates().is_empty());
}

#[test]
fn two_thousand_creates_of_one_zone_do_not_suffer_from_another_that_refuses_all() {
    let kdc = Kdc::start();
    let closed = Zone::new("second.test").policy("grant nobody zonesub ANY;");
    let named = Named::options().gss(&kdc).zone(Zone::granted("example.test")).zone(closed).start();
    let sidecar = Settings::keytab(&kdc, &named, &["example.test", "second.test"]).start();
    let changes = (0..1000).fold(Changes::new(), |changes, number| {
        changes.create(&host(number)).create(&Endpoint::a(&format!("h{number}.second.test"), &["192.0.2.1"]))
    });
    assert_eq!(sidecar.apply(&changes), 500);
    assert_eq!(named.axfr("example.test").iter().filter(|record| record.contains(" A 192.0.2.1")).count(), 1000);
}

#[test]
fn what_was_rejected_is_applied_once_the_cause_is_gone() {
    let kdc = Kdc::start();
    let zone = Zone::granted("example.test").records("www IN A 203.0.113.9");
    let named = Named::options().gss(&kdc).zone(zone).start();
    let sidecar = Settings::keytab(&kdc, &named, &["example.test"]).start();
    let changes = Changes::new().create(&Endpoint::a("www.example.test", &["192.0.2.1"]));
    for _ in 0..4 {
        sidecar.records();
        assert_eq!(sidecar.apply(&changes), 500);
    }
    named.nsupdate("update delete www.example.test A");
    sidecar.records();
    sidecar.apply_all(&changes);
    assert_eq!(named.answer("www.example.test", "A"), ["192.0.2.1"]);
    assert!(sidecar.rejected().is_empty());
}

#[test]
fn a_record_changed_behind_ones_back_is_planned_again_from_what_is_there() {
    let (_kdc, named, sidecar) = crate::example();
    let [old, new] = ["192.0.2.1", "192.0.2.2"].map(|address| Endpoint::a("www.example.test", &[address]));
    sidecar.apply_all(&Changes::new().create(&old));
    sidecar.records();
    named.nsupdate("update delete www.example.test A\nupdate add www.example.test 60 A 192.0.2.77");
    sidecar.apply_all(&Changes::new().update(&old, &new));
    assert_eq!(named.answer("www.example.test", "A"), ["192.0.2.2"], "its registry TXT names this owner");
    named.nsupdate("update delete a-www.example.test TXT\nupdate delete www.example.test A\nupdate add www.example.test 60 A 203.0.113.9");
    assert_eq!(sidecar.apply(&Changes::new().update(&new, &old)), 500);
    assert_eq!(named.answer("www.example.test", "A"), ["203.0.113.9"], "it is somebody else's now");
}
