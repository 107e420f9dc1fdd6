//! Record sets that do not fit a message several times over: what can be made can be unmade.

use crate::support::{Changes, Endpoint, Kdc, Named, Settings, Sidecar, Zone};

const NAME: &str = "large.example.test";

/// So many records of one type at one name; other values with another salt.
fn large(rtype: &str, count: usize, salt: usize) -> Endpoint {
    let target = |n: usize| match rtype {
        "A" => format!("10.{salt}.{}.{}", n / 250, n % 250 + 1),
        "AAAA" => format!("2001:db8:{salt}::{:x}", n + 1),
        _ => format!("{salt}-{n:03}-{}", "x".repeat(594)),
    };
    let targets: Vec<String> = (0..count).map(target).collect();
    Endpoint::new(NAME, rtype, &targets.iter().map(String::as_str).collect::<Vec<_>>())
}

fn held(named: &Named, rtype: &str) -> usize {
    let start = format!("{NAME}. ");
    let is_it = |record: &&String| record.starts_with(&start) && record.contains(&format!(" {rtype} "));
    named.axfr("example.test").iter().filter(is_it).count()
}

fn with_profile(profile: &str) -> (Kdc, Named, Sidecar) {
    let kdc = Kdc::start();
    // From 9.18.28 on BIND takes 100 records of a type at a name, unless it is told otherwise.
    let zone = Zone::granted("example.test");
    let named = Named::options().gss(&kdc).zone(zone).option("max-records-per-type 0;").start();
    let sidecar = Settings::keytab(&kdc, &named, &["example.test"]).set("RFC2136_SERVER_PROFILE", profile).start();
    sidecar.records();
    (kdc, named, sidecar)
}

fn live_and_go(profile: &str) {
    let (_kdc, named, sidecar) = with_profile(profile);
    let sets = [("A", 1500), ("AAAA", 1200), ("TXT", 60)];
    for (rtype, count) in sets {
        let [one, other] = [1, 2].map(|salt| large(rtype, count, salt));
        sidecar.apply_all(&Changes::new().create(&one));
        assert_eq!(held(&named, rtype), count);
        sidecar.apply_all(&Changes::new().update(&one, &other));
        assert_eq!(held(&named, rtype), count);
        let mut wanted = sidecar.adjust(&[other]).remove(0)["targets"].clone();
        wanted.as_array_mut().unwrap().sort_by_key(ToString::to_string);
        assert_eq!(serde_json::json!(sidecar.targets(NAME, rtype).unwrap()), wanted, "{rtype}");
    }
    // The three of them and their texts are one group.
    let all = sets.iter().fold(Changes::new(), |changes, (rtype, count)| changes.delete(&large(rtype, *count, 2)));
    sidecar.apply_all(&all);
    assert!(sidecar.records().is_empty());
    assert!(sets.iter().all(|(rtype, _)| held(&named, rtype) == 0));
}

#[test]
fn what_can_be_made_on_any_server_can_be_replaced_and_unmade() {
    live_and_go("auto");
}

#[test]
fn what_can_be_made_on_bind_can_be_replaced_and_unmade() {
    live_and_go("bind");
}

#[test]
fn what_could_not_be_unmade_is_not_made() {
    let (_kdc, named, sidecar) = with_profile("auto");
    assert_eq!(sidecar.apply(&Changes::new().create(&large("A", 3930, 1))), 500);
    assert_eq!(sidecar.rejection(NAME, "A")["cause"], "too_large");
    assert_eq!(held(&named, "A"), 0);
}
