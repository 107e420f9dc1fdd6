//! Groups: changes that are applied together or not at all.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::Policy;
use super::alias::{Aliases, aliases};
use super::hidden::note_hidden;
use super::intake::{Change, Kind};
use super::reason::{Reason, Refusal};
use super::registry::unaccompanied;
use crate::dns::{Name, RecordType, ZoneName};

/// All changes of connected names: those of one name, and the registry TXT that speak for it.
#[derive(Debug, Clone)]
pub struct Group {
    /// One message each, in this order; the next is not sent when one fails. Nearly always one.
    pub parts: Vec<Part>,
    /// The aliases of the whole apply.
    pub aliases: Arc<Aliases>,
}

/// Groups that ask for the same, whatever else their applies ask for.
impl PartialEq for Group {
    fn eq(&self, other: &Self) -> bool {
        self.parts == other.parts
    }
}

impl Eq for Group {}

/// The changes of a group in one zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The zone.
    pub zone: ZoneName,
    /// Its changes.
    pub changes: Vec<Change>,
}

impl Group {
    /// All changes of the group.
    pub fn changes(&self) -> impl Iterator<Item = &Change> {
        self.parts.iter().flat_map(|part| &part.changes)
    }

    /// The refusal of the whole group because of one of its changes.
    #[must_use]
    pub fn refuse(&self, culprit: &Change, reason: &Reason) -> Vec<Refusal> {
        refuse(self.changes(), culprit, reason)
    }
}

/// What [`group`] makes of the changes.
#[derive(Debug, Clone, Default)]
pub struct Grouped {
    /// Groups without a problem so far.
    pub groups: Vec<Group>,
    /// Changes of groups that cannot be applied.
    pub refused: Vec<Refusal>,
    /// What is left out while the rest of its group is done: registry TXT in the format of ExternalDNS up to 0.17 beside a
    /// CNAME, and targets that an alias cannot have.
    pub left_out: Vec<Refusal>,
}

impl Grouped {
    /// The changes of the groups, to be supplemented.
    pub fn changes_mut(&mut self) -> impl Iterator<Item = &mut Change> {
        self.groups.iter_mut().flat_map(|group| &mut group.parts).flat_map(|part| &mut part.changes)
    }
}

/// Groups changes by owner name and `ownedRecord` label.
#[must_use]
pub fn group(mut changes: Vec<Change>, policy: &Policy) -> Grouped {
    let mut grouped = Grouped::default();
    unaccompanied(&mut changes);
    note_hidden(&mut changes);
    let aliases = Arc::new(aliases(&changes));
    let mut components = components(changes);
    for component in &mut components {
        grouped.left_out.extend(leave_out_legacy_texts(component));
        let narrowed = |change: &Change| change.narrowed.clone().map(|reason| change.refusal(reason));
        grouped.left_out.extend(component.iter().filter_map(narrowed));
    }
    refuse_excess_deletes(&mut components, policy.max_deletes);
    for component in components.into_iter().filter(|component| !component.is_empty()) {
        match problem(&component) {
            Some((culprit, reason)) => grouped.refused.extend(refuse(component.iter(), culprit, &reason)),
            None => grouped.groups.push(Group { parts: parts(component), aliases: Arc::clone(&aliases) }),
        }
    }
    grouped
}

fn refuse<'a>(changes: impl Iterator<Item = &'a Change>, culprit: &Change, reason: &Reason) -> Vec<Refusal> {
    let goes_with = || Reason::GoesWith {
        name: culprit.name.to_undotted(),
        rtype: culprit.rtype.to_string(),
        source: Box::new(reason.clone()),
    };
    changes.map(|change| change.refusal(if change == culprit { reason.clone() } else { goes_with() })).collect()
}

/// Connected components over owner names.
fn components(changes: Vec<Change>) -> Vec<Vec<Change>> {
    let mut names = Connected::default();
    let of_change: Vec<usize> = changes
        .iter()
        .map(|change| {
            let number = names.number(&change.name);
            if let Some(owned) = &change.owned_record {
                let owned = names.number(owned);
                names.connect(number, owned);
            }
            number
        })
        .collect();
    let roots: Vec<usize> = of_change.into_iter().map(|number| names.root(number)).collect();
    let mut components: Vec<Vec<Change>> = Vec::new();
    let mut component_of = HashMap::new();
    for (change, root) in changes.into_iter().zip(roots) {
        let at = *component_of.entry(root).or_insert_with(|| {
            components.push(Vec::new());
            components.len() - 1
        });
        if let Some(component) = components.get_mut(at) {
            component.push(change);
        }
    }
    components
}

/// Names, numbered, and which of them are connected: each leads to another of its component, or is its root.
#[derive(Default)]
struct Connected {
    numbers: HashMap<Name, usize>,
    leads_to: Vec<usize>,
}

