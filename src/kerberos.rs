//! Kerberos identities: realm, principal, target name and where the credential comes from. Pure, and frozen at start-up.

use std::fmt;
use std::path::PathBuf;

use secrecy::SecretString;
use thiserror::Error;

/// The Kerberos realm, parsed once from the configuration.
///
/// There is no setter and no conversion from a zone: nothing after start-up can change the realm.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Realm(String);

/// Why a text is not a realm.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RealmError {
    /// Nothing but white space.
    #[error("the realm is empty")]
    Empty,
    /// Neither a letter, a digit, `-`, `_` nor a single dot between labels.
    #[error("{0:?} is not a realm: labels of letters, digits, '-' and '_', joined by single dots")]
    Malformed(String),
}

/// What parsing did to the realm as given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedRealm {
    /// The realm.
    pub realm: Realm,
    /// Whether it was upper-cased or lost its trailing dot, which deserves one warning.
    pub rewritten: bool,
}

impl Realm {
    /// Reads a realm: upper-cases it and removes one trailing dot.
    ///
    /// # Errors
    /// When it is empty or holds anything but labels of letters, digits, `-` and `_`.
    pub fn parse(text: &str) -> Result<ParsedRealm, RealmError> {
        if text.trim().is_empty() {
            return Err(RealmError::Empty);
        }
        let bare = text.strip_suffix('.').unwrap_or(text);
        let label_is_well_formed = |label: &str| {
            !label.is_empty()
                && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
        };
        if !bare.split('.').all(label_is_well_formed) {
            return Err(RealmError::Malformed(text.to_owned()));
        }
        let realm = Self(bare.to_ascii_uppercase());
        Ok(ParsedRealm { rewritten: realm.0 != text, realm })
    }

    /// The realm's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Realm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The client principal, `user@REALM`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Principal {
    user: String,
    realm: Realm,
}

/// Why a text is not a principal of the configured realm.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PrincipalError {
    /// Nothing before the realm.
    #[error("the user name is empty")]
    Empty,
    /// `user@OTHER`.
    #[error("{given:?} names the realm {found}, but the realm is {realm}")]
    OtherRealm {
        /// The text as given.
        given: String,
        /// The realm in it.
        found: String,
        /// The configured realm.
        realm: Realm,
    },
    /// White space, a control character or a second `@`.
    #[error("{0:?} is not a principal")]
    Malformed(String),
}

impl Principal {
    /// Reads `user` or `user@REALM` of the same realm.
    ///
    /// # Errors
    /// When the user is empty, malformed, or of another realm.
    pub fn parse(text: &str, realm: &Realm) -> Result<Self, PrincipalError> {
        let (user, found) = match text.split_once('@') {
            Some((user, found)) => (user, Some(found)),
            None => (text, None),
        };
        if user.is_empty() {
            return Err(PrincipalError::Empty);
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) || found.is_some_and(|found| found.contains('@')) {
            return Err(PrincipalError::Malformed(text.to_owned()));
        }
        if let Some(found) = found.filter(|found| !Realm::parse(found).is_ok_and(|parsed| parsed.realm == *realm)) {
            return Err(PrincipalError::OtherRealm {
                given: text.to_owned(),
                found: found.to_owned(),
                realm: realm.clone(),
            });
        }
        Ok(Self { user: user.to_owned(), realm: realm.clone() })
    }

    /// The part before the `@`.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The configured realm.
    #[must_use]
    pub fn realm(&self) -> &Realm {
        &self.realm
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.user, self.realm)
    }
}

/// The name of a service as Kerberos asks for it: `DNS/fqdn@REALM`, `ldap/fqdn@REALM`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TargetName {
    service: &'static str,
    host: String,
    realm: Realm,
}

impl TargetName {
    /// The DNS service of a host; the host's name is lower-cased, one trailing dot removed.
    #[must_use]
    pub fn dns(host: &str, realm: &Realm) -> Self {
        Self::new("DNS", host, realm)
    }

    /// The LDAP service of a host; the name is treated alike.
    #[must_use]
    pub fn ldap(host: &str, realm: &Realm) -> Self {
        Self::new("ldap", host, realm)
    }

    fn new(service: &'static str, host: &str, realm: &Realm) -> Self {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        Self { service, host, realm: realm.clone() }
    }

    /// The realm, always the configured one.
    #[must_use]
    pub fn realm(&self) -> &Realm {
        &self.realm
    }
}

impl fmt::Display for TargetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}", self.service, self.host, self.realm)
    }
}

/// Where the client's credential comes from.
#[derive(Debug, Clone)]
pub enum CredentialSource {
    /// A keytab file, re-read when it changes.
    Keytab(PathBuf),
    /// A file whose first line is the password, re-read when it changes.
    PasswordFile(PathBuf),
    /// A password from the environment.
    Password(SecretString),
    /// A credential cache that something else keeps fresh.
    Ccache(PathBuf),
}
