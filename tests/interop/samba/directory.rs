//! Zones that are read from the directory, by an account with no rights but to its own records.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{ALLOW_TRANSFER, CASES, ZONES, endpoint};
use crate::support::{Backend, Changes, Endpoint, Samba, Sidecar};

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
        // Readiness may be looked at meanwhile.
        assert!((1..=2).contains(&sidecar.logged("bound to the directory")), "{}", sidecar.log());
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
