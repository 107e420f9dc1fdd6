//! The delivery in one zone: send, find the guilty, decide the rest from a fresh read, and send that once more.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::command::{Failure, Fate, MessageId, Note, QuestionId, ReadId, Request};
use super::desk::Desk;
use super::isolation::{Denial, Denied, Guilty, Isolation};
use super::ledger::Verdict;
use super::planning::{Ahead, Planning};
use super::readback::{Doubt, Finding, ReadBack};
use crate::dns::{ServerProfile, ZoneContents, ZoneName};
use crate::plan::{Batch, Indexed};

/// After this many single groups denied alike, and not one success, the rest of a zone is not sent.
const GIVE_UP_AFTER: usize = 16;
/// After this many messages in a row whose answers were lost, the rest of a zone is not sent.
const GIVE_UP_AFTER_LOST: usize = 3;

/// One zone in one round.
#[derive(Debug)]
pub(super) struct Zone<F> {
    name: ZoneName,
    /// Its place among the zones of the round.
    index: usize,
    phase: Phase<F>,
    planning: Planning<F>,
    queue: VecDeque<Batch>,
    isolation: Isolation<F>,
    in_flight: BTreeMap<u64, Batch>,
    /// Messages that must be read back before anything else is sent, and what is to be told of those not found.
    unproven: Vec<(Batch, Verdict<F>)>,
    /// Groups that ask for nothing to be sent, as the copy says, which nobody has confirmed yet.
    deemed: BTreeSet<usize>,
    /// The read under way that confirms the copy.
    confirming: Option<u64>,
    /// Whether that was asked for.
    has_asked: bool,
    /// Groups to be planned again from a fresh read.
    doubtful: BTreeMap<usize, Verdict<F>>,
    /// Groups that were denied alone.
    guilty: Vec<Guilty<F>>,
    succeeded: bool,
    /// Messages in a row that were lost, those in flight together counted once.
    lost: usize,
    given_up: Option<F>,
    /// Whether this is the second and last try.
    last_try: bool,
    /// Whether the server's word alone is not enough.
    must_read_back: bool,
}

#[derive(Debug)]
enum Phase<F> {
    /// Nothing is planned yet.
    Waiting,
    Sending,
    /// Waits for a read that tells which of these messages were applied.
    Confirming(u64, Vec<(Batch, Verdict<F>)>),
    /// Waits for a read that the rest is planned from.
    Refreshing(u64),
    /// Waits for answers about what is in doubt.
    Asking(Asking<F>),
    Finished,
}

#[derive(Debug)]
struct Asking<F> {
    read_back: ReadBack<F>,
    /// What is sent when all is answered.
    left: Vec<Indexed>,
    /// Whether that is the second try.
    then_last_try: bool,
}

impl<F: Failure> Zone<F> {
    pub(super) fn new(name: ZoneName, index: usize) -> Self {
        Self {
            name,
            index,
            phase: Phase::Waiting,
            planning: Planning::of(Vec::new()),
            queue: VecDeque::new(),
            isolation: Isolation::default(),
            in_flight: BTreeMap::new(),
            unproven: Vec::new(),
            deemed: BTreeSet::new(),
            confirming: None,
            has_asked: false,
            doubtful: BTreeMap::new(),
            guilty: Vec::new(),
            succeeded: false,
            lost: 0,
            given_up: None,
            last_try: false,
            must_read_back: false,
        }
    }

