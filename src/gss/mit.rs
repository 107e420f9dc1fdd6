//! The backend on MIT Kerberos: keeps one credential, notices a changed secret, and does not hammer on a rejected one.
#![expect(clippy::disallowed_types, reason = "libgssapi's types stay inside gss/")]
#![expect(clippy::disallowed_methods, reason = "the clock decides when a rejected secret is tried again")]

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use libgssapi::credential::Cred;
use secrecy::{ExposeSecret, SecretString};

use super::context::MitContext;
use super::error::code;
use super::keytab::{self, KeytabError};
use super::{GssBackend, GssError, SecurityContext, credential};
use crate::kerberos::{CredentialSource, Principal, TargetName};

/// A ticket is renewed this long before it ends, or at a fifth of its life if that is less.
const RENEW_AHEAD: Duration = Duration::from_secs(600);
/// A rejected secret is not tried again before this, doubled each time, unless it changes: retries lock accounts.
const REJECTED_WAIT: Duration = Duration::from_secs(300);
/// Upper end of that doubling.
const REJECTED_WAIT_MAX: Duration = Duration::from_secs(3600);

/// Credentials and contexts through the system's MIT Kerberos library.
pub struct MitBackend {
    principal: Principal,
    source: CredentialSource,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    credential: Option<Acquired>,
    rejected: Option<Rejected>,
    /// Part of the MEMORY cache's name: a changed secret must not find the former one's tickets.
    generation: u32,
    secret: Option<Secret>,
}

struct Acquired {
    credential: Cred,
    life: Duration,
    since: Instant,
}

/// A secret that the KDC does not take.
struct Rejected {
    error: GssError,
    until: Instant,
    wait: Duration,
}

/// What a secret file held, as far as it takes to notice a change. Kubernetes swaps a symbolic link above it.
#[derive(PartialEq, Eq)]
struct Secret(Vec<u8>);

impl MitBackend {
    /// A backend for this principal. Reads nothing yet.
    #[must_use]
    pub fn new(principal: Principal, source: CredentialSource) -> Self {
        Self { principal, source, held: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self) -> Option<&Path> {
        match &self.source {
            CredentialSource::Keytab(path) | CredentialSource::PasswordFile(path) | CredentialSource::Ccache(path) => {
                Some(path)
            }
            CredentialSource::Password(_) => None,
        }
    }

    fn load(&self, generation: u32) -> Result<Cred, GssError> {
        let principal = self.principal.to_string();
        Ok(match &self.source {
            CredentialSource::Keytab(path) => {
                keytab::check(path, &self.principal)?;
                credential::from_keytab(&principal, path, &format!("MEMORY:external-dns-{generation}"))?
            }
            CredentialSource::PasswordFile(path) => {
                let password = read_password(path)?;
                credential::from_password(&principal, password.expose_secret())?
            }
            CredentialSource::Password(password) => credential::from_password(&principal, password.expose_secret())?,
            CredentialSource::Ccache(path) => credential::from_ccache(&principal, path)?,
        })
    }

    /// The credential that is held if it is good enough, else a new one.
    fn fresh(&self, held: &mut Held) -> Result<(Cred, Duration), GssError> {
        let secret = self.file().and_then(|path| std::fs::read(path).ok()).map(Secret);
        if held.secret != secret {
            *held = Held {
                generation: held.generation.wrapping_add(1),
                secret,
                credential: held.credential.take(),
                rejected: None,
            };
        } else if let Some(acquired) = &held.credential
            && let Some(left) = acquired.left()
        {
            return Ok((acquired.credential.clone(), left));
        }
        let wait = match &held.rejected {
            Some(rejected) if Instant::now() < rejected.until => return Err(rejected.error.clone()),
            Some(rejected) => (rejected.wait * 2).min(REJECTED_WAIT_MAX),
            None => REJECTED_WAIT,
        };
        match self.load(held.generation).and_then(|credential| Ok((life(&credential)?, credential))) {
            Ok((life, credential)) => {
                held.rejected = None;
                held.credential = Some(Acquired { credential: credential.clone(), life, since: Instant::now() });
                Ok((credential, life))
            }
            Err(error) => {
                if is_rejection(&error) {
                    held.rejected = Some(Rejected { error: error.clone(), until: Instant::now() + wait, wait });
                }
                Err(error)
            }
        }
    }
}

impl Acquired {
    /// What is left of its life; none when it is time to renew.
    fn left(&self) -> Option<Duration> {
        let left = self.life.checked_sub(self.since.elapsed())?;
        (left > RENEW_AHEAD.min(self.life / 5)).then_some(left)
    }
}

fn life(credential: &Cred) -> Result<Duration, GssError> {
    Ok(credential.lifetime()?)
}

/// Whether trying again with the same secret could lock the account.
fn is_rejection(error: &GssError) -> bool {
    matches!(
        error.minor,
        code::PREAUTH_FAILED | code::BAD_INTEGRITY | code::CLIENT_REVOKED | code::CLIENT_EXPIRED | code::KEY_EXPIRED
    )
}

/// The first line of a file, as it is.
fn read_password(path: &PathBuf) -> Result<SecretString, GssError> {
    let text = std::fs::read_to_string(path).map_err(|source| GssError {
        minor: code::KEYTAB_UNREADABLE,
        minor_text: format!("password file {} cannot be read: {source}", path.display()),
        ..GssError::default()
    })?;
    let line = text.split(['\n', '\r']).next().unwrap_or_default();
    Ok(SecretString::from(line))
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
        self.fresh(&mut self.lock()).map(|(_, left)| left)
    }

    fn forget(&self) {
        let mut held = self.lock();
        held.credential = None;
        held.generation = held.generation.wrapping_add(1);
    }

    fn initiate(&self, target: &TargetName) -> Result<Box<dyn SecurityContext>, GssError> {
        let (credential, _) = self.fresh(&mut self.lock())?;
        Ok(Box::new(MitContext::new(credential, target)?))
    }
}
