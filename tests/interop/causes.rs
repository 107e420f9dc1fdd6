//! Every fault that can be made here is told by its cause, with the setting to change.

use std::path::PathBuf;

use serde_json::Value;

use crate::support::{Changes, Endpoint, Kdc, Named, NamedOptions, PASSWORD, Settings, Sidecar, Zone};

const ZONE: &[&str] = &["example.test"];

/// What `/readyz`, a read and an apply tell: one cause, whose remedy names `setting`.
fn tells(sidecar: &Sidecar, cause: &str, setting: &str) -> Value {
    sidecar.is_unready_for(cause);
    let unready = sidecar.readyz().1["causes"][0].clone();
    assert!(unready["remedy"].as_str().unwrap().contains(setting), "{unready}");
    let change = Changes::new().create(&Endpoint::a("www.example.test", &["192.0.2.1"]));
    for answer in [sidecar.get("/records"), sidecar.post("/records", &change.body())] {
        assert!((500..=510).contains(&answer.status), "{answer:?}");
        assert!(answer.body.contains(&format!("\"cause\":\"{cause}\"")), "{answer:?}");
    }
    assert_eq!(sidecar.get("/").status, 200);
    assert!(sidecar.logged(cause) > 0, "{}", sidecar.log());
    unready
}

fn with_password(kdc: &Kdc, named: &Named, user: &str, password: &str) -> Sidecar {
    let settings = Settings::gss(kdc, named, ZONE).set("RFC2136_KERBEROS_USERNAME", user);
    settings.set("RFC2136_KERBEROS_PASSWORD", password).start()
}

#[test]
fn a_wrong_password_an_unknown_a_locked_and_an_expired_account_are_told_apart() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    for (user, password, cause, setting) in [
        ("externaldns", "n0t-the-secret", "preauthentication_failed", "RFC2136_KERBEROS_PASSWORD"),
        ("nobody", PASSWORD, "principal_unknown", "RFC2136_KERBEROS_USERNAME"),
        ("locked", PASSWORD, "account_revoked", "RFC2136_KERBEROS_USERNAME"),
        ("pwexpired", PASSWORD, "password_expired", ""),
    ] {
        let sidecar = with_password(&kdc, &named, user, password);
        let unready = tells(&sidecar, cause, setting);
        assert!(!unready.to_string().contains(password), "{unready}");
    }
}

#[test]
fn a_realm_that_is_not_the_kdcs_is_told() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let settings = Settings::gss(&kdc, &named, ZONE).set("RFC2136_KERBEROS_REALM", "WRONG.TEST");
    let settings = settings.set("RFC2136_KERBEROS_PASSWORD", PASSWORD);
    // All that an MIT KDC says is that it knows no such client.
    tells(&settings.start(), "principal_unknown", "RFC2136_KERBEROS_REALM");
    let own = settings.unset("RFC2136_KERBEROS_KDC").set("KRB5_CONFIG", kdc.krb5_conf().to_str().unwrap());
    tells(&own.start(), "realm_wrong", "RFC2136_KERBEROS_REALM");
}

#[test]
fn a_server_name_that_the_kdc_does_not_know_is_told() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let server = named.server().replace("ns1.example.test", "nope.example.test");
    let sidecar = Settings::keytab(&kdc, &named, ZONE).servers(&[&server], ZONE).start();
    let unready = tells(&sidecar, "spn_unknown", "RFC2136_HOST");
    assert!(unready["detail"].as_str().unwrap().contains("DNS/nope.example.test@EXAMPLE.TEST"), "{unready}");
}

#[test]
fn a_keytab_that_is_missing_or_of_somebody_else_or_too_old_is_told() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let settings = Settings::gss(&kdc, &named, ZONE);
    let keytab = |file: &str| settings.clone().set("RFC2136_KERBEROS_KEYTAB", file).start();
    let unready = tells(&keytab("/nonexistent/keytab"), "credential_unreadable", "RFC2136_KERBEROS_KEYTAB");
    assert!(unready["detail"].as_str().unwrap().contains("/nonexistent/keytab"), "{unready}");
    let other = kdc.keytab("reader");
    tells(&keytab(other.to_str().unwrap()), "keytab_lacks_principal", "RFC2136_KERBEROS_USERNAME");
    let old = kdc.keytab("externaldns");
    kdc.change_password("externaldns", "another");
    tells(&keytab(old.to_str().unwrap()), "preauthentication_failed", "RFC2136_KERBEROS_KEYTAB");
}

