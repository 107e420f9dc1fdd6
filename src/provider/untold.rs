//! The lines of the log about what was changed, which nobody who waits for an answer has to wait for.

use std::collections::VecDeque;
use std::sync::Arc;

use tracing::{Span, info, warn};

use crate::plan::{Planned, Step};

/// Steps that are done, and that are told in the log when nobody waits for something else.
#[derive(Debug, Default)]
pub(super) struct Untold {
    steps: VecDeque<(Span, Arc<Step>)>,
    server: String,
    dry_run: bool,
}

impl Untold {
    pub(super) fn new(dry_run: bool) -> Self {
        Self { dry_run, ..Self::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Keeps a step under the span that it was done in.
    pub(super) fn keep(&mut self, step: &Arc<Step>, server: String) {
        if self.server != server {
            self.tell(usize::MAX);
            self.server = server;
        }
        self.steps.push_back((Span::current(), Arc::clone(step)));
    }

    /// Tells so many steps, in the order in which they were done.
    pub(super) fn tell(&mut self, most: usize) {
        let count = self.steps.len().min(most);
        for (span, step) in self.steps.drain(..count) {
            span.in_scope(|| tell(&step, &self.server, self.dry_run));
        }
    }
}

fn tell(step: &Step, server: &str, dry_run: bool) {
    for (name, rtype, owner) in &step.kept {
        warn!(%name, r#type = %rtype, owner, "stays: its registry TXT names another owner too, and only our text went");
    }
    for Planned { name, rtype, op, .. } in &step.planned {
        if dry_run {
            info!(zone = %step.zone, %name, r#type = %rtype, op = op.label(), server, "printed, not sent");
        } else {
            info!(
                zone = %step.zone, %name, r#type = %rtype, op = op.label(), server, rcode = "NOERROR", "changed"
            );
        }
    }
}
