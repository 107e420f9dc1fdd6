//! Reading zones from a directory server that cuts what it sends anywhere.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::testing::{FakeDirectory, Mischief, ZONE, ZONES, a, soa, txt};
use super::*;
use crate::dns::{RecordType, ZoneContents, ZoneName};
use crate::gss::GssError;

fn zone() -> ZoneName {
    "ad.test".parse().unwrap()
}

/// The zone as lines of name, type, TTL and number of records, the apex left out.
fn lines(contents: &ZoneContents) -> Vec<String> {
    let below = contents.iter().filter(|rrset| rrset.name != contents.zone().as_name());
    below.map(|rrset| format!("{} {} {} {}", rrset.name, rrset.rtype, rrset.ttl.as_secs(), rrset.rdata.len())).collect()
}

async fn failure(server: &FakeDirectory) -> LdapFault {
    server.directory().read(&zone(), None).await.unwrap_err().fault
}

fn held(read: &Read) -> Option<(Arc<ZoneContents>, Marker)> {
    Some((read.contents.clone(), read.marker.clone()))
}

#[tokio::test]
async fn a_zone_is_read_whole_in_pages_however_its_frames_are_cut() {
    let server = FakeDirectory::start().await;
    for n in 0..40 {
        server.node(&format!("H{n}"), &[a([192, 0, 2, n]), a([192, 0, 2, 100 + n]), txt("heritage=external-dns,x=y")]);
    }
    server.state().page = 11;
    let directory = server.directory();
    for _ in 0..20 {
        let read = directory.read(&zone(), None).await.unwrap();
        assert_eq!((read.extent, read.contents.serial(), read.contents.record_count()), (Extent::Whole, 1, 1 + 40 * 3));
        assert_eq!(lines(&read.contents)[..2], ["h0.ad.test. A 300 2", "h0.ad.test. TXT 300 1"]);
    }
    assert_eq!((server.state().binds, server.kerberos.targets()), (1, vec!["ldap/dc1.ad.test@AD.TEST".to_owned()]));
}

#[tokio::test]
async fn an_unchanged_zone_is_not_read_again_and_changed_nodes_alone_are() {
    let server = FakeDirectory::start().await;
    for name in ["kept", "changed", "tombstoned"] {
        server.node(name, &[a([192, 0, 2, 1])]);
    }
    let directory = server.directory();
    let first = directory.read(&zone(), None).await.unwrap();
    server.state().searches.clear();

    // Once, what was counted last is asked for again.
    let mut second = first.clone();
    for searches in [1, 0] {
        second = directory.read(&zone(), held(&second)).await.unwrap();
        assert_eq!((second.extent, Arc::ptr_eq(&first.contents, &second.contents)), (Extent::Unchanged, true));
        assert_eq!(server.state().searches.iter().filter(|base| *base == ZONE).count(), searches);
        server.state().searches.clear();
    }
    // A change elsewhere in the directory.
    server.put("CN=somebody,DC=ad,DC=test", &[("objectClass", vec![])]);
    let second = directory.read(&zone(), held(&second)).await.unwrap();
    assert_eq!(second.extent, Extent::Unchanged);

    server.node("Changed", &[a([192, 0, 2, 2]), a([192, 0, 2, 3])]);
    server.remove(&format!("DC=changed,{ZONE}"));
    let tombstone = testing::value(0, 0, 0, 0, &[1; 8]);
    let node = |name: &str| vec![name.as_bytes().to_vec()];
    server.put(
        &format!("DC=tombstoned,{ZONE}"),
        &[
            ("objectClass", node("dnsNode")),
            ("name", node("tombstoned")),
            ("dnsRecord", vec![tombstone]),
            ("dNSTombstoned", node("TRUE")),
        ],
    );
    server.node("new", &[txt("text")]);
    let third = directory.read(&zone(), held(&second)).await.unwrap();
    assert_eq!(third.extent, Extent::Changes);
    assert_eq!(lines(&third.contents), ["changed.ad.test. A 300 2", "kept.ad.test. A 300 1", "new.ad.test. TXT 300 1"]);
    assert_eq!(third.contents, directory.read(&zone(), None).await.unwrap().contents);
}

