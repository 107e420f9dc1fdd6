use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::dns::Soa;
use crate::dns::tsig::{Flaw, MacInput, TsigError};

#[tokio::test]
async fn defect_26_many_updates_take_one_negotiation_and_one_connection() {
    let fake = FakeServer::start().await;
    let server = fake.client(FakeKerberos::new().authentication());
    for _ in 0..50 {
        succeed(&server).await;
    }
    let world = fake.world();
    assert_eq!((world.negotiations, world.connections, world.requests.len()), (1, 1, 50));
    assert_eq!(server.negotiations(), 1);
}

#[tokio::test]
async fn a_shared_key_signs_updates_and_queries() {
    let fake = FakeServer::start().await;
    let server = fake.client(hmac());
    succeed(&server).await;
    assert_eq!(server.soa(&zone()).await.unwrap(), Soa { mname: name("."), serial: 7 });
    assert_eq!(server.query(&name("nothing.example.test"), RecordType::A).await.unwrap(), None);
    let signed = |message: &crate::dns::Message| message.additionals.iter().any(|r| r.rtype == RecordType::TSIG);
    assert!(fake.world().requests.iter().all(signed));
}

#[tokio::test]
async fn without_a_key_nothing_is_signed_and_nothing_verified() {
    let fake = FakeServer::start().await;
    let server = fake.client(Authentication::Insecure);
    let reply = server.update(&update()).await.unwrap();
    assert_eq!(reply.authenticity, Authenticity::NotAsked);
    assert!(reply.authenticity.is_believable());
    server.soa(&zone()).await.unwrap();
    assert!(fake.world().requests.iter().all(|request| request.additionals.is_empty()));
}

#[tokio::test]
async fn a_connection_that_the_server_closed_while_idle_is_not_noticed() {
    let fake = FakeServer::start().await;
    fake.then([Reaction::AnswerAndClose, Reaction::AnswerAndClose]);
    let server = fake.client(FakeKerberos::new().authentication());
    for _ in 0..3 {
        succeed(&server).await;
        sleep(Duration::from_millis(20)).await;
    }
    let world = fake.world();
    assert_eq!((world.negotiations, world.connections, world.requests.len()), (1, 3, 3));
}

#[tokio::test]
async fn a_restarted_server_that_lost_the_context_gets_a_new_one() {
    let mut fake = FakeServer::start().await;
    let server = fake.client(FakeKerberos::new().authentication());
    succeed(&server).await;
    fake.restart().await;
    fake.world().contexts.clear();
    succeed(&server).await;
    assert_eq!(fake.world().negotiations, 2);
}

#[tokio::test]
async fn defect_20_an_unknown_key_is_negotiated_anew_once_and_the_request_signed_afresh() {
    let fake = FakeServer::start().await;
    let server = fake.client(FakeKerberos::new().authentication());
    succeed(&server).await;
    fake.world().contexts.clear();
    succeed(&server).await;
    {
        let world = fake.world();
        assert_eq!((world.negotiations, world.requests.len()), (2, 3));
        let keys: Vec<_> = world.requests.iter().map(|request| &request.additionals[0].name).collect();
        assert!(keys[0] == keys[1] && keys[1] != keys[2]);
    }
    let lost = Reaction::TsigError { error: Rcode::BADKEY, skew: 0, signed: false };
    fake.then([lost.clone(), lost]);
    let error = server.update(&update()).await.unwrap_err();
    assert!(
        matches!(error.fault, Fault::Rejected { error: TsigError::BadKey, signed: false, shared: false, .. }),
        "{error:?}"
    );
    assert_eq!((error.sent, error.zone), (Sent::Answered, Some(zone())));
    assert_eq!(fake.world().negotiations, 3);
}

#[tokio::test]
async fn a_shared_key_that_the_server_does_not_know_is_an_error_at_once() {
    let fake = FakeServer::start().await;
    fake.then([Reaction::TsigError { error: Rcode::BADKEY, skew: 0, signed: false }]);
    let error = fake.client(hmac()).update(&update()).await.unwrap_err();
    assert!(matches!(error.fault, Fault::Rejected { key, shared: true, .. } if key == name("key.test")));
    assert_eq!(fake.world().requests.len(), 1);
}

