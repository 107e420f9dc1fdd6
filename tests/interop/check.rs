//! The preflight.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Backend, Changes, Endpoint, Kdc, Named, NamedOptions, PASSWORD, Samba, Settings, Zone};

const ZONE: &str = "example.test";
const ABSENT: &str = "/nonexistent/keytab";

/// `check --output=json`: the exit code and the steps.
fn check(settings: &Settings) -> (Option<i32>, Vec<Value>) {
    let (code, output) = settings.output(&["check", "--output=json"]);
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
        ("ticket", 1),
        ("negotiation", 1),
        ("zone", 2),
        ("transfer", 2),
        ("update", 2),
        ("unsigned", 2),
        ("delete", 2),
        // The KDC's and the server's.
        ("clock", 2),
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
    assert!(text.contains("\nok       login ") && text.ends_with("0 warnings, 0 failed, 0 skipped\n"), "{text}");
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
fn a_principal_that_may_read_and_not_write_is_told_what_to_grant() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let settings = Settings::keytab(&kdc, &named, &[ZONE]).set("RFC2136_KERBEROS_USERNAME", "reader");
    let settings = settings.set("RFC2136_KERBEROS_KEYTAB", kdc.keytab("reader").to_str().unwrap());
    fails(&settings, "refused_by_policy", "update-policy");
    assert_eq!(results(&check(&settings).1, "transfer"), ["ok"]);
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
    let (code, text) = Settings::new().set("RFC2136_PORT", "x").output(&["check"]);
    assert!(code == Some(78) && text.contains("FAILED   configuration  RFC2136_PORT"), "{text}");
}

/// The preflight fails, and all that fails has this cause, with a remedy that names this setting.
fn fails(settings: &Settings, cause: &str, setting: &str) {
    let (code, steps) = check(settings);
    assert_eq!(code, Some(1), "{cause}: {steps:?}");
    let found = causes(&steps);
    assert!(!found.is_empty(), "{cause}: {steps:?}");
    for step in steps.iter().filter(|step| step["result"] == "failed") {
        assert!(step["cause"] == cause && step["remedy"].as_str().unwrap().contains(setting), "{cause}: {step}");
    }
}

/// `kinit -k` with this keytab.
fn kinit_takes(kdc: &Kdc, keytab: &Path) -> bool {
    kdc.tool("kinit").arg("-k").arg("-t").arg(keytab).arg("externaldns").output().unwrap().status.success()
}

#[test]
fn a_keytab_is_of_use_exactly_where_kinit_takes_it() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let keytab = kdc.keytab("externaldns");
    let whole = fs::read(&keytab).unwrap();
    let entries = &whole[2..];
    let hole = [0xff, 0xff, 0xff, 0xfc, 9, 9, 9, 9];
    let (mut unknown, mut short) = (whole.clone(), whole.clone());
    unknown[1] = 3;
    short.truncate(20);
    let settings = Settings::gss(&kdc, &named, &[ZONE]).set("RFC2136_KERBEROS_KEYTAB", keytab.to_str().unwrap());
    for (what, octets) in [
        ("whole", whole.clone()),
        ("octets behind the last entry", [&whole[..], b"\n"].concat()),
        ("a length and no entry behind the last one", [&whole[..], &[0, 0, 0, 99, 0]].concat()),
        ("zeros behind the last entry", [&whole[..], &[0; 64]].concat()),
        ("a hole before the first entry", [&[5, 2], &hole[..], entries].concat()),
        ("a hole that ends behind the file", [&whole[..], &[0xff, 0, 0, 0]].concat()),
        ("zeros before the first entry", [&[5, 2], &[0; 4][..], entries].concat()),
        ("an unknown format", unknown),
        ("cut off in its first entry", short),
        ("no entry", vec![5, 2]),
        ("no octet", Vec::new()),
    ] {
        fs::write(&keytab, octets).unwrap();
        let (_, steps) = check(&settings);
        let expected = if kinit_takes(&kdc, &keytab) { ["ok", "ok"] } else { ["failed", "failed"] };
        let found = [results(&steps, "keytab"), results(&steps, "login")].concat();
        assert_eq!(found, expected, "{what}: {steps:?}");
    }
}

#[test]
fn a_keytab_with_several_key_versions_says_which_is_tried() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let keytab = kdc.keytab("externaldns");
    kdc.kadmin(&format!("ktadd -k {} externaldns\n", keytab.display()));
    let settings = Settings::gss(&kdc, &named, &[ZONE]).set("RFC2136_KERBEROS_KEYTAB", keytab.to_str().unwrap());
    let (_, steps) = check(&settings);
    let detail = steps.iter().find(|step| step["step"] == "keytab").unwrap()["detail"].as_str().unwrap();
    assert!(detail.contains("of the key versions 1, 2 the newest is tried, kvno 2"), "{detail}");
    assert_eq!(results(&steps, "login"), ["ok"]);
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
    let start = Instant::now();
    fails(&settings, "no_kdc", "RFC2136_KERBEROS_KDC");
    assert!(start.elapsed() < Duration::from_secs(16), "{:?}", start.elapsed());
}

