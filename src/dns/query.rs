//! Queries to an authoritative server, and what their answers say.

use thiserror::Error;

use super::message::{Class, Message, Opcode, Question, Rcode};
use super::{Name, Rdata, RecordType, Rrset, Ttl, ZoneName};
use super::{WireError, WireReader};

/// A question, and for an incremental transfer the version that the asker holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    question: Question,
    held: Option<u32>,
}

/// A reply that does not answer the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ReplyError {
    /// It belongs to another request.
    #[error("the reply has id {found}, not {expected}")]
    WrongId {
        /// Id of the query.
        expected: u16,
        /// Id of the reply.
        found: u16,
    },
    /// It is a request, or of another opcode.
    #[error("the message is no reply to a query")]
    NoReply,
    /// It answers another question.
    #[error("the reply answers another question")]
    WrongQuestion,
    /// It was cut to fit (TC).
    #[error("the reply is truncated")]
    Truncated,
    /// The server does not allow it.
    #[error("the server refuses the query")]
    Refused,
    /// The server does not serve the zone.
    #[error("the server is not authoritative for the zone")]
    NotAuthoritative,
    /// The server failed with another code.
    #[error("the server answers {0}")]
    Failed(Rcode),
    /// It has no SOA record of the zone.
    #[error("the reply holds no SOA record of the zone")]
    NoSoa,
}

impl Query {
    /// Asks for an RRset.
    #[must_use]
    pub const fn new(name: Name, rtype: RecordType) -> Self {
        Self { question: Question { name, rtype, class: Class::IN }, held: None }
    }

    /// Asks for a zone's SOA record, which tells its version.
    #[must_use]
    pub fn soa(zone: &ZoneName) -> Self {
        Self::new(zone.as_name().clone(), RecordType::SOA)
    }

    /// Asks for a whole zone (RFC 5936 §2.1).
    #[must_use]
    pub fn axfr(zone: &ZoneName) -> Self {
        Self::new(zone.as_name().clone(), RecordType::AXFR)
    }

    /// Asks for what changed since version `held` (RFC 1995 §3).
    #[must_use]
    pub fn ixfr(zone: &ZoneName, held: u32) -> Self {
        Self { held: Some(held), ..Self::new(zone.as_name().clone(), RecordType::IXFR) }
    }

    /// The unsigned message.
    #[must_use]
    pub fn encode(&self, id: u16) -> Vec<u8> {
        let Question { name, rtype, class } = &self.question;
        let mut octets = Vec::with_capacity(64);
        let authorities = u16::from(self.held.is_some());
        for field in [id, 0, 1, 0, authorities, 0] {
            octets.extend(field.to_be_bytes());
        }
        octets.extend(name.as_wire());
        octets.extend(rtype.number().to_be_bytes());
        octets.extend(class.number().to_be_bytes());
        if let Some(serial) = self.held {
            octets.extend(name.as_wire());
            octets.extend(held_soa(serial));
        }
        octets
    }

    /// Checks that a message is a good reply to this query.
    ///
    /// NXDOMAIN is one: it says that the name has no records.
    ///
    /// # Errors
    /// When it belongs to something else, or the server could not or would not answer.
    pub fn check(&self, id: u16, reply: &Message) -> Result<(), ReplyError> {
        self.check_header(id, reply)?;
        if reply.questions != std::slice::from_ref(&self.question) {
            return Err(ReplyError::WrongQuestion);
        }
        Ok(())
    }

    /// As [`Query::check`], for the second and later messages of a transfer, which may leave the question out.
    ///
    /// # Errors
    /// As [`Query::check`].
    pub fn check_continuation(&self, id: u16, reply: &Message) -> Result<(), ReplyError> {
        if reply.questions.is_empty() { self.check_header(id, reply) } else { self.check(id, reply) }
    }

    fn check_header(&self, id: u16, reply: &Message) -> Result<(), ReplyError> {
        if reply.id() != id {
            return Err(ReplyError::WrongId { expected: id, found: reply.id() });
        }
        if !reply.is_response() || reply.opcode() != Opcode::QUERY {
            return Err(ReplyError::NoReply);
        }
        match reply.rcode() {
            Rcode::NOERROR | Rcode::NXDOMAIN if reply.is_truncated() => Err(ReplyError::Truncated),
            Rcode::NOERROR | Rcode::NXDOMAIN => Ok(()),
            Rcode::REFUSED => Err(ReplyError::Refused),
            Rcode::NOTAUTH => Err(ReplyError::NotAuthoritative),
            other => Err(ReplyError::Failed(other)),
        }
    }

    /// The RRset that a checked reply holds for this query; none when there is none.
    ///
    /// A wildcard answers like an RRset of the name itself.
    ///
    /// # Errors
    /// When the server does not claim authority.
    pub fn answer(&self, reply: &Message) -> Result<Option<Rrset>, ReplyError> {
        if !reply.is_authoritative() {
            return Err(ReplyError::NotAuthoritative);
        }
        let Question { name, rtype, class } = &self.question;
        let matching = || reply.answers.iter().filter(|r| r.name == *name && r.rtype == *rtype && r.class == *class);
        let ttl = matching().map(|record| record.ttl).min().unwrap_or(Ttl::ZERO);
        Ok(Rrset::new(name.clone(), *rtype, ttl, matching().map(|record| record.rdata.clone()).collect()))
    }

    /// The SOA record that a checked reply to a SOA query holds.
    ///
    /// # Errors
    /// When the server does not claim authority, or the name is no zone's apex.
    pub fn soa_answer(&self, reply: &Message) -> Result<Soa, ReplyError> {
        let rrset = self.answer(reply)?.ok_or(ReplyError::NoSoa)?;
        rrset.rdata().first().and_then(Soa::from_rdata).ok_or(ReplyError::NoSoa)
    }
}

