//! The one service behind both front ends: records, adjust and apply over an authority.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, error, warn};

use super::apply::{Applied, Apply, Asked, Means};
use super::authority::Authority;
use super::keep_alive::Keeper;
use super::list::{Lists, off_the_runtime};
use super::memory::Memory;
use super::status::{CredentialStatus, History, RecordKey, Rejection, Status, StatusEntry, seconds};
use super::untold::Untold;
use super::{Cause, Failure, Provider};
use crate::api::{Changes, DomainFilter, Endpoint};
use crate::config::{KeepAlive, ReadMode};
use crate::dns::{ZoneContents, ZoneName};
use crate::gss::Credential;
use crate::metrics::{Gauges, Metrics, ServerGauges, ZoneGauges};
use crate::plan::{self, Policy, Standing};

/// The part of a request's time in which zones are read; in the rest their list is made and sent.
const READING: f64 = 5.0 / 6.0;

/// Longest wait at the end for an apply whose caller has left, and for the log.
const LAST_APPLY: Duration = Duration::from_secs(1);

/// So many endpoints are read and grouped in less than a millisecond, and where they are.
const FEW_CHANGES: usize = 200;

/// Zones that are read side by side.
const ZONES_AT_ONCE: usize = 4;

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
    /// Whether changes are only printed.
    pub dry_run: bool,
    /// Whether records are refreshed where a directory ages them.
    pub keep_alive: KeepAlive,
}

/// Records, adjust and apply over an authority. Clones share everything.
pub struct Service<A: Authority>(Arc<Inner<A>>);

pub(super) struct Inner<A> {
    pub(super) settings: ServiceSettings,
    pub(super) authority: A,
    credential: Option<Arc<Credential>>,
    pub(super) metrics: Arc<Metrics>,
    /// Cancelled when the process is to end: nothing more is begun.
    pub(super) stop: CancellationToken,
    /// Applies run one at a time, each with what the one before it left.
    pub(super) memory: tokio::sync::Mutex<Memory>,
    pub(super) keeper: Keeper,
    state: Mutex<State>,
    lists: Lists,
    /// Applies under way, or not yet told in the log.
    applies: TaskTracker,
}

struct State {
    rejected: Standing<RecordKey, Failure>,
    dropped: Standing<RecordKey, Failure>,
    unready: Vec<Failure>,
    last_apply: BTreeMap<ZoneName, SystemTime>,
    history: History,
}

