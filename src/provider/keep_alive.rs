//! Records that are kept alive: looks now and then what is due, and refreshes it between two applies.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use tokio::time::{sleep, timeout_at};
use tracing::{Instrument as _, info, info_span, warn};

use super::authority::Authority;
use super::list::off_the_runtime;
use super::service::{Inner, now};
use super::status::{KeepAliveStatus, KeepAliveZone, KeptEntry, seconds};
use super::{Cause, Failure};
use crate::api::Endpoint;
use crate::config::KeepAlive;
use crate::dns::{Update, ZoneName};
use crate::ldap::Ages;
use crate::metrics::KeepAliveGauges;
use crate::plan::delivery::Fate;
use crate::plan::keep_alive::{Desired, Due, Kept, Key, Pace, Schedule};

/// After a look that failed.
const AGAIN: Duration = Duration::from_secs(300);
/// While there is nothing to keep, and at most.
const SELDOM: Duration = Duration::from_secs(3600);
/// After refreshes, to see whether time stamps have moved.
const SOON: Duration = Duration::from_secs(15);
/// So many records are told in `/status`, those that are due next.
const TOLD: usize = 50;
const HOUR: Duration = Duration::from_secs(3600);

/// What is known of the records that are kept alive.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    mode: KeepAlive,
    state: Mutex<State>,
    /// Something is wanted for the first time.
    wanted: Notify,
}

#[derive(Debug, Default)]
struct State {
    desired: Arc<Desired>,
    zones: BTreeMap<ZoneName, Zone>,
}

#[derive(Debug, Default)]
struct Zone {
    schedule: Schedule,
    looked: Option<SystemTime>,
    /// Why nothing is kept alive here.
    idle: Option<String>,
    /// Why the last look, or the last refresh, failed.
    failure: Option<Failure>,
}

/// How an attempt at some records ended.
enum Attempt {
    /// They are refreshed.
    Done(Vec<Due>),
    /// They are not, and each may be alone.
    Failed(Vec<Due>, Failure),
}

impl Keeper {
    pub(super) fn new(mode: KeepAlive) -> Self {
        Self { mode, ..Self::default() }
    }

    /// Takes over what the caller wants.
    pub(super) fn desire(&self, endpoints: &[Endpoint]) {
        if self.mode == KeepAlive::Off {
            return;
        }
        let desired = Arc::new(Desired::of(endpoints));
        let before = std::mem::replace(&mut self.state().desired, desired);
        if before.is_empty() && !endpoints.is_empty() {
            self.wanted.notify_one();
        }
    }

    /// What `/status` tells; none where nothing is kept alive.
    pub(super) fn status(&self, now: SystemTime) -> Option<KeepAliveStatus> {
        let mode = (self.mode != KeepAlive::Off).then(|| self.mode.label())?;
        let zones = self.state().zones.iter().map(|(name, zone)| zone.status(name, now)).collect();
        Some(KeepAliveStatus { mode, zones })
    }

