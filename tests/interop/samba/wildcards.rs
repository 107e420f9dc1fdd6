//! Zones that hold a wildcard.

use super::ALLOW_TRANSFER;
use crate::support::{Backend, Changes, Endpoint, Samba};

#[test]
fn an_update_that_bind9_dlz_loses_beside_a_wildcard_is_never_answered_with_204() {
    let samba = Samba::start_with(Backend::Bind9Dlz, ALLOW_TRANSFER);
    for read in ["auto", "ldap", "none"] {
        let settings = samba.settings(&["wild.test"]).set("RFC2136_TRANSFER_UNSIGNED", "true");
        let sidecar = settings.set("RFC2136_READ", read).start();
        let wildcard = Endpoint::a("*.wild.test", &["192.0.2.1"]);
        sidecar.apply_all(&Changes::new().create(&wildcard));
        let alias = Endpoint::new("lost.wild.test", "CNAME", &["www.example.com"]);
        assert_eq!(sidecar.apply(&Changes::new().create(&alias)), 500, "{read}: {}", sidecar.log());
        assert_eq!(samba.held("lost.wild.test", "CNAME"), [""; 0]);
        assert!(sidecar.rejected().iter().any(|entry| entry.starts_with("lost.wild.test CNAME ")));
        // Without the wildcard it is written.
        sidecar.apply_all(&Changes::new().delete(&wildcard));
        sidecar.apply_all(&Changes::new().create(&alias));
        assert_eq!(samba.held("lost.wild.test", "CNAME"), ["www.example.com."]);
        sidecar.apply_all(&Changes::new().delete(&alias));
    }
}

#[test]
fn beside_a_wildcard_alias_bind9_dlz_stores_nothing_and_that_is_told() {
    let samba = Samba::start_with(Backend::Bind9Dlz, ALLOW_TRANSFER);
    let settings = samba.settings(&["wild.test"]).set("RFC2136_TRANSFER_UNSIGNED", "true");
    let wildcard = Endpoint::new("*.wild.test", "CNAME", &["www.example.com"]);
    settings.start().apply_all(&Changes::new().create_alone(&wildcard));
    for read in ["auto", "ldap", "none"] {
        let sidecar = settings.clone().set("RFC2136_READ", read).start();
        for lost in [Endpoint::a("a.wild.test", &["192.0.2.1"]), Endpoint::new("t.wild.test", "TXT", &["text"])] {
            assert_eq!(sidecar.apply(&Changes::new().create_alone(&lost)), 500, "{read}: {}", sidecar.log());
            let rejected = sidecar.rejected();
            let told = ["not_stored", "prerequisite_failed"].iter().any(|cause| rejected[0].ends_with(cause));
            assert!(told && rejected[0].starts_with(&lost.name), "{rejected:?}");
        }
    }
    assert_eq!(samba.axfr("wild.test", "a.wild.test"), [""; 0]);
}

#[test]
fn a_record_that_equals_the_wildcards_is_never_taken_for_stored_by_that() {
    let samba = Samba::start_with(Backend::Bind9Dlz, ALLOW_TRANSFER);
    let settings = samba.settings(&["wild.test"]).set("RFC2136_TRANSFER_UNSIGNED", "true");
    settings.start().apply_all(&Changes::new().create_alone(&Endpoint::a("*.wild.test", &["192.0.2.1"])));
    for read in ["auto", "ldap", "none"] {
        let sidecar = settings.clone().set("RFC2136_READ", read).start();
        let name = format!("{read}.wild.test");
        let same = Endpoint::a(&name, &["192.0.2.1"]);
        let status = sidecar.apply(&Changes::new().create_alone(&same));
        let held = samba.axfr("wild.test", &name);
        assert_eq!(status == 204, held.len() == 1, "{read}: {status} {held:?}: {}", sidecar.log());
        let other = Endpoint::a(&name, &["192.0.2.2"]);
        let status = sidecar.apply(&Changes::new().create_alone(&other));
        let held = samba.axfr("wild.test", &name);
        assert_eq!(
            status == 204,
            held.iter().any(|record| record.ends_with(" 192.0.2.2")),
            "{read}: {status} {held:?}"
        );
    }
}