/// What follows the owner name of the SOA record in an IXFR query: only its serial is read (RFC 1995 §3).
fn held_soa(serial: u32) -> impl Iterator<Item = u8> {
    // MNAME and RNAME are the root, one octet each; five 32-bit numbers follow.
    const RDLENGTH: u16 = 22;
    RecordType::SOA
        .number()
        .to_be_bytes()
        .into_iter()
        .chain(Class::IN.number().to_be_bytes())
        .chain(0_u32.to_be_bytes())
        .chain(RDLENGTH.to_be_bytes())
        .chain([0, 0])
        .chain(serial.to_be_bytes())
        .chain([0; 16])
}

/// The start of a zone's authority (RFC 1035 §3.3.13), as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Soa {
    /// The primary server's name.
    pub mname: Name,
    /// The version of the zone.
    pub serial: u32,
}

impl Soa {
    /// Reads SOA RDATA; none when it is something else.
    #[must_use]
    pub fn from_rdata(rdata: &Rdata) -> Option<Self> {
        let mut reader = WireReader::at(rdata.as_wire(), 0);
        let soa = Self::read(&mut reader).ok()?;
        (reader.remaining() == 0).then_some(soa)
    }

    fn read(reader: &mut WireReader<'_>) -> Result<Self, WireError> {
        let mname = reader.name()?;
        let _rname = reader.name()?;
        let serial = reader.u32()?;
        let _timers: [u8; 16] = reader.array()?;
        Ok(Self { mname, serial })
    }
}

/// Whether serial `a` comes after serial `b` (RFC 1982 §3.2).
#[must_use]
pub const fn is_newer(a: u32, b: u32) -> bool {
    a != b && a.wrapping_sub(b) < 1 << 31
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone() -> ZoneName {
        "example.test".parse().unwrap()
    }

    /// A reply to the SOA query of id 1, with these flags.
    fn soa_reply(flags: u16) -> Vec<u8> {
        let mut octets = Query::soa(&zone()).encode(1);
        octets[2..4].copy_from_slice(&flags.to_be_bytes());
        octets[7] = 1;
        octets.extend(b"\xc0\x0c\x00\x06\x00\x01\x00\x00\x0e\x10\x00\x1b\x03NS1\xc0\x0c\x00");
        octets.extend(4_000_000_000_u32.to_be_bytes());
        octets.extend([0; 15]);
        octets.push(60);
        octets
    }

    #[test]
    fn a_soa_answer_tells_serial_and_primary() {
        let octets = soa_reply(0x8400);
        let reply = Message::parse(&octets).unwrap();
        let query = Query::soa(&zone());
        query.check(1, &reply).unwrap();
        let soa = Soa { mname: "ns1.example.test".parse().unwrap(), serial: 4_000_000_000 };
        assert_eq!(query.soa_answer(&reply), Ok(soa));
    }

    #[test]
    fn a_reply_must_belong_to_the_query() {
        let reply = Message::parse(&soa_reply(0x8400)).unwrap();
        let check = |query: Query, id| query.check(id, &reply);
        assert_eq!(check(Query::soa(&zone()), 2), Err(ReplyError::WrongId { expected: 2, found: 1 }));
        assert_eq!(check(Query::axfr(&zone()), 1), Err(ReplyError::WrongQuestion));
        assert_eq!(check(Query::soa(&"test".parse().unwrap()), 1), Err(ReplyError::WrongQuestion));
        let request = Message::parse(&soa_reply(0x0400)).unwrap();
        assert_eq!(Query::soa(&zone()).check(1, &request), Err(ReplyError::NoReply));
        let update = Message::parse(&soa_reply(0xac00)).unwrap();
        assert_eq!(Query::soa(&zone()).check(1, &update), Err(ReplyError::NoReply));
    }

    #[test]
    fn refusals_and_failures_are_told_apart() {
        let check = |flags| Query::soa(&zone()).check(1, &Message::parse(&soa_reply(flags)).unwrap());
        assert_eq!(check(0x8405), Err(ReplyError::Refused));
        assert_eq!(check(0x8009), Err(ReplyError::NotAuthoritative));
        assert_eq!(check(0x8002), Err(ReplyError::Failed(Rcode::SERVFAIL)));
        assert_eq!(check(0x8600), Err(ReplyError::Truncated));
        assert_eq!(check(0x8403), Ok(()));
    }

    #[test]
    fn an_answer_without_authority_is_none() {
        let reply = Message::parse(&soa_reply(0x8000)).unwrap();
        assert_eq!(Query::soa(&zone()).soa_answer(&reply), Err(ReplyError::NotAuthoritative));
    }

    #[test]
    fn an_incremental_query_carries_the_held_serial() {
        let message = Message::parse(&Query::ixfr(&zone(), 7).encode(3)).unwrap();
        let soa = &message.authorities[0];
        assert_eq!((message.questions[0].rtype, &soa.name), (RecordType::IXFR, zone().as_name()));
        assert_eq!(Soa::from_rdata(&soa.rdata), Some(Soa { mname: Name::root(), serial: 7 }));
    }

    #[test]
    fn serials_wrap_around() {
        assert!(is_newer(1, 0) && is_newer(0, u32::MAX) && is_newer(5, 0xffff_fff0));
        assert!(!is_newer(1, 1) && !is_newer(0, 1) && !is_newer(u32::MAX, 0));
    }
}
