//! Real servers for tests, `make demo`, `make demo-samba` and the conformance suite: a KDC, a BIND, the sidecar, and what ExternalDNS sends.
//!
//! Each value owns its processes and its directory; both are gone when it is dropped, and when its process is killed.

#![allow(dead_code, unused_imports, unreachable_pub, reason = "shared by several crates, none of which uses all of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "tests read clocks and PATH")]
#![allow(clippy::print_stdout, reason = "demos talk")]

mod changes;
mod daemon;
mod document;
mod forwarder;
mod kdc;
mod named;
mod namespace;
mod other;
mod samba;
mod sidecar;
pub mod stage;
mod update_log;
mod zone;

pub use changes::{Changes, Endpoint};
pub use daemon::{Daemon, Directory, Place, find, find_or_install, memory, run, wait_until};
pub use document::block;
pub use forwarder::{Action, Forwarder, Message};
pub use kdc::{Kdc, PASSWORD};
pub use named::{Named, NamedOptions};
pub use namespace::{Family, InnerForwarder, Namespace};
pub use other::{Other, Program};
pub use samba::{Backend, Samba};
pub use sidecar::{Response, Settings, Sidecar, program};
pub use update_log::LoggedUpdate;
pub use zone::{LAB_KEY, LAB_SECRET, Zone};
