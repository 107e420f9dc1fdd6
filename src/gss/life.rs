//! The life of the credential: acquired once, renewed ahead of time, acquired anew when its secret changes, and never
//! asked for so often that an account is locked.
#![expect(clippy::disallowed_methods, reason = "tickets live by the clock; what is decided from it takes `now`")]

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::{GssBackend, GssError, SealingContext, SecurityContext, code};
use crate::kerberos::{CredentialSource, Principal, TargetName};

/// A ticket is renewed this long before it ends, or at a fifth of its life if that is less.
const RENEW_AHEAD: Duration = Duration::from_secs(600);
/// How often the secret is looked at, and what is due is done.
const POLL: Duration = Duration::from_secs(2);
/// Wait after no KDC answered: one that is back is to be used within half a minute, and a silent one takes most of that.
const UNREACHABLE_WAIT: Duration = Duration::from_secs(2);
/// Wait after a failure that no retry makes worse.
const FAILURE_WAIT: Duration = Duration::from_secs(15);
/// Wait after a rejected secret, doubled each time, unless the secret changes: retries lock accounts.
const REJECTED_WAIT: Duration = Duration::from_secs(300);
/// Upper end of that doubling.
const REJECTED_WAIT_MAX: Duration = Duration::from_secs(3600);
/// A KDC that takes longer than this is reported as silent while it is still waited for.
const SILENT_AFTER: Duration = Duration::from_secs(5);
/// Asking for another credential because a context was refused happens at most this often.
const FORGET_EVERY: Duration = Duration::from_secs(20);

/// The client's credential, kept fresh in the background by [`keep_fresh`](Self::keep_fresh).
///
/// As a [`GssBackend`] it answers from what is held, and asks a KDC only when nothing is and no earlier failure bars it.
/// One call at a time waits for a KDC, however many ask.
pub struct Credential {
    backend: Arc<dyn GssBackend>,
    principal: Option<Principal>,
    secret: Option<PathBuf>,
    state: Mutex<State>,
    /// Held by the one call that may be waiting for a KDC.
    turn: Mutex<()>,
}

/// What is to be told about the credential.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CredentialState {
    /// Time until the ticket ends; none when there is no valid one.
    pub expires_in: Option<Duration>,
    /// Why the last attempt failed, or takes so long; also told while an older ticket is still good.
    pub error: Option<GssError>,
}

#[derive(Default)]
struct State {
    held: Option<Ticket>,
    failed: Option<Failed>,
    /// What the last attempt was made with; none before the first.
    tried: Option<Tried>,
    asking_since: Option<Instant>,
    /// When other tickets were asked for last.
    forgotten: Option<Instant>,
    /// Whether that is still to be done.
    unwanted: bool,
}

struct Ticket {
    ends: Instant,
    renew: Instant,
}

struct Failed {
    error: GssError,
    retry: Instant,
    /// Rejections in a row of the same secret.
    rejections: u32,
}

/// The secret an attempt was made with; none inside when there was no readable file.
#[derive(Clone, PartialEq, Eq)]
struct Tried(Option<Fingerprint>);

/// As much of a file as it takes to notice a change; Kubernetes swaps a symbolic link above it.
#[derive(Clone, PartialEq, Eq)]
struct Fingerprint {
    inode: u64,
    modified: (i64, i64),
    digest: [u8; 32],
}

impl Credential {
    /// The credential of this principal, through this backend. Nothing is read or asked for yet.
    #[must_use]
    pub fn new(backend: Arc<dyn GssBackend>, principal: Option<Principal>, source: &CredentialSource) -> Self {
        let secret = match source {
            CredentialSource::Keytab(path) | CredentialSource::PasswordFile(path) | CredentialSource::Ccache(path) => {
                Some(path.clone())
            }
            CredentialSource::Password(_) => None,
        };
        Self { backend, principal, secret, state: Mutex::default(), turn: Mutex::default() }
    }

    /// The client principal; none where it is whoever the credential cache belongs to.
    #[must_use]
    pub const fn principal(&self) -> Option<&Principal> {
        self.principal.as_ref()
    }

    /// What is known now; never waits.
    #[must_use]
    pub fn state(&self) -> CredentialState {
        let now = Instant::now();
        let state = self.lock();
        let silent =
            state.asking_since.map(|since| now.saturating_duration_since(since)).filter(|&wait| wait > SILENT_AFTER);
        let error = match (silent, &state.failed) {
            (Some(wait), _) => Some(self.silent(wait)),
            (None, Some(failed)) => Some(failed.error.clone()),
            (None, None) => None,
        };
        CredentialState { expires_in: state.left(now), error }
    }

