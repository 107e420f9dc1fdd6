//! What `/status` tells: zones, servers, credential, and every record that is currently rejected.

use std::time::SystemTime;

use serde::Serialize;

use super::Failure;
use crate::dns::{Name, RecordType, ZoneName};

/// A record set that was not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Its zone; none when it lies outside every zone.
    pub zone: Option<ZoneName>,
    /// Its name as far as it could be read, else the caller's text.
    pub name: String,
    /// Its type as the caller wrote it.
    pub record_type: String,
    /// Why.
    pub failure: Failure,
}

impl Rejection {
    /// A rejection of a record set that could be read.
    #[must_use]
    pub fn of(zone: Option<&ZoneName>, name: &Name, rtype: RecordType, failure: Failure) -> Self {
        Self { zone: zone.cloned(), name: name.to_undotted(), record_type: rtype.to_string(), failure }
    }
}

/// The whole of `/status`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Status {
    /// Whether changes are only printed.
    pub dry_run: bool,
    /// One entry per configured zone.
    pub zones: Vec<ZoneStatus>,
    /// One entry per configured server.
    pub servers: Vec<ServerStatus>,
    /// The Kerberos credential, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialStatus>,
    /// Record sets rejected by the last apply, or still held back.
    pub rejected: Vec<StatusEntry>,
    /// Endpoints that the last adjust left out.
    pub dropped: Vec<StatusEntry>,
}

/// A zone in `/status`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ZoneStatus {
    /// The zone, without trailing dot.
    pub zone: String,
    /// The server that was read from last.
    pub server: Option<String>,
    /// SOA serial of the copy.
    pub serial: Option<u32>,
    /// Records in the copy.
    pub records: Option<usize>,
    /// Time of the last complete read, seconds since 1970.
    pub last_read: Option<u64>,
    /// Time of the last apply that changed the zone, seconds since 1970.
    pub last_apply: Option<u64>,
    /// Why the zone cannot be read now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A server in `/status`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ServerStatus {
    /// `fqdn:port` or `fqdn@address:port`.
    pub server: String,
    /// Whether the next request goes there.
    pub in_use: bool,
    /// Why it is not usable now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The Kerberos credential in `/status`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct CredentialStatus {
    /// Client principal.
    pub principal: String,
    /// Seconds until the ticket ends.
    pub expires_in: Option<u64>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A rejected or dropped record set in `/status`.
#[derive(Debug, Clone, Serialize)]
pub struct StatusEntry {
    /// Its zone, empty when outside every zone.
    pub zone: String,
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub record_type: String,
    /// The cause's label.
    pub cause: &'static str,
    /// What exactly.
    pub detail: String,
    /// Since when, seconds since 1970.
    pub since: u64,
    /// What to do.
    pub remedy: &'static str,
}

impl StatusEntry {
    /// The entry for a rejection that stands since `since`.
    #[must_use]
    pub fn new(rejection: &Rejection, since: SystemTime) -> Self {
        Self {
            zone: rejection.zone.as_ref().map(ToString::to_string).unwrap_or_default(),
            name: rejection.name.clone(),
            record_type: rejection.record_type.clone(),
            cause: rejection.failure.cause.label(),
            detail: rejection.failure.detail.clone(),
            since: since.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |age| age.as_secs()),
            remedy: rejection.failure.cause.remedy(),
        }
    }
}