#[tokio::test]
async fn clocks_that_differ_are_reported_in_seconds() {
    let fake = FakeServer::start().await;
    fake.then([Reaction::TsigError { error: Rcode::BADTIME, skew: 600, signed: true }]);
    let error = fake.client(FakeKerberos::new().authentication()).update(&update()).await.unwrap_err();
    let Fault::Rejected { error: TsigError::BadTime { skew: Some(skew) }, signed: true, .. } = error.fault else {
        panic!("{error:?}");
    };
    assert!((599..=601).contains(&skew), "{skew}");
    let words = TsigError::BadTime { skew: Some(-7) }.to_string();
    assert_eq!(words, "BADTIME: its clock is 7 seconds behind ours");
}

#[tokio::test]
async fn defect_19_answers_are_classified_by_their_signature() {
    let fake = FakeServer::start().await;
    let server = fake.client(FakeKerberos::new().authentication());
    let cases = [
        (Reaction::Answer(Rcode::REFUSED), Rcode::REFUSED, Authenticity::Verified(MacInput::Standard)),
        (Reaction::AnswerLikeSamba(Rcode::NOERROR), Rcode::NOERROR, Authenticity::Verified(MacInput::Samba)),
        (Reaction::AnswerUnsigned(Rcode::REFUSED), Rcode::REFUSED, Authenticity::Unverified(Flaw::Unsigned)),
        (Reaction::Echo(Rcode::NOERROR), Rcode::NOERROR, Authenticity::Unverified(Flaw::Echoed)),
        (Reaction::Echo(Rcode::REFUSED), Rcode::REFUSED, Authenticity::Unverified(Flaw::Echoed)),
    ];
    for (reaction, rcode, authenticity) in cases {
        fake.then([reaction]);
        assert_eq!(server.update(&update()).await.unwrap(), UpdateReply { rcode, authenticity, repeated: false });
    }
    succeed(&server).await;
    assert_eq!(fake.world().negotiations, 1);
}

#[tokio::test]
async fn a_read_that_is_not_verified_is_no_answer() {
    let fake = FakeServer::start().await;
    let server = fake.client(FakeKerberos::new().authentication());
    fake.then([Reaction::AnswerUnsigned(Rcode::NOERROR), Reaction::Echo(Rcode::NXDOMAIN)]);
    let error = server.soa(&zone()).await.unwrap_err();
    assert!(matches!(error.fault, Fault::Unverified(Flaw::Unsigned)), "{error:?}");
    let error = server.query(&name("x.example.test"), RecordType::A).await.unwrap_err();
    assert!(matches!(error.fault, Fault::Unverified(Flaw::Echoed)), "{error:?}");
    assert!(!error.is_transport());
}

#[tokio::test]
async fn a_silent_server_ends_the_wait_at_the_timeout_with_the_outcome_unknown() {
    let fake = FakeServer::start().await;
    let server = fake.client(hmac());
    fake.then([Reaction::Silence]);
    let start = Instant::now();
    let error = server.update(&update()).await.unwrap_err();
    assert!(start.elapsed() < 2 * TIMEOUT);
    assert_eq!(error.sent, Sent::Unknown);
    assert!(error.is_timeout() && error.is_transport());
    succeed(&server).await;
    assert_eq!(fake.world().connections, 2);
}

#[tokio::test]
async fn an_update_whose_answer_is_lost_is_not_sent_again() {
    for reaction in [Reaction::Close, Reaction::Half] {
        let fake = FakeServer::start().await;
        let server = fake.client(hmac());
        succeed(&server).await;
        fake.then([reaction]);
        let error = server.update(&update()).await.unwrap_err();
        assert_eq!(error.sent, Sent::Unknown, "{error:?}");
        assert!(matches!(error.fault, Fault::Closed | Fault::Receive(_)));
        assert_eq!(fake.world().requests.len(), 2);
    }
}

