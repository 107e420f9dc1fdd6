//! One apply: sends what was planned, finds the guilty when something is denied, and reads back what is doubtful.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;
use tracing::{info, warn};

use super::authority::{Authority, Outcome};
use super::status::Rejection;
use super::{Cause, Failure};
use crate::api::Changes;
use crate::dns::{ServerProfile, ZoneContents, ZoneName};
use crate::plan::{self, Batch, Copies, Group, Indexed, Limits, Part, Policy, Refusal};

/// After this many single groups denied alike, and not one success, the rest of a zone is not sent.
const GIVE_UP_AFTER: usize = 16;

/// One apply under way.
pub(super) struct Apply<'a, A: Authority> {
    authority: &'a A,
    pin: A::Pin,
    policy: &'a Policy,
    deadline: Instant,
    copies: Copies,
    groups: Vec<Group>,
    /// Indices of groups that failed, or of which a part did.
    failed: BTreeSet<usize>,
    rejections: Vec<Rejection>,
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
}

struct Guilty {
    step: Indexed,
    failure: Failure,
    maybe_applied: bool,
}

impl<'a, A: Authority> Apply<'a, A> {
    pub(super) fn new(authority: &'a A, pin: A::Pin, policy: &'a Policy, deadline: Instant) -> Self {
        Self {
            authority,
            pin,
            policy,
            deadline,
            copies: Copies::new(),
            groups: Vec::new(),
            failed: BTreeSet::new(),
            rejections: Vec::new(),
        }
    }

    /// Applies what can be applied and returns what was rejected.
    ///
    /// # Errors
    /// What stopped the whole apply: deadline, servers, Kerberos. What was applied until then stays.
    pub(super) async fn run(mut self, changes: &Changes) -> Result<Vec<Rejection>, Failure> {
        let (changes, refused) = plan::intake(changes, self.policy);
        let grouped = plan::group(changes, self.policy);
        self.refuse(refused);
        self.refuse(grouped.refused);
        for text in &grouped.left_out {
            warn!(name = text.name, "left out the registry TXT at the name of a CNAME, where it cannot be");
        }
        self.groups = grouped.groups;
        let zones: BTreeSet<_> =
            self.groups.iter().flat_map(|group| &group.parts).map(|part| part.zone.clone()).collect();
        for zone in &zones {
            if let Some(copy) = self.authority.copy(&self.pin, zone) {
                self.copies.insert(zone.clone(), copy);
            }
        }
        let rounds = self.groups.iter().map(|group| group.parts.len()).max().unwrap_or(0);
        for round in 0..rounds {
            for zone in &zones {
                self.apply_zone(zone, round).await?;
            }
        }
        Ok(self.rejections)
    }

    /// The parts of this round in this zone, as far as the parts before them succeeded.
    fn parts(&self, zone: &ZoneName, round: usize) -> Vec<(usize, Part)> {
        let groups = self.groups.iter().enumerate().filter(|(index, _)| !self.failed.contains(index));
        groups
            .filter_map(|(index, group)| {
                Some((index, group.parts.get(round).filter(|part| part.zone == *zone)?.clone()))
            })
            .collect()
    }

    async fn apply_zone(&mut self, zone: &ZoneName, round: usize) -> Result<(), Failure> {
        let parts = self.parts(zone, round);
        let mut run = ZoneRun::default();
        let mut steps = Vec::new();
        for (index, part) in &parts {
            match self.plan(*index, part) {
                Ok(Some(step)) => steps.push(step),
                Ok(None) => {}
                // What the copy says may be old: it is decided from a fresh read.
                Err(refusals) if self.copies.contains_key(zone) => {
                    run.doubtful.insert(*index, first_failure(&refusals));
                }
                Err(refusals) => self.reject_group(*index, refusals),
            }
        }
        self.deliver_all(zone, steps, &mut run).await?;
        self.settle(zone, round, run).await
    }

