//! What becomes of each RRset of a part: allowed or not, from what it starts and with what it ends.

use std::collections::BTreeSet;

use super::Policy;
use super::alias::leads_back;
use super::canonical::{canonical_form, canonical_set};
use super::copies::Copies;
use super::group::Group;
use super::hidden::{Cover, belongs_to, cover, hidden_by_new, is_address, may_be_glue};
use super::intake::{Change, Kind, Wanted};
use super::ownership::{Claim, claim};
use super::protected::Infrastructure;
use super::reason::Reason;
use super::registry::{Pattern, describe, registry_after, speaks_for};
use super::step::{Op, Planned};
use crate::dns::{Name, Rdata, RecordType, RrsetRef, ServerProfile, Ttl, ZoneContents, ZoneName};

/// What a part is planned against.
pub(super) struct View<'a> {
    pub(super) group: &'a Group,
    /// The zone of the part.
    pub(super) contents: Option<&'a ZoneContents>,
    /// What of it keeps the domain going.
    pub(super) infrastructure: Option<&'a Infrastructure>,
    pub(super) copies: &'a Copies,
    pub(super) policy: &'a Policy,
}

impl<'a> View<'a> {
    pub(super) fn plan(&self, change: &Change) -> Result<Option<Planned>, Reason> {
        let Some(contents) = self.contents else {
            return if self.has_its_text(change) { Ok(Some(self.unseen(change))) } else { Err(Reason::NoRegistryText) };
        };
        if self.policy.protected.covers(contents.zone(), self.infrastructure, &change.name, change.rtype) {
            return Err(Reason::Protected);
        }
        if let Some(cover) = cover(contents, &change.name, change.rtype).filter(|cover| !self.is_exempt(change, cover))
        {
            return Err(cover.reason());
        }
        if !self.has_its_text(change) {
            return Err(Reason::NoRegistryText);
        }
        if let Some(name) = hidden_by_new(contents, change, self.group) {
            return Err(Reason::Hides(name));
        }
        if leads_back(change, &self.group.aliases, self.copies, &self.policy.zones) {
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
        // Unguarded, a guess would delete whatever equals it.
        let guess = change.accepted.first().filter(|_| self.policy.prerequisites);
        let (op, before, wanted, shown_ttl) = match (&change.kind, guess) {
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
            is_passing: false,
            at_unused_name: false,
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
            is_passing: false,
            at_unused_name: self.is_unused(&change.name),
        })
    }

    /// Whether the zone holds nothing at a name. What lies below may make it one that exists to some servers, and what a
    /// wildcard would answer is there to Samba's BIND9_DLZ.
    fn is_unused(&self, name: &Name) -> bool {
        let can_tell = |contents: &ZoneContents| self.policy.profile == ServerProfile::Bind || !contents.has_wildcard();
        self.contents.is_some_and(|contents| can_tell(contents) && contents.at_or_below(name).next().is_none())
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
        let was_ours = || change.accepted.contains(&shown) && self.other_owner(change).is_none();
        let is_ours = || was_ours() || self.is_ours(change);
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

    /// Names between the apex and what is written at which nothing may hide it. Where something does that may, as a
    /// delegation does glue, it is known.
    pub(super) fn above(&self, zone: &ZoneName, planned: &[Planned]) -> BTreeSet<Name> {
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
        let is_glue = |record: &Change| {
            // What is there already may go, whatever the delegation has become.
            let may_be = may_be_glue(cut, &record.name, record.rtype)
                || (is_address(record.rtype) && !matches!(record.kind, Kind::Create(_)));
            belongs_to(cut, &record.name, record.rtype) || (may_be && self.is_our_delegation(cut.name, record))
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
    pub(super) fn keeps_for(&self, record: &Change) -> Option<String> {
        let is_record_to_go = !record.is_registry() && matches!(record.kind, Kind::Delete { .. });
        let asking = record.owner.as_ref().filter(|_| is_record_to_go)?;
        let named = self.named_owners(record);
        let is_shared = named.contains(asking);
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
    pub(super) fn cname_conflict(&self, plan: &Planned, all: &[Planned]) -> Option<Reason> {
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

/// The wanted RRset, with what is there already octet for octet as it is there.
fn becoming(rtype: RecordType, held: &[Rdata], wanted: &[Rdata]) -> Vec<Rdata> {
    let shown = canonical_set(rtype, held);
    let kept = held.iter().filter(|rdata| wanted.contains(&canonical_form(rtype, rdata)));
    let mut after: Vec<Rdata> = kept.chain(wanted.iter().filter(|rdata| !shown.contains(rdata))).cloned().collect();
    after.sort_unstable();
    after
}
