//! The wall clock, as TSIG and TKEY need it.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "this is where the clock is read for the pure modules")]
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
