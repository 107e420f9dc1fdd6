//! Compared with the codec of the Kanidm project, `ldap3_proto`.

use bytes::BytesMut;
use ldap3_proto::LdapCodec;
use ldap3_proto::control::LdapControl;
use ldap3_proto::proto::{
    LdapBindCred, LdapBindResponse, LdapDerefAliases, LdapExtendedResponse, LdapFilter, LdapMsg, LdapOp,
    LdapPartialAttribute, LdapResult, LdapResultCode, LdapSearchResultEntry, LdapSearchScope,
};
use proptest::prelude::*;
use tokio_util::codec::{Decoder as _, Encoder as _};

use super::*;
use crate::ldap::ber::extent;

const LARGE: usize = 1 << 20;

fn codec() -> LdapCodec {
    LdapCodec::new(Some(LARGE), None)
}

/// What the other codec makes of a request.
fn read_by_peer(request: &[u8]) -> LdapMsg {
    codec().decode(&mut BytesMut::from(request)).unwrap().unwrap()
}

/// What the other codec makes of an answer.
fn written_by_peer(id: i32, op: LdapOp, ctrl: Vec<LdapControl>) -> Vec<u8> {
    let mut octets = BytesMut::new();
    codec().encode(LdapMsg { msgid: id, op, ctrl }, &mut octets).unwrap();
    octets.to_vec()
}

fn result(code: LdapResultCode, message: &str) -> LdapResult {
    LdapResult { code, matcheddn: String::new(), message: message.to_owned(), referral: Vec::new() }
}

fn search(filter: Filter) -> Search {
    let base = "DC=ad.test,CN=MicrosoftDNS,DC=DomainDnsZones,DC=ad,DC=test".to_owned();
    Search { base, scope: Scope::OneLevel, filter, attributes: &["name", "dnsRecord"] }
}

#[test]
fn requests_are_read_by_another_codec_as_they_are_meant() {
    let token: Vec<u8> = (0..=255).cycle().take(1500).collect();
    let message = read_by_peer(&bind(1, "GSSAPI", &token));
    let LdapOp::BindRequest(request) = message.op else { panic!("{message:?}") };
    let LdapBindCred::SASL(credentials) = request.cred else { panic!("another way to bind") };
    assert_eq!((message.msgid, request.version, request.dn.as_str()), (1, 3, ""));
    assert_eq!((credentials.mechanism.as_str(), credentials.credentials), ("GSSAPI", token));

    let nodes = Filter::Equal("objectClass", "dnsNode".to_owned());
    let either = Filter::Or(vec![Filter::Equal("name", "a".to_owned()), Filter::Equal("name", "b".to_owned())]);
    let changed = Filter::And(vec![nodes, Filter::AtLeast("uSNChanged", 4_294_967_296), either]);
    let page = Page { size: 1000, cookie: &[0, 255, 7] };
    let message = read_by_peer(&search(changed).request(70_000, Some(page)));
    let LdapOp::SearchRequest(request) = message.op else { panic!("{message:?}") };
    let equal = |name: &str, value: &str| LdapFilter::Equality(name.to_owned(), value.to_owned());
    let at_least = LdapFilter::GreaterOrEqual("uSNChanged".to_owned(), "4294967296".to_owned());
    let either = LdapFilter::Or(vec![equal("name", "a"), equal("name", "b")]);
    assert_eq!(request.filter, LdapFilter::And(vec![equal("objectClass", "dnsNode"), at_least, either]));
    assert_eq!((request.scope, request.aliases), (LdapSearchScope::OneLevel, LdapDerefAliases::Never));
    assert_eq!((request.sizelimit, request.timelimit, request.typesonly), (0, 0, false));
    assert_eq!((request.base, request.attrs.join(" ").as_str()), (search(Filter::Present("")).base, "name dnsRecord"));
    assert_eq!(message.ctrl, [LdapControl::SimplePagedResults { size: 1000, cookie: vec![0, 255, 7] }]);

    let root = Search { base: String::new(), scope: Scope::Base, ..search(Filter::Present("objectClass")) };
    let LdapOp::SearchRequest(request) = read_by_peer(&root.request(2, None)).op else { panic!("no search") };
    assert_eq!((request.scope, request.filter), (LdapSearchScope::Base, LdapFilter::Present("objectClass".to_owned())));
    assert_eq!(read_by_peer(&unbind(3)).op, LdapOp::UnbindRequest);
}

