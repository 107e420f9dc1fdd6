use proptest::prelude::*;

use super::*;
use crate::dns::message::{self, Class, Opcode};
use crate::dns::{Message as Parsed, RecordType};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn rdata(wire: &[u8]) -> Rdata {
    Rdata::from_wire(wire)
}

fn update(prerequisites: Vec<Prerequisite>, operations: Vec<Operation>) -> Update {
    Update { zone: "example.test".parse().unwrap(), prerequisites, operations }
}

fn add(owner: &str, rtype: RecordType, wire: &[u8]) -> Operation {
    Operation::Add { name: name(owner), rtype, ttl: Ttl::from_secs(300), rdata: rdata(wire) }
}

/// What the record says beside its place in the message.
fn essence(record: &message::Record) -> (String, RecordType, Class, u32, &[u8]) {
    (record.name.to_string(), record.rtype, record.class, record.ttl.as_secs(), record.rdata.as_wire())
}

#[test]
fn prerequisites_take_the_classes_and_types_of_rfc_2136_2_4() {
    let www = name("www.example.test");
    let equals = vec![rdata(&[192, 0, 2, 1]), rdata(&[192, 0, 2, 2])];
    let update = update(
        vec![
            Prerequisite::NameInUse(www.clone()),
            Prerequisite::NameNotInUse(www.clone()),
            Prerequisite::RrsetExists { name: www.clone(), rtype: RecordType::TXT },
            Prerequisite::RrsetDoesNotExist { name: www.clone(), rtype: RecordType::CNAME },
            Prerequisite::RrsetEquals(Rrset::new(www, RecordType::A, Ttl::from_secs(60), equals).unwrap()),
        ],
        vec![],
    );
    let message = Parsed::parse(&update.encode(7).unwrap()).unwrap();
    let seen: Vec<_> = message.answers.iter().map(essence).collect();
    let at = |rtype, class, wire| ("www.example.test.".to_owned(), rtype, class, 0, wire);
    assert_eq!(
        seen,
        [
            at(RecordType::ANY, Class::ANY, &b""[..]),
            at(RecordType::ANY, Class::NONE, b""),
            at(RecordType::TXT, Class::ANY, b""),
            at(RecordType::CNAME, Class::NONE, b""),
            at(RecordType::A, Class::IN, &[192, 0, 2, 1]),
            at(RecordType::A, Class::IN, &[192, 0, 2, 2]),
        ]
    );
    assert!(message.authorities.is_empty());
}

#[test]
fn operations_take_the_classes_and_ttls_of_rfc_2136_2_5() {
    let delete =
        Operation::Delete { name: name("a.example.test"), rtype: RecordType::from(65_282), rdata: rdata(b"\x00\xff") };
    let whole = Operation::DeleteRrset { name: name("sub.example.test"), rtype: RecordType::NS };
    let update = update(vec![], vec![delete, whole, add("*.example.test", RecordType::A, &[192, 0, 2, 1])]);
    let message = Parsed::parse(&update.encode(0xbeef).unwrap()).unwrap();
    assert_eq!((message.id(), message.opcode(), message.is_response()), (0xbeef, Opcode::UPDATE, false));
    let zone = &message.questions[0];
    assert_eq!((&zone.name, zone.rtype, zone.class), (&name("example.test"), RecordType::SOA, Class::IN));
    let seen: Vec<_> = message.authorities.iter().map(essence).collect();
    assert_eq!(
        seen,
        [
            ("a.example.test.".to_owned(), RecordType::from(65_282), Class::NONE, 0, &b"\x00\xff"[..]),
            ("sub.example.test.".to_owned(), RecordType::NS, Class::ANY, 0, &[]),
            ("*.example.test.".to_owned(), RecordType::A, Class::IN, 300, &[192, 0, 2, 1]),
        ]
    );
}

