//! One apply: sends what was planned, finds the guilty when something is denied, and reads back what is doubtful.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, info, warn};

use super::authority::{Authority, Outcome};
use super::ledger::{Ledger, Memory};
use super::status::Rejection;
use super::{Cause, Failure};
use crate::api::Changes;
use crate::dns::{ServerProfile, ZoneContents, ZoneName};
use crate::metrics::Metrics;
use crate::plan::{self, Batch, Copies, Indexed, Limits, Part, Policy, Refusal};

/// After this many single groups denied alike, and not one success, the rest of a zone is not sent.
const GIVE_UP_AFTER: usize = 16;

/// What an apply works with.
pub(super) struct Means<'a, A: Authority> {
    pub(super) authority: &'a A,
    pub(super) policy: &'a Policy,
    pub(super) metrics: &'a Metrics,
    /// Nothing is sent after this.
    pub(super) deadline: Instant,
    /// Nor after this.
    pub(super) stop: &'a CancellationToken,
}

/// One apply under way.
pub(super) struct Apply<'a, A: Authority> {
    means: Means<'a, A>,
    pin: A::Pin,
    copies: Copies,
    ledger: Ledger,
    changed: BTreeSet<ZoneName>,
}

/// What came of an apply.
#[derive(Debug)]
pub(super) struct Applied {
    /// What was rejected; or what stopped the whole apply, and what was applied until then stays.
    pub(super) outcome: Result<Vec<Rejection>, Failure>,
    /// Zones of which something was changed.
    pub(super) changed: BTreeSet<ZoneName>,
}

/// What is known of one zone in this apply.
#[derive(Default)]
struct ZoneRun {
    /// Groups to be planned again from a fresh read.
    doubtful: BTreeMap<usize, Failure>,
    /// Groups that were denied alone.
    guilty: Vec<Guilty>,
    succeeded: bool,
    given_up: Option<Failure>,
    /// Whether this is the second and last try.
    last_try: bool,
    /// Whether the server's word alone is not enough.
    must_read_back: bool,
}

struct Guilty {
    step: Indexed,
    failure: Failure,
    maybe_applied: bool,
}

/// A batch that the server did not want.
struct Denied {
    batch: Batch,
    failure: Failure,
    maybe_applied: bool,
}

impl<'a, A: Authority> Apply<'a, A> {
    pub(super) fn new(means: Means<'a, A>, pin: A::Pin) -> Self {
        Self { means, pin, copies: Copies::new(), ledger: Ledger::default(), changed: BTreeSet::new() }
    }

    /// Applies what can be applied.
    pub(super) async fn run(mut self, changes: &Changes, memory: &mut Memory, now: SystemTime) -> Applied {
        let (mut changes, refused) = plan::intake(changes, self.means.policy);
        memory.unsettled.accept(&mut changes);
        let grouped = plan::group(changes, self.means.policy);
        for text in &grouped.left_out {
            warn!(name = text.name, "left out the registry TXT at the name of a CNAME, where it cannot be");
        }
        let zones = self.means.policy.zones.iter();
        self.copies = zones.filter_map(|zone| Some((zone.clone(), self.copy(zone)?))).collect();
        self.ledger = Ledger::open(grouped.groups, memory, &self.copies, now);
        self.ledger.refuse_beforehand(refused);
        self.ledger.refuse_beforehand(grouped.refused);
        let outcome = match self.look_first().await {
            Ok(()) => self.apply_all().await,
            Err(failure) => Err(failure),
        };
        let rejections = self.ledger.close(memory, &self.copies, now);
        Applied { outcome: outcome.map(|()| rejections), changed: self.changed }
    }

    fn copy(&self, zone: &ZoneName) -> Option<Arc<ZoneContents>> {
        self.means.authority.copy(&self.pin, zone)
    }

    /// Without prerequisites nothing but a fresh copy tells what somebody else has written since the last one.
    async fn look_first(&mut self) -> Result<(), Failure> {
        if self.means.policy.prerequisites {
            return Ok(());
        }
        for zone in self.ledger.zones() {
            let old = self.copies.get(&zone).cloned();
            if !self.refresh(&zone).await? {
                self.copies.extend(old.map(|old| (zone, old)));
            }
        }
        Ok(())
    }

    async fn apply_all(&mut self) -> Result<(), Failure> {
        let zones = self.ledger.zones();
        for round in 0..self.ledger.rounds() {
            for zone in &zones {
                let span = tracing::info_span!("zone", %zone);
                self.apply_zone(zone, round).instrument(span).await?;
            }
        }
        Ok(())
    }

