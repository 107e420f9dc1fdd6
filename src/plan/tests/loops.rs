//! The known causes of endless updates: what was written is read back as what was wanted, however it was spelled.

use super::*;

const ZONES: [&str; 2] = ["example.test", "2.0.192.in-addr.arpa"];

fn wanted(name: &str, rtype: &str, targets: &[&str]) -> Endpoint {
    record(name, rtype, targets)
}

fn listed(world: &World, policy: &Policy) -> Vec<Endpoint> {
    world.0.values().flat_map(|contents| list(contents, policy)).collect()
}

/// Whether ExternalDNS would update: its planner's comparison of one row.
fn differs(current: &Endpoint, wanted: &Endpoint) -> bool {
    let fold = |endpoint: &Endpoint| {
        let mut targets = endpoint.targets.clone();
        targets.sort();
        targets.into_iter().map(|target| target.to_lowercase()).collect::<Vec<_>>()
    };
    (wanted.record_ttl > 0 && wanted.record_ttl != current.record_ttl)
        || fold(current) != fold(wanted)
        || current.provider_specific != wanted.provider_specific
}

/// What ExternalDNS asks for, by the rules of its planner.
fn plan_like_external_dns(world: &World, desired: &[Endpoint], policy: &Policy) -> Changes {
    let current = listed(world, policy);
    let mut changes = Changes::default();
    for wanted in adjust(desired.to_vec(), policy).endpoints {
        let row = |endpoint: &&Endpoint| {
            (&endpoint.dns_name, &endpoint.record_type, &endpoint.set_identifier)
                == (&wanted.dns_name, &wanted.record_type, &wanted.set_identifier)
        };
        match current.iter().rev().find(row) {
            None => changes.create.push(wanted),
            Some(old) if differs(old, &wanted) => {
                changes.update_old.push(Endpoint { labels: wanted.labels.clone(), ..old.clone() });
                changes.update_new.push(wanted);
            }
            Some(_) => {}
        }
    }
    changes
}

/// Reconciles once; the second time nothing may be left to do. Gives what is listed then.
fn converged(mut world: World, desired: &[Endpoint], policy: &Policy) -> Vec<Endpoint> {
    let changes = plan_like_external_dns(&world, desired, policy);
    world.apply_all(&changes, policy);
    assert_eq!(plan_like_external_dns(&world, desired, policy), Changes::default());
    listed(&world, policy)
}

fn converge(desired: &[Endpoint]) -> Vec<Endpoint> {
    let policy = policy(&ZONES);
    converged(World::new(&policy), desired, &policy)
}

#[test]
fn cause_01_a_ttl_below_the_floor_is_raised_before_it_is_planned() {
    let policy = Policy { min_ttl: Ttl::from_secs(300), ..policy(&ZONES) };
    let desired = [Endpoint { record_ttl: 60, ..wanted("a.example.test", "A", &["192.0.2.1"]) }];
    assert_eq!(converged(World::new(&policy), &desired, &policy)[0].record_ttl, 300);
}

#[test]
fn cause_02_a_default_ttl_is_written_and_never_asked_for() {
    let desired = [wanted("a.example.test", "A", &["192.0.2.1"])];
    assert_eq!(adjust(desired.to_vec(), &policy(&ZONES)).endpoints[0].record_ttl, 0);
    assert_eq!(converge(&desired)[0].record_ttl, 300);
}

#[test]
fn cause_03_a_final_dot_of_a_target_is_no_difference() {
    let desired = [
        wanted("c.example.test.", "CNAME", &["web.example.test."]),
        wanted("m.example.test", "MX", &["10 mail.example.test."]),
        wanted("s.example.test", "NS", &["ns.elsewhere.test."]),
        wanted("_x._tcp.example.test", "SRV", &["1 2 3 web.example.test."]),
        wanted("1.2.0.192.in-addr.arpa", "PTR", &["web.example.test."]),
    ];
    let targets: Vec<_> = converge(&desired).into_iter().flat_map(|endpoint| endpoint.targets).collect();
    let undotted = targets.iter().filter(|target| !target.ends_with('.')).count();
    assert_eq!((targets.len(), undotted), (5, 4), "{targets:?}");
}

#[test]
fn cause_04_the_case_of_name_targets_is_no_difference() {
    converge(&[wanted("s.example.test", "NS", &["NS-B.test", "ns-a.test", "NS-C.TEST"])]);
}

