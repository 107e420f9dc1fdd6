//! As much of BER as LDAP uses (RFC 4511 §5.1): definite lengths, tags of one octet. Nothing here recurses.

use thiserror::Error;

/// INTEGER.
pub const INTEGER: u8 = 0x02;
/// OCTET STRING.
pub const OCTET_STRING: u8 = 0x04;
/// ENUMERATED.
pub const ENUMERATED: u8 = 0x0a;
/// SEQUENCE.
pub const SEQUENCE: u8 = 0x30;
/// SET.
pub const SET: u8 = 0x31;

/// The tag number that says that another octet of it follows; no message of LDAP has one.
const LONG_TAG: u8 = 0x1f;
/// Most octets that a length is read from.
const LENGTH_OCTETS: usize = 4;

/// Why octets are no element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BerError {
    /// The octets end inside an element.
    #[error("an element ends too early")]
    Short,
    /// Two octets of a tag, or a length without end or of too many octets.
    #[error("a tag or length has a form that LDAP does not use")]
    Form,
    /// More octets than are taken.
    #[error("an element of {0} octets is too large")]
    TooLarge(usize),
    /// Another element than the one that is due.
    #[error("tag {found:#04x} instead of {expected:#04x}")]
    Tag {
        /// The one that is due.
        expected: u8,
        /// The one that is there.
        found: u8,
    },
    /// An integer that does not fit 32 bits.
    #[error("an integer of {0} octets")]
    Integer(usize),
}

/// Octets that are read element by element.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Starts at the first of these octets.
    #[must_use]
    pub const fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next element's tag, if there is one.
    #[must_use]
    pub fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// Takes the next element: its tag and its contents.
    ///
    /// # Errors
    /// When there is none, or it does not end in here.
    pub fn element(&mut self) -> Result<(u8, &'a [u8]), BerError> {
        let (start, length) = header(self.0)?.ok_or(BerError::Short)?;
        let end = start.checked_add(length).ok_or(BerError::TooLarge(length))?;
        let (element, rest) = self.0.split_at_checked(end).ok_or(BerError::Short)?;
        let tag = self.0.first().copied().ok_or(BerError::Short)?;
        self.0 = rest;
        Ok((tag, element.get(start..).ok_or(BerError::Short)?))
    }

    /// Takes the contents of the next element, which must have this tag.
    ///
    /// # Errors
    /// When it has not, or there is none.
    pub fn expect(&mut self, expected: u8) -> Result<&'a [u8], BerError> {
        match self.element()? {
            (tag, contents) if tag == expected => Ok(contents),
            (found, _) => Err(BerError::Tag { expected, found }),
        }
    }

    /// Takes the contents of the next element if it has this tag.
    ///
    /// # Errors
    /// When it does not end in here.
    pub fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, BerError> {
        if self.peek() == Some(tag) { self.element().map(|(_, contents)| Some(contents)) } else { Ok(None) }
    }

    /// Takes a number, INTEGER or ENUMERATED.
    ///
    /// # Errors
    /// When the next element is another one, or does not fit 32 bits.
    pub fn number(&mut self, tag: u8) -> Result<i32, BerError> {
        let octets = self.expect(tag)?;
        let first = *octets.first().ok_or(BerError::Integer(0))?;
        if octets.len() > 4 {
            return Err(BerError::Integer(octets.len()));
        }
        let sign = if first & 0x80 == 0 { 0 } else { -1 };
        Ok(octets.iter().fold(sign, |value, &octet| value << 8 | i32::from(octet)))
    }
}

/// How many octets the element at the beginning has; none while its header is not whole.
///
/// # Errors
/// When it has more than `most`, or is none of LDAP's.
pub fn extent(octets: &[u8], most: usize) -> Result<Option<usize>, BerError> {
    let Some((start, length)) = header(octets)? else { return Ok(None) };
    let whole = start.checked_add(length).filter(|&whole| whole <= most);
    whole.map(Some).ok_or(BerError::TooLarge(length))
}

/// Where an element's contents start, and how long they are; none while that is not whole.
fn header(octets: &[u8]) -> Result<Option<(usize, usize)>, BerError> {
    let Some((tag, rest)) = octets.split_first() else { return Ok(None) };
    if tag & LONG_TAG == LONG_TAG {
        return Err(BerError::Form);
    }
    let Some((&first, rest)) = rest.split_first() else { return Ok(None) };
    if first < 0x80 {
        return Ok(Some((2, usize::from(first))));
    }
    let count = usize::from(first & 0x7f);
    if count == 0 || count > LENGTH_OCTETS {
        return Err(BerError::Form);
    }
    let length =
        rest.get(..count).map(|octets| octets.iter().fold(0, |length, &octet| length << 8 | usize::from(octet)));
    Ok(length.map(|length| (2 + count, length)))
}

/// Writes an element around contents.
pub fn write(out: &mut Vec<u8>, tag: u8, contents: &[u8]) {
    let length = contents.len().to_be_bytes();
    let octets = &length[length.iter().take_while(|&&octet| octet == 0).count()..];
    out.push(tag);
    match octets {
        [] => out.push(0),
        [short @ 0..0x80] => out.push(*short),
        _ => {
            out.push(0x80 | u8::try_from(octets.len()).unwrap_or(0x7f));
            out.extend_from_slice(octets);
        }
    }
    out.extend_from_slice(contents);
}

/// Writes a number as the fewest octets that tell it.
pub fn write_number(out: &mut Vec<u8>, tag: u8, value: i32) {
    let octets = value.to_be_bytes();
    let redundant = octets.windows(2).take_while(|pair| matches!(pair, [0, 0..0x80] | [0xff, 0x80..=0xff])).count();
    write(out, tag, &octets[redundant..]);
}
