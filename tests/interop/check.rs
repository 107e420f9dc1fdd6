//! The preflight.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::{Kdc, Named, PASSWORD, Settings, Zone};

const ZONE: &str = "example.test";
const ABSENT: &str = "/nonexistent/keytab";

/// `check --json`: the exit code and the steps.
fn check(settings: &Settings) -> (Option<i32>, Vec<Value>) {
    let (code, output) = settings.output(&["check", "--json"]);
    let report: Value = serde_json::from_str(&output).unwrap_or_else(|error| panic!("{error}: {output}"));
    (code, report["steps"].as_array().unwrap().clone())
}

/// The results of a step, one for each subject.
fn results(steps: &[Value], step: &str) -> Vec<String> {
    steps.iter().filter(|s| s["step"] == step).map(|s| s["result"].as_str().unwrap().to_owned()).collect()
}

fn causes(steps: &[Value]) -> Vec<String> {
    steps.iter().filter_map(|step| Some(step["cause"].as_str()?.to_owned())).collect()
}

#[test]
fn where_all_is_well_every_step_is_told_and_nothing_stays_behind() {
    let kdc = Kdc::start();
    let named = Named::options().gss(&kdc).zone(Zone::granted(ZONE)).zone(Zone::granted("second.test")).start();
    let before = named.axfr(ZONE);
    let keytab = Settings::keytab(&kdc, &named, &[ZONE, "second.test"]);
    let (code, steps) = check(&keytab);
    assert_eq!(code, Some(0), "{steps:?}");
    for (step, subjects) in [
        ("configuration", 1),
        ("realm", 1),
        ("keytab", 1),
        ("kdc", 1),
        ("login", 1),
        ("server", 1),
        ("negotiation", 1),
        ("zone", 2),
        ("transfer", 2),
        ("update", 2),
        ("unsigned", 2),
        ("delete", 2),
        ("clock", 1),
    ] {
        assert_eq!(results(&steps, step), vec!["ok"; subjects], "{step}: {steps:?}");
    }
    let keys = steps.iter().find(|step| step["step"] == "keytab").unwrap()["detail"].as_str().unwrap();
    assert!(keys.contains("kvno 1 aes256-cts-hmac-sha1-96"), "{keys}");
    assert_eq!(named.axfr(ZONE), before);
    assert_eq!(named.changing_updates().len(), 4);

    let password = Settings::gss(&kdc, &named, &[ZONE]).set("RFC2136_KERBEROS_PASSWORD", PASSWORD);
    let (code, text) = password.output(&["check"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("ok       login") && text.ends_with("0 warnings, 0 failed, 0 skipped\n"), "{text}");
    assert!(!text.contains(PASSWORD));
}

#[test]
fn what_a_zone_does_not_allow_is_told_with_what_to_do() {
    let kdc = Kdc::start();
    let named = Named::options()
        .gss(&kdc)
        .zone(Zone::granted(ZONE))
        .zone(Zone::new("frozen.test"))
        .zone(Zone::new("open.test").allow_update("any;"))
        .zone(Zone::granted("hidden.test").allow_transfer("none;"))
        .start();
    let step_of = |zone: &str, step: &str| {
        let (code, steps) = check(&Settings::keytab(&kdc, &named, &[zone]));
        let found = steps.into_iter().find(|found| found["step"] == step).unwrap();
        (code, found["result"].as_str().unwrap().to_owned(), found["cause"].as_str().map(str::to_owned), found)
    };
    let failed = |cause: &str| (Some(1), "failed".to_owned(), Some(cause.to_owned()));
    for (zone, step, cause) in [
        ("frozen.test", "update", "refused_by_policy"),
        ("hidden.test", "transfer", "transfer_refused"),
        ("elsewhere.test", "zone", "not_authoritative"),
    ] {
        let (code, result, found, step) = step_of(zone, step);
        assert_eq!((code, result, found), failed(cause), "{zone}");
        assert!(!step["remedy"].as_str().unwrap().is_empty());
    }
    let (code, result, _, step) = step_of("open.test", "unsigned");
    assert_eq!((code, result.as_str()), (Some(0), "warning"));
    assert!(step["remedy"].as_str().unwrap().contains("Secure only"), "{step}");
    assert!(named.axfr("open.test").iter().all(|record| !record.contains("check")));
}

#[test]
fn what_is_not_to_be_touched_is_skipped() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let settings = Settings::keytab(&kdc, &named, &[ZONE]).set("RFC2136_READ", "none").set("RFC2136_DRY_RUN", "true");
    let (code, steps) = check(&settings);
    assert_eq!(code, Some(0), "{steps:?}");
    assert_eq!(
        (results(&steps, "transfer"), results(&steps, "update")),
        (vec!["skipped".into()], vec!["skipped".into()])
    );
    assert_eq!(named.updates().len(), 0);
}

