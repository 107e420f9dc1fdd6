//! The failure table: every cause with its label, sentence and remedy. One type for log, metrics, `/readyz`, `/status` and `check`.

use std::fmt;

mod origin;

/// Why something failed. The label is stable: metrics and dashboards rely on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// The KDC or library does not know the realm.
    RealmWrong,
    /// The KDC does not know the client principal.
    PrincipalUnknown,
    /// The KDC does not know the server's `DNS/host` principal.
    SpnUnknown,
    /// Wrong password, or a keytab older than the last password change.
    PreauthenticationFailed,
    /// Account locked, disabled or expired.
    AccountRevoked,
    /// The password has expired.
    PasswordExpired,
    /// No KDC answers.
    NoKdc,
    /// Clocks differ by more than Kerberos or TSIG allows.
    ClockSkew,
    /// The keytab, password file or cache cannot be read.
    CredentialUnreadable,
    /// The keytab has no key for the principal.
    KeytabLacksPrincipal,
    /// Kerberos failed in a way that has no cause of its own here.
    KerberosFailed,
    /// No name server answers.
    ServerUnreachable,
    /// The server refuses to negotiate a security context.
    TkeyRefused,
    /// The server no longer knows the security context.
    ContextLost,
    /// The TSIG key or its secret is not the server's.
    TsigRejected,
    /// The server is not authoritative for the zone.
    NotAuthoritative,
    /// The server's policy does not allow the change.
    RefusedByPolicy,
    /// DNS holds something else than what the change starts from.
    PrerequisiteFailed,
    /// The server cannot hold this record type.
    RecordTypeNotSupported,
    /// The server failed without saying why.
    ServerFailed,
    /// The server does not allow the zone transfer.
    TransferRefused,
    /// A zone transfer that ended early, or was empty.
    TransferIncomplete,
    /// The directory server does not answer.
    DirectoryUnreachable,
    /// The directory server refuses the bind or the search.
    DirectoryRefused,
    /// The directory has no such zone, or does not show it.
    NotInDirectory,
    /// What the directory shows is not all of the zone.
    DirectoryIncomplete,
    /// A reply whose signature does not verify.
    UnverifiedReply,
    /// The server says that it did it, and has not.
    NotStored,
    /// The request's deadline passed.
    Deadline,
    /// The name lies outside every configured zone.
    OutsideZones,
    /// The name lies below a delegation to elsewhere.
    Delegated,
    /// The name lies below a DNAME.
    HiddenByDname,
    /// A new delegation or DNAME above names that are there.
    Hides,
    /// An alias that leads back to itself.
    CnameLoop,
    /// The name belongs to the zone's own infrastructure.
    Protected,
    /// The change carries no ownership label.
    Unowned,
    /// The record exists and nothing says that this owner owns it.
    ExistsUnowned,
    /// The registry TXT names another owner.
    OtherOwner,
    /// The record would be without a registry TXT of its own.
    NoRegistryText,
    /// Two changes of one record contradict each other.
    Contradiction,
    /// More deletions in one apply than allowed.
    TooManyDeletes,
    /// Too large for one message.
    TooLarge,
    /// The value cannot be written as this type.
    Malformed,
    /// A request body that is too large, or broke off.
    RequestUnreadable,
    /// A bug on our side.
    Internal,
}

/// A cause with what is known about this instance of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub cause: Cause,
    /// What exactly: names the zone, server, file or record, and the peer's own words.
    pub detail: String,
}

impl Failure {
    /// A failure of this cause.
    pub fn new(cause: Cause, detail: impl Into<String>) -> Self {
        Self { cause, detail: detail.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.cause.sentence(), self.detail, self.cause.remedy())
    }
}

impl std::error::Error for Failure {}

