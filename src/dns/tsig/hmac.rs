//! HMAC with a shared secret (RFC 8945 §6).

use std::fmt;

use hmac::{Hmac, Mac as _};
use secrecy::{ExposeSecret, SecretSlice};
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};
use thiserror::Error;

use super::Mac;
use crate::dns::Name;

/// MAC algorithms of RFC 8945 §6 that are offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum HmacAlgorithm {
    /// hmac-sha1.
    Sha1,
    /// hmac-sha224.
    Sha224,
    /// hmac-sha256.
    #[default]
    Sha256,
    /// hmac-sha384.
    Sha384,
    /// hmac-sha512.
    Sha512,
}

impl HmacAlgorithm {
    /// The algorithm's name as users write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha1 => "hmac-sha1",
            Self::Sha224 => "hmac-sha224",
            Self::Sha256 => "hmac-sha256",
            Self::Sha384 => "hmac-sha384",
            Self::Sha512 => "hmac-sha512",
        }
    }

    /// The algorithm's name in TSIG records.
    fn name(self) -> Name {
        // The constant names are well formed, so the root never stands in.
        Name::from_labels([self.as_str().as_bytes()]).unwrap_or_else(|_| Name::root())
    }
}

impl fmt::Display for HmacAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A shared secret with its algorithm.
#[derive(Clone)]
pub struct HmacKey {
    algorithm: HmacAlgorithm,
    name: Name,
    secret: SecretSlice<u8>,
}

/// The MAC is not the one of these octets and this secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the HMAC is not the one of this message and key")]
pub struct BadMac;

macro_rules! with_hmac {
    ($key:expr, $octets:expr, $hmac:ident => $result:expr) => {
        match $key.algorithm {
            HmacAlgorithm::Sha1 => with_hmac!(@ Sha1, $key, $octets, $hmac => $result),
            HmacAlgorithm::Sha224 => with_hmac!(@ Sha224, $key, $octets, $hmac => $result),
            HmacAlgorithm::Sha256 => with_hmac!(@ Sha256, $key, $octets, $hmac => $result),
            HmacAlgorithm::Sha384 => with_hmac!(@ Sha384, $key, $octets, $hmac => $result),
            HmacAlgorithm::Sha512 => with_hmac!(@ Sha512, $key, $octets, $hmac => $result),
        }
    };
    (@ $digest:ty, $key:expr, $octets:expr, $hmac:ident => $result:expr) => {{
        // HMAC takes keys of any length, so this never fails.
        let mut $hmac = Hmac::<$digest>::new_from_slice($key.secret.expose_secret()).map_err(|_| BadMac)?;
        $hmac.update($octets);
        $result
    }};
}

impl HmacKey {
    /// A key of these secret octets.
    #[must_use]
    pub fn new(algorithm: HmacAlgorithm, secret: Vec<u8>) -> Self {
        Self { algorithm, name: algorithm.name(), secret: secret.into() }
    }
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HmacKey({})", self.algorithm)
    }
}

impl Mac for HmacKey {
    type Error = BadMac;

    fn algorithm(&self) -> &Name {
        &self.name
    }

    fn sign(&mut self, octets: &[u8]) -> Result<Vec<u8>, BadMac> {
        with_hmac!(self, octets, hmac => Ok(hmac.finalize().into_bytes().to_vec()))
    }

    fn verify(&mut self, octets: &[u8], mac: &[u8]) -> Result<(), BadMac> {
        // Whole codes only: we never truncate ours, so a server has no reason to (RFC 8945 §5.2.2.1).
        with_hmac!(self, octets, hmac => hmac.verify_slice(mac).map_err(|_| BadMac))
    }
}
