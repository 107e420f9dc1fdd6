//! One authoritative server: connecting, negotiating, exchanging requests, transferring zones; and choosing among several.
//!
//! Reading order: `connection` carries framed messages over TCP or TLS, `lines` keeps connections, one of them for all
//! requests in flight, `negotiation` makes security contexts, `session` keeps them and signs every request afresh, [`Server`] offers what can be asked, [`Pool`] picks the server
//! of a reconcile. This is where clocks and randomness are read for `dns`.

mod clock;
mod connection;
mod discovery;
mod error;
mod lines;
mod negotiation;
mod pool;
mod security;
mod server;
mod session;
mod tls;
mod trace;

pub use discovery::{DiscoveryError, Service, find_services};
pub use error::{Fault, KeyError, Sent, ServerError};
pub use pool::{LastError, Pin, Pool, PoolSettings, ServerStatus, Strategy};
pub use security::{Authentication, Gss};
pub use server::{Authenticity, Server, UpdateReply};
pub use session::Settings;
pub use tls::{Tls, TlsError, TlsSettings};

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