#[test]
fn the_internal_dns_takes_everything_beside_a_wildcard() {
    let samba = Samba::start(Backend::Internal);
    for read in ["auto", "ldap", "none"] {
        let sidecar = samba.settings(&["wild.test"]).set("RFC2136_READ", read).start();
        let wildcards = [
            Endpoint::a("*.wild.test", &["192.0.2.1"]),
            Endpoint::new("*.sub.wild.test", "CNAME", &["www.example.com"]),
        ];
        sidecar.apply_all(&wildcards.iter().fold(Changes::new(), |changes, wildcard| changes.create(wildcard)));
        let [old, new] = [1, 2].map(|n| {
            [
                Endpoint::a("a.wild.test", &[&format!("192.0.2.{n}")]),
                Endpoint::new("alias.wild.test", "CNAME", &[&format!("www{n}.example.com")]),
                Endpoint::a("a.sub.wild.test", &[&format!("192.0.2.{n}")]),
                Endpoint::new("t.sub.wild.test", "TXT", &[&format!("text{n}")]),
            ]
        });
        sidecar.apply_all(&old.iter().fold(Changes::new(), |changes, old| changes.create(old)));
        sidecar.apply_all(&old.iter().zip(&new).fold(Changes::new(), |changes, (old, new)| changes.update(old, new)));
        assert_eq!(samba.held("alias.wild.test", "CNAME"), ["www2.example.com."]);
        assert_eq!(samba.held("t.sub.wild.test", "TXT"), ["\"text2\""]);
        sidecar.apply_all(&new.iter().fold(Changes::new(), |changes, new| changes.delete(new)));
        assert_eq!(samba.held("a.wild.test", "A"), ["192.0.2.1"], "the wildcard answers again");
        sidecar.apply_all(&wildcards.iter().fold(Changes::new(), |changes, wildcard| changes.delete(wildcard)));
        assert_eq!(samba.held("*.wild.test", "A"), [""; 0]);
    }
}

/// The other names of the message are there, or said not to be; the directory tells, and DNS could not.
#[test]
fn a_wildcard_made_in_the_same_message_as_others_is_read_back_with_them() {
    for backend in Backend::all() {
        let samba = Samba::start(backend);
        // Of this nothing is known yet, and of the other what it was before.
        for is_known in [false, true] {
            let zone = if is_known { "wild.test" } else { "second.test" };
            let sidecar = samba.settings(&[zone]).set("RFC2136_READ", "ldap").start();
            if is_known {
                assert_eq!(sidecar.records().len(), 0);
            }
            let host = Endpoint::a(&format!("h.{zone}"), &["192.0.2.2"]).ttl(77);
            let alias = Endpoint::new(&format!("alias.{zone}"), "CNAME", &["www.example.com"]).ttl(78);
            let wildcard = Endpoint::a(&format!("*.{zone}"), &["192.0.2.1"]).ttl(79);
            let changes = [&wildcard, &host, &alias].into_iter().fold(Changes::new(), Changes::create);
            let status = sidecar.apply(&changes);
            let rejected = sidecar.rejected();
            let listed = |endpoint: &Endpoint| {
                let found = sidecar.record(&endpoint.name, &endpoint.record_type)?;
                Some((found["targets"][0].as_str()? == endpoint.targets[0], found["recordTTL"].as_u64()?))
            };
            for endpoint in [&wildcard, &host, &alias] {
                let is_told = rejected.iter().any(|entry| entry.starts_with(&format!("{} ", endpoint.name)));
                let expected = (!is_told).then_some((true, u64::from(endpoint.ttl)));
                assert_eq!(
                    listed(endpoint),
                    expected,
                    "{backend:?} {}: {rejected:?}\n{}",
                    endpoint.name,
                    sidecar.log()
                );
            }
            assert_eq!(status == 204, rejected.is_empty());
            assert!(status == 204 || backend == Backend::Bind9Dlz, "{}", sidecar.log());
        }
    }
}
