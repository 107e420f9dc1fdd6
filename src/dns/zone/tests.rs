use std::net::Ipv4Addr;
use std::process::Command;

use proptest::prelude::*;

use super::*;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn rdata(wire: impl AsRef<[u8]>) -> Rdata {
    Rdata::from_wire(wire.as_ref())
}

/// Contents of example.test with one record at each of these names and types.
fn contents(records: &[(&str, RecordType)]) -> ZoneContents {
    let mut contents = ZoneContents::new("example.test".parse().unwrap(), 1);
    for (owner, rtype) in records {
        contents.add(&name(owner), *rtype, Ttl::from_secs(300), rdata([0]));
    }
    contents
}

fn names<'a>(rrsets: impl Iterator<Item = RrsetRef<'a>>) -> Vec<String> {
    rrsets.map(|rrset| rrset.name.to_undotted()).collect()
}

#[test]
fn the_zone_of_a_name_is_its_longest_match_on_label_boundaries() {
    let zones = ZoneSet::new(["test", "sub.example.test", "example.test"].map(|zone| zone.parse().unwrap()).to_vec());
    let zones = zones.unwrap();
    let find = |text| zones.find(&name(text)).map(ToString::to_string);
    assert_eq!(find("www.sub.example.test"), Some("sub.example.test".to_owned()));
    assert_eq!(find("notsub.example.test"), Some("example.test".to_owned()));
    assert_eq!(find("badexample.test"), Some("test".to_owned()));
    assert_eq!(find("example.com"), None);
    assert_eq!(ZoneSet::new(vec![]), None);
}

#[test]
fn an_rrset_is_sorted_without_duplicates_and_has_its_lowest_ttl() {
    let mut zone = contents(&[]);
    for (ttl, value) in [(300, 2), (60, 1), (900, 3), (300, 2)] {
        zone.add(&name("a.example.test"), RecordType::A, Ttl::from_secs(ttl), rdata([value]));
    }
    let rrset = zone.rrset(&name("A.Example.test"), RecordType::A).unwrap();
    assert_eq!(rrset.rdata, [rdata([1]), rdata([2]), rdata([3])]);
    assert_eq!(rrset.ttl, Ttl::from_secs(60));
    zone.add(&name("b.example.test"), RecordType::A, Ttl::ZERO, rdata([1]));
    assert_eq!(zone.record_count(), 4);
}

#[test]
fn replacing_an_rrset_leaves_nothing_of_the_old_one() {
    let mut zone = contents(&[("a.example.test", RecordType::A), ("a.example.test", RecordType::TXT)]);
    let new = Rrset::new(name("a.example.test"), RecordType::A, Ttl::from_secs(900), vec![rdata([7])]).unwrap();
    zone.replace(&new);
    assert_eq!(zone.rrset(new.name(), RecordType::A).unwrap().to_rrset(), Some(new));
    assert_eq!(names(zone.iter()).len(), 2);
}

#[test]
fn removing_the_last_record_removes_its_rrset_and_its_name() {
    let mut zone = contents(&[("a.example.test", RecordType::A), ("a.example.test", RecordType::TXT)]);
    let owner = name("a.example.test");
    zone.add(&owner, RecordType::A, Ttl::ZERO, rdata([1]));
    zone.remove(&owner, RecordType::A, &rdata([9]));
    zone.remove(&owner, RecordType::A, &rdata([0]));
    assert_eq!(zone.rrset(&owner, RecordType::A).unwrap().rdata, [rdata([1])]);
    zone.remove(&owner, RecordType::A, &rdata([1]));
    assert_eq!(zone.rrset(&owner, RecordType::A), None);
    zone.remove_rrset(&owner, RecordType::TXT);
    assert_eq!(zone.at(&owner).count(), 0);
    assert_eq!(zone, contents(&[]));
}