    fn plan(&self, index: usize, part: &Part) -> Result<Option<Indexed>, Vec<Refusal>> {
        let Some(group) = self.groups.get(index) else { return Ok(None) };
        Ok(plan::plan(group, part, &self.copies, self.policy)?.map(|step| Indexed { group: index, step }))
    }

    async fn deliver_all(&mut self, zone: &ZoneName, steps: Vec<Indexed>, run: &mut ZoneRun) -> Result<(), Failure> {
        let limits = Limits { endpoints: self.policy.batch_change_size, profile: self.policy.profile };
        let (batches, too_large) = plan::pack(steps, limits);
        for step in too_large {
            let (octets, (_, limit)) = (plan::batch::octets(&step.step), plan::batch::room(self.policy.profile));
            let detail = format!("about {octets} octets, {limit} fit a message");
            self.reject(&step, &Failure::new(Cause::TooLarge, detail));
        }
        for batch in batches {
            if let Some(denied) = self.deliver(zone, batch, run).await? {
                self.isolate(zone, denied, run).await?;
            }
        }
        Ok(())
    }

    /// Sends one message. Gives the batch back when the server did not want it.
    async fn deliver(&mut self, zone: &ZoneName, batch: Batch, run: &mut ZoneRun) -> Result<Option<Denied>, Failure> {
        if let Some(failure) = &run.given_up {
            batch.steps.iter().for_each(|step| self.reject(step, failure));
            return Ok(None);
        }
        if Instant::now() >= self.deadline {
            return Err(Failure::new(Cause::Deadline, format!("zone {zone}: stopped between two messages")));
        }
        let update = batch.update(zone);
        match self.authority.update(&mut self.pin, &update).await {
            Outcome::Applied if self.must_read_back(zone) => {
                let cause = Failure::new(Cause::UnverifiedReply, format!("zone {zone}: not found when read back"));
                run.succeeded |= self.confirm(zone, &batch, &cause).await?;
            }
            Outcome::Applied => {
                self.authority.remember(&self.pin, &update);
                run.succeeded = true;
                batch.steps.iter().for_each(|step| self.log_done(step));
            }
            Outcome::Unverified(failure) => {
                warn!(%failure, "a reply is not verified: reading back");
                self.authority.doubt(&self.pin, zone);
                run.succeeded |= self.confirm(zone, &batch, &failure).await?;
            }
            Outcome::PrerequisiteFailed(failure) | Outcome::Unknown(failure) => {
                run.doubtful.extend(batch.steps.iter().map(|step| (step.group, failure.clone())));
            }
            Outcome::Denied { failure, maybe_applied } => return Ok(Some(Denied { batch, failure, maybe_applied })),
            Outcome::ZoneUnusable(failure) => {
                batch.steps.iter().for_each(|step| self.reject(step, &failure));
                run.given_up = Some(failure);
            }
            Outcome::Stopped(failure) => return Err(failure),
        }
        Ok(None)
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
                    if alike >= GIVE_UP_AFTER && !run.succeeded {
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
            run.guilty.iter().for_each(|guilty| self.reject(&guilty.step, &guilty.failure));
            run.doubtful.iter().for_each(|(index, failure)| self.reject_whole(*index, failure));
            return Ok(());
        }
        let mut again = ZoneRun { last_try: true, succeeded: run.succeeded, ..ZoneRun::default() };
        let known = match self.authority.read(&mut self.pin, zone, self.deadline).await {
            Ok(contents) => {
                self.copies.insert(zone.clone(), contents);
                true
            }
            Err(failure) if failure.cause == Cause::Deadline => return Err(failure),
            Err(_) => {
                self.copies.remove(zone);
                false
            }
        };
        let mut steps = Vec::new();
        for (index, part) in self.parts(zone, round) {
            let guilty = run.guilty.iter().find(|guilty| guilty.step.group == index);
            let doubt = run.doubtful.get(&index);
            if guilty.is_none() && doubt.is_none() {
                continue;
            }
            match self.plan(index, &part) {
                Err(refusals) => self.reject_group(index, refusals),
                Ok(None) => {}
                Ok(Some(step)) if !known && self.reads_back(&step).await? => self.log_done(&step),
                Ok(Some(step)) => match guilty {
                    Some(guilty) if step == guilty.step && !guilty.maybe_applied => self.reject(&step, &guilty.failure),
                    _ => steps.push(step),
                },
            }
        }
        self.deliver_all(zone, steps, &mut again).await?;
        Box::pin(self.settle(zone, round, again)).await
    }

