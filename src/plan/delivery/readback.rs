//! Reading back what is doubtful in a zone that cannot be read.

use std::collections::{BTreeMap, VecDeque};

use super::isolation::Guilty;
use super::ledger::Verdict;
use crate::plan::{Batch, Indexed};

/// Messages that may stand or not, and what follows from either.
#[derive(Debug)]
pub(super) struct ReadBack<F> {
    waiting: VecDeque<Doubt<F>>,
    asked: BTreeMap<u64, Doubt<F>>,
}

/// One of them, and why it is in doubt.
#[derive(Debug)]
pub(super) enum Doubt<F> {
    /// It was sent, and what became of it is not known. What does not stand is sent once more.
    Unanswered(Batch),
    /// A copy that is lost now said that there is nothing to do.
    Deemed(Indexed),
    /// The server denied it alone.
    Guilty(Indexed, Guilty<F>),
    /// It should be there. What is not, gets this verdict.
    Unproven(Batch, Verdict<F>),
}

/// What an answer means.
#[derive(Debug)]
pub(super) enum Finding<F> {
    /// It stands, and we wrote it.
    Written(Batch),
    /// It stands, and stood before.
    Stood(Indexed),
    /// It does not stand, and may be sent once more.
    Left(Vec<Indexed>),
    /// It does not stand, and this is why.
    Failed(Indexed, Verdict<F>),
    /// Its steps are asked for one by one.
    Narrowed,
}

impl<F: Clone> ReadBack<F> {
    pub(super) fn new(doubts: impl IntoIterator<Item = Doubt<F>>) -> Self {
        Self { waiting: doubts.into_iter().collect(), asked: BTreeMap::new() }
    }

    pub(super) fn is_finished(&self) -> bool {
        self.waiting.is_empty() && self.asked.is_empty()
    }

    /// The next question, under this number.
    pub(super) fn ask(&mut self, number: u64) -> Option<Batch> {
        let doubt = self.waiting.pop_front()?;
        let batch = doubt.batch();
        self.asked.insert(number, doubt);
        Some(batch)
    }

    /// Takes the answer to a question; nothing when it was not asked here.
    pub(super) fn answer(&mut self, number: u64, stands: bool) -> Option<Finding<F>> {
        let doubt = self.asked.remove(&number)?;
        Some(match doubt {
            Doubt::Unanswered(batch) if stands => Finding::Written(batch),
            Doubt::Unanswered(batch) => Finding::Left(batch.steps),
            Doubt::Deemed(step) if stands => Finding::Stood(step),
            Doubt::Deemed(step) => Finding::Left(vec![step]),
            // Denied for certain: it was so before.
            Doubt::Guilty(step, guilty) if stands && !guilty.maybe_applied() => Finding::Stood(step),
            Doubt::Guilty(step, _) if stands => Finding::Written(Batch { steps: vec![step] }),
            Doubt::Guilty(step, guilty) if guilty.stays_denied(&step) => {
                Finding::Failed(step, Verdict::Denied(guilty.failure))
            }
            Doubt::Guilty(step, _) => Finding::Left(vec![step]),
            Doubt::Unproven(batch, _) if stands => Finding::Written(batch),
            Doubt::Unproven(batch, verdict) => self.narrow(batch, &verdict),
        })
    }

    /// A message of several steps is asked for step by step, before anything else.
    fn narrow(&mut self, mut batch: Batch, verdict: &Verdict<F>) -> Finding<F> {
        if batch.steps.len() == 1
            && let Some(step) = batch.steps.pop()
        {
            return Finding::Failed(step, verdict.clone());
        }
        for step in batch.steps.into_iter().rev() {
            self.waiting.push_front(Doubt::Unproven(Batch { steps: vec![step] }, verdict.clone()));
        }
        Finding::Narrowed
    }
}

impl<F> Doubt<F> {
    fn batch(&self) -> Batch {
        match self {
            Self::Unanswered(batch) | Self::Unproven(batch, _) => batch.clone(),
            Self::Deemed(step) | Self::Guilty(step, _) => Batch { steps: vec![step.clone()] },
        }
    }
}