#[test]
fn a_configuration_that_cannot_be_used_is_exit_code_78() {
    let (code, steps) = check(&Settings::new().set("RFC2136_PORT", "x"));
    assert_eq!(code, Some(78));
    let subjects: Vec<_> = steps.iter().map(|step| step["subject"].as_str().unwrap()).collect();
    assert!(subjects.contains(&"RFC2136_PORT") && subjects.contains(&"RFC2136_HOST"), "{subjects:?}");
}

/// The preflight fails, and all that fails has this cause, with a remedy that names this setting.
fn fails(settings: &Settings, cause: &str, setting: &str) {
    let (code, steps) = check(settings);
    assert_eq!(code, Some(1), "{cause}: {steps:?}");
    let found = causes(&steps);
    assert!(!found.is_empty() && found.iter().all(|found| found == cause), "{cause}: {steps:?}");
    let remedies: Vec<_> = steps.iter().filter_map(|step| step["remedy"].as_str()).collect();
    assert!(remedies.iter().any(|remedy| remedy.contains(setting)), "{cause}: {remedies:?}");
}

#[test]
fn every_kerberos_fault_has_its_cause_and_a_remedy_that_names_the_setting() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let user = |user: &str| {
        Settings::gss(&kdc, &named, &[ZONE])
            .set("RFC2136_KERBEROS_USERNAME", user)
            .set("RFC2136_KERBEROS_PASSWORD", PASSWORD)
    };
    let good = user("externaldns");
    let stale = kdc.keytab("reader");
    kdc.rotate_key("reader");
    let with_keytab = |name: &str, keytab: PathBuf| {
        Settings::gss(&kdc, &named, &[ZONE])
            .set("RFC2136_KERBEROS_USERNAME", name)
            .set("RFC2136_KERBEROS_KEYTAB", keytab.to_str().unwrap())
    };
    let other_host = named.server().replace("ns1.", "nowhere.");
    let faults = [
        (
            good.clone().set("RFC2136_KERBEROS_PASSWORD", "wrong"),
            "preauthentication_failed",
            "RFC2136_KERBEROS_PASSWORD",
        ),
        (with_keytab("reader", stale), "preauthentication_failed", "RFC2136_KERBEROS_KEYTAB"),
        (user("nobody"), "principal_unknown", "RFC2136_KERBEROS_USERNAME"),
        (user("locked"), "account_revoked", "RFC2136_KERBEROS_USERNAME"),
        (user("pwexpired"), "password_expired", "password"),
        (with_keytab("externaldns", ABSENT.into()), "credential_unreadable", "RFC2136_KERBEROS_KEYTAB"),
        (with_keytab("externaldns", kdc.keytab("locked")), "keytab_lacks_principal", "RFC2136_KERBEROS_USERNAME"),
        (good.clone().set("RFC2136_KERBEROS_KDC", "127.0.0.1:9"), "no_kdc", "RFC2136_KERBEROS_KDC"),
        (good.clone().servers(&[&other_host], &[ZONE]), "spn_unknown", "RFC2136_HOST"),
    ];
    for (settings, cause, setting) in faults {
        fails(&settings, cause, setting);
    }
    // The KDC of another realm: a krb5.conf of the user's own that does not know the realm asked for.
    let conf = kdc.krb5_conf();
    let settings = good
        .unset("RFC2136_KERBEROS_KDC")
        .set("KRB5_CONFIG", conf.to_str().unwrap())
        .set("RFC2136_KERBEROS_REALM", "NOWHERE.TEST");
    fails(&settings, "realm_wrong", "RFC2136_KERBEROS_REALM");
}

#[test]
fn a_silent_kdc_is_told_as_no_kdc_in_time() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let settings = Settings::keytab(&kdc, &named, &[ZONE]);
    kdc.stop();
    fails(&settings, "no_kdc", "RFC2136_KERBEROS_KDC");
}

#[test]
fn a_server_with_other_keys_than_the_kdc_refuses_the_context() {
    let kdc = Kdc::start();
    let keytab = kdc.keytab("DNS/ns1.example.test");
    let old = keytab.with_extension("old");
    fs::copy(&keytab, &old).unwrap();
    let named = Named::options().keytab(&old).zone(Zone::granted(ZONE)).start();
    kdc.kadmin("cpw -randkey DNS/ns1.example.test\n");
    let settings = Settings::keytab(&kdc, &named, &[ZONE]);
    fails(&settings, "tkey_refused", "tkey-gssapi-keytab");
}

#[test]
fn a_server_that_is_away_is_told_as_such() {
    let kdc = Kdc::start();
    let mut named = Named::example(&kdc);
    let settings = Settings::keytab(&kdc, &named, &[ZONE]);
    named.kill();
    fails(&settings, "server_unreachable", "RFC2136_HOST");
}