    /// Whether the server's word alone is not enough.
    fn must_read_back(&self, zone: &ZoneName) -> bool {
        // Samba's BIND9_DLZ loses updates in a zone with a wildcard and says NOERROR.
        let has_wildcard = |contents: &ZoneContents| contents.iter().any(|rrset| rrset.name.is_wildcard());
        !self.policy.prerequisites
            || (self.policy.profile != ServerProfile::Bind
                && self.copies.get(zone).is_some_and(|contents| has_wildcard(contents)))
    }

    /// Reads back a batch; what is not there is rejected for this cause. True when anything is there.
    async fn confirm(&mut self, zone: &ZoneName, batch: &Batch, cause: &Failure) -> Result<bool, Failure> {
        let contents = match self.authority.read(&mut self.pin, zone, self.deadline).await {
            Ok(contents) => Some(contents),
            Err(failure) if failure.cause == Cause::Deadline => return Err(failure),
            Err(_) => None,
        };
        let mut any = false;
        for step in &batch.steps {
            let done = match &contents {
                Some(contents) => step.step.is_done(contents),
                None => self.reads_back(step).await?,
            };
            any |= done;
            if done { self.log_done(step) } else { self.reject(step, cause) }
        }
        if let Some(contents) = contents {
            self.copies.insert(zone.clone(), contents);
        }
        Ok(any)
    }

    /// Asks for the exact result with an update that has prerequisites and no operations.
    async fn reads_back(&mut self, step: &Indexed) -> Result<bool, Failure> {
        match self.authority.update(&mut self.pin, &step.step.read_back()).await {
            Outcome::Applied => Ok(true),
            Outcome::Stopped(failure) => Err(failure),
            _ => Ok(false),
        }
    }

    fn log_done(&self, step: &Indexed) {
        for planned in &step.step.planned {
            info!(
                zone = %step.step.zone, name = %planned.name, r#type = %planned.rtype, op = planned.op.label(),
                server = self.authority.server(&self.pin), rcode = "NOERROR", "changed"
            );
        }
    }

    fn reject(&mut self, step: &Indexed, failure: &Failure) {
        self.reject_whole(step.group, failure);
    }

    fn reject_whole(&mut self, index: usize, failure: &Failure) {
        if !self.failed.insert(index) {
            return;
        }
        let changes = self.groups.get(index).into_iter().flat_map(Group::changes);
        let rejection =
            |change: &plan::Change| Rejection::of(change.zone.as_ref(), &change.name, change.rtype, failure.clone());
        self.rejections.extend(changes.map(rejection));
    }

    fn reject_group(&mut self, index: usize, refusals: Vec<Refusal>) {
        if self.failed.insert(index) {
            self.refuse(refusals);
        }
    }

    fn refuse(&mut self, refusals: Vec<Refusal>) {
        self.rejections.extend(refusals.into_iter().map(Rejection::from));
    }
}

/// A batch that the server did not want.
struct Denied {
    batch: Batch,
    failure: Failure,
    maybe_applied: bool,
}

fn first_failure(refusals: &[Refusal]) -> Failure {
    refusals.first().map_or_else(
        || Failure::new(Cause::Internal, ""),
        |refusal| Failure::new(Cause::from(&refusal.reason), refusal.reason.to_string()),
    )
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        let failure = Failure::new(Cause::from(&refusal.reason), refusal.reason.to_string());
        Self { zone: refusal.zone, name: refusal.name, record_type: refusal.rtype, failure }
    }
}
