//! The name servers as the provider needs them: read a zone, send an update, learn what became of it.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;

use tokio::time::Instant;

use super::Failure;
use super::status::{ServerStatus, ZoneStatus};
use crate::dns::{Name, RecordType, Rrset, Update, ZoneContents, ZoneName};
use crate::ldap::Ages;
use crate::plan::delivery::Fate;

/// What a server shows of an RRset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// These records, or none; a wildcard may have answered for the name.
    Records(Option<Rrset>),
    /// Nothing, since it is not its own: a delegation, or what lies below one.
    Referral,
}

/// The servers behind the zones.
pub trait Authority: Send + Sync + 'static {
    /// The server that a request uses; moves to another one when that fails.
    type Pin: Send + Sync;

    /// Chooses the server for a read and the writes that follow it.
    fn pin_for_read(&self) -> impl Future<Output = Result<Self::Pin, Failure>> + Send;

    /// The server that the caller's last read was answered from.
    fn pin_for_write(&self) -> impl Future<Output = Result<Self::Pin, Failure>> + Send;

    /// The server of the next write, for who only looks: whatever is found there moves no other request.
    fn pin_to_look(&self) -> impl Future<Output = Result<Self::Pin, Failure>> + Send;

    /// The pinned server, for logs and metrics.
    fn server(&self, pin: &Self::Pin) -> String;

    /// Reads a zone for the caller, fresh enough to show everything that was done before this call, and at least what was
    /// done by us before it.
    fn read(
        &self,
        pin: &Self::Pin,
        zone: &ZoneName,
        deadline: Instant,
    ) -> impl Future<Output = Result<Arc<ZoneContents>, Failure>> + Send;

    /// Looks whether a zone can be read, which keeps its copy fresh.
    fn warm(
        &self,
        pin: &Self::Pin,
        zone: &ZoneName,
        deadline: Instant,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// As [`read`](Self::read), for who does nothing if the zone holds what is wanted already: only what is known to move
    /// when the zone changes is taken for a proof that it has not.
    fn confirm(
        &self,
        pin: &Self::Pin,
        zone: &ZoneName,
        deadline: Instant,
    ) -> impl Future<Output = Result<Arc<ZoneContents>, Failure>> + Send;

    /// Asks for the zone's serial, which shows that the server answers for it.
    fn reach(&self, pin: &Self::Pin, zone: &ZoneName) -> impl Future<Output = Result<(), Failure>> + Send;

    /// What the caller was last shown of a zone, if that is still known.
    fn copy(&self, pin: &Self::Pin, zone: &ZoneName) -> Option<Arc<ZoneContents>>;

    /// Brings the copy up to date with an update that was applied.
    fn remember(&self, pin: &Self::Pin, update: &Update);

    /// Marks the copy as doubtful after an update whose outcome is not known.
    fn doubt(&self, pin: &Self::Pin, zone: &ZoneName);

    /// Sends an update, signed afresh for each server that it is tried on.
    ///
    /// A failure means that it was not sent, or that nobody is left to ask what became of it.
    fn update(&self, pin: &Self::Pin, update: &Update) -> impl Future<Output = Result<Fate<Failure>, Failure>> + Send;

    /// Asks for an RRset, by a query that is signed as updates are.
    fn look(
        &self,
        pin: &Self::Pin,
        name: &Name,
        rtype: RecordType,
    ) -> impl Future<Output = Result<Seen, Failure>> + Send;

    /// What a zone holds at these names and nothing else of it, TTLs included, where a directory tells that.
    fn nodes(
        &self,
        pin: &Self::Pin,
        zone: &ZoneName,
        names: &[Name],
    ) -> impl Future<Output = Option<ZoneContents>> + Send;

    /// How old these RRsets of a zone are; none where no directory is asked.
    fn ages(
        &self,
        pin: &Self::Pin,
        zone: &ZoneName,
        wanted: &HashSet<(Name, RecordType)>,
    ) -> impl Future<Output = Result<Option<Ages>, Failure>> + Send;

    /// What is known of a zone, for `/status`.
    fn zone_status(&self, zone: &ZoneName) -> ZoneStatus;

    /// What is known of each server, for `/status`.
    fn server_status(&self) -> Vec<ServerStatus>;

    /// Deletes what the servers keep for us, and closes the connections.
    fn close(&self) -> impl Future<Output = ()> + Send;
}
