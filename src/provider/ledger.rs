//! What became of each group of an apply.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use super::status::Rejection;
use super::{Cause, Failure};
use crate::dns::ZoneName;
use crate::plan::{Change, Copies, Group, Kind, Part, Refusal, Rejected, Unsettled};

/// What is kept from one apply to the next.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Groups that were rejected, with what was told of each.
    pub(super) rejected: Rejected<Vec<Rejection>>,
    /// Updates that may have left either value; for callers that never read the zone.
    pub(super) unsettled: Unsettled,
}

/// The groups of one apply, and what is known of each.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    groups: Vec<Group>,
    /// Groups that share no message with others.
    alone: BTreeSet<usize>,
    /// Parts of each group that are not done yet.
    left: BTreeMap<usize, usize>,
    failed: BTreeMap<usize, Failed>,
    /// Of what never came to be a group, or is not tried in this apply.
    beforehand: Vec<Rejection>,
    /// Groups of which the guess was changed.
    guessed: BTreeSet<usize>,
    /// Changes of groups that are not tried in this apply.
    not_tried: Vec<Change>,
}

#[derive(Debug)]
struct Failed {
    rejections: Vec<Rejection>,
    /// Whether the group itself was at fault; otherwise it was not even sent.
    is_guilty: bool,
}

impl Failed {
    fn by_prerequisite(&self) -> bool {
        self.rejections.iter().all(|rejection| rejection.failure.cause == Cause::PrerequisiteFailed)
    }
}

impl Ledger {
    /// Takes the groups of an apply; those that were rejected before go alone, or not at all yet.
    pub(super) fn open(groups: Vec<Group>, memory: &mut Memory, copies: &Copies, now: SystemTime) -> Self {
        let admitted = memory.rejected.admit(groups, copies, now);
        let mut ledger = Self::default();
        for (group, told) in admitted.held_back {
            ledger.beforehand.extend(told);
            ledger.not_tried.extend(group.changes().cloned());
        }
        ledger.alone = (0..admitted.alone.len()).collect();
        ledger.groups = admitted.alone.into_iter().chain(admitted.together).collect();
        ledger.left = ledger.groups.iter().map(|group| group.parts.len()).enumerate().collect();
        ledger
    }

    pub(super) fn group(&self, index: usize) -> Option<&Group> {
        self.groups.get(index)
    }

    pub(super) fn zones(&self) -> BTreeSet<ZoneName> {
        self.groups.iter().flat_map(|group| &group.parts).map(|part| part.zone.clone()).collect()
    }

    /// Most parts that a group has.
    pub(super) fn rounds(&self) -> usize {
        self.groups.iter().map(|group| group.parts.len()).max().unwrap_or(0)
    }

    /// The parts of this round in this zone, of groups whose former parts succeeded.
    pub(super) fn parts(&self, zone: &ZoneName, round: usize) -> Vec<(usize, Part)> {
        let groups = self.groups.iter().enumerate().filter(|(index, _)| !self.failed.contains_key(index));
        let part = |group: &Group| group.parts.get(round).filter(|part| part.zone == *zone).cloned();
        groups.filter_map(|(index, group)| Some((index, part(group)?))).collect()
    }

    /// The other end of the values that an earlier update of an unread zone may have left comes first now.
    pub(super) fn guess_anew(&mut self, index: usize) {
        self.guessed.insert(index);
        let parts = self.groups.get_mut(index).into_iter().flat_map(|group| &mut group.parts);
        parts.flat_map(|part| &mut part.changes).for_each(|change| change.accepted.reverse());
    }

    pub(super) fn goes_alone(&self, index: usize) -> bool {
        self.alone.contains(&index)
    }

    /// A part of the group is as desired.
    pub(super) fn done(&mut self, index: usize) {
        if let Some(left) = self.left.get_mut(&index) {
            *left = left.saturating_sub(1);
        }
    }

    /// The server does not want the group, or it cannot be decided what became of it.
    pub(super) fn reject(&mut self, index: usize, failure: &Failure) {
        self.fail(index, failure, true);
    }

    /// The group was not sent, for a reason that is not its own.
    pub(super) fn pass_over(&mut self, index: usize, failure: &Failure) {
        self.fail(index, failure, false);
    }

    fn fail(&mut self, index: usize, failure: &Failure, is_guilty: bool) {
        let Some(group) = self.groups.get(index) else { return };
        let rejection =
            |change: &Change| Rejection::of(change.zone.as_ref(), &change.name, change.rtype, failure.clone());
        let rejections = group.changes().map(rejection).collect();
        self.failed.entry(index).or_insert(Failed { rejections, is_guilty });
    }

    /// What DNS holds does not allow the group.
    pub(super) fn refuse(&mut self, index: usize, refusals: Vec<Refusal>) {
        let rejections = refusals.into_iter().map(Rejection::from).collect();
        self.failed.entry(index).or_insert(Failed { rejections, is_guilty: true });
    }

    /// What never came to be a group.
    pub(super) fn refuse_beforehand(&mut self, refusals: Vec<Refusal>) {
        self.beforehand.extend(refusals.into_iter().map(Rejection::from));
    }

    /// Hands over what the next apply must know, and everything that was rejected.
    pub(super) fn close(mut self, memory: &mut Memory, copies: &Copies, now: SystemTime) -> Vec<Rejection> {
        // As it was asked, so that it is known again.
        for index in std::mem::take(&mut self.guessed) {
            self.guess_anew(index);
        }
        let mut rejections = self.beforehand;
        for (index, group) in self.groups.iter().enumerate() {
            let is_done = self.left.get(&index) == Some(&0);
            match self.failed.get(&index) {
                Some(failed) => {
                    rejections.extend_from_slice(&failed.rejections);
                    if failed.is_guilty {
                        memory.rejected.reject(group, failed.rejections.clone(), copies, now);
                    }
                }
                None if is_done => memory.rejected.settle(group),
                None => {}
            }
            let is_refuted =
                self.guessed.contains(&index) && self.failed.get(&index).is_some_and(Failed::by_prerequisite);
            for change in group.changes() {
                let is_wrong_guess = is_refuted && matches!(change.kind, Kind::Create(_));
                if is_done || is_wrong_guess { memory.unsettled.settle(change) } else { memory.unsettled.keep(change) }
            }
        }
        self.not_tried.iter().for_each(|change| memory.unsettled.keep(change));
        rejections
    }
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        let failure = Failure::new(Cause::from(&refusal.reason), refusal.reason.to_string());
        Self { zone: refusal.zone, name: refusal.name, record_type: refusal.rtype, failure }
    }
}
