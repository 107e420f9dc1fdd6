//! The name servers as the provider needs them: read a zone, send an update, learn what became of it.

use std::future::Future;
use std::sync::Arc;

use super::Failure;
use crate::dns::{ZoneContents, ZoneName};
use crate::dns::update::Update;

/// What became of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A verified reply says that it was applied.
    Applied,
    /// The reply says that it was applied, but nothing proves that the server said so.
    Unverified(Failure),
    /// A prerequisite did not hold; nothing was applied.
    PrerequisiteFailed(Failure),
    /// The server did not want it. `maybe_applied` where its answer does not exclude that it was applied all the same.
    Denied {
        /// Why.
        failure: Failure,
        /// Samba answers SERVFAIL to updates that it has applied.
        maybe_applied: bool,
    },
    /// The whole zone cannot be written on this server.
    ZoneUnusable(Failure),
    /// It was sent and no answer came.
    Unknown(Failure),
    /// Nothing was sent.
    NotSent(Failure),
}

/// The servers behind the zones, one of them pinned for the request under way.
pub trait Authority: Send + Sync + 'static {
    /// What one request holds: the pinned server, and those that are out of the question for it.
    type Pin: Send + Sync;

    /// Chooses the server for a read and the writes that follow it.
    fn pin_for_read(&self) -> Self::Pin;

    /// The server that the caller's last read was answered from.
    fn pin_for_write(&self) -> Self::Pin;

    /// Moves to another server after a transport fault; false when none is left for this request.
    fn fail_over(&self, pin: &mut Self::Pin) -> bool;

    /// The pinned server, for logs.
    fn server(&self, pin: &Self::Pin) -> String;

    /// Reads the zone afresh.
    fn read(&self, pin: &Self::Pin, zone: &ZoneName) -> impl Future<Output = Result<Arc<ZoneContents>, Failure>> + Send;

    /// What the caller was last shown of the zone, if that is still known.
    fn copy(&self, pin: &Self::Pin, zone: &ZoneName) -> Option<Arc<ZoneContents>>;

    /// Brings the copy up to date with an update that was applied.
    fn remember(&self, pin: &Self::Pin, update: &Update);

    /// Sends an update.
    fn update(&self, pin: &Self::Pin, update: &Update) -> impl Future<Output = Outcome> + Send;
}
