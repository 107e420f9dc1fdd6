//! The server's side, for tests: verifying requests and signing answers.

use super::Mac;
use super::record::{Tsig, length, split};
use crate::dns::{Name, Rcode};

/// A request as a server sees it.
pub(crate) struct Received {
    /// The request without its TSIG record.
    pub(crate) message: Vec<u8>,
    /// Key name, MAC and time signed, where it is signed.
    pub(crate) signature: Option<(Name, Vec<u8>, u64)>,
    /// Whether the MAC is good.
    pub(crate) genuine: bool,
}

/// Takes a request apart and checks its MAC.
pub(crate) fn receive<M: Mac>(mac: &mut M, octets: &[u8]) -> Received {
    let split = split(octets).unwrap();
    let Some(tsig) = split.tsig else {
        return Received { message: split.message, signature: None, genuine: false };
    };
    let genuine = mac.verify(&[&split.message[..], &tsig.variables()].concat(), &tsig.mac).is_ok();
    Received { message: split.message, signature: Some((tsig.key, tsig.mac, tsig.time_signed)), genuine }
}

/// What a test server puts into the TSIG record of an answer.
pub(crate) struct Signing<'a> {
    pub(crate) key: &'a Name,
    pub(crate) time: u64,
    pub(crate) error: Rcode,
    pub(crate) other: &'a [u8],
}

impl<'a> Signing<'a> {
    pub(crate) fn new(key: &'a Name, time: u64) -> Self {
        Self { key, time, error: Rcode::NOERROR, other: &[] }
    }

    fn record(&self, algorithm: &Name, message: &[u8]) -> Tsig {
        let id = u16::from_be_bytes([message[0], message[1]]);
        let mut tsig = Tsig::new(self.key.clone(), algorithm.clone(), self.time, id);
        (tsig.error, tsig.other) = (self.error, self.other.to_vec());
        tsig
    }

    /// The answer, signed in the standard form; without the request's MAC where that is empty.
    pub(crate) fn sign<M: Mac>(&self, mac: &mut M, request_mac: &[u8], message: &[u8]) -> Vec<u8> {
        let prefix = if request_mac.is_empty() { Vec::new() } else { counted(request_mac) };
        self.sign_after(mac, &prefix, message)
    }

    /// The answer, signed over anything in front of it.
    pub(crate) fn sign_after<M: Mac>(&self, mac: &mut M, prefix: &[u8], message: &[u8]) -> Vec<u8> {
        let mut tsig = self.record(mac.algorithm(), message);
        tsig.mac = mac.sign(&[prefix, message, &tsig.variables()].concat()).unwrap();
        tsig.append(message).unwrap()
    }

    /// A later message of a stream, after unsigned ones; gives its MAC too.
    pub(crate) fn sign_later<M: Mac>(
        &self,
        mac: &mut M,
        prior_mac: &[u8],
        unsigned: &[Vec<u8>],
        message: &[u8],
    ) -> (Vec<u8>, Vec<u8>) {
        let mut tsig = self.record(mac.algorithm(), message);
        let digested = [&counted(prior_mac)[..], &unsigned.concat(), message, &tsig.timers()].concat();
        tsig.mac = mac.sign(&digested).unwrap();
        (tsig.append(message).unwrap(), tsig.mac)
    }

    /// The answer with a TSIG record that holds this MAC, whatever it is.
    pub(crate) fn with_mac(&self, algorithm: &Name, mac: &[u8], message: &[u8]) -> Vec<u8> {
        let mut tsig = self.record(algorithm, message);
        tsig.mac = mac.to_vec();
        tsig.append(message).unwrap()
    }
}

/// The MAC of a signed message.
pub(crate) fn mac_of(octets: &[u8]) -> Vec<u8> {
    split(octets).unwrap().tsig.unwrap().mac
}

fn counted(mac: &[u8]) -> Vec<u8> {
    [&length(mac)[..], mac].concat()
}
