//! The image that `make image` has built: what is in it, and the sidecar at work inside its root, as in a container.
//!
//! A container engine is not needed: bubblewrap shows a process the image's root, read-only, as user 65532 without any
//! capability, with a tmpfs on /tmp. The KDC and the name server are beside it in a network namespace.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "tests read clocks")]

#[path = "../support/mod.rs"]
mod support;

mod contents;
mod faults;
mod release;
mod root;
mod work;
