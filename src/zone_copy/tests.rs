use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::Notify;

use super::transfer::Transfers;
use super::*;
use crate::dns::{Name, Operation, Rdata, RecordType, Transferred, Ttl};

/// What a scripted server was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Serial,
    Whole,
    Differences { from: u32 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Misbehaviour {
    Refused,
    NoDifferences,
    Defect,
}

/// A server that holds one version, and answers at once or when it is told to.
struct Server {
    address: ServerAddress,
    version: Mutex<ZoneContents>,
    asked: Mutex<Vec<Asked>>,
    faults: Mutex<VecDeque<Misbehaviour>>,
    /// Whole transfers take their version, then wait for this.
    gate: Option<Notify>,
}

impl ZoneSource for Arc<Server> {
    type Marker = u32;
    type Error = Misbehaviour;

    fn address(&self) -> &ServerAddress {
        &self.address
    }

    async fn refresh(&self, zone: &ZoneName, held: Option<Base<u32>>) -> Result<Refreshed<u32>, Misbehaviour> {
        transfer::refresh(self, zone, held).await
    }
}

impl Transfers for Arc<Server> {
    type Error = Misbehaviour;

    fn address(&self) -> &ServerAddress {
        &self.address
    }

    async fn serial(&self, _: &ZoneName) -> Result<u32, Misbehaviour> {
        self.ask(Asked::Serial)?;
        Ok(self.version().serial())
    }

    async fn whole(&self, _: &ZoneName) -> Result<ZoneContents, Misbehaviour> {
        self.ask(Asked::Whole)?;
        let version = self.version();
        if let Some(gate) = &self.gate {
            gate.notified().await;
        }
        Ok(version)
    }

    async fn differences(&self, held: Arc<ZoneContents>) -> Result<Transferred, Misbehaviour> {
        self.ask(Asked::Differences { from: held.serial() })?;
        // Differences lead from the version the server once had; from anything else they lead elsewhere.
        assert_eq!(*held, version(held.serial(), &self.hosts_of(held.serial())));
        Ok(Transferred::Updated(self.version()))
    }

    fn wants_whole(error: &Misbehaviour) -> bool {
        *error == Misbehaviour::NoDifferences
    }
}

impl Server {
    fn new(host: &str) -> Self {
        let address = ServerAddress { host: host.to_owned(), address: None, port: 53 };
        let version = Mutex::new(version(1, &[1]));
        Self { address, version, asked: Mutex::default(), faults: Mutex::default(), gate: None }
    }

    fn gated(host: &str) -> Self {
        Self { gate: Some(Notify::new()), ..Self::new(host) }
    }

    fn version(&self) -> ZoneContents {
        self.version.lock().unwrap().clone()
    }

    /// Every version of these tests holds the hosts 1 to its serial.
    fn hosts_of(&self, serial: u32) -> Vec<u8> {
        (1..=u8::try_from(serial).unwrap()).collect()
    }

    fn moves_to(&self, serial: u32) {
        *self.version.lock().unwrap() = version(serial, &self.hosts_of(serial));
    }

    fn ask(&self, asked: Asked) -> Result<(), Misbehaviour> {
        self.asked.lock().unwrap().push(asked);
        if asked == Asked::Serial {
            return Ok(());
        }
        let fault = self.faults.lock().unwrap().pop_front();
        assert!(fault != Some(Misbehaviour::Defect), "a defect, as scripted");
        fault.map_or(Ok(()), Err)
    }

    fn was_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    /// Answers one transfer with this.
    fn fails_with(&self, fault: Misbehaviour) {
        self.faults.lock().unwrap().push_back(fault);
    }
}

fn zone() -> ZoneName {
    "example.test".parse().unwrap()
}

fn host(number: u8) -> Name {
    format!("h{number}.example.test").parse().unwrap()
}

fn version(serial: u32, hosts: &[u8]) -> ZoneContents {
    let mut contents = ZoneContents::new(zone(), serial);
    for &number in hosts {
        contents.add(&host(number), RecordType::A, Ttl::ZERO, Rdata::from_wire([192, 0, 2, number]));
    }
    contents
}

fn adding(number: u8) -> Update {
    let rdata = Rdata::from_wire([192, 0, 2, number]);
    let add = Operation::Add { name: host(number), rtype: RecordType::A, ttl: Ttl::ZERO, rdata };
    Update { zone: zone(), prerequisites: vec![], operations: vec![add] }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(30)
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

async fn read(copies: &ZoneCopies<Arc<Server>>, server: &Arc<Server>) -> ZoneCopy {
    copies.read(&zone(), server, later()).await.unwrap()
}

#[tokio::test]
async fn defect_06_an_unchanged_zone_costs_one_soa_query() {
    let (copies, server) = (ZoneCopies::new(), Arc::new(Server::new("ns1.test")));
    let first = read(&copies, &server).await;
    assert_eq!((&*first.contents, first.kind), (&version(1, &[1]), ReadKind::Axfr));
    assert_eq!(server.was_asked(), [Asked::Whole]);
    let second = read(&copies, &server).await;
    assert_eq!((&second.contents, second.kind), (&first.contents, ReadKind::Unchanged));
    assert!(Arc::ptr_eq(&first.contents, &second.contents) && second.read_at >= first.read_at);
    assert_eq!(server.was_asked(), [Asked::Serial]);
}

#[tokio::test]
async fn a_zone_that_moved_on_is_read_by_its_differences() {
    let (copies, server) = (ZoneCopies::new(), Arc::new(Server::new("ns1.test")));
    read(&copies, &server).await;
    server.moves_to(3);
    let copy = read(&copies, &server).await;
    assert_eq!((&*copy.contents, copy.kind), (&server.version(), ReadKind::Ixfr));
    assert_eq!(server.was_asked()[1..], [Asked::Serial, Asked::Differences { from: 1 }]);
}

#[tokio::test]
async fn the_whole_zone_is_read_where_differences_do_not_lead_on() {
    let (copies, server) = (ZoneCopies::new(), Arc::new(Server::new("ns1.test")));
    server.moves_to(3);
    read(&copies, &server).await;
    server.was_asked();
    server.moves_to(4);
    server.fails_with(Misbehaviour::NoDifferences);
    assert_eq!(read(&copies, &server).await.kind, ReadKind::Axfr);
    assert_eq!(server.was_asked(), [Asked::Serial, Asked::Differences { from: 3 }, Asked::Whole]);
    server.moves_to(2);
    assert_eq!(*read(&copies, &server).await.contents, version(2, &[1, 2]));
    assert_eq!(server.was_asked(), [Asked::Serial, Asked::Whole]);
}

#[tokio::test]
async fn defect_01_a_failed_read_is_an_error_and_never_the_old_copy() {
    let (copies, server) = (ZoneCopies::new(), Arc::new(Server::new("ns1.test")));
    read(&copies, &server).await;
    server.moves_to(2);
    server.fails_with(Misbehaviour::Refused);
    let failed = copies.read(&zone(), &server, later()).await;
    assert_eq!(failed, Err(ReadError::Source(Misbehaviour::Refused)));
    assert_eq!(copies.failure(&zone(), &server.address), Some(Misbehaviour::Refused));
    assert_eq!(*copies.get(&zone(), &server.address).unwrap().contents, version(1, &[1]));
    read(&copies, &server).await;
    assert_eq!(copies.failure(&zone(), &server.address), None);
}

#[tokio::test]
async fn a_read_that_dies_is_an_error_and_the_next_one_starts_afresh() {
    let (copies, server) = (ZoneCopies::new(), Arc::new(Server::new("ns1.test")));
    server.fails_with(Misbehaviour::Defect);
    assert_eq!(copies.read(&zone(), &server, later()).await, Err(ReadError::BrokenOff));
    assert_eq!(read(&copies, &server).await.kind, ReadKind::Axfr);
}

#[tokio::test]
async fn a_read_outlives_who_waits_for_it_and_the_next_read_takes_its_result() {
    let (copies, server) = (ZoneCopies::new(), Arc::new(Server::gated("ns1.test")));
    assert_eq!(copies.read(&zone(), &server, soon()).await, Err(ReadError::Deadline));
    assert_eq!(copies.read(&zone(), &server, soon()).await, Err(ReadError::Deadline));
    assert_eq!(server.was_asked(), [Asked::Whole]);
    server.gate.as_ref().unwrap().notify_one();
    while copies.get(&zone(), &server.address).is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(read(&copies, &server).await.kind, ReadKind::Unchanged);
    assert_eq!(server.was_asked(), [Asked::Serial]);
}

#[tokio::test]
async fn a_zone_that_is_slow_and_never_still_is_listed_as_it_was_at_the_last_transfer_and_never_twice() {
    let (copies, server) = (ZoneCopies::new(), Arc::new(Server::gated("ns1.test")));
    let list = async |deadline| copies.list(&zone(), &server, deadline).await;
    assert_eq!(list(soon()).await, Err(ReadError::Deadline), "there is none yet");
    for serial in 1..4 {
        // Each transfer ends between two lists, and never while one waits.
        server.gate.as_ref().unwrap().notify_one();
        while copies.lock().entries[&key(&zone(), &server.address)].refresh().is_some() {
            tokio::task::yield_now().await;
        }
        server.faults.lock().unwrap().push_back(Misbehaviour::NoDifferences);
        server.moves_to(serial + 1);
        copies.apply(&server.address, &adding(100));
        let listed = list(soon()).await.unwrap();
        let expected = [server.hosts_of(serial), vec![100]].concat();
        assert_eq!(*listed.contents, version(serial, &expected), "with our own update");
        assert_eq!(list(soon()).await, Err(ReadError::Deadline), "nothing new has ended");
        assert_eq!(copies.warm(&zone(), &server, soon()).await, Err(ReadError::Deadline));
    }
}

#[tokio::test]
async fn what_is_doubted_or_could_not_be_refreshed_is_not_listed_at_the_deadline() {
    for doubted in [true, false] {
        let (copies, server) = (ZoneCopies::new(), Arc::new(Server::gated("ns1.test")));
        let unlisted = Version { contents: Arc::new(version(1, &[1])), marker: 1 };
        copies.put(&server.address, unlisted, SystemTime::UNIX_EPOCH);
        server.moves_to(2);
        if doubted {
            copies.invalidate(&zone(), &server.address);
        } else {
            server.fails_with(Misbehaviour::Refused);
            assert_eq!(copies.warm(&zone(), &server, later()).await, Err(ReadError::Source(Misbehaviour::Refused)));
        }
        server.fails_with(Misbehaviour::NoDifferences);
        assert_eq!(copies.list(&zone(), &server, soon()).await, Err(ReadError::Deadline));
    }
}

#[tokio::test]
async fn all_who_wait_share_one_transfer() {
    let (copies, server) = (Arc::new(ZoneCopies::new()), Arc::new(Server::gated("ns1.test")));
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let (copies, server) = (Arc::clone(&copies), Arc::clone(&server));
            tokio::spawn(async move { read(&copies, &server).await })
        })
        .collect();
    tokio::task::yield_now().await;
    server.gate.as_ref().unwrap().notify_one();
    for reader in readers {
        assert_eq!(*reader.await.unwrap().contents, version(1, &[1]));
    }
    assert_eq!(server.was_asked(), [Asked::Whole]);
}

