//! Which rights to the directory an account needs.

use super::{ALLOW_TRANSFER, ZONES, every_type_lives_and_goes, host};
use crate::support::{Backend, Changes, Endpoint, Samba};

fn other(n: usize) -> Endpoint {
    Endpoint::a(&host(n).name, &["192.0.2.99"])
}

/// Samba's module writes only the last name of a message as the user who sent it; the others are the system's.
#[test]
fn a_plain_account_on_bind9_dlz_may_change_what_it_has_created_once_the_zone_grants_it() {
    let samba = Samba::start_with(Backend::Bind9Dlz, ALLOW_TRANSFER);
    let settings = samba.settings_of("extdns2", &ZONES).set("RFC2136_TRANSFER_UNSIGNED", "true");
    let sidecar = settings.start();
    sidecar.apply_all(&Changes::new().create(&host(1)).create(&host(2)));
    let change = Changes::new().update(&host(1), &other(1));
    assert_eq!(sidecar.apply(&change), 500);
    assert_eq!(sidecar.rejected(), ["a-h1.second.test TXT refused_by_policy", "h1.second.test A refused_by_policy"]);
    assert_eq!(samba.held("h1.second.test", "A"), ["192.0.2.1"]);

    for zone in ZONES {
        samba.grant(zone, "extdns2");
    }
    // It holds at once, without another ticket, and for names that were there before.
    sidecar.apply_all(&change);
    assert_eq!(samba.held("h1.second.test", "A"), ["192.0.2.99"]);
    for n in [1, 2] {
        let is = if n == 1 { other(n) } else { host(n) };
        sidecar.apply_all(&Changes::new().delete(&is));
        assert_eq!(samba.held(&host(n).name, "A"), [""; 0]);
    }
    assert_eq!(sidecar.sigterm().0, Some(0));
    for (profile, read) in [("auto", "auto"), ("samba", "none")] {
        let settings = settings.clone().set("RFC2136_SERVER_PROFILE", profile).set("RFC2136_READ", read);
        every_type_lives_and_goes(&samba, &settings);
    }
}
