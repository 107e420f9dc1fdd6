//! From a part of a group and what DNS holds to prerequisites and exact-value operations (RFC 2136 §2.4 and §2.5).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Policy;
use super::canonical::{canonical_form, canonical_set};
use super::group::{Group, Part};
use super::hidden::{Below, Cover, cover};
use super::intake::{Change, Kind, Wanted};
use super::ownership::{Claim, claim};
use super::protected::host;
use super::reason::{Reason, Refusal};
use super::registry::{Pattern, describe, registry_after, speaks_for};
use crate::dns::zone::RrsetRef;
use crate::dns::{
    Name, Operation, Prerequisite, Rdata, RecordType, Rrset, ServerProfile, Ttl, Update, ZoneContents, ZoneName,
};

/// What was last read of each zone. A zone that is not there is unknown: the caller's old values stand in.
pub type Copies = BTreeMap<ZoneName, Arc<ZoneContents>>;

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
    /// Whether the server may delete name servers only all at once.
    whole_ns: bool,
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
            prerequisites: self
                .prerequisites
                .iter()
                .cloned()
                .chain(self.above.iter().flat_map(hides_nothing))
                .collect(),
            operations: self.operations.clone(),
        }
    }

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

    /// Whether the zone holds this step's result.
    #[must_use]
    pub fn is_done(&self, contents: &ZoneContents) -> bool {
        self.planned.iter().all(|planned| {
            let held = contents.rrset(&planned.name, planned.rtype);
            let rdata = held.map(|held| held.rdata).unwrap_or_default();
            let is_timed = !planned.retimed || held.is_none_or(|held| held.ttl == planned.ttl);
            is_timed && canonical_set(planned.rtype, rdata) == canonical_set(planned.rtype, &planned.after)
        })
    }
}

/// The wanted RRset, with what is there already octet for octet as it is there.
fn becoming(rtype: RecordType, held: &[Rdata], wanted: &[Rdata]) -> Vec<Rdata> {
    let shown = canonical_set(rtype, held);
    let kept = held.iter().filter(|rdata| wanted.contains(&canonical_form(rtype, rdata)));
    let mut after: Vec<Rdata> = kept.chain(wanted.iter().filter(|rdata| !shown.contains(rdata))).cloned().collect();
    after.sort_unstable();
    after
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
    let above = if policy.prerequisites { view.above(&part.zone, &planned) } else { BTreeSet::new() };
    let kept = |change: &Change| Some((change.name.clone(), change.rtype, view.keeps_for(change)?));
    let kept = part.changes.iter().filter_map(kept).collect();
    Ok((!planned.is_empty()).then(|| Step { kept, ..step(part.zone.clone(), planned, above, policy.prerequisites) }))
}

/// No delegation and no DNAME is at this name.
pub(super) fn hides_nothing(name: &Name) -> [Prerequisite; 2] {
    [RecordType::NS, RecordType::DNAME].map(|rtype| Prerequisite::RrsetDoesNotExist { name: name.clone(), rtype })
}

fn step(zone: ZoneName, planned: Vec<Planned>, above: BTreeSet<Name>, with_prerequisites: bool) -> Step {
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
    Step { zone, prerequisites, above, operations, planned, kept: Vec::new() }
}