#[test]
fn a_message_past_64_kib_is_an_error_and_never_cut() {
    let many = |count: u32| {
        let operations =
            (0..count).map(|n| add(&format!("host{n}.example.test"), RecordType::A, &n.to_be_bytes())).collect();
        update(vec![], operations)
    };
    let fits = many(1_000).encode(1).unwrap();
    assert_eq!(Parsed::parse(&fits).unwrap().authorities.len(), 1_000);
    assert!(matches!(many(4_000).encode(1), Err(EncodeError::TooLarge { records: 4_000, .. })));
    let one = update(vec![], vec![add("a.example.test", RecordType::TXT, &vec![0; 65_530])]);
    assert!(matches!(one.encode(1), Err(EncodeError::TooLarge { records: 1, .. })));
}

#[test]
fn a_script_says_what_the_message_says() {
    let www = name("www.example.test");
    let equals =
        Rrset::new(www.clone(), RecordType::A, Ttl::ZERO, vec![rdata(&[192, 0, 2, 1]), rdata(&[192, 0, 2, 2])]);
    let script = update(
        vec![
            Prerequisite::NameInUse(name("in.example.test")),
            Prerequisite::NameNotInUse(name("not.example.test")),
            Prerequisite::RrsetExists { name: www.clone(), rtype: RecordType::A },
            Prerequisite::RrsetDoesNotExist { name: www, rtype: RecordType::CNAME },
            Prerequisite::RrsetEquals(equals.unwrap()),
        ],
        vec![
            Operation::Delete {
                name: name(r"sp\032ace.example.test"),
                rtype: RecordType::A,
                rdata: rdata(&[1, 2, 3, 4]),
            },
            Operation::DeleteRrset { name: name("sub.example.test"), rtype: RecordType::NS },
            add("t.example.test", RecordType::TXT, b"\x06a\"b\\;\n\x00"),
            add("m.example.test", RecordType::MX, b"\x00\x0a\x01m\x00"),
            add("s.example.test", RecordType::SRV, b"\x00\x01\x00\x02\x01\xbb\x01s\x00"),
            add("o.example.test", RecordType::MX, b"\x00\x0a\xc0\x00"),
            add("c.example.test", RecordType::CAA, b"\x00\x05issueca"),
        ],
    )
    .nsupdate_script();
    assert_eq!(
        script,
        r#"zone example.test.
prereq yxdomain in.example.test.
prereq nxdomain not.example.test.
prereq yxrrset www.example.test. IN A
prereq nxrrset www.example.test. IN CNAME
prereq yxrrset www.example.test. IN A 192.0.2.1
prereq yxrrset www.example.test. IN A 192.0.2.2
update delete sp\032ace.example.test. IN A 1.2.3.4
update delete sub.example.test. IN NS
update add t.example.test. 300 IN TXT "a\"b\\;\010" ""
update add m.example.test. 300 IN MX 10 m.
update add s.example.test. 300 IN SRV 1 2 443 s.
update add o.example.test. 300 IN MX \# 4 000ac000
update add c.example.test. 300 IN CAA \# 9 000569737375656361
send
"#
    );
}

#[test]
fn an_operation_changes_a_copy_as_it_changes_the_zone() {
    let mut copy = ZoneContents::new("example.test".parse().unwrap(), 1);
    let www = name("www.example.test");
    copy.add(&www, RecordType::A, Ttl::from_secs(60), rdata(&[1]));
    add("www.example.test", RecordType::A, &[2]).apply_to(&mut copy);
    add("www.example.test", RecordType::A, &[2]).apply_to(&mut copy);
    let rrset = copy.rrset(&www, RecordType::A).unwrap();
    assert_eq!((rrset.rdata, rrset.ttl), (&[rdata(&[1]), rdata(&[2])][..], Ttl::from_secs(300)));
    for value in [1, 2, 3] {
        let delete = Operation::Delete { name: www.clone(), rtype: RecordType::A, rdata: rdata(&[value]) };
        delete.apply_to(&mut copy);
    }
    assert_eq!(copy.iter().count(), 0);
}

fn any_operation() -> impl Strategy<Value = Operation> {
    let labels = prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 0..4);
    (labels, any::<u16>(), any::<u32>(), prop::collection::vec(any::<u8>(), 1..400), 0..3).prop_map(
        |(labels, rtype, ttl, wire, kind)| {
            let (name, rtype) = (Name::from_labels(labels.iter().map(Vec::as_slice)).unwrap(), rtype.into());
            let rdata = Rdata::from_wire(wire);
            match kind {
                0 => Operation::Add { name, rtype, ttl: Ttl::from_secs(ttl), rdata },
                1 => Operation::Delete { name, rtype, rdata },
                _ => Operation::DeleteRrset { name, rtype },
            }
        },
    )
}

