//! From a part of a group and what DNS holds to prerequisites and exact-value operations (RFC 2136 §2.4 and §2.5).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Policy;
use super::batch::{octets, room};
use super::canonical::canonical_set;
use super::copies::Copies;
use super::decision::View;
use super::group::{Group, Part};
use super::intake::Change;
use super::portion::{can_be_undone, fit};
use super::reason::{Reason, Refusal};
use crate::dns::{Name, Operation, Prerequisite, Rdata, RecordType, Rrset, Ttl, Update, ZoneContents, ZoneName};

/// What one message, or a share of one, does for a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The zone.
    pub zone: ZoneName,
    /// What must hold.
    pub prerequisites: Vec<Prerequisite>,
    /// Names above those it writes at which there must be no delegation and no DNAME, which would hide them.
    pub above: BTreeSet<Name>,
    /// Deletes, then adds.
    pub operations: Vec<Operation>,
    /// The RRsets it changes.
    pub planned: Vec<Planned>,
    /// RRsets that it was to delete and that stay, each with the other owner whom the registry TXT names.
    pub kept: Vec<(Name, RecordType, String)>,
    /// What follows when this is done, where all of it does not fit a message.
    pub next: Option<Arc<Self>>,
}

/// What becomes of one RRset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// Owner name.
    pub name: Name,
    /// Record type.
    pub rtype: RecordType,
    /// What is done.
    pub op: Op,
    /// RDATA that it starts from, none when it does not exist.
    pub before: Vec<Rdata>,
    /// RDATA that it ends with, none when it is deleted.
    pub after: Vec<Rdata>,
    /// TTL that it ends with.
    pub ttl: Ttl,
    /// Whether the records that stay get another TTL.
    pub(super) retimed: bool,
    /// Whether the server may delete name servers only all at once.
    pub(super) whole_ns: bool,
    /// Whether the result is but a state on the way, with any TTL.
    pub(super) is_passing: bool,
    /// Whether nothing is known at its name, nor below, and the server can tell.
    pub(super) at_unused_name: bool,
}

/// What is done to an RRset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// It comes into being.
    Create,
    /// It changes.
    Update,
    /// It goes.
    Delete,
}

impl Op {
    /// For logs and metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

impl Step {
    /// An update that changes nothing and succeeds only where this step's result stands, exactly.
    ///
    /// Samba's BIND9_DLZ takes what a wildcard would answer for what is there. So it must not take the same for a name
    /// beside it, of which `unused` is the first label, and which nobody has.
    #[must_use]
    pub fn read_back(&self, unused: &str) -> Update {
        let mut prerequisites = Vec::new();
        for planned in &self.planned {
            prerequisites.push(exactly(&planned.name, planned.rtype, planned.ttl, &planned.after));
            if let Some(name) = self.beside(planned, unused) {
                let absent = Prerequisite::RrsetDoesNotExist { name, rtype: planned.rtype };
                if !prerequisites.contains(&absent) {
                    prerequisites.push(absent);
                }
            }
        }
        Update { zone: self.zone.clone(), prerequisites, operations: Vec::new() }
    }

    /// A name that the same wildcard would answer for, where one could be taken for the result.
    fn beside(&self, planned: &Planned, unused: &str) -> Option<Name> {
        if planned.after.is_empty() || planned.name.is_wildcard() {
            return None;
        }
        let parent = planned.name.parent().filter(|parent| parent.is_at_or_below(self.zone.as_name()))?;
        Name::from_labels([unused.as_bytes()].into_iter().chain(parent.labels())).ok()
    }

    /// This step and what follows it.
    pub fn portions(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |step| step.next.as_deref())
    }

    /// Whether the zone holds this step's result.
    #[must_use]
    pub fn is_done(&self, contents: &ZoneContents) -> bool {
        self.planned.iter().all(|planned| {
            let held = contents.rrset(&planned.name, planned.rtype);
            planned.is_result(held.map(|held| (held.rdata, held.ttl)))
        })
    }
}

