//! The same apply again, and answers that get lost.

use crate::example;
use crate::support::{Action, Changes, Endpoint, Forwarder, Kdc, Named, Settings};

fn host(number: usize, address: &str) -> Endpoint {
    Endpoint::a(&format!("h{number}.example.test"), &[address])
}

fn creates() -> Changes {
    (0..30).fold(Changes::new(), |changes, number| changes.create(&host(number, "192.0.2.1")))
}

fn updates() -> Changes {
    (0..30)
        .fold(Changes::new(), |changes, number| changes.update(&host(number, "192.0.2.1"), &host(number, "192.0.2.2")))
}

fn deletes() -> Changes {
    (0..30).fold(Changes::new(), |changes, number| changes.delete(&host(number, "192.0.2.2")))
}

#[test]
fn an_apply_sent_twice_succeeds_twice_and_changes_nothing_the_second_time() {
    let (_kdc, named, sidecar) = example();
    for changes in [creates(), updates(), deletes()] {
        sidecar.apply_all(&changes);
        let (serial, zone) = (named.serial("example.test"), named.axfr("example.test"));
        sidecar.apply_all(&changes);
        assert_eq!((named.serial("example.test"), named.axfr("example.test")), (serial, zone));
    }
}

#[test]
fn an_apply_sent_twice_with_a_read_between_changes_nothing_the_second_time() {
    let (_kdc, named, sidecar) = example();
    for changes in [creates(), updates(), deletes()] {
        sidecar.apply_all(&changes);
        let (serial, zone) = (named.serial("example.test"), named.axfr("example.test"));
        sidecar.records();
        sidecar.apply_all(&changes);
        assert_eq!((named.serial("example.test"), named.axfr("example.test")), (serial, zone));
    }
}

#[test]
fn an_apply_sent_again_after_a_restart_of_the_sidecar_changes_nothing() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let settings = Settings::keytab(&kdc, &named, &["example.test"]);
    for changes in [creates(), updates(), deletes()] {
        settings.start().apply_all(&changes);
        let (serial, zone) = (named.serial("example.test"), named.axfr("example.test"));
        settings.start().apply_all(&changes);
        assert_eq!((named.serial("example.test"), named.axfr("example.test")), (serial, zone));
    }
}

/// Spoils the next answer to an update that changes something, once.
fn spoil_next_answer(forwarder: &Forwarder, action: Action) {
    let (mut is_asked, mut is_done) = (false, false);
    forwarder.on_message(move |message| {
        if message.request {
            is_asked = message.is_update() && message.operations() > 0;
        } else if is_asked && !is_done {
            is_done = true;
            return action.clone();
        }
        Action::Pass
    });
}

#[test]
fn a_lost_answer_is_never_a_false_success_and_the_apply_sent_again_changes_nothing() {
    for action in [Action::Swallow, Action::Cut, Action::CutInside] {
        let kdc = Kdc::start();
        let named = Named::example(&kdc);
        let forwarder = Forwarder::start(named.socket());
        let server = forwarder.server(named.host());
        let settings = Settings::keytab(&kdc, &named, &["example.test"]).servers(&[&server], &["example.test"]);
        let sidecar = settings.set("RFC2136_TIMEOUT", "500ms").start();
        sidecar.becomes_ready();
        for changes in [creates(), updates(), deletes()] {
            sidecar.records();
            spoil_next_answer(&forwarder, action.clone());
            let first = sidecar.apply(&changes);
            assert!(first == 204 || (500..=510).contains(&first), "{action:?}: {first}");
            forwarder.pass();
            let (serial, zone) = (named.serial("example.test"), named.axfr("example.test"));
            sidecar.apply_all(&changes);
            assert_eq!((named.serial("example.test"), named.axfr("example.test")), (serial, zone), "{action:?}");
        }
        assert!(sidecar.records().is_empty());
    }
}

#[test]
fn a_lost_message_is_sent_again_by_the_next_apply() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let forwarder = Forwarder::start(named.socket());
    let server = forwarder.server(named.host());
    let settings = Settings::keytab(&kdc, &named, &["example.test"]).servers(&[&server], &["example.test"]);
    let sidecar = settings.set("RFC2136_TIMEOUT", "500ms").start();
    sidecar.becomes_ready();
    for action in [Action::Swallow, Action::Cut, Action::CutInside] {
        for changes in [creates(), updates(), deletes()] {
            sidecar.records();
            let (mut is_done, action) = (false, action.clone());
            forwarder.on_message(move |message| {
                let spoils = message.is_update() && message.operations() > 0 && !is_done;
                is_done |= spoils;
                if spoils { action.clone() } else { Action::Pass }
            });
            let first = sidecar.apply(&changes);
            assert!(first == 204 || (500..=510).contains(&first), "{first}");
            forwarder.pass();
            sidecar.apply_all(&changes);
        }
        assert_eq!(named.axfr("example.test").len(), 2, "apex NS and its address");
    }
}

#[test]
fn an_answer_with_one_octet_changed_is_not_believed_but_read_back() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let forwarder = Forwarder::start(named.socket());
    let server = forwarder.server(named.host());
    let sidecar = Settings::keytab(&kdc, &named, &["example.test"]).servers(&[&server], &["example.test"]).start();
    sidecar.becomes_ready();
    // The server refuses, and somebody on the way makes NOERROR of it.
    let (mut is_asked, mut forged) = (false, 0);
    forwarder.on_message(move |message| {
        if message.request {
            is_asked = message.is_update() && message.operations() > 0;
        } else if is_asked && message.bytes[3] & 0xF != 0 && forged < 3 {
            forged += 1;
            let mut bytes = message.bytes.clone();
            bytes[3] &= 0xF0;
            return Action::Replace(bytes);
        }
        Action::Pass
    });
    named.nsupdate("update add h0.example.test 60 A 203.0.113.9");
    let answer = sidecar.post("/records", &Changes::new().create(&host(0, "192.0.2.1")).body());
    assert_eq!(answer.status, 500, "{answer:?}");
    assert_eq!(named.answer("h0.example.test", "A"), ["203.0.113.9"]);
}
