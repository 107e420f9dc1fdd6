//! `check` inside the image's root names what is wrong.

use serde_json::Value;

use crate::root::{PROGRAM, Root, alone};
use crate::support::{Kdc, Named, Settings, Zone, find};

const ZONE: &str = "example.test";

/// What stopped `check`, each with its cause.
fn failures(settings: &Settings) -> Vec<(String, String)> {
    let (code, output) = settings.output(&["check", "--output=json"]);
    assert_eq!(code, Some(1), "{output}");
    let report: Value = serde_json::from_str(&output).unwrap();
    let failed = report["steps"].as_array().unwrap().iter().filter(|step| step["result"] == "failed");
    let word = |step: &Value, name: &str| step[name].as_str().unwrap_or_default().to_owned();
    failed
        .map(|step| {
            assert!(!word(step, "remedy").is_empty(), "{step}");
            (word(step, "step"), word(step, "cause"))
        })
        .collect()
}

fn fails(settings: &Settings, step: &str, cause: &str) {
    let found = failures(settings);
    assert!(found.contains(&(step.to_owned(), cause.to_owned())), "{step}, {cause}: {found:?}");
    assert!(found.iter().all(|(_, other)| other == cause), "{step}, {cause}: {found:?}");
}

#[test]
fn what_is_wrong_with_kerberos_is_named() {
    alone(|| {
        let (mut kdc, root) = (Kdc::start(), Root::new());
        let named = Named::example(&kdc);
        let good = root.settings(&kdc, &named, &[ZONE]);
        let reader = root.keytab(&kdc, "reader");
        kdc.rotate_key("reader");
        let old = good.clone().set("RFC2136_KERBEROS_USERNAME", "reader").set("RFC2136_KERBEROS_KEYTAB", &reader);
        fails(&old, "login", "preauthentication_failed");
        let spn = named.server().replace("ns1.", "nowhere.");
        fails(&good.clone().servers(&[&spn], &[ZONE]), "ticket", "spn_unknown");
        // Its keytab has no key of that realm.
        fails(&good.clone().set("RFC2136_KERBEROS_REALM", "WRONG.TEST"), "keytab", "keytab_lacks_principal");
        kdc.restart_with_clock("-10m");
        let found = failures(&good);
        assert_eq!(found[0], ("clock".to_owned(), "clock_skew".to_owned()), "{found:?}");
        kdc.kill();
        fails(&good, "kdc", "no_kdc");
    });
}

#[test]
fn what_is_wrong_with_the_name_server_is_named() {
    alone(|| {
        let (kdc, root) = (Kdc::start(), Root::new());
        let mut named = Named::options()
            .gss(&kdc)
            .zone(Zone::granted(ZONE))
            .zone(Zone::new("frozen.test"))
            .zone(Zone::granted("hidden.test").allow_transfer("none;"))
            .start();
        fails(&root.settings(&kdc, &named, &["frozen.test"]), "update", "refused_by_policy");
        fails(&root.settings(&kdc, &named, &["hidden.test"]), "transfer", "transfer_refused");
        fails(&root.settings(&kdc, &named, &["elsewhere.test"]), "zone", "not_authoritative");
        let good = root.settings(&kdc, &named, &[ZONE]);
        named.kill();
        fails(&good, "server", "server_unreachable");
    });
}

#[test]
fn a_root_without_a_place_to_write_to_is_named() {
    alone(|| {
        let (kdc, root) = (Kdc::start(), Root::new().without_tmpfs());
        let named = Named::example(&kdc);
        for command in ["serve", "check"] {
            let words = [root.arguments(), vec![PROGRAM.to_owned(), command.to_owned()]].concat();
            let settings = root.settings(&kdc, &named, &[ZONE]).starter(&find("setpriv"), &words);
            let (code, log) = settings.run();
            assert_eq!(code, Some(78), "{log}");
            assert!(log.contains("no krb5.conf can be written below /tmp") && log.contains("mount a tmpfs"), "{log}");
        }
        let output = root.run(&[PROGRAM, "--version"]);
        assert!(output.status.success(), "what writes nothing runs");
    });
}
