//! Records that the directory ages, and that are refreshed before it takes them out.

use std::time::Duration;

use super::host;
use crate::support::{Backend, Changes, Endpoint, Samba, Settings, Sidecar, wait_until};

const ZONE: &str = "second.test";

fn settings(samba: &Samba, keep_alive: &str) -> Settings {
    samba.settings(&[ZONE]).set("RFC2136_READ", "ldap").set("RFC2136_KEEP_ALIVE", keep_alive)
}

/// Asks for these hosts as ExternalDNS does in every round.
fn reconcile(sidecar: &Sidecar, hosts: &[Endpoint]) {
    sidecar.records();
    sidecar.adjust(hosts);
}

fn refreshes(sidecar: &Sidecar, outcome: &str) -> f64 {
    sidecar.metric("external_dns_rfc2136_keep_alive_refreshes_total", &format!("outcome=\"{outcome}\""))
}

/// Whether `/status` tells that every record set was refreshed in the last hours.
fn is_fresh(sidecar: &Sidecar) -> bool {
    let zone = &sidecar.status()["keep_alive"]["zones"][0];
    let since = zone["looked"].as_u64().unwrap_or_default() - 4 * 3600;
    zone["soonest"].as_array().unwrap().iter().all(|kept| kept["refreshed"].as_u64() > Some(since))
}

#[test]
fn what_is_about_to_age_away_is_refreshed_and_nothing_else_changes() {
    for backend in Backend::all() {
        let samba = Samba::start(backend);
        let hosts = [host(1), host(2), host(3), host(4)];
        let first = settings(&samba, "off").start();
        first.apply_all(&hosts.iter().fold(Changes::new(), |changes, host| changes.create(host)));
        let nodes = ["h1", "a-h1", "h2", "a-h2", "h3", "a-h3", "h4", "a-h4"];
        let new = samba.age(ZONE, &["h1=40", "a-h1=40", "h2=2", "a-h2=2", "h3=static", "a-h3=static", "h4=40"]);
        assert!(new.values().all(|hours| (0..=1).contains(hours)), "an update has time stamps: {new:?}");
        let before = first.records();

        // Nobody wants the fourth any more.
        let sidecar = settings(&samba, "auto").start();
        reconcile(&sidecar, &hosts[..3]);
        // BIND passes on to its module only what changes, so that it takes a second message there.
        let messages = if backend == Backend::Internal { 1.0 } else { 2.0 };
        wait_until("a refresh", Duration::from_secs(40), || refreshes(&sidecar, "refreshed") >= 2.0 * messages);
        let old = |hours: i64| hours > 1;
        let after = samba.age(ZONE, &nodes);
        let old: Vec<&str> = after.iter().filter(|(_, hours)| old(**hours)).map(|(node, _)| node.as_str()).collect();
        assert_eq!(old, ["a-h2", "h2", "h4"], "{after:?}\n{}", sidecar.log());
        assert_eq!((after["h3"], after["a-h3"]), (-1, -1), "what is static stays so");
        assert_eq!(sidecar.records(), before);
        assert_eq!((refreshes(&sidecar, "refreshed"), refreshes(&sidecar, "failed")), (2.0 * messages, 0.0));
        assert_eq!(sidecar.metric("external_dns_rfc2136_updates_total", ""), messages);
        wait_until("a look at what has come of it", Duration::from_secs(30), || is_fresh(&sidecar));
    }
}
