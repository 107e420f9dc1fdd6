//! Kerberos through GSS-API, behind two traits so that tests can stand in for it. Calls block; the caller keeps them off the runtime.

use std::time::Duration;

use crate::kerberos::TargetName;

mod context;
mod credential;
mod error;
#[cfg(test)]
pub(crate) mod fake;
mod initiator;
pub mod keytab;
pub mod krb5_conf;
mod life;
mod mit;

pub use error::{GssError, code};
pub use initiator::{InitiateError, Initiated, Initiator};
pub use life::{Credential, CredentialState};
pub use mit::MitBackend;

/// A source of security contexts for one client principal.
///
/// [`acquire`](Self::acquire) and the first [`step`](SecurityContext::step) of a context may wait for a KDC, up to half a minute.
pub trait GssBackend: Send + Sync + 'static {
    /// Makes sure that a credential is held, asking the KDC unless a fresh one is there, and tells how long it lives.
    ///
    /// # Errors
    /// When no credential can be had.
    fn acquire(&self) -> Result<Duration, GssError>;

    /// Lets the next [`acquire`](Self::acquire) read keytab, password or cache again; until that succeeds, the held
    /// credential stays in use.
    fn forget(&self);

    /// Starts a context with the held credential: MUTUAL, INTEG and REPLAY, never SEQUENCE.
    ///
    /// # Errors
    /// When no credential is held and none can be had.
    fn initiate(&self, target: &TargetName) -> Result<Box<dyn SecurityContext>, GssError>;

    /// As [`initiate`](Self::initiate), for a stream that is sealed: CONF and SEQUENCE too, so that nothing in it can be
    /// read, left out or put elsewhere.
    ///
    /// # Errors
    /// As [`initiate`](Self::initiate).
    fn initiate_sealing(&self, target: &TargetName) -> Result<Box<dyn SealingContext>, GssError>;
}

/// One side of a security context; the initiator's, but in tests.
pub trait SecurityContext: Send + 'static {
    /// Takes the acceptor's token (none at first) and gives the next one to send, if any.
    ///
    /// # Errors
    /// When the token is refused or no service ticket can be had.
    fn step(&mut self, token: Option<&[u8]>) -> Result<Option<Vec<u8>>, GssError>;

    /// Whether both sides have authenticated each other.
    fn is_complete(&self) -> bool;

    /// Signs a message (RFC 2743 §2.3.1).
    ///
    /// # Errors
    /// When the context is not complete or has expired.
    fn mic(&mut self, message: &[u8]) -> Result<Vec<u8>, GssError>;

    /// Verifies a message (RFC 2743 §2.3.2); duplicate and old tokens are errors.
    ///
    /// # Errors
    /// When the signature is not the acceptor's for this message.
    fn verify_mic(&mut self, message: &[u8], mic: &[u8]) -> Result<(), GssError>;

    /// How long the context still lives.
    ///
    /// # Errors
    /// When it has expired.
    fn lifetime(&self) -> Result<Duration, GssError>;
}

/// A security context whose messages come one after another, sealed.
pub trait SealingContext: SecurityContext {
    /// Signs a message, and seals it where that is asked for (RFC 2743 §2.3.3).
    ///
    /// # Errors
    /// When the context is not complete or has expired.
    fn wrap(&mut self, sealed: bool, message: &[u8]) -> Result<Vec<u8>, GssError>;

    /// Opens a message, sealed or only signed (RFC 2743 §2.3.4).
    ///
    /// # Errors
    /// When it is not the acceptor's next one.
    fn unwrap(&mut self, message: &[u8]) -> Result<Vec<u8>, GssError>;
}
