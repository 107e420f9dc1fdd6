//! Writing records with their names compressed (RFC 1035 §4.1.4).

use std::collections::HashMap;

use super::message::{Class, HEADER_OCTETS};
use super::{Name, Rdata, RecordType, Ttl};

/// The last offset that a pointer can tell, and one more.
const POINTERS_END: usize = 0x4000;
const POINTER: u16 = 0xC000;

/// A message that grows. What it points to was written before.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    octets: Vec<u8>,
    /// Where names, and the ends of names, were written.
    seen: HashMap<&'a [u8], u16>,
}

impl<'a> Writer<'a> {
    /// Goes on behind a header and a question for `zone`.
    pub(super) fn new(octets: Vec<u8>, zone: &'a Name) -> Self {
        let mut writer = Self { octets, seen: HashMap::new() };
        writer.note(zone.as_wire(), HEADER_OCTETS);
        writer
    }

    /// Octets so far.
    pub(super) const fn len(&self) -> usize {
        self.octets.len()
    }

    pub(super) fn into_octets(self) -> Vec<u8> {
        self.octets
    }

    /// Writes a record; without RDATA, an empty one.
    pub(super) fn record(
        &mut self,
        name: &'a Name,
        rtype: RecordType,
        class: Class,
        ttl: Ttl,
        rdata: Option<&'a Rdata>,
    ) {
        self.name(name.as_wire());
        self.octets.extend(rtype.number().to_be_bytes());
        self.octets.extend(class.number().to_be_bytes());
        self.octets.extend(ttl.as_secs().to_be_bytes());
        let length_at = self.octets.len();
        self.octets.extend([0; 2]);
        if let Some(rdata) = rdata {
            self.rdata(rtype, rdata.as_wire());
        }
        // More than fits makes a message that is too long, which is found before it is used.
        let length = u16::try_from(self.octets.len() - length_at - 2).unwrap_or(u16::MAX);
        if let Some(field) = self.octets.get_mut(length_at..length_at + 2) {
            field.copy_from_slice(&length.to_be_bytes());
        }
    }

    /// Names are compressed in the types of RFC 1035 alone, which every server can read (RFC 3597 §4).
    fn rdata(&mut self, rtype: RecordType, wire: &'a [u8]) {
        let before_name = match rtype {
            RecordType::CNAME | RecordType::NS | RecordType::PTR => Some(0),
            RecordType::MX => Some(2),
            _ => None,
        };
        match before_name.and_then(|count| wire.split_at_checked(count)) {
            Some((numbers, name)) if Name::from_wire(name).is_ok() => {
                self.octets.extend_from_slice(numbers);
                self.name(name);
            }
            _ => self.octets.extend_from_slice(wire),
        }
    }

    /// Writes the labels that were not written before, and points to the rest.
    fn name(&mut self, wire: &'a [u8]) {
        let start = self.octets.len();
        let known = ends(wire).find_map(|end| Some((wire.len() - end.len(), *self.seen.get(end)?)));
        match known {
            Some((fresh, at)) => {
                self.octets.extend_from_slice(wire.get(..fresh).unwrap_or_default());
                self.octets.extend((POINTER | at).to_be_bytes());
            }
            None => self.octets.extend_from_slice(wire),
        }
        if known.is_none_or(|(fresh, _)| fresh > 0) {
            self.note(wire, start);
        }
    }

    /// A name stands here, as far as a pointer to it can be told.
    fn note(&mut self, wire: &'a [u8], at: usize) {
        for end in ends(wire) {
            let at = at + wire.len() - end.len();
            match u16::try_from(at).ok().filter(|_| at < POINTERS_END) {
                // The end of it was written before, and the ends of that.
                Some(_) if self.seen.contains_key(end) => return,
                Some(at) => self.seen.insert(end, at),
                None => return,
            };
        }
    }
}

/// A name, and what is left of it without its first labels, but for the root.
fn ends(wire: &[u8]) -> impl Iterator<Item = &[u8]> {
    fn next(end: &[u8]) -> Option<&[u8]> {
        end.get(usize::from(*end.first()?) + 1..)
    }
    std::iter::successors(Some(wire), |end| next(end)).take_while(|end| end.first().is_some_and(|length| *length > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn message() -> Vec<u8> {
        [&[0; HEADER_OCTETS][..], name("example.test").as_wire(), &[0, 6, 0, 1]].concat()
    }

    #[test]
    fn names_point_to_what_was_written_before() {
        let (zone, www, below) = (name("example.test"), name("www.example.test"), name("a.www.example.test"));
        let mut writer = Writer::new(message(), &zone);
        let start = writer.len();
        for name in [&zone, &www, &below, &www] {
            writer.record(name, RecordType::A, Class::NONE, Ttl::ZERO, None);
        }
        let fixed = [0, 1, 0, 254, 0, 0, 0, 0, 0, 0];
        let www_at = u8::try_from(start + 12).unwrap();
        let expected = [
            &[0xC0, 12][..],
            &fixed,
            b"\x03www\xC0\x0C",
            &fixed,
            &[1, b'a', 0xC0, www_at],
            &fixed,
            &[0xC0, www_at],
            &fixed,
        ];
        assert_eq!(writer.into_octets()[start..], expected.concat());
    }

    #[test]
    fn rdata_is_compressed_in_old_types_alone_and_where_it_is_a_name() {
        let zone = name("example.test");
        let wire = [b"\0\x0a\x04mail", zone.as_wire()].concat();
        let (mx, broken) = (Rdata::from_wire(wire.clone()), Rdata::from_wire(b"\0\x0a\x09mail".to_vec()));
        for (rtype, rdata, expected) in [
            (RecordType::MX, &mx, &b"\0\x0a\x04mail\xC0\x0C"[..]),
            (RecordType::SRV, &mx, &wire),
            (RecordType::MX, &broken, b"\0\x0a\x09mail"),
        ] {
            let mut writer = Writer::new(message(), &zone);
            let start = writer.len() + 12;
            writer.record(&zone, rtype, Class::IN, Ttl::ZERO, Some(rdata));
            let octets = writer.into_octets();
            assert_eq!(&octets[start..], expected);
            assert_eq!(usize::from(octets[start - 1]), expected.len());
        }
    }

    #[test]
    fn nothing_points_beyond_what_a_pointer_can_tell() {
        let zone = name("example.test");
        let names: Vec<Name> = (0..2000).map(|n| name(&format!("host{n}.example.test"))).collect();
        let mut writer = Writer::new(message(), &zone);
        for name in names.iter().chain(&names) {
            writer.record(name, RecordType::A, Class::NONE, Ttl::ZERO, None);
        }
        let octets = writer.into_octets();
        let mut reader = crate::dns::WireReader::at(&octets, HEADER_OCTETS + zone.as_wire().len() + 4);
        for expected in names.iter().chain(&names) {
            assert_eq!(reader.name().unwrap(), *expected);
            (0..5).for_each(|_| assert!(reader.u16().is_ok()));
        }
    }
}
