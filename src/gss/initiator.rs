//! Where security contexts begin: off the runtime's threads, and one call at a time.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};
use tracing::Span;

use super::{GssBackend, GssError, SealingContext, SecurityContext};
use crate::kerberos::TargetName;

/// Makes the first steps of security contexts, which may wait for a KDC. Clones share the turn.
///
/// A call that is given up goes on in its thread; until it ends no other is started, so that a silent KDC holds one
/// thread and not one per request.
#[derive(Clone)]
pub struct Initiator {
    backend: Arc<dyn GssBackend>,
    turn: Arc<Semaphore>,
}

/// A context with its first token.
pub struct Initiated<C: ?Sized> {
    /// The context, which waits for the acceptor's token.
    pub context: Box<C>,
    /// What to send.
    pub token: Option<Vec<u8>>,
    /// How long the credential lives, which ends the context too.
    pub credential: Duration,
}

/// Why there is no context.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InitiateError {
    /// Kerberos gives no credential or no service ticket.
    #[error("Kerberos gives no security context")]
    Kerberos(#[from] GssError),
    /// Kerberos is still waiting for a KDC.
    #[error("no KDC answered within {0:?}")]
    KdcSilent(Duration),
    /// The Kerberos library broke off.
    #[error("the Kerberos library broke off")]
    BrokenOff,
}

impl Initiator {
    /// Contexts from this source of them.
    #[must_use]
    pub fn new(backend: Arc<dyn GssBackend>) -> Self {
        Self { backend, turn: Arc::new(Semaphore::new(1)) }
    }

    /// Begins a context for messages that are signed, within `limit`.
    ///
    /// # Errors
    /// When Kerberos refuses, or takes longer.
    pub async fn initiate(
        &self,
        target: TargetName,
        limit: Duration,
    ) -> Result<Initiated<dyn SecurityContext>, InitiateError> {
        self.in_turn(limit, move |backend| {
            let credential = backend.acquire()?;
            let mut context = backend.initiate(&target)?;
            let token = context.step(None)?;
            Ok(Initiated { context, token, credential })
        })
        .await
    }

    /// Begins a context for a stream that is sealed, within `limit`.
    ///
    /// # Errors
    /// When Kerberos refuses, or takes longer.
    pub async fn initiate_sealing(
        &self,
        target: TargetName,
        limit: Duration,
    ) -> Result<Initiated<dyn SealingContext>, InitiateError> {
        self.in_turn(limit, move |backend| {
            let credential = backend.acquire()?;
            let mut context = backend.initiate_sealing(&target)?;
            let token = context.step(None)?;
            Ok(Initiated { context, token, credential })
        })
        .await
    }

    /// Has the next call use new tickets: see [`GssBackend::forget`].
    pub fn forget_tickets(&self) {
        self.backend.forget();
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        limit: Duration,
        call: impl FnOnce(&dyn GssBackend) -> Result<T, GssError> + Send + 'static,
    ) -> Result<T, InitiateError> {
        let deadline = Instant::now() + limit;
        let silent = || InitiateError::KdcSilent(limit);
        let turn = timeout_at(deadline, self.turn.clone().acquire_owned()).await.map_err(|_| silent())?;
        let backend = self.backend.clone();
        let span = Span::current();
        let called = spawn_blocking(move || {
            let _turn = turn;
            span.in_scope(|| call(backend.as_ref()))
        });
        let outcome = timeout_at(deadline, called).await.map_err(|_| silent())?;
        Ok(outcome.map_err(|_| InitiateError::BrokenOff)??)
    }
}

impl fmt::Debug for Initiator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Initiator")
    }
}
