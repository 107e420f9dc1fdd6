//! Zones of Samba's internal DNS, which nobody can read: the caller's old values are what a change starts from.

use super::host;
use crate::support::{Backend, Changes, Endpoint, Samba, Settings};

fn settings(samba: &Samba) -> [Settings; 2] {
    ["transfer", "none"].map(|read| samba.settings(&["second.test"]).set("RFC2136_READ", read))
}

#[test]
fn what_is_asked_again_is_answered_with_204_again_and_changes_nothing() {
    let samba = Samba::start(Backend::Internal);
    for settings in settings(&samba) {
        let sidecar = settings.start();
        let other = Endpoint::a("h1.second.test", &["192.0.2.2", "192.0.2.3"]);
        let changes = [
            (Changes::new().create(&host(1)), &["192.0.2.1"][..]),
            (Changes::new().update(&host(1), &other), &["192.0.2.2", "192.0.2.3"]),
            (Changes::new().delete(&other), &[]),
        ];
        for (change, held) in changes {
            for _ in 0..2 {
                sidecar.apply_all(&change);
                assert_eq!(samba.held("h1.second.test", "A"), held);
                assert_eq!(samba.held("a-h1.second.test", "TXT").is_empty(), held.is_empty());
            }
        }
    }
}

#[test]
fn what_starts_from_other_values_than_dns_holds_is_rejected_and_nothing_is_harmed() {
    let samba = Samba::start(Backend::Internal);
    samba.settings(&["second.test"]).set("RFC2136_READ", "none").start().apply_all(&Changes::new().create(&host(1)));
    let stranger = Endpoint::a("h1.second.test", &["192.0.2.66"]);
    let wanted = Endpoint::a("h1.second.test", &["192.0.2.77"]);
    for settings in settings(&samba) {
        for change in [
            Changes::new().create(&wanted),
            Changes::new().update(&stranger, &wanted),
            Changes::new().delete(&stranger),
            Changes::new().create(&Endpoint::new("h1.second.test", "CNAME", &["www.example.com"])),
        ] {
            let sidecar = settings.start();
            assert_eq!(sidecar.apply(&change.create(&host(2))), 500);
            assert!(
                sidecar.rejected().iter().all(|entry| entry.ends_with(" prerequisite_failed")),
                "{}",
                sidecar.log()
            );
            assert_eq!(samba.held("h1.second.test", "A"), ["192.0.2.1"]);
            assert_eq!(samba.held("a-h1.second.test", "TXT"), host(1).registry_txt().targets);
            assert_eq!(samba.held("h1.second.test", "CNAME"), [""; 0]);
            assert_eq!(samba.held("h2.second.test", "A"), ["192.0.2.1"], "the others are applied");
        }
    }
}

#[test]
fn a_domains_own_names_are_safe_though_nothing_of_the_zone_is_known() {
    let samba = Samba::start(Backend::Internal);
    let sidecar =
        samba.settings(&["ad.test"]).set("RFC2136_ALLOW_UNOWNED", "true").set("RFC2136_READ", "transfer").start();
    let controller = samba.held("dc1.ad.test", "A");
    let takeover = |name: &str, old: &str| {
        let [old, new] = [old, "192.0.2.66"].map(|target| Endpoint::a(name, &[target]).unowned());
        sidecar.apply(&Changes::new().update(&old, &new))
    };
    for (name, cause) in [("gc._msdcs.ad.test", "protected"), ("dc1.ad.test", "refused_by_policy")] {
        assert_eq!(takeover(name, Samba::ADDRESS), 500);
        assert!(sidecar.rejected().contains(&format!("{name} A {cause}")), "{:?}", sidecar.rejected());
    }
    assert_eq!(samba.held("dc1.ad.test", "A"), controller);
    assert_eq!(samba.held("gc._msdcs.ad.test", "A"), [Samba::ADDRESS]);
}