/// Plans a part; none when nothing is left to do.
///
/// # Errors
/// When one of its changes cannot be done, the refusal of the whole group.
pub fn plan(group: &Group, part: &Part, copies: &Copies, policy: &Policy) -> Result<Option<Step>, Vec<Refusal>> {
    let contents = copies.get(&part.zone).map(Arc::as_ref);
    let view = View { group, contents, infrastructure: copies.infrastructure(&part.zone), copies, policy };
    let mut planned = Vec::new();
    for change in &part.changes {
        match view.plan(change) {
            Ok(plan) => planned.extend(plan),
            Err(reason) => return Err(group.refuse(change, &reason)),
        }
    }
    for plan in &planned {
        if let Some(reason) = view.cname_conflict(plan, &planned) {
            let culprit = part.changes.iter().find(|change| change.name == plan.name && change.rtype == plan.rtype);
            return Err(culprit.map(|culprit| group.refuse(culprit, &reason)).unwrap_or_default());
        }
    }
    if planned.is_empty() {
        return Ok(None);
    }
    let kept = |change: &Change| Some((change.name.clone(), change.rtype, view.keeps_for(change)?));
    let (mut prerequisites, mut above) = (Vec::new(), BTreeSet::new());
    if policy.prerequisites {
        for prerequisite in planned.iter().flat_map(|plan| plan.prerequisites(&planned)) {
            if !prerequisites.contains(&prerequisite) {
                prerequisites.push(prerequisite);
            }
        }
        above = view.above(&part.zone, &planned);
    }
    let step = Step {
        zone: part.zone.clone(),
        prerequisites,
        above,
        operations: operations(&planned),
        kept: part.changes.iter().filter_map(kept).collect(),
        planned,
        next: None,
    };
    // What has become of a portion whose answer was lost could not be told where the zone cannot be read.
    let may_divide = contents.is_some();
    let (_, limit) = room(policy.profile);
    // What is listed, deleted and added within this fits, and so does what undoes it.
    if octets(&step) <= limit / 4 {
        return Ok(Some(step));
    }
    if let Err(octets) = can_be_undone(&step, may_divide, policy)
        && let Some(grown) = step.planned.iter().find(|plan| plan.after.len() > plan.before.len())
    {
        let culprit = part.changes.iter().find(|change| change.name == grown.name && change.rtype == grown.rtype);
        let reason = Reason::TooLarge { octets, limit };
        return Err(culprit.map(|culprit| group.refuse(culprit, &reason)).unwrap_or_default());
    }
    Ok(Some(fit(step, may_divide, policy)))
}

/// Deletes, then adds.
pub(super) fn operations(planned: &[Planned]) -> Vec<Operation> {
    planned.iter().flat_map(Planned::deletes).chain(planned.iter().flat_map(Planned::adds)).collect()
}

/// What hides everything below its name: a delegation, and a DNAME.
pub(super) const HIDING: [RecordType; 2] = [RecordType::NS, RecordType::DNAME];

/// Every type that IANA has assigned and that none may stay of where a CNAME replaces something: all data, but what
/// DNSSEC puts beside a CNAME.
fn beside_no_cname() -> impl Iterator<Item = RecordType> {
    // Without SOA, CNAME, SIG, KEY, NXT, RRSIG, NSEC, DNSKEY and what is no data.
    let ranges = [1..=4, 7..=23, 26..=29, 31..=40, 42..=45, 49..=49, 51..=53, 55..=65, 99..=99, 104..=109, 256..=261];
    ranges.into_iter().flatten().chain(32768..=32769).map(RecordType::from)
}

/// The RRset is exactly this, or is not there.
pub(super) fn exactly(name: &Name, rtype: RecordType, ttl: Ttl, rdata: &[Rdata]) -> Prerequisite {
    Rrset::new(name.clone(), rtype, ttl, rdata.to_vec())
        .map_or_else(|| Prerequisite::RrsetDoesNotExist { name: name.clone(), rtype }, Prerequisite::RrsetEquals)
}