#[tokio::test]
async fn on_any_doubt_the_zone_is_read_whole() {
    let server = FakeDirectory::start().await;
    server.node("a", &[a([192, 0, 2, 1])]);
    let directory = server.directory();
    let first = directory.read(&zone(), None).await.unwrap();
    // What was taken out leaves no trace but the serial.
    server.remove(&format!("DC=a,{ZONE}"));
    server.node("@", &[soa(2)]);
    let second = directory.read(&zone(), held(&first)).await.unwrap();
    assert_eq!((second.extent, lines(&second.contents), second.contents.serial()), (Extent::Whole, vec![], 2));

    server.state().invocation = vec![2; 16];
    let third = directory.read(&zone(), held(&second)).await.unwrap();
    assert_eq!(third.extent, Extent::Whole, "another copy of the database");
    server.state().last_change -= 1;
    let fourth = directory.read(&zone(), held(&third)).await.unwrap();
    assert_eq!(fourth.extent, Extent::Whole, "a database that was restored");
    server.state().invocation.clear();
    server.state().last_change += 5;
    let fifth = directory.read(&zone(), held(&fourth)).await.unwrap();
    assert_eq!(directory.read(&zone(), held(&fifth)).await.unwrap().extent, Extent::Whole, "not told whose changes");
}

/// Samba counts in one file and keeps zones in others.
#[tokio::test]
async fn a_change_that_was_counted_before_it_was_shown_is_not_missed() {
    let server = FakeDirectory::start().await;
    let directory = server.directory();
    let first = directory.read(&zone(), None).await.unwrap();
    server.put("CN=somebody,DC=ad,DC=test", &[("objectClass", vec![])]);
    let second = directory.read(&zone(), held(&first)).await.unwrap();
    // It has a number that was counted already.
    server.node("late", &[a([192, 0, 2, 1])]);
    server.state().last_change -= 1;
    server.state().entries.last_mut().unwrap().changed -= 1;
    let third = directory.read(&zone(), held(&second)).await.unwrap();
    assert_eq!((third.extent, lines(&third.contents)), (Extent::Changes, vec!["late.ad.test. A 300 1".to_owned()]));
    let fourth = directory.read(&zone(), held(&third)).await.unwrap();
    assert_eq!((fourth.extent, fourth.contents), (Extent::Unchanged, third.contents));
}

#[tokio::test]
async fn a_zone_is_read_whole_every_ten_minutes() {
    let server = FakeDirectory::start().await;
    let directory = server.directory();
    let first = directory.read(&zone(), None).await.unwrap();
    let mut second = directory.read(&zone(), held(&first)).await.unwrap();
    assert_eq!(second.extent, Extent::Unchanged);
    second.marker.whole -= std::time::Duration::from_secs(599);
    assert_eq!(directory.read(&zone(), held(&second)).await.unwrap().extent, Extent::Whole);
}

#[tokio::test]
async fn a_zone_is_found_in_every_place_or_in_the_one_that_is_configured() {
    let server = FakeDirectory::start().await;
    let elsewhere: ZoneName = "custom.test".parse().unwrap();
    let place = "CN=MicrosoftDNS,DC=custom";
    let text = |text: &str| vec![text.as_bytes().to_vec()];
    server.put(place, &[("objectClass", text("container"))]);
    let base = format!("DC=custom.test,{place}");
    server.put(&base, &[("objectClass", text("dnsZone")), ("name", text("custom.test"))]);
    assert_eq!(server.directory().find(&elsewhere).await.unwrap(), base);
    assert_eq!(server.directory_with(Some(place)).find(&elsewhere).await.unwrap(), base);
    let missing = server.directory_with(Some(ZONES)).find(&elsewhere).await.unwrap_err();
    assert!(matches!(&missing.fault, LdapFault::NoZone { searched } if searched == &[ZONES]), "{missing:?}");
    // The zone is there, but nothing in it may be seen.
    assert!(matches!(server.directory().read(&elsewhere, None).await.unwrap_err().fault, LdapFault::NoSoa));
}

