//! Knot and PowerDNS, with a shared key.

use crate::support::{Changes, Endpoint, Other, Program, Sidecar};

/// Name, type, and targets before and after with what `dig` shows of them.
type Case = (&'static str, &'static str, [(&'static [&'static str], &'static [&'static str]); 2]);

const CASES: [Case; 10] = [
    (
        "a.example.test",
        "A",
        [(&["192.0.2.1"], &["192.0.2.1"]), (&["192.0.2.1", "192.0.2.2"], &["192.0.2.1", "192.0.2.2"])],
    ),
    ("a.example.test", "AAAA", [(&["2001:db8::1"], &["2001:db8::1"]), (&["2001:db8::2"], &["2001:db8::2"])]),
    (
        "alias.example.test",
        "CNAME",
        [(&["x.example.com"], &["x.example.com."]), (&["y.example.com"], &["y.example.com."])],
    ),
    ("text.example.test", "TXT", [(&["one", "two"], &["\"one\"", "\"two\""]), (&["two"], &["\"two\""])]),
    (
        "mx.example.test",
        "MX",
        [(&["10 m.example.com"], &["10 m.example.com."]), (&["20 m.example.com"], &["20 m.example.com."])],
    ),
    (
        "_s._tcp.example.test",
        "SRV",
        [
            (&["0 5 80 s.example.com."], &["0 5 80 s.example.com."]),
            (&["0 5 81 s.example.com."], &["0 5 81 s.example.com."]),
        ],
    ),
    ("sub.example.test", "NS", [(&["n.example.com"], &["n.example.com."]), (&["o.example.com"], &["o.example.com."])]),
    ("p.example.test", "PTR", [(&["t.example.com"], &["t.example.com."]), (&["u.example.com"], &["u.example.com."])]),
    (
        "caa.example.test",
        "CAA",
        [
            (&["0 issue \"ca.example.com\""], &["0 issue \"ca.example.com\""]),
            (&["0 issue \"other.example.com\""], &["0 issue \"other.example.com\""]),
        ],
    ),
    ("*.wild.example.test", "A", [(&["192.0.2.7"], &["192.0.2.7"]), (&["192.0.2.8"], &["192.0.2.8"])]),
];
const PROGRAMS: [Program; 2] = [Program::Knot, Program::PowerDns];

fn endpoint(&(name, record_type, values): &Case, value: usize, ttl: u32) -> Endpoint {
    Endpoint::new(name, record_type, values[value].0).ttl(ttl)
}

fn all(change: impl Fn(Changes, &Case) -> Changes) -> Changes {
    CASES.iter().fold(Changes::new(), change)
}

/// DNS and the list hold exactly these, each with this TTL; and the list is what adjust makes of what is wanted.
fn shows(other: &Other, sidecar: &Sidecar, value: Option<usize>, ttl: u32) {
    for case @ (name, record_type, values) in &CASES {
        let expected = value.map_or(&[][..], |value| values[value].1);
        let expected: Vec<String> = expected.iter().map(|rdata| format!("{ttl} {rdata}")).collect();
        assert_eq!(other.held(name, record_type), expected, "{name} {record_type}: {}", other.output());
        let registry = endpoint(case, 0, 0).registry_txt();
        assert_eq!(other.held(&registry.name, "TXT").len(), usize::from(value.is_some()), "{}", registry.name);
    }
    let wanted: Vec<Endpoint> =
        value.into_iter().flat_map(|value| CASES.iter().map(move |c| endpoint(c, value, ttl))).collect();
    let key = |json: &serde_json::Value| {
        ["dnsName", "recordType", "targets", "recordTTL"].map(|field| json[field].to_string())
    };
    let mut listed: Vec<_> = sidecar.records().iter().map(key).collect();
    listed.retain(|[_, _, targets, _]| !targets.contains("heritage="));
    listed.sort();
    let mut adjusted: Vec<_> = sidecar.adjust(&wanted).iter().map(key).collect();
    adjusted.sort();
    assert_eq!(listed, adjusted, "the second plan would not be empty");
}

