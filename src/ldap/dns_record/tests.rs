use proptest::prelude::*;

use super::*;

fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let digit = |digit: u8| u8::try_from(char::from(digit).to_digit(16).unwrap()).unwrap();
    digits.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// A value with these data, as Samba writes it.
fn value(rtype: u16, rank: u8, ttl: u32, time_stamp: u32, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap();
    let fields: [&[u8]; 9] = [
        &length.to_le_bytes(),
        &rtype.to_le_bytes(),
        &[VERSION, rank, 0, 0],
        &[110, 0, 0, 0],
        &ttl.to_be_bytes(),
        &[0; 4],
        &time_stamp.to_le_bytes(),
        data,
        &[],
    ];
    fields.concat()
}

fn count_name(name: &Name) -> Vec<u8> {
    let wire = name.as_wire();
    [&[u8::try_from(wire.len()).unwrap(), u8::try_from(name.label_count()).unwrap()], wire].concat()
}

fn record(octets: &[u8]) -> DnsRecord {
    match parse(octets).unwrap() {
        Value::Record(record) => record,
        Value::Tombstone => panic!("a tombstone"),
    }
}

fn rdata_of(rtype: RecordType, data: &[u8]) -> Result<Vec<u8>, DnsRecordError> {
    rdata(rtype, data)
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

#[test]
fn values_that_samba_wrote_are_read_with_their_ttl_in_network_order() {
    // DataLength 20, type 15, version 5, rank f0; serial 110; TTL 60; TimeStamp; preference 20, 16 octets in 3 labels.
    let mx =
        octets("14000f00 05f00000 6e000000 0000003c 00000000 36f73800 0014 10 03 026d32 076578616d706c65 03636f6d 00");
    let expected = DnsRecord {
        rtype: RecordType::MX,
        ttl: Ttl::from_secs(60),
        rank: Rank::Zone,
        time_stamp: Some(3_733_302),
        rdata: Rdata::from_wire([&[0, 20][..], name("m2.example.com").as_wire()].concat()),
    };
    assert_eq!(record(&mx), expected);
    assert_eq!(record(&mx).refreshed(), Some(3_733_302 * 3600 - 11_644_473_600));

    let a = octets("04000100 05f00000 02000000 0000012c 00000000 36f73800 c0000201");
    assert_eq!((record(&a).ttl.as_secs(), record(&a).rdata), (300, Rdata::from_wire([192, 0, 2, 1])));
    let still = value(1, 0xf0, 300, 0, &[192, 0, 2, 1]);
    assert_eq!((record(&still).time_stamp, record(&still).refreshed()), (None, None));
}

#[test]
fn names_numbers_and_texts_become_the_rdata_of_the_wire() {
    let target = name("Dc1.AD.test");
    for rtype in [RecordType::CNAME, RecordType::NS, RecordType::PTR, RecordType::DNAME] {
        assert_eq!(rdata_of(rtype, &count_name(&target)).unwrap(), name("dc1.ad.test").as_wire());
    }
    let srv = [&[0, 1, 0, 2, 19, 196][..], &count_name(&target)].concat();
    assert_eq!(rdata_of(RecordType::SRV, &srv).unwrap(), [&[0, 1, 0, 2, 19, 196], target.as_wire()].concat());

    let numbers: Vec<u8> = (0..20).collect();
    let soa = [&numbers[..], &count_name(&target), &count_name(&name("hostmaster.ad.test"))].concat();
    let wire = [target.as_wire(), name("hostmaster.ad.test").as_wire(), &numbers].concat();
    assert_eq!(rdata_of(RecordType::SOA, &soa).unwrap(), wire);

    let strings = b"\x03one\x09two \"two\"\x00";
    assert_eq!(rdata_of(RecordType::TXT, strings).unwrap(), strings);

    let head = b"\x00\x01\x00\x02\x01u\x03sip\x05!a!b!";
    for replacement in [target.as_wire().to_vec(), count_name(&target), vec![0]] {
        let replaced = if replacement == [0] { Name::root() } else { target.clone() };
        let naptr = [&head[..], &replacement].concat();
        assert_eq!(rdata_of(RecordType::NAPTR, &naptr).unwrap(), [&head[..], replaced.as_wire()].concat());
    }
    let unknown = [1, 2, 3];
    assert_eq!(rdata_of(RecordType::TLSA, &unknown).unwrap(), unknown);
}

#[test]
fn data_that_are_too_short_or_too_long_or_miscounted_are_no_record() {
    let target = count_name(&name("a.test"));
    let longer = [&target[..], &[0]].concat();
    let mut miscounted = target.clone();
    miscounted[1] += 1;
    let cases: [(RecordType, &[u8]); 9] = [
        (RecordType::A, &[1, 2, 3]),
        (RecordType::A, &[1, 2, 3, 4, 5]),
        (RecordType::AAAA, &[0; 15]),
        (RecordType::CNAME, &longer),
        (RecordType::CNAME, &miscounted),
        (RecordType::CNAME, &target[..target.len() - 1]),
        (RecordType::MX, &[0]),
        (RecordType::TXT, b""),
        (RecordType::TXT, b"\x04abc"),
    ];
    for (rtype, data) in cases {
        let octets = value(rtype.number(), 0xf0, 0, 0, data);
        assert_eq!(parse(&octets), Err(DnsRecordError::Data(rtype)), "{data:?}");
        assert_eq!(record_type(&octets), Some(rtype));
    }
    let whole = value(1, 0xf0, 0, 0, &[1, 2, 3, 4]);
    assert_eq!(parse(&whole[..whole.len() - 1]), Err(DnsRecordError::Length));
    assert_eq!(parse(&[&whole[..], &[0]].concat()), Err(DnsRecordError::Length));
    let mut newer = whole;
    newer[4] = 6;
    assert_eq!(parse(&newer), Err(DnsRecordError::Version(6)));
}

#[test]
fn a_deleted_node_is_known_by_its_tombstone_and_hints_and_delegations_by_their_rank() {
    let entombed = value(0, 0, 0, 0, &[0x80, 0x3c, 0x5d, 0x1a, 0x4b, 0x9d, 0xdc, 0x01]);
    assert_eq!(parse(&entombed), Ok(Value::Tombstone));
    let ranks = [0xf0, 0x80, 0x82, 0x08].map(|rank| record(&value(1, rank, 0, 0, &[1, 2, 3, 4])).rank);
    assert_eq!(ranks, [Rank::Zone, Rank::Delegation, Rank::Delegation, Rank::Foreign(8)]);
}

#[test]
fn a_text_that_may_be_several_strings_or_escaped_is_not_guessed_at() {
    for text in [&b"one\" \"two"[..], b"q\\\"q", b"back\\slash"] {
        let data = [&[u8::try_from(text.len()).unwrap()], text].concat();
        assert_eq!(parse(&value(16, 0xf0, 0, 0, &data)), Err(DnsRecordError::Ambiguous));
    }
    let target = Name::from_labels([&b"we\\.ird"[..], b"test"]).unwrap();
    assert_eq!(parse(&value(5, 0xf0, 0, 0, &count_name(&target))), Err(DnsRecordError::Ambiguous));
    let registry = b"\x1fheritage=external-dns,x=y \"z\" 1";
    assert!(parse(&value(16, 0xf0, 0, 0, registry)).is_ok());
}

#[test]
fn nodes_are_named_relative_to_their_zone_and_escaped_names_are_not_guessed_at() {
    let zone: ZoneName = "ad.test".parse().unwrap();
    let named = |node: &str| node_name(node, &zone).map(|name| name.to_string());
    for (node, expected) in [
        ("@", "ad.test."),
        ("*", "*.ad.test."),
        ("UPPER", "upper.ad.test."),
        ("_sip._tcp.a", "_sip._tcp.a.ad.test."),
        ("0/25", "0/25.ad.test."),
    ] {
        assert_eq!(named(node).unwrap(), expected);
    }
    for node in ["sp ace", "sp\\032ace", "dot\\.name", "ä", "a\nCNF:b", "a@b", "q\"q"] {
        assert_eq!(named(node), Err(NodeNameError::Ambiguous), "{node}");
    }
    for node in ["", ".", "a..b", "a."] {
        assert!(matches!(named(node), Err(NodeNameError::Name(_))), "{node}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_octets_make_it_panic(octets in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = parse(&octets);
    }

    #[test]
    fn any_data_of_any_type_are_a_record_or_an_error(
        number in prop::sample::select(vec![1_u16, 2, 5, 6, 12, 15, 16, 28, 33, 35, 39, 52, 257, 65281]),
        data in prop::collection::vec(any::<u8>(), 0..60),
        ttl in any::<u32>(),
    ) {
        match parse(&value(number, 0xf0, ttl, 7, &data)) {
            Ok(Value::Record(record)) => prop_assert_eq!(record.ttl, Ttl::from_secs(ttl)),
            Ok(Value::Tombstone) => prop_assert!(false, "no tombstone has a type"),
            Err(error) => prop_assert_ne!(error, DnsRecordError::Length),
        }
    }

    #[test]
    fn a_name_that_is_written_is_read(labels in prop::collection::vec("[a-z0-9_-]{1,20}", 1..8)) {
        let name = Name::from_labels(labels.iter().map(|label| label.as_bytes())).unwrap();
        prop_assert_eq!(rdata_of(RecordType::CNAME, &count_name(&name)).unwrap(), name.as_wire());
    }
}
