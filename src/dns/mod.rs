//! What DNS says: names, RRsets, zones, messages and transactions. Pure: no I/O, no clock, no log.

pub mod message;
pub mod name;
pub mod presentation;
pub mod query;
pub mod rrset;
pub mod server;
pub mod tkey;
pub mod transfer;
pub mod tsig;
pub mod update;
pub mod wire;
mod writer;
pub mod zone;

pub use message::{Class, Message, Opcode, Rcode};
pub use name::{Name, NameError};
pub use query::{Query, ReplyError, Soa};
pub use rrset::{Rdata, RecordType, Rrset, Ttl};
pub use server::{ServerAddress, ServerProfile, ServerSource};
pub use transfer::{Outcome, Progress, Transfer, TransferError};
pub use update::{EncodeError, Operation, Prerequisite, Size, Update};
pub use wire::WireError;
pub use zone::{ZoneContents, ZoneName, ZoneSet};
