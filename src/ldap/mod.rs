//! Reading the zones of Active Directory and Samba over LDAP, with the Kerberos credential that updates are signed with.
//!
//! Reading order: `ber` and `message` are the codec, `frame` and `connection` bind and seal, `client` keeps a connection and
//! searches in pages, `dns_record` and `node` say what the directory's records mean, `contents` reads nodes, [`Directory`] finds zones and knows
//! what has changed in them.

mod ages;
pub mod ber;
mod client;
mod connection;
mod contents;
mod directory;
pub mod dns_record;
mod error;
pub mod frame;
pub mod message;
mod node;
mod survey;
pub mod zone_property;

pub use ages::Ages;
pub use client::Settings;
pub use contents::Gaps;
pub use directory::{Directory, Extent, Marker, Read};
pub use error::{LdapError, LdapFault};
pub use survey::Survey;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