    async fn apply_zone(&mut self, zone: &ZoneName, round: usize) -> Result<(), Failure> {
        let mut run = ZoneRun { must_read_back: self.must_read_back(zone), ..ZoneRun::default() };
        let mut steps = Vec::new();
        for (index, part) in &self.ledger.parts(zone, round) {
            match self.plan(*index, part) {
                Ok(Some(step)) => steps.push(step),
                Ok(None) => self.ledger.done(*index),
                // What the copy says may be old: it is decided from a fresh read.
                Err(refusals) if self.copies.contains_key(zone) => {
                    run.doubtful.insert(*index, first_failure(&refusals));
                }
                Err(refusals) => self.ledger.refuse(*index, refusals),
            }
        }
        self.deliver_all(zone, steps, &mut run).await?;
        self.settle(zone, round, run).await
    }

    fn plan(&self, index: usize, part: &Part) -> Result<Option<Indexed>, Vec<Refusal>> {
        let Some(group) = self.ledger.group(index) else { return Ok(None) };
        Ok(plan::plan(group, part, &self.copies, self.means.policy)?.map(|step| Indexed { group: index, step }))
    }

    /// Sends steps in as few messages as they fit; groups that were rejected before go first, and alone.
    async fn deliver_all(&mut self, zone: &ZoneName, steps: Vec<Indexed>, run: &mut ZoneRun) -> Result<(), Failure> {
        for batch in self.pack(steps) {
            if let Some(denied) = self.deliver(zone, batch, run).await? {
                self.isolate(zone, denied, run).await?;
            }
        }
        Ok(())
    }

    fn pack(&mut self, steps: Vec<Indexed>) -> Vec<Batch> {
        let Policy { batch_change_size, profile, .. } = *self.means.policy;
        let (alone, together): (Vec<_>, Vec<_>) =
            steps.into_iter().partition(|step| self.ledger.goes_alone(step.group));
        let (mut batches, mut too_large) = plan::pack(alone, Limits { endpoints: 0, profile });
        let (shared, more) = plan::pack(together, Limits { endpoints: batch_change_size, profile });
        batches.extend(shared);
        too_large.extend(more);
        for step in too_large {
            let (octets, (_, limit)) = (plan::batch::octets(&step.step), plan::batch::room(profile));
            let detail = format!("about {octets} octets, {limit} fit a message");
            self.ledger.pass_over(step.group, &Failure::new(Cause::TooLarge, detail));
        }
        batches
    }

    /// Sends one message. Gives the batch back when the server did not want it.
    async fn deliver(&mut self, zone: &ZoneName, batch: Batch, run: &mut ZoneRun) -> Result<Option<Denied>, Failure> {
        if let Some(failure) = &run.given_up {
            batch.steps.iter().for_each(|step| self.ledger.pass_over(step.group, failure));
            return Ok(None);
        }
        self.check_time(zone)?;
        let update = batch.update(zone);
        match self.means.authority.update(&mut self.pin, &update).await {
            Outcome::Applied if run.must_read_back => {
                let cause = Failure::new(Cause::NotStored, format!("zone {zone}: not found when read back"));
                run.succeeded |= self.confirm(zone, &batch, &cause).await?;
            }
            Outcome::Applied => {
                self.means.authority.remember(&self.pin, &update);
                run.succeeded = true;
                self.all_done(&batch);
            }
            Outcome::Printed => self.all_done(&batch),
            Outcome::Unverified(failure) => {
                warn!(cause = failure.cause.label(), "reading back: {failure}");
                self.means.authority.doubt(&self.pin, zone);
                run.succeeded |= self.confirm(zone, &batch, &failure).await?;
            }
            // Without a copy there is nothing to plan anew from, and after a second failure no reason to believe it.
            Outcome::PrerequisiteFailed(failure) if run.last_try || !self.copies.contains_key(zone) => {
                return Ok(Some(Denied { batch, failure, maybe_applied: false }));
            }
            Outcome::PrerequisiteFailed(failure) | Outcome::Unknown(failure) => {
                run.doubtful.extend(batch.steps.iter().map(|step| (step.group, failure.clone())));
            }
            Outcome::Denied { failure, maybe_applied } => return Ok(Some(Denied { batch, failure, maybe_applied })),
            Outcome::ZoneUnusable(failure) => {
                batch.steps.iter().for_each(|step| self.ledger.pass_over(step.group, &failure));
                run.given_up = Some(failure);
            }
            Outcome::Stopped(failure) => return Err(failure),
        }
        Ok(None)
    }