    pub(super) const fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Finished)
    }

    /// What is to be done next; none while an outcome is awaited, and at the end.
    pub(super) fn next(&mut self, desk: &mut Desk<'_, F>) -> Option<Request> {
        loop {
            match &mut self.phase {
                Phase::Waiting => {
                    self.must_read_back = self.must_read_back(desk);
                    self.planning = Planning::of(desk.groups(&self.name));
                    self.phase = Phase::Sending;
                }
                Phase::Sending => return self.next_message(desk),
                Phase::Asking(asking) if asking.read_back.is_finished() => self.end_asking(desk),
                Phase::Asking(asking) => {
                    if !desk.window.is_open() {
                        return None;
                    }
                    let address = desk.address(self.index);
                    let batch = asking.read_back.ask(address.number)?;
                    desk.window.sent();
                    return Some(Request::ReadBack(QuestionId(address), batch));
                }
                Phase::Confirming(..) | Phase::Refreshing(_) | Phase::Finished => return None,
            }
        }
    }

    /// Plans some groups of the round from what is known.
    fn plan_some(&mut self, desk: &mut Desk<'_, F>) {
        let Ahead { batches, deemed, doubtful, makes_wildcard } = self.planning.some(&self.name, desk);
        self.deemed.extend(deemed);
        self.doubtful.extend(doubtful);
        // The other names of the message may get lost beside it.
        self.must_read_back |= makes_wildcard && desk.policy.profile != ServerProfile::Bind;
        self.queue.extend(batches);
    }

    fn must_read_back(&self, desk: &Desk<'_, F>) -> bool {
        // Samba's BIND9_DLZ loses updates in a zone with a wildcard and says NOERROR.
        let may_have_wildcard = || desk.copies.get(&self.name).is_none_or(|contents| contents.has_wildcard());
        !desk.policy.prerequisites || (desk.policy.profile != ServerProfile::Bind && may_have_wildcard())
    }

    fn next_message(&mut self, desk: &mut Desk<'_, F>) -> Option<Request> {
        // One ahead, whether or not it may be sent now.
        while self.queue.len() < 2 && !self.planning.is_over() {
            self.plan_some(desk);
        }
        if !self.deemed.is_empty() && !self.has_asked {
            self.has_asked = true;
            let address = desk.address(self.index);
            self.confirming = Some(address.number);
            return Some(Request::Read(ReadId(address), self.name.clone()));
        }
        while desk.window.is_open() {
            let is_quiet = self.in_flight.is_empty() && self.confirming.is_none();
            if !self.unproven.is_empty() {
                return if is_quiet { self.confirm(desk) } else { None };
            }
            let batch = if let Some(half) = self.isolation.half() {
                half
            } else if !self.isolation.is_empty() {
                if !is_quiet {
                    return None;
                }
                let guilty = self.isolation.split();
                guilty.into_iter().for_each(|guilty| self.convict(guilty));
                continue;
            } else if let Some(batch) = self.queue.pop_front() {
                batch
            } else if !self.planning.is_over() {
                self.plan_some(desk);
                continue;
            } else {
                return if is_quiet { self.end_round(desk) } else { None };
            };
            if let Some(failure) = &self.given_up {
                pass_over(&batch, failure, desk);
                continue;
            }
            let address = desk.address(self.index);
            self.in_flight.insert(address.number, batch.clone());
            desk.window.sent();
            return Some(Request::Send(MessageId(address), batch));
        }
        None
    }

    pub(super) fn sent(&mut self, number: u64, fate: Fate<F>, desk: &mut Desk<'_, F>) {
        let Some(batch) = self.in_flight.remove(&number) else { return };
        desk.window.answered(matches!(fate, Fate::Applied | Fate::Printed));
        match fate {
            Fate::Applied if self.must_read_back => self.unproven.push((batch, Verdict::NotStored(self.name.clone()))),
            Fate::Applied => {
                desk.note(Note::Remember(batch.clone()));
                (self.succeeded, self.lost) = (true, 0);
                self.queue.extend(batch.steps.iter().flat_map(|step| desk.changed(step)));
            }
            Fate::Printed => self.queue.extend(batch.steps.iter().flat_map(|step| desk.changed(step))),
            Fate::Unverified(failure) => {
                desk.note(Note::Doubt(self.name.clone()));
                self.unproven.push((batch, Verdict::Denied(failure)));
            }
            // Without a copy there is nothing to plan anew from, and after a second failure no reason to believe it.
            Fate::PrerequisiteFailed(failure) if self.last_try || !desk.copies.holds(&self.name) => {
                self.isolation.deny(Denied { batch, failure, denial: Denial::Prerequisite });
            }
            Fate::Unknown(failure) => {
                desk.window.narrow();
                if self.in_flight.is_empty() {
                    self.lost += 1;
                }
                if self.lost >= GIVE_UP_AFTER_LOST {
                    self.given_up = Some(failure.clone());
                }
                batch.steps.iter().for_each(|step| desk.ledger.accept_result(step.group, &step.step));
                if self.last_try {
                    desk.note(Note::Doubt(self.name.clone()));
                    self.unproven.push((batch, Verdict::Denied(failure)));
                } else {
                    self.be_in_doubt(&batch, &failure);
                }
            }
            Fate::PrerequisiteFailed(failure) => self.be_in_doubt(&batch, &failure),
            Fate::Denied { failure, maybe_applied } => {
                let denial = if maybe_applied { Denial::Doubtful } else { Denial::Certain };
                self.isolation.deny(Denied { batch, failure, denial });
            }
            Fate::ZoneUnusable(failure) => {
                pass_over(&batch, &failure, desk);
                self.given_up = Some(failure);
            }
        }
    }

    fn be_in_doubt(&mut self, batch: &Batch, failure: &F) {
        let doubtful = batch.steps.iter().map(|step| (step.group, Verdict::Denied(failure.clone())));
        self.doubtful.extend(doubtful);
    }

    fn convict(&mut self, guilty: Guilty<F>) {
        let Guilty { failure, denial, .. } = &guilty;
        let alike = 1 + self.guilty.iter().filter(|other| other.failure.is_like(failure)).count();
        // What DNS holds at one name says nothing of the next.
        if *denial != Denial::Prerequisite && alike >= GIVE_UP_AFTER && !self.succeeded {
            self.given_up = Some(failure.clone());
        }
        self.guilty.push(guilty);
    }

    /// Has it told what became of messages that nobody's word vouches for.
    fn confirm(&mut self, desk: &mut Desk<'_, F>) -> Option<Request> {
        let unproven = std::mem::take(&mut self.unproven);
        if desk.copies.holds(&self.name) {
            let address = desk.address(self.index);
            self.phase = Phase::Confirming(address.number, unproven);
            return Some(Request::Read(ReadId(address), self.name.clone()));
        }
        self.ask_for(unproven);
        self.next(desk)
    }

    fn ask_for(&mut self, unproven: Vec<(Batch, Verdict<F>)>) {
        let doubts = unproven.into_iter().map(|(batch, verdict)| Doubt::Unproven(batch, verdict));
        let asking = Asking { read_back: ReadBack::new(doubts), left: Vec::new(), then_last_try: false };
        self.phase = Phase::Asking(asking);
    }

    /// Ends the round, or has the zone read to decide what is doubtful or guilty.
    fn end_round(&mut self, desk: &mut Desk<'_, F>) -> Option<Request> {
        if self.last_try {
            for Guilty { step, failure, .. } in std::mem::take(&mut self.guilty) {
                desk.ledger.fail(step.group, Verdict::Denied(failure));
            }
            for (index, verdict) in std::mem::take(&mut self.doubtful) {
                desk.ledger.fail(index, verdict);
            }
        }
        if self.doubtful.is_empty() && self.guilty.is_empty() && self.deemed.is_empty() {
            self.phase = Phase::Finished;
            return None;
        }
        let address = desk.address(self.index);
        self.phase = Phase::Refreshing(address.number);
        Some(Request::Read(ReadId(address), self.name.clone()))
    }

    /// Takes a read; none when the zone cannot be read, and is unknown from now on.
    pub(super) fn read(&mut self, number: u64, contents: Option<Arc<ZoneContents>>, desk: &mut Desk<'_, F>) {
        if self.confirming == Some(number) {
            self.confirming = None;
            desk.keep(&self.name, contents);
            return self.decide_deemed(desk);
        }
        match &mut self.phase {
            Phase::Confirming(awaited, unproven) if *awaited == number => {
                let unproven = std::mem::take(unproven);
                match contents {
                    Some(contents) => self.compare(unproven, contents, desk),
                    None => {
                        desk.keep(&self.name, None);
                        self.ask_for(unproven);
                    }
                }
            }
            Phase::Refreshing(awaited) if *awaited == number => {
                let is_read = contents.is_some();
                desk.keep(&self.name, contents);
                self.plan_again(is_read, desk);
            }
            _ => {}
        }
    }

    fn compare(&mut self, unproven: Vec<(Batch, Verdict<F>)>, contents: Arc<ZoneContents>, desk: &mut Desk<'_, F>) {
        for (batch, verdict) in unproven {
            for step in &batch.steps {
                if step.step.is_done(&contents) {
                    self.succeeded = true;
                    self.queue.extend(desk.changed(step));
                } else {
                    desk.ledger.fail(step.group, verdict.clone());
                }
            }
        }
        desk.keep(&self.name, Some(contents));
        self.phase = Phase::Sending;
    }

    /// Decides from a copy that was confirmed; without one nothing is decided yet.
    fn decide_deemed(&mut self, desk: &mut Desk<'_, F>) {
        if !desk.confirmed.contains(&self.name) {
            return;
        }
        let mut steps = Vec::new();
        for index in std::mem::take(&mut self.deemed) {
            match desk.plan(index, &self.name) {
                Ok(Some(step)) => steps.push(step),
                Ok(None) => desk.ledger.done(index),
                // What is sent beside it may make room for it.
                Err(refusals) if self.planning.has_steps() => {
                    self.doubtful.insert(index, Verdict::Refused(refusals));
                }
                Err(refusals) => desk.ledger.fail(index, Verdict::Refused(refusals)),
            }
        }
        self.queue.extend(desk.pack(steps));
    }

    /// Decides what is doubtful or guilty, and asks first where the zone could not be read.
    fn plan_again(&mut self, is_read: bool, desk: &mut Desk<'_, F>) {
        let (doubtful, deemed) = (std::mem::take(&mut self.doubtful), std::mem::take(&mut self.deemed));
        let mut guilty: BTreeMap<usize, Guilty<F>> =
            std::mem::take(&mut self.guilty).into_iter().map(|guilty| (guilty.step.group, guilty)).collect();
        if !is_read {
            guilty.keys().for_each(|index| desk.ledger.guess_anew(*index));
        }
        let (mut steps, mut unanswered, mut doubts) = (Vec::new(), Vec::new(), Vec::new());
        for index in desk.groups(&self.name) {
            let guilty = guilty.remove(&index);
            let is_deemed = deemed.contains(&index);
            if guilty.is_none() && !doubtful.contains_key(&index) && !is_deemed {
                continue;
            }
            match (desk.plan(index, &self.name), guilty) {
                (Err(refusals), _) => desk.ledger.fail(index, Verdict::Refused(refusals)),
                (Ok(None), _) => desk.ledger.done(index),
                (Ok(Some(step)), Some(guilty)) if !is_read => doubts.push(Doubt::Guilty(step, guilty)),
                (Ok(Some(step)), None) if !is_read && is_deemed => doubts.push(Doubt::Deemed(step)),
                (Ok(Some(step)), None) if !is_read => unanswered.push(step),
                (Ok(Some(step)), Some(guilty)) if guilty.stays_denied(&step) => {
                    desk.ledger.fail(index, Verdict::Denied(guilty.failure));
                }
                (Ok(Some(step)), _) => steps.push(step),
            }
        }
        // A message is applied whole or not at all, so that one question is enough for all of it.
        let messages = desk.pack(unanswered).into_iter().map(Doubt::Unanswered);
        let read_back = ReadBack::new(messages.chain(doubts));
        self.phase = Phase::Asking(Asking { read_back, left: steps, then_last_try: true });
    }

    /// Takes an answer about what is in doubt.
    pub(super) fn answered(&mut self, number: u64, stands: bool, desk: &mut Desk<'_, F>) {
        let Phase::Asking(asking) = &mut self.phase else { return };
        let Some(finding) = asking.read_back.answer(number, stands) else { return };
        desk.window.answered(stands);
        match finding {
            Finding::Written(batch) => {
                self.succeeded |= !asking.then_last_try;
                self.queue.extend(batch.steps.iter().flat_map(|step| desk.changed(step)));
                // A read that began before the change may bring a copy without it.
                desk.note(Note::Remember(batch));
            }
            Finding::Stood(step) => {
                self.queue.extend(desk.stands(&step));
                desk.note(Note::Remember(Batch { steps: vec![step] }));
            }
            Finding::Left(steps) => asking.left.extend(steps),
            Finding::Failed(step, verdict) => desk.ledger.fail(step.group, verdict),
            Finding::Narrowed => {}
        }
    }

    fn end_asking(&mut self, desk: &mut Desk<'_, F>) {
        let Phase::Asking(Asking { left, then_last_try, .. }) = std::mem::replace(&mut self.phase, Phase::Sending)
        else {
            return;
        };
        self.last_try |= then_last_try;
        self.queue.extend(desk.pack(left));
    }
}

fn pass_over<F: Clone>(batch: &Batch, failure: &F, desk: &mut Desk<'_, F>) {
    batch.steps.iter().for_each(|step| desk.ledger.fail(step.group, Verdict::PassedOver(failure.clone())));
}
