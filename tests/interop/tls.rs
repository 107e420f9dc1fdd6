//! DNS over TLS together with GSS-TSIG.

use crate::support::{Changes, Endpoint, Kdc, Named, NamedOptions, Settings, Zone};

const ZONE: &str = "example.test";

fn options(kdc: &Kdc) -> NamedOptions {
    Named::options().gss(kdc).zone(Zone::granted(ZONE))
}

fn settings(kdc: &Kdc, named: &Named) -> Settings {
    Settings::keytab(kdc, named, &[ZONE])
        .servers(&[&named.tls_server()], &[ZONE])
        .set("RFC2136_USE_TLS", "true")
        .set("RFC2136_TLS_CA", named.tls_ca().to_str().unwrap())
}

#[test]
fn negotiation_updates_and_transfers_go_over_tls() {
    let kdc = Kdc::start();
    let named = options(&kdc).tls().start();
    let sidecar = settings(&kdc, &named).start();
    assert_eq!(sidecar.records().len(), 0);
    for n in 0..5 {
        sidecar.apply_all(&Changes::new().create(&Endpoint::a(&format!("h{n}.{ZONE}"), &["192.0.2.1"])));
    }
    assert_eq!((sidecar.records().len(), named.negotiations()), (10, 1));
}

#[test]
fn a_client_certificate_is_shown_where_the_server_wants_one() {
    let kdc = Kdc::start();
    let named = options(&kdc).mutual_tls().start();
    let client = |name| named.tls_ca().with_file_name(name).to_str().unwrap().to_owned();
    let without = settings(&kdc, &named);
    let answer = without.start().get("/records");
    assert_eq!((answer.status, &answer.json()["cause"]), (503, &"server_unreachable".into()));
    let with = without
        .set("RFC2136_TLS_CLIENT_CERT", &client("client.pem"))
        .set("RFC2136_TLS_CLIENT_CERT_KEY", &client("client.key"));
    assert_eq!(with.start().records().len(), 0);
}

#[test]
fn a_server_with_the_certificate_of_another_is_not_talked_to() {
    let kdc = Kdc::start();
    let named = options(&kdc).tls().start();
    let other = named.tls_server().replace("ns1.", "ns2.");
    let settings = settings(&kdc, &named).servers(&[&other], &[ZONE]);
    let answer = settings.start().get("/records");
    assert_eq!((answer.status, answer.body.contains("TLS")), (503, true), "{answer:?}");
    assert_eq!(named.negotiations(), 0);
}