    /// Whether there is time for one more message.
    fn check_time(&self, zone: &ZoneName) -> Result<(), Failure> {
        let stopped = |why: &str| Err(Failure::new(Cause::Deadline, format!("zone {zone}: {why}")));
        if self.means.stop.is_cancelled() {
            return stopped("the sidecar is stopping");
        }
        if Instant::now() >= self.means.deadline { stopped("stopped between two messages") } else { Ok(()) }
    }

    /// Bisects down to the guilty groups: both halves of a denied batch are sent before either is split further.
    async fn isolate(&mut self, zone: &ZoneName, denied: Denied, run: &mut ZoneRun) -> Result<(), Failure> {
        let mut stack = vec![denied];
        while let Some(Denied { batch, failure, maybe_applied }) = stack.pop() {
            match batch.split() {
                Ok((first, second)) => {
                    for half in [second, first] {
                        stack.extend(self.deliver(zone, half, run).await?);
                    }
                }
                Err(single) => {
                    let found = single.steps.into_iter();
                    run.guilty.extend(found.map(|step| Guilty { step, failure: failure.clone(), maybe_applied }));
                    let alike = run.guilty.iter().filter(|guilty| guilty.failure.cause == failure.cause).count();
                    // What DNS holds at one name says nothing of the next.
                    let is_policy = failure.cause != Cause::PrerequisiteFailed;
                    if is_policy && alike >= GIVE_UP_AFTER && !run.succeeded {
                        run.given_up = Some(failure);
                    }
                }
            }
        }
        Ok(())
    }

    /// Decides what is doubtful or guilty from a fresh read, and sends it once more where something is left to do.
    async fn settle(&mut self, zone: &ZoneName, round: usize, run: ZoneRun) -> Result<(), Failure> {
        if run.doubtful.is_empty() && run.guilty.is_empty() {
            return Ok(());
        }
        if run.last_try {
            run.guilty.iter().for_each(|guilty| self.ledger.reject(guilty.step.group, &guilty.failure));
            run.doubtful.iter().for_each(|(index, failure)| self.ledger.reject(*index, failure));
            return Ok(());
        }
        let is_read = self.refresh(zone).await?;
        let mut again = ZoneRun {
            last_try: true,
            succeeded: run.succeeded,
            given_up: run.given_up,
            must_read_back: run.must_read_back,
            ..ZoneRun::default()
        };
        if !is_read {
            run.guilty.iter().for_each(|guilty| self.ledger.guess_anew(guilty.step.group));
        }
        let (mut steps, mut unread) = (Vec::new(), Vec::new());
        for (index, part) in self.ledger.parts(zone, round) {
            let guilty = run.guilty.iter().find(|guilty| guilty.step.group == index);
            if guilty.is_none() && !run.doubtful.contains_key(&index) {
                continue;
            }
            match (self.plan(index, &part), guilty) {
                (Err(refusals), _) => self.ledger.refuse(index, refusals),
                (Ok(None), _) => self.ledger.done(index),
                (Ok(Some(step)), _) if !is_read => unread.push((step, guilty)),
                (Ok(Some(step)), Some(guilty)) if guilty.stays_denied(&step) => {
                    self.ledger.reject(index, &guilty.failure);
                }
                (Ok(Some(step)), _) => steps.push(step),
            }
        }
        steps.extend(self.read_back_each(unread).await?);
        self.deliver_all(zone, steps, &mut again).await?;
        Box::pin(self.settle(zone, round, again)).await
    }

    /// Reads a zone anew; false where it cannot be read, and is unknown from now on.
    async fn refresh(&mut self, zone: &ZoneName) -> Result<bool, Failure> {
        let reading = self.means.authority.read(&mut self.pin, zone, self.means.deadline);
        let read = tokio::select! {
            biased;
            read = reading => read,
            () = self.means.stop.cancelled() => return Err(Failure::new(Cause::Deadline, "the sidecar is stopping")),
        };
        match read {
            Ok(contents) => {
                self.copies.insert(zone.clone(), contents);
                Ok(true)
            }
            Err(failure) if failure.cause == Cause::Deadline => Err(failure),
            Err(_) => {
                self.copies.remove(zone);
                Ok(false)
            }
        }
    }

