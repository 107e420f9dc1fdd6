//! Domain names in canonical form: lower case, uncompressed wire octets.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use thiserror::Error;

/// A label is at most 63 octets (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;
/// A name is at most 255 octets on the wire, its root label included (RFC 1035 §2.3.4).
const MAX_NAME: usize = 255;

/// An absolute domain name. ASCII letters are lower case; other octets are kept as they are.
///
/// Ordering is the canonical one of RFC 4034 §6.1: a name sorts directly before all below it. Clones share the octets: a
/// change is named in its plan, its prerequisites, its operations and the copy of its zone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(Arc<[u8]>);

/// Why a text or a list of labels is not a domain name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameError {
    /// Two dots in a row, or a dot in front.
    #[error("a label is empty")]
    EmptyLabel,
    /// RFC 1035 §2.3.4.
    #[error("a label has {0} octets, more than 63")]
    LabelTooLong(usize),
    /// RFC 1035 §2.3.4.
    #[error("the name has {0} octets, more than 255")]
    NameTooLong(usize),
    /// A backslash that starts neither `\DDD` nor `\X`.
    #[error("a backslash escape is incomplete or above \\255")]
    BadEscape,
    /// Not mappable to A-labels (UTS #46).
    #[error("the name is no valid international domain name")]
    BadInternational,
    /// Not wire form: a pointer, an overrun or no root label.
    #[error("the octets are not an uncompressed domain name")]
    BadWire,
}

impl Name {
    /// The root, `.`.
    #[must_use]
    pub fn root() -> Self {
        Self(Arc::from([0]))
    }

    /// Reads a name as people write it: other scripts become A-labels by UTS #46, without its STD3 rules so that `_` stays.
    ///
    /// # Errors
    /// When it is no domain name.
    pub fn from_unicode(text: &str) -> Result<Self, NameError> {
        if text.is_ascii() {
            return text.parse();
        }
        let ascii = Uts46::new().to_ascii(text.as_bytes(), AsciiDenyList::EMPTY, Hyphens::Allow, DnsLength::Ignore);
        ascii.map_err(|_| NameError::BadInternational)?.parse()
    }

    /// Builds a name from its labels, leftmost first, without the root label.
    ///
    /// # Errors
    /// When a label is empty or too long, or the whole is.
    pub fn from_labels<'a>(labels: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, NameError> {
        let mut name = Labelled::new();
        labels.into_iter().try_for_each(|label| name.push(label))?;
        name.finish()
    }

    /// Takes uncompressed wire octets that end with the root label.
    ///
    /// # Errors
    /// When the octets are anything else.
    pub fn from_wire(wire: &[u8]) -> Result<Self, NameError> {
        let mut labels = Vec::new();
        let mut rest = wire;
        loop {
            let (&length, tail) = rest.split_first().ok_or(NameError::BadWire)?;
            if length == 0 {
                return if tail.is_empty() { Self::from_labels(labels) } else { Err(NameError::BadWire) };
            }
            let (label, tail) = tail.split_at_checked(usize::from(length)).ok_or(NameError::BadWire)?;
            labels.push(label);
            rest = tail;
        }
    }

    /// Wire octets, root label included.
    #[must_use]
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// Labels from the leftmost to the one below the root.
    #[must_use]
    pub fn labels(&self) -> Labels<'_> {
        Labels(&self.0)
    }

    /// Number of labels, the root not counted.
    #[must_use]
    pub fn label_count(&self) -> usize {
        self.labels().count()
    }

    /// Whether this is the root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// The name without its leftmost label; none for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let skip = 1 + usize::from(*self.0.first()?);
        self.0.get(skip..).filter(|rest| !rest.is_empty()).map(|rest| Self(Arc::from(rest)))
    }

    /// Whether this name is `ancestor` or lies below it.
    #[must_use]
    pub fn is_at_or_below(&self, ancestor: &Self) -> bool {
        let Some(skip) = self.label_count().checked_sub(ancestor.label_count()) else {
            return false;
        };
        self.labels().skip(skip).eq(ancestor.labels())
    }

    /// Whether this name lies below `ancestor`.
    #[must_use]
    pub fn is_below(&self, ancestor: &Self) -> bool {
        self != ancestor && self.is_at_or_below(ancestor)
    }

    /// Whether the leftmost label is a lone `*` (RFC 4592 §2.1.1).
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        self.labels().next() == Some(b"*")
    }

    /// Presentation form without the final dot, as ExternalDNS writes names; the root stays `.`.
    #[must_use]
    pub fn to_undotted(&self) -> String {
        let mut text = self.to_string();
        if text.len() > 1 {
            text.pop();
        }
        text
    }
}

