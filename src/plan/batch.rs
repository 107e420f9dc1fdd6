//! Packing steps into messages: capped by endpoints and octets, no step ever split.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::step::{HIDING, Step};
use crate::dns::{Name, Prerequisite, ServerProfile, Size, Update, ZoneName};

/// Room left for the TSIG record: two names, a MAC and a dozen numbers.
const TSIG_OCTETS: usize = 1024;

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
        let hides_nothing =
            |name: &Name| HIDING.map(|rtype| Prerequisite::RrsetDoesNotExist { name: name.clone(), rtype });
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

/// Octets of a message with this step alone, before it is signed.
#[must_use]
pub(super) fn octets(step: &Step) -> usize {
    Growing::with(step).size.octets()
}

/// The octets that the steps of a message of several may take, and a step that goes alone.
#[must_use]
pub(super) const fn room(profile: ServerProfile) -> (usize, usize) {
    (profile.message_octets() - TSIG_OCTETS, profile.group_octets() - TSIG_OCTETS)
}

/// A message that steps are put into.
struct Growing<'a> {
    size: Size<'a>,
    endpoints: usize,
    /// What several steps lie below is asked for once.
    above: BTreeSet<&'a Name>,
}

impl<'a> Growing<'a> {
    fn with(step: &'a Step) -> Self {
        Self { size: Size::new(&step.zone), endpoints: 0, above: BTreeSet::new() }.and(step)
    }

    fn and(mut self, step: &'a Step) -> Self {
        self.endpoints += step.planned.len();
        step.prerequisites.iter().for_each(|prerequisite| self.size.require(prerequisite));
        for name in &step.above {
            if self.above.insert(name) {
                HIDING.into_iter().for_each(|rtype| self.size.require_absent(name, rtype));
            }
        }
        step.operations.iter().for_each(|operation| self.size.operate(operation));
        self
    }
}

/// Packs the steps of one zone in their order. Steps beyond the limit of a single one are given back.
#[must_use]
pub fn pack(steps: Vec<Indexed>, limits: Limits) -> (Vec<Batch>, Vec<Indexed>) {
    let (mut batches, mut too_large) = (Vec::<Batch>::new(), Vec::new());
    for (place, step) in places(&steps, limits).into_iter().zip(steps) {
        match (place, batches.last_mut()) {
            (Place::Nowhere, _) => too_large.push(step),
            (Place::Same, Some(batch)) => batch.steps.push(step),
            (Place::Same | Place::Next, _) => batches.push(Batch { steps: vec![step] }),
        }
    }
    (batches, too_large)
}

/// Where a step goes.
enum Place {
    /// To the steps before it.
    Same,
    /// Into a message of its own, which others may join.
    Next,
    /// It fits none.
    Nowhere,
}

fn places(steps: &[Indexed], limits: Limits) -> Vec<Place> {
    let (shared, alone) = room(limits.profile);
    let mut places = Vec::with_capacity(steps.len());
    let mut current: Option<Growing<'_>> = None;
    for Indexed { step, .. } in steps {
        // What turns out to be too much for it is not looked at again.
        let joined = current.take().filter(|message| message.endpoints + step.planned.len() <= limits.endpoints);
        let joined = joined.map(|message| message.and(step)).filter(|message| message.size.octets() <= shared);
        let (place, message) = match joined {
            Some(message) => (Place::Same, Some(message)),
            None => match Some(Growing::with(step)).filter(|message| message.size.octets() <= alone) {
                Some(message) => (Place::Next, Some(message)),
                None => (Place::Nowhere, None),
            },
        };
        places.push(place);
        current = message;
    }
    places
}
