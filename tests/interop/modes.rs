//! Dry run, no prerequisites, no reading.

use std::time::Duration;

use crate::support::{Action, Changes, Endpoint, Forwarder, Kdc, Named, Settings, Sidecar, Zone, wait_until};

/// A change of every kind and many types.
fn steps() -> [Changes; 3] {
    let before = [
        Endpoint::a("www.example.test", &["192.0.2.1"]),
        Endpoint::new("alias.example.test", "CNAME", &["www.example.test"]),
        Endpoint::new("text.example.test", "TXT", &["a \"quoted\" text; with \\ and $INCLUDE x", "second"]),
        Endpoint::new("mail.example.test", "MX", &["10 mail.example.com"]),
        Endpoint::new("_sip._tcp.example.test", "SRV", &["1 2 5060 sip.example.com."]),
        Endpoint::new("enum.example.test", "NAPTR", &[r#"1 2 "u" "E2U+sip" "!^.*$!sip:a@example.com!" ."#]),
        Endpoint::new("*.wild.example.test", "AAAA", &["2001:db8::1"]),
    ];
    let after = before.clone().map(|endpoint| match endpoint.record_type.as_str() {
        "A" => Endpoint::a("www.example.test", &["192.0.2.1", "192.0.2.2"]).ttl(60),
        "TXT" => Endpoint::new("text.example.test", "TXT", &["second", &"long ".repeat(80)]),
        _ => endpoint.ttl(120),
    });
    let create = before.iter().fold(Changes::new(), Changes::create);
    let update = before.iter().zip(&after).fold(Changes::new(), |changes, (old, new)| changes.update(old, new));
    [create, update, after.iter().fold(Changes::new(), Changes::delete)]
}

#[test]
fn a_dry_run_changes_nothing_and_prints_what_nsupdate_takes_as_it_is() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let settings = Settings::keytab(&kdc, &named, &["example.test"]);
    let dry = settings.clone().set("RFC2136_DRY_RUN", "true").start();
    assert_eq!(dry.status()["dry_run"], true);
    let reader = settings.start();
    let mut printed = 0;
    for changes in steps() {
        let before = named.axfr("example.test");
        dry.records();
        assert_eq!(dry.apply(&changes), 204);
        assert_eq!(named.axfr("example.test"), before, "a dry run");
        std::thread::sleep(Duration::from_millis(50));
        let output = dry.output();
        let script = &output[printed..];
        let (accepted, said) = named.run_script(&format!("{script}\n"));
        assert!(accepted, "{said}\n{script}");
        printed = output.len();
        let serial = named.serial("example.test");
        reader.records();
        reader.apply_all(&changes);
        assert_eq!(named.serial("example.test"), serial, "the script had done all of it");
    }
    assert!(reader.records().is_empty());
    assert!(named.updates().is_empty());
}

/// Neither does a dry run say that nothing is to be done before DNS was asked.
#[test]
fn a_dry_run_prints_the_deletion_of_what_came_after_the_last_list() {
    let named = Named::options().zone(Zone::new("example.test").allow_update("any;")).start();
    let settings = Settings::insecure(&named, &["example.test"]);
    let (dry, other) = (settings.clone().set("RFC2136_DRY_RUN", "true").start(), settings.start());
    let late = Endpoint::a("late.example.test", &["192.0.2.1"]);
    dry.records();
    other.records();
    other.apply_all(&Changes::new().create(&late));
    assert_eq!(dry.apply(&Changes::new().delete(&late)), 204);
    let deletion = "update delete late.example.test. IN A 192.0.2.1";
    wait_until("the script", Duration::from_secs(2), || dry.output().contains(deletion));
}

#[test]
fn without_prerequisites_records_live_and_every_change_is_read_back() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let forwarder = Forwarder::start(named.socket());
    let server = forwarder.server(named.host());
    let settings = Settings::keytab(&kdc, &named, &["example.test"]).servers(&[&server], &["example.test"]);
    let sidecar = settings.set("RFC2136_PREREQUISITES", "false").start();
    for changes in steps() {
        sidecar.records();
        sidecar.apply_all(&changes);
    }
    assert!(sidecar.records().is_empty());
    let changing: Vec<_> = forwarder.updates().into_iter().filter(|message| message.is_change()).collect();
    assert!(!changing.is_empty() && changing.iter().all(|message| message.prerequisites() == 0));
}

#[test]
fn without_prerequisites_a_foreign_record_set_stays_as_it_is() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let sidecar = Settings::keytab(&kdc, &named, &["example.test"]).set("RFC2136_PREREQUISITES", "false").start();
    sidecar.records();
    named.nsupdate("update add www.example.test 60 A 203.0.113.9");
    let create = Changes::new().create(&Endpoint::a("www.example.test", &["192.0.2.1"]));
    assert_eq!(sidecar.apply(&create), 500);
    assert_eq!(named.answer("www.example.test", "A"), ["203.0.113.9"]);
    assert_eq!(sidecar.rejection("www.example.test", "A")["cause"], "exists_unowned");
}

