//! The TSIG record: its octets, and how it is put on and taken off a message (RFC 8945 §4).

use crate::dns::{HEADER_OCTETS, Name, Rcode, RecordType, WireError, WireReader};

/// From this value on, an octet where a label starts is a pointer (RFC 1035 §4.1.4).
const POINTER: u8 = 0xc0;
/// Class ANY and TTL 0 (RFC 8945 §4.2).
const ANY_ZERO: [u8; 6] = [0x00, 0xff, 0, 0, 0, 0];

/// A TSIG record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tsig {
    pub(super) key: Name,
    /// Class and TTL, ANY and 0 where all is well; digested as received.
    class_ttl: [u8; 6],
    pub(super) algorithm: Name,
    /// Seconds since 1970; 48 bits on the wire.
    pub(super) time_signed: u64,
    pub(super) fudge: u16,
    pub(super) mac: Vec<u8>,
    pub(super) original_id: u16,
    pub(super) error: Rcode,
    pub(super) other: Vec<u8>,
}

impl Tsig {
    /// The record of a request, its MAC still empty.
    pub(super) fn new(key: Name, algorithm: Name, time_signed: u64, original_id: u16) -> Self {
        let (error, fudge) = (Rcode::NOERROR, super::FUDGE);
        let (class_ttl, mac, other) = (ANY_ZERO, Vec::new(), Vec::new());
        Self { key, class_ttl, algorithm, time_signed, fudge, mac, original_id, error, other }
    }

    /// The TSIG variables as they are digested: names in lower case and uncompressed (RFC 8945 §4.3.3).
    pub(super) fn variables(&self) -> Vec<u8> {
        let mut octets = Vec::with_capacity(128);
        octets.extend(self.key.as_wire());
        octets.extend(self.class_ttl);
        octets.extend(self.algorithm.as_wire());
        octets.extend(self.timers());
        octets.extend(self.error.number().to_be_bytes());
        octets.extend(length(&self.other));
        octets.extend(&self.other);
        octets
    }

    /// Time signed and fudge, which are all that is digested in later messages of a stream (RFC 8945 §5.3.1).
    pub(super) fn timers(&self) -> [u8; 8] {
        let [_, _, a, b, c, d, e, f] = self.time_signed.to_be_bytes();
        let [g, h] = self.fudge.to_be_bytes();
        [a, b, c, d, e, f, g, h]
    }

    /// The message with this record at its end; none when it does not fit.
    ///
    /// The owner name is never compressed: Samba's internal DNS server cannot verify it otherwise.
    pub(super) fn append(&self, message: &[u8]) -> Option<Vec<u8>> {
        let mut octets = message.to_vec();
        let count = octets.get_mut(10..12)?;
        let additionals = u16::from_be_bytes([*count.first()?, *count.last()?]).checked_add(1)?;
        count.copy_from_slice(&additionals.to_be_bytes());
        octets.extend(self.key.as_wire());
        octets.extend(RecordType::TSIG.number().to_be_bytes());
        octets.extend(self.class_ttl);
        let rdata = self.rdata();
        octets.extend(u16::try_from(rdata.len()).ok()?.to_be_bytes());
        octets.extend(rdata);
        (octets.len() <= usize::from(u16::MAX)).then_some(octets)
    }

    fn rdata(&self) -> Vec<u8> {
        let mut octets = Vec::with_capacity(64 + self.mac.len());
        octets.extend(self.algorithm.as_wire());
        octets.extend(self.timers());
        octets.extend(length(&self.mac));
        octets.extend(&self.mac);
        octets.extend(self.original_id.to_be_bytes());
        octets.extend(self.error.number().to_be_bytes());
        octets.extend(length(&self.other));
        octets.extend(&self.other);
        octets
    }

