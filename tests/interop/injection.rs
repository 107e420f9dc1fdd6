//! Text from Kubernetes objects is never read as a zone file.

use std::collections::BTreeSet;

use crate::support::{Changes, Endpoint, Kdc, Named, Settings, Sidecar, Zone};

/// What a zone-file reader would take for more than a word.
const STRINGS: [&str; 14] = [
    "; comment",
    "x.example.test. 0 A 203.0.113.66 ;",
    "$INCLUDE /etc/passwd",
    "$GENERATE 1-9 evil$ A 203.0.113.66",
    "$ORIGIN evil.test.",
    "a\nevil.example.test. 60 IN A 203.0.113.66\n",
    "a\r\nupdate add evil.example.test 60 A 203.0.113.66\r\nsend\r\n",
    "a\0b",
    "a\\010evil.example.test. 60 IN A 203.0.113.66",
    "a\\\"b\\",
    "\"unbalanced",
    "( 60 IN A 203.0.113.66",
    "\\000\\255\\",
    "@",
];

fn sidecar(kdc: &Kdc) -> (Named, Sidecar) {
    // Otherwise BIND takes only host names for A records.
    let zone = Zone::granted("example.test")
        .option("check-names ignore;")
        .records("victim IN A 192.0.2.50\nvictim IN TXT \"untouched\"");
    let named = Named::options().gss(kdc).zone(zone).start();
    let sidecar = Settings::keytab(kdc, &named, &["example.test"]).start();
    (named, sidecar)
}

/// Records that are new since `before`; none of those may be gone.
fn new_records(named: &Named, before: &[String], what: &str) -> Vec<String> {
    let now = named.axfr("example.test");
    for record in before {
        assert!(now.contains(record), "{what:?} removed {record}");
    }
    now.into_iter().filter(|record| !before.contains(record)).collect()
}

#[test]
fn hostile_text_in_a_txt_is_that_text_and_nothing_else() {
    let kdc = Kdc::start();
    let (named, sidecar) = sidecar(&kdc);
    let before = named.axfr("example.test");
    for text in STRINGS {
        let endpoint = Endpoint::new("text.example.test", "TXT", &[text]);
        let adjusted = sidecar.adjust(std::slice::from_ref(&endpoint));
        sidecar.apply_all(&Changes::new().create(&endpoint));
        let new = new_records(&named, &before, text);
        let owners: Vec<&str> = new.iter().map(|record| record.split(' ').next().unwrap()).collect();
        assert_eq!(owners, ["text.example.test.", "txt-text.example.test."], "{text:?}: {new:?}");
        assert_eq!(sidecar.record("text.example.test", "TXT").unwrap()["targets"], adjusted[0]["targets"], "{text:?}");
        sidecar.apply_all(&Changes::new().delete(&endpoint));
        assert!(new_records(&named, &before, text).is_empty(), "{text:?} stays");
    }
}

#[test]
fn hostile_text_in_a_target_never_becomes_a_record() {
    let kdc = Kdc::start();
    let (named, sidecar) = sidecar(&kdc);
    let before = named.axfr("example.test");
    for text in STRINGS {
        for (record_type, target) in [
            ("A", format!("192.0.2.1 {text}")),
            ("CNAME", text.to_owned()),
            ("CNAME", format!("host.example.com. {text}")),
            ("MX", format!("10 mail.example.com. {text}")),
            ("SRV", format!("0 0 443 web.example.com. {text}")),
            ("NAPTR", format!("1 1 \"u\" \"x\" \"{text}\" .")),
            ("NS", text.to_owned()),
        ] {
            let endpoint = Endpoint::new("target.example.test", record_type, &[&target]);
            sidecar.adjust(std::slice::from_ref(&endpoint));
            let status = sidecar.apply(&Changes::new().create(&endpoint));
            let new = new_records(&named, &before, &target);
            let own =
                ["target.example.test. 300 ", &format!("{}-target.example.test. 300 TXT ", record_type.to_lowercase())];
            assert!(
                new.iter().all(|record| own.iter().any(|own| record.starts_with(own))),
                "{record_type} {target:?}: {new:?}"
            );
            assert!(!new.iter().any(|record| record.contains(" A 203.0.113.66")), "{record_type} {target:?}: {new:?}");
            assert_eq!(new.len(), if status == 204 { 2 } else { 0 }, "{record_type} {target:?}: {status} {new:?}");
            if status == 204 {
                sidecar.apply_all(&Changes::new().delete(&endpoint));
            }
        }
    }
}

#[test]
fn hostile_text_in_a_name_is_a_name_or_refused() {
    let kdc = Kdc::start();
    let (named, sidecar) = sidecar(&kdc);
    let before = named.axfr("example.test");
    for text in STRINGS {
        for name in
            [format!("{text}.example.test"), format!("victim.example.test. 0 A 203.0.113.66 ;{text}.example.test")]
        {
            let endpoint = Endpoint::a(&name, &["192.0.2.1"]).registry_named("a-hostile.example.test");
            let adjusted = sidecar.adjust(std::slice::from_ref(&endpoint));
            let status = sidecar.apply(&Changes::new().create(&endpoint));
            assert!(status == 204 || status == 500, "{name:?}: {status}");
            let new = new_records(&named, &before, &name);
            let owners: BTreeSet<&str> = new.iter().map(|record| record.split(' ').next().unwrap()).collect();
            assert!(owners.len() <= 2, "{name:?}: {new:?}");
            assert_eq!(status == 204, !new.is_empty(), "{name:?}: {new:?}");
            assert!(
                !new.iter().any(|record| record.contains("203.0.113.66") && record.contains(" A 203")),
                "{name:?}: {new:?}"
            );
            assert_eq!(adjusted.is_empty(), status == 500, "adjust and apply agree about {name:?}");
            if status == 204 {
                sidecar.apply_all(&Changes::new().delete(&endpoint));
            }
        }
    }
    assert!(new_records(&named, &before, "all").is_empty());
}
