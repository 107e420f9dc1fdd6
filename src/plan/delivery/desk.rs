//! What the zones of a delivery share.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::command::{Address, Command, Note};
use super::ledger::{Ledger, Verdict};
use super::window::Window;
use crate::dns::{ZoneContents, ZoneName};
use crate::plan::{self, Batch, Copies, Indexed, Limits, Policy, Refusal};

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

    /// What a group does in this round; none when nothing is left to do.
    pub(super) fn plan(&mut self, index: usize) -> Result<Option<Indexed>, Vec<Refusal>> {
        let Some((group, part)) = self.ledger.part(index, self.round) else { return Ok(None) };
        let step = plan::plan(group, part, &self.copies, self.policy)?;
        // A registry TXT in another zone than its record's must not be written for a record that cannot be.
        for later in group.parts.iter().skip(self.round + 1) {
            plan::plan(group, later, &self.copies, self.policy)?;
        }
        if let Some(step) = &step {
            self.ledger.accept(index, step);
        }
        Ok(step.map(|step| Indexed { group: index, step: Arc::new(step) }))
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