    pub(super) fn gauges(&self, now: SystemTime) -> Vec<KeepAliveGauges> {
        let gauges = |(name, zone): (&ZoneName, &Zone)| KeepAliveGauges {
            zone: name.to_string(),
            records: zone.schedule.iter().count(),
            overdue: zone.schedule.overdue(now),
            next: zone.schedule.next().map(seconds),
        };
        self.state().zones.iter().map(gauges).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn zone<T>(&self, zone: &ZoneName, work: impl FnOnce(&mut Zone) -> T) -> T {
        work(self.state().zones.entry(zone.clone()).or_default())
    }
}

impl Zone {
    fn status(&self, zone: &ZoneName, now: SystemTime) -> KeepAliveZone {
        let pace = self.schedule.pace();
        let mut soonest: Vec<_> = self.schedule.iter().collect();
        soonest.sort_by_key(|(_, kept)| kept.due);
        let entry = |((name, rtype), kept): &(&Key, &Kept)| KeptEntry {
            name: name.to_undotted(),
            record_type: rtype.to_string(),
            refreshed: kept.last.map(seconds),
            tried: kept.tried.map(seconds),
            due: seconds(kept.due),
            late: seconds(kept.late),
        };
        KeepAliveZone {
            zone: zone.to_string(),
            basis: pace.map(|pace| pace.basis.label()),
            refreshed_after: pace.map(|pace| pace.after.as_secs()),
            refreshed_within: pace.map(|pace| (pace.after + pace.spread).as_secs()),
            late_after: pace.map(|pace| pace.late.as_secs()),
            records: soonest.len(),
            overdue: self.schedule.overdue(now),
            next: self.schedule.next().map(seconds),
            looked: self.looked.map(seconds),
            idle: self.idle.clone(),
            error: self.failure.as_ref().map(ToString::to_string),
            soonest: soonest.iter().take(TOLD).map(entry).collect(),
        }
    }
}

impl<A: Authority> Inner<A> {
    /// Keeps records alive until the process is to end.
    pub(super) async fn keep_alive(&self) {
        if self.keeper.mode == KeepAlive::Off || self.settings.dry_run {
            return;
        }
        loop {
            let pause = self.look_what_is_due().await;
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.keeper.wanted.notified() => {}
                () = sleep(pause) => {}
            }
        }
    }

    /// Refreshes what is due, zone by zone, and tells when to look again.
    pub(super) async fn look_what_is_due(&self) -> Duration {
        let desired = self.keeper.state().desired.clone();
        if desired.is_empty() {
            return SELDOM;
        }
        let mut pause = SELDOM;
        for zone in self.settings.policy.zones.iter() {
            if self.stop.is_cancelled() {
                break;
            }
            let span = info_span!("keep_alive", %zone);
            let failure = self.keep_zone_alive(zone, &desired).instrument(span).await.err();
            if let Some(failure) = &failure {
                warn!(%zone, cause = failure.cause.label(), "records are not kept alive: {failure}");
                pause = pause.min(AGAIN);
            }
            let next = self.keeper.zone(zone, |state| {
                state.failure = failure;
                if state.schedule.is_waiting() { Some(SOON) } else { state.schedule.pace().map(|pace| pace.look()) }
            });
            pause = next.map_or(pause, |next| pause.min(next));
        }
        pause
    }

    async fn keep_zone_alive(&self, zone: &ZoneName, desired: &Arc<Desired>) -> Result<(), Failure> {
        let pin = self.authority.pin_to_look().await?;
        let contents = self.authority.confirm(&pin, zone, self.deadline()).await?;
        let (wanted, policy) = (Arc::clone(desired), self.settings.policy.clone());
        let standing = off_the_runtime(move || wanted.standing(&contents, &policy)).await?;
        let keys: HashSet<Key> = standing.iter().cloned().collect();
        let ages = self.authority.ages(&pin, zone, &keys).await;
        let now = now();
        let (pace, why) = pace(self.keeper.mode, &ages);
        let due = self.keeper.zone(zone, |state| {
            state.looked = Some(now);
            if why.is_some() && why != state.idle {
                info!(%zone, "{}", why.as_deref().unwrap_or_default());
            }
            state.idle = why;
            match (pace, ages) {
                (Some(pace), ages) => {
                    let stamps = ages.ok().flatten().map(|ages| ages.stamps).unwrap_or_default();
                    state.schedule.look(pace, standing, &stamps, now);
                    state.schedule.due(now)
                }
                // What was known of them goes on getting older.
                (None, Err(_)) => Vec::new(),
                (None, Ok(_)) => {
                    state.schedule.clear();
                    Vec::new()
                }
            }
        });
        self.refresh_all(zone, due, desired).await
    }

