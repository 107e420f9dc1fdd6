//! From causes to the codes of both front ends, in one place.

use axum::http::StatusCode;
use tonic::Code;

use crate::provider::Cause;

/// What stops a whole call is answered with these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Codes {
    /// Always within 500 to 510: ExternalDNS exits on anything else.
    pub http: StatusCode,
    /// The same for gRPC.
    pub grpc: Code,
}

/// May go away by itself, or by what somebody does elsewhere.
const UNAVAILABLE: Codes = Codes { http: StatusCode::SERVICE_UNAVAILABLE, grpc: Code::Unavailable };
/// Stays until a setting, a policy or the request changes.
const FAILED: Codes = Codes { http: StatusCode::INTERNAL_SERVER_ERROR, grpc: Code::FailedPrecondition };
/// Our fault.
const INTERNAL: Codes = Codes { http: StatusCode::INTERNAL_SERVER_ERROR, grpc: Code::Internal };

/// The codes of a cause.
#[must_use]
pub const fn codes(cause: Cause) -> Codes {
    match cause {
        Cause::RealmWrong
        | Cause::PrincipalUnknown
        | Cause::SpnUnknown
        | Cause::PreauthenticationFailed
        | Cause::AccountRevoked
        | Cause::PasswordExpired
        | Cause::NoKdc
        | Cause::ClockSkew
        | Cause::CredentialUnreadable
        | Cause::KeytabLacksPrincipal
        | Cause::KerberosFailed
        | Cause::ServerUnreachable
        | Cause::TkeyRefused
        | Cause::ContextLost
        | Cause::TsigRejected
        | Cause::ServerFailed
        | Cause::TransferIncomplete
        | Cause::DirectoryUnreachable
        | Cause::DirectoryIncomplete
        | Cause::UnverifiedReply
        | Cause::Deadline => UNAVAILABLE,
        Cause::NotAuthoritative
        | Cause::RefusedByPolicy
        | Cause::PrerequisiteFailed
        | Cause::RecordTypeNotSupported
        | Cause::NotStored
        | Cause::TransferRefused
        | Cause::DirectoryRefused
        | Cause::NotInDirectory
        | Cause::OutsideZones
        | Cause::Delegated
        | Cause::HiddenByDname
        | Cause::Hides
        | Cause::CnameLoop
        | Cause::Protected
        | Cause::Unowned
        | Cause::ExistsUnowned
        | Cause::OtherOwner
        | Cause::NoRegistryText
        | Cause::Contradiction
        | Cause::TooManyDeletes
        | Cause::TooLarge
        | Cause::Malformed
        | Cause::RequestUnreadable => FAILED,
        Cause::Internal => INTERNAL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cause_makes_external_dns_exit() {
        for cause in Cause::ALL {
            assert!((500..=510).contains(&codes(cause).http.as_u16()), "{}", cause.label());
            assert_ne!(codes(cause).grpc, Code::Ok, "{}", cause.label());
        }
    }

    #[test]
    fn the_troubleshooting_page_tells_the_codes_of_every_cause() {
        let page = include_str!("../../deploy/troubleshooting.md");
        for cause in Cause::ALL {
            let entry = page.split_once(&format!("\n### `{}`\n", cause.label())).map(|(_, rest)| rest).unwrap();
            let entry = entry.split("\n#").next().unwrap();
            let Codes { http, grpc } = codes(cause);
            let grpc = match grpc {
                Code::Unavailable => "UNAVAILABLE",
                Code::FailedPrecondition => "FAILED_PRECONDITION",
                Code::Internal => "INTERNAL",
                other => panic!("{other:?} is not on the page"),
            };
            let line = format!("HTTP and gRPC: {}, `{grpc}`", http.as_u16());
            assert!(entry.contains(&line), "{}: {line}", cause.label());
        }
    }
}
