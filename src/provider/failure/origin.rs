//! Which cause an error of Kerberos, a name server or the planner has.

use super::Cause;
use crate::dns::tsig::TsigError;
use crate::dns::{Rcode, ReplyError, TransferError};
use crate::gss::{GssError, InitiateError, code};
use crate::ldap::LdapFault;
use crate::nameserver::Fault;
use crate::plan::Reason;
use crate::zone_copy::SourceError;

impl Cause {
    /// Why a server did not do an update, from its response code.
    #[must_use]
    pub const fn of_update(rcode: Rcode) -> Self {
        match rcode {
            Rcode::NXDOMAIN | Rcode::YXDOMAIN | Rcode::NXRRSET | Rcode::YXRRSET => Self::PrerequisiteFailed,
            Rcode::REFUSED => Self::RefusedByPolicy,
            Rcode::NOTIMP => Self::RecordTypeNotSupported,
            Rcode::NOTAUTH => Self::NotAuthoritative,
            _ => Self::ServerFailed,
        }
    }
}

impl From<&GssError> for Cause {
    fn from(error: &GssError) -> Self {
        match error.minor {
            code::CLIENT_UNKNOWN => Self::PrincipalUnknown,
            // A wrong realm shows as a missing ticket-granting service of that realm.
            code::SERVER_UNKNOWN if error.minor_text.contains("krbtgt/") => Self::RealmWrong,
            code::SERVER_UNKNOWN | code::SERVER_REVOKED => Self::SpnUnknown,
            code::CLIENT_REVOKED | code::CLIENT_EXPIRED | code::CLIENT_NOT_YET_VALID | code::POLICY => {
                Self::AccountRevoked
            }
            code::KEY_EXPIRED => Self::PasswordExpired,
            code::PREAUTH_FAILED | code::BAD_INTEGRITY | code::PREAUTH_IMPOSSIBLE => Self::PreauthenticationFailed,
            code::SKEW | code::KDC_REPLY_SKEW | code::TICKET_NOT_YET_VALID | code::TICKET_EXPIRED => Self::ClockSkew,
            code::REALM_UNKNOWN | code::WRONG_REALM => Self::RealmWrong,
            code::KDC_UNREACHABLE | code::REALM_CANNOT_BE_RESOLVED | code::SERVICE_UNAVAILABLE => Self::NoKdc,
            code::KEYTAB_LACKS_PRINCIPAL | code::KEYTAB_LACKS_VERSION | code::ETYPE_UNSUPPORTED => {
                Self::KeytabLacksPrincipal
            }
            code::KEYTAB_UNREADABLE
            | code::KEYTAB_MALFORMED
            | code::CCACHE_MISSING
            | code::CCACHE_LACKS_CREDENTIAL
            | code::CCACHE_IO
            | code::CCACHE_PERMISSIONS
            | code::CCACHE_MALFORMED
            | code::CCACHE_VERSION
            | code::CCACHE_OTHER_PRINCIPAL => Self::CredentialUnreadable,
            code::MODIFIED | code::KEY_VERSION | code::NO_SERVICE_KEY | code::WRONG_PRINCIPAL => Self::TkeyRefused,
            0 if error.major.contains("context has expired") => Self::ContextLost,
            _ => Self::KerberosFailed,
        }
    }
}

impl From<&Fault> for Cause {
    fn from(fault: &Fault) -> Self {
        match fault {
            Fault::Resolve(_)
            | Fault::Connect(_)
            | Fault::ConnectTimeout(_)
            | Fault::Tls(_)
            | Fault::Send(_)
            | Fault::Receive(_)
            | Fault::Closed
            | Fault::Silent(_)
            | Fault::WrongAnswer
            | Fault::Malformed(_) => Self::ServerUnreachable,
            Fault::Kerberos(error) => Self::from(error),
            Fault::KdcSilent(_) => Self::NoKdc,
            Fault::Tkey(_) | Fault::Stalled => Self::TkeyRefused,
            Fault::Encode(_) | Fault::NoRoom => Self::TooLarge,
            Fault::Token(_) => Self::Internal,
            Fault::Sign { .. } => Self::ContextLost,
            Fault::Rejected { error: TsigError::BadTime { .. }, .. } => Self::ClockSkew,
            Fault::Rejected { shared: true, .. } => Self::TsigRejected,
            Fault::Rejected { shared: false, .. } => Self::ContextLost,
            Fault::Unverified(_) | Fault::SignatureGap => Self::UnverifiedReply,
            // Servers refuse queries for zones that are not theirs.
            Fault::Reply(ReplyError::Refused) => Self::NotAuthoritative,
            Fault::Reply(error) | Fault::Transfer(TransferError::Reply(error)) => Self::from(error),
            Fault::Transfer(_) => Self::TransferIncomplete,
        }
    }
}