#[test]
fn what_is_at_or_below_a_name_is_found_whole_and_nothing_else() {
    let zone = contents(&[
        ("example.test", RecordType::NS),
        ("a-b.example.test", RecordType::A),
        ("a.example.test", RecordType::A),
        ("a.example.test", RecordType::TXT),
        ("*.a.example.test", RecordType::A),
        ("z.y.a.example.test", RecordType::A),
        ("aa.example.test", RecordType::A),
        ("a.b.example.test", RecordType::A),
    ]);
    let below = names(zone.at_or_below(&name("a.example.test")));
    assert_eq!(below, ["a.example.test", "a.example.test", "*.a.example.test", "z.y.a.example.test"]);
    assert_eq!(zone.at_or_below(&name("y.a.example.test")).count(), 1);
    assert_eq!(zone.at_or_below(&name("example.test")).count(), 8);
    assert_eq!(zone.at_or_below(&name("x.example.test")).count(), 0);
}

#[test]
fn a_wildcard_is_found_at_any_height_above_a_name() {
    let zone = contents(&[("*.example.test", RecordType::A), ("*.wild.example.test", RecordType::A)]);
    let above = |text| zone.wildcard_above(&name(text)).map(Name::to_undotted);
    assert_eq!(above("a.wild.example.test"), Some("*.wild.example.test".to_owned()));
    assert_eq!(above("b.a.wild.example.test"), Some("*.wild.example.test".to_owned()));
    assert_eq!(above("a.example.test"), Some("*.example.test".to_owned()));
    assert_eq!(above("example.test"), None);
    assert_eq!(above("other.test"), None);
    assert_eq!(contents(&[("www.example.test", RecordType::A)]).wildcard_above(&name("a.example.test")), None);
}

/// A zone as ExternalDNS fills it: an address and an ownership record for each host, each at a name of its own.
fn registry_zone(hosts: u32) -> ZoneContents {
    let mut zone = contents(&[("example.test", RecordType::NS), ("example.test", RecordType::SOA)]);
    for host in 0..hosts {
        let owner = name(&format!("application-{host}.apps.example.test"));
        zone.add(&owner, RecordType::A, Ttl::from_secs(300), rdata(Ipv4Addr::from(host).octets()));
        let text = format!(
            "\"heritage=external-dns,external-dns/owner=default,external-dns/resource=ingress/apps/application-{host}\""
        );
        let registry = name(&format!("a-application-{host}.apps.example.test"));
        let mut wire = vec![u8::try_from(text.len()).unwrap()];
        wire.extend(text.bytes());
        zone.add(&registry, RecordType::TXT, Ttl::from_secs(300), rdata(wire));
    }
    zone
}

fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
#[ignore = "run by the test below, in a process of its own, where nothing else allocates"]
fn measures_its_own_process() {
    let before = resident_kib();
    let zone = registry_zone(50_000);
    println!("resident_kib={}", resident_kib() - before);
    assert_eq!(zone.iter().count(), 100_002);
}

#[test]
fn a_hundred_thousand_records_take_less_than_64_mib() {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "dns::zone::tests::measures_its_own_process", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let output = String::from_utf8(child.stdout).unwrap();
    let (_, measured) = output.split_once("resident_kib=").unwrap_or_else(|| panic!("not measured: {output}"));
    let kib: usize = measured.lines().next().unwrap().parse().unwrap();
    assert!(child.status.success() && (10 * 1024..64 * 1024).contains(&kib), "{kib} KiB");
}

proptest! {
    #[test]
    fn contents_do_not_depend_on_the_order_of_adding(
        mut records in prop::collection::vec(("[ab]{1,2}", 1_u16..4, 0_u8..4), 0..30),
    ) {
        let fill = |records: &[(String, u16, u8)]| {
            let mut zone = contents(&[]);
            for (label, rtype, value) in records {
                zone.add(&name(&format!("{label}.example.test")), (*rtype).into(), Ttl::ZERO, rdata([*value]));
            }
            zone
        };
        let zone = fill(&records);
        records.reverse();
        prop_assert_eq!(fill(&records), zone);
    }
}
