//! What became of each group.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::dns::ZoneName;
use crate::plan::canonical::canonical_set;
use crate::plan::{Change, Group, Part, Planned, Refusal, Step};

/// The groups of one apply, and what is known of each.
#[derive(Debug, Clone)]
pub struct Ledger<F> {
    groups: Vec<Group>,
    /// So many groups at the beginning share no message with others.
    alone: usize,
    /// Parts of each group that are not done yet.
    left: Vec<usize>,
    verdicts: BTreeMap<usize, Verdict<F>>,
    /// Groups of which the guess was changed.
    guessed: BTreeSet<usize>,
    /// Groups as they were asked, where what is accepted of DNS has become more since.
    asked: BTreeMap<usize, Group>,
    /// What groups of several parts do in each round.
    steps: BTreeMap<usize, BTreeMap<usize, Arc<Step>>>,
}

/// Why a group was not applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict<F> {
    /// The server does not want it, or it cannot be decided what became of it.
    Denied(F),
    /// The server says that it is done, and it is not there.
    NotStored(ZoneName),
    /// What DNS holds does not allow it.
    Refused(Vec<Refusal>),
    /// It was not sent, for a reason that is not its own.
    PassedOver(F),
    /// It does not fit a message.
    TooLarge {
        /// Octets of the message.
        octets: usize,
        /// The limit.
        limit: usize,
    },
}

/// What became of one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State<'a, F> {
    /// DNS is as asked.
    Done,
    /// It was not applied, and will not be.
    Failed(&'a Verdict<F>),
    /// The delivery was stopped before it came to it, or before it knew.
    Open,
}

impl<F> Ledger<F> {
    /// Takes the groups of an apply; those in `alone` share no message with others.
    #[must_use]
    pub fn new(alone: Vec<Group>, together: Vec<Group>) -> Self {
        let count = alone.len();
        let groups: Vec<Group> = alone.into_iter().chain(together).collect();
        let left = groups.iter().map(|group| group.parts.len()).collect();
        Self {
            groups,
            alone: count,
            left,
            verdicts: BTreeMap::new(),
            guessed: BTreeSet::new(),
            asked: BTreeMap::new(),
            steps: BTreeMap::new(),
        }
    }

    /// Every group as it was asked, with what became of it, and whether what it starts from was guessed anew.
    pub fn close(&mut self) -> impl Iterator<Item = (&Group, State<'_, F>, bool)> {
        // As it was asked, so that it is known again.
        let guessed = std::mem::take(&mut self.guessed);
        guessed.iter().for_each(|index| self.guess_anew(*index));
        self.guessed = guessed;
        for (index, asked) in std::mem::take(&mut self.asked) {
            self.groups.get_mut(index).into_iter().for_each(|group| *group = asked.clone());
        }
        let (verdicts, left, guessed) = (&self.verdicts, &self.left, &self.guessed);
        self.groups.iter().enumerate().map(move |(index, group)| {
            let state = match verdicts.get(&index) {
                Some(verdict) => State::Failed(verdict),
                None if left.get(index) == Some(&0) => State::Done,
                None => State::Open,
            };
            (group, state, guessed.contains(&index))
        })
    }

    pub(super) fn zones(&self) -> BTreeSet<ZoneName> {
        self.groups.iter().flat_map(|group| &group.parts).map(|part| part.zone.clone()).collect()
    }

    /// Most parts that a group has.
    pub(super) fn rounds(&self) -> usize {
        self.groups.iter().map(|group| group.parts.len()).max().unwrap_or(0)
    }

    /// Groups that have a part of this round in this zone, and of which no former part failed.
    pub(super) fn indices(&self, zone: &ZoneName, round: usize) -> Vec<usize> {
        let takes_part = |index: &usize| self.part(*index, round).is_some_and(|(_, part)| part.zone == *zone);
        (0..self.groups.len()).filter(|index| !self.verdicts.contains_key(index)).filter(takes_part).collect()
    }

    pub(super) fn part(&self, index: usize, round: usize) -> Option<(&Group, &Part)> {
        let group = self.groups.get(index)?;
        Some((group, group.parts.get(round)?))
    }

    pub(super) const fn goes_alone(&self, index: usize) -> bool {
        index < self.alone
    }

    /// The other end of the values that an earlier update of an unread zone may have left comes first now.
    pub(super) fn guess_anew(&mut self, index: usize) {
        self.guessed.insert(index);
        let parts = self.groups.get_mut(index).into_iter().flat_map(|group| &mut group.parts);
        parts.flat_map(|part| &mut part.changes).for_each(|change| change.accepted.reverse());
    }

    /// From now on its own portions are no reason to take an RRset for somebody else's.
    pub(super) fn accept(&mut self, index: usize, step: &Step) {
        let Some(group) = self.groups.get_mut(index).filter(|_| step.next.is_some()) else { return };
        self.asked.entry(index).or_insert_with(|| group.clone());
        accept(group, step.portions().flat_map(|portion| &portion.planned).filter(|planned| planned.is_passing));
    }

    /// Whatever became of a message, its result is no reason to take an RRset for somebody else's.
    pub(super) fn accept_result(&mut self, index: usize, step: &Step) {
        let Some(group) = self.groups.get_mut(index).filter(|group| group.parts.len() > 1) else { return };
        self.asked.entry(index).or_insert_with(|| group.clone());
        accept(group, step.portions().flat_map(|portion| &portion.planned));
    }

    /// This is what a group does in a round, and where it has others, what tells them from what was there before.
    pub(super) fn does(&mut self, index: usize, round: usize, step: &Arc<Step>) {
        if self.groups.get(index).is_some_and(|group| group.parts.len() > 1) {
            self.steps.entry(index).or_default().insert(round, Arc::clone(step));
        }
    }

    /// What the group has done before a round.
    pub(super) fn steps_before(&self, index: usize, round: usize) -> impl Iterator<Item = &Arc<Step>> {
        self.steps.get(&index).into_iter().flat_map(move |steps| steps.range(..round)).map(|(_, step)| step)
    }

    /// A group that failed when some of its parts were done, and what it had done.
    pub(super) fn failed_after(&self, index: usize) -> Option<(&Group, Vec<&Arc<Step>>)> {
        let group = self.groups.get(index).filter(|_| self.verdicts.contains_key(&index))?;
        let done = group.parts.len() - self.left.get(index)?;
        let steps: Vec<_> = self.steps_before(index, done).collect();
        (!steps.is_empty()).then_some((group, steps))
    }

    /// The groups that have several parts.
    pub(super) fn divided(&self) -> impl Iterator<Item = usize> {
        self.groups.iter().enumerate().filter(|(_, group)| group.parts.len() > 1).map(|(index, _)| index)
    }

    /// A part of the group is as desired.
    pub(super) fn done(&mut self, index: usize) {
        if let Some(left) = self.left.get_mut(index) {
            *left = left.saturating_sub(1);
        }
    }

    /// The first verdict stands.
    pub(super) fn fail(&mut self, index: usize, verdict: Verdict<F>) {
        self.verdicts.entry(index).or_insert(verdict);
    }
}

/// From now on these results may be ours.
fn accept<'a>(group: &mut Group, planned: impl Iterator<Item = &'a Planned>) {
    for planned in planned {
        let state = canonical_set(planned.rtype, &planned.after);
        let is_it = |change: &&mut Change| change.name == planned.name && change.rtype == planned.rtype;
        let changes = group.parts.iter_mut().flat_map(|part| &mut part.changes);
        changes.filter(is_it).for_each(|change| change.accepted.push(state.clone()));
    }
}