impl<A: Authority> Clone for Service<A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<A: Authority> Service<A> {
    /// A service over these servers; nothing is asked of them yet.
    #[must_use]
    pub fn new(
        settings: ServiceSettings,
        authority: A,
        credential: Option<Arc<Credential>>,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> Self {
        let not_checked = Failure::new(Cause::ServerUnreachable, "the servers have not been asked yet");
        let state = State {
            rejected: Standing::default(),
            dropped: Standing::default(),
            unready: vec![not_checked],
            last_apply: BTreeMap::new(),
            history: History::default(),
        };
        let memory = tokio::sync::Mutex::default();
        let keeper = Keeper::new(settings.keep_alive);
        let inner = Inner {
            settings,
            authority,
            credential,
            metrics,
            stop,
            memory,
            keeper,
            state: Mutex::new(state),
            lists: Lists::default(),
            applies: TaskTracker::new(),
        };
        Self(Arc::new(inner))
    }

    /// Looks at credential, server and every zone, and keeps what stands in the way, for `/readyz`.
    ///
    /// The copies are warm afterwards.
    pub async fn check_readiness(&self) {
        let unready = self.0.check().await;
        let mut state = self.0.state();
        for failure in unready.iter().filter(|failure| !state.unready.contains(failure)) {
            warn!(cause = failure.cause.label(), "not ready: {failure}");
        }
        if unready.is_empty() && !state.unready.is_empty() {
            tracing::info!("ready");
        }
        state.unready = unready;
    }

    /// Keeps records alive where that is wanted, until the process is to end.
    pub async fn keep_alive(&self) {
        self.0.keep_alive().await;
    }

    /// One look at what is due.
    #[cfg(test)]
    pub(super) async fn look_what_is_due(&self) -> Duration {
        self.0.look_what_is_due().await
    }

    /// Ends what is under way, and says goodbye to the servers.
    pub async fn close(&self) {
        self.0.applies.close();
        // It stops before its next message.
        let _ = timeout(LAST_APPLY, self.0.applies.wait()).await;
        self.0.authority.close().await;
    }
}

impl<A: Authority> Inner<A> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.settings.deadline
    }

    /// Whatever a reconcile needs and is not there, each once.
    async fn check(&self) -> Vec<Failure> {
        let without_ticket = self.without_ticket();
        let in_zones = match self.authority.pin_to_look().await {
            Ok(pin) => {
                let deadline = self.deadline();
                let zones = self.settings.policy.zones.iter();
                let zones: Vec<_> = zones.map(|zone| self.check_zone(&pin, zone, deadline)).collect();
                stream::iter(zones).buffered(ZONES_AT_ONCE).collect().await
            }
            Err(failure) => vec![Err(failure)],
        };
        let cause = without_ticket.as_ref().map(|failure| failure.cause);
        let mut unready: Vec<Failure> = without_ticket.into_iter().collect();
        for failure in in_zones.into_iter().filter_map(Result::err) {
            // Without a ticket each zone fails for that reason once more.
            if Some(failure.cause) != cause && !unready.contains(&failure) {
                unready.push(failure);
            }
        }
        unready
    }

    /// Why there is no ticket, where there is none.
    fn without_ticket(&self) -> Option<Failure> {
        let state = self.credential.as_ref()?.state();
        let error = state.error.filter(|_| state.expires_in.is_none())?;
        Some(Failure::new(Cause::from(&error), error.to_string()))
    }

    async fn check_zone(&self, pin: &A::Pin, zone: &ZoneName, deadline: Instant) -> Result<(), Failure> {
        if self.settings.read != ReadMode::None {
            self.authority.warm(pin, zone, deadline).await?;
        }
        // Over LDAP, updates go another way than reads.
        if matches!(self.settings.read, ReadMode::None | ReadMode::Ldap) {
            self.authority.reach(pin, zone).await?;
        }
        Ok(())
    }

    /// The present version of each zone.
    async fn read_zones(&self) -> Result<Vec<Arc<ZoneContents>>, Failure> {
        let mut versions = Vec::new();
        if self.settings.read == ReadMode::None {
            return Ok(versions);
        }
        let deadline = Instant::now() + self.settings.deadline.mul_f64(READING);
        let pin = self.authority.pin_for_read().await?;
        let zones = self.settings.policy.zones.iter();
        let zones: Vec<_> = zones.map(|zone| self.authority.read(&pin, zone, deadline)).collect();
        let mut reading = stream::iter(zones).buffered(ZONES_AT_ONCE);
        while let Some(contents) = reading.next().await {
            versions.push(contents?);
        }
        Ok(versions)
    }

    /// As [`read_zones`](Self::read_zones), until the process is to end.
    async fn versions(&self) -> Result<Vec<Arc<ZoneContents>>, Failure> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Failure::new(Cause::Deadline, "the sidecar is stopping")),
            read = self.read_zones() => read,
        }
    }

    /// What is asked, beside the runtime where that takes long.
    async fn asked(self: &Arc<Self>, changes: Changes) -> Result<Asked, Failure> {
        if changes.count() <= FEW_CHANGES {
            return Ok(Asked::of(&changes, &self.settings.policy));
        }
        let inner = Arc::clone(self);
        off_the_runtime(move || Asked::of(&changes, &inner.settings.policy)).await
    }

    /// One apply, in its turn.
    async fn apply(self: &Arc<Self>, changes: Changes) -> (Result<Vec<Rejection>, Failure>, Untold) {
        let deadline = self.deadline();
        let asked = match self.asked(changes).await {
            Ok(asked) => asked,
            Err(failure) => return (Err(failure), Untold::default()),
        };
        let Ok(mut memory) = timeout_at(deadline, self.memory.lock()).await else {
            return (Err(Failure::new(Cause::Deadline, "another apply is still under way")), Untold::default());
        };
        let pin = match self.authority.pin_for_write().await {
            Ok(pin) => pin,
            Err(failure) => return (Err(failure), Untold::default()),
        };
        let (authority, policy, metrics) = (&self.authority, &self.settings.policy, self.metrics.as_ref());
        let dry_run = self.settings.dry_run;
        let means = Means { authority, policy, metrics, dry_run, deadline, stop: &self.stop };
        let Applied { outcome, changed } = Apply::new(means, pin).run(asked, &mut memory, now()).await;
        let now = now();
        let mut state = self.state();
        state.last_apply.extend(changed.zones.into_iter().map(|zone| (zone, now)));
        state.history.keep(changed.history.entries().into_iter().rev());
        if let Ok(rejections) = &outcome {
            state.tell_rejected(rejections, now);
        }
        (outcome, changed.untold)
    }

    /// ExternalDNS sends no empty plan: lists without an apply between mean that nothing is asked for any more.
    fn listed(&self) {
        // While an apply holds it, something is asked for.
        if let Ok(mut memory) = self.memory.try_lock() {
            memory.quarantine.listed();
            self.state().rejected.listed();
        }
    }

    fn credential_status(&self) -> Option<CredentialStatus> {
        let credential = self.credential.as_ref()?;
        let state = credential.state();
        Some(CredentialStatus {
            principal: credential.principal().map(ToString::to_string),
            expires_in: state.expires_in.map(|left| left.as_secs()),
            error: state.error.map(|error| Failure::new(Cause::from(&error), error.to_string()).to_string()),
        })
    }
}