    /// Of steps in a zone that cannot be read, those that are neither done nor denied for good.
    async fn read_back_each(&mut self, steps: Vec<(Indexed, Option<&Guilty>)>) -> Result<Vec<Indexed>, Failure> {
        let doubted: Vec<_> =
            steps.iter().filter(|(_, guilty)| guilty.is_none()).map(|(step, _)| step.clone()).collect();
        let mut left = Vec::new();
        // A message is applied whole or not at all, so that one question is enough for all of it.
        for batch in self.pack(doubted) {
            if self.stands(&batch).await? { self.all_done(&batch) } else { left.extend(batch.steps) }
        }
        for (step, guilty) in steps {
            let Some(guilty) = guilty else { continue };
            let single = Batch { steps: vec![step] };
            if self.stands(&single).await? {
                // Denied for certain: it was so before.
                if guilty.maybe_applied { self.all_done(&single) } else { self.ledger.done(guilty.step.group) }
            } else if single.steps.iter().all(|step| guilty.stays_denied(step)) {
                self.ledger.reject(guilty.step.group, &guilty.failure);
            } else {
                left.extend(single.steps);
            }
        }
        Ok(left)
    }

    /// Whether the server's word alone is not enough.
    fn must_read_back(&self, zone: &ZoneName) -> bool {
        // Samba's BIND9_DLZ loses updates in a zone with a wildcard and says NOERROR.
        let may_have_wildcard = || {
            let copy = self.copies.get(zone);
            copy.is_none_or(|contents| contents.iter().any(|rrset| rrset.name.is_wildcard()))
        };
        !self.means.policy.prerequisites || (self.means.policy.profile != ServerProfile::Bind && may_have_wildcard())
    }

    /// Reads back a batch; what is not there is rejected for this cause. True when anything is there.
    async fn confirm(&mut self, zone: &ZoneName, batch: &Batch, cause: &Failure) -> Result<bool, Failure> {
        let mut any = false;
        if self.copies.contains_key(zone) && self.refresh(zone).await? {
            for step in &batch.steps {
                let done = self.copies.get(zone).is_some_and(|contents| step.step.is_done(contents));
                any |= done;
                if done { self.one_done(step) } else { self.ledger.reject(step.group, cause) }
            }
            return Ok(any);
        }
        if self.stands(batch).await? {
            self.all_done(batch);
            return Ok(true);
        }
        for step in &batch.steps {
            let done = self.stands(&Batch { steps: vec![step.clone()] }).await?;
            any |= done;
            if done { self.one_done(step) } else { self.ledger.reject(step.group, cause) }
        }
        Ok(any)
    }

    /// Asks for the exact result with an update that has prerequisites and no operations.
    async fn stands(&mut self, batch: &Batch) -> Result<bool, Failure> {
        let Some(first) = batch.steps.first() else { return Ok(true) };
        self.check_time(&first.step.zone)?;
        let unused = format!("{:016x}", rand::random::<u64>());
        let mut update = first.step.read_back(&unused);
        for step in batch.steps.iter().skip(1) {
            for prerequisite in step.step.read_back(&unused).prerequisites {
                if !update.prerequisites.contains(&prerequisite) {
                    update.prerequisites.push(prerequisite);
                }
            }
        }
        match self.means.authority.update(&mut self.pin, &update).await {
            Outcome::Applied => {
                // A read that began before the change may bring a copy without it.
                self.means.authority.remember(&self.pin, &batch.update(&update.zone));
                Ok(true)
            }
            Outcome::Stopped(failure) => Err(failure),
            _ => Ok(false),
        }
    }

    fn all_done(&mut self, batch: &Batch) {
        batch.steps.iter().for_each(|step| self.one_done(step));
    }

    fn one_done(&mut self, step: &Indexed) {
        self.ledger.done(step.group);
        self.changed.insert(step.step.zone.clone());
        for planned in &step.step.planned {
            self.means.metrics.changed(planned.op.label(), planned.rtype.to_string());
            info!(
                zone = %step.step.zone, name = %planned.name, r#type = %planned.rtype, op = planned.op.label(),
                server = self.means.authority.server(&self.pin), rcode = "NOERROR", "changed"
            );
        }
    }
}

impl Guilty {
    /// Whether the server would have to answer the same again.
    fn stays_denied(&self, step: &Indexed) -> bool {
        *step == self.step && !self.maybe_applied
    }
}

fn first_failure(refusals: &[Refusal]) -> Failure {
    refusals.first().map_or_else(
        || Failure::new(Cause::Internal, ""),
        |refusal| Failure::new(Cause::from(&refusal.reason), refusal.reason.to_string()),
    )
}