impl Connected {
    fn number(&mut self, name: &Name) -> usize {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.leads_to.len();
        self.leads_to.push(number);
        self.numbers.insert(name.clone(), number);
        number
    }

    fn connect(&mut self, one: usize, other: usize) {
        let (one, other) = (self.root(one), self.root(other));
        self.lead(one, other);
    }

    /// The root of a name's component; all on the way lead there directly from then on.
    fn root(&mut self, number: usize) -> usize {
        let next = |of: usize, leads_to: &[usize]| leads_to.get(of).copied().unwrap_or(of);
        let mut root = number;
        while next(root, &self.leads_to) != root {
            root = next(root, &self.leads_to);
        }
        let mut at = number;
        while at != root {
            let after = next(at, &self.leads_to);
            self.lead(at, root);
            at = after;
        }
        root
    }

    fn lead(&mut self, from: usize, to: usize) {
        self.leads_to.get_mut(from).into_iter().for_each(|leads_to| *leads_to = to);
    }
}

/// The first change that cannot be done, and why. A record comes before its registry TXT, which often shares its fate.
fn problem(component: &[Change]) -> Option<(&Change, Reason)> {
    let culprit =
        component.iter().filter(|change| change.problem.is_some()).min_by_key(|change| change.is_registry())?;
    let reason = culprit.problem.clone()?;
    if culprit.is_registry() && reason == Reason::OutsideZones {
        return Some((culprit, Reason::RegistryOutsideZones(culprit.name.to_undotted())));
    }
    Some((culprit, reason))
}

/// ExternalDNS up to 0.17 puts a second registry TXT at the record's own name, where none can be beside a CNAME. One that is
/// there from a time before the CNAME goes.
fn leave_out_legacy_texts(component: &mut Vec<Change>) -> Vec<Refusal> {
    let becomes_cname = |change: &Change| change.rtype == RecordType::CNAME && change.kind.wanted().is_some();
    let aliases: BTreeSet<Name> =
        component.iter().filter(|change| becomes_cname(change)).map(|change| change.name.clone()).collect();
    let mut left_out = Vec::new();
    component.retain_mut(|change| {
        let is_legacy = change.owned_record.as_ref() == Some(&change.name) && aliases.contains(&change.name);
        if !is_legacy || change.kind.wanted().is_none() {
            return true;
        }
        left_out.push(change.refusal(Reason::CnameNotAlone(RecordType::CNAME)));
        let Kind::Update { old, .. } = &change.kind else { return false };
        change.kind = Kind::Delete { old: old.clone() };
        true
    });
    left_out
}

/// Above the limit no record set is deleted without replacement.
fn refuse_excess_deletes(components: &mut [Vec<Change>], limit: Option<usize>) {
    let Some(limit) = limit else { return };
    let is_counted = |change: &Change, component: &[Change]| {
        let replaced = || component.iter().any(|other| other.name == change.name && other.kind.wanted().is_some());
        matches!(change.kind, Kind::Delete { .. }) && !change.is_registry() && !replaced()
    };
    let counted = |component: &Vec<Change>| component.iter().filter(|change| is_counted(change, component)).count();
    let count = components.iter().map(counted).sum();
    if count <= limit {
        return;
    }
    for component in components {
        let excess: Vec<bool> = component.iter().map(|change| is_counted(change, component)).collect();
        for (change, _) in component.iter_mut().zip(excess).filter(|(_, excess)| *excess) {
            change.problem.get_or_insert(Reason::TooManyDeletes { count, limit });
        }
    }
}

/// One part per zone: a registry TXT of another zone than its record's comes first, but for deletes, where it comes last.
fn parts(component: Vec<Change>) -> Vec<Part> {
    if let [first, others @ ..] = component.as_slice()
        && let Some(zone) = first.zone.clone().filter(|_| others.iter().all(|other| other.zone == first.zone))
    {
        return vec![Part { zone, changes: component }];
    }
    let mut ranked: BTreeMap<(u8, ZoneName), Vec<Change>> = BTreeMap::new();
    let record_zones: BTreeSet<_> =
        component.iter().filter(|change| !change.is_registry()).filter_map(|change| change.zone.clone()).collect();
    for change in component {
        let Some(zone) = change.zone.clone() else { continue };
        let rank = match &change.kind {
            _ if record_zones.is_empty() || record_zones.contains(&zone) => 1,
            Kind::Delete { .. } => 2,
            Kind::Create(_) | Kind::Update { .. } => 0,
        };
        ranked.entry((rank, zone)).or_default().push(change);
    }
    ranked.into_iter().map(|((_, zone), changes)| Part { zone, changes }).collect()
}
