//! One apply: does what the delivery asks for, tells it what came of that, and logs and counts what was changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span, info_span, warn};

use super::authority::{Authority, Seen};
use super::memory::Memory;
use super::service::now;
use super::status::{ChangeEntry, History, Rejection, seconds};
use super::untold::Untold;
use super::{Cause, Failure};
use crate::api::Changes;
use crate::dns::{Name, ZoneContents, ZoneName};
use crate::metrics::Metrics;
use crate::plan::delivery::{self, Command, Delivery, Fate, Note, Outcome, Request};
use crate::plan::{self, Batch, Copies, Grouped, Planned, Policy, Refusal, Step};

/// A question that is not answered is asked so often.
const QUESTIONS: usize = 3;
/// Queries of one read-back in flight at once.
const LOOKS: usize = 8;
/// Steps that are told in the log before it is looked again whether a server has answered.
const TOLD_AT_ONCE: usize = 8;

/// What an apply works with.
pub(super) struct Means<'a, A: Authority> {
    pub(super) authority: &'a A,
    pub(super) policy: &'a Policy,
    pub(super) metrics: &'a Metrics,
    /// Whether messages are only printed.
    pub(super) dry_run: bool,
    /// Nothing is sent after this.
    pub(super) deadline: Instant,
    /// Nor after this.
    pub(super) stop: &'a CancellationToken,
}

/// One apply under way.
pub(super) struct Apply<'a, A: Authority> {
    means: Means<'a, A>,
    pin: A::Pin,
    changed: Changed,
}

/// What an apply has changed.
#[derive(Debug, Default)]
pub(super) struct Changed {
    /// The zones.
    pub(super) zones: BTreeSet<ZoneName>,
    /// The record sets that were changed last.
    pub(super) history: History,
    /// What of it the log does not say yet.
    pub(super) untold: Untold,
}

/// What an apply is asked for, as far as the request alone tells.
#[derive(Debug)]
pub(super) struct Asked {
    grouped: Grouped,
    refused: Vec<Refusal>,
}

impl Asked {
    pub(super) fn of(changes: &Changes, policy: &Policy) -> Self {
        let (changes, refused) = plan::intake(changes, policy);
        Self { grouped: plan::group(changes, policy), refused }
    }
}

/// What came of an apply.
#[derive(Debug)]
pub(super) struct Applied {
    /// What was rejected; or what stopped the whole apply, and what was applied until then stays.
    pub(super) outcome: Result<Vec<Rejection>, Failure>,
    /// What was changed.
    pub(super) changed: Changed,
}

impl<'a, A: Authority> Apply<'a, A> {
    pub(super) fn new(means: Means<'a, A>, pin: A::Pin) -> Self {
        let untold = Untold::new(means.dry_run);
        Self { means, pin, changed: Changed { untold, ..Changed::default() } }
    }

