//! Every source of a Kerberos credential.

use std::fs;
use std::time::Duration;

use crate::support::{Changes, Endpoint, Kdc, Named, PASSWORD, Settings, wait_until};

/// Applies one change and finds it in DNS, signed by `externaldns`.
fn writes(settings: &Settings, named: &Named) {
    let sidecar = settings.start();
    sidecar.apply_all(&Changes::new().create(&Endpoint::a("www.example.test", &["192.0.2.1"])));
    assert_eq!(named.answer("www.example.test", "A"), ["192.0.2.1"]);
    assert_eq!(named.updates()[0].key.as_deref(), Some("externaldns@EXAMPLE.TEST"));
    let shown = [sidecar.log(), sidecar.status().to_string(), sidecar.admin("/readyz").body].concat();
    assert!(!shown.contains(PASSWORD), "{shown}");
}

#[test]
fn the_times_of_the_last_read_and_apply_and_the_build_are_exported() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let sidecar = Settings::keytab(&kdc, &named, &["example.test"]).start();
    assert_eq!(sidecar.get("/records").status, 200);
    let metric = |name: &str| {
        let text = sidecar.admin("/metrics").body;
        let start = format!("external_dns_rfc2136_{name}");
        text.lines().find(|line| line.starts_with(&start)).and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
    };
    let read = metric("last_read_timestamp_seconds{zone=\"example.test\"}").unwrap();
    assert_eq!(metric("last_apply_timestamp_seconds"), None);
    sidecar.apply_all(&Changes::new().create(&Endpoint::a("www.example.test", &["192.0.2.1"])));
    let applied = metric("last_apply_timestamp_seconds{zone=\"example.test\"}").unwrap();
    assert!((read..read + 600).contains(&applied), "{read} {applied}");
    assert_eq!(metric("build_info{version="), Some(1));
}

#[test]
fn a_keytab_is_enough_to_write() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    writes(&Settings::keytab(&kdc, &named, &["example.test"]), &named);
}

#[test]
fn a_password_is_enough_to_write() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let settings = Settings::gss(&kdc, &named, &["example.test"]).set("RFC2136_KERBEROS_PASSWORD", PASSWORD);
    writes(&settings, &named);
}

#[test]
fn a_password_that_looks_like_a_number_stays_what_it_is() {
    let kdc = Kdc::start();
    kdc.change_password("externaldns", "0012");
    let named = Named::example(&kdc);
    let settings = Settings::gss(&kdc, &named, &["example.test"]).set("RFC2136_KERBEROS_PASSWORD", "0012");
    writes(&settings, &named);
}

#[test]
fn a_password_file_is_enough_to_write() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let settings = Settings::gss(&kdc, &named, &["example.test"]);
    writes(&settings.set("RFC2136_KERBEROS_PASSWORD_FILE", file.to_str().unwrap()), &named);
}

#[test]
fn what_a_secret_leaves_around_a_password_or_a_path_is_no_part_of_it() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    fs::write(&file, format!("\n {PASSWORD} \r\n\n")).unwrap();
    let settings = Settings::gss(&kdc, &named, &["example.test"])
        .unset("RFC2136_KERBEROS_KDC")
        .set("KRB5_CONFIG", &format!("{}\n", kdc.krb5_conf().display()))
        .set("RFC2136_KERBEROS_REALM", " EXAMPLE.TEST\n");
    writes(&settings.clone().set("RFC2136_KERBEROS_PASSWORD", &format!("{PASSWORD}\n")), &named);
    let change = Changes::new().create(&Endpoint::a("file.example.test", &["192.0.2.2"]));
    settings.set("RFC2136_KERBEROS_PASSWORD_FILE", &format!("{}\n", file.display())).start().apply_all(&change);
    assert_eq!(named.answer("file.example.test", "A"), ["192.0.2.2"]);
}

#[test]
fn a_credential_cache_is_enough_to_write_and_tells_the_principal() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let ccache = kdc.ccache("externaldns", "1h");
    let settings = Settings::gss(&kdc, &named, &["example.test"])
        .unset("RFC2136_KERBEROS_USERNAME")
        .set("RFC2136_KERBEROS_CCACHE", ccache.to_str().unwrap());
    let before = kdc.as_requests();
    writes(&settings, &named);
    assert_eq!(kdc.as_requests(), before, "no login of its own");
}

#[test]
fn a_krb5_conf_of_ones_own_is_used() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let settings = Settings::keytab(&kdc, &named, &["example.test"])
        .unset("RFC2136_KERBEROS_KDC")
        .set("KRB5_CONFIG", kdc.krb5_conf().to_str().unwrap());
    writes(&settings, &named);
}

#[test]
fn with_no_kdc_the_domains_are_told_at_once_and_the_cause_is_shown_until_it_is_gone() {
    let mut kdc = Kdc::start();
    let named = Named::example(&kdc);
    let settings = Settings::keytab(&kdc, &named, &["example.test"]);
    kdc.kill();
    let sidecar = settings.start();
    let domains = sidecar.get("/");
    assert_eq!((domains.status, domains.body.contains("example.test")), (200, true), "{domains:?}");
    assert!(domains.elapsed < Duration::from_millis(500), "{domains:?}");
    assert_eq!(sidecar.admin("/healthz").status, 200);
    sidecar.is_unready_for("no_kdc");
    let answers = [sidecar.get("/records"), sidecar.post("/records", &change().body())];
    assert_eq!(answers.each_ref().map(|answer| answer.status), [503, 503], "{answers:?}");
    kdc.restart();
    wait_until("the KDC is used again", Duration::from_secs(30), || sidecar.readyz().0 == 200);
    sidecar.apply_all(&change());
    assert_eq!(named.answer("www.example.test", "A"), ["192.0.2.1"]);
}

fn change() -> Changes {
    Changes::new().create(&Endpoint::a("www.example.test", &["192.0.2.1"]))
}
