//! The sidecar as a process against a real KDC and a real BIND; each test starts its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "tests read clocks")]

#[path = "../support/mod.rs"]
mod support;

mod alerts;
mod causes;
mod check;
mod convergence;
mod credentials;
mod documents;
mod ending;
mod explain;
mod failover;
mod injection;
mod isolation;
mod kerberos;
mod large;
mod messages;
mod modes;
mod others;
mod ownership;
mod reading;
mod realm;
mod record_types;
mod retries;
mod samba;
mod signatures;
mod soak;
mod tls;
mod traces;
mod tree;
mod type_changes;
mod zones;

use support::{Kdc, Named, Settings, Sidecar};

/// A KDC, a name server with `example.test`, and a sidecar with a keytab.
fn example() -> (Kdc, Named, Sidecar) {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let sidecar = Settings::keytab(&kdc, &named, &["example.test"]).start();
    (kdc, named, sidecar)
}