#[test]
fn a_clock_that_is_wrong_is_told_in_seconds() {
    let mut kdc = Kdc::start();
    let named = Named::example(&kdc);
    let settings = Settings::keytab(&kdc, &named, &[ZONE]);
    let differs = |step: &Value, seconds: u64| {
        let detail = step["detail"].as_str().unwrap();
        (seconds - 3..=seconds + 3).any(|near| detail.contains(&format!("{near} seconds")))
    };
    for (offset, direction) in [("+10m", "behind"), ("-10m", "ahead of")] {
        let settings = settings.clone().clock(offset);
        fails(&settings, "clock_skew", "NTP");
        let clocks = check(&settings).1.into_iter().filter(|step| step["step"] == "clock").collect::<Vec<_>>();
        assert_eq!(clocks.len(), 2, "that of the KDC, and that of the server: {clocks:?}");
        assert!(clocks.iter().all(|step| differs(step, 600) && step.to_string().contains(direction)), "{clocks:?}");
    }
    kdc.restart_with_clock("-10m");
    let (code, steps) = check(&settings);
    let failed: Vec<_> = steps.iter().filter(|step| step["result"] == "failed").collect();
    assert_eq!((code, failed.len()), (Some(1), 2), "{steps:?}");
    assert!(failed[0]["cause"] == "clock_skew" && differs(failed[0], 600), "{failed:?}");
    assert_eq!(failed[1]["cause"], "tkey_refused", "the server does not say what it minds");
    kdc.restart_with_clock("+2m");
    let (code, steps) = check(&settings);
    assert_eq!((code, results(&steps, "clock")), (Some(0), vec!["warning".into(), "ok".into()]), "{steps:?}");
}

#[test]
fn a_kdc_that_is_away_is_a_warning_where_another_one_serves() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let kdcs = format!("127.0.0.1:9,{}", kdc.address());
    let (code, steps) = check(&Settings::keytab(&kdc, &named, &[ZONE]).set("RFC2136_KERBEROS_KDC", &kdcs));
    assert_eq!((code, results(&steps, "kdc")), (Some(0), vec!["warning".into(), "ok".into()]), "{steps:?}");
}

#[test]
fn the_kdcs_of_ones_own_krb5_conf_are_asked_and_a_cache_is_used() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let settings =
        Settings::gss(&kdc, &named, &[ZONE]).unset("RFC2136_KERBEROS_KDC").unset("RFC2136_KERBEROS_USERNAME");
    let ccache = kdc.ccache("externaldns", "1h");
    let settings = settings.set("RFC2136_KERBEROS_CCACHE", ccache.to_str().unwrap());
    let (code, steps) = check(&settings.set("KRB5_CONFIG", kdc.krb5_conf().to_str().unwrap()));
    assert_eq!(code, Some(0), "{steps:?}");
    let kdcs: Vec<_> = steps.iter().filter(|step| step["step"] == "kdc").map(|step| &step["subject"]).collect();
    assert_eq!((kdcs, results(&steps, "ccache")), (vec![&Value::from(kdc.address())], vec!["ok".into()]));
}

#[test]
fn shared_keys_and_no_keys_are_checked_without_a_word_of_kerberos() {
    let secret = "c2hhcmVkLXNlY3JldC1vZi10d28=";
    let zones = [
        Zone::new(ZONE).policy("grant shared-key zonesub ANY;"),
        Zone::new("open.test").allow_update("any;"),
        Zone::new("frozen.test"),
    ];
    let options = Named::options().tsig_key("shared-key", "hmac-sha256", secret);
    let named = zones.into_iter().fold(options, NamedOptions::zone).start();
    let key = Settings::new().servers(&[&named.server()], &[ZONE]).set("RFC2136_TSIG_KEYNAME", "shared-key");
    let (code, steps) = check(&key.clone().set("RFC2136_TSIG_SECRET", secret));
    assert_eq!(code, Some(0), "{steps:?}");
    let taken: Vec<_> = steps.iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(
        taken,
        ["configuration", "server", "negotiation", "zone", "transfer", "update", "unsigned", "delete", "clock"]
    );
    fails(&key.clone().set("RFC2136_TSIG_SECRET", "b3RoZXI="), "tsig_rejected", "RFC2136_TSIG_SECRET");
    fails(
        &key.set("RFC2136_TSIG_SECRET", secret).set("RFC2136_ZONE", "frozen.test"),
        "refused_by_policy",
        "update-policy",
    );

    let (code, steps) = check(&Settings::insecure(&named, &["open.test"]));
    assert_eq!(code, Some(0), "{steps:?}");
    assert_eq!((results(&steps, "negotiation"), results(&steps, "unsigned").len()), (vec!["warning".into()], 0));
    assert_eq!(results(&steps, "delete"), ["ok"]);
    for zone in [ZONE, "open.test"] {
        assert!(named.axfr(zone).iter().all(|record| !record.contains("check")));
    }
}