    /// Refreshes these records, a message at a time; what is denied together is tried alone.
    async fn refresh_all(&self, zone: &ZoneName, due: Vec<Due>, desired: &Desired) -> Result<(), Failure> {
        let chunks = due.chunks(self.settings.policy.batch_change_size);
        let mut left: VecDeque<Vec<Due>> = chunks.map(<[Due]>::to_vec).collect();
        let (mut refreshed, mut denied) = (0, None);
        while let Some(some) = left.pop_front() {
            if self.stop.is_cancelled() {
                break;
            }
            for attempt in self.refresh(zone, &some, desired).await? {
                match attempt {
                    Attempt::Failed(some, _) if some.len() > 1 => left.extend(some.into_iter().map(|one| vec![one])),
                    Attempt::Failed(some, failure) => {
                        self.note(zone, &some, false);
                        denied.get_or_insert(failure);
                    }
                    Attempt::Done(some) => {
                        refreshed += some.len();
                        self.note(zone, &some, true);
                    }
                }
            }
        }
        if refreshed > 0 {
            info!(%zone, records = refreshed, "refreshed, so that they are not taken out as aged");
        }
        denied.map_or(Ok(()), Err)
    }

    fn note(&self, zone: &ZoneName, some: &[Due], is_done: bool) {
        let now = now();
        self.keeper.zone(zone, |state| some.iter().for_each(|due| state.schedule.tried(&due.key, is_done, now)));
        self.metrics.refreshed(zone.to_string(), is_done, some.len());
    }

    /// Refreshes these records as far as they stand, in the turn of an apply.
    async fn refresh(&self, zone: &ZoneName, due: &[Due], desired: &Desired) -> Result<Vec<Attempt>, Failure> {
        let _turn = self.memory.lock().await;
        let deadline = self.deadline();
        let pin = self.authority.pin_to_look().await?;
        let contents = self.authority.confirm(&pin, zone, deadline).await?;
        let mut attempts = Vec::new();
        for (update, about) in desired.refreshes(due, &contents, &self.settings.policy) {
            let late = || Failure::new(Cause::Deadline, format!("zone {zone}: stopped between two messages"));
            let sending = self.authority.update(&pin, &update);
            let fate = timeout_at(deadline, sending).await.map_err(|_| late())??;
            attempts.push(match failure_of(fate, &update) {
                None => Attempt::Done(about),
                Some(failure) => Attempt::Failed(about, failure),
            });
        }
        Ok(attempts)
    }
}

/// Nothing is read back: an update that changes nothing shows in no answer.
fn failure_of(fate: Fate<Failure>, update: &Update) -> Option<Failure> {
    match fate {
        Fate::Applied => None,
        Fate::Printed => Some(Failure::new(Cause::Internal, format!("zone {}: printed, not sent", update.zone))),
        Fate::Unknown(failure)
        | Fate::Unverified(failure)
        | Fate::PrerequisiteFailed(failure)
        | Fate::ZoneUnusable(failure)
        | Fate::Denied { failure, .. } => Some(failure),
    }
}

/// How soon the records of a zone are refreshed, and why not, or not by what they show.
fn pace(mode: KeepAlive, ages: &Result<Option<Ages>, Failure>) -> (Option<Pace>, Option<String>) {
    let why = match ages {
        Ok(Some(ages)) if ages.properties.ageing == Some(false) => "ageing is off in this zone".to_owned(),
        Ok(Some(ages)) if ages.stamps.is_empty() && ages.properties.ageing.is_none() => {
            "the directory shows no time stamps on our records".to_owned()
        }
        Ok(Some(ages)) => return (Some(pace_of(ages)), None),
        Ok(None) => "nothing tells how old records are: that is read over LDAP".to_owned(),
        Err(failure) => format!("nothing tells how old records are: {failure}"),
    };
    match mode {
        KeepAlive::On => (Some(Pace::daily()), Some(format!("refreshed daily: {why}"))),
        KeepAlive::Auto | KeepAlive::Off => (None, Some(format!("nothing is refreshed: {why}"))),
    }
}

fn pace_of(ages: &Ages) -> Pace {
    let hours = |hours: Option<u32>| hours.map(|hours| HOUR.saturating_mul(hours));
    match (hours(ages.properties.no_refresh), hours(ages.properties.refresh)) {
        (Some(no_refresh), Some(refresh)) if !refresh.is_zero() => Pace::of_intervals(no_refresh, refresh),
        _ => Pace::of_time_stamps(),
    }
}