#[tokio::test]
async fn what_goes_wrong_is_an_error_and_never_a_short_zone() {
    let server = FakeDirectory::start().await;
    for n in 0..20 {
        server.node(&format!("h{n}"), &[a([192, 0, 2, n])]);
    }
    let what = |mischief| {
        server.state().mischief = mischief;
        failure(&server)
    };
    assert!(matches!(what(Mischief::Closes).await, LdapFault::Closed));
    assert!(matches!(what(Mischief::Disconnects).await, LdapFault::Disconnected(_)));
    assert!(matches!(what(Mischief::RepeatsPages).await, LdapFault::Twice(_)));
    assert!(matches!(what(Mischief::EmptyPages).await, LdapFault::EndlessPages));
    assert!(matches!(what(Mischief::OversizedFrame).await, LdapFault::FrameTooLarge(_)));
    assert!(matches!(what(Mischief::Garbage).await, LdapFault::Unsealed(_)));
    // Silent, where it was the last one.
    assert!(matches!(what(Mischief::DropsFrame).await, LdapFault::Unsealed(_) | LdapFault::Silent(_)));
    assert!(matches!(what(Mischief::Refers).await, LdapFault::Search { outcome, .. } if outcome.code == 10));
    assert!(matches!(what(Mischief::NoSealing).await, LdapFault::NoSealing(3)));
    assert!(matches!(what(Mischief::RefusesBind).await, LdapFault::Bind(outcome) if outcome.code == 49));
    assert_eq!(server.kerberos.forgotten(), 1, "the ticket may be one for former keys of the server");
    assert!(matches!(what(Mischief::Silent).await, LdapFault::Silent(_)));
    let unknown = GssError { minor: -1_765_328_377, ..GssError::default() };
    server.kerberos.fail_step(Some(unknown));
    assert!(matches!(what(Mischief::None).await, LdapFault::Initiate(_)));
}

#[tokio::test]
async fn a_connection_that_the_server_closed_meanwhile_is_replaced() {
    let server = FakeDirectory::start().await;
    let directory = server.directory();
    let first = directory.read(&zone(), None).await.unwrap();
    server.state().mischief = Mischief::Closes;
    server.node("a", &[a([192, 0, 2, 1])]);
    assert!(directory.read(&zone(), held(&first)).await.is_err());
    server.state().mischief = Mischief::None;
    let second = directory.read(&zone(), held(&first)).await.unwrap();
    assert_eq!((second.extent, server.state().binds), (Extent::Changes, 2));
    directory.close().await;
    assert!(directory.read(&zone(), held(&second)).await.is_ok());
    assert_eq!(server.state().binds, 3);
}

#[tokio::test]
async fn what_is_not_certain_is_left_out_and_all_of_its_type_with_it() {
    let server = FakeDirectory::start().await;
    server.node("plain", &[a([192, 0, 2, 1]), txt("good"), txt("bad \\ text")]);
    server.node("sp\\032ace", &[a([192, 0, 2, 1])]);
    server.node("hint", &[testing::value(1, 0x08, 300, 0, &[192, 0, 2, 1])]);
    server.node("child", &[testing::value(2, 0x82, 300, 0, &testing::count_name("ns.child.ad.test"))]);
    let read = server.directory().read(&zone(), None).await.unwrap();
    assert_eq!(lines(&read.contents), ["child.ad.test. NS 300 1", "plain.ad.test. A 300 1"]);
    assert!(read.contents.rrset(zone().as_name(), RecordType::SOA).is_some());
}