#[test]
fn what_only_strangers_may_write_is_cleaned_up_as_a_stranger() {
    let kdc = Kdc::start();
    let zone = Zone::new(ZONE).allow_update("!key \"externaldns\\@EXAMPLE.TEST\"; any;");
    let named = Named::options().gss(&kdc).zone(zone).start();
    let (code, steps) = check(&Settings::keytab(&kdc, &named, &[ZONE]));
    assert_eq!((code, causes(&steps)), (Some(1), vec!["refused_by_policy".to_owned()]), "{steps:?}");
    assert_eq!((results(&steps, "unsigned"), results(&steps, "delete")), (vec!["warning".into()], vec!["ok".into()]));
    assert!(named.axfr(ZONE).iter().all(|record| !record.contains("check")));
}

#[test]
fn a_server_that_is_not_the_primary_is_doubted_where_updates_fail() {
    let named = Named::options().zone(Zone::new(ZONE)).start();
    let server = named.server().replace("ns1.", "ns9.");
    let (code, steps) = check(&Settings::insecure(&named, &[ZONE]).servers(&[&server], &[ZONE]));
    let zone = steps.iter().find(|step| step["step"] == "zone").unwrap();
    assert_eq!((code, zone["result"].as_str()), (Some(1), Some("warning")), "{steps:?}");
    assert!(zone["remedy"].as_str().unwrap().contains("RFC2136_HOST to the primary, ns1.example.test"), "{zone}");
}

#[test]
fn a_server_that_works_is_checked_beside_one_that_is_away() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let servers = ["ns2.example.test@127.0.0.1:9", &named.server()];
    let (code, steps) = check(&Settings::keytab(&kdc, &named, &[ZONE]).servers(&servers, &[ZONE]));
    assert_eq!((code, causes(&steps)), (Some(1), vec!["server_unreachable".to_owned()]), "{steps:?}");
    assert_eq!((results(&steps, "zone"), results(&steps, "update")), (vec!["ok".into()], vec!["ok".into()]));
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

#[test]
fn a_domain_is_found_by_srv_records_and_checked_whichever_dns_samba_has() {
    for backend in Backend::all() {
        let samba = Samba::start_with(backend, "dns zone transfer clients allow = 10.53.53.1");
        let settings = samba.settings(&[]).servers(&["srv:ad.test"], &["second.test"]).unset("RFC2136_KERBEROS_KDC");
        let (code, steps) = check(&settings.set("RFC2136_TRANSFER_UNSIGNED", "true"));
        assert_eq!(code, Some(0), "{steps:?}");
        // Samba's internal DNS transfers nothing, and LDAP does in its place.
        let transfers = if backend == Backend::Internal { "skipped" } else { "ok" };
        assert_eq!(results(&steps, "transfer"), [transfers], "{steps:?}");
        let ldap = steps.iter().find(|found| found["step"] == "ldap").unwrap()["detail"].to_string();
        let setting = if backend == Backend::Internal { "RFC2136_READ=auto reads" } else { "RFC2136_READ=ldap would" };
        assert!(ldap.contains(setting) && ldap.contains("CN=MicrosoftDNS,DC=DomainDnsZones"), "{ldap}");
        assert_eq!((results(&steps, "update mode"), results(&steps, "ageing")), (vec!["ok".into()], vec!["ok".into()]));
        for step in ["kdc", "discovery", "ticket", "negotiation", "zone", "update", "unsigned", "delete", "clock"] {
            assert!(results(&steps, step).iter().all(|result| result == "ok"), "{backend:?} {step}: {steps:?}");
        }
        let found = |step: &str| steps.iter().find(|found| found["step"] == step).unwrap()["detail"].to_string();
        assert!(found("kdc").contains("dc1.ad.test:88") && found("discovery").contains("dc1.ad.test:53"), "{steps:?}");
        assert_eq!(results(&steps, "kdc").len(), 2, "the domain, and its KDC");
    }
}

#[test]
fn a_wildcard_beside_which_bind9_dlz_loses_updates_is_told() {
    let samba = Samba::start(Backend::Bind9Dlz);
    let settings = samba.settings(&["wild.test"]).set("RFC2136_READ", "none");
    let wildcard = Endpoint::new("*.wild.test", "TXT", &["wild"]);
    settings.start().apply_all(&Changes::new().create_alone(&wildcard));
    fails(&settings, "prerequisite_failed", "wildcard");
}
