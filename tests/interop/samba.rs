//! Samba AD as the server, with either of its DNS back ends.

mod ageing;
mod directory;
mod messages;
mod rights;
mod unread;
mod wildcards;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::{Backend, Changes, Endpoint, Samba, Settings, Sidecar, wait_until};

/// A record set as it is created and as it is updated: name, type, targets and what `dig` shows of them.
type Case = (&'static str, &'static str, [(&'static [&'static str], &'static [&'static str]); 2]);

const CASES: [Case; 11] = [
    (
        "addr.ad.test",
        "A",
        [(&["192.0.2.1"], &["192.0.2.1"]), (&["192.0.2.2", "192.0.2.3"], &["192.0.2.2", "192.0.2.3"])],
    ),
    ("addr.ad.test", "AAAA", [(&["2001:db8::1"], &["2001:db8::1"]), (&["2001:db8::2"], &["2001:db8::2"])]),
    (
        "alias.ad.test",
        "CNAME",
        [(&["addr.ad.test"], &["addr.ad.test."]), (&["www.example.com"], &["www.example.com."])],
    ),
    (
        "text.ad.test",
        "TXT",
        [(&["v=spf1 -all"], &["\"v=spf1 -all\""]), (&["one \"two\"", "three"], &["\"one \\\"two\\\"\"", "\"three\""])],
    ),
    (
        "mail.ad.test",
        "MX",
        [(&["10 addr.ad.test"], &["10 addr.ad.test."]), (&["20 addr.ad.test"], &["20 addr.ad.test."])],
    ),
    (
        "_sip._tcp.ad.test",
        "SRV",
        [
            (&["0 5 5060 addr.ad.test."], &["0 5 5060 addr.ad.test."]),
            (&["0 6 5061 addr.ad.test."], &["0 6 5061 addr.ad.test."]),
        ],
    ),
    ("child.ad.test", "NS", [(&["addr.ad.test"], &["addr.ad.test."]), (&["ns.example.com"], &["ns.example.com."])]),
    ("pointer.ad.test", "PTR", [(&["addr.ad.test"], &["addr.ad.test."]), (&["alias.ad.test"], &["alias.ad.test."])]),
    (
        "7.2.0.192.in-addr.arpa",
        "PTR",
        [(&["addr.ad.test"], &["addr.ad.test."]), (&["addr.second.test"], &["addr.second.test."])],
    ),
    ("addr.second.test", "A", [(&["192.0.2.7"], &["192.0.2.7"]), (&["192.0.2.8"], &["192.0.2.8"])]),
    ("under_score.deep.er.ad.test", "A", [(&["192.0.2.9"], &["192.0.2.9"]), (&["192.0.2.10"], &["192.0.2.10"])]),
];
const ZONES: [&str; 3] = ["ad.test", "second.test", "2.0.192.in-addr.arpa"];
/// What a zone of BIND9_DLZ takes to be transferred.
const ALLOW_TRANSFER: &str = "dns zone transfer clients allow = 10.53.53.1";

fn endpoint(&(name, record_type, values): &Case, value: usize) -> Endpoint {
    Endpoint::new(name, record_type, values[value].0)
}

fn host(n: usize) -> Endpoint {
    Endpoint::a(&format!("h{n}.second.test"), &["192.0.2.1"])
}

fn shows(samba: &Samba, value: Option<usize>) {
    for case @ (name, record_type, values) in &CASES {
        let expected = value.map_or(&[][..], |value| values[value].1);
        assert_eq!(samba.held(name, record_type), expected, "{name} {record_type}");
        let registry = endpoint(case, 0).registry_txt();
        let texts: &[String] = if value.is_some() { &registry.targets } else { &[] };
        assert_eq!(samba.held(&registry.name, "TXT"), texts, "{}", registry.name);
    }
}

/// Creates, updates and deletes every type in one apply each, all answered with 204.
fn every_type_lives_and_goes(samba: &Samba, settings: &Settings) -> Sidecar {
    let sidecar = settings.start();
    let every = |change: fn(Changes, &Case) -> Changes| CASES.iter().fold(Changes::new(), change);
    sidecar.apply_all(&every(|changes, case| changes.create(&endpoint(case, 0))));
    shows(samba, Some(0));
    sidecar.apply_all(&every(|changes, case| changes.update(&endpoint(case, 0), &endpoint(case, 1))));
    shows(samba, Some(1));
    sidecar.apply_all(&every(|changes, case| changes.delete(&endpoint(case, 1))));
    shows(samba, None);
    assert_eq!(sidecar.logged("does not verify"), 0, "{}", sidecar.log());
    assert_eq!(sidecar.logged("reading back"), 0, "{}", sidecar.log());
    // The internal DNS has a form of its own up to some version after 4.17.
    let own = sidecar.logged("as Samba's internal DNS signs");
    assert!(own == 0 || samba.backend() == Backend::Internal, "{}", sidecar.log());
    assert_eq!(
        (sidecar.logged("signed answers verify"), sidecar.logged("(RFC 8945)") + own),
        (1, 1),
        "{}",
        sidecar.log()
    );
    sidecar
}