impl From<&LdapFault> for Cause {
    fn from(fault: &LdapFault) -> Self {
        match fault {
            LdapFault::Dial(_)
            | LdapFault::Broken(_)
            | LdapFault::Closed
            | LdapFault::Disconnected(_)
            | LdapFault::Silent(_)
            | LdapFault::Unsealed(_)
            | LdapFault::FrameTooLarge(_)
            | LdapFault::Malformed(_)
            | LdapFault::WrongAnswer => Self::DirectoryUnreachable,
            LdapFault::Initiate(InitiateError::Kerberos(error)) => Self::from(error),
            LdapFault::Initiate(InitiateError::KdcSilent(_)) => Self::NoKdc,
            LdapFault::Initiate(InitiateError::BrokenOff) => Self::KerberosFailed,
            LdapFault::Token(_)
            | LdapFault::Stalled
            | LdapFault::Bind(_)
            | LdapFault::NoSealing(_)
            | LdapFault::Sealing(_)
            | LdapFault::NoDomain(_) => Self::DirectoryRefused,
            fault if fault.is_no_such_object() => Self::NotInDirectory,
            LdapFault::Search { .. } => Self::DirectoryRefused,
            LdapFault::NoZone { .. } => Self::NotInDirectory,
            LdapFault::NoSoa
            | LdapFault::Hidden { .. }
            | LdapFault::Twice(_)
            | LdapFault::TooLong(_)
            | LdapFault::EndlessPages
            | LdapFault::TooMuch(_) => Self::DirectoryIncomplete,
        }
    }
}

/// Where neither way works, the name server has refused a transfer, unless it is a domain controller: then LDAP was to work.
impl From<&SourceError> for Cause {
    fn from(error: &SourceError) -> Self {
        match error {
            SourceError::Transfer(error) => Self::from(&error.fault),
            SourceError::Directory(error) => Self::from(&error.fault),
            SourceError::Neither { transfer, directory } => match &directory.fault {
                // Without a ticket for its directory it most likely has none.
                LdapFault::Initiate(_) | LdapFault::NoDomain(_) => Self::from(&transfer.fault),
                fault => Self::from(fault),
            },
        }
    }
}

/// What a transfer, or the query before it, was answered.
impl From<&ReplyError> for Cause {
    fn from(error: &ReplyError) -> Self {
        match error {
            ReplyError::Refused => Self::TransferRefused,
            ReplyError::NotAuthoritative | ReplyError::NoSoa => Self::NotAuthoritative,
            ReplyError::Failed(_)
            | ReplyError::WrongId { .. }
            | ReplyError::NoReply
            | ReplyError::WrongQuestion
            | ReplyError::Truncated => Self::ServerFailed,
        }
    }
}

impl From<&Reason> for Cause {
    fn from(reason: &Reason) -> Self {
        match reason {
            Reason::OutsideZones | Reason::RegistryOutsideZones(_) => Self::OutsideZones,
            Reason::BadName(_)
            | Reason::BlankInName
            | Reason::BadInternationalName
            | Reason::BadTarget { .. }
            | Reason::OneTarget { .. }
            | Reason::NoTargets => Self::Malformed,
            Reason::UnsupportedType(_) | Reason::NotInProfile(_) => Self::RecordTypeNotSupported,
            Reason::Protected => Self::Protected,
            Reason::Delegated { .. } => Self::Delegated,
            Reason::BelowDname { .. } => Self::HiddenByDname,
            Reason::Hides(_) => Self::Hides,
            Reason::CnameLoop => Self::CnameLoop,
            Reason::Unowned => Self::Unowned,
            Reason::ExistsUnowned(_) => Self::ExistsUnowned,
            Reason::Differs(_) => Self::PrerequisiteFailed,
            Reason::OtherOwner(_) => Self::OtherOwner,
            Reason::BadRegistryName { .. } | Reason::NoRegistryText | Reason::RegistryShared { .. } => {
                Self::NoRegistryText
            }
            Reason::Contradiction | Reason::ApexCname(_) | Reason::CnameNotAlone(_) => Self::Contradiction,
            Reason::TooManyDeletes { .. } => Self::TooManyDeletes,
            Reason::TooLarge { .. } => Self::TooLarge,
            Reason::GoesWith { source, .. } => Self::from(source.as_ref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kerberos_code_has_the_cause_that_names_its_setting() {
        let cases = [
            (-1_765_328_378, "", Cause::PrincipalUnknown),
            (
                -1_765_328_377,
                "Server DNS/nope.example.test@EXAMPLE.TEST not found in Kerberos database",
                Cause::SpnUnknown,
            ),
            (
                -1_765_328_377,
                "Server krbtgt/EXAMPLE.TEST.@EXAMPLE.TEST not found in Kerberos database",
                Cause::RealmWrong,
            ),
            (-1_765_328_366, "", Cause::AccountRevoked),
            (-1_765_328_361, "", Cause::PasswordExpired),
            (-1_765_328_360, "", Cause::PreauthenticationFailed),
            (-1_765_328_353, "", Cause::PreauthenticationFailed),
            (-1_765_328_347, "", Cause::ClockSkew),
            (-1_765_328_230, "", Cause::RealmWrong),
            (-1_765_328_228, "", Cause::NoKdc),
            (-1_765_328_189, "", Cause::CredentialUnreadable),
        ];
        for (minor, text, cause) in cases {
            let error = GssError { minor, minor_text: text.to_owned(), ..GssError::default() };
            assert_eq!(Cause::from(&error), cause, "{minor} {text}");
        }
    }

    #[test]
    fn a_rejected_context_is_not_told_as_a_wrong_shared_key() {
        let fault = |shared, error| Fault::Rejected { key: crate::dns::Name::root(), shared, error, signed: false };
        let skew = TsigError::BadTime { skew: Some(600) };
        assert_eq!(Cause::from(&fault(true, TsigError::BadSig)), Cause::TsigRejected);
        assert_eq!(Cause::from(&fault(false, TsigError::BadKey)), Cause::ContextLost);
        assert_eq!([true, false].map(|shared| Cause::from(&fault(shared, skew))), [Cause::ClockSkew; 2]);
    }
}