    fn read(reader: &mut WireReader<'_>) -> Result<Self, WireError> {
        let key = reader.name()?;
        let _rtype = reader.u16()?;
        let class_ttl = reader.array()?;
        let end = usize::from(reader.u16()?).saturating_add(reader.position());
        let algorithm = reader.name()?;
        let [a, b, c, d, e, f] = reader.array()?;
        let time_signed = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
        let fudge = reader.u16()?;
        let mac = counted(reader)?;
        let original_id = reader.u16()?;
        let error = reader.u16()?.into();
        let other = counted(reader)?;
        if reader.position() != end {
            return Err(WireError::Trailing(end.abs_diff(reader.position())));
        }
        Ok(Self { key, class_ttl, algorithm, time_signed, fudge, mac, original_id, error, other })
    }
}

/// A message taken apart: as it was before it was signed, and the TSIG record.
pub(super) struct Split {
    /// The original id is back in place and the TSIG record is no longer counted (RFC 8945 §5.2).
    pub(super) message: Vec<u8>,
    pub(super) tsig: Option<Tsig>,
}

/// Takes the TSIG record off a message.
pub(super) fn split(octets: &[u8]) -> Result<Split, WireError> {
    let Some(start) = tsig_start(octets)? else {
        return Ok(Split { message: octets.to_vec(), tsig: None });
    };
    let mut reader = WireReader::at(octets, start);
    let tsig = Tsig::read(&mut reader)?;
    let mut message = octets.get(..start).unwrap_or_default().to_vec();
    let additionals = WireReader::at(octets, 10).u16()?.saturating_sub(1);
    for (at, field) in [(0, tsig.original_id), (10, additionals)] {
        if let Some(place) = message.get_mut(at..at + 2) {
            place.copy_from_slice(&field.to_be_bytes());
        }
    }
    Ok(Split { message, tsig: Some(tsig) })
}

/// The message without its TSIG record, for those who neither sign nor verify.
///
/// # Errors
/// When the octets are no message, or the TSIG record is not the last one.
pub fn unsigned(octets: &[u8]) -> Result<Vec<u8>, WireError> {
    split(octets).map(|split| split.message)
}

/// Where the TSIG record starts, which must be the last record of the message (RFC 8945 §5.1).
fn tsig_start(octets: &[u8]) -> Result<Option<usize>, WireError> {
    let mut header = WireReader::at(octets, 4);
    let questions = header.u16()?;
    let records = u32::from(header.u16()?) + u32::from(header.u16()?);
    let additionals = u32::from(header.u16()?);
    let mut reader = WireReader::at(octets, HEADER_OCTETS);
    for _ in 0..questions {
        skip_name(&mut reader)?;
        reader.octets(4)?;
    }
    let mut found = None;
    for index in 0..records + additionals {
        let start = reader.position();
        if let Some(misplaced) = found {
            return Err(WireError::Trailing(misplaced));
        }
        if skip_record(&mut reader)? == RecordType::TSIG {
            found = Some(start).filter(|_| index >= records);
            found.ok_or(WireError::Trailing(start))?;
        }
    }
    match reader.remaining() {
        0 => Ok(found),
        left => Err(WireError::Trailing(left)),
    }
}

fn skip_record(reader: &mut WireReader<'_>) -> Result<RecordType, WireError> {
    skip_name(reader)?;
    let rtype = reader.u16()?.into();
    reader.octets(6)?;
    let length = reader.u16()?;
    reader.octets(usize::from(length))?;
    Ok(rtype)
}

fn skip_name(reader: &mut WireReader<'_>) -> Result<(), WireError> {
    loop {
        match reader.u8()? {
            0 => return Ok(()),
            pointer if pointer >= POINTER => return reader.u8().map(|_| ()),
            length => reader.octets(usize::from(length))?,
        };
    }
}

/// The length of these octets as a 16-bit field; what is put together here is always shorter than that.
pub(super) fn length(octets: &[u8]) -> [u8; 2] {
    u16::try_from(octets.len()).unwrap_or(u16::MAX).to_be_bytes()
}

fn counted(reader: &mut WireReader<'_>) -> Result<Vec<u8>, WireError> {
    let count = reader.u16()?;
    reader.octets(usize::from(count)).map(<[u8]>::to_vec)
}
