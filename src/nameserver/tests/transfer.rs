use std::sync::Arc;

use super::*;
use crate::dns::tsig::{Flaw, TsigError};
use crate::dns::{ReplyError, TransferError, Transferred};

/// Four messages, in which only those of these numbers are signed.
fn stream(signed: &[usize]) -> Reaction {
    let messages = [&[SOA, NS].concat()[..], TXT, TXT, SOA];
    Reaction::Stream(
        messages.iter().enumerate().map(|(at, records)| (records.to_vec(), signed.contains(&at))).collect(),
    )
}

#[tokio::test]
async fn defect_05_a_transfer_is_verified_message_by_message() {
    let fake = FakeServer::start().await;
    for authentication in [hmac(), FakeKerberos::new().authentication()] {
        let server = fake.client(authentication);
        fake.then([stream(&[0, 1, 2, 3]), stream(&[0, 3])]);
        for _ in 0..2 {
            let contents = server.transfer(&zone()).await.unwrap();
            assert_eq!((contents.serial(), contents.iter().count()), (7, 3));
        }
        succeed(&server).await;
    }
    assert_eq!(fake.world().connections, 2);
}

#[tokio::test]
async fn a_transfer_that_is_not_signed_to_its_end_is_none() {
    let fake = FakeServer::start().await;
    let server = fake.client(hmac());
    fake.then([stream(&[])]);
    let error = server.transfer(&zone()).await.unwrap_err();
    assert!(matches!(error.fault, Fault::Unverified(Flaw::Unsigned)), "{error:?}");
    assert_eq!(error.zone, Some(zone()));
    // Without the last signature nothing says that the rest is the server's, so it is waited for.
    fake.then([stream(&[0, 2])]);
    let error = server.transfer(&zone()).await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
}

#[tokio::test]
async fn an_unsigned_transfer_is_taken_where_reads_are_not_signed() {
    let fake = FakeServer::start().await;
    let settings = Settings { sign_reads: false, ..(*settings(hmac())).clone() };
    let server = Server::new(fake.address(), Arc::new(settings));
    fake.then([stream(&[])]);
    assert_eq!(server.transfer(&zone()).await.unwrap().serial(), 7);
    assert_eq!(server.soa(&zone()).await.unwrap().serial, 7);
    assert!(fake.world().requests.iter().all(|request| request.additionals.is_empty()));
    succeed(&server).await;
}

#[tokio::test]
async fn a_transfer_that_stops_before_its_closing_soa_is_an_error() {
    let fake = FakeServer::start().await;
    let server = fake.client(hmac());
    let all = |messages: &[&[u8]]| Reaction::Stream(messages.iter().map(|records| (records.to_vec(), true)).collect());
    fake.then([all(&[SOA, NS])]);
    let error = server.transfer(&zone()).await.unwrap_err();
    assert!(error.is_timeout() && error.is_transport(), "{error:?}");
    fake.then([all(&[&[SOA, SOA].concat()])]);
    let error = server.transfer(&zone()).await.unwrap_err();
    assert!(matches!(error.fault, Fault::Transfer(TransferError::Empty)), "{error:?}");
    fake.then([all(&[b""])]);
    assert!(matches!(server.transfer(&zone()).await.unwrap_err().fault, Fault::Transfer(TransferError::Empty)));
}

#[tokio::test]
async fn a_transfer_whose_connection_ends_is_asked_for_once_more_and_then_cut_off() {
    let fake = FakeServer::start().await;
    let server = fake.client(hmac());
    let cut = Reaction::StreamAndClose(vec![([SOA, NS].concat(), true)]);
    fake.then([cut.clone(), Reaction::Stream(vec![([SOA, NS, SOA].concat(), true)])]);
    assert_eq!(server.transfer(&zone()).await.unwrap().record_count(), 2);
    fake.then([cut.clone(), cut]);
    let error = server.transfer(&zone()).await.unwrap_err();
    assert!(matches!(error.fault, Fault::Transfer(TransferError::CutOff { records: 2 })), "{error:?}");
    assert!(error.is_transport());
    assert_eq!(fake.world().requests.len(), 4);
}

#[tokio::test]
async fn a_transfer_whose_new_connection_ends_before_the_first_message_is_asked_for_once_more() {
    for end in [Reaction::Close, Reaction::Half] {
        let fake = FakeServer::start().await;
        let server = fake.client(hmac());
        fake.then([end.clone(), Reaction::Stream(vec![([SOA, NS, SOA].concat(), true)])]);
        assert_eq!(server.transfer(&zone()).await.unwrap().record_count(), 2);
        fake.then([end.clone(), end.clone(), end]);
        assert!(server.transfer(&zone()).await.unwrap_err().is_transport());
    }
}

#[tokio::test]
async fn a_refused_transfer_is_told_as_such_signed_or_not() {
    let fake = FakeServer::start().await;
    let server = fake.client(hmac());
    fake.then([
        Reaction::Answer(Rcode::REFUSED),
        Reaction::AnswerUnsigned(Rcode::REFUSED),
        Reaction::Echo(Rcode::REFUSED),
    ]);
    for _ in 0..2 {
        let error = server.transfer(&zone()).await.unwrap_err();
        let refused = matches!(
            error.fault,
            Fault::Transfer(TransferError::Reply(ReplyError::Refused)) | Fault::Reply(ReplyError::Refused)
        );
        assert!(refused, "{error:?}");
        assert!(!error.is_transport());
    }
    assert!(matches!(
        server.transfer(&zone()).await.unwrap_err().fault,
        Fault::Transfer(TransferError::Reply(ReplyError::Refused))
    ));
}

#[tokio::test]
async fn a_context_lost_before_a_transfer_is_negotiated_anew_once() {
    let fake = FakeServer::start().await;
    let server = fake.client(FakeKerberos::new().authentication());
    succeed(&server).await;
    let lost = Reaction::TsigError { error: Rcode::BADKEY, skew: 0, signed: false };
    fake.then([lost.clone(), stream(&[0, 1, 2, 3])]);
    assert_eq!(server.transfer(&zone()).await.unwrap().serial(), 7);
    assert_eq!(fake.world().negotiations, 2);
    fake.then([lost.clone(), lost]);
    let error = server.transfer(&zone()).await.unwrap_err();
    assert!(matches!(error.fault, Fault::Rejected { error: TsigError::BadKey, .. }), "{error:?}");
}

#[tokio::test]
async fn an_incremental_transfer_says_when_nothing_is_newer() {
    let fake = FakeServer::start().await;
    let server = fake.client(hmac());
    fake.then([stream(&[0, 1, 2, 3]), Reaction::Stream(vec![(SOA.to_vec(), true)])]);
    let held = Arc::new(server.transfer(&zone()).await.unwrap());
    assert_eq!(server.transfer_since(held).await.unwrap(), Transferred::Unchanged);
}