/// A server may close its side after any answer (RFC 7766 §6.2.4).
#[tokio::test]
async fn an_update_that_prerequisites_guard_is_signed_anew_and_sent_again_over_a_new_connection() {
    for reaction in [Reaction::Close, Reaction::Half] {
        let fake = FakeServer::start().await;
        let server = fake.client(hmac());
        succeed(&server).await;
        fake.then([reaction]);
        let name = zone().as_name().clone();
        let guarded = Update { prerequisites: vec![crate::dns::Prerequisite::NameInUse(name)], ..update() };
        server.update(&guarded).await.unwrap();
        let world = fake.world();
        assert_eq!((world.connections, world.requests.len()), (2, 3));
    }
}

#[tokio::test]
async fn defect_03_a_query_whose_connection_breaks_is_sent_again_over_a_new_one() {
    let fake = FakeServer::start().await;
    let server = fake.client(hmac());
    succeed(&server).await;
    fake.then([Reaction::Close]);
    assert_eq!(server.soa(&zone()).await.unwrap().serial, 7);
    let world = fake.world();
    assert_eq!((world.connections, world.requests.len()), (2, 3));
}

#[tokio::test]
async fn an_answer_to_another_request_ends_the_connection() {
    let fake = FakeServer::start().await;
    let server = fake.client(hmac());
    fake.then([Reaction::WrongId]);
    let error = server.update(&update()).await.unwrap_err();
    assert!(matches!(error.fault, Fault::WrongAnswer) && error.sent == Sent::Unknown);
    succeed(&server).await;
    assert_eq!(fake.world().connections, 2);
}

#[tokio::test]
async fn defect_24_a_cancelled_request_leaves_no_answer_behind_for_the_next_one() {
    let fake = FakeServer::start().await;
    let server = fake.client(FakeKerberos::new().authentication());
    succeed(&server).await;
    fake.then([Reaction::Late(Duration::from_millis(100))]);
    assert!(timeout(Duration::from_millis(30), server.update(&update())).await.is_err());
    assert_eq!(server.soa(&zone()).await.unwrap().serial, 7);
    sleep(Duration::from_millis(120)).await;
    succeed(&server).await;
    let world = fake.world();
    assert_eq!((world.negotiations, world.connections), (1, 1));
}

#[tokio::test]
async fn a_server_that_is_not_there_has_got_nothing() {
    let mut fake = FakeServer::start().await;
    fake.stop().await;
    let error = fake.client(hmac()).update(&update()).await.unwrap_err();
    assert!(matches!(error.fault, Fault::Connect(_)), "{error:?}");
    assert_eq!((error.sent, error.server), (Sent::Nothing, fake.address()));
}

#[tokio::test]
async fn a_name_without_address_is_told_as_such() {
    let address = crate::dns::ServerAddress { host: "nowhere.invalid".into(), address: None, port: 53 };
    let error = Server::new(address, settings(hmac())).soa(&zone()).await.unwrap_err();
    assert!(matches!(error.fault, Fault::Resolve(_) | Fault::ConnectTimeout(_)), "{error:?}");
    assert_eq!(error.sent, Sent::Nothing);
}