#[test]
fn cause_05_the_quoting_of_a_text_is_no_difference() {
    for text in [
        "plain",
        "\"quoted\"",
        "two words; a=b",
        r"back\slash",
        r#""one" "two""#,
        r#"a "quote" inside"#,
        "",
        "\"\"",
        "é",
    ] {
        let long = text.repeat(100);
        converge(&[wanted("t.example.test", "TXT", &[text]), wanted("l.example.test", "TXT", &[&long])]);
    }
}

#[test]
fn cause_06_an_rrset_is_one_endpoint() {
    let policy = policy(&ZONES);
    let world = World::new(&policy).with("a.example.test", "A", &["192.0.2.1", "192.0.2.2"]);
    assert_eq!(listed(&world, &policy).len(), 1);
}

#[test]
fn cause_07_a_text_in_several_strings_is_one_target() {
    let long = "x".repeat(700);
    let policy = policy(&ZONES);
    let mut world = World::new(&policy);
    let strings: Vec<u8> = [&b"\x02ab"[..], b"\x01c"].concat();
    world.put("t.example.test", RecordType::TXT, Rdata::from_wire(strings));
    assert_eq!(listed(&world, &policy)[0].targets, ["abc"]);
    let listed = converge(&[wanted("l.example.test", "TXT", &[&long])]);
    assert_eq!(listed[0].targets, [long]);
}

#[test]
fn cause_08_every_type_that_is_written_is_read() {
    let desired = [
        wanted("a.example.test", "A", &["192.0.2.1"]),
        wanted("aaaa.example.test", "AAAA", &["2001:DB8:0:0::1"]),
        wanted("cname.example.test", "CNAME", &["a.example.test"]),
        wanted("dname.example.test", "DNAME", &["elsewhere.test"]),
        wanted("txt.example.test", "TXT", &["text"]),
        wanted("ns.example.test", "NS", &["ns.elsewhere.test"]),
        wanted("1.2.0.192.in-addr.arpa", "PTR", &["a.example.test"]),
        wanted("mx.example.test", "MX", &["010 mail.example.test"]),
        wanted("_s._tcp.example.test", "SRV", &["0 0 443 a.example.test."]),
        wanted("naptr.example.test", "NAPTR", &[r#"100 10 "u" "E2U+sip" "!^.*$!sip:x@example.test!" ."#]),
        wanted("caa.example.test", "CAA", &[r#"0 issue "ca.example.test""#]),
        wanted("_443._tcp.example.test", "TLSA", &["3 1 1 AABBCC"]),
        wanted("sshfp.example.test", "SSHFP", &["4 2 aabbcc"]),
        wanted("svcb.example.test", "SVCB", &["1 a.example.test. alpn=h2"]),
        wanted("https.example.test", "HTTPS", &["1 . alpn=h2,h3 port=8443"]),
    ];
    assert_eq!(converge(&desired).len(), desired.len());
}

#[test]
fn cause_09_properties_that_dns_cannot_hold_are_not_asked_for() {
    let property = crate::api::ProviderSpecificProperty { name: "alias".into(), value: "true".into() };
    converge(&[Endpoint { provider_specific: vec![property], ..wanted("a.example.test", "A", &["192.0.2.1"]) }]);
}

#[test]
fn cause_10_a_set_identifier_is_not_asked_for() {
    converge(&[Endpoint { set_identifier: "blue".into(), ..wanted("a.example.test", "A", &["192.0.2.1"]) }]);
}

#[test]
fn cause_16_what_lies_outside_the_zones_is_not_asked_for() {
    let policy = policy(&ZONES);
    let desired = [wanted("a.elsewhere.test", "A", &["192.0.2.1"]), wanted("a.notexample.test", "A", &["192.0.2.1"])];
    assert_eq!(plan_like_external_dns(&World::new(&policy), &desired, &policy), Changes::default());
}

#[test]
fn causes_14_15_and_17_names_wildcards_and_duplicates_settle() {
    let desired = [
        wanted("Bücher.Example.TEST.", "A", &["192.0.2.1", "192.0.2.1"]),
        wanted("*.Wild.example.test", "AAAA", &["2001:db8::1", "2001:DB8:0::1"]),
        wanted("0/25.2.0.192.in-addr.arpa", "NS", &["ns.elsewhere.test"]),
        wanted("_Sip._TCP.example.test", "SRV", &["1 1 5060 SIP.example.test."]),
    ];
    assert_eq!(converge(&desired).len(), 4);
}
