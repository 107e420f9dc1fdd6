//! The ten types of ExternalDNS, from adjust to deletion.

use crate::example;
use crate::support::{Changes, Endpoint, Kdc, Named, Settings, Sidecar, Zone};

/// A record set before and after, and what `dig` says then.
struct Case {
    name: &'static str,
    record_type: &'static str,
    before: (&'static [&'static str], &'static [&'static str]),
    after: (&'static [&'static str], &'static [&'static str]),
}

impl Case {
    fn endpoint(&self, targets: &[&str], ttl: u32) -> Endpoint {
        Endpoint::new(self.name, self.record_type, targets).ttl(ttl)
    }

    /// The record set is what was asked for: in DNS, and as `GET /records` lists it.
    fn is_stored(&self, sidecar: &Sidecar, named: &Named, desired: &Endpoint, dig: &[&str]) {
        assert_eq!(named.answer(self.name, self.record_type), dig, "{} in DNS", self.record_type);
        let adjusted = sidecar.adjust(std::slice::from_ref(desired)).pop().expect("not dropped");
        let listed = sidecar.record(self.name, self.record_type).expect("listed");
        for field in ["dnsName", "recordType", "targets", "recordTTL"] {
            assert_eq!(listed[field], adjusted[field], "ExternalDNS would see another {field}");
        }
        let registry = desired.registry_txt();
        assert_eq!(sidecar.targets(&registry.name, "TXT"), Some(registry.targets));
    }

    fn lives(&self, sidecar: &Sidecar, named: &Named) {
        let [old, new] = [self.endpoint(self.before.0, 300), self.endpoint(self.after.0, 60)];
        sidecar.apply_all(&Changes::new().create(&old));
        self.is_stored(sidecar, named, &old, self.before.1);
        sidecar.apply_all(&Changes::new().update(&old, &new));
        self.is_stored(sidecar, named, &new, self.after.1);
        sidecar.apply_all(&Changes::new().delete(&new));
        assert!(named.answer(self.name, self.record_type).is_empty(), "{} is still there", self.record_type);
        assert_eq!(sidecar.records().len(), 0, "{} leaves something behind", self.record_type);
        assert_eq!(named.changing_updates().len(), 3, "one message for each step");
    }
}

fn lives(case: &Case) {
    let (_kdc, named, sidecar) = bare();
    case.lives(&sidecar, &named);
}

/// As [`example`], with zones that hold nothing but their own infrastructure.
fn bare() -> (Kdc, Named, Sidecar) {
    let kdc = Kdc::start();
    let zones = ["example.test", "2.0.192.in-addr.arpa"];
    let named =
        zones.map(Zone::granted).into_iter().fold(Named::options().gss(&kdc), |all, zone| all.zone(zone)).start();
    let sidecar = Settings::keytab(&kdc, &named, &zones).start();
    (kdc, named, sidecar)
}

#[test]
fn an_a_record_lives() {
    lives(&Case {
        name: "www.example.test",
        record_type: "A",
        before: (&["192.0.2.1"], &["192.0.2.1"]),
        after: (&["192.0.2.3", "192.0.2.2"], &["192.0.2.2", "192.0.2.3"]),
    });
}

#[test]
fn an_aaaa_record_lives() {
    lives(&Case {
        name: "www.example.test",
        record_type: "AAAA",
        before: (&["2001:DB8:0:0::1"], &["2001:db8::1"]),
        after: (&["2001:db8::2", "::ffff:192.0.2.1"], &["2001:db8::2", "::ffff:192.0.2.1"]),
    });
}

#[test]
fn a_cname_record_lives() {
    lives(&Case {
        name: "alias.example.test",
        record_type: "CNAME",
        before: (&["Target.Example.COM."], &["target.example.com."]),
        after: (&["other.example.com"], &["other.example.com."]),
    });
}

