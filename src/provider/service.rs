//! The one service behind both front ends: records, adjust and apply over an authority.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, timeout_at};
use tracing::{error, warn};

use super::apply::Apply;
use super::authority::Authority;
use super::status::{Rejection, Status, StatusEntry};
use super::{Cause, Failure, Provider};
use crate::api::{Changes, DomainFilter, Endpoint};
use crate::config::ReadMode;
use crate::plan::{self, Policy};

/// What a service is made of.
#[derive(Debug, Clone)]
pub struct ServiceSettings {
    /// What the configuration says about planning.
    pub policy: Policy,
    /// What `GET /` announces.
    pub domain_filter: DomainFilter,
    /// How zones are read.
    pub read: ReadMode,
    /// Every request is answered within this time.
    pub deadline: Duration,
}

/// Records, adjust and apply over an authority. Clones share everything.
pub struct Service<A: Authority>(Arc<Inner<A>>);

struct Inner<A> {
    settings: ServiceSettings,
    authority: A,
    /// Applies run one at a time.
    applying: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

struct State {
    rejected: Standing,
    dropped: Standing,
    unready: Vec<Failure>,
    reads_since_apply: u8,
}

/// Entries of `/status` with the time since which they stand.
#[derive(Default)]
struct Standing(Vec<(Rejection, SystemTime)>);

impl Standing {
    /// Takes over these entries; what stood before keeps its time. Gives those that are new or have another cause.
    fn replace(&mut self, entries: Vec<Rejection>, now: SystemTime) -> Vec<Rejection> {
        let key =
            |rejection: &Rejection| (rejection.name.clone(), rejection.record_type.clone(), rejection.failure.cause);
        let before: HashMap<_, _> = self.0.drain(..).map(|(rejection, since)| (key(&rejection), since)).collect();
        let new = entries.iter().filter(|rejection| !before.contains_key(&key(rejection))).cloned().collect();
        self.0 = entries
            .into_iter()
            .map(|rejection| (before.get(&key(&rejection)).copied().unwrap_or(now), rejection))
            .map(|(since, rejection)| (rejection, since))
            .collect();
        new
    }

    fn entries(&self) -> Vec<StatusEntry> {
        self.0.iter().map(|(rejection, since)| StatusEntry::new(rejection, *since)).collect()
    }
}

impl<A: Authority> Clone for Service<A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<A: Authority> Service<A> {
    /// A service over these servers; nothing is asked of them yet.
    #[must_use]
    pub fn new(settings: ServiceSettings, authority: A) -> Self {
        let not_checked = Failure::new(Cause::ServerUnreachable, "the servers have not been asked yet");
        let state = State {
            rejected: Standing::default(),
            dropped: Standing::default(),
            unready: vec![not_checked],
            reads_since_apply: 0,
        };
        let inner = Inner { settings, authority, applying: tokio::sync::Mutex::default(), state: Mutex::new(state) };
        Self(Arc::new(inner))
    }

    /// The servers.
    #[must_use]
    pub fn authority(&self) -> &A {
        &self.0.authority
    }

    /// The configured zones and rules.
    #[must_use]
    pub fn settings(&self) -> &ServiceSettings {
        &self.0.settings
    }

    /// Reads every zone and keeps what stands in the way, for `/readyz`. The copies are warm afterwards.
    pub async fn check_readiness(&self) {
        let unready = match self.0.read_zones(self.0.authority.pin_for_write().await).await {
            Ok(_) => Vec::new(),
            Err(failure) => vec![failure],
        };
        let mut state = self.0.state();
        if state.unready != unready {
            unready.iter().for_each(|failure| warn!(cause = failure.cause.label(), "not ready: {failure}"));
        }
        state.unready = unready;
    }
}

impl<A: Authority> Inner<A> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read_zones(&self, pin: Result<A::Pin, Failure>) -> Result<Vec<Endpoint>, Failure> {
        let mut pin = pin?;
        let mut endpoints = Vec::new();
        if self.settings.read == ReadMode::None {
            return Ok(endpoints);
        }
        let deadline = Instant::now() + self.settings.deadline;
        for zone in &self.settings.policy.zones {
            let contents = self.authority.read(&mut pin, zone, deadline).await?;
            endpoints.extend(plan::list(&contents, &self.settings.policy));
        }
        Ok(endpoints)
    }

    /// One apply, in its turn.
    async fn apply(&self, changes: &Changes) -> Result<Vec<Rejection>, Failure> {
        let deadline = Instant::now() + self.settings.deadline;
        let waited = || Failure::new(Cause::Deadline, "another apply is still under way");
        let _turn = timeout_at(deadline, self.applying.lock()).await.map_err(|_| waited())?;
        let pin = self.authority.pin_for_write().await?;
        let rejections = Apply::new(&self.authority, pin, &self.settings.policy, deadline).run(changes).await?;
        let mut state = self.state();
        state.reads_since_apply = 0;
        for rejection in state.rejected.replace(rejections.clone(), now()) {
            error!(
                name = rejection.name,
                r#type = rejection.record_type,
                cause = rejection.failure.cause.label(),
                "rejected: {}",
                rejection.failure
            );
        }
        Ok(rejections)
    }
}

#[expect(clippy::disallowed_methods, reason = "/status tells since when an entry stands")]
fn now() -> SystemTime {
    SystemTime::now()
}

impl<A: Authority> Provider for Service<A> {
    fn domain_filter(&self) -> DomainFilter {
        self.0.settings.domain_filter.clone()
    }

    async fn records(&self) -> Result<Vec<Endpoint>, Failure> {
        let endpoints = self.0.read_zones(self.0.authority.pin_for_read().await).await?;
        let mut state = self.0.state();
        // ExternalDNS sends no empty plan: two reads without an apply mean that nothing is asked for any more.
        state.reads_since_apply = state.reads_since_apply.saturating_add(1);
        if state.reads_since_apply >= 2 {
            state.rejected.replace(Vec::new(), now());
        }
        Ok(endpoints)
    }

    fn adjust_endpoints(&self, desired: Vec<Endpoint>) -> Vec<Endpoint> {
        let adjusted = plan::adjust(desired, &self.0.settings.policy);
        let dropped = adjusted.dropped.into_iter().map(Rejection::from).collect();
        for rejection in self.0.state().dropped.replace(dropped, now()) {
            warn!(
                name = rejection.name,
                r#type = rejection.record_type,
                cause = rejection.failure.cause.label(),
                "left out: {}",
                rejection.failure
            );
        }
        adjusted.endpoints
    }

    /// Runs in a task of its own: a caller that leaves does not stop it in mid-message.
    async fn apply_changes(&self, changes: Changes) -> Result<Vec<Rejection>, Failure> {
        let inner = self.0.clone();
        let apply = tokio::spawn(async move { inner.apply(&changes).await });
        apply.await.unwrap_or_else(|_| Err(Failure::new(Cause::Internal, "the apply broke off")))
    }

    fn status(&self) -> Status {
        let state = self.0.state();
        Status { rejected: state.rejected.entries(), dropped: state.dropped.entries(), ..Status::default() }
    }

    fn unready(&self) -> Vec<Failure> {
        self.0.state().unready.clone()
    }
}
