use std::time::Duration;

use proptest::prelude::{Just, ProptestConfig, Strategy, prop, prop_oneof, proptest};
use tokio::time::Instant;

use super::*;
use crate::dns::ServerAddress;
use crate::dns::tkey::TkeyError;
use crate::kerberos::Realm;

#[tokio::test]
async fn defect_28_the_target_is_the_dns_service_of_the_configured_host_and_realm() {
    let fake = FakeServer::start().await;
    let kerberos = FakeKerberos::new();
    succeed(&fake.client(kerberos.authentication())).await;
    let targets = kerberos.targets.lock().unwrap();
    assert_eq!(targets.iter().map(ToString::to_string).collect::<Vec<_>>(), ["DNS/ns1.example.test@EXAMPLE.TEST"]);
}

#[tokio::test]
async fn final_answers_that_are_unsigned_or_do_not_verify_are_let_pass() {
    for (signed, spoiled) in [(false, false), (true, true)] {
        let fake = FakeServer::start().await;
        (fake.world().tkey.signed, fake.world().tkey.spoiled) = (signed, spoiled);
        succeed(&fake.client(FakeKerberos::new().authentication())).await;
        assert_eq!(fake.world().negotiations, 1);
    }
}

#[tokio::test]
async fn more_than_one_round_is_gone_through() {
    let fake = FakeServer::start().await;
    fake.world().tkey.rounds = 3;
    succeed(&fake.client(FakeKerberos::new().authentication())).await;
}

#[tokio::test]
async fn a_negotiation_without_end_is_given_up() {
    let fake = FakeServer::start().await;
    fake.world().tkey.rounds = 200;
    let error = fake.client(FakeKerberos::new().authentication()).update(&update()).await.unwrap_err();
    assert!(matches!(error.fault, Fault::Stalled), "{error:?}");
    assert_eq!(error.sent, Sent::Nothing);
}

#[tokio::test]
async fn the_server_may_rename_the_key_and_put_its_answer_in_the_additional_section() {
    let fake = FakeServer::start().await;
    fake.world().tkey.renamed = Some(name("other.sig"));
    fake.world().tkey.in_additional = true;
    succeed(&fake.client(FakeKerberos::new().authentication())).await;
    assert_eq!(fake.world().requests[0].additionals[0].name, name("other.sig"));
}

#[tokio::test]
async fn a_refused_context_is_told_with_the_servers_code() {
    for code in [Rcode::BADKEY, Rcode::BADNAME, Rcode::BADMODE] {
        let fake = FakeServer::start().await;
        fake.world().tkey.error = code;
        let kerberos = FakeKerberos::new();
        let error = fake.client(kerberos.authentication()).update(&update()).await.unwrap_err();
        assert!(matches!(error.fault, Fault::Tkey(TkeyError::Refused(found)) if found == code), "{error:?}");
        assert_eq!(error.sent, Sent::Nothing);
        assert!(!error.is_transport());
        // Only BADKEY may come from tickets for keys that the server no longer has.
        assert_eq!(*kerberos.forgotten.lock().unwrap(), usize::from(code == Rcode::BADKEY));
    }
}

#[tokio::test]
async fn a_kerberos_error_reaches_the_caller_with_its_words() {
    let fake = FakeServer::start().await;
    let kerberos = FakeKerberos::new();
    *kerberos.error.lock().unwrap() = Some(gss_error("Preauthentication failed"));
    let error = fake.client(kerberos.authentication()).soa(&zone()).await.unwrap_err();
    assert!(matches!(error.fault, Fault::Kerberos(cause) if cause.minor_text == "Preauthentication failed"));
    assert_eq!(fake.world().connections, 0);
}

#[tokio::test]
async fn a_silent_kdc_holds_one_thread_and_nobody_longer_than_the_timeout() {
    let fake = FakeServer::start().await;
    let kerberos = FakeKerberos::new();
    *kerberos.delay.lock().unwrap() = 3 * TIMEOUT;
    let authentication = kerberos.authentication();
    let servers = [fake.client(authentication.clone()), fake.client(authentication)];
    let start = Instant::now();
    let zone = zone();
    let (first, second) = tokio::join!(servers[0].soa(&zone), servers[1].soa(&zone));
    for error in [first.unwrap_err(), second.unwrap_err()] {
        assert!(matches!(error.fault, Fault::KdcSilent(_)), "{error:?}");
        assert_eq!(error.sent, Sent::Nothing);
    }
    assert!(start.elapsed() < 2 * TIMEOUT);
    assert_eq!(*kerberos.acquired.lock().unwrap(), 1);
}

