//! The backend on MIT Kerberos: one credential from keytab, password or cache, and contexts made with it.
#![expect(clippy::disallowed_types, reason = "libgssapi's types stay inside gss/")]
#![expect(clippy::disallowed_methods, reason = "the age of a credential")]

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use libgssapi::credential::Cred;
use libgssapi::error::MajorFlags;
use secrecy::{ExposeSecret, SecretString};

use super::context::MitContext;
use super::error::code;
use super::keytab::{self, KeytabError};
use super::{GssBackend, GssError, SealingContext, SecurityContext, credential};
use crate::given;
use crate::kerberos::{CredentialSource, Principal, TargetName};

/// Credentials and contexts through the system's MIT Kerberos library.
///
/// It asks the KDC whenever it is told to; [`Credential`](super::Credential) decides when.
pub struct MitBackend {
    /// None takes whoever a credential cache belongs to.
    principal: Option<Principal>,
    source: CredentialSource,
    held: Mutex<CredentialSlot>,
}

#[derive(Default)]
struct CredentialSlot {
    credential: Option<Acquired>,
    /// To be replaced; in use until that has succeeded.
    stale: bool,
    /// Part of the MEMORY cache's name: a new credential must not find the former one's tickets.
    generation: u32,
}

struct Acquired {
    credential: Cred,
    life: Duration,
    since: Instant,
}

