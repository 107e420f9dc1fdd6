//! The sidecar as a process against a real KDC and a real BIND; each test starts its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "tests read clocks")]

#[path = "../support/mod.rs"]
mod support;

mod credentials;
mod failover;
mod kerberos;
mod tls;
