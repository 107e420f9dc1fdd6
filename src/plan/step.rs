//! From a part of a group and what DNS holds to prerequisites and exact-value operations (RFC 2136 §2.4 and §2.5).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Policy;
use super::canonical::canonical_targets;
use super::group::{Group, Part};
use super::intake::{Change, Kind, Wanted};
use super::listing::hiding_delegation;
use super::ownership::{Claim, claim};
use super::reason::{Reason, Refusal};
use crate::dns::zone::RrsetRef;
use crate::dns::{Name, Operation, Prerequisite, Rdata, RecordType, Rrset, Ttl, Update, ZoneContents, ZoneName};

/// What was last read of each zone. A zone that is not there is unknown: the caller's old values stand in.
pub type Copies = BTreeMap<ZoneName, Arc<ZoneContents>>;

/// Types of which none may stay where a CNAME replaces something.
const BESIDE_NO_CNAME: [RecordType; 9] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::TXT,
    RecordType::MX,
    RecordType::SRV,
    RecordType::NS,
    RecordType::PTR,
    RecordType::NAPTR,
    RecordType::DNAME,
];

/// What one message, or a share of one, does for a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The zone.
    pub zone: ZoneName,
    /// What must hold.
    pub prerequisites: Vec<Prerequisite>,
    /// Deletes, then adds.
    pub operations: Vec<Operation>,
    /// The RRsets it changes.
    pub planned: Vec<Planned>,
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
    retimed: bool,
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
    /// The update that does this step alone.
    #[must_use]
    pub fn update(&self) -> Update {
        Update {
            zone: self.zone.clone(),
            prerequisites: self.prerequisites.clone(),
            operations: self.operations.clone(),
        }
    }

    /// An update that changes nothing and succeeds only where this step's result stands, exactly.
    #[must_use]
    pub fn read_back(&self) -> Update {
        let is = |planned: &Planned| exactly(&planned.name, planned.rtype, planned.ttl, &planned.after);
        Update { zone: self.zone.clone(), prerequisites: self.planned.iter().map(is).collect(), operations: Vec::new() }
    }

    /// Whether the zone holds this step's result.
    #[must_use]
    pub fn is_done(&self, contents: &ZoneContents) -> bool {
        self.planned
            .iter()
            .all(|planned| held(Some(contents), planned).map_or(&[][..], |rrset| rrset.rdata) == planned.after)
    }
}

fn held<'a>(contents: Option<&'a ZoneContents>, planned: &Planned) -> Option<RrsetRef<'a>> {
    contents?.rrset(&planned.name, planned.rtype)
}

/// Plans a part; none when nothing is left to do.
///
/// # Errors
/// When one of its changes cannot be done, the refusal of the whole group.
pub fn plan(group: &Group, part: &Part, copies: &Copies, policy: &Policy) -> Result<Option<Step>, Vec<Refusal>> {
    let contents = copies.get(&part.zone).map(Arc::as_ref);
    let view = View { group, contents, copies, policy };
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
    Ok((!planned.is_empty()).then(|| step(part.zone.clone(), planned, policy.prerequisites)))
}

fn step(zone: ZoneName, planned: Vec<Planned>, with_prerequisites: bool) -> Step {
    let mut prerequisites = Vec::new();
    if with_prerequisites {
        for plan in &planned {
            for prerequisite in plan.prerequisites(&planned) {
                if !prerequisites.contains(&prerequisite) {
                    prerequisites.push(prerequisite);
                }
            }
        }
    }
    let operations = planned.iter().flat_map(Planned::deletes).chain(planned.iter().flat_map(Planned::adds)).collect();
    Step { zone, prerequisites, operations, planned }
}

/// The RRset is exactly this, or is not there.
fn exactly(name: &Name, rtype: RecordType, ttl: Ttl, rdata: &[Rdata]) -> Prerequisite {
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
        let starts_with =
            |rtype| all.iter().any(|other| other.name == self.name && other.rtype == rtype && !other.before.is_empty());
        if self.rtype != RecordType::CNAME {
            prerequisites.extend((!starts_with(RecordType::CNAME)).then(|| absent(RecordType::CNAME)));
        } else if all.iter().any(|other| other.name == self.name && !other.before.is_empty()) {
            // A server ignores a CNAME beside other data without a word, after it has deleted what the CNAME replaces.
            prerequisites.extend(BESIDE_NO_CNAME.into_iter().filter(|rtype| !starts_with(*rtype)).map(absent));
        } else {
            prerequisites = vec![Prerequisite::NameNotInUse(self.name.clone())];
        }
        prerequisites
    }

    fn deletes(&self) -> impl Iterator<Item = Operation> {
        let gone = self.before.iter().filter(|rdata| !self.after.contains(rdata));
        gone.map(|rdata| Operation::Delete { name: self.name.clone(), rtype: self.rtype, rdata: rdata.clone() })
    }

    fn adds(&self) -> impl Iterator<Item = Operation> {
        let new = self.after.iter().filter(|rdata| self.retimed || !self.before.contains(rdata));
        new.map(|rdata| Operation::Add {
            name: self.name.clone(),
            rtype: self.rtype,
            ttl: self.ttl,
            rdata: rdata.clone(),
        })
    }
}

