//! A DNS message as it was received: header, questions and the records of its three sections.

use std::fmt;

use super::{Name, Rdata, RecordType, Ttl};
use super::{WireError, WireReader};

/// Octets of the header (RFC 1035 §4.1.1).
pub const HEADER_OCTETS: usize = 12;
/// The shortest record: root, type, class, TTL and RDLENGTH.
const MIN_RECORD_OCTETS: usize = 11;

const QR: u16 = 0x8000;
const AA: u16 = 0x0400;
const TC: u16 = 0x0200;

macro_rules! numbers {
    ($(#[$doc:meta])* $type:ident($repr:ty), $prefix:literal: $($mnemonic:ident = $number:literal),+ $(,)?) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type($repr);

        impl $type {
            $(
                #[doc = concat!("`", stringify!($mnemonic), "`.")]
                pub const $mnemonic: Self = Self($number);
            )+

            /// The number on the wire.
            #[must_use]
            pub const fn number(self) -> $repr {
                self.0
            }
        }

        impl From<$repr> for $type {
            fn from(number: $repr) -> Self {
                Self(number)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.0 {
                    $($number => f.write_str(stringify!($mnemonic)),)+
                    number => write!(f, concat!($prefix, "{}"), number),
                }
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

numbers! {
    /// A response code, or the error field of TSIG (RFC 8945 §3) and TKEY (RFC 2930 §2.6).
    Rcode(u16), "RCODE":
    NOERROR = 0, FORMERR = 1, SERVFAIL = 2, NXDOMAIN = 3, NOTIMP = 4, REFUSED = 5, YXDOMAIN = 6, YXRRSET = 7,
    NXRRSET = 8, NOTAUTH = 9, NOTZONE = 10, BADSIG = 16, BADKEY = 17, BADTIME = 18, BADMODE = 19, BADNAME = 20,
    BADALG = 21, BADTRUNC = 22,
}

numbers! {
    /// A class; in updates also what is to be done with a record (RFC 2136 §2.4, §2.5).
    Class(u16), "CLASS":
    IN = 1, NONE = 254, ANY = 255,
}

numbers! {
    /// What kind of message it is.
    Opcode(u8), "OPCODE":
    QUERY = 0, NOTIFY = 4, UPDATE = 5,
}

/// What was received, with all names uncompressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    id: u16,
    flags: u16,
    /// Question section; the zone section of an update.
    pub questions: Vec<Question>,
    /// Answer section; the prerequisites of an update.
    pub answers: Vec<Record>,
    /// Authority section; the update section of an update.
    pub authorities: Vec<Record>,
    /// Additional section.
    pub additionals: Vec<Record>,
}

/// An entry of the question section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The name asked for.
    pub name: Name,
    /// The type asked for.
    pub rtype: RecordType,
    /// The class asked for.
    pub class: Class,
}

/// A resource record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Owner name.
    pub name: Name,
    /// Record type.
    pub rtype: RecordType,
    /// Class.
    pub class: Class,
    /// Time to live; zero where the highest bit was set (RFC 2181 §8).
    pub ttl: Ttl,
    /// RDATA; as it was received when it does not have the layout of its type.
    pub rdata: Rdata,
    /// Offset of the record in the message.
    pub offset: usize,
}

impl Message {
    /// Reads a whole message.
    ///
    /// # Errors
    /// When the octets do not hold the records that the header announces, or hold more.
    pub fn parse(octets: &[u8]) -> Result<Self, WireError> {
        let mut reader = WireReader::at(octets, 0);
        let id = reader.u16()?;
        let flags = reader.u16()?;
        let counts = [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?];
        let questions = (0..counts[0]).map(|_| Question::read(&mut reader)).collect::<Result<_, _>>()?;
        let message = Self {
            id,
            flags,
            questions,
            answers: section(&mut reader, counts[1])?,
            authorities: section(&mut reader, counts[2])?,
            additionals: section(&mut reader, counts[3])?,
        };
        match reader.remaining() {
            0 => Ok(message),
            left => Err(WireError::Trailing(left)),
        }
    }

    /// The id that ties a response to its request.
    #[must_use]
    pub const fn id(&self) -> u16 {
        self.id
    }

    /// Whether this is a response.
    #[must_use]
    pub const fn is_response(&self) -> bool {
        self.flags & QR != 0
    }

    /// What kind of message it is.
    #[must_use]
    pub const fn opcode(&self) -> Opcode {
        Opcode((self.flags >> 11 & 0xf).to_be_bytes()[1])
    }

    /// Whether the server claims authority for what it answers.
    #[must_use]
    pub const fn is_authoritative(&self) -> bool {
        self.flags & AA != 0
    }

    /// Whether the response was truncated to fit.
    #[must_use]
    pub const fn is_truncated(&self) -> bool {
        self.flags & TC != 0
    }

    /// The response code of the header (no EDNS extension: we send no OPT).
    #[must_use]
    pub const fn rcode(&self) -> Rcode {
        Rcode(self.flags & 0xf)
    }
}

impl Question {
    fn read(reader: &mut WireReader<'_>) -> Result<Self, WireError> {
        Ok(Self { name: reader.name()?, rtype: reader.u16()?.into(), class: reader.u16()?.into() })
    }
}

impl Record {
    fn read(reader: &mut WireReader<'_>) -> Result<Self, WireError> {
        let offset = reader.position();
        let name = reader.name()?;
        let rtype = reader.u16()?.into();
        let class = reader.u16()?.into();
        let ttl = Some(reader.u32()?).filter(|&secs| secs <= Ttl::MAX.as_secs()).map_or(Ttl::ZERO, Ttl::from_secs);
        let length = reader.u16()?;
        let rdata = Rdata::from_wire(reader.rdata(rtype, usize::from(length))?);
        Ok(Self { name, rtype, class, ttl, rdata, offset })
    }
}

/// Reads a section; the announced count is believed only as far as there are octets for it.
fn section(reader: &mut WireReader<'_>, count: u16) -> Result<Vec<Record>, WireError> {
    let mut records = Vec::with_capacity(usize::from(count).min(reader.remaining() / MIN_RECORD_OCTETS));
    for _ in 0..count {
        records.push(Record::read(reader)?);
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A response to `www.test IN MX` with one compressed answer.
    const RESPONSE: &[u8] = b"\x12\x34\x84\x05\x00\x01\x00\x01\x00\x00\x00\x00\
        \x03www\x04Test\x00\x00\x0f\x00\x01\
        \xc0\x0c\x00\x0f\x00\x01\x00\x00\x01\x2c\x00\x09\x00\x0a\x04mail\xc0\x10";

    #[test]
    fn a_response_is_read_field_by_field() {
        let message = Message::parse(RESPONSE).unwrap();
        assert_eq!((message.id(), message.opcode(), message.rcode()), (0x1234, Opcode::QUERY, Rcode::REFUSED));
        assert!(message.is_response() && message.is_authoritative() && !message.is_truncated());
        let name: Name = "www.test".parse().unwrap();
        assert_eq!(message.questions, [Question { name: name.clone(), rtype: RecordType::MX, class: Class::IN }]);
        let rdata = Rdata::from_wire(&b"\x00\x0a\x04mail\x04test\x00"[..]);
        let ttl = Ttl::from_secs(300);
        assert_eq!(message.answers, [Record { name, rtype: RecordType::MX, class: Class::IN, ttl, rdata, offset: 26 }]);
    }

    #[test]
    fn every_cut_and_every_added_octet_is_refused() {
        for end in 0..RESPONSE.len() {
            assert!(Message::parse(&RESPONSE[..end]).is_err(), "cut at {end}");
        }
        assert_eq!(Message::parse(&[RESPONSE, b"x"].concat()), Err(WireError::Trailing(1)));
    }

    #[test]
    fn one_odd_record_does_not_spoil_the_others() {
        let mut octets = b"\x00\x00\x80\x00\x00\x00\x00\x02\x00\x00\x00\x00".to_vec();
        octets.extend(b"\x01a\x00\x00\x0f\x00\x01\x00\x00\x00\x00\x00\x00");
        octets.extend(b"\x01b\x00\x00\x01\x00\x01\xff\xff\xff\xff\x00\x04\x7f\x00\x00\x01");
        let message = Message::parse(&octets).unwrap();
        assert_eq!(message.answers[0].rdata.as_wire(), b"");
        assert_eq!(message.answers[1].rdata.as_wire(), [127, 0, 0, 1]);
        assert_eq!(message.answers[1].ttl, Ttl::ZERO);
    }

    #[test]
    fn counts_without_records_cost_nothing() {
        assert!(Message::parse(b"\x00\x00\x80\x00\xff\xff\xff\xff\xff\xff\xff\xff").is_err());
    }

    #[test]
    fn codes_have_their_names() {
        assert_eq!(Rcode::BADTIME.to_string(), "BADTIME");
        assert_eq!(Rcode::from(11).to_string(), "RCODE11");
        assert_eq!(Class::from(3).to_string(), "CLASS3");
    }

    proptest! {
        #[test]
        fn any_octets_are_parsed_without_panic(octets: Vec<u8>) {
            let _ = Message::parse(&octets);
        }

        #[test]
        fn any_change_of_a_real_message_is_parsed_without_panic(at in 0..RESPONSE.len(), octet: u8) {
            let mut octets = RESPONSE.to_vec();
            octets[at] = octet;
            let _ = Message::parse(&octets);
        }

        #[test]
        fn a_count_that_is_too_high_is_an_error(counts in prop::array::uniform4(0_u16..9)) {
            let announced: Vec<u8> = counts.iter().flat_map(|count| count.to_be_bytes()).collect();
            let mut octets = RESPONSE.to_vec();
            octets[4..12].copy_from_slice(&announced);
            prop_assert_eq!(Message::parse(&octets).is_ok(), counts == [1, 1, 0, 0] || counts == [1, 0, 1, 0]
                || counts == [1, 0, 0, 1]);
        }
    }
}
