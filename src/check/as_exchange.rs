//! The first message of a login (RFC 4120 §5.4.1), and what its answer tells before any secret is used: the KDC's clock.
//!
//! The Kerberos library corrects a wrong clock silently; TSIG then fails with an error that does not name it.

/// Tags of ASN.1 (X.690 §8.1.2).
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;
const GENERAL_STRING: u8 = 0x1b;
const GENERALIZED_TIME: u8 = 0x18;
/// Application tags of the messages.
const AS_REQ: u8 = 0x6a;
const AS_REP: u8 = 0x6b;
const KRB_ERROR: u8 = 0x7e;
/// `stime` of KRB-ERROR, counted from its first field.
const SERVER_TIME: u8 = context(4);
/// AES and, since some ask for nothing else, RC4.
const ENCTYPES: [u8; 5] = [20, 19, 18, 17, 23];

/// What a KDC has said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// An error, as is usual before a client has proved itself, and the KDC's time in seconds since 1970.
    Error {
        /// When it was sent.
        time: u64,
    },
    /// A ticket, as for clients that need not prove themselves; its times are encrypted.
    Ticket,
}

/// Asks for a ticket-granting ticket for `user` of this realm, without proving anything, as every login begins.
pub(super) fn request(user: Option<&str>, realm: &str) -> Vec<u8> {
    let client = user.map(|user| field(1, &principal(1, user.split('/')))).unwrap_or_default();
    let body = [
        field(0, &element(BIT_STRING, &[0, 0, 0, 0, 0])),
        client,
        field(2, &element(GENERAL_STRING, realm.as_bytes())),
        field(3, &principal(2, ["krbtgt", realm].into_iter())),
        // As long as the KDC allows.
        field(5, &element(GENERALIZED_TIME, b"19700101000000Z")),
        // A nonce ties a ticket to its request, and no ticket is wanted.
        field(7, &element(INTEGER, &[1])),
        field(8, &element(SEQUENCE, &ENCTYPES.map(|number| element(INTEGER, &[number])).concat())),
    ];
    let request =
        [field(1, &element(INTEGER, &[5])), field(2, &element(INTEGER, &[10])), field(4, &sequence(&body.concat()))];
    element(AS_REQ, &sequence(&request.concat()))
}

/// Reads the answer; none when it is not Kerberos.
pub(super) fn answer(octets: &[u8]) -> Option<Answer> {
    match take(&mut { octets })? {
        (AS_REP, _) => Some(Answer::Ticket),
        (KRB_ERROR, mut message) => {
            let (_, mut fields) = take(&mut message).filter(|(tag, _)| *tag == SEQUENCE)?;
            while let Some((tag, mut value)) = take(&mut fields) {
                if tag == SERVER_TIME {
                    let (_, text) = take(&mut value).filter(|(tag, _)| *tag == GENERALIZED_TIME)?;
                    return Some(Answer::Error { time: seconds(text)? });
                }
            }
            None
        }
        _ => None,
    }
}

const fn context(number: u8) -> u8 {
    0xa0 | number
}

fn principal<'a>(name_type: u8, components: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let names: Vec<u8> = components.flat_map(|name| element(GENERAL_STRING, name.as_bytes())).collect();
    sequence(&[field(0, &element(INTEGER, &[name_type])), field(1, &sequence(&names))].concat())
}

fn sequence(content: &[u8]) -> Vec<u8> {
    element(SEQUENCE, content)
}

fn field(number: u8, content: &[u8]) -> Vec<u8> {
    element(context(number), content)
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = match (u8::try_from(content.len()), u16::try_from(content.len())) {
        (Ok(short @ ..0x80), _) => vec![short],
        (Ok(long), _) => vec![0x81, long],
        (_, Ok(longer)) => [[0x82].as_slice(), &longer.to_be_bytes()].concat(),
        // Longer than any name that a configuration holds.
        (Err(_), Err(_)) => return Vec::new(),
    };
    [&[tag], length.as_slice(), content].concat()
}