    /// Renews the credential and follows its secret, until dropped. To be spawned once.
    pub async fn keep_fresh(self: Arc<Self>) {
        loop {
            let credential = Arc::clone(&self);
            // A thread that waits for a silent KDC is waited for: there is never a second one.
            let attempt = tokio::task::spawn_blocking(move || credential.attempt()).await;
            if let Ok(Err(error)) = attempt {
                tracing::debug!(principal = self.shown(), %error, "no new credential");
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Does what is due, and tells what is left of the ticket, or why there is none.
    fn attempt(&self) -> Result<Duration, GssError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = Tried(self.secret.as_deref().and_then(Fingerprint::of));
        let now = Instant::now();
        if !self.lock().is_due(now, &seen) {
            return self.lock().outcome(now);
        }
        self.lock().asking_since = Some(now);
        self.backend.forget();
        let result = self.backend.acquire();
        let now = Instant::now();
        let mut state = self.lock();
        self.log(&state, &result);
        state.record(now, seen, result);
        state.outcome(now)
    }

    /// Logs what differs from the last attempt.
    fn log(&self, state: &State, result: &Result<Duration, GssError>) {
        let principal = self.shown();
        match result {
            Ok(life) => tracing::info!(principal, life = life.as_secs(), "credential acquired"),
            Err(error) if state.failed.as_ref().is_some_and(|failed| failed.error == *error) => {}
            Err(error) => tracing::warn!(principal, %error, still_valid = state.held.is_some(), "no credential"),
        }
    }

    fn silent(&self, wait: Duration) -> GssError {
        let of_realm =
            self.principal.as_ref().map(|principal| format!(" for realm {}", principal.realm())).unwrap_or_default();
        let minor_text = format!("no KDC{of_realm} has answered for {} seconds", wait.as_secs());
        GssError { minor: code::KDC_UNREACHABLE, minor_text, ..GssError::default() }
    }

    fn shown(&self) -> String {
        self.principal.as_ref().map_or_else(|| "the cache's own".to_owned(), ToString::to_string)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GssBackend for Credential {
    fn acquire(&self) -> Result<Duration, GssError> {
        let left = {
            let state = self.lock();
            state.left(Instant::now()).filter(|_| !state.unwanted)
        };
        left.map_or_else(|| self.attempt(), Ok)
    }

    /// Lets the next call ask for another credential, with new service tickets; the present one stays if that fails.
    fn forget(&self) {
        let now = Instant::now();
        let mut state = self.lock();
        if state.forgotten.is_none_or(|last| now.saturating_duration_since(last) >= FORGET_EVERY) {
            state.forgotten = Some(now);
            state.unwanted = state.held.is_some();
        }
    }

    fn initiate(&self, target: &TargetName) -> Result<Box<dyn SecurityContext>, GssError> {
        self.acquire()?;
        self.backend.initiate(target)
    }

    fn initiate_sealing(&self, target: &TargetName) -> Result<Box<dyn SealingContext>, GssError> {
        self.acquire()?;
        self.backend.initiate_sealing(target)
    }
}

impl State {
    fn left(&self, now: Instant) -> Option<Duration> {
        let left = self.held.as_ref()?.ends.checked_duration_since(now)?;
        (!left.is_zero()).then_some(left)
    }

    fn is_due(&self, now: Instant, seen: &Tried) -> bool {
        if self.tried.as_ref() != Some(seen) {
            return true;
        }
        match (&self.failed, &self.held) {
            // Refused tickets are no reason to try a rejected secret again.
            (Some(failed), _) => now >= failed.retry,
            (None, Some(held)) => self.unwanted || now >= held.renew,
            (None, None) => true,
        }
    }

    fn record(&mut self, now: Instant, seen: Tried, result: Result<Duration, GssError>) {
        self.asking_since = None;
        self.unwanted = false;
        let same_secret = self.tried.as_ref() == Some(&seen);
        let rejections = self.failed.as_ref().filter(|_| same_secret).map_or(0, |failed| failed.rejections);
        self.tried = Some(seen);
        match result {
            Ok(life) => {
                let ends = now + life;
                self.held = Some(Ticket { ends, renew: ends - RENEW_AHEAD.min(life / 5) });
                self.failed = None;
            }
            Err(error) => {
                let rejections = if is_rejection(&error) { rejections.saturating_add(1) } else { rejections };
                let retry = now + wait_after(&error, rejections);
                self.failed = Some(Failed { error, retry, rejections });
            }
        }
    }

    /// The older ticket counts while it is good, whatever came of the last attempt.
    fn outcome(&self, now: Instant) -> Result<Duration, GssError> {
        match (self.left(now), &self.failed) {
            (Some(left), _) => Ok(left),
            (None, Some(failed)) => Err(failed.error.clone()),
            (None, None) => Err(GssError {
                minor: code::TICKET_EXPIRED,
                minor_text: "the ticket has expired".to_owned(),
                ..GssError::default()
            }),
        }
    }
}

impl Fingerprint {
    fn of(path: &Path) -> Option<Self> {
        let content = std::fs::read(path).ok()?;
        let metadata = std::fs::metadata(path).ok()?;
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        Some(Self { inode: metadata.ino(), modified, digest: Sha256::digest(content).into() })
    }
}

/// Whether trying again with the same secret could lock the account, or keep it locked.
fn is_rejection(error: &GssError) -> bool {
    matches!(error.minor, code::PREAUTH_FAILED | code::BAD_INTEGRITY | code::CLIENT_REVOKED)
}

fn wait_after(error: &GssError, rejections: u32) -> Duration {
    match error.minor {
        _ if is_rejection(error) => {
            REJECTED_WAIT.saturating_mul(1 << rejections.saturating_sub(1).min(8)).min(REJECTED_WAIT_MAX)
        }
        code::KDC_UNREACHABLE | code::REALM_CANNOT_BE_RESOLVED => UNREACHABLE_WAIT,
        _ => FAILURE_WAIT,
    }
}

#[cfg(test)]
mod tests;
