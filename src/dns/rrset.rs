//! Record types, RDATA and RRsets as they are kept below the API: raw wire octets, no text.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::Name;
use super::zone::RrsetRef;

/// A record type by its number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordType(u16);

macro_rules! record_types {
    ($($mnemonic:ident = $number:literal),+ $(,)?) => {
        impl RecordType {
            $(
                #[doc = concat!("The type ", stringify!($mnemonic), ".")]
                pub const $mnemonic: Self = Self($number);
            )+

            /// The mnemonic, for types that have one here.
            #[must_use]
            pub const fn mnemonic(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some(stringify!($mnemonic)),)+
                    _ => None,
                }
            }
        }

        /// Mnemonics in the order of the table.
        const MNEMONICS: &[(&str, u16)] = &[$((stringify!($mnemonic), $number)),+];
    };
}

record_types! {
    A = 1, NS = 2, CNAME = 5, SOA = 6, PTR = 12, MX = 15, TXT = 16, AAAA = 28, SRV = 33, NAPTR = 35,
    DNAME = 39, OPT = 41, DS = 43, SSHFP = 44, RRSIG = 46, NSEC = 47, TLSA = 52, SVCB = 64, HTTPS = 65,
    TKEY = 249, TSIG = 250, IXFR = 251, AXFR = 252, ANY = 255, CAA = 257,
}

impl RecordType {
    /// The type's number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl From<u16> for RecordType {
    fn from(number: u16) -> Self {
        Self(number)
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mnemonic() {
            Some(mnemonic) => f.write_str(mnemonic),
            None => write!(f, "TYPE{}", self.0),
        }
    }
}

impl fmt::Debug for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no record type's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown record type {0:?}")]
pub struct UnknownRecordType(pub String);

impl FromStr for RecordType {
    type Err = UnknownRecordType;

    /// Reads a mnemonic or `TYPEn` (RFC 3597 §5), in any case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let upper = text.to_ascii_uppercase();
        MNEMONICS
            .iter()
            .find(|(mnemonic, _)| *mnemonic == upper)
            .map(|&(_, number)| number)
            .or_else(|| upper.strip_prefix("TYPE")?.parse().ok())
            .map(Self)
            .ok_or_else(|| UnknownRecordType(text.to_owned()))
    }
}

/// A time to live in seconds, at most 2^31-1 (RFC 2181 §8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ttl(u32);

impl Ttl {
    /// Zero seconds: do not cache.
    pub const ZERO: Self = Self(0);
    /// The longest there is.
    pub const MAX: Self = Self(0x7fff_ffff);

    /// Seconds, clamped to the allowed range.
    #[must_use]
    pub fn from_secs(secs: u32) -> Self {
        Self(secs).min(Self::MAX)
    }

    /// Seconds.
    #[must_use]
    pub const fn as_secs(self) -> u32 {
        self.0
    }
}

/// The RDATA of one record: wire octets, names in it uncompressed. Clones share them.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rdata(Arc<[u8]>);

impl Rdata {
    /// Takes wire octets; at most 65,535 fit a record.
    #[must_use]
    pub fn from_wire(wire: impl Into<Arc<[u8]>>) -> Self {
        Self(wire.into())
    }

    /// Wire octets.
    #[must_use]
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Rdata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rdata(")?;
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))?;
        write!(f, ")")
    }
}

/// All records of one name and type; never empty (RFC 2181 §5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rrset {
    name: Name,
    rtype: RecordType,
    ttl: Ttl,
    rdata: Vec<Rdata>,
}

impl Rrset {
    /// An RRset of these records, sorted and without duplicates; none when there are no records.
    #[must_use]
    pub fn new(name: Name, rtype: RecordType, ttl: Ttl, mut rdata: Vec<Rdata>) -> Option<Self> {
        rdata.sort_unstable();
        rdata.dedup();
        rdata.shrink_to_fit();
        (!rdata.is_empty()).then_some(Self { name, rtype, ttl, rdata })
    }

    /// A view of it.
    #[must_use]
    pub fn as_ref(&self) -> RrsetRef<'_> {
        RrsetRef { name: &self.name, rtype: self.rtype, ttl: self.ttl, rdata: &self.rdata }
    }

    /// Owner name.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Record type.
    #[must_use]
    pub fn rtype(&self) -> RecordType {
        self.rtype
    }

    /// Time to live; the lowest, where a server keeps one per record.
    #[must_use]
    pub fn ttl(&self) -> Ttl {
        self.ttl
    }

    /// RDATA in sorted order, at least one.
    #[must_use]
    pub fn rdata(&self) -> &[Rdata] {
        &self.rdata
    }
}