/// A name of few labels, so that many share an end.
fn any_name() -> impl Strategy<Value = Name> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "test", "example", "a-long-label"]), 0..6)
        .prop_map(|labels| Name::from_labels(labels.iter().map(|label| label.as_bytes())).unwrap())
}

fn any_equal_rrset() -> impl Strategy<Value = Prerequisite> {
    let rtype = prop::sample::select(vec![RecordType::NS, RecordType::CNAME]);
    (any_name(), rtype, prop::collection::vec(any_name(), 1..20)).prop_map(|(name, rtype, targets)| {
        let rdata = targets.iter().map(|target| rdata(target.as_wire())).collect();
        Prerequisite::RrsetEquals(Rrset::new(name, rtype, Ttl::ZERO, rdata).unwrap())
    })
}

proptest! {
    #[test]
    fn what_is_encoded_is_what_a_server_reads(operations in prop::collection::vec(any_operation(), 0..30)) {
        let update = update(vec![], operations);
        let Ok(octets) = update.encode(1) else {
            prop_assert!(update.octets() > 65_535);
            return Ok(());
        };
        prop_assert_eq!(octets.len(), update.octets());
        let message = Parsed::parse(&octets).unwrap();
        prop_assert_eq!(message.authorities.len(), update.operations.len());
        for (record, operation) in message.authorities.iter().zip(&update.operations) {
            prop_assert_eq!((&record.name, record.rtype), (operation.name(), operation.rtype()));
            let (Operation::Add { rdata, .. } | Operation::Delete { rdata, .. }) = operation else { continue };
            let start = octets.windows(rdata.as_wire().len()).any(|window| window == rdata.as_wire());
            prop_assert!(start, "RDATA is sent octet for octet");
        }
    }

    /// The codec of hickory-proto is the oracle.
    #[test]
    fn names_that_are_compressed_are_read_as_they_were(
        equals in prop::collection::vec(any_equal_rrset(), 0..60),
        repeats in 1_usize..8,
    ) {
        let listed = equals.len() * repeats;
        let update = update(equals.into_iter().cycle().take(listed).collect(), vec![]);
        let octets = update.encode(1).unwrap();
        prop_assert_eq!(octets.len(), update.octets());
        let ours = Parsed::parse(&octets).unwrap();
        let theirs = Message::from_vec(&octets).unwrap();
        let expected = update.prerequisites.iter().flat_map(|prerequisite| match prerequisite {
            Prerequisite::RrsetEquals(rrset) => rrset.rdata().iter().map(|rdata| (rrset.name(), rdata)),
            other => panic!("{other:?}"),
        });
        prop_assert_eq!((ours.answers.len(), theirs.answers.len()), (update.records(), update.records()));
        for (((name, rdata), ours), theirs) in expected.zip(&ours.answers).zip(&theirs.answers) {
            prop_assert_eq!((&ours.name, &ours.rdata), (name, rdata));
            prop_assert_eq!(&theirs.name, &hickory_name(name).unwrap());
            let target = hickory_name(&Name::from_wire(rdata.as_wire()).unwrap()).unwrap();
            let (rr::RData::NS(rr::rdata::NS(read)) | rr::RData::CNAME(rr::rdata::CNAME(read))) = &theirs.data else {
                panic!("{theirs:?}")
            };
            prop_assert_eq!(read, &target);
        }
    }

    #[test]
    fn every_script_line_is_one_line_of_printable_text(operations in prop::collection::vec(any_operation(), 0..9)) {
        let count = operations.len();
        let script = update(vec![], operations).nsupdate_script();
        prop_assert_eq!(script.lines().count(), count + 2);
        prop_assert!(script.bytes().all(|octet| octet == b'\n' || (b' '..=b'~').contains(&octet)));
    }
}
