//! Negotiating and deleting keys with a server (RFC 2930, RFC 3645).

use thiserror::Error;

use super::WireReader;
use super::message::{Class, Message, Rcode};
use super::{Name, RecordType, WireError};

/// Seconds that a key is asked for; servers decide for themselves.
const LIFETIME: u32 = 3600;

/// What a TKEY record is for (RFC 2930 §2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// GSS-API negotiation.
    Negotiate,
    /// Key deletion.
    Delete,
}

impl Mode {
    const fn number(self) -> u16 {
        match self {
            Self::Negotiate => 3,
            Self::Delete => 5,
        }
    }
}

/// A request to negotiate or delete a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TkeyQuery<'a> {
    /// Key name.
    pub key: &'a Name,
    /// Algorithm of the key.
    pub algorithm: &'a Name,
    /// What is to be done.
    pub mode: Mode,
    /// The token of the security context; empty for a deletion.
    pub key_data: &'a [u8],
}

/// The token does not fit a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a token of {0} octets does not fit a message")]
pub struct TokenTooLarge(pub usize);

/// What a server says about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TkeyAnswer {
    /// Key name; the server may have chosen another one than asked for (RFC 2930 §4.2).
    pub key: Name,
    /// Algorithm of the key.
    pub algorithm: Name,
    /// Seconds between the key's inception and expiration, by the server's clock.
    pub lifetime: u32,
    /// The acceptor's token.
    pub key_data: Vec<u8>,
}

/// Why a TKEY answer gives no key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TkeyError {
    /// The server says why in the TKEY record: BADKEY, BADNAME, BADMODE, BADALG.
    #[error("the server refuses the key with {0}")]
    Refused(Rcode),
    /// The server refuses the request as such.
    #[error("the server answers the key request with {0}")]
    Failed(Rcode),
    /// The answer has no TKEY record.
    #[error("the answer holds no TKEY record")]
    Missing,
    /// The TKEY record cannot be read.
    #[error("the TKEY record cannot be read")]
    Malformed(#[from] WireError),
    /// The TKEY record is of another mode.
    #[error("the TKEY record has mode {0}")]
    OtherMode(u16),
}

impl TkeyQuery<'_> {
    /// The unsigned message, made at `now` seconds since 1970; the record is in the additional section.
    ///
    /// # Errors
    /// When the token is too large.
    pub fn encode(&self, id: u16, now: u64) -> Result<Vec<u8>, TokenTooLarge> {
        let too_large = TokenTooLarge(self.key_data.len());
        let mut octets = Vec::with_capacity(256 + self.key_data.len());
        for field in [id, 0, 1, 0, 0, 1] {
            octets.extend(field.to_be_bytes());
        }
        for _ in 0..2 {
            octets.extend(self.key.as_wire());
            octets.extend(RecordType::TKEY.number().to_be_bytes());
            octets.extend(Class::ANY.number().to_be_bytes());
        }
        octets.extend(0_u32.to_be_bytes());
        let rdata = self.rdata(now).ok_or(too_large)?;
        octets.extend(u16::try_from(rdata.len()).map_err(|_| too_large)?.to_be_bytes());
        octets.extend(rdata);
        if octets.len() > usize::from(u16::MAX) { Err(too_large) } else { Ok(octets) }
    }

    fn rdata(&self, now: u64) -> Option<Vec<u8>> {
        // Times are numbers modulo 2^32 (RFC 2930 §2.3).
        let inception = u32::try_from(now & u64::from(u32::MAX)).ok()?;
        let mut rdata = Vec::with_capacity(64 + self.key_data.len());
        rdata.extend(self.algorithm.as_wire());
        rdata.extend(inception.to_be_bytes());
        rdata.extend(inception.wrapping_add(LIFETIME).to_be_bytes());
        rdata.extend(self.mode.number().to_be_bytes());
        rdata.extend(Rcode::NOERROR.number().to_be_bytes());
        rdata.extend(u16::try_from(self.key_data.len()).ok()?.to_be_bytes());
        rdata.extend(self.key_data);
        rdata.extend(0_u16.to_be_bytes());
        Some(rdata)
    }
}

impl TkeyAnswer {
    /// Reads the answer to a negotiation; the record may be in the answer or the additional section.
    ///
    /// # Errors
    /// When the server refuses, or the record is missing, malformed or of another mode.
    pub fn read(message: &Message) -> Result<Self, TkeyError> {
        let record = message.answers.iter().chain(&message.additionals).find(|record| record.rtype == RecordType::TKEY);
        // Some servers return the request with an error code, so the code comes before the record.
        let failed = Some(message.rcode()).filter(|&rcode| rcode != Rcode::NOERROR).map(TkeyError::Failed);
        let Some(record) = record else {
            return Err(failed.unwrap_or(TkeyError::Missing));
        };
        let fields = Fields::read(record.rdata.as_wire()).map_err(|error| failed.clone().unwrap_or(error.into()))?;
        if fields.error != Rcode::NOERROR {
            return Err(TkeyError::Refused(fields.error));
        }
        if let Some(failed) = failed {
            return Err(failed);
        }
        if fields.mode != Mode::Negotiate.number() {
            return Err(TkeyError::OtherMode(fields.mode));
        }
        let lifetime = fields.expiration.wrapping_sub(fields.inception);
        Ok(Self { key: record.name.clone(), algorithm: fields.algorithm, lifetime, key_data: fields.key_data })
    }
}

