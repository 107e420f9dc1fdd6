//! SVCB and HTTPS (RFC 9460), with service parameters in the order of their numbers.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::fields::Fields;
use super::{TargetError, text};
use crate::dns::{WireError, WireReader};

/// Service parameter keys that have names (RFC 9460 §14.3.2); `keyN` for all others.
const KEYS: [&str; 7] = ["mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint"];

const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
const PORT: u16 = 3;
const IPV4HINT: u16 = 4;
const IPV6HINT: u16 = 6;

pub(super) fn parse(fields: &mut Fields<'_>) -> Result<Vec<u8>, TargetError> {
    let mut wire = fields.u16()?.name()?.finish();
    let mut parameters = BTreeMap::new();
    for parameter in fields.rest() {
        let (key, value) = parse_parameter(&parameter).ok_or_else(|| TargetError::BadParameter(parameter.clone()))?;
        if parameters.insert(key, value).is_some() {
            return Err(TargetError::BadParameter(parameter));
        }
    }
    for (key, value) in parameters {
        wire.extend(key.to_be_bytes());
        let length = u16::try_from(value.len()).map_err(|_| TargetError::TooLong(value.len()))?;
        wire.extend(length.to_be_bytes());
        wire.extend(value);
    }
    Ok(wire)
}

pub(super) fn render(reader: &mut WireReader<'_>) -> Result<Option<String>, WireError> {
    let mut rendered = format!("{} {}", reader.u16()?, reader.name()?);
    let mut last = None;
    while reader.remaining() > 0 {
        let (key, length) = (reader.u16()?, reader.u16()?);
        let value = reader.octets(usize::from(length))?;
        if last.replace(key).is_some_and(|last| last >= key) {
            return Ok(None);
        }
        let Some(parameter) = render_parameter(key, value) else { return Ok(None) };
        rendered.push(' ');
        rendered.push_str(&parameter);
    }
    Ok(Some(rendered))
}

fn key_number(name: &str) -> Option<u16> {
    let named = KEYS.iter().position(|key| *key == name).and_then(|at| u16::try_from(at).ok());
    named.or_else(|| name.strip_prefix("key")?.parse().ok())
}

fn key_name(number: u16) -> String {
    KEYS.get(usize::from(number)).map_or_else(|| format!("key{number}"), |key| (*key).to_owned())
}

fn parse_parameter(parameter: &str) -> Option<(u16, Vec<u8>)> {
    let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    let key = key_number(&key.to_ascii_lowercase())?;
    let value = match value.strip_prefix('"') {
        Some(_) => {
            let (octets, rest) = text::unquote(value)?;
            rest.is_empty().then_some(octets)?
        }
        None => value.as_bytes().to_vec(),
    };
    let listed = || std::str::from_utf8(&value).ok().map(|value| value.split(','));
    let wire = match key {
        MANDATORY => {
            let mut keys = listed()?.map(key_number).collect::<Option<Vec<_>>>()?;
            keys.sort_unstable();
            keys.dedup();
            keys.into_iter().flat_map(u16::to_be_bytes).collect()
        }
        ALPN => listed()?.try_fold(Vec::new(), |mut wire, id| {
            wire.push(u8::try_from(id.len()).ok().filter(|&length| length > 0)?);
            wire.extend_from_slice(id.as_bytes());
            Some(wire)
        })?,
        NO_DEFAULT_ALPN => value.is_empty().then(Vec::new)?,
        PORT => std::str::from_utf8(&value).ok()?.parse::<u16>().ok()?.to_be_bytes().to_vec(),
        IPV4HINT => listed()?
            .map(|hint| hint.parse().ok().map(|hint: Ipv4Addr| hint.octets()))
            .collect::<Option<Vec<_>>>()?
            .concat(),
        IPV6HINT => listed()?
            .map(|hint| hint.parse().ok().map(|hint: Ipv6Addr| hint.octets()))
            .collect::<Option<Vec<_>>>()?
            .concat(),
        _ => value,
    };
    // What cannot be written again is malformed.
    render_parameter(key, &wire)?;
    Some((key, wire))
}

fn render_parameter(key: u16, value: &[u8]) -> Option<String> {
    let name = key_name(key);
    let listed = match key {
        MANDATORY => {
            let keys: Vec<_> = each::<2>(value)?.iter().map(|key| u16::from_be_bytes(*key)).collect();
            keys.is_sorted_by(|a, b| a < b).then(|| keys.into_iter().map(key_name).collect::<Vec<_>>())?
        }
        ALPN => alpn_ids(value)?,
        NO_DEFAULT_ALPN => return value.is_empty().then_some(name),
        PORT => vec![u16::from_be_bytes(value.try_into().ok()?).to_string()],
        IPV4HINT => each::<4>(value)?.iter().map(|hint| Ipv4Addr::from(*hint).to_string()).collect(),
        IPV6HINT => each::<16>(value)?.iter().map(|hint| Ipv6Addr::from(*hint).to_string()).collect(),
        _ => return Some(format!("{name}={}", text::quote(value))),
    };
    Some(format!("{name}={}", listed.join(",")))
}

/// The items of a list, at least one; none when they do not fill the value exactly.
fn each<const N: usize>(value: &[u8]) -> Option<&[[u8; N]]> {
    let (items, rest) = value.as_chunks();
    (!items.is_empty() && rest.is_empty()).then_some(items)
}

fn alpn_ids(value: &[u8]) -> Option<Vec<String>> {
    let mut ids = Vec::new();
    let mut rest = value;
    while let Some((&length, after)) = rest.split_first() {
        let (id, after) = after.split_at_checked(usize::from(length))?;
        let plain =
            !id.is_empty() && id.iter().all(|octet| octet.is_ascii_graphic() && !matches!(octet, b',' | b'"' | b'\\'));
        ids.push(plain.then(|| String::from_utf8_lossy(id).into_owned())?);
        rest = after;
    }
    (!ids.is_empty()).then_some(ids)
}
