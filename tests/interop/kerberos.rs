//! KDCs that fail, and secrets that change.

use std::fs;
use std::os::unix::fs::symlink;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::support::{Changes, Directory, Endpoint, Kdc, Named, PASSWORD, Settings, Sidecar, Zone, wait_until};

const ZONE: &str = "example.test";

fn host(n: usize) -> Changes {
    Changes::new().create(&Endpoint::a(&format!("h{n}.{ZONE}"), &["192.0.2.1"]))
}

fn cause(sidecar: &Sidecar) -> String {
    sidecar.readyz().1["causes"][0]["cause"].as_str().unwrap_or_default().to_owned()
}

fn becomes_ready(sidecar: &Sidecar, limit: Duration) {
    wait_until("it is ready", limit, || sidecar.readyz().0 == 200);
}

/// Applies one change after another, a tenth of a second apart.
fn apply_for(sidecar: &Sidecar, first: usize, time: Duration) -> usize {
    let (start, mut n) = (Instant::now(), first);
    while start.elapsed() < time {
        sidecar.apply_all(&host(n));
        n += 1;
        sleep(Duration::from_millis(100));
    }
    n
}

#[test]
fn applies_go_on_while_the_kdc_is_away_and_the_context_lives() {
    let mut kdc = Kdc::start();
    let named = Named::example(&kdc);
    let sidecar = Settings::keytab(&kdc, &named, &[ZONE]).start();
    sidecar.apply_all(&host(0));
    kdc.kill();
    let n = apply_for(&sidecar, 1, Duration::from_secs(2));
    assert!(n > 5);
    assert_eq!(named.negotiations(), 1);
}

#[test]
fn a_silent_kdc_at_the_start_holds_up_neither_the_negotiation_nor_any_answer() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    kdc.stop();
    let sidecar = Settings::keytab(&kdc, &named, &[ZONE]).start();
    let fastest = (0..10).map(|_| sidecar.get("/").elapsed).min().unwrap();
    assert!(fastest < Duration::from_millis(50), "{fastest:?}");
    let deadline = Duration::from_secs(13);
    for answer in [sidecar.get("/records"), sidecar.post("/records", &host(0).body())] {
        assert!(answer.status == 503 && answer.elapsed < deadline, "{answer:?}");
        assert_eq!(answer.json()["cause"], "no_kdc");
    }
    assert_eq!((sidecar.admin("/healthz").status, cause(&sidecar).as_str()), (200, "no_kdc"));
    kdc.cont();
    becomes_ready(&sidecar, Duration::from_secs(30));
    sidecar.apply_all(&host(0));
}

#[test]
fn a_kdc_that_is_back_is_used_within_half_a_minute() {
    let mut kdc = Kdc::start();
    let named = Named::example(&kdc);
    let settings = Settings::keytab(&kdc, &named, &[ZONE]);
    kdc.kill();
    let sidecar = settings.start();
    wait_until("it says why", Duration::from_secs(20), || cause(&sidecar) == "no_kdc");
    kdc.restart();
    becomes_ready(&sidecar, Duration::from_secs(30));
}

#[test]
fn a_wrong_keytab_costs_three_requests_in_twenty_seconds_at_most() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let settings = Settings::keytab(&kdc, &named, &[ZONE]);
    kdc.rotate_key("externaldns");
    let before = kdc.as_requests();
    let sidecar = settings.start();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(20) {
        assert_eq!(sidecar.get("/records").status, 503);
        assert_eq!(sidecar.apply(&host(0)), 503);
        sleep(Duration::from_millis(200));
    }
    let requests = kdc.as_requests() - before;
    assert!((1..=3).contains(&requests), "{requests}");
    assert_eq!(cause(&sidecar), "preauthentication_failed");
}

#[test]
fn a_keytab_is_rotated_under_a_busy_sidecar_and_no_apply_fails() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let keytab = kdc.keytab("externaldns");
    let sidecar = Settings::keytab(&kdc, &named, &[ZONE]).start();
    let n = apply_for(&sidecar, 0, Duration::from_secs(1));
    kdc.rotate_key("externaldns");
    let n = apply_for(&sidecar, n, Duration::from_secs(1));
    let before = kdc.as_requests();
    kdc.write_keytab("externaldns", &keytab);
    let n = apply_for(&sidecar, n, Duration::from_secs(8));
    assert!(kdc.as_requests() > before, "the new key is used");
    assert!(n > 20);
    assert_eq!(sidecar.readyz().0, 200);
}

#[test]
fn a_changed_secret_is_used_within_forty_five_seconds_also_behind_the_links_of_kubernetes() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    // As a mounted secret: the file is a link through `..data`, which is swapped for another directory.
    let mount = Directory::new();
    for (version, password) in [("..1", "wrong"), ("..2", PASSWORD)] {
        fs::create_dir(mount.join(version)).unwrap();
        fs::write(mount.join(version).join("password"), password).unwrap();
    }
    symlink("..1", mount.join("..data")).unwrap();
    symlink("..data/password", mount.join("password")).unwrap();
    let file = mount.join("password");
    let settings = Settings::gss(&kdc, &named, &[ZONE]).set("RFC2136_KERBEROS_PASSWORD_FILE", file.to_str().unwrap());
    let sidecar = settings.start();
    wait_until("it says why", Duration::from_secs(20), || cause(&sidecar) == "preauthentication_failed");
    symlink("..2", mount.join("..data_tmp")).unwrap();
    fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
    becomes_ready(&sidecar, Duration::from_secs(45));
    sidecar.apply_all(&host(0));
}

#[test]
fn a_ticket_is_renewed_ahead_of_its_end_and_no_apply_fails() {
    let kdc = Kdc::start();
    let zone = Zone::new(ZONE).policy("grant shortlived@EXAMPLE.TEST zonesub ANY;");
    let named = Named::options().gss(&kdc).zone(zone).start();
    let keytab = kdc.keytab("shortlived");
    let sidecar = Settings::gss(&kdc, &named, &[ZONE])
        .set("RFC2136_KERBEROS_USERNAME", "shortlived")
        .set("RFC2136_KERBEROS_KEYTAB", keytab.to_str().unwrap())
        .start();
    becomes_ready(&sidecar, Duration::from_secs(20));
    let before = kdc.as_requests();
    // The ticket lives for 20 seconds.
    apply_for(&sidecar, 0, Duration::from_secs(25));
    assert!(kdc.as_requests() > before, "renewed");
    assert!(named.negotiations() > 1, "and the context with it");
    assert_eq!(sidecar.logged("expired"), 0, "{}", sidecar.log());
}
