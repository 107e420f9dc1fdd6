//! Reading wire octets: every step is checked, and no octets can make it panic or loop.

use thiserror::Error;

use super::name::Labelled;
use super::{Name, NameError, RecordType};

/// A label length octet with both high bits set starts a pointer (RFC 1035 §4.1.4).
const POINTER: u8 = 0xc0;
/// Most labels and pointers in a name: 127 labels fill 255 octets, and no sender needs more than a pointer for each.
const MAX_STEPS: usize = 255;

/// Why octets are no DNS message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WireError {
    /// The octets end in the middle of something.
    #[error("the message ends at octet {0}, in the middle of a field")]
    Short(usize),
    /// A compression pointer that does not lead back (RFC 1035 §4.1.4), or a label type that does not exist.
    #[error("a compression pointer or label at octet {0} is invalid")]
    BadLabel(usize),
    /// Labels that make no name.
    #[error("a name is invalid: {0}")]
    Name(#[from] NameError),
    /// Octets after the last record.
    #[error("{0} octets follow the last record")]
    Trailing(usize),
}

/// A position in a message, which is read field by field.
///
/// The whole message stays in view, since names may point back into it.
#[derive(Debug, Clone)]
pub struct WireReader<'a> {
    message: &'a [u8],
    position: usize,
}

impl<'a> WireReader<'a> {
    /// Starts at `position` of a message.
    #[must_use]
    pub const fn at(message: &'a [u8], position: usize) -> Self {
        Self { message, position }
    }

    /// Offset of the next octet.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.position
    }

    /// Octets not read yet.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.message.len().saturating_sub(self.position)
    }

    /// Takes the next `count` octets.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn octets(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let end = self.position.checked_add(count).ok_or(WireError::Short(self.message.len()))?;
        let octets = self.message.get(self.position..end).ok_or(WireError::Short(self.message.len()))?;
        self.position = end;
        Ok(octets)
    }

    /// Takes `N` octets as an array.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let short = WireError::Short(self.message.len());
        self.octets(N)?.try_into().map_err(|_| short)
    }

    /// Takes one octet.
    ///
    /// # Errors
    /// When there is none.
    pub fn u8(&mut self) -> Result<u8, WireError> {
        self.array().map(u8::from_be_bytes)
    }

    /// Takes two octets in network order.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn u16(&mut self) -> Result<u16, WireError> {
        self.array().map(u16::from_be_bytes)
    }

    /// Takes four octets in network order.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Takes a name, compressed or not.
    ///
    /// Each pointer must lead to an earlier place than the one before, so that there are no loops.
    ///
    /// # Errors
    /// When it runs out of the message, points forward, or is too long.
    pub fn name(&mut self) -> Result<Name, WireError> {
        let mut name = Labelled::new();
        let mut followed: Option<Self> = None;
        let mut floor = self.position;
        for _ in 0..MAX_STEPS {
            let reader = followed.as_mut().unwrap_or(self);
            let at = reader.position;
            let length = reader.u8()?;
            if length == 0 {
                return Ok(name.finish()?);
            }
            if length & POINTER == POINTER {
                let target = usize::from(u16::from_be_bytes([length & !POINTER, reader.u8()?]));
                if target >= floor {
                    return Err(WireError::BadLabel(at));
                }
                floor = target;
                followed = Some(Self::at(self.message, target));
                continue;
            }
            if length & POINTER != 0 {
                return Err(WireError::BadLabel(at));
            }
            name.push(reader.octets(usize::from(length))?)?;
        }
        Err(WireError::BadLabel(floor))
    }

    /// Takes the RDATA of a record of `length` octets; names in it come out uncompressed and in lower case.
    ///
    /// RDATA that does not have the layout of its type stays as it is: one odd record spoils no message.
    ///
    /// # Errors
    /// When the message ends before the RDATA does.
    pub fn rdata(&mut self, rtype: RecordType, length: usize) -> Result<Vec<u8>, WireError> {
        let start = self.position;
        let raw = self.octets(length)?;
        let Some(layout) = layout(rtype) else { return Ok(raw.to_vec()) };
        let inside = Self::at(self.message.get(..self.position).unwrap_or_default(), start);
        Ok(inside.expanded(layout).unwrap_or_else(|| raw.to_vec()))
    }

    /// The rest of the message, read by this layout; none when it does not fit exactly.
    fn expanded(mut self, layout: &[Field]) -> Option<Vec<u8>> {
        let mut rdata = Vec::with_capacity(self.remaining());
        for field in layout {
            match field {
                Field::Name => rdata.extend_from_slice(self.name().ok()?.as_wire()),
                Field::Octets(count) => rdata.extend_from_slice(self.octets(*count).ok()?),
                Field::CharacterString => {
                    let length = self.u8().ok()?;
                    rdata.push(length);
                    rdata.extend_from_slice(self.octets(usize::from(length)).ok()?);
                }
                Field::Rest => rdata.extend_from_slice(self.octets(self.remaining()).ok()?),
            }
        }
        (self.remaining() == 0).then_some(rdata)
    }
}