/// A name that is put together label by label, the leftmost first: transfers are full of them, so without allocation.
#[derive(Debug)]
pub(super) struct Labelled {
    wire: [u8; MAX_NAME],
    /// Octets of all labels, also when they are too many.
    length: usize,
}

impl Labelled {
    pub(super) const fn new() -> Self {
        Self { wire: [0; MAX_NAME], length: 0 }
    }

    /// Puts a label to the right of the others.
    pub(super) fn push(&mut self, label: &[u8]) -> Result<(), NameError> {
        if label.is_empty() {
            return Err(NameError::EmptyLabel);
        }
        let length = u8::try_from(label.len()).ok().filter(|&length| usize::from(length) <= MAX_LABEL);
        let length = length.ok_or(NameError::LabelTooLong(label.len()))?;
        let end = self.length + 1 + label.len();
        if let Some([first, octets @ ..]) = self.wire.get_mut(self.length..end) {
            *first = length;
            octets.copy_from_slice(label);
            octets.make_ascii_lowercase();
        }
        self.length = end;
        Ok(())
    }

    /// Puts the root label at the end.
    pub(super) fn finish(self) -> Result<Name, NameError> {
        let length = self.length + 1;
        self.wire.get(..length).map(|wire| Name(Arc::from(wire))).ok_or(NameError::NameTooLong(length))
    }
}

/// Iterator over the labels of a [`Name`].
#[derive(Debug, Clone)]
pub struct Labels<'a>(&'a [u8]);

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        let (&length, rest) = self.0.split_first()?;
        if length == 0 {
            return None;
        }
        let (label, rest) = rest.split_at_checked(usize::from(length))?;
        self.0 = rest;
        Some(label)
    }
}

impl FromStr for Name {
    type Err = NameError;

    /// Reads presentation form with the escapes of RFC 1035 §5.1; always absolute, the final dot is optional.
    fn from_str(text: &str) -> Result<Self, NameError> {
        if text == "." {
            return Ok(Self::root());
        }
        let mut labels = Vec::new();
        let mut label = Vec::new();
        let mut octets = text.bytes();
        while let Some(octet) = octets.next() {
            match octet {
                b'.' => labels.push(std::mem::take(&mut label)),
                b'\\' => label.push(unescape(&mut octets)?),
                _ => label.push(octet),
            }
        }
        if !label.is_empty() || labels.is_empty() {
            labels.push(label);
        }
        Self::from_labels(labels.iter().map(Vec::as_slice))
    }
}

/// Reads what follows a backslash: three decimal digits, or the octet itself.
fn unescape(octets: &mut std::str::Bytes<'_>) -> Result<u8, NameError> {
    let first = octets.next().ok_or(NameError::BadEscape)?;
    if !first.is_ascii_digit() {
        return Ok(first);
    }
    let mut value = u16::from(first - b'0');
    for _ in 0..2 {
        let digit = octets.next().filter(u8::is_ascii_digit).ok_or(NameError::BadEscape)?;
        value = value * 10 + u16::from(digit - b'0');
    }
    u8::try_from(value).map_err(|_| NameError::BadEscape)
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str(".");
        }
        for label in self.labels() {
            for part in label.chunk_by(|one, other| is_plain(*one) && is_plain(*other)) {
                match part {
                    [octet] if !is_plain(*octet) => escape(*octet, f)?,
                    plain => plain.utf8_chunks().try_for_each(|chunk| f.write_str(chunk.valid()))?,
                }
            }
            f.write_str(".")?;
        }
        Ok(())
    }
}

/// Whether an octet stands for itself in presentation form.
const fn is_plain(octet: u8) -> bool {
    octet.is_ascii_graphic() && !is_special(octet)
}