fn entries(standing: &Standing<RecordKey, Failure>) -> impl Iterator<Item = (&RecordKey, &Failure)> {
    standing.iter().map(|(record, failure, _)| (record, failure))
}

fn status_entries(standing: &Standing<RecordKey, Failure>) -> Vec<StatusEntry> {
    standing.iter().map(|(record, failure, since)| StatusEntry::new(record, failure, since)).collect()
}

#[expect(clippy::disallowed_methods, reason = "/status tells since when an entry stands, and back-off goes by it")]
pub(super) fn now() -> SystemTime {
    SystemTime::now()
}

impl State {
    /// Notes what is rejected now, and tells what of it is new.
    fn tell_rejected(&mut self, rejections: &[Rejection], now: SystemTime) {
        let told: BTreeSet<_> =
            self.rejected.replace(rejections.iter().cloned().map(Into::into), now).into_iter().collect();
        for (record, failure) in entries(&self.rejected).filter(|(record, _)| told.contains(record)) {
            error!(
                name = record.name,
                r#type = record.record_type,
                cause = failure.cause.label(),
                "rejected: {failure}"
            );
        }
    }
}

impl<A: Authority> Provider for Service<A> {
    fn domain_filter(&self) -> DomainFilter {
        self.0.settings.domain_filter.clone()
    }

    async fn records(&self) -> Result<Vec<Endpoint>, Failure> {
        let versions = self.0.versions().await?;
        let inner = Arc::clone(&self.0);
        let list = move || versions.iter().flat_map(|version| plan::list(version, &inner.settings.policy)).collect();
        let endpoints = off_the_runtime(list).await?;
        self.0.listed();
        Ok(endpoints)
    }

    async fn records_json(&self) -> Result<Vec<Bytes>, Failure> {
        let versions = self.0.versions().await?;
        let inner = Arc::clone(&self.0);
        let pieces = off_the_runtime(move || inner.lists.of(&versions, &inner.settings.policy)).await??;
        self.0.listed();
        Ok(pieces)
    }