#[test]
fn answers_of_another_codec_are_read_as_they_were_meant() {
    let answer = |op, controls| Message::parse(&written_by_peer(5, op, controls)).unwrap().answer;
    let token = Some(vec![1, 2, 3]);
    let bound = LdapBindResponse { res: result(LdapResultCode::SaslBindInProgress, ""), saslcreds: token.clone() };
    let outcome = |code, text: &str| super::LdapResult { code, text: text.to_owned() };
    assert_eq!(answer(LdapOp::BindResponse(bound), vec![]), Answer::Bind { outcome: outcome(14, ""), token });

    let cookie = LdapControl::SimplePagedResults { size: 0, cookie: vec![9; 40] };
    let refused = result(LdapResultCode::NoSuchObject, "no\n such object ");
    assert_eq!(
        answer(LdapOp::SearchResultDone(refused), vec![cookie]),
        Answer::Done { outcome: outcome(32, "no  such object"), cookie: Some(vec![9; 40]) }
    );
    let success = result(LdapResultCode::Success, "");
    assert_eq!(
        answer(LdapOp::SearchResultDone(success), vec![]),
        Answer::Done { outcome: outcome(0, ""), cookie: None }
    );
    let closing = LdapExtendedResponse {
        res: result(LdapResultCode::Unavailable, "bye"),
        name: Some("1.3.6.1.4.1.1466.20036".to_owned()),
        value: None,
    };
    assert_eq!(answer(LdapOp::ExtendedResponse(closing), vec![]), Answer::Disconnection(outcome(52, "bye")));
}

#[test]
fn a_message_is_not_read_before_it_is_whole_and_nothing_is_taken_beyond_a_limit() {
    let message =
        written_by_peer(1, LdapOp::SearchResultDone(result(LdapResultCode::Success, &"x".repeat(300))), vec![]);
    for end in 0..4 {
        assert_eq!(extent(&message[..end], LARGE), Ok(None));
    }
    assert_eq!(extent(&message[..4], LARGE), Ok(Some(message.len())));
    assert!(matches!(extent(&message, message.len() - 1), Err(BerError::TooLarge(_))));
    for end in 0..message.len() {
        assert!(Message::parse(&message[..end]).is_err(), "{end}");
    }
    for form in [&[0x30, 0x80][..], &[0x30, 0x85, 0, 0, 0, 0, 1], &[0x1f, 1, 0], &[0x3f, 1, 0]] {
        assert_eq!(extent(form, LARGE), Err(BerError::Form));
    }
    assert!(matches!(extent(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], LARGE), Err(BerError::TooLarge(_))));
}

#[test]
fn numbers_are_written_as_the_fewest_octets_and_read_with_their_sign() {
    for (value, octets) in [
        (0, &[0][..]),
        (127, &[127]),
        (128, &[0, 128]),
        (-1, &[255]),
        (-128, &[128]),
        (-129, &[255, 127]),
        (i32::MAX, &[127, 255, 255, 255]),
        (i32::MIN, &[128, 0, 0, 0]),
    ] {
        let mut out = Vec::new();
        ber::write_number(&mut out, INTEGER, value);
        assert_eq!(out[2..], *octets);
        assert_eq!(Reader::new(&out).number(INTEGER), Ok(value));
    }
    assert_eq!(Reader::new(&[2, 0]).number(INTEGER), Err(BerError::Integer(0)));
    assert_eq!(Reader::new(&[2, 5, 0, 0, 0, 0, 0]).number(INTEGER), Err(BerError::Integer(5)));
}

proptest! {
    #[test]
    fn no_octets_make_it_panic(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = (Message::parse(&octets), extent(&octets, LARGE));
    }

    #[test]
    fn entries_of_another_codec_are_read_whole(
        id in 1..i32::MAX,
        dn in "\\PC{0,100}",
        attributes in prop::collection::vec(
            ("[a-zA-Z;=0-9]{1,20}", prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..5)), 0..6),
        flipped in any::<prop::sample::Index>(),
    ) {
        let partial = |(atype, vals): &(String, Vec<Vec<u8>>)| LdapPartialAttribute { atype: atype.clone(), vals: vals.clone() };
        let entry = LdapSearchResultEntry { dn: dn.clone(), attributes: attributes.iter().map(partial).collect() };
        let mut octets = written_by_peer(id, LdapOp::SearchResultEntry(entry), vec![]);
        let expected = Message { id, answer: Answer::Entry(Entry { dn, attributes }) };
        prop_assert_eq!(Message::parse(&octets), Ok(expected));
        let at = flipped.index(octets.len());
        octets[at] ^= 0x41;
        let _ = Message::parse(&octets);
    }
}
