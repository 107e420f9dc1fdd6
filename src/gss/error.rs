//! What GSS-API and the Kerberos library report.

use std::fmt;

use thiserror::Error;

/// A failed GSS-API call, its text taken on the thread that failed: the library keeps the better text per thread.
#[derive(Debug, Clone, Default, PartialEq, Eq, Error)]
pub struct GssError {
    /// Major status in words.
    pub major: String,
    /// Kerberos error code, 0 where there is none.
    pub minor: i32,
    /// The Kerberos library's own words.
    pub minor_text: String,
}

/// Codes of the Kerberos library (MIT `krb5_err.et`); those of RFC 4120 §7.5.9 are offsets from the first.
pub mod code {
    /// Start of the library's error table.
    const BASE: i32 = -1_765_328_384;
    /// Client's entry in database has expired.
    pub const CLIENT_EXPIRED: i32 = BASE + 1;
    /// Client not found in Kerberos database.
    pub const CLIENT_UNKNOWN: i32 = BASE + 6;
    /// Server not found in Kerberos database.
    pub const SERVER_UNKNOWN: i32 = BASE + 7;
    /// Client's credentials have been revoked: locked or disabled.
    pub const CLIENT_REVOKED: i32 = BASE + 18;
    /// Password has expired.
    pub const KEY_EXPIRED: i32 = BASE + 23;
    /// Preauthentication failed: wrong password or stale key.
    pub const PREAUTH_FAILED: i32 = BASE + 24;
    /// Decrypt integrity check failed: wrong password or stale key, where no preauthentication is asked for.
    pub const BAD_INTEGRITY: i32 = BASE + 31;
    /// Ticket expired.
    pub const TICKET_EXPIRED: i32 = BASE + 32;
    /// Ticket not yet valid.
    pub const TICKET_NOT_YET_VALID: i32 = BASE + 33;
    /// Clock skew too great.
    pub const SKEW: i32 = BASE + 37;
    /// Cannot find KDC for realm.
    pub const REALM_UNKNOWN: i32 = BASE + 154;
    /// Cannot contact any KDC for realm.
    pub const KDC_UNREACHABLE: i32 = BASE + 156;
    /// Key table entry not found.
    pub const KEYTAB_LACKS_PRINCIPAL: i32 = BASE + 181;
    /// I/O error reading a key table.
    pub const KEYTAB_UNREADABLE: i32 = BASE + 184;
    /// No credentials cache found.
    pub const CCACHE_MISSING: i32 = BASE + 195;
}

impl fmt::Display for GssError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.major.is_empty(), self.minor_text.is_empty()) {
            (true, _) => f.write_str(&self.minor_text),
            (false, true) => f.write_str(&self.major),
            (false, false) => write!(f, "{} ({})", self.minor_text, self.major),
        }
    }
}

impl From<libgssapi::error::Error> for GssError {
    fn from(error: libgssapi::error::Error) -> Self {
        let text = error.to_string();
        let text = text.trim_end_matches('\0').trim();
        let (major, minor_text) = text.split_once(" (").unwrap_or((text, ""));
        Self {
            major: major.trim().to_owned(),
            minor: error.minor.cast_signed(),
            minor_text: minor_text.trim_end_matches([')', '\0']).to_owned(),
        }
    }
}