impl Cause {
    /// Every cause, for tables and the tests that enumerate them.
    pub const ALL: [Self; 45] = [
        Self::RealmWrong,
        Self::PrincipalUnknown,
        Self::SpnUnknown,
        Self::PreauthenticationFailed,
        Self::AccountRevoked,
        Self::PasswordExpired,
        Self::NoKdc,
        Self::ClockSkew,
        Self::CredentialUnreadable,
        Self::KeytabLacksPrincipal,
        Self::KerberosFailed,
        Self::ServerUnreachable,
        Self::TkeyRefused,
        Self::ContextLost,
        Self::TsigRejected,
        Self::NotAuthoritative,
        Self::RefusedByPolicy,
        Self::PrerequisiteFailed,
        Self::RecordTypeNotSupported,
        Self::ServerFailed,
        Self::TransferRefused,
        Self::TransferIncomplete,
        Self::DirectoryUnreachable,
        Self::DirectoryRefused,
        Self::NotInDirectory,
        Self::DirectoryIncomplete,
        Self::UnverifiedReply,
        Self::NotStored,
        Self::Deadline,
        Self::OutsideZones,
        Self::Delegated,
        Self::HiddenByDname,
        Self::Hides,
        Self::CnameLoop,
        Self::Protected,
        Self::Unowned,
        Self::ExistsUnowned,
        Self::OtherOwner,
        Self::NoRegistryText,
        Self::Contradiction,
        Self::TooManyDeletes,
        Self::TooLarge,
        Self::Malformed,
        Self::RequestUnreadable,
        Self::Internal,
    ];

