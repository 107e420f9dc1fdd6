//! What the zones of a delivery share.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::command::{Address, Command, Note};
use super::ledger::{Ledger, Verdict};
use super::window::Window;
use super::withdrawal::withdrawal;
use crate::dns::{ZoneContents, ZoneName};
use crate::plan::{self, Batch, Copies, Indexed, Limits, Planned, Policy, Refusal, Step};

/// Copies, ledger, and what is to be done next.
#[derive(Debug)]
pub(super) struct Desk<'a, F> {
    pub(super) policy: &'a Policy,
    pub(super) copies: Copies,
    /// Zones whose copy was read in this apply.
    pub(super) confirmed: BTreeSet<ZoneName>,
    pub(super) ledger: Ledger<F>,
    pub(super) window: Window,
    /// Goes out before anything new is asked.
    pub(super) outbox: VecDeque<Command>,
    pub(super) round: usize,
    /// What takes back what groups have in vain; in the round behind the last.
    withdrawals: BTreeMap<usize, Vec<Step>>,
    numbers: u64,
}

impl<'a, F> Desk<'a, F> {
    pub(super) const fn new(policy: &'a Policy, copies: Copies, ledger: Ledger<F>) -> Self {
        Self {
            policy,
            copies,
            confirmed: BTreeSet::new(),
            ledger,
            window: Window::new(),
            outbox: VecDeque::new(),
            round: 0,
            withdrawals: BTreeMap::new(),
            numbers: 0,
        }
    }

    pub(super) const fn address(&mut self, zone: usize) -> Address {
        self.numbers += 1;
        Address { zone, number: self.numbers }
    }

    /// Takes what was read of a zone; none when it cannot be read, and is unknown from now on.
    pub(super) fn keep(&mut self, zone: &ZoneName, contents: Option<Arc<ZoneContents>>) {
        if let Some(contents) = contents {
            self.copies.insert(zone.clone(), contents);
            self.confirmed.insert(zone.clone());
        } else {
            self.copies.remove(zone);
            self.confirmed.remove(zone);
        }
    }

    pub(super) fn note(&mut self, note: Note) {
        self.outbox.push_back(Command::Note(note));
    }

    /// Finds what is to be taken back; whether that is anything.
    pub(super) fn find_withdrawals(&mut self) -> bool {
        let of = |index| withdrawal(&self.ledger, index, &self.copies, &self.confirmed, self.policy);
        let found = self.ledger.divided().map(|index| (index, of(index))).filter(|(_, steps)| !steps.is_empty());
        self.withdrawals = found.collect();
        // What was read before it is sent says nothing of it.
        self.confirmed.clear();
        !self.withdrawals.is_empty()
    }

    /// Groups that have something to do in this round in a zone.
    pub(super) fn groups(&self, zone: &ZoneName) -> Vec<usize> {
        let withdrawing = self.withdrawals.iter().filter(|(_, steps)| steps.iter().any(|step| step.zone == *zone));
        withdrawing.map(|(index, _)| *index).chain(self.ledger.indices(zone, self.round)).collect()
    }

    /// What a group does in this round in a zone; none when nothing is left to do.
    pub(super) fn plan(&mut self, index: usize, zone: &ZoneName) -> Result<Option<Indexed>, Vec<Refusal>> {
        if let Some(steps) = self.withdrawals.get(&index) {
            let step = steps.iter().find(|step| step.zone == *zone).filter(|step| self.is_to_do(step));
            return Ok(step.map(|step| Indexed { group: index, step: Arc::new(step.clone()) }));
        }
        let Some((group, part)) = self.ledger.part(index, self.round) else { return Ok(None) };
        let copies = self.copies_before(index);
        let step = plan::plan(group, part, &copies, self.policy)?;
        // A registry TXT in another zone than its record's must not be written for a record that cannot be.
        for later in group.parts.iter().skip(self.round + 1) {
            plan::plan(group, later, &copies, self.policy)?;
        }
        let Some(step) = step.map(Arc::new) else { return Ok(None) };
        self.ledger.accept(index, &step);
        self.ledger.does(index, self.round, &step);
        Ok(Some(Indexed { group: index, step }))
    }

    /// A text that was changed since stays as it is.
    fn is_to_do(&self, withdrawal: &Step) -> bool {
        let Some(copy) = self.copies.get(&withdrawal.zone).filter(|_| self.confirmed.contains(&withdrawal.zone)) else {
            return true;
        };
        let held = |planned: &Planned| copy.rrset(&planned.name, planned.rtype).map(|held| held.rdata);
        withdrawal.planned.iter().all(|planned| held(planned) == Some(planned.before.as_slice()))
    }

    /// The copies without what the group has written in the rounds before: its own text does not make a record its own.
    fn copies_before(&self, index: usize) -> Cow<'_, Copies> {
        let mut copies = Cow::Borrowed(&self.copies);
        let mut steps: Vec<&Step> =
            self.ledger.steps_before(index, self.round).flat_map(|step| step.portions()).collect();
        steps.reverse();
        for step in steps {
            let Some(contents) = copies.get(&step.zone) else { continue };
            let mut contents = Arc::clone(contents);
            for planned in &step.planned {
                planned.undo_in(Arc::make_mut(&mut contents));
            }
            copies.to_mut().insert(step.zone.clone(), contents);
        }
        copies
    }

    /// As few messages as the steps fit; groups that were rejected before go first, and alone.
    pub(super) fn pack(&mut self, steps: Vec<Indexed>) -> Vec<Batch> {
        let Policy { batch_change_size, profile, .. } = *self.policy;
        let (alone, together): (Vec<_>, Vec<_>) =
            steps.into_iter().partition(|step| self.ledger.goes_alone(step.group));
        let (mut batches, mut too_large) = plan::pack(alone, Limits { endpoints: 0, profile });
        let (shared, more) = plan::pack(together, Limits { endpoints: batch_change_size, profile });
        batches.extend(shared);
        too_large.extend(more);
        for step in too_large {
            let (octets, (_, limit)) = (plan::batch::octets(&step.step), plan::batch::room(profile));
            self.ledger.fail(step.group, Verdict::TooLarge { octets, limit });
        }
        batches
    }

    /// We did this; gives what is to be sent next.
    pub(super) fn changed(&mut self, step: &Indexed) -> Vec<Batch> {
        self.note(Note::Tell(Arc::clone(&step.step)));
        self.stands(step)
    }

    /// The result of this stands; gives what is to be sent next.
    pub(super) fn stands(&mut self, step: &Indexed) -> Vec<Batch> {
        if let Some(next) = &step.step.next {
            return self.pack(vec![Indexed { group: step.group, step: Arc::clone(next) }]);
        }
        self.ledger.done(step.group);
        Vec::new()
    }
}