#[tokio::test]
async fn an_applied_update_is_read_at_once_and_confirmed_by_differences() {
    let (copies, server) = (ZoneCopies::new(), Arc::new(Server::new("ns1.test")));
    let before = read(&copies, &server).await;
    copies.apply(&server.address, &adding(2));
    assert_eq!(*copies.get(&zone(), &server.address).unwrap().contents, version(1, &[1, 2]));
    assert_eq!(*before.contents, version(1, &[1]), "a copy that somebody holds stays as it is");
    server.moves_to(2);
    server.was_asked();
    assert_eq!(*read(&copies, &server).await.contents, version(2, &[1, 2]));
    assert_eq!(server.was_asked(), [Asked::Serial, Asked::Differences { from: 1 }]);
}

#[tokio::test]
async fn an_update_that_did_not_move_the_serial_is_checked_against_the_whole_zone() {
    let (copies, server) = (ZoneCopies::new(), Arc::new(Server::new("ns1.test")));
    read(&copies, &server).await;
    copies.apply(&server.address, &adding(2));
    server.was_asked();
    assert_eq!(*read(&copies, &server).await.contents, version(1, &[1]), "the server passed over it in silence");
    assert_eq!(server.was_asked(), [Asked::Serial, Asked::Whole]);
    assert_eq!(read(&copies, &server).await.kind, ReadKind::Unchanged);
}

