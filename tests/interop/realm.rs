//! The realm is what is configured, whatever the zones are called.

use crate::example;
use crate::support::{Changes, Endpoint, Kdc, Named, NamedOptions, Settings, Zone};

#[test]
fn a_realm_that_is_not_the_zones_name_stays_the_realm() {
    let kdc = Kdc::with_realms(&["EXAMPLE.TEST", "SECOND.TEST"]);
    let zones = ["second.test", "deep.zone.second.test"];
    let named = zones.map(Zone::granted).into_iter().fold(Named::options().gss(&kdc), NamedOptions::zone).start();
    let sidecar = Settings::keytab(&kdc, &named, &zones).start();
    for zone in zones {
        let name = format!("www.{zone}");
        sidecar.apply_all(&Changes::new().create(&Endpoint::a(&name, &["192.0.2.1"])));
        assert_eq!(named.answer(&name, "A"), ["192.0.2.1"]);
    }
    assert_eq!(sidecar.records().len(), 4);
    let log = kdc.log();
    let requests: Vec<&str> = log.lines().filter(|line| line.contains("_REQ")).collect();
    assert!(requests.iter().all(|line| line.contains("externaldns@EXAMPLE.TEST for ")), "{log}");
    assert!(requests.iter().any(|line| line.contains(" for DNS/ns1.example.test@EXAMPLE.TEST")), "{log}");
    assert!(!log.contains("SECOND.TEST"), "{log}");
}

#[test]
fn a_realm_in_lower_case_with_a_trailing_dot_works_with_one_warning() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let settings = Settings::keytab(&kdc, &named, &["example.test"]).set("RFC2136_KERBEROS_REALM", "example.test.");
    let sidecar = settings.start();
    sidecar.apply_all(&Changes::new().create(&Endpoint::a("www.example.test", &["192.0.2.1"])));
    assert_eq!(named.answer("www.example.test", "A"), ["192.0.2.1"]);
    let log = sidecar.log();
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("WARN")).collect();
    let [warning] = warnings[..] else { panic!("{log}") };
    assert!(warning.contains("RFC2136_KERBEROS_REALM") && warning.contains("EXAMPLE.TEST"), "{warning}");
}

#[test]
fn what_is_no_realm_is_refused_at_the_start() {
    let (kdc, named, _sidecar) = example();
    for realm in ["", "EXAMPLE TEST", "EXAMPLE/TEST", "EXAMPLE..TEST", "EXAMPLE.TEST..", "."] {
        let settings = Settings::keytab(&kdc, &named, &["example.test"]).set("RFC2136_KERBEROS_REALM", realm);
        let (code, problems) = settings.run();
        assert_eq!(code, Some(78), "{realm:?}: {problems}");
        assert!(problems.contains("RFC2136_KERBEROS_REALM"), "{realm:?}: {problems}");
    }
}
