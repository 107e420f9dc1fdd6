//! Zones that are read from the directory, by an account with no rights but to its own records.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use super::{ALLOW_TRANSFER, CASES, ZONES, endpoint, host};
use crate::support::{Backend, Changes, Endpoint, Samba, Sidecar, wait_until};

/// What is listed and what is desired, in the form that ExternalDNS compares.
fn compared(endpoints: &[Value]) -> BTreeSet<String> {
    let keys = ["dnsName", "recordType", "targets", "recordTTL"];
    endpoints.iter().map(|endpoint| json!(keys.map(|key| &endpoint[key])).to_string()).collect()
}

/// The endpoints of the cases with these values, each with its registry TXT.
fn desired(value: usize) -> Vec<Endpoint> {
    let with_registry = |endpoint: Endpoint| [endpoint.registry_txt().ttl(300), endpoint];
    CASES.iter().flat_map(|case| with_registry(endpoint(case, value).ttl(300))).collect()
}

fn lists(sidecar: &Sidecar, endpoints: &[Endpoint]) {
    let listed = compared(&sidecar.records());
    let wanted = compared(&sidecar.adjust(endpoints));
    assert_eq!(listed, wanted, "{}", sidecar.log());
}

#[test]
fn every_type_is_created_read_updated_and_deleted_twice_over_on_the_internal_dns() {
    let samba = Samba::start(Backend::Internal);
    for read in ["ldap", "auto"] {
        let sidecar = samba.settings_of("extdns2", &ZONES).set("RFC2136_READ", read).start();
        lists(&sidecar, &[]);
        for _ in 0..2 {
            let every = |change: fn(Changes, [Endpoint; 2]) -> Changes| {
                let both = |case| [0, 1].map(|value| endpoint(case, value).ttl(300));
                CASES.iter().map(both).fold(Changes::new(), change)
            };
            sidecar.apply_all(&every(|changes, [old, _]| changes.create(&old)));
            lists(&sidecar, &desired(0));
            sidecar.apply_all(&every(|changes, [old, new]| changes.update(&old, &new)));
            lists(&sidecar, &desired(1));
            // Another sidecar finds what this one has made, and has nothing to do.
            let fresh = samba.settings_of("extdns2", &ZONES).set("RFC2136_READ", read).start();
            lists(&fresh, &desired(1));
            let sent = fresh.metric("external_dns_rfc2136_updates_total", "");
            fresh.apply_all(&every(|changes, [_, new]| changes.update(&new, &new)));
            assert_eq!((sent, fresh.metric("external_dns_rfc2136_updates_total", "")), (0.0, 0.0), "{}", fresh.log());
            assert!(sidecar.metric("external_dns_rfc2136_updates_total", "") > 1.0);
            sidecar.apply_all(&every(|changes, [_, new]| changes.delete(&new)));
            lists(&sidecar, &[]);
        }
        assert!(sidecar.metric("external_dns_rfc2136_reads_total", "zone=\"ad.test\",kind=\"ldap\"") > 1.0);
        assert_eq!(sidecar.status()["zones"][0]["read"], "ldap");
        // One for each zone that is read side by side with others.
        assert!((1..=ZONES.len()).contains(&sidecar.logged("bound to the directory")), "{}", sidecar.log());
        assert_eq!(sidecar.logged("does not transfer the zone"), if read == "auto" { ZONES.len() } else { 0 });
    }
}

