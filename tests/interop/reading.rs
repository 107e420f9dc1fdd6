//! `GET /records` is the whole truth or an error.

use std::time::Duration;

use hickory_proto::rr::RecordType;

use crate::support::{Action, Changes, Endpoint, Forwarder, Kdc, Message, Named, Settings, Sidecar, Zone, wait_until};

/// ACL of the transfer that lets one principal in.
const EXTERNALDNS_ONLY: &str = r#"key "externaldns\@EXAMPLE.TEST";"#;

/// A zone that takes several messages to transfer.
fn large_zone(records: usize) -> Zone {
    let text: String = (0..records).map(|number| format!("h{number} IN A 192.0.2.{}\n", number % 250)).collect();
    Zone::granted("example.test").records(&text)
}

/// A sidecar whose connections pass a forwarder. It reads the zone at its start, so rules are given before.
fn behind(forwarder: &Forwarder, kdc: &Kdc, named: &Named) -> Sidecar {
    let settings = Settings::keytab(kdc, named, &["example.test"])
        .servers(&[&forwarder.server(named.host())], &["example.test"])
        .set("RFC2136_TIMEOUT", "1s");
    settings.start()
}

/// Whether this asks for a zone transfer.
fn asks_for_transfer(message: &Message) -> bool {
    message.request
        && !message.is_update()
        && matches!(message.decode().queries[0].query_type(), RecordType::AXFR | RecordType::IXFR)
}

/// Does `action` to the `nth` message of every transfer's answer, counted from 0.
fn spoil(forwarder: &Forwarder, nth: usize, action: Action) {
    forwarder.on_message(move |message| {
        let is_transfer = message.question.as_ref().is_some_and(|question| asks_for_transfer(question));
        if is_transfer && message.nth == nth { action.clone() } else { Action::Pass }
    });
}

fn refuses(sidecar: &Sidecar, causes: &[&str]) {
    let answer = sidecar.get("/records");
    assert!((500..=510).contains(&answer.status), "{} {}", answer.status, answer.body.len());
    let cause = answer.json()["cause"].as_str().unwrap().to_owned();
    assert!(causes.contains(&cause.as_str()), "{answer:?}");
}

#[test]
fn a_transfer_that_is_not_allowed_is_an_error_with_its_cause() {
    let kdc = Kdc::start();
    let named = Named::options().gss(&kdc).zone(Zone::granted("example.test").allow_transfer("none;")).start();
    let sidecar = Settings::keytab(&kdc, &named, &["example.test"]).start();
    refuses(&sidecar, &["transfer_refused"]);
    sidecar.is_unready_for("transfer_refused");
}

#[test]
fn a_transfer_is_signed_so_that_an_acl_by_principal_lets_it_in() {
    let kdc = Kdc::start();
    let zone = Zone::granted("example.test").allow_transfer(EXTERNALDNS_ONLY).records("www IN A 192.0.2.1");
    let named = Named::options().gss(&kdc).zone(zone).start();
    let sidecar = Settings::keytab(&kdc, &named, &["example.test"]).start();
    assert_eq!(sidecar.targets("www.example.test", "A"), Some(vec!["192.0.2.1".to_owned()]));
    let keytab = kdc.keytab("reader");
    let other = Settings::gss(&kdc, &named, &["example.test"])
        .set("RFC2136_KERBEROS_USERNAME", "reader")
        .set("RFC2136_KERBEROS_KEYTAB", keytab.to_str().unwrap())
        .start();
    refuses(&other, &["transfer_refused"]);
}

#[test]
fn a_transfer_is_unsigned_where_that_is_set_and_updates_stay_signed() {
    let kdc = Kdc::start();
    let zone = Zone::granted("example.test").records("www IN A 192.0.2.1");
    let named = Named::options().gss(&kdc).zone(zone).start();
    let forwarder = Forwarder::start(named.socket());
    let settings = Settings::keytab(&kdc, &named, &["example.test"])
        .servers(&[&forwarder.server(named.host())], &["example.test"])
        .set("RFC2136_TRANSFER_UNSIGNED", "true");
    let sidecar = settings.start();
    assert!(sidecar.record("www.example.test", "A").is_some());
    sidecar.apply_all(&Changes::new().create(&Endpoint::a("new.example.test", &["192.0.2.2"])));
    let additional = |message: &Message| message.bytes[11];
    let transfers: Vec<Message> = forwarder.messages().into_iter().filter(asks_for_transfer).collect();
    assert!(!transfers.is_empty() && transfers.iter().all(|message| additional(message) == 0), "{transfers:?}");
    assert!(forwarder.updates().iter().all(|message| additional(message) == 1));
}

