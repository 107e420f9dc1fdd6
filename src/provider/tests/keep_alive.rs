//! Records that are kept alive, against a stateful authority whose directory tells how old they are.

use std::collections::HashMap;
use std::time::SystemTime;

use super::*;
use crate::ldap::Ages;
use crate::ldap::zone_property::Properties;
use crate::provider::service::now;

const HOUR: Duration = Duration::from_secs(3600);

fn keeping(mode: KeepAlive) -> World {
    world_with(|settings| settings.keep_alive = mode)
}

/// A zone that ages records after two days, with these hours since each was refreshed.
fn ages(hours: &[(&str, RecordType, u32)]) -> Result<Option<Ages>, Failure> {
    let properties =
        Properties { ageing: Some(true), no_refresh: Some(24), refresh: Some(24), ..Properties::default() };
    let stamp = |&(name, rtype, hours): &(&str, RecordType, u32)| {
        ((name.parse().unwrap(), rtype), now().checked_sub(HOUR * hours).unwrap())
    };
    Ok(Some(Ages { properties, stamps: hours.iter().map(stamp).collect::<HashMap<_, SystemTime>>() }))
}

impl World {
    fn put_all(&self, names: &[&str]) {
        names.iter().for_each(|name| self.put(name, "A", "192.0.2.1"));
    }

    fn desire(&self, names: &[&str]) {
        let endpoint = |name: &&str| Endpoint {
            dns_name: (*name).to_owned(),
            record_type: "A".to_owned(),
            targets: vec!["192.0.2.1".to_owned()],
            ..Endpoint::default()
        };
        self.service.adjust_endpoints(names.iter().map(endpoint).collect());
    }

    /// The names that one look refreshes, message by message.
    async fn look(&self) -> Vec<Vec<String>> {
        self.authority.take_changing();
        self.service.look_what_is_due().await;
        let names = |update: crate::dns::Update| update.operations.iter().map(|op| op.name().to_undotted()).collect();
        self.authority.take_changing().into_iter().map(names).collect()
    }
}

