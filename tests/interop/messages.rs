//! What is on the wire: which changes share a message, and what a session survives.

use std::time::Duration;

use crate::example;
use crate::support::{Changes, Endpoint, Forwarder, Kdc, Named, Settings, Zone};

fn host(number: usize) -> Endpoint {
    Endpoint::a(&format!("h{number}.example.test"), &["192.0.2.1"])
}

#[test]
fn a_record_and_its_registry_txt_share_a_message() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let forwarder = Forwarder::start(named.socket());
    let settings = Settings::keytab(&kdc, &named, &["example.test"])
        .servers(&[&forwarder.server(named.host())], &["example.test"])
        .set("RFC2136_BATCH_CHANGE_SIZE", "3");
    let sidecar = settings.start();
    let changes = (0..10).fold(Changes::new(), |changes, number| changes.create(&host(number)));
    sidecar.apply_all(&changes);
    let messages: Vec<Vec<String>> = forwarder
        .updates()
        .iter()
        .map(|message| message.decode().authorities.iter().map(|record| record.name.to_string()).collect())
        .collect();
    for number in 0..10 {
        let together = |names: &Vec<String>| {
            let holds = |name: String| names.contains(&name);
            (holds(format!("h{number}.example.test.")), holds(format!("a-h{number}.example.test.")))
        };
        let found: Vec<_> = messages.iter().map(together).filter(|found| *found != (false, false)).collect();
        assert_eq!(found, [(true, true)], "h{number} in {messages:?}");
    }
    assert!(messages.len() >= 4, "at most three endpoints each: {messages:?}");
}

#[test]
fn two_hundred_applies_cost_one_negotiation_and_hardly_a_connection() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let forwarder = Forwarder::start(named.socket());
    let settings = Settings::keytab(&kdc, &named, &["example.test"])
        .servers(&[&forwarder.server(named.host())], &["example.test"]);
    let sidecar = settings.start();
    sidecar.becomes_ready();
    for number in 0..100 {
        sidecar.apply_all(&Changes::new().create(&host(number)));
    }
    for number in 0..100 {
        sidecar.apply_all(&Changes::new().delete(&host(number)));
    }
    assert_eq!(named.changing_updates().len(), 200);
    assert_eq!(named.negotiations(), 1);
    // One for the applies, and now and then one for a look at readiness in the middle of one.
    assert!(forwarder.connections() < 10, "{}", forwarder.connections());
    assert_eq!(kdc.logins(), 1);
}

#[test]
fn a_server_killed_between_two_applies_is_not_noticed() {
    let (_kdc, mut named, sidecar) = example();
    sidecar.apply_all(&Changes::new().create(&host(1)));
    named.kill();
    named.restart();
    sidecar.apply_all(&Changes::new().create(&host(2)));
    assert_eq!(named.answer("h2.example.test", "A"), ["192.0.2.1"]);
    assert_eq!(sidecar.records().len(), 4);
}

#[test]
fn a_server_killed_between_a_read_and_its_apply_is_not_noticed() {
    let (_kdc, mut named, sidecar) = example();
    sidecar.apply_all(&Changes::new().create(&host(1)));
    sidecar.records();
    named.kill();
    named.restart();
    let other = Endpoint::a("h1.example.test", &["192.0.2.2"]);
    sidecar.apply_all(&Changes::new().update(&host(1), &other));
    assert_eq!(named.answer("h1.example.test", "A"), ["192.0.2.2"]);
}

#[test]
fn a_server_restarted_in_order_keeps_the_context() {
    let (_kdc, mut named, sidecar) = example();
    sidecar.apply_all(&Changes::new().create(&host(1)));
    named.terminate();
    named.restart();
    sidecar.apply_all(&Changes::new().create(&host(2)));
    assert_eq!(named.answer("h2.example.test", "A"), ["192.0.2.1"]);
    assert_eq!(named.negotiations(), 1);
}

#[test]
fn a_connection_closed_for_idleness_is_not_noticed() {
    let kdc = Kdc::start();
    let zone = Zone::granted("example.test");
    let named = Named::options().gss(&kdc).zone(zone).option("tcp-idle-timeout 5; tcp-keepalive-timeout 5;").start();
    let forwarder = Forwarder::start(named.socket());
    let settings = Settings::keytab(&kdc, &named, &["example.test"])
        .servers(&[&forwarder.server(named.host())], &["example.test"]);
    let sidecar = settings.start();
    for number in 0..3 {
        sidecar.apply_all(&Changes::new().create(&host(number)));
        std::thread::sleep(Duration::from_millis(1200));
    }
    assert_eq!(sidecar.records().len(), 6);
    assert!(forwarder.connections() > 1, "named closed none");
    assert_eq!(named.negotiations(), 1, "the context outlives its connection");
    assert_eq!(named.changing_updates().len(), 3);
}

#[test]
fn a_connection_reset_before_an_apply_is_not_noticed() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let forwarder = Forwarder::start(named.socket());
    let settings = Settings::keytab(&kdc, &named, &["example.test"])
        .servers(&[&forwarder.server(named.host())], &["example.test"]);
    let sidecar = settings.start();
    for number in 0..5 {
        sidecar.apply_all(&Changes::new().create(&host(number)));
        forwarder.reset();
    }
    assert_eq!(sidecar.records().len(), 10);
    assert_eq!(named.changing_updates().len(), 5);
}