#[tokio::test]
async fn a_serial_that_has_passed_over_a_change_is_not_believed_again() {
    let (copies, server) = (ZoneCopies::new(), Arc::new(Server::new("ns1.test")));
    read(&copies, &server).await;
    copies.apply(&server.address, &adding(2));
    for hosts in [&[1, 2][..], &[1, 2, 3], &[1]] {
        *server.version.lock().unwrap() = version(1, hosts);
        assert_eq!(*read(&copies, &server).await.contents, version(1, hosts));
    }
}

#[tokio::test]
async fn who_does_nothing_if_nothing_has_changed_asks_for_more_than_a_serial_that_never_moved() {
    let (copies, server) = (ZoneCopies::new(), Arc::new(Server::new("ns1.test")));
    read(&copies, &server).await;
    let confirm = async || copies.confirm(&zone(), &server, later()).await.unwrap();
    *server.version.lock().unwrap() = version(1, &[1, 2]);
    server.was_asked();
    assert_eq!(*confirm().await.contents, version(1, &[1, 2]));
    assert_eq!(server.was_asked(), [Asked::Serial, Asked::Whole]);

    let (copies, server) = (ZoneCopies::new(), Arc::new(Server::new("ns1.test")));
    read(&copies, &server).await;
    server.moves_to(2);
    read(&copies, &server).await;
    server.was_asked();
    assert_eq!(copies.confirm(&zone(), &server, later()).await.unwrap().kind, ReadKind::Unchanged);
    assert_eq!(server.was_asked(), [Asked::Serial], "it is known to move");
}

