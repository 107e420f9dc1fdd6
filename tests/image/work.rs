//! The sidecar inside the image's root against a real KDC and a real BIND.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use crate::root::{Root, USER, alone};
use crate::support::{Changes, Endpoint, Kdc, Named, run, wait_until};

#[test]
fn records_are_created_listed_changed_and_deleted() {
    alone(|| {
        let (kdc, root) = (Kdc::start(), Root::new());
        let named = Named::example(&kdc);
        let sidecar = root.settings(&kdc, &named, &["example.test"]).start();
        let [old, new] = ["192.0.2.1", "192.0.2.2"].map(|address| Endpoint::a("www.example.test", &[address]));
        let mail = Endpoint::new("example.test", "MX", &["10 mail.example.com"]).registry_named("mx-ext.example.test");
        assert!(sidecar.records().is_empty());
        sidecar.apply_all(&Changes::new().create(&old).create(&mail));
        assert_eq!(named.answer("www.example.test", "A"), ["192.0.2.1"]);
        assert_eq!(sidecar.targets("www.example.test", "A"), Some(vec!["192.0.2.1".to_owned()]));
        sidecar.apply_all(&Changes::new().update(&old, &new));
        assert_eq!(named.answer("www.example.test", "A"), ["192.0.2.2"]);
        sidecar.apply_all(&Changes::new().delete(&new).delete(&mail));
        assert!(sidecar.records().is_empty());
        assert_eq!(sidecar.becomes_ready().admin("/healthz").status, 200);
        assert_eq!(named.updates()[0].key.as_deref(), Some("externaldns@EXAMPLE.TEST"));
    });
}

#[test]
fn check_and_config_work_inside() {
    alone(|| {
        let (kdc, root) = (Kdc::start(), Root::new());
        let named = Named::example(&kdc);
        let settings = root.settings(&kdc, &named, &["example.test"]);
        let (code, text) = settings.output(&["check"]);
        assert!(code == Some(0) && text.ends_with("0 warnings, 0 failed, 0 skipped\n"), "{text}");
        let (code, text) = settings.output(&["config"]);
        assert!(code == Some(0) && text.contains("RFC2136_ZONE=example.test"), "{text}");
    });
}

#[test]
fn as_the_first_process_it_runs_without_rights_and_ends_when_asked() {
    alone(|| {
        let (kdc, root) = (Kdc::start(), Root::new());
        let named = Named::example(&kdc);
        let mut sidecar = root.settings(&kdc, &named, &["example.test"]).start();
        let process = sidecar.children()[0];
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let field = |name: &str| {
            let value = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            value.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(field("NSpid:").last().unwrap(), "1");
        assert_eq!(field("Uid:"), vec![USER.to_string(); 4]);
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
            assert_eq!(field(set), ["0000000000000000"], "{set}");
        }
        sidecar.records();
        run(crate::root::tool("sh").args(["-c", "kill -TERM $0", &process.to_string()]));
        assert_eq!(sidecar.wait(Duration::from_secs(20)), Some(0), "{}", sidecar.log());
    });
}

#[test]
fn what_it_loads_at_run_time_is_in_the_image() {
    alone(|| {
        let (kdc, root) = (Kdc::start(), Root::new());
        let named = Named::example(&kdc);
        let sidecar = root.settings(&kdc, &named, &["example.test"]).start();
        sidecar.records();
        let loaded = || {
            let maps = fs::read_to_string(format!("/proc/{}/maps", sidecar.children()[0])).unwrap();
            let names = maps.lines().filter_map(|line| line.rsplit_once('/')).map(|(_, name)| name.to_owned());
            names.collect::<BTreeSet<_>>()
        };
        // A plugin of the Kerberos library, found by no linker, and what it needs in turn.
        for library in ["spake.so", "libcrypto.so.3"] {
            wait_until(library, Duration::from_secs(5), || loaded().contains(library));
        }
    });
}