    fn adjust_endpoints(&self, desired: Vec<Endpoint>) -> Vec<Endpoint> {
        let adjusted = plan::adjust(desired, &self.0.settings.policy);
        let dropped = adjusted.dropped.into_iter().map(|refusal| Rejection::from(refusal).into());
        let mut state = self.0.state();
        let told: BTreeSet<_> = state.dropped.replace(dropped, now()).into_iter().collect();
        let to_tell: Vec<(RecordKey, Failure)> = entries(&state.dropped)
            .filter(|(record, _)| told.contains(*record))
            .map(|(record, failure)| (record.clone(), failure.clone()))
            .collect();
        // `/status` and readiness need not wait until all is written.
        drop(state);
        for (record, failure) in to_tell {
            warn!(
                name = record.name,
                r#type = record.record_type,
                cause = failure.cause.label(),
                "left out: {failure}"
            );
        }
        self.0.keeper.desire(&adjusted.endpoints);
        adjusted.endpoints
    }

    /// Runs in a task of its own: a caller that leaves does not stop it in mid-message.
    async fn apply_changes(&self, changes: Changes) -> Result<Vec<Rejection>, Failure> {
        let inner = self.0.clone();
        let (answer, answered) = oneshot::channel();
        let apply = async move {
            let (outcome, mut untold) = inner.apply(changes).await;
            // Whoever has left is told nothing, and whoever waits is told before the log is.
            let _ = answer.send(outcome);
            yield_now().await;
            untold.tell(usize::MAX);
        };
        self.0.applies.spawn(apply.in_current_span());
        answered.await.unwrap_or_else(|_| Err(Failure::new(Cause::Internal, "the apply broke off")))
    }

    fn status(&self) -> Status {
        let inner = &self.0;
        let state = inner.state();
        let zone_status = |zone| {
            let last_apply = state.last_apply.get(zone).copied().map(seconds);
            super::status::ZoneStatus { last_apply, ..inner.authority.zone_status(zone) }
        };
        Status {
            dry_run: inner.settings.dry_run,
            records_body_bytes: None,
            records_body_warning: None,
            zones: inner.settings.policy.zones.iter().map(zone_status).collect(),
            servers: inner.authority.server_status(),
            credential: inner.credential_status(),
            rejected: status_entries(&state.rejected),
            dropped: status_entries(&state.dropped),
            changes: state.history.entries(),
            keep_alive: inner.keeper.status(now()),
        }
    }

    fn gauges(&self) -> Gauges {
        let inner = &self.0;
        let zone = |zone| {
            let status = inner.authority.zone_status(zone);
            ZoneGauges {
                zone: status.zone,
                records: status.records,
                serial: status.serial,
                last_read: status.last_read,
                last_apply: inner.state().last_apply.get(zone).copied().map(seconds),
            }
        };
        let servers = inner.authority.server_status().into_iter().map(|status| ServerGauges {
            server: status.server,
            failed: status.failed || (status.in_use && status.error.is_some()),
            negotiated: status.negotiations,
            not_negotiated: status.failed_negotiations,
            context_expiry: Duration::from_secs(status.context_expires_in.unwrap_or(0)),
            clock_skew: status.clock_skew,
        });
        let mut rejected = BTreeMap::<_, usize>::new();
        for (_, failure) in entries(&inner.state().rejected) {
            *rejected.entry(failure.cause.label()).or_default() += 1;
        }
        Gauges {
            zones: inner.settings.policy.zones.iter().map(zone).collect(),
            servers: servers.collect(),
            ticket_expiry: inner.credential.as_ref().map(|c| c.state().expires_in.unwrap_or_default()),
            rejected: rejected.into_iter().collect(),
            keep_alive: inner.keeper.gauges(now()),
        }
    }

    fn unready(&self) -> Vec<Failure> {
        self.0.state().unready.clone()
    }
}
