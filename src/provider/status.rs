//! What `/status` tells: zones, servers, credential, and every record that is currently rejected.

use std::collections::VecDeque;
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

/// A record set as rejections name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordKey {
    /// Its zone; none when it lies outside every zone.
    pub zone: Option<ZoneName>,
    /// Its name.
    pub name: String,
    /// Its type.
    pub record_type: String,
}

impl From<Rejection> for (RecordKey, Failure) {
    fn from(rejection: Rejection) -> Self {
        let Rejection { zone, name, record_type, failure } = rejection;
        (RecordKey { zone, name, record_type }, failure)
    }
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
    /// Size of the last answer to `GET /records` in octets, once there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records_body_bytes: Option<usize>,
    /// What that size will lead to, once it comes near to what ExternalDNS takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records_body_warning: Option<String>,
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
    /// What was changed last, the latest first.
    pub changes: Vec<ChangeEntry>,
    /// Which records are kept from ageing, where that is wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_alive: Option<KeepAliveStatus>,
}

/// Which records are kept from ageing, in `/status`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct KeepAliveStatus {
    /// `auto` or `on`.
    pub mode: &'static str,
    /// One entry per zone that was looked at.
    pub zones: Vec<KeepAliveZone>,
}

/// The records of a zone that are kept from ageing, in `/status`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct KeepAliveZone {
    /// The zone, without trailing dot.
    pub zone: String,
    /// What tells when a record was refreshed last: the directory's `time stamps`, or our own `updates`.
    pub basis: Option<&'static str>,
    /// A record is refreshed so many seconds after it was last, at the soonest.
    pub refreshed_after: Option<u64>,
    /// And at the latest.
    pub refreshed_within: Option<u64>,
    /// After so many it may be taken out soon.
    pub late_after: Option<u64>,
    /// Record sets that are kept alive.
    pub records: usize,
    /// Those that may be taken out soon.
    pub overdue: usize,
    /// When the next one is due, seconds since 1970.
    pub next: Option<u64>,
    /// When the zone was looked at last, seconds since 1970.
    pub looked: Option<u64>,
    /// Why nothing is refreshed, or not by time stamps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<String>,
    /// Why records were not refreshed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The record sets that are due next, 50 at most.
    pub soonest: Vec<KeptEntry>,
}

/// A record set that is kept from ageing, in `/status`; times are in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptEntry {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub record_type: String,
    /// When it was refreshed last, as far as is known.
    pub refreshed: Option<u64>,
    /// When that was tried last.
    pub tried: Option<u64>,
    /// When it is due.
    pub due: u64,
    /// From when on it may be taken out soon.
    pub late: u64,
}

/// A record set that was changed, in `/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangeEntry {
    /// When, seconds since 1970.
    pub at: u64,
    /// What was done: `create`, `update` or `delete`.
    pub op: &'static str,
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub record_type: String,
}

/// So many changes are told.
const CHANGES: usize = 50;

/// The changes made last.
#[derive(Debug, Clone, Default)]
pub(super) struct History(VecDeque<ChangeEntry>);

impl History {
    /// Keeps what was changed at this time, in the order in which it was.
    pub(super) fn keep(&mut self, changed: impl IntoIterator<Item = ChangeEntry>) {
        for entry in changed {
            self.0.truncate(CHANGES - 1);
            self.0.push_front(entry);
        }
    }

    /// The latest first.
    pub(super) fn entries(&self) -> Vec<ChangeEntry> {
        self.0.iter().cloned().collect()
    }
}

/// A zone in `/status`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ZoneStatus {
    /// The zone, without trailing dot.
    pub zone: String,
    /// The server that was read from last.
    pub server: Option<String>,
    /// How it is read: `transfer` or `ldap`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<&'static str>,
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
    /// Whether the last request went there.
    pub in_use: bool,
    /// Whether it is left alone until it answers again.
    pub failed: bool,
    /// Its last failure, until a request succeeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Seconds until its security context ends, while there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_expires_in: Option<u64>,
    /// Security contexts negotiated since the start.
    pub negotiations: u64,
    /// Negotiations that failed since the start.
    pub failed_negotiations: u64,
    /// Its clock minus ours in seconds, where a signed answer told it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_skew: Option<i64>,
}

/// The Kerberos credential in `/status`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct CredentialStatus {
    /// Client principal; none where it is whoever the credential cache belongs to.
    pub principal: Option<String>,
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
    pub fn new(record: &RecordKey, failure: &Failure, since: SystemTime) -> Self {
        Self {
            zone: record.zone.as_ref().map(ToString::to_string).unwrap_or_default(),
            name: record.name.clone(),
            record_type: record.record_type.clone(),
            cause: failure.cause.label(),
            detail: failure.detail.clone(),
            since: seconds(since),
            remedy: failure.cause.remedy(),
        }
    }
}

/// Seconds since 1970.
pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |age| age.as_secs())
}