impl MitBackend {
    /// A backend for this principal, which only a credential cache can do without. Reads nothing yet.
    #[must_use]
    pub fn new(principal: Option<Principal>, source: CredentialSource) -> Self {
        Self { principal, source, held: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, CredentialSlot> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn load(&self, generation: u32) -> Result<Cred, GssError> {
        let text = self.principal.as_ref().map(ToString::to_string);
        let named = || self.principal.as_ref().zip(text.as_deref()).ok_or_else(nameless);
        Ok(match &self.source {
            CredentialSource::Keytab(path) => {
                let (principal, text) = named()?;
                keytab::check(path, principal)?;
                credential::from_keytab(text, path, &cache_name(generation))?
            }
            CredentialSource::PasswordFile(path) => {
                let password = read_password(path)?;
                credential::from_password(named()?.1, password.expose_secret())?
            }
            CredentialSource::Password(password) => credential::from_password(named()?.1, password.expose_secret())?,
            CredentialSource::Ccache(path) => {
                // The library would say "No credentials cache found", and not which.
                File::open(path).map_err(|source| unreadable_ccache(path, &source))?;
                credential::from_ccache(text.as_deref(), path)?
            }
        })
    }

    /// The credential that is held and not stale, else a new one. No lock is held while the KDC is asked.
    fn fresh(&self) -> Result<Duration, GssError> {
        let generation = {
            let held = self.lock();
            if let Some(left) = held.credential.as_ref().filter(|_| !held.stale).and_then(Acquired::left) {
                return Ok(left);
            }
            held.generation.wrapping_add(1)
        };
        let credential = self.load(generation)?;
        let life = match credential.lifetime() {
            Ok(life) if !life.is_zero() => life,
            // Without a word of the Kerberos library's own.
            Err(error) if error.major.bits() != MajorFlags::GSS_S_CREDENTIALS_EXPIRED.bits() => {
                return Err(error.into());
            }
            _ => return Err(expired(&self.source)),
        };
        let mut held = self.lock();
        let credential = Some(Acquired { credential, life, since: Instant::now() });
        *held = CredentialSlot { credential, stale: false, generation };
        drop(held);
        self.discard(generation.wrapping_sub(2));
        Ok(life)
    }

    /// The credential that is held, be it stale; a new one where none is.
    fn credential(&self) -> Result<Cred, GssError> {
        let held = |held: &CredentialSlot| {
            held.credential.as_ref().filter(|held| held.left().is_some()).map(|held| held.credential.clone())
        };
        let credential = held(&self.lock());
        let credential = match credential {
            Some(credential) => Some(credential),
            None => {
                self.fresh()?;
                held(&self.lock())
            }
        };
        credential.ok_or_else(|| expired(&self.source))
    }

    /// Empties the cache of a former generation. The latest but one stays: a context may just be fetching its ticket with it.
    fn discard(&self, generation: u32) {
        if matches!(self.source, CredentialSource::Keytab(_)) {
            credential::destroy(&cache_name(generation));
        }
    }
}

impl Acquired {
    /// What is left of its life, if anything.
    fn left(&self) -> Option<Duration> {
        self.life.checked_sub(self.since.elapsed()).filter(|left| !left.is_zero())
    }
}

fn cache_name(generation: u32) -> String {
    format!("MEMORY:external-dns-{generation}")
}

fn unreadable_ccache(path: &Path, source: &io::Error) -> GssError {
    let minor_text = format!("credential cache {} cannot be read: {source}", path.display());
    GssError { minor: code::CCACHE_MISSING, minor_text, ..GssError::default() }
}

/// The settings ask for a user name wherever the credential does not bring one.
fn nameless() -> GssError {
    GssError { minor_text: "no client principal is configured".to_owned(), ..GssError::default() }
}

fn expired(source: &CredentialSource) -> GssError {
    let (minor, minor_text) = match source {
        CredentialSource::Ccache(path) => (
            code::CCACHE_LACKS_CREDENTIAL,
            format!("the tickets in credential cache {} have expired: what keeps it fresh has stopped", path.display()),
        ),
        _ => (code::TICKET_EXPIRED, "the KDC gave a ticket that has expired".to_owned()),
    };
    GssError { minor, minor_text, ..GssError::default() }
}

/// The first line of a file.
fn read_password(path: &Path) -> Result<SecretString, GssError> {
    let unreadable = |why: String| GssError {
        minor: code::KEYTAB_UNREADABLE,
        minor_text: format!("password file {} {why}", path.display()),
        ..GssError::default()
    };
    let text = std::fs::read_to_string(path).map_err(|source| unreadable(format!("cannot be read: {source}")))?;
    match given::first_line(&text) {
        Ok("") => Err(unreadable("has no password in its first line".to_owned())),
        Ok(line) => Ok(SecretString::from(line)),
        Err(quoted) => Err(unreadable(format!("is of no use: {quoted}"))),
    }
}

impl From<KeytabError> for GssError {
    fn from(error: KeytabError) -> Self {
        let minor = match error {
            KeytabError::LacksPrincipal { .. } => code::KEYTAB_LACKS_PRINCIPAL,
            KeytabError::Unreadable { .. } | KeytabError::Malformed(_) => code::KEYTAB_UNREADABLE,
        };
        Self { minor, minor_text: error.to_string(), ..Self::default() }
    }
}

impl GssBackend for MitBackend {
    fn acquire(&self) -> Result<Duration, GssError> {
        self.fresh()
    }

    fn forget(&self) {
        self.lock().stale = true;
    }

    fn initiate(&self, target: &TargetName) -> Result<Box<dyn SecurityContext>, GssError> {
        Ok(Box::new(MitContext::new(self.credential()?, target)?))
    }

    fn initiate_sealing(&self, target: &TargetName) -> Result<Box<dyn SealingContext>, GssError> {
        Ok(Box::new(MitContext::sealing(self.credential()?, target)?))
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn password_in(text: &str) -> Result<String, GssError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read_password(file.path()).map(|password| password.expose_secret().to_owned())
    }

    #[test]
    fn the_password_is_the_first_line_without_outer_blanks() {
        for (text, password) in
            [("0012\n", "0012"), ("\n a b \r\nnext", "a b"), ("#'\"$x", "#'\"$x"), ("true\n\n", "true")]
        {
            assert_eq!(password_in(text).unwrap(), password);
        }
    }

    #[test]
    fn a_password_in_quotes_is_refused_and_not_shown() {
        let error = password_in("\"secret\"\n").unwrap_err();
        assert_eq!(error.minor, code::KEYTAB_UNREADABLE);
        assert!(error.minor_text.contains("in quotes") && !error.minor_text.contains("secret"), "{error:?}");
    }

    #[test]
    fn an_empty_password_file_is_an_error_and_not_an_empty_password() {
        assert_eq!(password_in("\n").unwrap_err().minor, code::KEYTAB_UNREADABLE);
        assert_eq!(password_in("").unwrap_err().minor, code::KEYTAB_UNREADABLE);
    }
}
