//! The delivery of an apply: which message goes next, what is read back, what is done and what is rejected.
//!
//! A state machine without I/O, clock or log. Whoever drives it performs each [`Command`] that [`Delivery::next`] gives, as
//! many at once as it gives, and hands each [`Outcome`] back, in any order. When there is no command and no outcome is
//! awaited, the delivery is at its end, and the [`Ledger`] tells what became of each group.

mod command;
mod desk;
mod isolation;
mod ledger;
mod planning;
mod readback;
#[cfg(test)]
mod tests;
mod window;
mod withdrawal;
mod zone;

use std::collections::BTreeMap;

pub use command::{Command, Failure, Fate, MessageId, Note, Outcome, QuestionId, ReadId, Request};
pub use ledger::{Ledger, State, Verdict};

use super::{Copies, Policy};
use crate::dns::ZoneName;
use desk::Desk;
use zone::Zone;

/// One apply under way.
#[derive(Debug)]
pub struct Delivery<'a, F> {
    desk: Desk<'a, F>,
    /// Zones that are read before anything is planned, as long as they are.
    looking: BTreeMap<u64, ZoneName>,
    has_begun: bool,
    zones: Vec<Zone<F>>,
    stopped: Option<F>,
}

impl<'a, F: Failure> Delivery<'a, F> {
    /// Delivers the groups of a ledger, planned against these copies.
    #[must_use]
    pub const fn new(policy: &'a Policy, copies: Copies, ledger: Ledger<F>) -> Self {
        let desk = Desk::new(policy, copies, ledger);
        Self { desk, looking: BTreeMap::new(), has_begun: false, zones: Vec::new(), stopped: None }
    }

    /// What is to be done now; none while only outcomes can tell, and at the end.
    #[expect(clippy::should_implement_trait, reason = "after none there may be more, once an outcome was taken")]
    pub fn next(&mut self) -> Option<Command> {
        if !self.has_begun {
            self.has_begun = true;
            self.begin();
        }
        loop {
            if let Some(command) = self.desk.outbox.pop_front() {
                return Some(command);
            }
            if self.stopped.is_some() || !self.looking.is_empty() {
                return None;
            }
            if let Some(request) = self.zones.iter_mut().find_map(|zone| zone.next(&mut self.desk)) {
                self.desk.outbox.push_back(Command::Ask(request));
            } else if self.desk.outbox.is_empty() {
                let is_over = self.zones.iter().all(Zone::is_finished);
                let (next, rounds) = (self.desk.round + 1, self.desk.ledger.rounds());
                if !is_over || next > rounds || (next == rounds && !self.desk.find_withdrawals()) {
                    return None;
                }
                self.start(next);
            }
        }
    }

    fn begin(&mut self) {
        // Without prerequisites nothing but a fresh copy tells what somebody else has written since the last one.
        if !self.desk.policy.prerequisites {
            for zone in self.desk.ledger.zones() {
                let address = self.desk.address(0);
                self.desk.outbox.push_back(Command::Ask(Request::Read(ReadId(address), zone.clone())));
                self.looking.insert(address.number, zone);
            }
        }
        self.start(0);
    }

    /// The parts of a group follow each other, so that a round begins when the one before is at its end everywhere. In the
    /// one behind the last, what was written in vain is taken back.
    fn start(&mut self, round: usize) {
        self.desk.round = round;
        let zones = self.desk.ledger.zones().into_iter().enumerate();
        self.zones = zones.map(|(index, zone)| Zone::new(zone, index)).collect();
    }

    /// Takes what came of a command.
    pub fn take(&mut self, outcome: Outcome<F>) {
        let Self { desk, zones, .. } = self;
        match outcome {
            Outcome::Sent(MessageId(at), fate) => {
                zones.get_mut(at.zone).into_iter().for_each(|zone| zone.sent(at.number, fate.clone(), desk));
            }
            Outcome::Read(ReadId(at), contents) => match self.looking.remove(&at.number) {
                Some(zone) if contents.is_some() => desk.keep(&zone, contents),
                Some(_) => {}
                None => {
                    zones.get_mut(at.zone).into_iter().for_each(|zone| zone.read(at.number, contents.clone(), desk))
                }
            },
            Outcome::ReadBack(QuestionId(at), stands) => {
                zones.get_mut(at.zone).into_iter().for_each(|zone| zone.answered(at.number, stands, desk));
            }
        }
    }

    /// Nothing more is sent or asked; what is under way still counts.
    pub fn stop(&mut self, failure: F) {
        self.stopped.get_or_insert(failure);
        self.desk.outbox.retain(|command| matches!(command, Command::Note(_)));
    }

    /// What became of each group, the copies as they are known now, and what stopped the delivery, if something did.
    #[must_use]
    pub fn close(self) -> (Ledger<F>, Copies, Option<F>) {
        (self.desk.ledger, self.desk.copies, self.stopped)
    }
}