/// Takes one element off the front: its tag and its content.
fn take<'a>(rest: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (&[tag, first], mut after) = rest.split_first_chunk()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        let octets = usize::from(first & 0x7f);
        let (number, content) = after.split_at_checked(octets).filter(|_| octets <= 4)?;
        length = number.iter().fold(0, |sum, &octet| sum << 8 | usize::from(octet));
        after = content;
    }
    let (content, after) = after.split_at_checked(length)?;
    *rest = after;
    Some((tag, content))
}

/// `YYYYMMDDHHMMSSZ` (RFC 4120 §5.2.3) in seconds since 1970.
fn seconds(text: &[u8]) -> Option<u64> {
    let digits =
        text.strip_suffix(b"Z").filter(|digits| digits.len() == 14 && digits.iter().all(u8::is_ascii_digit))?;
    let number = |from: usize, to: usize| {
        digits.get(from..to)?.iter().try_fold(0_u64, |sum, digit| Some(sum * 10 + u64::from(digit - b'0')))
    };
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    // Days of the proleptic Gregorian calendar, counted from a March, so that a leap day comes last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day;
    let since_1970 = days.checked_sub(719_469)?;
    Some(since_1970 * 86_400 + number(8, 10)? * 3600 + number(10, 12)? * 60 + number(12, 14)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_request_is_that_of_rfc_4120_octet_for_octet() {
        let expected: [&[u8]; 13] = [
            b"\x6a\x71\x30\x6f",
            b"\xa1\x03\x02\x01\x05",
            b"\xa2\x03\x02\x01\x0a",
            b"\xa4\x63\x30\x61",
            b"\xa0\x07\x03\x05\x00\x00\x00\x00\x00",
            b"\xa1\x0e\x30\x0c\xa0\x03\x02\x01\x01\xa1\x05\x30\x03\x1b\x01u",
            b"\xa2\x03\x1b\x01R",
            b"\xa3\x16\x30\x14\xa0\x03\x02\x01\x02\xa1\x0d\x30\x0b\x1b\x06krbtgt\x1b\x01R",
            b"\xa5\x11\x18\x0f19700101000000Z",
            b"\xa7\x03\x02\x01\x01",
            b"\xa8\x11\x30\x0f",
            b"\x02\x01\x14\x02\x01\x13\x02\x01\x12",
            b"\x02\x01\x11\x02\x01\x17",
        ];
        assert_eq!(request(Some("u"), "R"), expected.concat());
    }

    #[test]
    fn an_error_tells_the_time_and_a_ticket_does_not() {
        let time = field(4, &element(GENERALIZED_TIME, b"20260228235959Z"));
        let fields = [field(0, &element(INTEGER, &[5])), field(1, &element(INTEGER, &[30])), time].concat();
        let error = element(KRB_ERROR, &sequence(&fields));
        assert_eq!(answer(&error), Some(Answer::Error { time: 1_772_323_199 }));
        assert_eq!(answer(&element(AS_REP, &sequence(&[]))), Some(Answer::Ticket));
        assert_eq!(answer(b"HTTP/1.1 400 Bad Request\r\n"), None);
    }

    #[test]
    fn times_are_counted_over_leap_days_and_centuries() {
        let cases = [
            ("19700101000000Z", Some(0)),
            ("20000229120000Z", Some(951_825_600)),
            ("20240301000000Z", Some(1_709_251_200)),
            ("21000301000000Z", Some(4_107_542_400)),
            ("19691231235959Z", None),
            ("2024030100000Z", None),
            ("202403010000+0Z", None),
        ];
        for (text, expected) in cases {
            assert_eq!(seconds(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn long_contents_have_long_lengths() {
        for length in [0, 0x7f, 0x80, 0xff, 0x100, 0xffff] {
            let octets = element(SEQUENCE, &vec![7; length]);
            assert_eq!(
                take(&mut octets.as_slice()).map(|(tag, content)| (tag, content.len())),
                Some((SEQUENCE, length))
            );
        }
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = answer(&octets);
            let _ = answer(&element(KRB_ERROR, &octets));
            let _ = answer(&element(KRB_ERROR, &sequence(&octets)));
            let _ = answer(&element(KRB_ERROR, &sequence(&field(4, &element(GENERALIZED_TIME, &octets)))));
        }
    }
}