/// What a part is planned against.
struct View<'a> {
    group: &'a Group,
    contents: Option<&'a ZoneContents>,
    copies: &'a Copies,
    policy: &'a Policy,
}

impl<'a> View<'a> {
    fn plan(&self, change: &Change) -> Result<Option<Planned>, Reason> {
        let Some(contents) = self.contents else { return Ok(Some(self.unseen(change))) };
        if self.policy.protected.covers(contents.zone(), Some(contents), &change.name, change.rtype) {
            return Err(Reason::Protected);
        }
        if let Some(cut) = hiding_delegation(contents, &change.name, change.rtype) {
            let servers = canonical_targets(RecordType::NS, cut.rdata).join(", ");
            return Err(Reason::Delegated { cut: cut.name.clone(), servers });
        }
        let held = contents.rrset(&change.name, change.rtype);
        let after = if change.is_registry() { registry_after(change, held)? } else { self.record_after(change, held)? };
        Ok(after.and_then(|after| self.planned(change, held, after)))
    }

    /// The zone is unknown: the caller's old values are what it starts from.
    fn unseen(&self, change: &Change) -> Planned {
        let (op, before, wanted) = match &change.kind {
            Kind::Create(wanted) => (Op::Create, Vec::new(), Some(wanted)),
            Kind::Update { old, new } => (Op::Update, old.clone(), Some(new)),
            Kind::Delete { old } => (Op::Delete, old.clone(), None),
        };
        Planned {
            name: change.name.clone(),
            rtype: change.rtype,
            op,
            before,
            after: wanted.map(|wanted| wanted.rdata.clone()).unwrap_or_default(),
            ttl: self.ttl(wanted, None),
            retimed: wanted.is_some_and(|wanted| wanted.ttl.is_some()),
        }
    }

    /// None when the zone holds the result already.
    fn planned(&self, change: &Change, held: Option<RrsetRef<'_>>, after: Vec<Rdata>) -> Option<Planned> {
        let before = held.map(|held| held.rdata.to_vec()).unwrap_or_default();
        let ttl = self.ttl(change.kind.wanted(), held.map(|held| held.ttl));
        let retimed = held.is_some_and(|held| !after.is_empty() && held.ttl != ttl);
        if before == after && !retimed {
            return None;
        }
        let op = match (before.is_empty(), after.is_empty()) {
            (true, _) => Op::Create,
            (false, true) => Op::Delete,
            (false, false) => Op::Update,
        };
        Some(Planned { name: change.name.clone(), rtype: change.rtype, op, before, after, ttl, retimed })
    }

    /// Asked for, else as it is, else the default; never below the floor.
    fn ttl(&self, wanted: Option<&Wanted>, held: Option<Ttl>) -> Ttl {
        let asked = wanted.and_then(|wanted| wanted.ttl);
        asked.or(held).unwrap_or_else(|| self.policy.default_ttl.max(self.policy.min_ttl))
    }

    /// What an RRset that is no registry TXT ends with; none when nothing is to be done.
    fn record_after(&self, change: &Change, held: Option<RrsetRef<'_>>) -> Result<Option<Vec<Rdata>>, Reason> {
        let shown = held.map(|held| held.rdata).unwrap_or_default();
        let describe = || held.map_or_else(|| "nothing".to_owned(), |held| describe(&held));
        match &change.kind {
            Kind::Create(wanted) => {
                if held.is_some()
                    && (self.carries_registry_text(change) || shown != wanted.rdata)
                    && !self.is_ours(change)
                {
                    return Err(Reason::ExistsUnowned(describe()));
                }
                Ok(Some(wanted.rdata.clone()))
            }
            Kind::Update { old, new } => {
                if shown == old.as_slice() || shown == new.rdata || self.is_ours(change) {
                    return Ok(Some(new.rdata.clone()));
                }
                Err(Reason::Differs(describe()))
            }
            Kind::Delete { old } => {
                if held.is_none() {
                    return Ok(None);
                }
                if let (Some(owner), Some(found)) = (&change.owner, self.named_owner(change))
                    && *owner != found
                {
                    return Err(Reason::OtherOwner(found));
                }
                if shown == old.as_slice() || self.is_ours(change) {
                    return Ok(Some(Vec::new()));
                }
                Err(Reason::Differs(describe()))
            }
        }
    }

