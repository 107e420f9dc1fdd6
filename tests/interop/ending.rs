//! SIGTERM.

use std::thread;
use std::time::Duration;

use hickory_proto::rr::RecordType;

use crate::example;
use crate::support::{Action, Changes, Endpoint, Forwarder, Kdc, Message, Named, Settings, wait_until};

/// Requests about a security context: its negotiation and its deletion.
fn tkey_requests(forwarder: &Forwarder) -> usize {
    let is_tkey = |message: &&Message| {
        message.request && !message.is_update() && message.decode().queries[0].query_type() == RecordType::Unknown(249)
    };
    forwarder.messages().iter().filter(is_tkey).count()
}

#[test]
fn it_ends_with_exit_code_zero() {
    let (_kdc, _named, sidecar) = example();
    sidecar.records();
    let (code, took) = sidecar.sigterm();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn it_ends_with_exit_code_zero_before_it_ever_reached_a_server() {
    let mut kdc = Kdc::start();
    let mut named = Named::example(&kdc);
    let settings = Settings::keytab(&kdc, &named, &["example.test"]);
    kdc.kill();
    named.kill();
    let (code, took) = settings.start().sigterm();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn its_context_is_deleted_on_the_server() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let forwarder = Forwarder::start(named.socket());
    let server = forwarder.server(named.host());
    let sidecar = Settings::keytab(&kdc, &named, &["example.test"]).servers(&[&server], &["example.test"]).start();
    sidecar.records();
    assert_eq!(tkey_requests(&forwarder), 1);
    assert_eq!(sidecar.sigterm().0, Some(0));
    wait_until("the second TKEY request", Duration::from_secs(1), || tkey_requests(&forwarder) == 2);
}

#[test]
fn an_apply_under_way_is_answered_first() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let forwarder = Forwarder::start(named.socket());
    let server = forwarder.server(named.host());
    let mut sidecar = Settings::keytab(&kdc, &named, &["example.test"]).servers(&[&server], &["example.test"]).start();
    sidecar.records();
    forwarder.on_message(|message| {
        if message.is_update() {
            thread::sleep(Duration::from_millis(300));
        }
        Action::Pass
    });
    let changes = (0..1000).fold(Changes::new(), |changes, number| {
        changes.create(&Endpoint::a(&format!("h{number}.example.test"), &["192.0.2.1"]))
    });
    let status = thread::scope(|scope| {
        let apply = scope.spawn(|| sidecar.apply(&changes));
        wait_until("the first message", Duration::from_secs(5), || !forwarder.updates().is_empty());
        sidecar.ask_to_end();
        apply.join().unwrap()
    });
    assert_eq!(sidecar.wait(Duration::from_secs(5)), Some(0));
    let zone = named.axfr("example.test");
    let [hosts, texts] =
        [" A 192.0.2.1", " TXT "].map(|part| zone.iter().filter(|record| record.contains(part)).count());
    assert!(hosts > 0, "the message in flight arrived");
    assert_eq!(hosts, texts, "no record without its registry TXT");
    assert_eq!(status == 204, hosts == 1000, "{status} with {hosts} of 1000");
    assert!(status == 204 || status == 503, "{status}");
    assert_eq!(tkey_requests(&forwarder), 2, "the context is deleted");
}

/// The caller is answered before all of that is written.
#[test]
fn the_log_tells_every_change_however_soon_the_end_comes() {
    let (_kdc, _named, mut sidecar) = example();
    let changes = (0..2000).fold(Changes::new(), |changes, number| {
        changes.create(&Endpoint::a(&format!("h{number}.example.test"), &["192.0.2.1"]))
    });
    sidecar.apply_all(&changes);
    sidecar.ask_to_end();
    assert_eq!(sidecar.wait(Duration::from_secs(5)), Some(0));
    assert_eq!(sidecar.logged("rcode=\"NOERROR\""), 4000);
}