/// Every type that IANA has assigned and that none may stay of where a CNAME replaces something: all data, but what
/// DNSSEC puts beside a CNAME.
fn beside_no_cname() -> impl Iterator<Item = RecordType> {
    let assigned = [1..=4, 6..=23, 26..=29, 31..=40, 42..=45, 49..=49, 51..=53, 55..=65, 99..=99, 104..=109, 256..=261];
    assigned.into_iter().flatten().chain(32768..=32769).filter(|number| *number != 6).map(RecordType::from)
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
            prerequisites.extend(beside_no_cname().filter(|rtype| !starts_with(*rtype)).map(absent));
        } else {
            prerequisites = vec![Prerequisite::NameNotInUse(self.name.clone())];
        }
        prerequisites
    }

    /// Records go by their exact value, so that others at the name stay.
    ///
    /// A record that only gets another TTL goes as well: Knot and YADIFA ignore the addition of RDATA that is there.
    fn deletes(&self) -> Vec<Operation> {
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

    /// Whether the RRset is deleted as such, instead of record by record.
    fn goes_whole(&self) -> bool {
        let loses = || self.before.iter().any(|rdata| self.retimed || !self.after.contains(rdata));
        self.whole_ns && self.rtype == RecordType::NS && loses()
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
        let Some(contents) = self.contents else {
            return if self.has_its_text(change) { Ok(Some(self.unseen(change))) } else { Err(Reason::NoRegistryText) };
        };
        if self.policy.protected.covers(contents.zone(), Some(contents), &change.name, change.rtype) {
            return Err(Reason::Protected);
        }
        if let Some(cover) = cover(contents, &change.name, change.rtype).filter(|cover| !self.is_exempt(change, cover))
        {
            return Err(cover.reason());
        }
        if !self.has_its_text(change) {
            return Err(Reason::NoRegistryText);
        }
        if let Some(name) = self.would_hide(contents, change) {
            return Err(Reason::Hides(name));
        }
        if self.makes_a_loop(change) {
            return Err(Reason::CnameLoop);
        }
        let held = contents.rrset(&change.name, change.rtype);
        let after = if change.is_registry() {
            registry_after(change, self.owner_behind(change), held)?
        } else {
            self.record_after(change, held)?
        };
        Ok(after.and_then(|after| self.planned(change, held, after)))
    }

    /// The zone is unknown: the caller's old values are what it starts from, or what an earlier update may have left.
    fn unseen(&self, change: &Change) -> Planned {
        let (op, before, wanted, shown_ttl) = match (&change.kind, change.accepted.first()) {
            (Kind::Create(wanted), None) => (Op::Create, Vec::new(), Some(wanted), None),
            (Kind::Create(wanted), Some(guess)) => (Op::Update, guess.clone(), Some(wanted), None),
            (Kind::Update { old, old_ttl, new }, _) => (Op::Update, old.clone(), Some(new), *old_ttl),
            (Kind::Delete { old }, _) => (Op::Delete, old.clone(), None, None),
        };
        Planned {
            name: change.name.clone(),
            rtype: change.rtype,
            op,
            before,
            after: wanted.map(|wanted| wanted.rdata.clone()).unwrap_or_default(),
            ttl: self.ttl(wanted, shown_ttl),
            retimed: wanted.is_some_and(|wanted| wanted.ttl.is_some()),
            whole_ns: self.whole_ns(),
        }
    }

    /// Samba's internal DNS says NOERROR to the deletion of one NS record and deletes nothing, at a delegation too, where
    /// RFC 2136 §3.4.2.4 does not ask for that.
    fn whole_ns(&self) -> bool {
        self.policy.profile != ServerProfile::Bind
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
        Some(Planned {
            name: change.name.clone(),
            rtype: change.rtype,
            op,
            before,
            after,
            ttl,
            retimed,
            whole_ns: self.whole_ns(),
        })
    }

    /// Asked for, else as it is, else the default.
    fn ttl(&self, wanted: Option<&Wanted>, held: Option<Ttl>) -> Ttl {
        let asked = wanted.and_then(|wanted| wanted.ttl);
        asked.or(held).unwrap_or_else(|| self.policy.default_ttl.max(self.policy.min_ttl))
    }

    /// What an RRset that is no registry TXT ends with; none when nothing is to be done.
    fn record_after(&self, change: &Change, held: Option<RrsetRef<'_>>) -> Result<Option<Vec<Rdata>>, Reason> {
        let raw = held.map(|held| held.rdata).unwrap_or_default();
        let shown = canonical_set(change.rtype, raw);
        let describe = || held.map_or_else(|| "nothing".to_owned(), |held| describe(&held));
        let is_ours = || change.accepted.contains(&shown) || self.is_ours(change);
        match &change.kind {
            Kind::Create(wanted) => {
                let is_free = raw.is_empty() || (shown == wanted.rdata && !self.carries_registry_text(change));
                if !is_free && !is_ours() {
                    return Err(Reason::ExistsUnowned(describe()));
                }
                Ok(Some(becoming(change.rtype, raw, &wanted.rdata)))
            }
            Kind::Update { old, new, .. } => {
                if shown == *old || shown == new.rdata || is_ours() {
                    return Ok(Some(becoming(change.rtype, raw, &new.rdata)));
                }
                Err(Reason::Differs(describe()))
            }
            Kind::Delete { old } => {
                if raw.is_empty() {
                    return Ok(None);
                }
                if let Some(other) = self.other_owner(change) {
                    return Err(Reason::OtherOwner(other));
                }
                // Only our text goes; ExternalDNS shows the first text and knows nothing of the others.
                if self.keeps_for(change).is_some() {
                    return Ok(None);
                }
                if shown == *old || is_ours() {
                    return Ok(Some(Vec::new()));
                }
                Err(Reason::Differs(describe()))
            }
        }
    }

    /// What a new delegation or DNAME would hide, but for the glue of the delegation and the registry TXT of both.
    fn would_hide(&self, contents: &'a ZoneContents, change: &Change) -> Option<Name> {
        let wanted = change.kind.wanted()?;
        let is_dname = change.rtype == RecordType::DNAME;
        if !is_dname && change.rtype != RecordType::NS || contents.rrset(&change.name, change.rtype).is_some() {
            return None;
        }
        let cut = RrsetRef { name: &change.name, rtype: change.rtype, ttl: Ttl::ZERO, rdata: &wanted.rdata };
        let below = (!is_dname).then(|| Below::new(contents, cut));
        let goes = |rrset: &RrsetRef<'_>| {
            let is_it = |other: &&Change| other.name == *rrset.name && other.rtype == rrset.rtype;
            self.group.changes().find(is_it).is_some_and(|other| other.kind.wanted().is_none())
        };
        // A DNAME leaves its own name as it is.
        let hidden = contents
            .at_or_below(cut.name)
            .filter(|rrset| !is_dname || rrset.name != cut.name)
            .find(|rrset| !below.as_ref().is_some_and(|below| below.shows(rrset.name, rrset.rtype)) && !goes(rrset));
        hidden.map(|rrset| rrset.name.clone())
    }

    /// Whether the chain of aliases that starts with this one comes back to a name that it went through.
    fn makes_a_loop(&self, change: &Change) -> bool {
        let target = change.kind.wanted().and_then(|wanted| wanted.rdata.first()).and_then(|rdata| host(rdata, 0));
        let Some(mut name) = target else { return false };
        match change.rtype {
            RecordType::DNAME => return name.is_below(&change.name),
            RecordType::CNAME => {}
            _ => return false,
        }
        let mut seen = BTreeSet::from([change.name.clone()]);
        while seen.insert(name.clone()) {
            match self.alias(&name, change) {
                Some(next) => name = next,
                None => return false,
            }
        }
        true
    }

    /// What a name is an alias of, as this apply leaves it.
    fn alias(&self, name: &Name, change: &Change) -> Option<Name> {
        let wanted = |name: &Name| self.group.aliases.get(name).cloned();
        if let Some(target) = wanted(name) {
            return target;
        }
        let contents = self.copies.get(self.policy.zones.find(name)?);
        let held = |name: &Name| host(contents?.rrset(name, RecordType::CNAME)?.rdata.first()?, 0);
        if contents.is_some_and(|contents| contents.at(name).next().is_some()) {
            return held(name);
        }
        if change.name.is_wildcard() && change.name.parent().is_some_and(|parent| name.is_below(&parent)) {
            return wanted(&change.name).flatten();
        }
        held(contents?.wildcard_above(name)?)
    }

    /// Names between the apex and what is written at which nothing may hide it. Where something does that may, as a
    /// delegation does glue, it is known.
    fn above(&self, zone: &ZoneName, planned: &[Planned]) -> BTreeSet<Name> {
        let is_known = |name: &Name| {
            let has = |contents: &ZoneContents| contents.rrset(name, RecordType::NS).is_some();
            self.contents.is_some_and(has)
                || planned.iter().any(|plan| plan.name == *name && plan.rtype == RecordType::NS)
        };
        let written = planned.iter().filter(|plan| !plan.after.is_empty());
        let above = written.flat_map(|plan| std::iter::successors(plan.name.parent(), Name::parent));
        above.filter(|name| name.is_below(zone.as_name()) && !is_known(name)).collect()
    }

    /// Whether a change below a delegation is that of its glue, or of the registry TXT of either.
    fn is_exempt(&self, change: &Change, hidden_by: &Cover<'_>) -> bool {
        let Cover::Cut(cut) = hidden_by else { return false };
        // A server that is not named yet, or no more, is beside one that is; elsewhere below the cut nobody would see it.
        let has_glue = || cut.rdata.iter().any(|server| host(server, 0).is_some_and(|host| host.is_below(cut.name)));
        let is_glue = |record: &Change| {
            let may_be = || has_glue() || !matches!(record.kind, Kind::Create(_));
            matches!(record.rtype, RecordType::A | RecordType::AAAA)
                && self.contents.is_some_and(|contents| {
                    cover(contents, &record.name, record.rtype).is_none()
                        || (may_be() && self.is_our_delegation(cut.name, record))
                })
        };
        let Some(owned) = &change.owned_record else { return is_glue(change) };
        owned == cut.name
            || self.group.changes().any(|record| !record.is_registry() && speaks_for(change, record) && is_glue(record))
    }

    /// Whether the registry TXT of a delegation, which is made as the record's is, names the record's owner.
    fn is_our_delegation(&self, cut: &Name, record: &Change) -> bool {
        let patterns = self.registry_texts(record).filter_map(Pattern::of);
        let mut names = patterns.filter_map(|pattern| pattern.name(cut, RecordType::NS));
        names.any(|name| self.is_claimed_at(&name, record))
    }

    /// Whether the registry TXT of a record comes along, or stands in DNS and names its owner.
    fn has_its_text(&self, record: &Change) -> bool {
        let Some(names) = &record.needs_text_at else { return true };
        names.iter().any(|name| self.is_claimed_at(name, record))
    }

    /// Whether a text at this name may be of the owner who asks for the record.
    fn is_claimed_at(&self, name: &Name, record: &Change) -> bool {
        let copy = self.policy.zones.find(name).and_then(|zone| self.copies.get(zone));
        let held = copy.and_then(|contents| contents.rrset(name, RecordType::TXT));
        held.is_some_and(|held| {
            held.rdata.iter().any(|rdata| match claim(rdata) {
                Claim::Owner(owner) => record.owner.as_ref() == Some(&owner),
                Claim::Sealed => true,
                Claim::Foreign => false,
            })
        })
    }

    /// The owner id behind a registry TXT: the label of the record that it speaks for.
    fn owner_behind(&self, text: &Change) -> Option<&'a str> {
        let mut records = self.group.changes().filter(|record| !record.is_registry() && speaks_for(text, record));
        records.find_map(|record| record.owner.as_deref())
    }

    /// The registry TXT of this group that speak for a record.
    fn registry_texts(&self, record: &Change) -> impl Iterator<Item = &'a Change> {
        self.group.changes().filter(move |text| speaks_for(text, record))
    }

    fn carries_registry_text(&self, record: &Change) -> bool {
        self.registry_texts(record).any(|text| matches!(text.kind, Kind::Create(_)))
    }

    /// What DNS holds at the registry TXT names of a record.
    ///
    /// For a create only a TXT that is created with it counts: an older one speaks for another type at the name.
    fn claims(&self, record: &Change) -> impl Iterator<Item = (&'a Change, &'a Rdata)> {
        let (copies, is_create) = (self.copies, matches!(record.kind, Kind::Create(_)));
        let texts = self.registry_texts(record).filter(move |text| !is_create || matches!(text.kind, Kind::Create(_)));
        texts.flat_map(move |text| {
            let held = text.zone.as_ref().and_then(|zone| copies.get(zone)?.rrset(&text.name, RecordType::TXT));
            held.map(|held| held.rdata).unwrap_or_default().iter().map(move |rdata| (text, rdata))
        })
    }

    /// The owners that DNS names for a record.
    fn named_owners(&self, record: &Change) -> Vec<String> {
        let owner = |(_, rdata): (&Change, &Rdata)| match claim(rdata) {
            Claim::Owner(owner) => Some(owner),
            Claim::Sealed | Claim::Foreign => None,
        };
        self.claims(record).filter_map(owner).collect()
    }

    /// The other owner for whom a record stays that the asking one deletes.
    fn keeps_for(&self, record: &Change) -> Option<String> {
        let asking = record.owner.as_ref().filter(|_| !record.is_registry())?;
        let named = self.named_owners(record);
        let is_shared = matches!(record.kind, Kind::Delete { .. }) && named.contains(asking);
        named.into_iter().find(|owner| is_shared && owner != asking)
    }

    /// The owner that DNS names for a record, when that is not the one who asks.
    fn other_owner(&self, record: &Change) -> Option<String> {
        let asking = record.owner.as_ref()?;
        let named = self.named_owners(record);
        if named.contains(asking) { None } else { named.into_iter().next() }
    }

    /// Whether a registry TXT in DNS says that the record is this owner's.
    fn is_ours(&self, record: &Change) -> bool {
        self.claims(record).any(|(text, rdata)| match claim(rdata) {
            Claim::Owner(owner) => record.owner.as_ref() == Some(&owner),
            // It cannot be read here, but whoever holds the very text wrote it.
            Claim::Sealed => text.holds(&canonical_form(RecordType::TXT, rdata)),
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