#[test]
fn without_prerequisites_a_success_that_did_not_happen_is_found_out() {
    let named = Named::options().zone(Zone::new("example.test").allow_update("any;")).start();
    let forwarder = Forwarder::start(named.socket());
    let server = forwarder.server(named.host());
    let settings = Settings::insecure(&named, &["example.test"]).servers(&[&server], &["example.test"]);
    let sidecar = settings.set("RFC2136_PREREQUISITES", "false").start();
    sidecar.becomes_ready();
    // The server gets an update that asks for nothing, and says NOERROR.
    forwarder.on_message(|message| {
        if !message.is_change() {
            return Action::Pass;
        }
        let zone_section = "\x07example\x04test\0".len() + 4;
        let mut bytes = message.bytes[..12 + zone_section].to_vec();
        bytes[6..12].fill(0);
        Action::Replace(bytes)
    });
    let create = Changes::new().create(&Endpoint::a("www.example.test", &["192.0.2.1"]));
    assert_eq!(sidecar.apply(&create), 500);
    assert_eq!(sidecar.rejection("www.example.test", "A")["cause"], "not_stored");
    forwarder.pass();
    sidecar.apply_all(&create);
    assert_eq!(named.answer("www.example.test", "A"), ["192.0.2.1"]);
}

/// A server that lets nobody transfer, and a sidecar that does not try.
fn unread() -> (Kdc, Named, Sidecar) {
    let kdc = Kdc::start();
    let named = Named::options().gss(&kdc).zone(Zone::granted("example.test").allow_transfer("none;")).start();
    let sidecar = Settings::keytab(&kdc, &named, &["example.test"]).set("RFC2136_READ", "none").start();
    (kdc, named, sidecar)
}

#[test]
fn without_reading_the_list_is_empty_and_records_live() {
    let (_kdc, named, sidecar) = unread();
    sidecar.becomes_ready();
    for changes in steps() {
        assert!(sidecar.records().is_empty());
        sidecar.apply_all(&changes);
    }
    assert_eq!(named.axfr("example.test").len(), 2, "apex NS and its address");
}

#[test]
fn without_reading_an_apply_sent_twice_succeeds_twice() {
    let (_kdc, named, sidecar) = unread();
    for changes in steps() {
        sidecar.apply_all(&changes);
        let zone = named.axfr("example.test");
        sidecar.apply_all(&changes);
        assert_eq!(named.axfr("example.test"), zone);
    }
}

#[test]
fn without_reading_a_foreign_record_set_stays_as_it_is() {
    let (_kdc, named, sidecar) = unread();
    named.nsupdate("update add www.example.test 60 A 203.0.113.9");
    let [old, new] = ["192.0.2.1", "192.0.2.2"].map(|address| Endpoint::a("www.example.test", &[address]));
    for changes in [Changes::new().create(&old), Changes::new().update(&old, &new)] {
        assert_eq!(sidecar.apply(&changes), 500);
        assert_eq!(named.answer("www.example.test", "A"), ["203.0.113.9"]);
    }
}

#[test]
fn without_reading_an_update_that_failed_may_come_back_as_a_create() {
    let kdc = Kdc::start();
    let mut named = Named::options().gss(&kdc).zone(Zone::granted("example.test").allow_transfer("none;")).start();
    let sidecar = Settings::keytab(&kdc, &named, &["example.test"]).set("RFC2136_READ", "none").start();
    // As ExternalDNS's CRD registry does: no registry TXT, the owner in the label.
    let [old, new] = ["192.0.2.1", "192.0.2.2"].map(|address| Endpoint::a("www.example.test", &[address]));
    sidecar.apply_all(&Changes::new().create_alone(&old));
    named.kill();
    let failed = sidecar.apply(&Changes::new().update(&old, &new));
    assert!((500..=510).contains(&failed), "{failed}");
    named.restart();
    let answer = sidecar.post("/records", &Changes::new().create_alone(&new).body());
    assert_eq!(answer.status, 204, "{}", answer.body);
    assert_eq!(named.answer("www.example.test", "A"), ["192.0.2.2"]);
}

#[test]
fn a_ttl_below_the_floor_is_raised_in_adjust_and_apply_alike() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let settings = Settings::keytab(&kdc, &named, &["example.test"]);
    let sidecar = settings.set("RFC2136_MIN_TTL", "2m").set("RFC2136_DEFAULT_TTL", "1h").start();
    let [low, unset] =
        [Endpoint::a("low.example.test", &["192.0.2.1"]).ttl(30), Endpoint::a("unset.example.test", &["192.0.2.1"])];
    let adjusted = sidecar.adjust(&[low.clone(), unset.clone()]);
    assert_eq!((&adjusted[0]["recordTTL"], &adjusted[1]["recordTTL"]), (&120.into(), &serde_json::Value::Null));
    sidecar.apply_all(&Changes::new().create(&low).create(&unset));
    let zone = named.axfr("example.test");
    assert!(zone.contains(&"low.example.test. 120 A 192.0.2.1".to_owned()), "{zone:?}");
    assert!(zone.contains(&"unset.example.test. 3600 A 192.0.2.1".to_owned()), "{zone:?}");
}
