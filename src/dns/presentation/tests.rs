use proptest::prelude::*;

use super::*;

fn parse(rtype: RecordType, target: &str) -> Result<Rdata, TargetError> {
    parse_target(rtype, target, |text| text.parse())
}

fn canonical(rtype: RecordType, target: &str) -> String {
    render_target(rtype, &parse(rtype, target).unwrap()).unwrap()
}

#[test]
fn every_type_has_one_spelling() {
    let cases = [
        (RecordType::A, "192.0.2.1", "192.0.2.1"),
        (RecordType::AAAA, "2001:DB8:0::1", "2001:db8::1"),
        (RecordType::CNAME, "Target.Corp.test.", "target.corp.test"),
        (RecordType::MX, "010 Mail.corp.test.", "10 mail.corp.test"),
        (RecordType::SRV, "10  5 5060 Sip.corp.test", "10 5 5060 sip.corp.test."),
        (
            RecordType::NAPTR,
            r#"100 10 u "E2U+sip" "!^.*$!sip:X@corp.test!" ."#,
            r#"100 10 "u" "E2U+sip" "!^.*$!sip:X@corp.test!" ."#,
        ),
        (RecordType::CAA, "0 issue letsencrypt.org", r#"0 issue "letsencrypt.org""#),
        (RecordType::TLSA, "3 1 1 ABCD ef01", "3 1 1 abcdef01"),
        (RecordType::SSHFP, "4 2 AB01", "4 2 ab01"),
        (
            RecordType::HTTPS,
            "1 . port=8443 alpn=h2,h3 ipv4hint=192.0.2.1",
            "1 . alpn=h2,h3 port=8443 ipv4hint=192.0.2.1",
        ),
    ];
    for (rtype, given, expected) in cases {
        assert_eq!(canonical(rtype, given), expected);
        assert_eq!(canonical(rtype, expected), expected);
    }
}

#[test]
fn txt_is_the_bare_text_unless_it_would_read_as_quoted_strings() {
    let cases = [
        (r#""one" "two words""#, "onetwo words"),
        ("v=DKIM1; k=rsa", "v=DKIM1; k=rsa"),
        (r#"say "hi" \o/"#, r#"say "hi" \o/"#),
        (r#""a\"b\\c""#, r#"a"b\c"#),
        (r#""\"x\"""#, r#""\"x\"""#),
        (r#""unfinished"#, r#""unfinished"#),
        (r#""\195\164""#, "ä"),
        (r#""\255""#, r#""\255""#),
        ("", ""),
        (r#""heritage=external-dns,external-dns/owner=me""#, r#""heritage=external-dns,external-dns/owner=me""#),
        ("heritage=external-dns", r#""heritage=external-dns""#),
    ];
    for (given, expected) in cases {
        assert_eq!(canonical(RecordType::TXT, given), expected, "{given}");
        assert_eq!(canonical(RecordType::TXT, expected), expected, "{given}");
    }
}

#[test]
fn long_txt_is_split_at_255_octets_and_joined_again() {
    let long = "0123456789".repeat(60);
    let rdata = parse(RecordType::TXT, &long).unwrap();
    assert_eq!(rdata.as_wire()[0], 255);
    assert_eq!(rdata.as_wire().len(), 603);
    assert_eq!(render_target(RecordType::TXT, &rdata).unwrap(), long);
}

#[test]
fn an_address_of_the_other_family_is_refused() {
    assert!(matches!(parse(RecordType::A, "2001:db8::1"), Err(TargetError::OtherFamily(_))));
    assert!(matches!(parse(RecordType::AAAA, "192.0.2.1"), Err(TargetError::OtherFamily(_))));
    assert!(matches!(parse(RecordType::A, "192.0.2.1 ;x"), Err(TargetError::NotAnAddress(_))));
}

#[test]
fn zone_file_text_in_a_name_stays_a_bad_name() {
    for hostile in ["a.test ;b", "a.test\n$INCLUDE /etc/passwd", "a\0b.test ", "\"a\".test", "a b"] {
        assert!(parse(RecordType::CNAME, hostile).is_err(), "{hostile:?}");
    }
}

#[test]
fn numbers_that_do_not_fit_are_refused() {
    assert!(matches!(parse(RecordType::MX, "65536 a.test"), Err(TargetError::NotANumber { .. })));
    assert!(matches!(parse(RecordType::SRV, "1 2 3"), Err(TargetError::FieldCount { .. })));
    assert!(matches!(parse(RecordType::MX, "-1 a.test"), Err(TargetError::NotANumber { .. })));
}

fn supported() -> impl Strategy<Value = RecordType> {
    proptest::sample::select(&SUPPORTED[..])
}

#[test]
fn service_parameters_that_break_rfc_9460_have_no_presentation() {
    let parameters = |parameters: &[u8]| {
        let rdata = Rdata::from_wire([b"\x00\x01\x00", parameters].concat());
        render_target(RecordType::HTTPS, &rdata).ok()
    };
    assert_eq!(parameters(b"\x00\x03\x00\x02\x01\xbb\x00\x07\x00\x00"), Some(r#"1 . port=443 key7="""#.to_owned()));
    // Out of order, twice, empty lists, and items that are cut.
    assert_eq!(parameters(b"\x00\x07\x00\x00\x00\x03\x00\x02\x01\xbb"), None);
    assert_eq!(parameters(b"\x00\x07\x00\x00\x00\x07\x00\x00"), None);
    assert_eq!(parameters(b"\x00\x00\x00\x00"), None);
    assert_eq!(parameters(b"\x00\x00\x00\x04\x00\x03\x00\x01"), None);
    assert_eq!(parameters(b"\x00\x01\x00\x00"), None);
    assert_eq!(parameters(b"\x00\x04\x00\x05\x01\x02\x03\x04\x05"), None);
    assert_eq!(parameters(b"\x00\x06\x00\x00"), None);
}

#[test]
fn a_caa_tag_is_letters_and_digits() {
    for target in ["0 is-sue x", "0 is\u{1c}sue x", "0 \"\" x"] {
        assert!(matches!(parse(RecordType::CAA, target), Err(TargetError::BadTag(_))), "{target}");
    }
}

#[test]
fn a_service_parameter_that_cannot_be_written_again_is_refused() {
    for target in ["1 . alpn=\"a\\\"b\"", "1 . alpn=\"a b\"", "1 . mandatory="] {
        assert!(matches!(parse(RecordType::SVCB, target), Err(TargetError::BadParameter(_))), "{target}");
    }
}

#[test]
fn white_space_in_a_quoted_service_parameter_does_not_split_it() {
    assert_eq!(canonical(RecordType::SVCB, r#"1 . key9="a b" port=8443"#), r#"1 . port=8443 key9="a b""#);
    assert!(parse(RecordType::SVCB, r#"1 . key9="a b"port=8443"#).is_err());
}

proptest! {
    #[test]
    fn no_target_makes_it_panic_and_what_it_reads_it_writes_once_and_for_all(rtype in supported(), target in "\\PC{0,40}") {
        if let Ok(rdata) = parse(rtype, &target) {
            let text = render_target(rtype, &rdata).unwrap();
            prop_assert_eq!(parse(rtype, &text).map(|again| render_target(rtype, &again)), Ok(Ok(text)));
        }
    }

    #[test]
    fn no_rdata_makes_it_panic_and_what_it_writes_it_reads(rtype in supported(), wire in proptest::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(text) = render_target(rtype, &Rdata::from_wire(wire)) {
            let rdata = parse(rtype, &text).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
            prop_assert_eq!(render_target(rtype, &rdata), Ok(text));
        }
    }

    #[test]
    fn any_text_survives_as_txt(text in any::<String>()) {
        let rdata = Rdata::from_wire(text::encode(text.as_bytes()));
        let target = render_target(RecordType::TXT, &rdata).unwrap();
        prop_assert_eq!(joined(&parse(RecordType::TXT, &target).unwrap()), Some(text.into_bytes()));
    }
}
