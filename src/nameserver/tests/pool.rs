use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep};

use super::super::discovery::Resolver;
use super::*;
use crate::dns::{Message, ServerAddress, ServerSource};

fn pool(strategy: Strategy, servers: &[&FakeServer]) -> Pool {
    let sources = servers.iter().map(|server| ServerSource::Server(server.address())).collect();
    Pool::new(PoolSettings { sources, strategy, port: 53, session: settings(hmac()) })
}

async fn two() -> (FakeServer, FakeServer) {
    (FakeServer::start().await, FakeServer::start().await)
}

fn used(pool: &Pool) -> Vec<ServerAddress> {
    pool.status().into_iter().filter(|status| status.in_use).map(|status| status.address).collect()
}

/// Sends an update, over another server where one fails.
async fn send(pin: &Pin) -> Result<ServerAddress, ServerError> {
    loop {
        let server = pin.server();
        match server.update(&update()).await {
            Ok(_) => {
                pin.succeeded(&server);
                return Ok(server.address().clone());
            }
            Err(error) if pin.fail_over(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

#[tokio::test]
async fn defect_02_the_first_server_is_used_until_it_fails_and_again_once_it_is_back() {
    let (mut first, second) = two().await;
    let pool = pool(Strategy::Sticky, &[&first, &second]);
    for _ in 0..3 {
        assert_eq!(send(&pool.advance().await.unwrap()).await.unwrap(), first.address());
    }
    first.stop().await;
    assert_eq!(send(&pool.pin().await.unwrap()).await.unwrap(), second.address());
    assert_eq!(used(&pool), [second.address()]);
    let status = pool.status();
    assert!(status[0].failed && status[0].last_error.is_some() && !status[1].failed);
    // While it is away nothing is tried there.
    assert_eq!(pool.advance().await.unwrap().server().address(), &second.address());
    first.restart().await;
    sleep(Duration::from_millis(300)).await;
    assert_eq!(send(&pool.advance().await.unwrap()).await.unwrap(), first.address());
}

#[tokio::test]
async fn what_a_server_answers_is_no_reason_to_ask_another() {
    let (first, second) = two().await;
    let pool = pool(Strategy::Sticky, &[&first, &second]);
    let pin = pool.advance().await.unwrap();
    first.then([Reaction::TsigError { error: Rcode::BADTIME, skew: 900, signed: true }]);
    let error = send(&pin).await.unwrap_err();
    assert!(matches!(error.fault, Fault::Rejected { .. }));
    assert_eq!(pin.server().address(), &first.address());
    assert_eq!(second.world().connections, 0);
}

#[tokio::test]
async fn a_server_that_failed_is_not_tried_again_in_the_same_request() {
    let (mut first, mut second) = two().await;
    let pool = pool(Strategy::Sticky, &[&first, &second]);
    first.stop().await;
    second.stop().await;
    let pin = pool.advance().await.unwrap();
    let error = send(&pin).await.unwrap_err();
    assert_eq!(error.server, second.address());
    assert!(!pin.fail_over(&error));
}

#[tokio::test]
async fn when_all_have_failed_the_next_request_tries_them_all_the_same() {
    let (mut first, mut second) = two().await;
    let pool = pool(Strategy::Sticky, &[&first, &second]);
    first.stop().await;
    second.stop().await;
    send(&pool.advance().await.unwrap()).await.unwrap_err();
    second.restart().await;
    assert_eq!(send(&pool.advance().await.unwrap()).await.unwrap(), second.address());
}

#[tokio::test]
async fn a_single_server_is_never_left_alone() {
    let mut only = FakeServer::start().await;
    let pool = pool(Strategy::Sticky, &[&only]);
    only.stop().await;
    send(&pool.advance().await.unwrap()).await.unwrap_err();
    assert!(!pool.status()[0].failed && pool.status()[0].last_error.is_some());
    only.restart().await;
    send(&pool.advance().await.unwrap()).await.unwrap();
    assert!(pool.status()[0].last_error.is_none());
}

#[tokio::test]
async fn cause_13_a_read_and_the_write_that_follows_use_the_same_server() {
    let (first, second) = two().await;
    for strategy in [Strategy::Sticky, Strategy::RoundRobin, Strategy::Random] {
        let pool = pool(strategy, &[&first, &second]);
        for _ in 0..10 {
            let read = pool.advance().await.unwrap().server().address().clone();
            assert_eq!(pool.pin().await.unwrap().server().address(), &read);
        }
    }
}

#[tokio::test]
async fn whoever_only_looks_moves_no_reconcile() {
    let (mut first, second) = two().await;
    let pool = pool(Strategy::Sticky, &[&first, &second]);
    send(&pool.advance().await.unwrap()).await.unwrap();
    first.stop().await;
    let look = pool.look().await.unwrap();
    assert_eq!(send(&look).await.unwrap(), second.address(), "it finds the server that works");
    assert_eq!(used(&pool), [first.address()]);
    let status = pool.status();
    assert!(!status[0].failed && status[0].last_error.is_some(), "told, and left to the reconcile");
    first.restart().await;
    assert_eq!(send(&pool.pin().await.unwrap()).await.unwrap(), first.address());
    assert!(pool.status()[0].last_error.is_none());
}

#[tokio::test]
async fn defect_21_the_strategies_use_every_server() {
    let (first, second) = two().await;
    let addresses = |pool: Pool| async move {
        let mut addresses = Vec::new();
        for _ in 0..40 {
            addresses.push(pool.advance().await.unwrap().server().address().clone());
        }
        addresses
    };
    let turns = addresses(pool(Strategy::RoundRobin, &[&first, &second])).await;
    assert_eq!(turns[..4], [first.address(), second.address(), first.address(), second.address()]);
    let random = addresses(pool(Strategy::Random, &[&first, &second])).await;
    assert!(random.contains(&first.address()) && random.contains(&second.address()));
}

#[tokio::test]
async fn closing_deletes_the_contexts_of_all_servers() {
    let (first, second) = two().await;
    let sources = [&first, &second].map(|server| ServerSource::Server(server.address())).to_vec();
    let session = settings(FakeKerberos::new().authentication());
    let pool = Pool::new(PoolSettings { sources, strategy: Strategy::RoundRobin, port: 53, session });
    for _ in 0..2 {
        send(&pool.advance().await.unwrap()).await.unwrap();
    }
    pool.close().await;
    assert_eq!((first.world().deleted.len(), second.world().deleted.len()), (1, 1));
}

#[tokio::test]
async fn closing_does_not_wait_long_for_servers_that_are_silent() {
    let (first, second) = two().await;
    let sources = [&first, &second].map(|server| ServerSource::Server(server.address())).to_vec();
    let session = settings(FakeKerberos::new().authentication());
    let pool = Pool::new(PoolSettings { sources, strategy: Strategy::RoundRobin, port: 53, session });
    for _ in 0..2 {
        send(&pool.advance().await.unwrap()).await.unwrap();
    }
    (first.world().tkey.silent, second.world().tkey.silent) = (true, true);
    let start = Instant::now();
    pool.close().await;
    assert!(start.elapsed() < TIMEOUT * 3 / 2);
}

/// A resolver that answers SRV queries with these hosts, by priority.
async fn resolver(hosts: &'static [(u16, u16, &'static str)]) -> (Resolver, Arc<std::sync::Mutex<Vec<String>>>) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    let asked: Arc<std::sync::Mutex<Vec<String>>> = Arc::default();
    let log = asked.clone();
    tokio::spawn(async move {
        let mut octets = vec![0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut octets).await {
            let query = Message::parse(&octets[..length]).unwrap();
            log.lock().unwrap().push(query.questions[0].name.to_string());
            let known = query.questions[0].name.to_string().starts_with("_ldap._tcp.dc._msdcs.ad.test");
            let mut answer = octets[..length].to_vec();
            (answer[2], answer[3]) = (0x81, 0x80);
            for &(priority, weight, host) in if known { hosts } else { &[] } {
                answer[7] += 1;
                let host = name(host);
                let length = u16::try_from(6 + host.as_wire().len()).unwrap();
                answer.extend(b"\xc0\x0c\x00\x21\x00\x01\x00\x00\x00\x3c");
                answer.extend([length, priority, weight, 389].map(u16::to_be_bytes).concat());
                answer.extend(host.as_wire());
            }
            // Somebody else's answer comes first and is not believed.
            let mut forged = answer.clone();
            forged[0] ^= 1;
            forged.truncate(12);
            socket.send_to(&forged, from).await.unwrap();
            socket.send_to(&answer, from).await.unwrap();
        }
    });
    (Resolver::new(vec![address], TIMEOUT), asked)
}

fn discovering(domain: &str, resolver: Resolver) -> Pool {
    let sources = vec![ServerSource::Srv(domain.into())];
    let settings = PoolSettings { sources, strategy: Strategy::Sticky, port: 5353, session: settings(hmac()) };
    Pool::with_resolver(settings, Some(resolver))
}

#[tokio::test]
async fn domain_controllers_are_found_by_srv_records_the_preferred_first() {
    let hosts = &[(10, 0, "dc3.ad.test"), (0, 1, "dc2.ad.test"), (0, 100, "DC1.ad.test"), (1, 0, ".")];
    let (resolver, asked) = resolver(hosts).await;
    let pool = discovering("ad.test", resolver);
    let pin = pool.advance().await.unwrap();
    assert_eq!(pin.server().address().to_string(), "dc1.ad.test:5353");
    let hosts: Vec<_> = pool.servers().iter().map(|server| server.address().host.clone()).collect();
    assert_eq!(hosts, ["dc1.ad.test", "dc2.ad.test", "dc3.ad.test"]);
    pool.pin().await.unwrap();
    assert_eq!(*asked.lock().unwrap(), ["_ldap._tcp.dc._msdcs.ad.test."]);
}

#[tokio::test]
async fn controllers_are_looked_up_again_in_the_background_and_known_ones_kept() {
    let (resolver, asked) = resolver(&[(0, 0, "dc1.ad.test")]).await;
    let pool = discovering("ad.test", resolver);
    pool.advance().await.unwrap();
    sleep(Duration::from_millis(250)).await;
    pool.advance().await.unwrap();
    sleep(Duration::from_millis(150)).await;
    assert_eq!(asked.lock().unwrap().len(), 2);
    assert_eq!(pool.servers().len(), 1);
    assert_eq!(used(&pool), [pool.servers()[0].address().clone()]);
}

#[tokio::test]
async fn a_domain_without_controllers_is_an_error_that_names_it() {
    let (resolver, asked) = resolver(&[]).await;
    let error = discovering("none.test", resolver).advance().await.unwrap_err();
    assert!(matches!(error, DiscoveryError::NoServers(domain) if domain == "none.test"));
    assert_eq!(*asked.lock().unwrap(), ["_ldap._tcp.dc._msdcs.none.test.", "_ldap._tcp.none.test."]);
    let silent = Resolver::new(Vec::new(), TIMEOUT);
    let error = discovering("ad.test", silent).advance().await.unwrap_err();
    assert!(matches!(error, DiscoveryError::NoAnswer { .. }));
}