#[test]
fn what_bind9_dlz_transfers_is_byte_for_byte_what_the_directory_tells() {
    let samba = Samba::start_with(Backend::Bind9Dlz, ALLOW_TRANSFER);
    let settings = samba.settings(&ZONES).set("RFC2136_TRANSFER_UNSIGNED", "true");
    let [transfer, ldap] = ["transfer", "ldap"].map(|read| settings.clone().set("RFC2136_READ", read).start());
    let creates = |changes: Changes, case| changes.create(&endpoint(case, 0).ttl(77));
    transfer.apply_all(&CASES.iter().fold(Changes::new(), creates));
    let wildcards = [Endpoint::a("*.second.test", &["192.0.2.1"]), Endpoint::a("UPPER.second.test", &["192.0.2.2"])];
    ldap.apply_all(&wildcards.iter().fold(Changes::new(), |changes, wildcard| changes.create(wildcard)));
    let glue = [("ns.sub.ad.test", "A", "192.0.2.3"), ("sub.ad.test", "NS", "ns.sub.ad.test")];
    let glue = glue.map(|(name, rtype, target)| Endpoint::new(name, rtype, &[target]));
    ldap.apply_all(&glue.iter().fold(Changes::new(), |changes, record| changes.create(record)));
    let [transferred, told] = [&transfer, &ldap].map(|sidecar| sidecar.get("/records").body);
    assert_eq!(transferred, told);
    assert_eq!(ldap.records().len(), 2 * (CASES.len() + 4), "{told}");
    // What it stores as a zone file would have it, nobody can tell for certain.
    let quoted = Endpoint::new("quoted.second.test", "TXT", &["a \"quoted\" word"]);
    transfer.apply_all(&Changes::new().create_alone(&quoted));
    assert_eq!((transfer.targets(&quoted.name, "TXT").is_some(), ldap.targets(&quoted.name, "TXT")), (true, None));
    assert_eq!(ldap.apply(&Changes::new().create_alone(&Endpoint::new("quoted.second.test", "TXT", &["mine"]))), 500);
    assert_eq!(samba.held("quoted.second.test", "TXT"), ["\"a \\\"quoted\\\" word\""]);
}

fn fails(sidecar: &Sidecar, causes: &[&str]) {
    let answer = sidecar.get("/records");
    let cause = answer.json()["cause"].as_str().unwrap_or_default().to_owned();
    assert!((500..=510).contains(&answer.status) && causes.contains(&cause.as_str()), "{answer:?}\n{}", sidecar.log());
}

#[test]
fn what_is_denied_to_the_account_is_an_error_and_never_a_short_list() {
    let samba = Samba::start(Backend::Internal);
    let settings = |user| samba.settings_of(user, &["second.test"]).set("RFC2136_READ", "ldap");
    let sidecar = settings("externaldns").start();
    let hosts = [host(1), host(2)];
    sidecar.apply_all(&hosts.iter().fold(Changes::new(), |changes, host| changes.create(host)));
    assert_eq!(sidecar.records().len(), 4);
    samba.deny("h1", "second.test", "externaldns");
    // Nobody else is concerned, nor is what was read before.
    assert_eq!(sidecar.records().len(), 4);
    assert_eq!(settings("reader").start().records().len(), 4);
    let fresh = settings("externaldns").start();
    fails(&fresh, &["directory_incomplete"]);
    assert!(fresh.get("/records").body.contains("h1.second.test"));
    fresh.is_unready_for("directory_incomplete");
    // Of this no trace is left to be asked about; what was asked for in its place is rejected.
    samba.deny("a-h1", "second.test", "externaldns");
    let fresh = settings("externaldns").start();
    assert_eq!(fresh.records().len(), 2);
    assert_eq!(fresh.apply(&Changes::new().create(&Endpoint::a("h1.second.test", &["192.0.2.99"]))), 500);
    let hidden = fresh.rejection("h1.second.test", "A");
    assert!(hidden["cause"] == "prerequisite_failed" && hidden["remedy"].to_string().contains("LDAP"), "{hidden}");
    assert_eq!(samba.held("h1.second.test", "A"), host(1).targets);
    samba.deny("", "second.test", "reader");
    fails(&settings("reader").start(), &["directory_incomplete", "not_in_directory"]);
    let nowhere = settings("extdns2").set("RFC2136_LDAP_BASE", "CN=Nowhere,DC=ad,DC=test").start();
    fails(&nowhere, &["not_in_directory"]);
    assert_eq!(settings("extdns2").set("RFC2136_LDAP_HOST", "dc1.ad.test@10.53.53.1").start().records().len(), 4);
}

