//! Shared TSIG keys, and no signature at all.

use crate::support::{Changes, Endpoint, Named, Settings, Zone};

const SECRET: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// A server whose zone only this key may change and transfer.
fn keyed(algorithm: &str) -> Named {
    let acl = "key transfer-key;";
    let zone = Zone::new("example.test").allow_update(acl).allow_transfer(acl);
    Named::options().tsig_key("transfer-key", algorithm, SECRET).zone(zone).start()
}

fn settings(named: &Named) -> Settings {
    Settings::new()
        .servers(&[&named.server()], &["example.test"])
        .set("RFC2136_TSIG_KEYNAME", "transfer-key")
        .set("RFC2136_TSIG_SECRET", SECRET)
}

fn lives(settings: &Settings, named: &Named) {
    let sidecar = settings.start();
    let [old, new] = ["192.0.2.1", "192.0.2.2"].map(|address| Endpoint::a("www.example.test", &[address]));
    sidecar.apply_all(&Changes::new().create(&old));
    assert_eq!(sidecar.targets("www.example.test", "A"), Some(vec!["192.0.2.1".to_owned()]));
    sidecar.apply_all(&Changes::new().update(&old, &new));
    assert_eq!(named.answer("www.example.test", "A"), ["192.0.2.2"]);
    sidecar.apply_all(&Changes::new().delete(&new));
    assert!(sidecar.records().is_empty());
}

#[test]
fn a_shared_key_of_every_algorithm_reads_and_writes() {
    for algorithm in ["hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"] {
        let named = keyed(algorithm);
        lives(&settings(&named).set("RFC2136_TSIG_SECRET_ALG", algorithm), &named);
        let keys: Vec<_> = named.updates().into_iter().map(|update| update.key).collect();
        assert_eq!(keys, vec![Some("transfer-key".to_owned()); 3], "{algorithm}");
    }
}

#[test]
fn a_shared_key_is_of_hmac_sha256_unless_told_otherwise() {
    let named = keyed("hmac-sha256");
    lives(&settings(&named), &named);
}

#[test]
fn a_secret_comes_from_a_file_too() {
    let named = keyed("hmac-sha256");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    let settings = settings(&named).unset("RFC2136_TSIG_SECRET");
    lives(&settings.set("RFC2136_TSIG_SECRET_FILE", file.to_str().unwrap()), &named);
}

#[test]
fn a_wrong_secret_is_an_error_that_names_the_key() {
    let named = keyed("hmac-sha256");
    let sidecar = settings(&named).set("RFC2136_TSIG_SECRET", "d3Jvbmcgc2VjcmV0IHdyb25nIHNlY3JldA==").start();
    let change = Changes::new().create(&Endpoint::a("www.example.test", &["192.0.2.1"]));
    for answer in [sidecar.get("/records"), sidecar.post("/records", &change.body())] {
        assert!((500..=510).contains(&answer.status), "{answer:?}");
        assert!(answer.body.contains("tsig_rejected"), "{answer:?}");
    }
    sidecar.is_unready_for("tsig_rejected");
    assert!(named.answer("www.example.test", "A").is_empty());
}

#[test]
fn without_signatures_an_open_zone_is_read_and_written() {
    let named = Named::options().zone(Zone::new("example.test").allow_update("any;")).start();
    lives(&Settings::insecure(&named, &["example.test"]), &named);
    assert!(named.updates().iter().all(|update| update.key.is_none()));
}

#[test]
fn without_signatures_a_zone_that_wants_them_refuses_and_says_so() {
    let zone = Zone::new("example.test").policy("grant nobody zonesub ANY;");
    let named = Named::options().zone(zone).start();
    let sidecar = Settings::insecure(&named, &["example.test"]).start();
    let change = Changes::new().create(&Endpoint::a("www.example.test", &["192.0.2.1"]));
    assert_eq!(sidecar.apply(&change), 500);
    assert!(
        sidecar.rejected().contains(&"www.example.test A refused_by_policy".to_owned()),
        "{:?}",
        sidecar.rejected()
    );
}
