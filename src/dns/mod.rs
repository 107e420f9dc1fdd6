//! What DNS says: names, RRsets, zones, messages and transactions. Pure: no I/O, no clock, no log.

mod message;
mod name;
pub mod presentation;
mod query;
mod rrset;
mod server;
pub mod tkey;
mod transfer;
pub mod tsig;
mod update;
mod wire;
mod writer;
mod zone;

pub use message::{Class, HEADER_OCTETS, Message, Opcode, Rcode};
pub use name::{Name, NameError};
pub use query::{Query, ReplyError, Soa, is_newer};
pub use rrset::{Rdata, RecordType, Rrset, Ttl};
pub use server::{ServerAddress, ServerProfile, ServerSource};
pub use transfer::{Progress, Transfer, TransferError, Transferred};
pub use update::{EncodeError, Operation, Prerequisite, Size, Update};
pub use wire::{WireError, WireReader};
pub use zone::{Page, RrsetRef, ZoneContents, ZoneName, ZoneSet};