    /// Applies what can be applied.
    pub(super) async fn run(mut self, asked: Asked, memory: &mut Memory, now: SystemTime) -> Applied {
        let policy = self.means.policy;
        let Asked { mut grouped, refused } = asked;
        memory.unknown_fates.expire(now);
        memory.unknown_fates.accept(grouped.changes_mut());
        for Refusal { name, rtype, reason, .. } in &grouped.left_out {
            warn!(name, r#type = rtype, "left out: {reason}");
        }
        let copy = |zone: &ZoneName| Some((zone.clone(), self.means.authority.copy(&self.pin, zone)?));
        let copies: Copies = policy.zones.iter().filter_map(copy).collect();
        let (ledger, held_back) = memory.triage(grouped.groups, &copies, now);
        let mut delivery = Delivery::new(policy, copies, ledger);
        self.deliver(&mut delivery).await;
        let (ledger, copies, stopped) = delivery.close();
        let beforehand = refused.into_iter().chain(grouped.refused).map(Rejection::from);
        let rejections = memory.close(ledger, held_back, &copies, now);
        let outcome = match stopped {
            None => Ok(beforehand.chain(rejections).collect()),
            Some(failure) => Err(failure),
        };
        Applied { outcome, changed: self.changed }
    }

    /// Does what the delivery asks for, as much at once as it asks for.
    async fn deliver(&mut self, delivery: &mut Delivery<'_, Failure>) {
        let (means, pin, changed) = (&self.means, &self.pin, &mut self.changed);
        let mut under_way = FuturesUnordered::new();
        let mut spans = BTreeMap::new();
        loop {
            while let Some(command) = delivery.next() {
                let span = command.zone().map_or_else(Span::current, |zone| zone_span(&mut spans, zone));
                match command {
                    Command::Ask(request) => under_way.push(means.perform(pin, request).instrument(span)),
                    Command::Note(note) => span.in_scope(|| means.note(pin, &note, changed)),
                }
            }
            let outcome = match under_way.next().now_or_never() {
                Some(outcome) => outcome,
                None if !changed.untold.is_empty() => {
                    changed.untold.tell(TOLD_AT_ONCE);
                    yield_now().await;
                    continue;
                }
                None => under_way.next().await,
            };
            match outcome {
                Some(Ok(outcome)) => delivery.take(outcome),
                Some(Err(failure)) => delivery.stop(failure),
                None => return,
            }
        }
    }
}

/// One for all that an apply does in a zone.
fn zone_span(spans: &mut BTreeMap<ZoneName, Span>, zone: &ZoneName) -> Span {
    if let Some(span) = spans.get(zone) {
        return span.clone();
    }
    spans.entry(zone.clone()).or_insert(info_span!("zone", %zone)).clone()
}

impl<A: Authority> Means<'_, A> {
    /// Does what the delivery asks for; an error stops it.
    async fn perform(&self, pin: &A::Pin, request: Request) -> Result<Outcome<Failure>, Failure> {
        Ok(match request {
            Request::Send(id, batch) => Outcome::Sent(id, self.send(pin, &batch).await?),
            Request::Read(id, zone) => Outcome::Read(id, self.read(pin, &zone).await?),
            Request::ReadBack(id, batch) => Outcome::ReadBack(id, self.stands(pin, &batch).await?),
        })
    }

    fn note(&self, pin: &A::Pin, note: &Note, changed: &mut Changed) {
        match note {
            Note::Remember(batch) => {
                let update = batch.zone().map(|zone| batch.update(zone));
                update.iter().for_each(|update| self.authority.remember(pin, update));
            }
            Note::Doubt(zone) => self.authority.doubt(pin, zone),
            Note::Tell(step) => self.count(pin, step, changed),
        }
    }

    /// What has become of the zone counts at once; the log may wait.
    fn count(&self, pin: &A::Pin, step: &Arc<Step>, changed: &mut Changed) {
        if !self.dry_run {
            changed.zones.insert(step.zone.clone());
            changed.history.keep(step.planned.iter().map(|planned| ChangeEntry {
                at: seconds(now()),
                op: planned.op.label(),
                name: planned.name.to_undotted(),
                record_type: planned.rtype.to_string(),
            }));
            for planned in &step.planned {
                self.metrics.changed(planned.op.label(), planned.rtype.to_string());
            }
        }
        changed.untold.keep(step, self.authority.server(pin));
    }

    async fn send(&self, pin: &A::Pin, batch: &Batch) -> Result<Fate<Failure>, Failure> {
        let Some(zone) = batch.zone() else { return Ok(Fate::Applied) };
        self.check_time(zone)?;
        let fate = self.authority.update(pin, &batch.update(zone)).await?;
        if let Fate::Unverified(failure) = &fate {
            warn!(cause = failure.cause.label(), "reading back: {failure}");
        }
        Ok(fate)
    }

    /// Whether the zone holds exactly what this ends with, asked of a server whose zone cannot be read.
    ///
    /// A directory tells it by the nodes themselves. Without one neither question is enough: prerequisites know no TTL, and Samba's pass on a part of an RRset; a query does not tell
    /// a wildcard's answer from the name's own.
    async fn stands(&self, pin: &A::Pin, batch: &Batch) -> Result<bool, Failure> {
        let Some(zone) = batch.zone() else { return Ok(true) };
        if let Some(nodes) = self.nodes(pin, zone, batch).await? {
            return Ok(batch.steps.iter().all(|step| step.step.is_done(&nodes)));
        }
        Ok(self.is_there(pin, zone, batch).await? && self.is_shown(pin, zone, batch).await?)
    }

