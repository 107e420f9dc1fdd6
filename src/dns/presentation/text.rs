//! Character-strings and TXT (RFC 1035 §3.3 and §3.3.14).

use std::fmt::Write;

use crate::dns::{Rdata, WireError, WireReader};

/// A character-string holds at most this many octets.
const MAX_STRING: usize = 255;
/// Every ownership text of ExternalDNS begins so.
const HERITAGE: &[u8] = b"heritage=";

/// Whether a TXT's whole text is one of ExternalDNS's ownership texts (of any instance).
#[must_use]
pub fn is_heritage(text: &[u8]) -> bool {
    text.starts_with(HERITAGE)
}

/// The whole text of a TXT record: its strings joined. None when the octets are no TXT RDATA.
#[must_use]
pub fn joined(rdata: &Rdata) -> Option<Vec<u8>> {
    let mut reader = WireReader::at(rdata.as_wire(), 0);
    join(&mut reader).ok()
}

fn join(reader: &mut WireReader<'_>) -> Result<Vec<u8>, WireError> {
    let mut text = Vec::with_capacity(reader.remaining());
    loop {
        let length = reader.u8()?;
        text.extend_from_slice(reader.octets(usize::from(length))?);
        if reader.remaining() == 0 {
            return Ok(text);
        }
    }
}

/// The octets that a target stands for: decoded when it is quoted strings from end to end, else literal.
pub(super) fn decode(target: &str) -> Vec<u8> {
    unquote_all(target).unwrap_or_else(|| target.as_bytes().to_vec())
}

/// Splits text into character-strings; empty text is one empty string.
pub(super) fn encode(text: &[u8]) -> Vec<u8> {
    if text.is_empty() {
        return vec![0];
    }
    let mut wire = Vec::with_capacity(text.len() + text.len() / MAX_STRING + 1);
    for string in text.chunks(MAX_STRING) {
        wire.extend(u8::try_from(string.len()));
        wire.extend_from_slice(string);
    }
    wire
}

/// The canonical target of a TXT: bare, unless it is a heritage text, not UTF-8, or would read as quoted strings.
pub(super) fn render(reader: &mut WireReader<'_>) -> Result<Option<String>, WireError> {
    let text = join(reader)?;
    let bare = std::str::from_utf8(&text).ok().filter(|bare| !is_heritage(&text) && unquote_all(bare).is_none());
    Ok(Some(bare.map_or_else(|| quote(&text), str::to_owned)))
}

/// One character-string, quoted.
pub(super) fn quoted(reader: &mut WireReader<'_>) -> Result<String, WireError> {
    let length = reader.u8()?;
    Ok(quote(reader.octets(usize::from(length))?))
}

/// Octets as one quoted string, with `\"`, `\\`, and `\DDD` for what is not UTF-8 or a control character.
pub(super) fn quote(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len() + 2);
    text.push('"');
    for chunk in octets.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' => text.extend(['\\', c]),
                _ if c.is_ascii_control() => escape(&mut text, u32::from(c)),
                _ => text.push(c),
            }
        }
        for &octet in chunk.invalid() {
            escape(&mut text, u32::from(octet));
        }
    }
    text.push('"');
    text
}

fn escape(text: &mut String, octet: u32) {
    // Writing to a String cannot fail.
    let _ = write!(text, "\\{octet:03}");
}

/// Reads quoted strings separated by blanks, from end to end, and joins them; none when anything else is there.
fn unquote_all(target: &str) -> Option<Vec<u8>> {
    let (mut text, mut rest) = unquote(target)?;
    while !rest.is_empty() {
        let trimmed = rest.trim_start_matches([' ', '\t']);
        if trimmed.len() == rest.len() {
            return None;
        }
        let (next, after) = unquote(trimmed)?;
        text.extend(next);
        rest = after;
    }
    Some(text)
}

/// Reads one quoted string and gives what follows it; none when it is malformed.
pub(super) fn unquote(target: &str) -> Option<(Vec<u8>, &str)> {
    let inside = target.strip_prefix('"')?;
    let mut text = Vec::with_capacity(inside.len());
    let mut octets = inside.bytes().enumerate();
    while let Some((at, octet)) = octets.next() {
        match octet {
            b'"' => return Some((text, inside.get(at + 1..)?)),
            b'\\' => {
                let (_, next) = octets.next()?;
                if !next.is_ascii_digit() {
                    text.push(next);
                    continue;
                }
                let (second, third) = (octets.next()?.1, octets.next()?.1);
                let decimal = [next, second, third];
                text.push(
                    std::str::from_utf8(&decimal)
                        .ok()
                        .filter(|_| decimal.iter().all(u8::is_ascii_digit))?
                        .parse()
                        .ok()?,
                );
            }
            _ => text.push(octet),
        }
    }
    None
}
