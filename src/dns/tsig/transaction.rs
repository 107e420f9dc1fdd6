//! One request and its one answer.

use super::record::{Tsig, length, split};
use super::{Answer, Flaw, Mac, MacInput, Stream, TsigError, Verified};
use crate::dns::{Message, Name, Rcode, WireError, WireReader};

/// A signed request that waits for its answer; nothing else can verify that.
#[derive(Debug)]
pub struct Transaction {
    key: Name,
    request_mac: Vec<u8>,
}

/// A message whose signature was checked.
pub(super) struct Checked<E> {
    pub(super) message: Vec<u8>,
    pub(super) verdict: Result<Proof, Flaw<E>>,
}

/// What a good signature tells.
pub(super) struct Proof {
    pub(super) mac_input: MacInput,
    pub(super) mac: Vec<u8>,
    /// The signer's clock minus ours, in seconds.
    pub(super) skew: i64,
}

impl Transaction {
    pub(super) const fn new(key: Name, request_mac: Vec<u8>) -> Self {
        Self { key, request_mac }
    }

    /// For the final TKEY answer, which is signed although its request was not (RFC 3645 §2.2).
    #[must_use]
    pub const fn of_unsigned_request(key: Name) -> Self {
        Self { key, request_mac: Vec::new() }
    }

    /// Checks the answer, at `now` seconds since 1970.
    ///
    /// # Errors
    /// When the octets are no DNS message.
    pub fn verify<M: Mac>(self, mac: &mut M, octets: &[u8], now: u64) -> Result<Answer<M::Error>, WireError> {
        let checked = self.check(mac, octets, now)?;
        let message = Message::parse(&checked.message)?;
        Ok(match checked.verdict {
            Ok(Proof { mac_input, skew, .. }) => Answer::Verified(Verified { inner: message, mac_input, skew }),
            Err(flaw) => Answer::Unverified(message, flaw),
        })
    }

    /// Waits for more than one message, as a zone transfer has.
    #[must_use]
    pub fn into_stream(self) -> Stream {
        Stream::new(self)
    }

    pub(super) fn check<M: Mac>(&self, mac: &mut M, octets: &[u8], now: u64) -> Result<Checked<M::Error>, WireError> {
        let split = split(octets)?;
        let verdict = match split.tsig {
            None => Err(Flaw::Unsigned),
            Some(tsig) => self.judge(mac, &split.message, &tsig, now).map(|mac_input| {
                let skew = difference(tsig.time_signed, now);
                Proof { mac_input, mac: tsig.mac, skew }
            }),
        };
        Ok(Checked { message: split.message, verdict })
    }

    fn judge<M: Mac>(&self, mac: &mut M, message: &[u8], tsig: &Tsig, now: u64) -> Result<MacInput, Flaw<M::Error>> {
        if tsig.mac.is_empty() {
            return Err(reported(tsig, now, false).unwrap_or(Flaw::Unsigned));
        }
        if tsig.mac == self.request_mac {
            return Err(Flaw::Echoed);
        }
        self.check_key(mac, tsig).map_err(|flaw| reported(tsig, now, false).unwrap_or(flaw))?;
        match self.verify_mac(mac, message, tsig) {
            Err(cause) => Err(reported(tsig, now, false).unwrap_or(Flaw::Unverifiable(cause))),
            Ok(mac_input) => match reported(tsig, now, true) {
                Some(flaw) => Err(flaw),
                None => check_time(tsig, now).map(|()| mac_input),
            },
        }
    }

    pub(super) fn check_key<M: Mac>(&self, mac: &M, tsig: &Tsig) -> Result<(), Flaw<M::Error>> {
        if tsig.key == self.key && mac.accepts(&tsig.algorithm) {
            return Ok(());
        }
        Err(Flaw::OtherKey { key: tsig.key.clone(), algorithm: tsig.algorithm.clone() })
    }

    /// The standard digest first (RFC 8945 §4.3), then the one of Samba's internal DNS server.
    fn verify_mac<M: Mac>(&self, mac: &mut M, message: &[u8], tsig: &Tsig) -> Result<MacInput, M::Error> {
        let variables = tsig.variables();
        if self.request_mac.is_empty() {
            return mac.verify(&[message, &variables].concat(), &tsig.mac).map(|()| MacInput::Standard);
        }
        let prefix = length(&self.request_mac);
        let standard = [&prefix[..], &self.request_mac, message, &variables].concat();
        let Err(cause) = mac.verify(&standard, &tsig.mac) else {
            return Ok(MacInput::Standard);
        };
        let without_length = standard.get(prefix.len()..).unwrap_or_default();
        mac.verify(without_length, &tsig.mac).map(|()| MacInput::Samba).map_err(|_| cause)
    }
}

/// The time check comes after the MAC, so that only the holder of the key can fail it (RFC 8945 §5.2.3).
pub(super) fn check_time<E>(tsig: &Tsig, now: u64) -> Result<(), Flaw<E>> {
    if tsig.time_signed.abs_diff(now) <= u64::from(tsig.fudge) {
        return Ok(());
    }
    Err(Flaw::OutOfTime { skew: difference(tsig.time_signed, now) })
}

/// The error that the record reports, if it does.
pub(super) fn reported<E>(tsig: &Tsig, now: u64, signed: bool) -> Option<Flaw<E>> {
    let error = match tsig.error {
        Rcode::NOERROR => return None,
        Rcode::BADSIG => TsigError::BadSig,
        Rcode::BADKEY => TsigError::BadKey,
        Rcode::BADTIME => TsigError::BadTime { skew: server_time(&tsig.other).map(|time| difference(time, now)) },
        Rcode::BADTRUNC => TsigError::BadTrunc,
        other => TsigError::Other(other),
    };
    Some(Flaw::Rejected { error, signed })
}

/// Other Data of BADTIME is the server's clock as a 48-bit number (RFC 8945 §5.2.3).
fn server_time(other: &[u8]) -> Option<u64> {
    let [a, b, c, d, e, f] = WireReader::at(other, 0).array().ok()?;
    Some(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
}

/// `theirs` minus `ours`.
pub(super) fn difference(theirs: u64, ours: u64) -> i64 {
    let distance = i64::try_from(theirs.abs_diff(ours)).unwrap_or(i64::MAX);
    if theirs < ours { -distance } else { distance }
}
