//! What is kept from one apply to the next: groups that were rejected, and updates that may have left either value.

use std::time::SystemTime;

use super::status::Rejection;
use super::{Cause, Failure};
use crate::plan::delivery::{Ledger, State, Verdict};
use crate::plan::{Change, Copies, Group, Kind, Quarantine, Refusal, UnknownFates};

/// What is kept from one apply to the next.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Groups that were rejected, with what was told of each.
    pub(super) quarantine: Quarantine<Vec<Rejection>>,
    /// Updates that may have left either value; for callers that never read the zone.
    pub(super) unknown_fates: UnknownFates,
}

/// What is not tried in this apply.
#[derive(Debug, Default)]
pub(super) struct HeldBack {
    changes: Vec<Change>,
    rejections: Vec<Rejection>,
}

impl Memory {
    /// Sorts the groups of an apply; those that were rejected before go alone, or not at all yet.
    pub(super) fn triage(
        &mut self,
        groups: Vec<Group>,
        copies: &Copies,
        now: SystemTime,
    ) -> (Ledger<Failure>, HeldBack) {
        let triage = self.quarantine.triage(groups, copies, now);
        let mut held_back = HeldBack::default();
        for (group, told) in triage.held_back {
            held_back.rejections.extend(told);
            held_back.changes.extend(group.changes().cloned());
        }
        (Ledger::new(triage.alone, triage.together), held_back)
    }

    /// Keeps what the next apply must know, and returns everything that was rejected.
    pub(super) fn close(
        &mut self,
        mut ledger: Ledger<Failure>,
        held_back: HeldBack,
        copies: &Copies,
        now: SystemTime,
    ) -> Vec<Rejection> {
        let mut rejections = held_back.rejections;
        for (group, state, was_guessed) in ledger.close() {
            let mut is_refuted = false;
            match state {
                State::Done => self.quarantine.release(group),
                State::Failed(verdict) => {
                    let told = told(group, verdict);
                    let by_prerequisite = |told: &Rejection| told.failure.cause == Cause::PrerequisiteFailed;
                    is_refuted = was_guessed && told.iter().all(by_prerequisite);
                    rejections.extend_from_slice(&told);
                    if is_guilty(verdict) {
                        self.quarantine.reject(group, told, copies, now);
                    }
                }
                State::Open => {}
            }
            for change in group.changes() {
                let is_wrong_guess = is_refuted && matches!(change.kind, Kind::Create(_));
                if state == State::Done || is_wrong_guess {
                    self.unknown_fates.forget(change);
                } else {
                    self.unknown_fates.keep(change, now);
                }
            }
        }
        held_back.changes.iter().for_each(|change| self.unknown_fates.keep(change, now));
        self.unknown_fates.expire(now);
        rejections
    }
}

/// Whether the group itself was at fault; otherwise it was not even sent.
const fn is_guilty(verdict: &Verdict<Failure>) -> bool {
    match verdict {
        Verdict::Denied(_) | Verdict::NotStored(_) | Verdict::Refused(_) => true,
        Verdict::PassedOver(_) | Verdict::TooLarge { .. } => false,
    }
}

fn told(group: &Group, verdict: &Verdict<Failure>) -> Vec<Rejection> {
    let failure = match verdict {
        Verdict::Refused(refusals) => return refusals.iter().cloned().map(Rejection::from).collect(),
        Verdict::Denied(failure) | Verdict::PassedOver(failure) => failure.clone(),
        Verdict::NotStored(zone) => Failure::new(Cause::NotStored, format!("zone {zone}: not found when read back")),
        Verdict::TooLarge { octets, limit } => {
            Failure::new(Cause::TooLarge, format!("{octets} octets, {limit} fit a message"))
        }
    };
    let of = |change: &Change| Rejection::of(change.zone.as_ref(), &change.name, change.rtype, failure.clone());
    group.changes().map(of).collect()
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        let failure = Failure::new(Cause::from(&refusal.reason), refusal.reason.to_string());
        Self { zone: refusal.zone, name: refusal.name, record_type: refusal.rtype, failure }
    }
}