#[tokio::test]
async fn an_update_done_during_a_transfer_is_not_lost() {
    let (copies, server) = (ZoneCopies::new(), Arc::new(Server::gated("ns1.test")));
    assert_eq!(copies.read(&zone(), &server, soon()).await, Err(ReadError::Deadline));
    copies.apply(&server.address, &adding(2));
    server.moves_to(2);
    server.gate.as_ref().unwrap().notify_one();
    assert_eq!(*read(&copies, &server).await.contents, version(1, &[1, 2]));
    assert_eq!(*read(&copies, &server).await.contents, version(2, &[1, 2]));
    assert_eq!(server.was_asked(), [Asked::Whole, Asked::Serial, Asked::Differences { from: 1 }]);
}

#[tokio::test]
async fn a_doubted_copy_is_read_whole_where_the_serial_tells_nothing() {
    let (copies, server) = (ZoneCopies::new(), Arc::new(Server::new("ns1.test")));
    read(&copies, &server).await;
    copies.invalidate(&zone(), &server.address);
    server.was_asked();
    read(&copies, &server).await;
    assert_eq!(server.was_asked(), [Asked::Serial, Asked::Whole]);
    copies.invalidate(&zone(), &server.address);
    server.moves_to(2);
    read(&copies, &server).await;
    assert_eq!(server.was_asked(), [Asked::Serial, Asked::Differences { from: 1 }]);
}

#[tokio::test]
async fn no_change_starts_from_a_doubted_copy() {
    let (copies, server) = (ZoneCopies::new(), Arc::new(Server::new("ns1.test")));
    read(&copies, &server).await;
    assert!(copies.trusted(&zone(), &server.address).is_some());
    copies.invalidate(&zone(), &server.address);
    assert!(copies.trusted(&zone(), &server.address).is_none());
    read(&copies, &server).await;
    assert!(copies.trusted(&zone(), &server.address).is_some());
}

#[tokio::test]
async fn reading_back_never_takes_a_transfer_that_began_before() {
    for invalidated in [false, true] {
        let (copies, server) = (ZoneCopies::new(), Arc::new(Server::gated("ns1.test")));
        assert_eq!(copies.read(&zone(), &server, soon()).await, Err(ReadError::Deadline));
        server.moves_to(2);
        server.gate.as_ref().unwrap().notify_one();
        let copy = if invalidated {
            copies.invalidate(&zone(), &server.address);
            read(&copies, &server).await
        } else {
            copies.read_anew(&zone(), &server, later()).await.unwrap()
        };
        assert_eq!(*copy.contents, version(2, &[1, 2]));
        assert_eq!(server.was_asked(), [Asked::Whole, Asked::Serial, Asked::Differences { from: 1 }]);
    }
}

#[tokio::test]
async fn copies_are_kept_for_the_two_servers_used_last() {
    let copies = ZoneCopies::new();
    let servers = ["ns1.test", "ns2.test", "ns3.test"].map(|host| Arc::new(Server::new(host)));
    read(&copies, &servers[0]).await;
    read(&copies, &servers[1]).await;
    read(&copies, &servers[0]).await;
    read(&copies, &servers[2]).await;
    let kept = servers.map(|server| copies.get(&zone(), &server.address).is_some());
    assert_eq!(kept, [true, false, true]);
}

#[tokio::test]
async fn a_copy_from_elsewhere_is_what_the_next_read_starts_from() {
    let (copies, server) = (ZoneCopies::new(), Arc::new(Server::new("ns1.test")));
    let held = Version { contents: Arc::new(version(1, &[1])), marker: 1 };
    copies.put(&server.address, held, SystemTime::UNIX_EPOCH);
    assert_eq!(read(&copies, &server).await.kind, ReadKind::Unchanged);
    assert_eq!(server.was_asked(), [Asked::Serial]);
}