/// The message demands of some sixty types, most of which Samba does not know, that none is left beside the CNAME.
#[test]
fn an_address_becomes_an_alias_and_an_address_again_in_one_message_each() {
    let (address, alias) = (host(1), Endpoint::new("h1.second.test", "CNAME", &["www.example.com"]));
    for backend in Backend::all() {
        let samba = Samba::start_with(backend, ALLOW_TRANSFER);
        let read = if backend == Backend::Internal { "none" } else { "auto" };
        let settings = samba.settings(&ZONES).set("RFC2136_TRANSFER_UNSIGNED", "true").set("RFC2136_READ", read);
        let sidecar = settings.start();
        sidecar.apply_all(&Changes::new().create(&address));
        sidecar.apply_all(&Changes::new().delete(&address).create(&alias));
        assert_eq!(samba.held("h1.second.test", "CNAME"), ["www.example.com."], "{backend:?}");
        sidecar.apply_all(&Changes::new().delete(&alias).create(&address));
        assert_eq!(samba.held("h1.second.test", "A"), ["192.0.2.1"], "{backend:?}");
        assert_eq!(samba.held("h1.second.test", "CNAME"), [""; 0], "{backend:?}");
    }
}

/// The TTLs in DNS of a record set, whether an answer or a referral shows it.
fn ttls(samba: &Samba, name: &str, record_type: &str) -> BTreeSet<String> {
    let text = samba.dig(&["+noall", "+answer", "+authority", "-q", name, "-t", record_type]);
    let of = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [owner, ttl, _, rtype] = *words.first_chunk::<4>()?;
        (owner.trim_end_matches('.').eq_ignore_ascii_case(name) && rtype == record_type).then(|| ttl.to_owned())
    };
    text.lines().filter_map(of).collect()
}

/// NOERROR to an update proves no TTL: the TTL alone, then value and TTL at once.
#[test]
fn a_ttl_changes_for_every_type_on_both_back_ends() {
    for backend in Backend::all() {
        let samba = Samba::start_with(backend, ALLOW_TRANSFER);
        let sidecar = samba.settings(&ZONES).set("RFC2136_TRANSFER_UNSIGNED", "true").start();
        let at = |case: &Case, value, ttl| endpoint(case, value).ttl(ttl);
        let every = |change: &dyn Fn(Changes, &Case) -> Changes| CASES.iter().fold(Changes::new(), change);
        let have = |ttl: &str| {
            for (name, record_type, _) in &CASES {
                assert_eq!(
                    ttls(&samba, name, record_type),
                    [ttl.to_owned()].into(),
                    "{backend:?} {name} {record_type}"
                );
            }
        };
        sidecar.apply_all(&every(&|changes, case| changes.create(&at(case, 0, 300))));
        have("300");
        sidecar.apply_all(&every(&|changes, case| changes.update(&at(case, 0, 300), &at(case, 0, 60))));
        have("60");
        sidecar.apply_all(&every(&|changes, case| changes.update(&at(case, 0, 60), &at(case, 1, 120))));
        have("120");
        shows(&samba, Some(1));
        let listed = sidecar.records();
        assert!(
            listed.iter().filter(|json| json["recordType"] != "TXT").all(|json| json["recordTTL"] == 120),
            "{listed:?}"
        );
    }
}

#[test]
fn the_internal_dns_takes_every_type_that_it_holds() {
    let samba = Samba::start(Backend::Internal);
    let settings = samba.settings(&ZONES);
    for (profile, read) in [("auto", "auto"), ("samba", "none")] {
        let settings = settings.clone().set("RFC2136_SERVER_PROFILE", profile).set("RFC2136_READ", read);
        let sidecar = every_type_lives_and_goes(&samba, &settings);
        assert_eq!(sidecar.logged("security context established"), 1, "{}", sidecar.log());
    }
}

#[test]
fn bind9_dlz_takes_every_type_that_it_holds() {
    let samba = Samba::start_with(Backend::Bind9Dlz, ALLOW_TRANSFER);
    let settings = samba.settings(&ZONES).set("RFC2136_TRANSFER_UNSIGNED", "true");
    for (profile, read) in [("auto", "auto"), ("samba", "none")] {
        let settings = settings.clone().set("RFC2136_SERVER_PROFILE", profile).set("RFC2136_READ", read);
        let sidecar = every_type_lives_and_goes(&samba, &settings);
        assert_eq!(sidecar.logged("security context established"), 1, "{}", sidecar.log());
    }
}

