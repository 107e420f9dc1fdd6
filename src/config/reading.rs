//! How zones are read, and where the directory is.

use super::reader::Reader;
use super::{Ldap, ReadMode, VariableError, hosts, value};
use crate::dns::{ServerAddress, ServerSource};

const MODE: &str = "RFC2136_READ";
const HOST: &str = "RFC2136_LDAP_HOST";
const PORT: &str = "RFC2136_LDAP_PORT";
const BASE: &str = "RFC2136_LDAP_BASE";

pub(super) fn mode(reader: &mut Reader, gss: bool) -> Option<ReadMode> {
    let modes = [
        ("auto", ReadMode::Auto),
        ("transfer", ReadMode::Transfer),
        ("ldap", ReadMode::Ldap),
        ("none", ReadMode::None),
    ];
    let mode = reader.value(MODE, "auto, transfer, ldap or none", |text| value::keyword(text, &modes))?;
    if mode == ReadMode::Ldap && !gss {
        reader.problem(MODE, VariableError::LdapWithoutKerberos);
        return None;
    }
    if !gss {
        reader.no_effect(&[HOST, PORT, BASE], "RFC2136_GSS_TSIG");
    } else if !matches!(mode, ReadMode::Auto | ReadMode::Ldap) {
        reader.no_effect(&[HOST, PORT, BASE], "RFC2136_READ=auto or ldap");
    }
    Some(mode)
}

pub(super) fn ldap(reader: &mut Reader) -> Option<Ldap> {
    let expected = "a port such as 389";
    let port = reader.value(PORT, expected, |text| text.parse().ok().filter(|&port: &u16| port != 0));
    let host = reader.text(HOST).map(|entry| host(reader, &entry, port.unwrap_or(389)));
    let expected = "a name such as CN=MicrosoftDNS,DC=DomainDnsZones,DC=example,DC=com";
    let base = reader.text(BASE).map(|_| reader.value(BASE, expected, base));
    Some(Ldap { port: port?, host: given(host)?, base: given(base)? })
}

/// None where it is wrong; nothing in it where it is not given.
fn given<T>(value: Option<Option<T>>) -> Option<Option<T>> {
    match value {
        Some(None) => None,
        Some(value) => Some(value),
        None => Some(None),
    }
}

fn host(reader: &mut Reader, entry: &str, port: u16) -> Option<ServerAddress> {
    let reason = match hosts::server(entry, port, true) {
        Ok(ServerSource::Server(address)) => return Some(address),
        Ok(ServerSource::Srv(_)) => hosts::HostError::BadHost,
        Err(reason) => reason,
    };
    reader.problem(HOST, VariableError::LdapHost { found: entry.to_owned(), reason });
    None
}

/// A distinguished name as far as that can be told without its schema.
fn base(text: &str) -> Option<String> {
    let is_part =
        |part: &str| part.split_once('=').is_some_and(|(name, value)| !name.trim().is_empty() && !value.is_empty());
    // An escaped comma is part of a value.
    let parts = text.replace("\\,", "\\2c");
    (parts.split(',').all(is_part) && !text.chars().any(char::is_control)).then(|| text.to_owned())
}
