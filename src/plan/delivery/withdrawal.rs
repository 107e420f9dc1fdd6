//! Registry TXT that were written ahead, in another zone than their record's, and whose record was not written after all.
//!
//! Such a text would say that whatever somebody else has put there is ours.

use std::collections::BTreeSet;

use super::ledger::Ledger;
use crate::dns::ZoneName;
use crate::plan::canonical::canonical_set;
use crate::plan::intake::{Change, Kind};
use crate::plan::registry::speaks_for;
use crate::plan::step::{Planned, Step, exactly, operations};
use crate::plan::{Copies, Group, Policy};

/// What takes back the texts that a group has in vain; one step for each zone.
///
/// Only where a read of this apply shows that the records are not there: a record without its text would be nobody's.
pub(super) fn withdrawal<F>(
    ledger: &Ledger<F>,
    index: usize,
    copies: &Copies,
    confirmed: &BTreeSet<ZoneName>,
    policy: &Policy,
) -> Vec<Step> {
    let Some((group, steps)) = ledger.failed_after(index) else { return Vec::new() };
    let is_there = |record: &Change| {
        let copy = record.zone.as_ref().filter(|zone| confirmed.contains(*zone)).and_then(|zone| copies.get(zone));
        let (Some(copy), Some(wanted)) = (copy, record.kind.wanted()) else { return true };
        let held = copy.rrset(&record.name, record.rtype).map(|held| canonical_set(record.rtype, held.rdata));
        held.is_some_and(|held| held == wanted.rdata)
    };
    let is_written =
        |record: &Change| steps.iter().flat_map(|step| &step.planned).any(|planned| is_of(planned, record));
    let is_in_vain = |text: &Change| {
        matches!(text.kind, Kind::Create(_))
            && records_of(group, text).all(|record| !is_written(record) && !is_there(record))
    };
    let texts: Vec<&Change> = group.changes().filter(|change| change.is_registry() && is_in_vain(change)).collect();
    steps.iter().filter_map(|step| taken_back(step, &texts, policy)).collect()
}

fn records_of<'a>(group: &'a Group, text: &'a Change) -> impl Iterator<Item = &'a Change> {
    group.changes().filter(|record| !record.is_registry() && speaks_for(text, record))
}

fn is_of(planned: &Planned, change: &Change) -> bool {
    planned.name == change.name && planned.rtype == change.rtype
}

/// The way back of what a step does to these texts, as long as nobody has changed them since.
fn taken_back(step: &Step, texts: &[&Change], policy: &Policy) -> Option<Step> {
    let planned = step.planned.iter().filter(|planned| texts.iter().any(|text| is_of(planned, text)));
    let planned: Vec<Planned> = planned.map(Planned::taken_back).collect();
    if planned.is_empty() {
        return None;
    }
    let guard = |planned: &Planned| exactly(&planned.name, planned.rtype, planned.ttl, &planned.before);
    Some(Step {
        zone: step.zone.clone(),
        prerequisites: if policy.prerequisites { planned.iter().map(guard).collect() } else { Vec::new() },
        above: BTreeSet::new(),
        operations: operations(&planned),
        kept: Vec::new(),
        next: None,
        planned,
    })
}