#[tokio::test]
async fn single_names_are_told_exactly_or_not_at_all() {
    let server = FakeDirectory::start().await;
    for n in 0..250u8 {
        server.node(&format!("H{n}"), &[a([192, 0, 2, n])]);
    }
    server.node("*", &[txt("wild")]);
    server.node("odd", &[txt("bad \\ text")]);
    let directory = server.directory();
    let nodes = async |names: &[&str]| {
        let names: Vec<_> = names.iter().map(|name| name.parse().unwrap()).collect();
        directory.nodes(&zone(), &names).await.unwrap()
    };
    let told = nodes(&["h7.ad.test", "*.ad.test", "missing.ad.test", "ad.test"]).await.unwrap();
    assert_eq!(lines(&told), ["*.ad.test. TXT 300 1", "h7.ad.test. A 300 1"]);
    assert!(told.rrset(zone().as_name(), RecordType::SOA).is_some());
    assert_eq!(nodes(&["odd.ad.test", "h7.ad.test"]).await, None, "stored one way or the other");
    assert_eq!(nodes(&["sp\\032ace.ad.test"]).await, None);
    assert_eq!(nodes(&["elsewhere.test"]).await, None);
    let many: Vec<String> = (0..250).map(|n| format!("h{n}.ad.test")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(nodes(&many).await.unwrap().record_count(), 250);
}

#[tokio::test]
async fn a_survey_tells_what_the_zone_is_set_to_and_what_ages_in_it() {
    let server = FakeDirectory::start().await;
    let survey = async || server.directory().survey(&zone()).await.unwrap();
    assert_eq!(
        (survey().await.properties, survey().await.base),
        (zone_property::Properties::default(), ZONE.to_owned())
    );
    let text = |text: &str| vec![text.as_bytes().to_vec()];
    let property = |id: u32, data: u32| [[4u32, 1, 0, 1, id, data].map(u32::to_le_bytes).concat(), vec![0]].concat();
    let properties = vec![property(0x02, 2), property(0x40, 1), property(0x20, 168)];
    server.put(ZONE, &[("objectClass", text("dnsZone")), ("name", text("ad.test")), ("dNSProperty", properties)]);
    server.node("aged", &[testing::value(1, 0xf0, 300, 3_733_302, &[192, 0, 2, 1])]);
    server.node("static", &[a([192, 0, 2, 2])]);
    let attributes = [("objectClass", text("dnsNode")), ("name", text("gone")), ("dNSTombstoned", text("TRUE"))];
    let tombstone = vec![testing::value(0, 0, 0, 0, &[1; 8])];
    server.put(&format!("DC=gone,{ZONE}"), &[&attributes[..], &[("dnsRecord", tombstone)]].concat());
    let Survey { properties, records, ageing, tombstones, .. } = survey().await;
    assert_eq!((records, ageing, tombstones), (3, 1, 1));
    assert_eq!(properties.updates, Some(zone_property::Updates::SecureOnly));
    assert_eq!((properties.ageing, properties.no_refresh, properties.refresh), (Some(true), None, Some(168)));
}

#[tokio::test]
async fn ages_are_those_of_the_oldest_record_and_of_what_is_asked_for() {
    const HOURS: u32 = 3_733_302;
    let server = FakeDirectory::start().await;
    let property = |id: u32, data: u32| [[4u32, 1, 0, 1, id, data].map(u32::to_le_bytes).concat(), vec![0]].concat();
    let text = |text: &str| vec![text.as_bytes().to_vec()];
    let properties = vec![property(0x40, 1), property(0x10, 24), property(0x20, 48)];
    server.put(ZONE, &[("objectClass", text("dnsZone")), ("name", text("ad.test")), ("dNSProperty", properties)]);
    let value = |hours, octet| testing::value(1, 0xf0, 300, hours, &[192, 0, 2, octet]);
    server.node("two", &[value(HOURS, 1), value(HOURS - 5, 2), value(0, 3)]);
    server.node("static", &[value(0, 4)]);
    server.node("other", &[value(HOURS, 5)]);
    let key = |name: &str| (name.parse().unwrap(), RecordType::A);
    let wanted = HashSet::from([key("two.ad.test"), key("static.ad.test"), key("absent.ad.test")]);
    let ages = server.directory().ages(&zone(), &wanted).await.unwrap();
    let properties = ages.properties;
    assert_eq!((properties.ageing, properties.no_refresh, properties.refresh), (Some(true), Some(24), Some(48)));
    // 2026-11-23 06:00 UTC less five hours, as hours since 1601.
    let stamp = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(HOURS - 5 - 3_234_576) * 3600);
    assert_eq!(ages.stamps, HashMap::from([(key("two.ad.test"), stamp)]));
}
