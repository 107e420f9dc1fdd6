//! The fields of a target, read one after the other into RDATA.

use super::{ReadName, TargetError, hex, text};
use crate::dns::RecordType;

/// One field, quotes and escapes resolved.
struct Field {
    octets: Vec<u8>,
    /// The text as written, for errors and names.
    written: String,
}

/// A target on its way to RDATA.
pub(super) struct Fields<'a> {
    rtype: RecordType,
    target: &'a str,
    read_name: ReadName,
    fields: std::vec::IntoIter<Field>,
    wire: Vec<u8>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(rtype: RecordType, target: &'a str, read_name: ReadName) -> Self {
        Self { rtype, target, read_name, fields: Vec::new().into_iter(), wire: Vec::new() }
    }

    /// Splits at white space outside quotes; there must be exactly `count` fields.
    pub(super) fn split(&mut self, count: usize) -> Result<&mut Self, TargetError> {
        let fields = split(self.target)?;
        if fields.len() != count {
            return Err(TargetError::FieldCount { rtype: self.rtype, expected: count, found: fields.len() });
        }
        self.fields = fields.into_iter();
        Ok(self)
    }

    /// The same with at least `count - 1` fields; what follows is the last one's, however many there are.
    pub(super) fn split_up_to(&mut self, count: usize) -> Result<&mut Self, TargetError> {
        let fields = split(self.target)?;
        if fields.len() + 1 < count {
            return Err(TargetError::FieldCount { rtype: self.rtype, expected: count, found: fields.len() });
        }
        self.fields = fields.into_iter();
        Ok(self)
    }

    pub(super) fn u8(&mut self) -> Result<&mut Self, TargetError> {
        let text = self.next();
        let number: u8 = text.parse().map_err(|_| TargetError::NotANumber { text, bits: 8 })?;
        self.wire.push(number);
        Ok(self)
    }

    pub(super) fn u16(&mut self) -> Result<&mut Self, TargetError> {
        let text = self.next();
        let number: u16 = text.parse().map_err(|_| TargetError::NotANumber { text, bits: 16 })?;
        self.wire.extend_from_slice(&number.to_be_bytes());
        Ok(self)
    }

    pub(super) fn name(&mut self) -> Result<&mut Self, TargetError> {
        let text = self.next();
        if text.starts_with('"') || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(TargetError::BlankInName(text));
        }
        let name = (self.read_name)(&text).map_err(|source| TargetError::BadName { text, source })?;
        self.wire.extend_from_slice(name.as_wire());
        Ok(self)
    }

    /// A character-string (RFC 1035 §3.3) of up to 255 octets.
    pub(super) fn string(&mut self) -> Result<&mut Self, TargetError> {
        let octets = self.fields.next().map(|field| field.octets).unwrap_or_default();
        self.wire.push(u8::try_from(octets.len()).map_err(|_| TargetError::BadString)?);
        self.wire.extend(octets);
        Ok(self)
    }

    /// The tag of a CAA record, with its length.
    pub(super) fn tag(&mut self) -> Result<&mut Self, TargetError> {
        let tag = self.next();
        let plain = !tag.is_empty() && tag.bytes().all(|octet| octet.is_ascii_alphanumeric());
        let length = u8::try_from(tag.len()).ok().filter(|_| plain);
        let Some(length) = length else { return Err(TargetError::BadTag(tag)) };
        self.wire.push(length);
        self.wire.extend_from_slice(tag.as_bytes());
        Ok(self)
    }

    /// A string that fills the rest of the RDATA.
    pub(super) fn rest_as_string(&mut self) -> Result<&mut Self, TargetError> {
        let octets = self.fields.next().map(|field| field.octets).unwrap_or_default();
        self.wire.extend(octets);
        Ok(self)
    }

    /// Hexadecimal digits, in one field or several.
    pub(super) fn hex(&mut self) -> Result<&mut Self, TargetError> {
        let digits: String = self.fields.by_ref().map(|field| field.written).collect();
        self.wire.extend(hex::parse(&digits).ok_or(TargetError::NotHex(digits))?);
        Ok(self)
    }

    /// The next field as written, empty when there is none.
    pub(super) fn next(&mut self) -> String {
        self.fields.next().map(|field| field.written).unwrap_or_default()
    }

    /// All remaining fields as written.
    pub(super) fn rest(&mut self) -> Vec<String> {
        self.fields.by_ref().map(|field| field.written).collect()
    }

    pub(super) fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.wire)
    }
}

fn split(target: &str) -> Result<Vec<Field>, TargetError> {
    let mut fields = Vec::new();
    let mut rest = target.trim_start();
    while !rest.is_empty() {
        let (octets, after) = if rest.starts_with('"') {
            text::unquote(rest).ok_or(TargetError::BadString)?
        } else {
            let (word, after) = split_word(rest);
            (word.as_bytes().to_vec(), after)
        };
        if !after.is_empty() && !after.starts_with(char::is_whitespace) {
            return Err(TargetError::BadString);
        }
        let written = rest.get(..rest.len() - after.len()).unwrap_or_default().to_owned();
        fields.push(Field { octets, written });
        rest = after.trim_start();
    }
    Ok(fields)
}

/// A word, and what follows it; white space in the quoted value of `key="value"` does not end it (RFC 9460 §2.1).
fn split_word(text: &str) -> (&str, &str) {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let quoted = text.get(..end).and_then(|word| word.find("=\"")).and_then(|at| text::unquote(text.get(at + 1..)?));
    text.split_at(quoted.map_or(end, |(_, after)| text.len() - after.len()))
}
