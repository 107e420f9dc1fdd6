//! What a delivery asks for, and what it is told.

use std::sync::Arc;

use crate::dns::{ZoneContents, ZoneName};
use crate::plan::{Batch, Step};

/// A message under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub(super) Address);

/// A zone that is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadId(pub(super) Address);

/// A question under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuestionId(pub(super) Address);

/// Where an outcome belongs: a zone of this round, and a number that no other command of the delivery has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Address {
    pub(super) zone: usize,
    pub(super) number: u64,
}

/// What is to be done now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Do this, and tell what came of it by an [`Outcome`].
    Ask(Request),
    /// Take note of this at once.
    Note(Note),
}

/// What is asked of the servers, under the id that its outcome is told by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Send this message.
    Send(MessageId, Batch),
    /// Read the zone, by a read that begins now.
    Read(ReadId, ZoneName),
    /// Ask whether exactly the result of this stands.
    ReadBack(QuestionId, Batch),
}

/// What is known now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// Bring the copy up to date: this was applied.
    Remember(Batch),
    /// The copy may be wrong.
    Doubt(ZoneName),
    /// Tell that these record sets were changed.
    Tell(Arc<Step>),
}

impl Command {
    /// The zone that it is about; none for a message of nothing.
    #[must_use]
    pub fn zone(&self) -> Option<&ZoneName> {
        match self {
            Self::Ask(Request::Send(_, batch) | Request::ReadBack(_, batch)) | Self::Note(Note::Remember(batch)) => {
                batch.zone()
            }
            Self::Ask(Request::Read(_, zone)) | Self::Note(Note::Doubt(zone)) => Some(zone),
            Self::Note(Note::Tell(step)) => Some(&step.zone),
        }
    }
}

/// What came of a request; in any order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<F> {
    /// Of [`Request::Send`].
    Sent(MessageId, Fate<F>),
    /// Of [`Request::Read`]: none when the zone cannot be read.
    Read(ReadId, Option<Arc<ZoneContents>>),
    /// Of [`Request::ReadBack`]: whether it stands.
    ReadBack(QuestionId, bool),
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate<F> {
    /// A verified reply says that it was applied.
    Applied,
    /// It was printed instead of being sent.
    Printed,
    /// The reply says that it was applied, but nothing proves that the server said so.
    Unverified(F),
    /// A prerequisite did not hold; nothing was applied.
    PrerequisiteFailed(F),
    /// The server did not want it.
    Denied {
        /// Why.
        failure: F,
        /// Samba answers SERVFAIL to updates that it has applied all the same.
        maybe_applied: bool,
    },
    /// The whole zone cannot be written on this server.
    ZoneUnusable(F),
    /// It was sent and no answer came, or one that may be to the second time. Another connection, or another server, is
    /// used now.
    Unknown(F),
}

/// Why something was not done, in the words of whoever performs the commands.
pub trait Failure: Clone {
    /// Whether both have the same cause, whatever they are about.
    fn is_like(&self, other: &Self) -> bool;
}
