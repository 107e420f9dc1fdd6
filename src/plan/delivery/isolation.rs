//! Finds the guilty: halves what the server does not want, both halves before either is halved further.

use std::collections::VecDeque;

use crate::plan::{Batch, Indexed};

/// Messages that were denied, and their halves.
#[derive(Debug)]
pub(super) struct Isolation<F> {
    denied: Vec<Denied<F>>,
    halves: VecDeque<Batch>,
}

/// A message that the server did not want.
#[derive(Debug)]
pub(super) struct Denied<F> {
    pub(super) batch: Batch,
    pub(super) failure: F,
    pub(super) denial: Denial,
}

/// What a denial is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denial {
    /// DNS holds something else at one of the names.
    Prerequisite,
    /// Nothing was applied.
    Certain,
    /// It may have been applied all the same.
    Doubtful,
}

/// A step that was denied alone.
#[derive(Debug)]
pub(super) struct Guilty<F> {
    pub(super) step: Indexed,
    pub(super) failure: F,
    pub(super) denial: Denial,
}

impl<F> Default for Isolation<F> {
    fn default() -> Self {
        Self { denied: Vec::new(), halves: VecDeque::new() }
    }
}

impl<F> Isolation<F> {
    pub(super) fn is_empty(&self) -> bool {
        self.denied.is_empty() && self.halves.is_empty()
    }

    pub(super) fn deny(&mut self, denied: Denied<F>) {
        self.denied.push(denied);
    }

    /// The next half to send.
    pub(super) fn half(&mut self) -> Option<Batch> {
        self.halves.pop_front()
    }

    /// Halves the message that was denied last; a single step comes back as guilty.
    ///
    /// To be called when no half is left, and none is under way.
    pub(super) fn split(&mut self) -> Option<Guilty<F>> {
        let Denied { batch, failure, denial } = self.denied.pop()?;
        match batch.split() {
            Ok((first, second)) => {
                self.halves.extend([second, first]);
                None
            }
            Err(single) => {
                let step = single.steps.into_iter().next()?;
                Some(Guilty { step, failure, denial })
            }
        }
    }
}

impl<F> Guilty<F> {
    /// Whether the server would have to answer the same again.
    pub(super) fn stays_denied(&self, step: &Indexed) -> bool {
        *step == self.step && !self.maybe_applied()
    }

    pub(super) fn maybe_applied(&self) -> bool {
        self.denial == Denial::Doubtful
    }
}