#[tokio::test]
async fn parallel_requests_do_not_get_each_others_answers() {
    let fake = FakeServer::start().await;
    let server = fake.client(FakeKerberos::new().authentication());
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let server = server.clone();
            tokio::spawn(async move { succeed(&server).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(fake.world().negotiations, 1);
}

#[tokio::test]
async fn requests_in_flight_share_a_connection_and_are_answered_in_any_order() {
    let fake = FakeServer::start().await;
    let server = fake.client(FakeKerberos::new().authentication());
    succeed(&server).await;
    fake.then([Reaction::AfterTheNext]);
    let (update, zone) = (update(), zone());
    let (first, second) = tokio::join!(server.update(&update), server.soa(&zone));
    assert_eq!((first.unwrap().rcode, second.unwrap().serial), (Rcode::NOERROR, 7));
    let world = fake.world();
    assert_eq!((world.connections, world.requests.len()), (1, 3));
}

#[tokio::test]
async fn requests_that_come_while_there_is_no_connection_open_one_for_all() {
    let fake = FakeServer::start().await;
    let server = fake.client(hmac());
    let zone = zone();
    let outcomes = futures_util::future::join_all((0..8).map(|_| server.soa(&zone))).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(fake.world().connections, 1);
}

/// Of three in flight the server answers one, and closes: what prerequisites guard is sent again, the other is not.
#[tokio::test]
async fn all_that_is_in_flight_on_a_connection_that_closes_is_lost_and_only_what_is_guarded_sent_again() {
    let fake = FakeServer::start().await;
    let server = fake.client(hmac());
    succeed(&server).await;
    fake.then([Reaction::AnswerAndClose]);
    let apex = zone().as_name().clone();
    let guarded = Update { prerequisites: vec![crate::dns::Prerequisite::NameInUse(apex)], ..update() };
    let unguarded = update();
    let sent = [server.update(&unguarded), server.update(&guarded), server.update(&unguarded)];
    let outcomes = futures_util::future::join_all(sent).await;
    assert!(!outcomes[0].as_ref().unwrap().repeated);
    assert!(outcomes[1].as_ref().unwrap().repeated);
    assert_eq!(outcomes[2].as_ref().unwrap_err().sent, Sent::Unknown);
    let world = fake.world();
    assert_eq!((world.connections, world.requests.len()), (2, 3));
}

#[tokio::test]
async fn a_connection_that_says_nothing_fails_all_that_is_in_flight_there() {
    let fake = FakeServer::start().await;
    let server = fake.client(hmac());
    fake.then([Reaction::Silence, Reaction::Silence]);
    let start = Instant::now();
    let zone = zone();
    let (first, second) = tokio::join!(server.soa(&zone), server.soa(&zone));
    assert!(first.unwrap_err().is_timeout() && second.unwrap_err().is_timeout());
    assert!(start.elapsed() < 2 * TIMEOUT);
}

#[tokio::test]
async fn a_context_is_renewed_in_the_background_before_it_ends() {
    let fake = FakeServer::start().await;
    let kerberos = FakeKerberos::new();
    *kerberos.lifetime.lock().unwrap() = Duration::from_secs(1);
    let server = fake.client(kerberos.authentication());
    succeed(&server).await;
    *kerberos.lifetime.lock().unwrap() = Duration::from_secs(3600);
    assert!(server.context_remaining().unwrap() <= Duration::from_secs(1));
    sleep(Duration::from_millis(820)).await;
    // The old context still signs this one, whatever the KDC does meanwhile.
    *kerberos.delay.lock().unwrap() = Duration::from_millis(100);
    let start = Instant::now();
    succeed(&server).await;
    assert!(start.elapsed() < Duration::from_millis(90));
    sleep(Duration::from_millis(300)).await;
    succeed(&server).await;
    assert_eq!(fake.world().negotiations, 2);
    assert!(server.context_remaining().unwrap() > Duration::from_secs(3000));
}

#[tokio::test]
async fn an_expired_context_is_replaced_before_the_next_request() {
    let fake = FakeServer::start().await;
    let kerberos = FakeKerberos::new();
    *kerberos.lifetime.lock().unwrap() = Duration::from_millis(50);
    let server = fake.client(kerberos.authentication());
    succeed(&server).await;
    sleep(Duration::from_millis(60)).await;
    assert_eq!(server.context_remaining(), None);
    succeed(&server).await;
    assert_eq!(fake.world().negotiations, 2);
}

#[tokio::test]
async fn closing_deletes_the_context_on_the_server() {
    let fake = FakeServer::start().await;
    let server = fake.client(FakeKerberos::new().authentication());
    succeed(&server).await;
    let key = fake.world().requests[0].additionals[0].name.clone();
    server.close().await;
    assert_eq!(fake.world().deleted, [key]);
    assert_eq!(server.context_remaining(), None);
}

#[tokio::test]
async fn closing_a_server_that_was_never_used_sends_nothing() {
    let fake = FakeServer::start().await;
    fake.client(FakeKerberos::new().authentication()).close().await;
    assert_eq!(fake.world().connections, 0);
}