/// TKEY RDATA (RFC 2930 §2), without its Other Data, for which there is no use.
struct Fields {
    algorithm: Name,
    inception: u32,
    expiration: u32,
    mode: u16,
    error: Rcode,
    key_data: Vec<u8>,
}

impl Fields {
    fn read(rdata: &[u8]) -> Result<Self, WireError> {
        let mut reader = WireReader::at(rdata, 0);
        let algorithm = reader.name()?;
        let inception = reader.u32()?;
        let expiration = reader.u32()?;
        let mode = reader.u16()?;
        let error = reader.u16()?.into();
        let size = reader.u16()?;
        let key_data = reader.octets(usize::from(size))?.to_vec();
        let other = reader.u16()?;
        reader.octets(usize::from(other))?;
        match reader.remaining() {
            0 => Ok(Self { algorithm, inception, expiration, mode, error, key_data }),
            left => Err(WireError::Trailing(left)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    /// A query turned into the answer of a server that accepts it: `error` in the record, `rcode` in the header.
    fn answer(rcode: u8, error: Rcode, in_answer: bool) -> Vec<u8> {
        let (key, algorithm) = (name("k.test"), name("gss-tsig"));
        let query = TkeyQuery { key: &key, algorithm: &algorithm, mode: Mode::Negotiate, key_data: b"token" };
        let mut octets = query.encode(7, 1_000).unwrap();
        octets[2] |= 0x80;
        octets[3] = rcode;
        if in_answer {
            octets[7] = 1;
            octets[11] = 0;
        }
        let at = octets.len() - 2 - b"token".len() - 2 - 2;
        octets[at..at + 2].copy_from_slice(&error.number().to_be_bytes());
        octets
    }

    fn read(octets: &[u8]) -> Result<TkeyAnswer, TkeyError> {
        TkeyAnswer::read(&Message::parse(octets).unwrap())
    }

    #[test]
    fn a_token_comes_back_from_either_section() {
        for in_answer in [true, false] {
            let answer = read(&answer(0, Rcode::NOERROR, in_answer)).unwrap();
            assert_eq!((answer.key, answer.lifetime), (name("k.test"), 3600));
            assert_eq!((answer.algorithm, &answer.key_data[..]), (name("gss-tsig"), &b"token"[..]));
        }
    }

    #[test]
    fn the_query_is_what_bind_and_windows_expect() {
        let (key, algorithm) = (name("k.test"), name("gss-tsig"));
        let query = TkeyQuery { key: &key, algorithm: &algorithm, mode: Mode::Delete, key_data: b"" };
        let octets = query.encode(0x1234, u64::from(u32::MAX) + 6).unwrap();
        assert_eq!(
            octets,
            [
                &b"\x12\x34\x00\x00\x00\x01\x00\x00\x00\x00\x00\x01"[..],
                b"\x01k\x04test\x00\x00\xf9\x00\xff",
                b"\x01k\x04test\x00\x00\xf9\x00\xff\x00\x00\x00\x00\x00\x1a",
                b"\x08gss-tsig\x00\x00\x00\x00\x05\x00\x00\x0e\x15\x00\x05\x00\x00\x00\x00\x00\x00",
            ]
            .concat()
        );
    }

    #[test]
    fn refusals_name_the_error_of_the_record_before_that_of_the_header() {
        assert_eq!(read(&answer(0, Rcode::BADKEY, true)), Err(TkeyError::Refused(Rcode::BADKEY)));
        assert_eq!(read(&answer(9, Rcode::BADNAME, true)), Err(TkeyError::Refused(Rcode::BADNAME)));
        assert_eq!(read(&answer(0, Rcode::BADMODE, true)), Err(TkeyError::Refused(Rcode::BADMODE)));
        assert_eq!(read(&answer(5, Rcode::NOERROR, false)), Err(TkeyError::Failed(Rcode::REFUSED)));
    }

    #[test]
    fn an_answer_without_a_record_is_refused() {
        let mut octets = answer(0, Rcode::NOERROR, false);
        octets[11] = 0;
        octets.truncate(12 + 8 + 4);
        assert_eq!(read(&octets), Err(TkeyError::Missing));
        octets[3] = 2;
        assert_eq!(read(&octets), Err(TkeyError::Failed(Rcode::SERVFAIL)));
    }

    #[test]
    fn a_token_that_fits_no_message_is_refused() {
        let (key, algorithm) = (name("k.test"), name("gss-tsig"));
        for size in [65_500, 70_000] {
            let query = TkeyQuery { key: &key, algorithm: &algorithm, mode: Mode::Negotiate, key_data: &vec![0; size] };
            assert_eq!(query.encode(1, 0), Err(TokenTooLarge(size)));
        }
    }

    proptest! {
        #[test]
        fn any_change_of_an_answer_is_read_without_panic(at in 12..70_usize, octet: u8, cut in 0..70_usize) {
            let mut octets = answer(0, Rcode::NOERROR, true);
            if let Some(place) = octets.get_mut(at) {
                *place = octet;
            }
            octets.truncate(octets.len() - cut.min(octets.len()));
            let _ = Message::parse(&octets).map(|message| TkeyAnswer::read(&message));
        }

        #[test]
        fn any_rdata_is_read_without_panic(rdata: Vec<u8>) {
            let _ = Fields::read(&rdata);
        }
    }
}
