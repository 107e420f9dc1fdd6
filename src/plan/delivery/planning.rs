//! Planning the groups of a zone some at a time, ahead of the messages that they become.

use std::collections::VecDeque;

use super::desk::Desk;
use super::ledger::Verdict;
use crate::dns::ZoneName;
use crate::plan::{Batch, Indexed, Planned};

/// So many groups are planned at once: enough for a message or two. The rest is planned while these are under way.
const PLANNED_AT_ONCE: usize = if cfg!(test) { 3 } else { 128 };

/// What is left to plan of a zone in a round.
#[derive(Debug)]
pub(super) struct Planning<F> {
    unplanned: VecDeque<usize>,
    /// What is planned and leaves room in its message for what comes next.
    unpacked: Vec<Indexed>,
    /// Groups that cannot be done as the copy says.
    refused: Vec<(usize, Verdict<F>)>,
    has_steps: bool,
}

/// What has become of some groups.
#[derive(Debug)]
pub(super) struct Ahead<F> {
    /// Messages to be sent.
    pub(super) batches: Vec<Batch>,
    /// Groups that ask for nothing to be sent, as a copy says that nobody has confirmed yet.
    pub(super) deemed: Vec<usize>,
    /// Groups that what is sent may make room for.
    pub(super) doubtful: Vec<(usize, Verdict<F>)>,
    /// Whether a message makes a wildcard.
    pub(super) makes_wildcard: bool,
}

impl<F> Planning<F> {
    /// These groups are to be planned.
    pub(super) fn of(groups: Vec<usize>) -> Self {
        Self { unplanned: groups.into(), unpacked: Vec::new(), refused: Vec::new(), has_steps: false }
    }

    pub(super) fn is_over(&self) -> bool {
        self.unplanned.is_empty()
    }

    /// Whether anything was to be sent so far.
    pub(super) const fn has_steps(&self) -> bool {
        self.has_steps
    }

    /// Plans some groups from what is known.
    pub(super) fn some(&mut self, zone: &ZoneName, desk: &mut Desk<'_, F>) -> Ahead<F> {
        let is_certain = !desk.copies.holds(zone) || desk.confirmed.contains(zone);
        let (mut steps, mut deemed) = (std::mem::take(&mut self.unpacked), Vec::new());
        let count = self.unplanned.len().min(PLANNED_AT_ONCE);
        for index in self.unplanned.drain(..count) {
            match desk.plan(index, zone) {
                Ok(Some(step)) => steps.push(step),
                // What the copy says may be old.
                Ok(None) | Err(_) if !is_certain => deemed.push(index),
                Ok(None) => desk.ledger.done(index),
                Err(refusals) => self.refused.push((index, Verdict::Refused(refusals))),
            }
        }
        self.has_steps |= !steps.is_empty();
        let makes_wildcard = steps.iter().any(|step| step.step.planned.iter().any(Planned::makes_wildcard));
        let mut batches = desk.pack(steps);
        let mut doubtful = Vec::new();
        if !self.is_over() {
            self.unpacked = batches.pop().map(|batch| batch.steps).unwrap_or_default();
        } else if self.has_steps {
            doubtful = std::mem::take(&mut self.refused);
        } else {
            self.refused.drain(..).for_each(|(index, verdict)| desk.ledger.fail(index, verdict));
        }
        Ahead { batches, deemed, doubtful, makes_wildcard }
    }
}