#[test]
fn a_password_file_or_cache_that_is_missing_is_told() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    for name in ["RFC2136_KERBEROS_PASSWORD_FILE", "RFC2136_KERBEROS_CCACHE"] {
        let sidecar = Settings::gss(&kdc, &named, ZONE).set(name, "/nonexistent/file").start();
        tells(&sidecar, "credential_unreadable", &name["RFC2136_KERBEROS".len()..]);
    }
}

#[test]
fn a_server_whose_own_keytab_is_too_old_is_told() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    kdc.rotate_key("DNS/ns1.example.test");
    tells(&Settings::keytab(&kdc, &named, ZONE).start(), "tkey_refused", "keytab");
}

#[test]
fn a_server_that_is_away_is_told() {
    let kdc = Kdc::start();
    let mut named = Named::example(&kdc);
    named.kill();
    tells(&Settings::keytab(&kdc, &named, ZONE).start(), "server_unreachable", "RFC2136_HOST");
}

#[test]
fn a_zone_that_the_server_does_not_hold_is_told() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let sidecar = Settings::keytab(&kdc, &named, &["example.test", "absent.test"]).start();
    sidecar.is_unready_for("not_authoritative");
    let answer = sidecar.get("/records");
    assert_eq!((answer.status, answer.json()["cause"].as_str()), (500, Some("not_authoritative")), "{answer:?}");
    assert!(answer.json()["remedy"].as_str().unwrap().contains("RFC2136_ZONE"));
    let change = Changes::new()
        .create(&Endpoint::a("www.absent.test", &["192.0.2.1"]))
        .create(&Endpoint::a("www.example.test", &["192.0.2.1"]));
    assert_eq!(sidecar.apply(&change), 500);
    assert_eq!(named.answer("www.example.test", "A"), ["192.0.2.1"], "the other zone does not suffer");
    assert_eq!(sidecar.rejection("www.absent.test", "A")["cause"], "not_authoritative");
}

#[test]
fn a_clock_that_is_wrong_is_told_in_seconds() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    for (offset, seconds) in [("+10m", 600), ("-10m", -600)] {
        let settings = Settings::keytab(&kdc, &named, ZONE).set("LD_PRELOAD", faketime().to_str().unwrap());
        let sidecar = settings.set("FAKETIME", offset).set("FAKETIME_DONT_FAKE_MONOTONIC", "1").start();
        let unready = tells(&sidecar, "clock_skew", "NTP");
        let detail = unready["detail"].as_str().unwrap();
        let told = (seconds - 2_i64..=seconds + 2).any(|near| detail.contains(&near.abs().to_string()));
        assert!(told, "{detail}");
    }
}

/// libfaketime itself: its wrapper would stand between the test and its child.
fn faketime() -> PathBuf {
    let directories = std::fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
    let mut libraries = directories.map(|directory| directory.join("faketime/libfaketime.so.1"));
    libraries.find(|file| file.is_file()).expect("libfaketime is missing. Install it with: apt-get install -y faketime")
}

#[test]
fn a_principal_that_may_not_write_is_told_for_each_record() {
    let kdc = Kdc::start();
    let zones = [Zone::granted("example.test"), Zone::granted("second.test")];
    let named = zones.into_iter().fold(Named::options().gss(&kdc), NamedOptions::zone).start();
    let sidecar = with_password(&kdc, &named, "reader", PASSWORD);
    sidecar.becomes_ready();
    assert_eq!(sidecar.apply(&Changes::new().create(&Endpoint::a("www.example.test", &["192.0.2.1"]))), 500);
    let rejection = sidecar.rejection("www.example.test", "A");
    assert_eq!(rejection["cause"], "refused_by_policy");
    assert!(rejection["remedy"].as_str().unwrap().contains("update-policy"), "{rejection}");
    assert!(sidecar.metric("external_dns_rfc2136_rejected_records", "refused_by_policy") > 0.0);
}
