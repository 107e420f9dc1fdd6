//! Every source of a Kerberos credential.

use crate::support::{Changes, Endpoint, Kdc, Named, Settings};

/// Applies one change and finds it in DNS.
fn writes(settings: &Settings, named: &Named) {
    let sidecar = settings.start();
    sidecar.apply_all(&Changes::new().create(&Endpoint::a("www.example.test", &["192.0.2.1"])));
    assert_eq!(named.answer("www.example.test", "A"), ["192.0.2.1"]);
    assert_eq!(named.updates()[0].key.as_deref(), Some("externaldns@EXAMPLE.TEST"));
}

#[test]
fn a_keytab_is_enough_to_write() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    writes(&Settings::keytab(&kdc, &named, &["example.test"]), &named);
}
