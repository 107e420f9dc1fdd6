//! The same apply again, and answers that get lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::example;
use crate::support::{Action, Changes, Endpoint, Forwarder, Kdc, Message, Named, Settings};

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

/// Does `action` to the next message that `which` holds for; tells whether there was one.
fn spoil_next(forwarder: &Forwarder, which: fn(&Message) -> bool, action: Action) -> Arc<AtomicBool> {
    let is_done = Arc::new(AtomicBool::new(false));
    let done = is_done.clone();
    forwarder.on_message(move |message| {
        if !which(message) || done.swap(true, Ordering::SeqCst) {
            return Action::Pass;
        }
        action.clone()
    });
    is_done
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
            let spoilt = spoil_next(&forwarder, Message::answers_change, action.clone());
            let first = sidecar.apply(&changes);
            assert!(spoilt.load(Ordering::SeqCst));
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
            let spoilt = spoil_next(&forwarder, Message::is_change, action.clone());
            let first = sidecar.apply(&changes);
            assert!(spoilt.load(Ordering::SeqCst));
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
    let mut forged = 0;
    forwarder.on_message(move |message| {
        if !message.answers_change() || message.bytes[3] & 0xF == 0 || forged == 3 {
            return Action::Pass;
        }
        forged += 1;
        let mut bytes = message.bytes.clone();
        bytes[3] &= 0xF0;
        Action::Replace(bytes)
    });
    named.nsupdate("update add h0.example.test 60 A 203.0.113.9");
    let answer = sidecar.post("/records", &Changes::new().create(&host(0, "192.0.2.1")).body());
    assert_eq!(answer.status, 500, "{answer:?}");
    assert_eq!(named.answer("h0.example.test", "A"), ["203.0.113.9"]);
}