/// A part of RDATA, as far as it matters for finding names.
enum Field {
    Name,
    Octets(usize),
    CharacterString,
    Rest,
}

/// Where names are in the RDATA of a type; none for types that must not compress (RFC 3597 §4).
///
/// Types of RFC 1035 and those that RFC 3597 §4 asks receivers to decompress; TSIG and TKEY because some servers do it.
const fn layout(rtype: RecordType) -> Option<&'static [Field]> {
    use Field::{CharacterString, Name, Octets, Rest};
    Some(match rtype.number() {
        // NS MD MF CNAME MB MG MR PTR DNAME
        2..=5 | 7..=9 | 12 | 39 => &[Name],
        // SOA
        6 => &[Name, Name, Octets(20)],
        // MINFO RP
        14 | 17 => &[Name, Name],
        // MX AFSDB RT KX
        15 | 18 | 21 | 36 => &[Octets(2), Name],
        // PX
        26 => &[Octets(2), Name, Name],
        // SRV
        33 => &[Octets(6), Name],
        // NAPTR
        35 => &[Octets(4), CharacterString, CharacterString, CharacterString, Name],
        // TKEY TSIG
        249 | 250 => &[Name, Rest],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_name(message: &[u8], position: usize) -> Result<Name, WireError> {
        WireReader::at(message, position).name()
    }

    #[test]
    fn a_pointer_leads_to_an_earlier_name() {
        let message = b"\x04test\x00\x03www\xc0\x00\xff";
        let mut reader = WireReader::at(message, 6);
        assert_eq!(reader.name().unwrap(), "www.test".parse().unwrap());
        assert_eq!(reader.position(), 12);
    }

    #[test]
    fn pointers_forward_to_themselves_and_in_a_circle_are_refused() {
        assert_eq!(read_name(b"\xc0\x00", 0), Err(WireError::BadLabel(0)));
        assert_eq!(read_name(b"\xc0\x02\x00", 0), Err(WireError::BadLabel(0)));
        assert_eq!(read_name(b"\x01a\xc0\x00", 2), Err(WireError::BadLabel(2)));
    }

    #[test]
    fn reserved_label_types_and_cut_names_are_refused() {
        assert_eq!(read_name(b"\x41a\x00", 0), Err(WireError::BadLabel(0)));
        assert_eq!(read_name(b"\x05abc", 0), Err(WireError::Short(4)));
        assert_eq!(read_name(b"\x01a", 0), Err(WireError::Short(2)));
        assert_eq!(read_name(b"", 7), Err(WireError::Short(0)));
    }

    #[test]
    fn names_above_255_octets_are_refused() {
        let mut message = Vec::new();
        for _ in 0..5 {
            message.push(60);
            message.extend([b'x'; 60]);
        }
        message.push(0);
        assert!(matches!(read_name(&message, 0), Err(WireError::Name(NameError::NameTooLong(306)))));
    }

    #[test]
    fn a_long_chain_of_pointers_is_refused() {
        let mut message = vec![0];
        for step in 0..5_000_u16 {
            let target = if step == 0 { 0 } else { 1 + (step - 1) * 2 };
            message.extend((0xc000 | target).to_be_bytes());
        }
        assert!(matches!(read_name(&message, message.len() - 2), Err(WireError::BadLabel(_))));
        assert_eq!(read_name(&message, 201), Ok(Name::root()));
    }

    #[test]
    fn names_in_rdata_come_out_uncompressed_and_lower_case() {
        let naptr = b"\x04Test\x00\x00\x0a\x00\x14\x01S\x03SIP\x00\x02Ab\xc0\x00";
        let rdata = WireReader::at(naptr, 6).rdata(RecordType::NAPTR, naptr.len() - 6).unwrap();
        assert_eq!(rdata, b"\x00\x0a\x00\x14\x01S\x03SIP\x00\x02ab\x04test\x00");

        let srv = b"\x04test\x00\x00\x01\x00\x02\x01\xbb\xc0\x00";
        let rdata = WireReader::at(srv, 6).rdata(RecordType::SRV, 8).unwrap();
        assert_eq!(rdata, b"\x00\x01\x00\x02\x01\xbb\x04test\x00");
    }

    #[test]
    fn rdata_of_another_layout_stays_as_it_is() {
        for odd in [&b""[..], b"\x00", b"\x00\x0a\xff\xff", b"\x00\x0a\x01a\x00junk"] {
            assert_eq!(WireReader::at(odd, 0).rdata(RecordType::MX, odd.len()).unwrap(), odd);
        }
    }

    #[test]
    fn a_name_in_rdata_may_not_run_past_its_end() {
        let message = b"\x01a\x04test\x00";
        assert_eq!(WireReader::at(message, 0).rdata(RecordType::CNAME, 2).unwrap(), b"\x01a");
    }

    proptest! {
        #[test]
        fn any_octets_are_read_without_panic(message: Vec<u8>, position: usize, rtype: u16, length: u16) {
            let mut reader = WireReader::at(&message, position);
            let _ = reader.name();
            let _ = reader.rdata(rtype.into(), usize::from(length));
            let _ = WireReader::at(&message, position % (message.len() + 1)).name();
        }
    }
}