    /// What the directory holds at every name that this is about.
    async fn nodes(&self, pin: &A::Pin, zone: &ZoneName, batch: &Batch) -> Result<Option<ZoneContents>, Failure> {
        self.check_time(zone)?;
        let planned = batch.steps.iter().flat_map(|step| &step.step.planned);
        let names: BTreeSet<Name> = planned.map(|planned| planned.name.clone()).collect();
        let names: Vec<Name> = names.into_iter().collect();
        // Out of time, the next question finds that out.
        Ok(timeout_at(self.deadline, self.authority.nodes(pin, zone, &names)).await.unwrap_or(None))
    }

    /// Asks with an update that has prerequisites and no operations.
    async fn is_there(&self, pin: &A::Pin, zone: &ZoneName, batch: &Batch) -> Result<bool, Failure> {
        let unused = format!("{:016x}", rand::random::<u64>());
        let question = batch.read_back(zone, &unused);
        for _ in 0..QUESTIONS {
            self.check_time(zone)?;
            match self.authority.update(pin, &question).await? {
                // No answer is none.
                Fate::Unknown(_) => {}
                fate => return Ok(fate == Fate::Applied),
            }
        }
        Ok(false)
    }

    /// Asks for each record set; those that go are not asked for, since a wildcard may answer for them.
    async fn is_shown(&self, pin: &A::Pin, zone: &ZoneName, batch: &Batch) -> Result<bool, Failure> {
        let planned: Vec<&Planned> = batch
            .steps
            .iter()
            .flat_map(|step| &step.step.planned)
            .filter(|planned| !planned.after.is_empty())
            .collect();
        for some in planned.chunks(LOOKS) {
            self.check_time(zone)?;
            let mut looks = FuturesUnordered::new();
            for planned in some {
                looks.push(self.shows(pin, planned));
            }
            while let Some(is_shown) = looks.next().await {
                if !is_shown? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    async fn shows(&self, pin: &A::Pin, planned: &Planned) -> Result<bool, Failure> {
        match self.authority.look(pin, &planned.name, planned.rtype).await {
            Ok(Seen::Records(seen)) => Ok(planned.is_result(seen.as_ref().map(|seen| (seen.rdata(), seen.ttl())))),
            Ok(Seen::Referral) => Ok(true),
            Err(failure) if failure.cause == Cause::ServerUnreachable => Err(failure),
            Err(failure) => {
                warn!(name = %planned.name, r#type = %planned.rtype, cause = failure.cause.label(), "not read back: {failure}");
                Ok(false)
            }
        }
    }

    /// Whether there is time for one more message.
    fn check_time(&self, zone: &ZoneName) -> Result<(), Failure> {
        let stopped = |why: &str| Err(Failure::new(Cause::Deadline, format!("zone {zone}: {why}")));
        if self.stop.is_cancelled() {
            return stopped("the sidecar is stopping");
        }
        if Instant::now() >= self.deadline { stopped("stopped between two messages") } else { Ok(()) }
    }

    /// Reads a zone anew; none where it cannot be read.
    async fn read(&self, pin: &A::Pin, zone: &ZoneName) -> Result<Option<Arc<ZoneContents>>, Failure> {
        let reading = self.authority.confirm(pin, zone, self.deadline);
        let read = tokio::select! {
            biased;
            read = reading => read,
            () = self.stop.cancelled() => return Err(Failure::new(Cause::Deadline, "the sidecar is stopping")),
        };
        match read {
            Ok(contents) => Ok(Some(contents)),
            Err(failure) if failure.cause == Cause::Deadline => Err(failure),
            Err(_) => Ok(None),
        }
    }
}

impl delivery::Failure for Failure {
    fn is_like(&self, other: &Self) -> bool {
        self.cause == other.cause
    }
}