/// NOERROR proves nothing here: Knot says it, and keeps the TTL of RDATA that is there.
#[test]
fn every_type_lives_with_its_ttl_on_knot_and_powerdns() {
    for program in PROGRAMS {
        for profile in ["auto", "bind"] {
            let other = Other::start(program);
            let sidecar = other.settings().set("RFC2136_SERVER_PROFILE", profile).start();
            sidecar.apply_all(&all(|changes, case| changes.create(&endpoint(case, 0, 300))));
            shows(&other, &sidecar, Some(0), 300);
            // The TTL alone, then value and TTL at once, where one of several targets may stay.
            let only_ttl = all(|changes, case| changes.update(&endpoint(case, 0, 300), &endpoint(case, 0, 60)));
            sidecar.apply_all(&only_ttl);
            shows(&other, &sidecar, Some(0), 60);
            sidecar.apply_all(&all(|changes, case| changes.update(&endpoint(case, 0, 60), &endpoint(case, 1, 120))));
            shows(&other, &sidecar, Some(1), 120);
            sidecar.apply_all(&all(|changes, case| changes.delete(&endpoint(case, 1, 120))));
            shows(&other, &sidecar, None, 0);
            let kind = if program == Program::Knot { "ixfr" } else { "axfr" };
            let read = format!("zone=\"example.test\",kind=\"{kind}\"");
            assert!(sidecar.metric("external_dns_rfc2136_reads_total", &read) > 1.0, "{program:?} is read by {kind}");
        }
    }
}

#[test]
fn a_smallest_ttl_that_came_later_is_taken_over_on_knot_and_powerdns() {
    for program in PROGRAMS {
        let other = Other::start(program);
        let host = Endpoint::a("h.example.test", &["192.0.2.1"]);
        other.settings().start().apply_all(&Changes::new().create(&host.clone().ttl(60)));
        let slower = other.settings().set("RFC2136_MIN_TTL", "600").start();
        slower.records();
        slower.apply_all(&Changes::new().update(&host.clone().ttl(60), &host.clone().ttl(600)));
        assert_eq!(other.held("h.example.test", "A"), ["600 192.0.2.1"], "{program:?}");
        assert_eq!(other.held("a-h.example.test", "TXT").len(), 1, "{program:?}");
    }
}

#[test]
fn a_type_change_and_a_foreign_record_in_the_way_are_as_on_bind() {
    for program in PROGRAMS {
        let other = Other::start(program);
        let sidecar = other.settings().start();
        let (address, alias) = (
            Endpoint::a("h.example.test", &["192.0.2.1"]),
            Endpoint::new("h.example.test", "CNAME", &["x.example.com"]),
        );
        sidecar.apply_all(&Changes::new().create(&address));
        sidecar.apply_all(&Changes::new().delete(&address).create(&alias));
        assert_eq!(other.held("h.example.test", "CNAME"), ["300 x.example.com."], "{program:?}");
        sidecar.apply_all(&Changes::new().delete(&alias).create(&address));
        assert_eq!(other.held("h.example.test", "A"), ["300 192.0.2.1"], "{program:?}");
        // Another owner's sidecar has made a record since this one has read the zone.
        let foreign = Endpoint::a("f.example.test", &["192.0.2.9"]).owner("other");
        other.settings().start().apply_all(&Changes::new().create(&foreign));
        let ours = Changes::new()
            .create(&Endpoint::a("f.example.test", &["192.0.2.1"]))
            .create(&Endpoint::a("g.example.test", &["192.0.2.1"]));
        assert_eq!(sidecar.apply(&ours), 500, "{program:?}");
        assert_eq!(other.held("f.example.test", "A"), ["300 192.0.2.9"], "{program:?}");
        assert_eq!(other.held("g.example.test", "A"), ["300 192.0.2.1"], "{program:?}");
    }
}
