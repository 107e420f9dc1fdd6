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
    /// KDC policy rejects request: logon hours, denied workstations.
    pub const POLICY: i32 = BASE + 12;
    /// KDC has no support for encryption type.
    pub const ETYPE_UNSUPPORTED: i32 = BASE + 14;
    /// Client's credentials have been revoked: locked or disabled.
    pub const CLIENT_REVOKED: i32 = BASE + 18;
    /// Credentials for server have been revoked.
    pub const SERVER_REVOKED: i32 = BASE + 19;
    /// Client not yet valid - try again later.
    pub const CLIENT_NOT_YET_VALID: i32 = BASE + 21;
    /// Password has expired.
    pub const KEY_EXPIRED: i32 = BASE + 23;
    /// Preauthentication failed: wrong password or stale key.
    pub const PREAUTH_FAILED: i32 = BASE + 24;
    /// A service is not available that is required to process the request: the KDC's own database is away.
    pub const SERVICE_UNAVAILABLE: i32 = BASE + 29;
    /// Decrypt integrity check failed: wrong password or stale key, where no preauthentication is asked for.
    pub const BAD_INTEGRITY: i32 = BASE + 31;
    /// Ticket expired.
    pub const TICKET_EXPIRED: i32 = BASE + 32;
    /// Ticket not yet valid.
    pub const TICKET_NOT_YET_VALID: i32 = BASE + 33;
    /// Clock skew too great.
    pub const SKEW: i32 = BASE + 37;
    /// Message stream modified: the ticket was made with another key than the server's.
    pub const MODIFIED: i32 = BASE + 41;
    /// Key version is not available.
    pub const KEY_VERSION: i32 = BASE + 44;
    /// Service key not available.
    pub const NO_SERVICE_KEY: i32 = BASE + 45;
    /// The realm of the client is another one (referral).
    pub const WRONG_REALM: i32 = BASE + 68;
    /// Can't open the configuration file.
    pub const CONFIG_UNREADABLE: i32 = BASE + 135;
    /// Improper format of Kerberos configuration file.
    pub const CONFIG_MALFORMED: i32 = BASE + 136;
    /// Matching credential not found: a cache of another principal, or one whose tickets have ended.
    pub const CCACHE_LACKS_CREDENTIAL: i32 = BASE + 141;
    /// Wrong principal in request.
    pub const WRONG_PRINCIPAL: i32 = BASE + 144;
    /// Clock skew too great in KDC reply.
    pub const KDC_REPLY_SKEW: i32 = BASE + 148;
    /// Cannot find KDC for realm.
    pub const REALM_UNKNOWN: i32 = BASE + 154;
    /// Cannot contact any KDC for realm.
    pub const KDC_UNREACHABLE: i32 = BASE + 156;
    /// Key table entry not found.
    pub const KEYTAB_LACKS_PRINCIPAL: i32 = BASE + 181;
    /// I/O error reading a key table.
    pub const KEYTAB_UNREADABLE: i32 = BASE + 184;
    /// Credential cache I/O operation failed.
    pub const CCACHE_IO: i32 = BASE + 193;
    /// Credentials cache permissions incorrect.
    pub const CCACHE_PERMISSIONS: i32 = BASE + 194;
    /// Cannot find the cache's file.
    pub const CCACHE_MISSING: i32 = BASE + 195;
    /// Bad format in credentials cache.
    pub const CCACHE_MALFORMED: i32 = BASE + 199;
    /// Unsupported credentials cache format version number.
    pub const CCACHE_VERSION: i32 = BASE + 212;
    /// Principal in credential cache does not match desired name; GSS-API's own code.
    pub const CCACHE_OTHER_PRINCIPAL: i32 = 39_756_032;
    /// Generic preauthentication failure: the library found no way to prove itself.
    pub const PREAUTH_IMPOSSIBLE: i32 = BASE + 210;
    /// Cannot resolve network address for KDC in requested realm.
    pub const REALM_CANNOT_BE_RESOLVED: i32 = BASE + 220;
    /// Key table entry of this version not found.
    pub const KEYTAB_LACKS_VERSION: i32 = BASE + 230;
    /// Unsupported key table format version number.
    pub const KEYTAB_MALFORMED: i32 = BASE + 235;
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
        let words = |error: libgssapi::error::Error| error.to_string().replace('\0', "").trim().to_owned();
        let minor = error.minor;
        let text = words(error);
        // Both texts may hold parentheses, so that the major one is asked for by itself.
        let without = words(libgssapi::error::Error { minor: 0, ..error });
        let major = without.rsplit_once(" (").map_or(without.as_str(), |(major, _)| major);
        if minor == 0 {
            // The library would add "Success".
            return Self { major: major.to_owned(), ..Self::default() };
        }
        let minor_text = text.strip_prefix(major).unwrap_or(&text).trim();
        let minor_text = minor_text.strip_prefix('(').and_then(|text| text.strip_suffix(')')).unwrap_or(minor_text);
        Self { major: major.to_owned(), minor: minor.cast_signed(), minor_text: minor_text.trim().to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use libgssapi::error::{Error, MajorFlags};

    use super::*;

    #[test]
    fn a_major_text_with_parentheses_is_not_taken_for_the_minor_one() {
        let error = GssError::from(Error { major: MajorFlags::GSS_S_BAD_SIG, minor: 0 });
        assert_eq!(error.to_string(), "A token had an invalid Message Integrity Check (MIC)");
    }

    #[test]
    fn the_code_is_kept_and_both_texts_are_told_apart() {
        let minor = code::PREAUTH_FAILED;
        let error = GssError::from(Error { major: MajorFlags::GSS_S_FAILURE, minor: minor.cast_unsigned() });
        assert_eq!((error.minor, error.minor_text.contains('\0')), (minor, false));
        assert_eq!(error.major, "Unspecified GSS failure.  Minor code may provide more information");
        assert!(!error.minor_text.is_empty() && !error.minor_text.contains("Unspecified"), "{error:?}");
    }
}
