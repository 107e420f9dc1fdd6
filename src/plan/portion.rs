//! Steps that do not fit a message: shorter where the server allows it, else done in portions.
//!
//! Each portion changes one RRset, starts from exactly what the one before has left, and has every other prerequisite of
//! the whole. What comes into being comes with the last one, so that a record never stands without its registry TXT.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Policy;
use super::batch::{octets, room};
use super::step::{Op, Planned, Step, exactly};
use crate::dns::{Operation, Rdata, ServerProfile};

/// Another RRset of the step is listed in each portion too, unless it has more records.
const FEW: usize = 16;

/// Makes a step fit, if that can be done; whether it may be done in portions is the caller's to know.
pub(super) fn fit(step: Step, may_divide: bool, policy: &Policy) -> Step {
    let (_, limit) = room(policy.profile);
    if octets(&step) <= limit {
        return step;
    }
    if policy.profile == ServerProfile::Bind && policy.prerequisites {
        let short = shortened(&step);
        if octets(&short) <= limit {
            return short;
        }
    }
    divide(&step, limit).filter(|_| may_divide).unwrap_or(step)
}

/// Whether what a step ends with could be deleted again.
pub(super) fn can_be_undone(step: &Step, may_divide: bool, policy: &Policy) -> Result<(), usize> {
    let (_, limit) = room(policy.profile);
    let mut undo = Step { prerequisites: Vec::new(), operations: Vec::new(), planned: Vec::new(), ..step.clone() };
    for planned in step.planned.iter().filter(|planned| !planned.after.is_empty()) {
        let planned = planned.reversed();
        if policy.prerequisites {
            undo.prerequisites.push(exactly(&planned.name, planned.rtype, planned.ttl, &planned.before));
        }
        undo.operations.extend(planned.deletes());
        undo.planned.push(planned);
    }
    let undo = fit(undo, may_divide, policy);
    let largest = undo.portions().map(octets).max().unwrap_or_default();
    if largest <= limit { Ok(()) } else { Err(largest) }
}

/// An RRset that is listed and then loses all of its records is deleted as such.
///
/// Not on Samba, whose listing passes where a part of the RRset is listed: what somebody has added meanwhile would go too.
fn shortened(step: &Step) -> Step {
    let mut short = step.clone();
    for planned in &step.planned {
        let goes =
            |operation: &Operation| matches!(operation, Operation::Delete { .. }) && planned.is_changed_by(operation);
        let gone = step.operations.iter().filter(|operation| goes(operation)).count();
        if gone > 0 && gone == planned.before.len() {
            short.operations.retain(|operation| !goes(operation));
            let whole = Operation::DeleteRrset { name: planned.name.clone(), rtype: planned.rtype };
            short.operations.insert(0, whole);
        }
    }
    short
}

/// The first portion, with the others behind it; none when that does not help.
fn divide(step: &Step, limit: usize) -> Option<Step> {
    let (mut portions, mut rest) = (Vec::new(), step.clone());
    while octets(&rest) > limit {
        let work =
            |planned: &Planned| rest.operations.iter().filter(|operation| planned.is_changed_by(operation)).count();
        let can_be = |(_, planned): &(usize, &Planned)| !planned.before.is_empty() && !planned.goes_whole();
        let (index, _) = rest.planned.iter().enumerate().filter(can_be).max_by_key(|(_, planned)| work(planned))?;
        portions.push(take(&mut rest, index, limit)?);
    }
    if !rest.planned.is_empty() {
        portions.push(rest);
    }
    portions.into_iter().rev().reduce(|next, portion| Step { next: Some(Arc::new(next)), ..portion })
}

/// Takes as much of the work on one RRset as fits a message; none when that is nothing.
fn take(rest: &mut Step, index: usize, limit: usize) -> Option<Step> {
    let planned = rest.planned.get(index)?.clone();
    let (work, others): (Vec<_>, Vec<_>) =
        rest.operations.iter().cloned().partition(|operation| planned.is_changed_by(operation));
    let pairs = in_pairs(&work);
    let with = |count: usize| Step {
        prerequisites: rest
            .prerequisites
            .iter()
            .filter(|&required| planned.is_listed_by(required) || required.records() <= FEW)
            .cloned()
            .collect(),
        operations: pairs.iter().take(count).flatten().copied().cloned().collect(),
        planned: Vec::new(),
        kept: Vec::new(),
        ..rest.clone()
    };
    let counts: Vec<usize> = (1..=pairs.len()).collect();
    let count = counts.partition_point(|count| octets(&with(*count)) <= limit);
    let mut portion = with(count);
    let left: Vec<Operation> = pairs.iter().skip(count).flatten().copied().cloned().collect();
    if count == 0 {
        return None;
    }
    let after = becomes(&planned.before, &portion.operations);
    portion.planned.push(Planned {
        op: if after.is_empty() { Op::Delete } else { Op::Update },
        after: after.clone(),
        is_passing: !left.is_empty(),
        ..planned.clone()
    });
    if let Some(own) = rest.prerequisites.iter().position(|required| planned.is_listed_by(required)) {
        rest.prerequisites.remove(own);
        let listed = exactly(&planned.name, planned.rtype, planned.ttl, &after);
        rest.prerequisites.extend(Some(listed).filter(|_| !left.is_empty()));
    }
    if left.is_empty() {
        rest.planned.remove(index);
    } else {
        rest.planned.get_mut(index)?.before = after;
    }
    rest.operations = [others, left].concat();
    rest.operations.sort_by_key(|operation| matches!(operation, Operation::Add { .. }));
    Some(portion)
}

/// A deletion with an addition, as long as there are both: so the RRset is never gone, and what gets another TTL comes
/// back in the message that it goes in.
fn in_pairs(work: &[Operation]) -> Vec<Vec<&Operation>> {
    fn rdata(operation: &Operation) -> Option<&Rdata> {
        match operation {
            Operation::Add { rdata, .. } | Operation::Delete { rdata, .. } => Some(rdata),
            Operation::DeleteRrset { .. } => None,
        }
    }
    let (mut added, mut deleted): (Vec<_>, Vec<_>) =
        work.iter().partition(|operation| matches!(operation, Operation::Add { .. }));
    let set = |operations: &[&Operation]| operations.iter().copied().filter_map(rdata).cloned().collect();
    let (new, old): (BTreeSet<Rdata>, BTreeSet<Rdata>) = (set(&added), set(&deleted));
    let is_in =
        |set: &BTreeSet<Rdata>, operation: &Operation| rdata(operation).is_some_and(|rdata| set.contains(rdata));
    deleted.sort_by_key(|operation| (!is_in(&new, operation), rdata(operation)));
    added.sort_by_key(|operation| (!is_in(&old, operation), rdata(operation)));
    let pairs = deleted.len().max(added.len());
    let (mut deleted, mut added) = (deleted.into_iter(), added.into_iter());
    (0..pairs).map(|_| deleted.next().into_iter().chain(added.next()).collect()).collect()
}

fn becomes(before: &[Rdata], operations: &[Operation]) -> Vec<Rdata> {
    let mut records: BTreeSet<&Rdata> = before.iter().collect();
    for operation in operations {
        match operation {
            Operation::Add { rdata, .. } => drop(records.insert(rdata)),
            Operation::Delete { rdata, .. } => drop(records.remove(rdata)),
            Operation::DeleteRrset { .. } => records.clear(),
        }
    }
    records.into_iter().cloned().collect()
}