#[test]
fn a_txt_record_lives() {
    lives(&Case {
        name: "text.example.test",
        record_type: "TXT",
        before: (
            &["v=spf1 include:example.com -all; \\ \"quoted\""],
            &[r#""v=spf1 include:example.com -all; \\ \"quoted\"""#],
        ),
        after: (&["first text", "second; text"], &["\"first text\"", "\"second; text\""]),
    });
}

/// As deploy/acme.md has it: for a name and its wildcard, two values at one name that come and go one by one.
#[test]
fn two_challenges_at_one_name_come_and_go_without_each_other() {
    let (_kdc, named, sidecar) = bare();
    let challenge = |tokens: &[&str]| Endpoint::new("_acme-challenge.www.example.test", "TXT", tokens).ttl(60);
    let [one, both, other] = [challenge(&["first"]), challenge(&["first", "second"]), challenge(&["second"])];
    let held = || named.answer("_acme-challenge.www.example.test", "TXT");
    sidecar.apply_all(&Changes::new().create(&one));
    assert_eq!(held(), ["\"first\""]);
    sidecar.apply_all(&Changes::new().update(&one, &both));
    assert_eq!(held(), ["\"first\"", "\"second\""]);
    let listed = sidecar.targets("_acme-challenge.www.example.test", "TXT");
    assert_eq!(listed, Some(vec!["first".to_owned(), "second".to_owned()]));
    sidecar.apply_all(&Changes::new().update(&both, &other));
    assert_eq!(held(), ["\"second\""]);
    sidecar.apply_all(&Changes::new().delete(&other));
    assert!(held().is_empty() && sidecar.records().is_empty());
}

#[test]
fn an_ns_record_lives() {
    lives(&Case {
        name: "sub.example.test",
        record_type: "NS",
        before: (&["ns.example.com"], &["ns.example.com."]),
        after: (&["ns2.example.com.", "ns1.example.com"], &["ns1.example.com.", "ns2.example.com."]),
    });
}

#[test]
fn a_ptr_record_lives() {
    lives(&Case {
        name: "1.2.0.192.in-addr.arpa",
        record_type: "PTR",
        before: (&["www.example.test"], &["www.example.test."]),
        after: (&["mail.example.test"], &["mail.example.test."]),
    });
}

#[test]
fn an_mx_record_lives() {
    lives(&Case {
        name: "mail.example.test",
        record_type: "MX",
        before: (&["010 MX.example.com"], &["10 mx.example.com."]),
        after: (&["20 mx2.example.com.", "10 mx1.example.com."], &["10 mx1.example.com.", "20 mx2.example.com."]),
    });
}

#[test]
fn an_srv_record_lives() {
    lives(&Case {
        name: "_sip._tcp.example.test",
        record_type: "SRV",
        before: (&["10 5 5060 sip.example.com."], &["10 5 5060 sip.example.com."]),
        after: (&["0 0 5061 sip2.example.com."], &["0 0 5061 sip2.example.com."]),
    });
}

#[test]
fn a_naptr_record_lives() {
    lives(&Case {
        name: "enum.example.test",
        record_type: "NAPTR",
        before: (
            &[r#"100 10 "u" "E2U+sip" "!^.*$!sip:Info@example.com!" ."#],
            &[r#"100 10 "u" "E2U+sip" "!^.*$!sip:Info@example.com!" ."#],
        ),
        after: (&[r#"50 0 S SIP+D2U "" _sip._udp.example.com."#], &[r#"50 0 "S" "SIP+D2U" "" _sip._udp.example.com."#]),
    });
}

#[test]
fn a_dname_record_lives() {
    lives(&Case {
        name: "moved.example.test",
        record_type: "DNAME",
        before: (&["old.example.com"], &["old.example.com."]),
        after: (&["new.example.com."], &["new.example.com."]),
    });
}

#[test]
fn a_long_text_is_one_target_however_it_is_split() {
    let (_kdc, named, sidecar) = example();
    let text = format!("v=DKIM1; k=rsa; p={}", "A".repeat(700));
    sidecar.apply_all(&Changes::new().create(&Endpoint::new("dkim.example.test", "TXT", &[&text])));
    let answer = named.answer("dkim.example.test", "TXT").concat();
    assert_eq!(answer.replace("\" \"", ""), format!("\"{text}\""));
    assert_eq!(sidecar.targets("dkim.example.test", "TXT"), Some(vec![text]));
}
