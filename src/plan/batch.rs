//! Packing steps into messages: capped by endpoints and octets, no step ever split.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::step::{Step, hides_nothing};
use crate::dns::{Name, Operation, Prerequisite, ServerProfile, Update, ZoneName};

/// Room left for header, zone section and TSIG.
const OVERHEAD_OCTETS: usize = 1024;

/// A step with the index of the group it does a part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Indexed {
    /// Index of the group.
    pub group: usize,
    /// The step.
    pub step: Arc<Step>,
}

/// The steps of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Steps of one zone, at least one.
    pub steps: Vec<Indexed>,
}

/// The limits of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Endpoints per message at most.
    pub endpoints: usize,
    /// What the servers can take.
    pub profile: ServerProfile,
}

impl Batch {
    /// The message's update: every step's deletes before any step's adds, since names do not overlap.
    #[must_use]
    pub fn update(&self, zone: &ZoneName) -> Update {
        let mut update = Update { zone: zone.clone(), prerequisites: Vec::new(), operations: Vec::new() };
        let mut above = BTreeSet::new();
        for Indexed { step, .. } in &self.steps {
            update.prerequisites.extend_from_slice(&step.prerequisites);
            update.operations.extend_from_slice(&step.operations);
            above.extend(&step.above);
        }
        update.prerequisites.extend(above.into_iter().flat_map(hides_nothing));
        update
    }

    /// An update that changes nothing and succeeds only where the result of every step stands, exactly; see
    /// [`Step::read_back`].
    #[must_use]
    pub fn read_back(&self, zone: &ZoneName, unused: &str) -> Update {
        let mut update = Update { zone: zone.clone(), prerequisites: Vec::new(), operations: Vec::new() };
        for Indexed { step, .. } in &self.steps {
            for prerequisite in step.read_back(unused).prerequisites {
                if !update.prerequisites.contains(&prerequisite) {
                    update.prerequisites.push(prerequisite);
                }
            }
        }
        update
    }

    /// The zone that all its steps are in; none when there is no step.
    #[must_use]
    pub fn zone(&self) -> Option<&ZoneName> {
        self.steps.first().map(|step| &step.step.zone)
    }

    /// Two halves, each with at least one step.
    ///
    /// # Errors
    /// Gives the batch back when it has a single step.
    pub fn split(mut self) -> Result<(Self, Self), Self> {
        if self.steps.len() < 2 {
            return Err(self);
        }
        let second = self.steps.split_off(self.steps.len() / 2);
        Ok((self, Self { steps: second }))
    }
}

/// Estimated octets of a step that is alone in its message.
#[must_use]
pub fn octets(step: &Step) -> usize {
    own_octets(step) + octets_above(&step.above)
}

fn octets_above<'a>(names: impl IntoIterator<Item = &'a Name>) -> usize {
    names.into_iter().flat_map(hides_nothing).map(|prerequisite| prerequisite.octets()).sum()
}

fn own_octets(step: &Step) -> usize {
    let prerequisites: usize = step.prerequisites.iter().map(Prerequisite::octets).sum();
    let operations: usize = step.operations.iter().map(Operation::octets).sum();
    prerequisites + operations
}

/// The octets that the steps of a message of several may take, and a step that goes alone.
#[must_use]
pub fn room(profile: ServerProfile) -> (usize, usize) {
    (profile.message_octets() - OVERHEAD_OCTETS, profile.group_octets() - OVERHEAD_OCTETS)
}

/// Packs the steps of one zone in their order. Steps beyond the limit of a single one are given back.
#[must_use]
pub fn pack(steps: Vec<Indexed>, limits: Limits) -> (Vec<Batch>, Vec<Indexed>) {
    let (shared, alone) = room(limits.profile);
    let (mut batches, mut too_large) = (Vec::new(), Vec::new());
    let (mut current, mut endpoints, mut size) = (Vec::new(), 0, 0);
    // What several steps lie below is asked for once.
    let mut above = BTreeSet::new();
    for step in steps {
        let count = step.step.planned.len();
        if octets(&step.step) > alone {
            too_large.push(step);
            continue;
        }
        let octets = |above: &BTreeSet<Name>| own_octets(&step.step) + octets_above(step.step.above.difference(above));
        if !current.is_empty() && (endpoints + count > limits.endpoints || size + octets(&above) > shared) {
            batches.push(Batch { steps: std::mem::take(&mut current) });
            (endpoints, size) = (0, 0);
            above.clear();
        }
        (endpoints, size) = (endpoints + count, size + octets(&above));
        above.extend(step.step.above.iter().cloned());
        current.push(step);
    }
    if !current.is_empty() {
        batches.push(Batch { steps: current });
    }
    (batches, too_large)
}