#[tokio::test]
async fn aged_records_are_refreshed_once_by_one_message_that_changes_nothing() {
    let world = keeping(KeepAlive::Auto);
    world.put_all(&[
        "old.example.test",
        "older.example.test",
        "new.example.test",
        "static.example.test",
        "foreign.example.test",
    ]);
    world.authority.world().ages = ages(&[
        ("old.example.test", RecordType::A, 37),
        ("older.example.test", RecordType::A, 47),
        ("new.example.test", RecordType::A, 20),
        ("foreign.example.test", RecordType::A, 47),
    ]);
    assert!(world.look().await.is_empty(), "nothing is wanted yet");
    world.desire(&["old.example.test", "older.example.test", "new.example.test", "static.example.test"]);
    let before = world.authority.world().zones.clone();
    // The one that is late first.
    assert_eq!(world.look().await, [["older.example.test", "old.example.test"]]);
    assert_eq!(world.authority.world().zones, before);
    let replaced = ["older.example.test", "older.example.test", "old.example.test", "old.example.test"];
    assert_eq!(world.look().await, [replaced], "the time stamps have not moved");
    assert_eq!(world.authority.world().zones, before);
    assert!(world.look().await.is_empty(), "nor now: there is no third way");

    let status = world.service.status().keep_alive.unwrap();
    let [zone] = &status.zones[..] else { panic!("{status:?}") };
    assert_eq!((status.mode, zone.basis, zone.records, zone.overdue), ("auto", Some("time stamps"), 3, 1));
    assert_eq!(
        (zone.refreshed_after, zone.refreshed_within, zone.late_after),
        (Some(97_200), Some(129_600), Some(151_200))
    );
    assert!(zone.next.is_some() && zone.idle.is_none() && zone.error.is_none());
    assert_eq!(zone.soonest.len(), 3);
    let text = world.metrics.scrape(&world.service.gauges()).unwrap();
    assert!(text.contains(r#"keep_alive_refreshes_total{zone="example.test",outcome="refreshed"} 4"#), "{text}");
    assert!(text.contains(r#"keep_alive_overdue_records{zone="example.test"} 1"#), "{text}");
}

#[tokio::test]
async fn a_record_that_is_denied_holds_up_no_other_and_is_told() {
    let world = keeping(KeepAlive::On);
    let names = ["a.example.test", "b.example.test", "c.example.test"];
    world.put_all(&names);
    world.desire(&names);
    world.authority.world().denied.insert(names[1].parse().unwrap());
    let mut refreshed = world.look().await;
    assert_eq!(refreshed.remove(0), names);
    assert_eq!(refreshed, names.map(|name| vec![name.to_owned()]));
    let status = world.service.status().keep_alive.unwrap();
    let zone = &status.zones[0];
    assert!(zone.error.as_deref().is_some_and(|error| error.contains("REFUSED")), "{zone:?}");
    assert!(zone.idle.as_deref().is_some_and(|why| why.contains("daily")), "{zone:?}");
    let kept = |name: &str| zone.soonest.iter().find(|kept| kept.name == name).unwrap();
    assert!(kept(names[0]).refreshed.is_some() && kept(names[1]).refreshed.is_none());
    // The refused one in an hour, the others tomorrow.
    assert!(kept(names[1]).due < kept(names[0]).due);
    assert!(world.look().await.is_empty());
}

#[tokio::test]
async fn nothing_is_sent_where_nothing_ages_or_nobody_asked_for_it() {
    let aged = || ages(&[("a.example.test", RecordType::A, 47)]);
    let off = || {
        let mut ages = aged().unwrap().unwrap();
        ages.properties.ageing = Some(false);
        Ok(Some(ages))
    };
    let unreachable = || Err(Failure::new(Cause::DirectoryUnreachable, "as told"));
    for (mode, ages, sends) in [
        (KeepAlive::Off, aged(), false),
        (KeepAlive::Auto, Ok(None), false),
        (KeepAlive::Auto, off(), false),
        (KeepAlive::Auto, unreachable(), false),
        (KeepAlive::Auto, Ok(Some(Ages::default())), false),
        (KeepAlive::Auto, aged(), true),
        (KeepAlive::On, unreachable(), true),
        (KeepAlive::On, Ok(None), true),
        (KeepAlive::On, off(), true),
    ] {
        let world = keeping(mode);
        world.put_all(&["a.example.test"]);
        world.authority.world().ages = ages.clone();
        world.desire(&["a.example.test"]);
        assert_eq!(world.look().await.len(), usize::from(sends), "{mode:?} {ages:?}");
        let status = world.service.status().keep_alive;
        assert_eq!(status.is_some(), mode != KeepAlive::Off);
        assert!(sends || status.is_none_or(|status| status.zones[0].idle.is_some()), "{mode:?} {ages:?}");
    }
}

#[tokio::test]
async fn what_a_directory_told_once_goes_on_ageing_when_it_tells_no_more() {
    let world = keeping(KeepAlive::Auto);
    world.put_all(&["a.example.test"]);
    world.desire(&["a.example.test"]);
    world.authority.world().ages = ages(&[("a.example.test", RecordType::A, 43)]);
    world.look().await;
    world.authority.world().ages = Err(Failure::new(Cause::DirectoryUnreachable, "as told"));
    world.look().await;
    assert_eq!(world.service.gauges().keep_alive[0].overdue, 1);
    world.authority.world().ages = Ok(Some(Ages::default()));
    world.look().await;
    assert_eq!(world.service.gauges().keep_alive[0].records, 0);
}

#[tokio::test]
async fn a_server_that_is_away_is_told_and_asked_again() {
    let world = keeping(KeepAlive::Auto);
    world.put_all(&["a.example.test"]);
    world.desire(&["a.example.test"]);
    world.authority.world().ages = ages(&[("a.example.test", RecordType::A, 40)]);
    world.authority.world().faults.insert(0, Misbehaviour::Unreachable);
    assert_eq!(world.look().await.len(), 1);
    let error = world.service.status().keep_alive.unwrap().zones[0].error.clone().unwrap();
    assert!(error.contains("as told"), "{error}");
    assert_eq!(world.look().await, [["a.example.test"]]);
    assert_eq!(world.service.status().keep_alive.unwrap().zones[0].error, None);
}

#[tokio::test(start_paused = true)]
async fn the_first_wish_wakes_it_and_the_end_ends_it() {
    let world = keeping(KeepAlive::On);
    world.put_all(&["a.example.test"]);
    let service = world.service.clone();
    let keeping = tokio::spawn(async move { service.keep_alive().await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(world.authority.take_changing().is_empty());
    world.desire(&["a.example.test"]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.authority.take_changing().len(), 1);
    world.stop.cancel();
    keeping.await.unwrap();
}
