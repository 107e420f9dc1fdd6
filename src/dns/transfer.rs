//! Zone transfers, put together from verified messages (RFC 5936, RFC 1995).
//!
//! No I/O here: whoever holds the connection sends [`Transfer::request`] and hands in each message of the reply.

use std::sync::Arc;

use thiserror::Error;

use super::message::{Class, Message, Record};
use super::query::{Query, ReplyError, Soa, is_newer};
use super::{Name, RecordType, WireError, ZoneContents, ZoneName};

/// A transfer that waits for its next message.
#[derive(Debug)]
pub struct Transfer {
    zone: ZoneName,
    query: Query,
    id: u16,
    records: usize,
    stage: Stage,
}

/// What a message has led to.
#[derive(Debug)]
pub enum Progress {
    /// More messages follow.
    More(Transfer),
    /// The closing SOA was read.
    Done(Transferred),
}

/// What a complete transfer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transferred {
    /// The version that was held is the server's.
    Unchanged,
    /// The zone as it is now, told whole.
    Whole(ZoneContents),
    /// The zone as it is now, told by differences to what was held.
    Updated(ZoneContents),
}

/// Why a transfer has no result.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TransferError {
    /// A message cannot be read.
    #[error("a message of the transfer cannot be read")]
    Wire(#[from] WireError),
    /// The server did not grant it, or answered something else.
    #[error("the transfer failed")]
    Reply(#[from] ReplyError),
    /// It did not begin with the zone's SOA record.
    #[error("the transfer does not begin with the zone's SOA record")]
    NoOpeningSoa,
    /// It came to its end without the NS records that every zone has; Samba's own DNS server does this.
    #[error("the transfer is empty: it holds no NS record of the zone")]
    Empty,
    /// The connection ended, or fell silent, before the closing SOA record.
    #[error("the transfer was cut off after {records} records")]
    CutOff {
        /// Records read until then.
        records: usize,
    },
    /// Its last SOA record is of another version than its first.
    #[error("the transfer began with serial {opened} and ended with serial {closed}")]
    OtherVersion {
        /// Serial of the first SOA record.
        opened: u32,
        /// Serial of the last.
        closed: u32,
    },
    /// Records follow the closing SOA record.
    #[error("records follow the closing SOA record")]
    Trailing,
    /// The differences do not start where they should: ask for the whole zone.
    #[error("differences from serial {found} do not apply to serial {held}")]
    OtherBase {
        /// Serial of the version they are to be applied to.
        held: u32,
        /// Serial they start from.
        found: u32,
    },
    /// The differences delete what is not held: ask for the whole zone.
    #[error("the differences delete a {rtype} record of {name} that is not there")]
    NotHeld {
        /// Owner name.
        name: Name,
        /// Record type.
        rtype: RecordType,
    },
    /// The server holds an older version than was held: ask for the whole zone.
    #[error("the server's serial {found} is older than {held}")]
    WentBack {
        /// Serial of the held version.
        held: u32,
        /// Serial of the server's.
        found: u32,
    },
}

impl TransferError {
    /// Whether asking for the whole zone may succeed where asking for differences did not.
    #[must_use]
    pub const fn wants_whole(&self) -> bool {
        match self {
            Self::OtherBase { .. } | Self::NotHeld { .. } | Self::WentBack { .. } | Self::OtherVersion { .. } => true,
            Self::Reply(error) => matches!(error, ReplyError::Failed(_)),
            Self::Wire(_) | Self::NoOpeningSoa | Self::Empty | Self::CutOff { .. } | Self::Trailing => false,
        }
    }
}

/// How far a transfer is.
#[derive(Debug)]
enum Stage {
    /// Nothing was read.
    Whole,
    /// Nothing was read, and differences to this version were asked for.
    Incremental(Arc<ZoneContents>),
    /// The first SOA record of an incremental transfer was read; the second record tells its kind.
    Opened(Arc<ZoneContents>, Opening),
    /// In a whole zone.
    Filling(ZoneContents),
    /// Among the records that a difference deletes.
    Deleting(ZoneContents, Opening),
    /// Among the records that a difference adds.
    Adding(ZoneContents, Opening),
}

/// The first SOA record, which the last one repeats.
#[derive(Debug)]
struct Opening {
    record: Record,
    serial: u32,
}

/// What a record has led to.
enum Next {
    Stage(Stage),
    Done(Transferred),
}

impl Transfer {
    /// Asks for a whole zone.
    #[must_use]
    pub fn whole(zone: ZoneName, id: u16) -> Self {
        Self { query: Query::axfr(&zone), zone, id, records: 0, stage: Stage::Whole }
    }

    /// Asks for the differences to a held version, which the server may answer with the whole zone.
    #[must_use]
    pub fn incremental(held: Arc<ZoneContents>, id: u16) -> Self {
        let zone = held.zone().clone();
        Self { query: Query::ixfr(&zone, held.serial()), zone, id, records: 0, stage: Stage::Incremental(held) }
    }

    /// The unsigned request.
    #[must_use]
    pub fn request(&self) -> Vec<u8> {
        self.query.encode(self.id)
    }

    /// Takes the next message of the reply, whose signature was verified.
    ///
    /// # Errors
    /// When the transfer cannot come to a good end any more.
    pub fn answer(self, octets: &[u8]) -> Result<Progress, TransferError> {
        let message = Message::parse(octets)?;
        self.check(&message)?;
        let records = self.records + message.answers.len();
        let mut answers = message.answers.into_iter();
        let mut stage = self.stage;
        while let Some(record) = answers.next() {
            match stage.next(&self.zone, record)? {
                Next::Stage(next) => stage = next,
                Next::Done(_) if answers.next().is_some() => return Err(TransferError::Trailing),
                Next::Done(outcome) => return Ok(Progress::Done(outcome.checked()?)),
            }
        }
        match stage.at_end_of_message()? {
            Next::Done(outcome) => Ok(Progress::Done(outcome)),
            Next::Stage(stage) => Ok(Progress::More(Self { records, stage, ..self })),
        }
    }

    /// The error for a connection that ended, or fell silent, where a message was due.
    #[must_use]
    pub fn cut_off(self) -> TransferError {
        TransferError::CutOff { records: self.records }
    }

    fn check(&self, message: &Message) -> Result<(), TransferError> {
        if self.records > 0 {
            return Ok(self.query.check_continuation(self.id, message)?);
        }
        self.query.check(self.id, message)?;
        if message.answers.is_empty() { Err(TransferError::Empty) } else { Ok(()) }
    }
}

impl Transferred {
    /// Every zone has NS records at its apex; without them what came is no zone.
    fn checked(self) -> Result<Self, TransferError> {
        match &self {
            Self::Whole(contents) | Self::Updated(contents) => {
                let apex = contents.zone().as_name();
                contents.rrset(apex, RecordType::NS).map(|_| ()).ok_or(TransferError::Empty)?;
            }
            Self::Unchanged => {}
        }
        Ok(self)
    }
}

impl Stage {
    /// Takes a record of the answer section.
    fn next(self, zone: &ZoneName, record: Record) -> Result<Next, TransferError> {
        let serial = apex_serial(zone, &record);
        Ok(Next::Stage(match (self, serial) {
            (Self::Whole | Self::Incremental(_), None) => return Err(TransferError::NoOpeningSoa),
            (Self::Whole, Some(serial)) => Self::Filling(opened(zone, serial, record)),
            (Self::Incremental(held), Some(serial)) => Self::Opened(held, Opening { record, serial }),
            (Self::Opened(held, opening), Some(serial)) if serial != opening.serial => {
                Self::differences(held, opening, serial)?
            }
            (Self::Opened(_, opening), _) => {
                return Self::Filling(opened(zone, opening.serial, opening.record)).next(zone, record);
            }
            (Self::Filling(contents), Some(serial)) => {
                return closed(contents.serial(), serial, Transferred::Whole(contents));
            }
            (Self::Filling(mut contents), None) => {
                put(&mut contents, record);
                Self::Filling(contents)
            }
            (Self::Deleting(mut contents, opening), Some(serial)) => {
                contents.set_serial(serial);
                Self::Adding(contents, opening)
            }
            (Self::Deleting(mut contents, opening), None) => {
                delete(&mut contents, record)?;
                Self::Deleting(contents, opening)
            }
            (Self::Adding(contents, opening), Some(serial)) => return contents_follow(contents, opening, serial),
            (Self::Adding(mut contents, opening), None) => {
                put(&mut contents, record);
                Self::Adding(contents, opening)
            }
        }))
    }

    /// The second record of an incremental transfer is the SOA of the version it starts from.
    fn differences(held: Arc<ZoneContents>, opening: Opening, from: u32) -> Result<Self, TransferError> {
        if from != held.serial() {
            return Err(TransferError::OtherBase { held: held.serial(), found: from });
        }
        Ok(Self::Deleting(Arc::unwrap_or_clone(held), opening))
    }

    /// A lone SOA record answers an incremental transfer when there is nothing newer (RFC 1995 §4).
    fn at_end_of_message(self) -> Result<Next, TransferError> {
        match self {
            Self::Opened(held, opening) if opening.serial == held.serial() => Ok(Next::Done(Transferred::Unchanged)),
            Self::Opened(held, opening) if !is_newer(opening.serial, held.serial()) => {
                Err(TransferError::WentBack { held: held.serial(), found: opening.serial })
            }
            stage => Ok(Next::Stage(stage)),
        }
    }
}

/// A SOA record after the additions of a difference: the end, or the next difference, which starts where this one led.
fn contents_follow(mut contents: ZoneContents, opening: Opening, serial: u32) -> Result<Next, TransferError> {
    let reached = contents.serial();
    if reached == opening.serial {
        contents.remove_rrset(&opening.record.name, RecordType::SOA);
        put(&mut contents, opening.record);
        return closed(reached, serial, Transferred::Updated(contents));
    }
    if serial != reached {
        return Err(TransferError::OtherBase { held: reached, found: serial });
    }
    Ok(Next::Stage(Stage::Deleting(contents, opening)))
}

fn closed(opened: u32, closed: u32, outcome: Transferred) -> Result<Next, TransferError> {
    if opened == closed { Ok(Next::Done(outcome)) } else { Err(TransferError::OtherVersion { opened, closed }) }
}

/// A zone of which only the SOA record is known yet.
fn opened(zone: &ZoneName, serial: u32, soa: Record) -> ZoneContents {
    let mut contents = ZoneContents::new(zone.clone(), serial);
    put(&mut contents, soa);
    contents
}

/// The serial, when the record is the zone's SOA record.
fn apex_serial(zone: &ZoneName, record: &Record) -> Option<u32> {
    let is_soa = record.rtype == RecordType::SOA && record.class == Class::IN && record.name == *zone.as_name();
    Soa::from_rdata(&record.rdata).filter(|_| is_soa).map(|soa| soa.serial)
}

/// Adds a record, unless it is none of the zone's.
fn put(contents: &mut ZoneContents, record: Record) {
    if is_of_zone(contents, &record) {
        contents.add(&record.name, record.rtype, record.ttl, record.rdata);
    }
}

fn delete(contents: &mut ZoneContents, record: Record) -> Result<(), TransferError> {
    if !is_of_zone(contents, &record) {
        return Ok(());
    }
    let Record { name, rtype, rdata, .. } = record;
    if contents.rrset(&name, rtype).is_none_or(|rrset| !rrset.rdata.contains(&rdata)) {
        return Err(TransferError::NotHeld { name, rtype });
    }
    contents.remove(&name, rtype, &rdata);
    Ok(())
}

fn is_of_zone(contents: &ZoneContents, record: &Record) -> bool {
    record.class == Class::IN && record.name.is_at_or_below(contents.zone().as_name())
}

#[cfg(test)]
mod tests;