#[tokio::test]
async fn a_server_that_does_not_answer_the_key_request_ends_the_wait_at_the_timeout() {
    let fake = FakeServer::start().await;
    fake.world().tkey.silent = true;
    let error = fake.client(FakeKerberos::new().authentication()).update(&update()).await.unwrap_err();
    assert!(error.is_timeout() && error.is_transport() && error.sent == Sent::Nothing, "{error:?}");
}

/// Samba 4.22 refuses so what is signed with a context that it has lost, and Windows is reported to refuse so anything.
#[tokio::test]
async fn a_refusal_that_nothing_proves_has_the_context_asked_after_and_not_too_often() {
    let fake = FakeServer::start().await;
    let server = fake.client(FakeKerberos::new().authentication());
    succeed(&server).await;
    let context = server.context().unwrap();
    // It answers another question as it should: the refusal was one.
    assert!(!server.has_lost(&context, &zone()).await);
    let asked = fake.world().requests.len();
    assert!(!server.has_lost(&context, &zone()).await);
    assert_eq!(fake.world().requests.len(), asked, "just asked");
    tokio::time::sleep(Duration::from_millis(150)).await;
    fake.then([Reaction::Echo(Rcode::REFUSED)]);
    assert!(server.has_lost(&context, &zone()).await);
    succeed(&server).await;
    assert_ne!(server.context().unwrap(), context);
    assert!(server.has_lost(&context, &zone()).await, "others that were refused under it are sent anew");
}

#[tokio::test]
async fn key_names_are_random_and_never_used_twice() {
    let fake = FakeServer::start().await;
    let authentication = FakeKerberos::new().authentication();
    for _ in 0..20 {
        succeed(&fake.client(authentication.clone())).await;
    }
    let world = fake.world();
    let mut keys: Vec<_> = world.requests.iter().map(|request| request.additionals[0].name.clone()).collect();
    assert!(keys.iter().all(|key| key.labels().next().unwrap().len() == 32));
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 20);
}

#[derive(Debug, Clone)]
enum Call {
    Update(String),
    Soa(String),
    Transfer(String),
    LoseContext,
    Close,
}

fn call() -> impl Strategy<Value = Call> {
    let zone = "([a-z]{1,8}\\.){1,3}(test|TEST|EXAMPLE)\\.?";
    prop_oneof![
        zone.prop_map(Call::Update),
        zone.prop_map(Call::Soa),
        zone.prop_map(Call::Transfer),
        Just(Call::LoseContext),
        Just(Call::Close),
    ]
}

async fn perform(fake: &FakeServer, server: &Server, call: &Call) {
    match call {
        Call::Update(zone) => {
            let update = Update { zone: zone.parse().unwrap(), ..update() };
            let _ = server.update(&update).await.unwrap();
        }
        Call::Soa(zone) => drop(server.soa(&zone.parse().unwrap()).await.unwrap()),
        Call::Transfer(zone) => drop(server.transfer(&zone.parse().unwrap()).await),
        Call::LoseContext => fake.world().contexts.clear(),
        Call::Close => server.close().await,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn whatever_zones_are_asked_for_the_realm_stays_the_configured_one(
        calls in prop::collection::vec(call(), 1..20),
        host in "[a-z]{1,8}\\.(other\\.test|example\\.com)",
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let fake = FakeServer::start().await;
            let kerberos = FakeKerberos::new();
            let address = ServerAddress { host: host.clone(), ..fake.address() };
            let server = Server::new(address, settings(kerberos.authentication()));
            for call in &calls {
                perform(&fake, &server, call).await;
            }
            let realm = Realm::parse("EXAMPLE.TEST").unwrap().realm;
            let targets = kerberos.targets.lock().unwrap();
            for target in targets.iter() {
                assert_eq!(*target.realm(), realm);
                assert_eq!(target.to_string(), format!("DNS/{host}@EXAMPLE.TEST"));
            }
            let asks = calls.iter().any(|call| !matches!(call, Call::LoseContext | Call::Close));
            assert_eq!(asks, !targets.is_empty());
        });
    }
}

#[tokio::test]
async fn the_shortest_of_ticket_context_and_grant_ends_a_context() {
    let fake = FakeServer::start().await;
    let kerberos = FakeKerberos::new();
    *kerberos.lifetime.lock().unwrap() = Duration::from_secs(36_000);
    let server = fake.client(kerberos.authentication());
    succeed(&server).await;
    let remaining = server.context_remaining().unwrap();
    assert!(remaining <= Duration::from_secs(3600) && remaining > Duration::from_secs(3500));
}