#[test]
fn a_transfer_of_many_messages_is_read_to_its_end() {
    let kdc = Kdc::start();
    let named = Named::options().gss(&kdc).zone(large_zone(12_000)).start();
    let forwarder = Forwarder::start(named.socket());
    let sidecar = behind(&forwarder, &kdc, &named);
    assert_eq!(sidecar.records().len(), 12_000);
    assert!(forwarder.messages().iter().filter(|message| !message.request).count() > 10);
}

#[test]
fn a_transfer_cut_off_before_its_closing_soa_is_never_a_short_list() {
    let kdc = Kdc::start();
    let named = Named::options().gss(&kdc).zone(large_zone(12_000)).start();
    let forwarder = Forwarder::start(named.socket());
    let causes = ["transfer_incomplete", "server_unreachable"];
    spoil(&forwarder, 0, Action::Cut);
    let sidecar = behind(&forwarder, &kdc, &named);
    for (nth, action) in [(0, Action::Cut), (0, Action::CutInside), (3, Action::Cut), (3, Action::PassAndCut)] {
        spoil(&forwarder, nth, action);
        refuses(&sidecar, &causes);
    }
    forwarder.pass();
    assert_eq!(sidecar.records().len(), 12_000);
    // From then on only differences are transferred, and an old list is as bad as a short one.
    named.nsupdate("update add new.example.test 60 A 192.0.2.1");
    spoil(&forwarder, 0, Action::CutInside);
    refuses(&sidecar, &causes);
    forwarder.pass();
    assert_eq!(sidecar.records().len(), 12_001);
}

/// No transfer ends within the time of one request, and there is always something newer.
#[test]
fn a_large_zone_that_is_slow_and_never_still_is_listed_nevertheless() {
    let kdc = Kdc::start();
    let named = Named::options().gss(&kdc).option("provide-ixfr no;").zone(large_zone(12_000)).start();
    let forwarder = Forwarder::start(named.socket());
    let mut foreign = 0;
    forwarder.on_message(|message| {
        if message.question.as_ref().is_some_and(|question| asks_for_transfer(question)) {
            std::thread::sleep(Duration::from_millis(300));
        }
        Action::Pass
    });
    let settings = Settings::keytab(&kdc, &named, &["example.test"])
        .servers(&[&forwarder.server(named.host())], &["example.test"])
        .set("RFC2136_TIMEOUT", "1500ms")
        .set("WEBHOOK_DEADLINE", "2s");
    let sidecar = settings.start();
    let mut listed = Vec::new();
    wait_until("it is listed twice", Duration::from_secs(120), || {
        foreign += 1;
        named.nsupdate(&format!("update add foreign{foreign}.example.test 60 A 192.0.2.1"));
        let answer = sidecar.get("/records");
        match answer.status {
            200 => listed.push(answer.json().as_array().unwrap().len()),
            _ => assert_eq!(answer.json()["cause"], "deadline", "{answer:?}"),
        }
        listed.len() == 2
    });
    assert!(listed.is_sorted_by(|older, newer| older < newer) && listed[1] > 12_000, "{listed:?}");
}

#[test]
fn a_transfer_that_falls_silent_is_never_a_short_list() {
    let kdc = Kdc::start();
    let named = Named::options().gss(&kdc).zone(large_zone(12_000)).start();
    let forwarder = Forwarder::start(named.socket());
    spoil(&forwarder, 5, Action::Swallow);
    let sidecar = behind(&forwarder, &kdc, &named);
    refuses(&sidecar, &["transfer_incomplete", "server_unreachable", "unverified_reply"]);
    forwarder.pass();
    assert_eq!(sidecar.records().len(), 12_000);
}

#[test]
fn a_transfer_with_one_octet_changed_is_never_believed() {
    let kdc = Kdc::start();
    let named = Named::options().gss(&kdc).zone(large_zone(12_000)).start();
    let forwarder = Forwarder::start(named.socket());
    forwarder.on_message(|message| {
        if message.nth != 4 {
            return Action::Pass;
        }
        let mut bytes = message.bytes.clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        Action::Replace(bytes)
    });
    let sidecar = behind(&forwarder, &kdc, &named);
    refuses(&sidecar, &["unverified_reply", "transfer_incomplete", "server_unreachable"]);
    forwarder.pass();
    assert_eq!(sidecar.records().len(), 12_000);
}

#[test]
fn what_was_just_written_is_in_the_next_list() {
    let (_kdc, named, sidecar) = crate::example();
    for number in 1..30 {
        let name = format!("h{number}.example.test");
        sidecar.apply_all(&Changes::new().create(&Endpoint::a(&name, &["192.0.2.1"])));
        assert!(sidecar.record(&name, "A").is_some(), "{name}");
        named.nsupdate(&format!("update add x{number}.example.test 60 A 192.0.2.9"));
        assert!(sidecar.record(&format!("x{number}.example.test"), "A").is_some());
    }
}
