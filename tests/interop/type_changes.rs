//! A name that changes its type is never missing.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{DNSClass, Name, RecordType};

use crate::example;
use crate::support::{Changes, Endpoint, Named};

const NAME: &str = "www.example.test";

/// Asks as fast as it gets answers, until it is told to end: how often a CNAME and how often addresses were answered.
fn poll(named: &Named, ended: &AtomicBool) -> (usize, usize) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket.connect(named.socket()).unwrap();
    let mut query = Message::new(7, MessageType::Query, OpCode::Query);
    let mut question = Query::query(Name::from_ascii(format!("{NAME}.")).unwrap(), RecordType::A);
    question.set_query_class(DNSClass::IN);
    query.add_query(question);
    let query = query.to_vec().unwrap();
    let (mut aliases, mut addresses) = (0, 0);
    while !ended.load(Ordering::SeqCst) {
        socket.send(&query).unwrap();
        let mut answer = [0; 1500];
        let length = socket.recv(&mut answer).unwrap();
        let answer = Message::from_vec(&answer[..length]).unwrap();
        let types: Vec<RecordType> = answer.answers.iter().map(|record| record.record_type()).collect();
        match types[..] {
            [RecordType::CNAME] => aliases += 1,
            [RecordType::A, ..] if types.iter().all(|rtype| *rtype == RecordType::A) => addresses += 1,
            _ => panic!("answered {types:?} after {} answers: {answer:?}", aliases + addresses),
        }
    }
    (aliases, addresses)
}

#[test]
fn a_name_polled_through_fifty_changes_of_type_is_never_missing_and_never_answers_both() {
    let (_kdc, named, sidecar) = example();
    let alias = Endpoint::new(NAME, "CNAME", &["target.example.com"]);
    let [a, aaaa] = [Endpoint::a(NAME, &["192.0.2.1", "192.0.2.2"]), Endpoint::new(NAME, "AAAA", &["2001:db8::1"])];
    sidecar.apply_all(&Changes::new().create(&alias));
    let ended = AtomicBool::new(false);
    let (aliases, addresses) = std::thread::scope(|scope| {
        let polling = scope.spawn(|| poll(&named, &ended));
        for number in 0..50 {
            let changes = match number % 4 {
                0 => Changes::new().delete(&alias).create(&a),
                1 => Changes::new().delete(&a).create(&alias),
                2 => Changes::new().delete(&alias).create(&a).create(&aaaa),
                _ => Changes::new().delete(&a).delete(&aaaa).create(&alias),
            };
            sidecar.apply_all(&changes);
        }
        ended.store(true, Ordering::SeqCst);
        polling.join().unwrap()
    });
    assert!(aliases > 50 && addresses > 50, "{aliases} and {addresses} answers");
    assert_eq!(named.changing_updates().len(), 51, "one message for each change");
    let held: Vec<String> = sidecar.records().iter().map(|endpoint| endpoint["dnsName"].to_string()).collect();
    assert_eq!(held, [r#""cname-www.example.test""#, r#""www.example.test""#], "no registry TXT of a former type");
}

#[test]
fn a_cname_does_not_displace_what_is_not_ours() {
    let (_kdc, named, sidecar) = example();
    sidecar.apply_all(&Changes::new().create(&Endpoint::a(NAME, &["192.0.2.1"])));
    named.nsupdate("update add www.example.test 60 MX 10 mail.example.com.");
    sidecar.records();
    let alias = Endpoint::new(NAME, "CNAME", &["target.example.com"]);
    let changes = Changes::new().delete(&Endpoint::a(NAME, &["192.0.2.1"])).create(&alias);
    assert_eq!(sidecar.apply(&changes), 500);
    assert_eq!(named.answer(NAME, "MX"), ["10 mail.example.com."]);
    assert_eq!(named.answer(NAME, "A"), ["192.0.2.1"], "not deleted for a CNAME that cannot come");
}