    /// The registry TXT of this group that speak for a record.
    fn registry_texts(&self, change: &Change) -> impl Iterator<Item = &'a Change> {
        let name = change.name.clone();
        self.group.changes().filter(move |other| other.owned_record.as_ref() == Some(&name))
    }

    fn carries_registry_text(&self, change: &Change) -> bool {
        self.registry_texts(change).any(|text| matches!(text.kind, Kind::Create(_)))
    }

    /// What DNS holds at the registry TXT names of a record.
    fn claims(&self, change: &Change) -> impl Iterator<Item = (&'a Change, &'a Rdata)> {
        let copies = self.copies;
        self.registry_texts(change).flat_map(move |text| {
            let held = text.zone.as_ref().and_then(|zone| copies.get(zone)?.rrset(&text.name, RecordType::TXT));
            held.map(|held| held.rdata).unwrap_or_default().iter().map(move |rdata| (text, rdata))
        })
    }

    /// The owner that DNS names for a record.
    fn named_owner(&self, change: &Change) -> Option<String> {
        self.claims(change).find_map(|(_, rdata)| match claim(rdata) {
            Claim::Owner(owner) => Some(owner),
            Claim::Sealed | Claim::Foreign => None,
        })
    }

    /// Whether a registry TXT in DNS says that the record is this owner's.
    fn is_ours(&self, change: &Change) -> bool {
        self.claims(change).any(|(text, rdata)| match claim(rdata) {
            Claim::Owner(owner) => change.owner.as_ref() == Some(&owner),
            // It cannot be read here; the caller, who can, asked for a change of what it was shown.
            Claim::Sealed => {
                !matches!(change.kind, Kind::Create(_))
                    || text.kind.wanted().is_some_and(|wanted| wanted.rdata.contains(rdata))
            }
            Claim::Foreign => false,
        })
    }

    /// What stands beside a CNAME once all of the part is done.
    fn cname_conflict(&self, plan: &Planned, all: &[Planned]) -> Option<Reason> {
        if plan.after.is_empty() {
            return None;
        }
        let planned = |rtype| all.iter().find(|other| other.name == plan.name && other.rtype == rtype);
        let stays = |rtype| planned(rtype).is_none_or(|other| !other.after.is_empty());
        let held = self.contents.into_iter().flat_map(|contents| contents.at(&plan.name)).map(|rrset| rrset.rtype);
        let new = all.iter().filter(|other| other.name == plan.name).map(|other| other.rtype);
        let beside = held
            .chain(new)
            .filter(|rtype| *rtype != plan.rtype && !matches!(*rtype, RecordType::RRSIG | RecordType::NSEC))
            .filter(|rtype| stays(*rtype))
            .find(|rtype| plan.rtype == RecordType::CNAME || *rtype == RecordType::CNAME)?;
        let owned = plan.before.is_empty() && planned(beside).is_none();
        Some(match self.contents.and_then(|contents| contents.rrset(&plan.name, beside)).filter(|_| owned) {
            Some(held) => Reason::ExistsUnowned(describe(&held)),
            None => Reason::CnameNotAlone(beside),
        })
    }
}

/// What a registry TXT RRset ends with; foreign texts in it stay.
fn registry_after(change: &Change, held: Option<RrsetRef<'_>>) -> Result<Option<Vec<Rdata>>, Reason> {
    let Some(held) = held else {
        return Ok(change.kind.wanted().map(|wanted| wanted.rdata.clone()));
    };
    let old = match &change.kind {
        Kind::Create(_) => &[][..],
        Kind::Update { old, .. } | Kind::Delete { old } => old,
    };
    let wanted = change.kind.wanted().map(|wanted| wanted.rdata.as_slice()).unwrap_or_default();
    let owner_of = |texts: &[Rdata]| {
        texts.iter().find_map(|text| match claim(text) {
            Claim::Owner(owner) => Some(owner),
            Claim::Sealed | Claim::Foreign => None,
        })
    };
    let found = owner_of(held.rdata);
    let asked = if matches!(change.kind, Kind::Delete { .. }) { owner_of(old) } else { owner_of(wanted) };
    // An update may carry a record over from a former owner; a create or a delete concerns this owner's text only.
    if let (Some(found), Some(asked)) = (&found, &asked)
        && found != asked
        && !matches!(change.kind, Kind::Update { .. })
    {
        return Err(Reason::OtherOwner(found.clone()));
    }
    let replaces = |text: &Rdata| {
        wanted.contains(text)
            || old.contains(text)
            || match claim(text) {
                Claim::Owner(_) => true,
                Claim::Sealed => !matches!(change.kind, Kind::Create(_)),
                Claim::Foreign => false,
            }
    };
    if !held.rdata.iter().any(replaces) {
        return match change.kind {
            Kind::Delete { .. } => Ok(None),
            Kind::Create(_) | Kind::Update { .. } => Err(Reason::ExistsUnowned(describe(&held))),
        };
    }
    let mut after: Vec<Rdata> = held.rdata.iter().filter(|text| !replaces(text)).chain(wanted).cloned().collect();
    after.sort_unstable();
    after.dedup();
    Ok(Some(after))
}

/// An RRset in words, for people.
fn describe(rrset: &RrsetRef<'_>) -> String {
    let targets = canonical_targets(rrset.rtype, rrset.rdata);
    let (shown, more) = targets.split_at(targets.len().min(3));
    let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
    format!("{} {}{more}", rrset.rtype, shown.join(", "))
}