    /// Stable label, for metrics and JSON.
    #[must_use]
    pub const fn label(self) -> &'static str {
        self.row().0
    }

    /// What happened, in plain words.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        self.row().1
    }

    /// What to do about it, naming the setting.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        self.row().2
    }

    #[expect(clippy::too_many_lines, reason = "one table, read as one page")]
    const fn row(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::RealmWrong => (
                "realm_wrong",
                "the Kerberos realm is not known",
                "check RFC2136_KERBEROS_REALM (upper case, no trailing dot) and RFC2136_KERBEROS_KDC",
            ),
            Self::PrincipalUnknown => (
                "principal_unknown",
                "the KDC does not know the client principal",
                "check RFC2136_KERBEROS_USERNAME and RFC2136_KERBEROS_REALM: the account must exist in that realm",
            ),
            Self::SpnUnknown => (
                "spn_unknown",
                "the KDC does not know the name server's service principal",
                "RFC2136_HOST must be the server's own FQDN (fqdn@address dials another address); the account DNS/fqdn must exist, and for RFC2136_READ=ldap ldap/fqdn",
            ),
            Self::PreauthenticationFailed => (
                "preauthentication_failed",
                "the password is wrong, or the keytab is older than the last password change",
                "correct RFC2136_KERBEROS_PASSWORD or its file, or export the keytab of RFC2136_KERBEROS_KEYTAB anew; files are read again when they change",
            ),
            Self::AccountRevoked => (
                "account_revoked",
                "the account is locked, disabled or expired",
                "unlock or enable the account of RFC2136_KERBEROS_USERNAME",
            ),
            Self::PasswordExpired => (
                "password_expired",
                "the account's password has expired",
                "set a new password, and let the service account's password not expire",
            ),
            Self::NoKdc => {
                ("no_kdc", "no KDC answers", "check RFC2136_KERBEROS_KDC, port 88 (TCP and UDP) and network policies")
            }
            Self::ClockSkew => (
                "clock_skew",
                "the clocks of this node and of the server or KDC differ too much",
                "synchronise the clocks (NTP); Kerberos and TSIG allow five minutes",
            ),
            Self::CredentialUnreadable => (
                "credential_unreadable",
                "the keytab, password file or credential cache cannot be read",
                "check RFC2136_KERBEROS_KEYTAB, _PASSWORD_FILE or _CCACHE, the mount, and permissions for uid 65532",
            ),
            Self::KeytabLacksPrincipal => (
                "keytab_lacks_principal",
                "the keytab holds no key for the client principal",
                "export the keytab for RFC2136_KERBEROS_USERNAME, or set the user name to a principal in it",
            ),
            Self::KerberosFailed => (
                "kerberos_failed",
                "Kerberos failed",
                "read the Kerberos library's words; KRB5_TRACE=/dev/stderr shows every step",
            ),
            Self::ServerUnreachable => (
                "server_unreachable",
                "the name server does not answer",
                "check RFC2136_HOST, RFC2136_PORT, TCP port 53 and network policies",
            ),
            Self::TkeyRefused => (
                "tkey_refused",
                "the name server refused the security context",
                "check the server's own keytab (tkey-gssapi-keytab holds DNS/fqdn, current kvno) and its clock",
            ),
            Self::ContextLost => (
                "context_lost",
                "the name server no longer knows the security context, and negotiating anew did not help",
                "check that RFC2136_HOST is one server and not a balancer over several",
            ),
            Self::TsigRejected => (
                "tsig_rejected",
                "the name server rejects the TSIG key",
                "check RFC2136_TSIG_KEYNAME, RFC2136_TSIG_SECRET and RFC2136_TSIG_SECRET_ALG against the server's",
            ),
            Self::NotAuthoritative => (
                "not_authoritative",
                "the name server is not authoritative for the zone",
                "check RFC2136_ZONE, and that RFC2136_HOST is the zone's primary",
            ),
            Self::RefusedByPolicy => (
                "refused_by_policy",
                "the name server's policy does not allow the change",
                "grant the principal or key the right to change the record (BIND: update-policy; AD: permissions on the zone or node; Samba with BIND9_DLZ: an entry of the zone, see deploy/)",
            ),
            Self::PrerequisiteFailed => (
                "prerequisite_failed",
                "DNS holds something else than what the change starts from",
                "remove or adopt the conflicting record, or rename; where it is not listed, let the account read its entry (LDAP)",
            ),
            Self::RecordTypeNotSupported => (
                "record_type_not_supported",
                "the name server cannot hold this record type",
                "do not manage the type (ExternalDNS --managed-record-types), or set RFC2136_SERVER_PROFILE",
            ),
            Self::ServerFailed => (
                "server_failed",
                "the name server failed without saying why",
                "look into the name server's log; on Samba this is also how a missing permission (internal DNS) or an unsupported record type (BIND9_DLZ) looks, and on BIND more than `max-records-per-type` (100) records of one type at a name",
            ),
            Self::TransferRefused => (
                "transfer_refused",
                "the name server does not allow the zone transfer",
                "allow transfers to the principal or key (BIND: allow-transfer; AD: zone transfer list with RFC2136_TRANSFER_UNSIGNED), on AD and Samba read over LDAP (RFC2136_READ=ldap), or use RFC2136_READ=none with --registry=crd",
            ),
            Self::TransferIncomplete => (
                "transfer_incomplete",
                "the zone transfer ended before its closing SOA, or was empty",
                "try again; Samba's internal DNS cannot transfer zones: use RFC2136_READ=ldap, or none with --registry=crd",
            ),
            Self::DirectoryUnreachable => (
                "directory_unreachable",
                "the directory server does not answer",
                "check TCP port 389 of the domain controller, network policies, and RFC2136_LDAP_HOST and RFC2136_LDAP_PORT where they are set",
            ),
            Self::DirectoryRefused => (
                "directory_refused",
                "the directory server refuses the connection or the search",
                "read the server's words; the account must be allowed to log on, and the server to take Kerberos (SASL GSSAPI) with sealing on port 389",
            ),
            Self::NotInDirectory => (
                "not_in_directory",
                "the directory has no such zone, or does not show it to the account",
                "check RFC2136_ZONE and RFC2136_LDAP_BASE, that the zone is integrated into the directory, and that the account may read it (AD lets every authenticated user)",
            ),
            Self::DirectoryIncomplete => (
                "directory_incomplete",
                "what the directory shows is not all of the zone",
                "give the account the right to read the zone and all below it (List contents, Read all properties), and look for explicit denials; else try again",
            ),
            Self::UnverifiedReply => (
                "unverified_reply",
                "the reply's signature does not verify",
                "on AD set the zone to secure updates only and avoid wildcards; else check for a device that changes DNS messages",
            ),
            Self::NotStored => (
                "not_stored",
                "the name server reports success, but the record is not as it should be",
                "look for a wildcard in the zone (Samba's BIND9_DLZ loses updates beside one) or a CNAME at the name",
            ),
            Self::Deadline => (
                "deadline",
                "the deadline passed",
                "what was done stays done and the rest follows at the next interval; if it recurs raise WEBHOOK_DEADLINE with ExternalDNS's webhook timeouts",
            ),
            Self::OutsideZones => (
                "outside_zones",
                "the name lies outside every configured zone",
                "add the zone to RFC2136_ZONE; for a registry TXT of an apex use a --txt-prefix ending in a dot, such as %{record_type}-ext.",
            ),
            Self::Delegated => (
                "delegated",
                "the name lies below a delegation to other name servers",
                "configure the delegated zone in RFC2136_ZONE, or write it where it is served",
            ),
            Self::HiddenByDname => (
                "hidden_by_dname",
                "the name lies below a DNAME, which answers in its place",
                "remove the DNAME, or write the name below its target",
            ),
            Self::Hides => (
                "hides",
                "the new delegation or DNAME would hide names that are there",
                "remove or move the names below it first, or choose another name",
            ),
            Self::CnameLoop => (
                "cname_loop",
                "the alias leads back to itself",
                "correct the target; look for two sources that point at each other",
            ),
            Self::Protected => (
                "protected",
                "the name belongs to the zone's own infrastructure",
                "use another name; RFC2136_PROTECTED_NAMES=-name lifts a protection",
            ),
            Self::Unowned => (
                "unowned",
                "the change carries no ownership label",
                "use a registry (--registry=txt or crd) instead of noop, or set RFC2136_ALLOW_UNOWNED=true",
            ),
            Self::ExistsUnowned => (
                "exists_unowned",
                "the record exists and no registry TXT says that this owner owns it",
                "delete the record, or add its registry TXT by hand to adopt it",
            ),
            Self::OtherOwner => (
                "other_owner",
                "the registry TXT in DNS names another owner",
                "check --txt-owner-id; two ExternalDNS instances must not manage one name",
            ),
            Self::NoRegistryText => (
                "no_registry_text",
                "the record would be without a registry TXT of its own",
                "shorten the name or --txt-prefix (a label has 63 octets at most), or use a --txt-wildcard-replacement that no other record has as its first label",
            ),
            Self::Contradiction => (
                "contradiction",
                "two changes of one record contradict each other",
                "look for two sources that ask for the same name; a TXT record beside its own registry TXT needs --txt-prefix",
            ),
            Self::TooManyDeletes => (
                "too_many_deletes",
                "more deletions in one apply than RFC2136_MAX_DELETES allows",
                "if they are meant, raise RFC2136_MAX_DELETES",
            ),
            Self::TooLarge => (
                "too_large",
                "the records of one name do not fit one message, or could not be deleted again",
                "use fewer or shorter values at this name; more fit with RFC2136_SERVER_PROFILE=bind, where the server is BIND",
            ),
            Self::Malformed => {
                ("malformed", "the value cannot be written as this record type", "correct the target at its source")
            }
            Self::RequestUnreadable => (
                "request_unreadable",
                "the request body is too large, or broke off",
                "raise WEBHOOK_MAX_BODY, together with the memory limit of the container",
            ),
            Self::Internal => ("internal", "a defect of this program", "report it with the log lines around it"),
        }
    }
}

/// An error and all its sources in one line.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let part = error.to_string();
        // Some variants show their source in their own text already.
        if !text.ends_with(&part) {
            text = format!("{text}: {part}");
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_is_listed_once_with_a_label_of_its_own() {
        let labels: std::collections::BTreeSet<_> = Cause::ALL.into_iter().map(Cause::label).collect();
        assert_eq!(labels.len(), Cause::ALL.len());
        assert_eq!(Cause::ALL.last().map(|cause| *cause as usize + 1), Some(Cause::ALL.len()));
    }

    #[test]
    fn the_troubleshooting_page_has_every_cause_with_its_remedy() {
        let page = include_str!("../../deploy/troubleshooting.md");
        for cause in Cause::ALL {
            let heading = format!("\n### `{}`\n", cause.label());
            let entry = page.split_once(&heading).map(|(_, rest)| rest.split("\n#").next().unwrap_or(rest));
            let entry = entry.unwrap_or_else(|| panic!("{} is not on the page", cause.label()));
            assert!(entry.contains(cause.remedy()), "{}: {entry}", cause.label());
            assert!(entry.to_lowercase().contains(&cause.sentence().to_lowercase()), "{}: {entry}", cause.label());
        }
    }
}