#[test]
fn a_type_that_samba_does_not_hold_is_rejected_alone_or_left_out_beforehand() {
    for backend in Backend::all() {
        let samba = Samba::start(backend);
        let naptr = Endpoint::new("n.second.test", "NAPTR", &["1 1 \"u\" \"x\" \"!a!b!\" ."]);
        let caa = Endpoint::new("c.second.test", "CAA", &["0 issue \"ca.example.com\""]);
        let sidecar = samba.settings(&["second.test"]).set("RFC2136_READ", "none").start();
        let changes = Changes::new().create(&naptr).create(&host(1)).create(&caa);
        assert_eq!(sidecar.apply(&changes), 500);
        assert_eq!(
            sidecar.rejected(),
            [
                "c.second.test CAA record_type_not_supported",
                "caa-c.second.test TXT record_type_not_supported",
                "n.second.test NAPTR record_type_not_supported",
                "naptr-n.second.test TXT record_type_not_supported",
            ],
            "{backend:?}"
        );
        assert_eq!(samba.held("h1.second.test", "A"), ["192.0.2.1"]);

        let profiled = samba.settings(&["second.test"]).set("RFC2136_SERVER_PROFILE", "samba").start();
        let adjusted = profiled.adjust(&[naptr, host(1), caa]);
        assert_eq!((adjusted.len(), &adjusted[0]["dnsName"]), (1, &"h1.second.test".into()), "{adjusted:?}");
    }
}

#[test]
fn what_belongs_to_another_user_is_told_as_refused_by_policy() {
    for backend in Backend::all() {
        let samba = Samba::start(backend);
        let settings = |user| samba.settings_of(user, &["second.test"]).set("RFC2136_READ", "none");
        settings("externaldns").start().apply_all(&Changes::new().create(&host(1)));
        let other = settings("extdns2").start();
        let theirs = Endpoint::a("h1.second.test", &["192.0.2.66"]);
        let changes = Changes::new().update(&host(1), &theirs).create(&Endpoint::a("own.second.test", &["192.0.2.5"]));
        assert_eq!(other.apply(&changes), 500);
        assert_eq!(
            other.rejected(),
            ["a-h1.second.test TXT refused_by_policy", "h1.second.test A refused_by_policy"],
            "{backend:?}"
        );
        assert_eq!(samba.held("h1.second.test", "A"), ["192.0.2.1"]);
        assert_eq!(samba.held("own.second.test", "A"), ["192.0.2.5"]);
        // A name stays its owner's when nothing is left at it.
        settings("externaldns").start().apply_all(&Changes::new().delete(&host(1)));
        let other = settings("extdns2").start();
        assert_eq!(other.apply(&Changes::new().create_alone(&theirs)), 500);
        assert_eq!(other.rejected(), ["h1.second.test A refused_by_policy"], "{backend:?}");
    }
}

#[test]
fn the_internal_dns_transfers_nothing_and_that_is_said() {
    let samba = Samba::start(Backend::Internal);
    let sidecar = samba.settings(&["second.test"]).set("RFC2136_READ", "transfer").start();
    let answer = sidecar.get("/records");
    assert_eq!((answer.status, &answer.json()["cause"]), (503, &"transfer_incomplete".into()), "{answer:?}");
    assert!(answer.json()["remedy"].as_str().unwrap().contains("Samba's internal DNS"));
    assert_eq!(sidecar.readyz().0, 503);
}

#[test]
fn a_domains_own_names_are_neither_listed_nor_touched() {
    let samba = Samba::start_with(Backend::Bind9Dlz, ALLOW_TRANSFER);
    let sidecar = samba.settings(&["ad.test"]).set("RFC2136_TRANSFER_UNSIGNED", "true").start();
    let listed: BTreeSet<String> =
        sidecar.records().iter().map(|endpoint| endpoint["dnsName"].as_str().unwrap().to_owned()).collect();
    assert_eq!(listed, BTreeSet::new(), "a fresh domain has nothing but its own");
    let addresses = samba.held("dc1.ad.test", "A");
    let own = ["dc1.ad.test", "ad.test", "gc._msdcs.ad.test", "x._sites.ad.test", "domaindnszones.ad.test"];
    for name in own {
        let takeover = Endpoint::a(name, &["192.0.2.66"]);
        assert_eq!(sidecar.apply(&Changes::new().create_alone(&takeover)), 500, "{name}");
        assert!(sidecar.rejected().contains(&format!("{name} A protected")), "{:?}", sidecar.rejected());
    }
    assert_eq!(samba.held("dc1.ad.test", "A"), addresses);
}

#[test]
fn sambas_kdc_is_understood() {
    let samba = Samba::start(Backend::Internal);
    let password = |user: &str, password: &str| {
        let settings = samba.settings_of(user, &["second.test"]).unset("RFC2136_KERBEROS_KEYTAB");
        settings.set("RFC2136_KERBEROS_PASSWORD", password)
    };
    password("externaldns", "Passw0rd").set("RFC2136_READ", "none").start().apply_all(&Changes::new().create(&host(1)));
    let other_host = password("externaldns", "Passw0rd").servers(&["nowhere.ad.test@10.53.53.1"], &["second.test"]);
    for (settings, cause) in [
        (password("externaldns", "wrong"), "preauthentication_failed"),
        (password("nobody", "Passw0rd"), "principal_unknown"),
        (password("locked", "Passw0rd"), "account_revoked"),
        (other_host, "spn_unknown"),
    ] {
        let sidecar = settings.start();
        let answer = sidecar.get("/records");
        assert_eq!((answer.status, &answer.json()["cause"]), (503, &cause.into()), "{answer:?}");
        wait_until("it says why", Duration::from_secs(20), || sidecar.readyz().1["causes"][0]["cause"] == cause);
    }
}