impl Planned {
    fn prerequisites(&self, all: &[Self]) -> Vec<Prerequisite> {
        let absent = |rtype| Prerequisite::RrsetDoesNotExist { name: self.name.clone(), rtype };
        let mut prerequisites = vec![exactly(&self.name, self.rtype, self.ttl, &self.before)];
        if !self.before.is_empty() {
            return prerequisites;
        }
        // One for all types: a message holds more, and the server looks once.
        if self.at_unused_name {
            return vec![Prerequisite::NameNotInUse(self.name.clone())];
        }
        let starts_with =
            |rtype| all.iter().any(|other| other.name == self.name && other.rtype == rtype && !other.before.is_empty());
        if self.rtype != RecordType::CNAME {
            prerequisites.extend((!starts_with(RecordType::CNAME)).then(|| absent(RecordType::CNAME)));
        } else if all.iter().any(|other| other.name == self.name && !other.before.is_empty()) {
            // A server ignores a CNAME beside other data without a word, after it has deleted what the CNAME replaces.
            prerequisites.extend(beside_no_cname().filter(|rtype| !starts_with(*rtype)).map(absent));
        } else {
            prerequisites = vec![Prerequisite::NameNotInUse(self.name.clone())];
        }
        prerequisites
    }

    /// Records go by their exact value, so that others at the name stay.
    ///
    /// A record that only gets another TTL goes as well: Knot and YADIFA ignore the addition of RDATA that is there.
    pub(super) fn deletes(&self) -> Vec<Operation> {
        let (name, rtype) = (&self.name, self.rtype);
        if self.goes_whole() {
            return vec![Operation::DeleteRrset { name: name.clone(), rtype }];
        }
        let gone = self.before.iter().filter(|rdata| self.retimed || !self.after.contains(rdata));
        gone.map(|rdata| Operation::Delete { name: name.clone(), rtype, rdata: rdata.clone() }).collect()
    }

    fn adds(&self) -> impl Iterator<Item = Operation> {
        let is_new = |rdata: &Rdata| self.retimed || self.goes_whole() || !self.before.contains(rdata);
        self.after.iter().filter(move |rdata| is_new(rdata)).map(|rdata| Operation::Add {
            name: self.name.clone(),
            rtype: self.rtype,
            ttl: self.ttl,
            rdata: rdata.clone(),
        })
    }

    /// Whether this is what the RRset is to end with: these records, and where any was written, its TTL.
    #[must_use]
    pub fn is_result(&self, held: Option<(&[Rdata], Ttl)>) -> bool {
        let (rdata, ttl) = held.unwrap_or((&[], self.ttl));
        let is_timed = self.is_passing || ttl == self.ttl || self.adds().next().is_none();
        is_timed && canonical_set(self.rtype, rdata) == canonical_set(self.rtype, &self.after)
    }

    /// Whether a wildcard stands afterwards.
    pub(super) fn makes_wildcard(&self) -> bool {
        self.name.is_wildcard() && !self.after.is_empty()
    }

    /// Whether an operation is one on this RRset.
    pub(super) fn is_changed_by(&self, operation: &Operation) -> bool {
        *operation.name() == self.name && operation.rtype() == self.rtype
    }

    /// Whether a prerequisite says what this RRset holds.
    pub(super) fn is_listed_by(&self, prerequisite: &Prerequisite) -> bool {
        match prerequisite {
            Prerequisite::RrsetEquals(rrset) => *rrset.name() == self.name && rrset.rtype() == self.rtype,
            _ => false,
        }
    }

    /// Puts into a copy of the zone what was there before.
    pub(super) fn undo_in(&self, contents: &mut ZoneContents) {
        contents.remove_rrset(&self.name, self.rtype);
        for rdata in &self.before {
            contents.add(&self.name, self.rtype, self.ttl, rdata.clone());
        }
    }

    /// The way back, with the TTL as it is now.
    pub(super) fn taken_back(&self) -> Self {
        let (before, after) = (self.after.clone(), self.before.clone());
        let op = if after.is_empty() { Op::Delete } else { Op::Update };
        Self { op, before, after, retimed: false, is_passing: false, at_unused_name: false, ..self.clone() }
    }

    /// The deletion of its result.
    pub(super) fn reversed(&self) -> Self {
        let (before, after) = (self.after.clone(), Vec::new());
        Self { op: Op::Delete, before, after, retimed: false, is_passing: false, ..self.clone() }
    }

    /// Whether the RRset is deleted as such, instead of record by record.
    pub(super) fn goes_whole(&self) -> bool {
        let loses = || self.before.iter().any(|rdata| self.retimed || !self.after.contains(rdata));
        self.whole_ns && self.rtype == RecordType::NS && loses()
    }
}
