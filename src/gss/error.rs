//! What GSS-API and the Kerberos library report.

use thiserror::Error;

/// A failed GSS-API call, its text taken on the thread that failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{major} ({minor_text})")]
pub struct GssError {
    /// Major status in words.
    pub major: String,
    /// Kerberos error code, 0 where there is none.
    pub minor: i32,
    /// The Kerberos library's own words.
    pub minor_text: String,
}