#[test]
fn a_controller_that_restarts_is_bound_to_anew() {
    let mut samba = Samba::start(Backend::Internal);
    let sidecar = samba.settings(&["second.test"]).set("RFC2136_READ", "ldap").start();
    sidecar.apply_all(&Changes::new().create(&host(1)));
    let before = sidecar.records();
    samba.restart();
    assert_eq!(sidecar.records(), before, "{}", sidecar.log());
    sidecar.apply_all(&Changes::new().create(&host(2)));
    assert_eq!(sidecar.records().len(), 4);
}

/// Killed while it is being read, at one time after the other.
#[test]
fn a_controller_that_dies_in_the_middle_of_a_read_is_an_error_or_a_whole_list() {
    let mut samba = Samba::start(Backend::Internal);
    let settings = samba.settings(&["second.test"]).set("RFC2136_READ", "ldap");
    let writer = settings.start();
    // Samba takes its time to write, and longer where other tests are under way.
    let count = 1200;
    for some in (0..count).collect::<Vec<_>>().chunks(100) {
        writer.apply_all(&some.iter().fold(Changes::new(), |changes, n| changes.create(&host(*n))));
    }
    let whole = writer.records();
    assert_eq!(whole.len(), 2 * count);
    let mut cut = 0;
    for delay in [10, 40, 80, 120, 160, 200, 300] {
        // Nothing is known yet, so that all of it is read.
        let reader = settings.start();
        let answer = std::thread::scope(|scope| {
            let reading = scope.spawn(|| reader.get("/records"));
            sleep(Duration::from_millis(delay));
            samba.restart();
            reading.join().unwrap()
        });
        match answer.status {
            200 => assert_eq!(answer.json().as_array().unwrap().len(), whole.len(), "{delay} ms"),
            503 => cut += 1,
            other => panic!("{other} after {delay} ms: {answer:?}"),
        }
        // The reader may have met no KDC, which it does not ask again at once.
        wait_until("the list is there again", Duration::from_secs(30), || match reader.try_records() {
            Some(list) => list == whole || panic!("a list of {}: {}", list.len(), reader.log()),
            None => false,
        });
    }
    assert!(cut > 0, "no read was cut off: try it with more records");
}

#[test]
fn where_two_controllers_of_three_tell_nothing_the_third_does() {
    let samba = Samba::start(Backend::Internal);
    samba.settings(&["second.test"]).set("RFC2136_READ", "ldap").start().apply_all(&Changes::new().create(&host(1)));
    // Both answer for DNS, and nothing listens there for LDAP.
    let ways = [samba.forwarder(), samba.forwarder()];
    let [first, second] = ways.each_ref().map(|way| way.server("dc1.ad.test"));
    let third = format!("dc1.ad.test@{}", Samba::ADDRESS);
    let settings = samba.settings(&[]).servers(&[&first, &second, &third], &["second.test"]);
    for (count, read) in [(2, "ldap"), (4, "auto")] {
        let sidecar = settings.clone().set("RFC2136_READ", read).start();
        assert_eq!(sidecar.records().len(), count, "{}", sidecar.log());
        let servers = sidecar.status()["servers"].clone();
        let in_use: Vec<_> = servers.as_array().unwrap().iter().map(|server| server["in_use"].clone()).collect();
        assert_eq!(in_use, [false, false, true], "{servers}");
        // Whatever they were left for is told.
        let left = servers.as_array().unwrap().iter().filter(|server| server["failed"] == true);
        assert!(left.clone().count() == 2 && left.clone().all(|server| server["error"].is_string()), "{servers}");
        sidecar.apply_all(&Changes::new().create(&host(count)));
        assert_eq!(sidecar.records().len(), count + 2);
    }
}

#[test]
fn a_zone_of_the_forest_is_found_too() {
    let samba = Samba::start(Backend::Internal);
    let sidecar = samba.settings(&["_msdcs.ad.test"]).start();
    let target = sidecar.targets("_ldap._tcp.dc._msdcs.ad.test", "SRV");
    assert_eq!(target, Some(vec!["0 100 389 dc1.ad.test.".to_owned()]), "{:?}", sidecar.records());
    assert_eq!(sidecar.status()["zones"][0]["read"], "ldap");
}