/// Whether an octet means something in presentation form (RFC 1035 §5.1).
const fn is_special(octet: u8) -> bool {
    matches!(octet, b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$')
}

fn escape(octet: u8, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if is_special(octet) { write!(f, "\\{}", char::from(octet)) } else { write!(f, "\\{octet:03}") }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

impl Ord for Name {
    /// In one walk over both and without allocation: maps of names compare very often.
    fn cmp(&self, other: &Self) -> Ordering {
        let (mut mine, mut theirs) = (self.labels(), other.labels());
        // Most often both are names of one zone, with the same parent.
        if let (Some(mine_first), Some(theirs_first)) = (mine.next(), theirs.next())
            && mine.0 == theirs.0
        {
            return mine_first.cmp(theirs_first);
        }
        let (mine, theirs) = (self.labels().count(), other.labels().count());
        let in_common = mine.min(theirs);
        // Labels that are as far from the root; the last pair that differs is the nearest to it, and decides.
        let pairs = self.labels().skip(mine - in_common).zip(other.labels().skip(theirs - in_common));
        pairs.map(|(mine, theirs)| mine.cmp(theirs)).filter(|order| order.is_ne()).last().unwrap_or(mine.cmp(&theirs))
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_lower_case_and_absolute() {
        assert_eq!(name("WWW.Example.Test").to_string(), "www.example.test.");
        assert_eq!(name("www.example.test."), name("www.example.test"));
    }

    #[test]
    fn escapes_are_decimal_and_survive_a_round_trip() {
        let odd = name(r"0/25.sp\032ace.do\.t.\065.test");
        assert_eq!(odd.to_string(), r"0/25.sp\032ace.do\.t.a.test.");
        assert_eq!(name(&odd.to_string()), odd);
        assert_eq!(r"a\25".parse::<Name>(), Err(NameError::BadEscape));
        assert_eq!(r"a\256".parse::<Name>(), Err(NameError::BadEscape));
    }

    #[test]
    fn empty_and_long_labels_are_refused() {
        assert_eq!("a..b".parse::<Name>(), Err(NameError::EmptyLabel));
        assert_eq!("".parse::<Name>(), Err(NameError::EmptyLabel));
        assert_eq!("x".repeat(64).parse::<Name>(), Err(NameError::LabelTooLong(64)));
        assert!(matches!(vec!["x".repeat(60); 5].join(".").parse::<Name>(), Err(NameError::NameTooLong(_))));
    }

    #[test]
    fn a_suffix_without_a_label_boundary_is_no_ancestor() {
        assert!(name("a.example.test").is_below(&name("example.test")));
        assert!(!name("notexample.test").is_at_or_below(&name("example.test")));
        assert!(name("a.test").is_at_or_below(&Name::root()));
    }

    #[test]
    fn a_name_sorts_directly_before_all_below_it() {
        let mut names = [name("b.test"), name("z.a.test"), name("a.test"), name("test")];
        names.sort();
        assert_eq!(names, [name("test"), name("a.test"), name("z.a.test"), name("b.test")]);
    }

    proptest! {
        #[test]
        fn names_are_ordered_by_their_labels_from_the_right(
            labels in prop::array::uniform2(prop::collection::vec("[ab\\x00\\xff]{1,3}", 0..60)),
        ) {
            let [a, b] = labels.map(|labels| Name::from_labels(labels.iter().map(String::as_bytes)).unwrap());
            let reversed = |name: &Name| {
                let mut labels: Vec<_> = name.labels().map(<[u8]>::to_vec).collect();
                labels.reverse();
                labels
            };
            prop_assert_eq!(a.cmp(&b), reversed(&a).cmp(&reversed(&b)));
        }

        #[test]
        fn any_name_survives_presentation_and_wire(labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..63), 0..4)) {
            let Ok(name) = Name::from_labels(labels.iter().map(Vec::as_slice)) else { return Ok(()) };
            prop_assert_eq!(name.to_string().parse::<Name>(), Ok(name.clone()));
            prop_assert_eq!(Name::from_wire(name.as_wire()), Ok(name));
        }

        #[test]
        fn any_text_and_any_octets_are_read_without_panic(text: String, octets: Vec<u8>) {
            let _ = text.parse::<Name>();
            let _ = Name::from_wire(&octets);
        }
    }
}
