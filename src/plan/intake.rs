//! What ExternalDNS asks for, in canonical form: paired by name and type, duplicates merged, every problem noted.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::Policy;
use super::canonical::{canonical_name, canonical_rdata, canonical_ttl, canonical_type, passed_over};
use super::reason::{Reason, Refusal};
use crate::api::{Changes, Endpoint};
use crate::dns::{Name, Rdata, RecordType, Ttl, ZoneName};

/// The change of one RRset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Owner name.
    pub name: Name,
    /// Record type; the reserved type 0 where the caller's is unknown, which is a problem.
    pub rtype: RecordType,
    /// What is asked.
    pub kind: Kind,
    /// The owner id that the caller's registry gives.
    pub owner: Option<String>,
    /// The record that this registry TXT speaks for.
    pub owned_record: Option<Name>,
    /// Where the registry TXT of a record must stand already, since others come with theirs and it does not.
    pub needs_text_at: Option<Vec<Name>>,
    /// The zone that the name belongs to.
    pub zone: Option<ZoneName>,
    /// RDATA that an earlier update, whose outcome is not known to be success, may have left, the first guess first;
    /// see [`UnknownFates`].
    ///
    /// [`UnknownFates`]: super::unknown_fates::UnknownFates
    pub accepted: Vec<Vec<Rdata>>,
    /// Why it cannot be done, as far as the request alone tells.
    pub problem: Option<Reason>,
    /// Why it is not done wholly as asked, which is no problem.
    pub narrowed: Option<Reason>,
}

/// What is asked of an RRset. Old values are the caller's; for a registry TXT they only point at the RRset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The RRset is to exist.
    Create(Wanted),
    /// The RRset is to change.
    Update {
        /// What the caller was shown.
        old: Vec<Rdata>,
        /// The TTL that the caller was shown.
        old_ttl: Option<Ttl>,
        /// What is wanted.
        new: Wanted,
    },
    /// The RRset is to go.
    Delete {
        /// What the caller was shown.
        old: Vec<Rdata>,
    },
}

/// A wanted RRset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// RDATA, sorted and without duplicates.
    pub rdata: Vec<Rdata>,
    /// TTL, where one was asked for.
    pub ttl: Option<Ttl>,
}

impl Kind {
    /// What is wanted, unless the RRset is to go.
    #[must_use]
    pub fn wanted(&self) -> Option<&Wanted> {
        match self {
            Self::Create(wanted) | Self::Update { new: wanted, .. } => Some(wanted),
            Self::Delete { .. } => None,
        }
    }
}

impl Change {
    /// Whether this is a registry TXT.
    #[must_use]
    pub fn is_registry(&self) -> bool {
        self.owned_record.is_some()
    }

    /// Whether this RDATA is among the caller's old or new values.
    #[must_use]
    pub fn holds(&self, rdata: &Rdata) -> bool {
        let old = match &self.kind {
            Kind::Create(_) => &[][..],
            Kind::Update { old, .. } | Kind::Delete { old } => old,
        };
        old.contains(rdata) || self.kind.wanted().is_some_and(|wanted| wanted.rdata.contains(rdata))
    }

    /// The refusal of this change.
    #[must_use]
    pub fn refusal(&self, reason: Reason) -> Refusal {
        Refusal { zone: self.zone.clone(), name: self.name.to_undotted(), rtype: self.rtype.to_string(), reason }
    }
}

/// Reads the changes. What has no readable name is refused at once; other problems stay with their change.
#[must_use]
pub fn intake(changes: &Changes, policy: &Policy) -> (Vec<Change>, Vec<Refusal>) {
    let mut taken = Taken { policy, changes: BTreeMap::new(), refused: Vec::new(), orphaned: Vec::new() };
    let shown = Taken::shown(&changes.update_old);
    for endpoint in &changes.create {
        taken.take(endpoint, |rdata, ttl| Kind::Create(Wanted { rdata, ttl }));
    }
    for endpoint in &changes.update_new {
        let old = key(endpoint).and_then(|key| shown.get(&key).cloned());
        taken.take(endpoint, |rdata, ttl| {
            let new = Wanted { rdata, ttl };
            match old {
                Some((old, old_ttl)) => Kind::Update { old, old_ttl, new },
                None => Kind::Create(new),
            }
        });
    }
    for endpoint in &changes.delete {
        taken.take(endpoint, |old, _| Kind::Delete { old });
    }
    taken.finish()
}

fn key(endpoint: &Endpoint) -> Option<(Name, RecordType)> {
    Some((canonical_name(&endpoint.dns_name).ok()?, canonical_type(&endpoint.record_type).ok()?))
}

struct Taken<'a> {
    policy: &'a Policy,
    changes: BTreeMap<(Name, RecordType), Change>,
    refused: Vec<Refusal>,
    /// Records of which a registry TXT has no readable name, or one that another has, and why they cannot be written.
    orphaned: Vec<(Name, Reason)>,
}

impl Taken<'_> {
    /// The caller's old values by name and type. Lists are paired by this key: their order means nothing.
    fn shown(olds: &[Endpoint]) -> BTreeMap<(Name, RecordType), (Vec<Rdata>, Option<Ttl>)> {
        let old = |endpoint: &Endpoint| {
            let (name, rtype) = key(endpoint)?;
            let rdata = canonical_rdata(rtype, &endpoint.targets).unwrap_or_default();
            Some(((name, rtype), (rdata, canonical_ttl(endpoint, Ttl::ZERO))))
        };
        olds.iter().filter_map(old).collect()
    }

    fn take(&mut self, endpoint: &Endpoint, kind: impl FnOnce(Vec<Rdata>, Option<Ttl>) -> Kind) {
        let name = match canonical_name(&endpoint.dns_name) {
            Ok(name) => name,
            Err(reason) => {
                let (name, rtype) = (endpoint.dns_name.clone(), endpoint.record_type.clone());
                if let Some(owned) = endpoint.owned_record().and_then(|owned| canonical_name(owned).ok()) {
                    let reason = Reason::BadRegistryName { text: name.clone(), source: Box::new(reason.clone()) };
                    self.orphaned.push((owned, reason));
                }
                self.refused.push(Refusal { zone: None, name, rtype, reason });
                return;
            }
        };
        let change = self.read(name, endpoint, kind);
        self.merge(change);
    }

    fn read(&self, name: Name, endpoint: &Endpoint, kind: impl FnOnce(Vec<Rdata>, Option<Ttl>) -> Kind) -> Change {
        let policy = self.policy;
        let mut problem = None;
        let mut note = |reason| problem = problem.take().or(Some(reason));
        let rtype = canonical_type(&endpoint.record_type).unwrap_or_else(|reason| {
            note(reason);
            RecordType::from(0)
        });
        let rdata = canonical_rdata(rtype, &endpoint.targets).unwrap_or_else(|reason| {
            note(reason);
            Vec::new()
        });
        let owned_record = endpoint.owned_record().and_then(|owned| match canonical_name(owned) {
            Ok(owned) => Some(owned),
            Err(reason) => {
                note(reason);
                None
            }
        });
        let kind = kind(rdata, canonical_ttl(endpoint, policy.min_ttl));
        let zone = policy.zones.find(&name).cloned();
        if let Some(reason) = policy.objection(&name, rtype, zone.as_ref(), &kind) {
            note(reason);
        }
        let labelled = endpoint.owner().is_some() || endpoint.owned_record().is_some();
        if !labelled && !policy.allow_unowned && !matches!(kind, Kind::Create(_)) {
            note(Reason::Unowned);
        }
        let owner = endpoint.owner().map(str::to_owned);
        let narrowed = kind.wanted().and_then(|_| passed_over(rtype, &endpoint.targets));
        Change {
            name,
            rtype,
            kind,
            owner,
            owned_record,
            needs_text_at: None,
            zone,
            accepted: Vec::new(),
            problem,
            narrowed,
        }
    }

    /// A record whose registry TXT cannot be written is not written either.
    fn finish(mut self) -> (Vec<Change>, Vec<Refusal>) {
        for (owned, reason) in self.orphaned {
            for (_, change) in self.changes.range_mut((owned.clone(), RecordType::from(0))..) {
                if change.name != owned {
                    break;
                }
                change.problem.get_or_insert_with(|| reason.clone());
            }
        }
        (self.changes.into_values().collect(), self.refused)
    }

    /// Equal duplicates are one; others contradict each other, but for a registry TXT that several records share.
    fn merge(&mut self, mut change: Change) {
        match self.changes.entry((change.name.clone(), change.rtype)) {
            Entry::Vacant(entry) => {
                entry.insert(change);
            }
            Entry::Occupied(mut entry) => {
                let taken = entry.get_mut();
                if taken.is_registry() && change.is_registry() {
                    let is_new = |change: &Change| matches!(change.kind, Kind::Create(_));
                    let both_stay = taken.kind.wanted().is_some() && change.kind.wanted().is_some();
                    if taken.owned_record != change.owned_record && both_stay && (is_new(taken) || is_new(&change)) {
                        // The one that is there already keeps the name; of two new ones the first.
                        if is_new(taken) && !is_new(&change) {
                            std::mem::swap(taken, &mut change);
                        }
                        self.orphaned.extend(
                            change
                                .owned_record
                                .zip(taken.owned_record.clone())
                                .map(|(owned, other)| (owned, Reason::RegistryShared { text: change.name, other })),
                        );
                        return;
                    }
                    taken.kind = shared(&taken.kind, change.kind);
                } else if taken.kind != change.kind {
                    taken.problem = Some(Reason::Contradiction);
                }
            }
        }
    }
}

/// Up to 0.17, ExternalDNS writes a registry TXT without the type in its name too, for all records of a name together: it
/// deletes the one of the type that goes and creates the one of the type that comes. What is wanted stands, once.
fn shared(first: &Kind, second: Kind) -> Kind {
    let old = [first, &second].into_iter().find_map(|kind| match kind {
        Kind::Create(_) => None,
        Kind::Update { old, old_ttl, .. } => Some((old.clone(), *old_ttl)),
        Kind::Delete { old } => Some((old.clone(), None)),
    });
    match (old, first.wanted().or(second.wanted()).cloned()) {
        (Some((old, old_ttl)), Some(new)) => Kind::Update { old, old_ttl, new },
        (None, Some(new)) => Kind::Create(new),
        (_, None) => second,
    }
}

impl Policy {
    /// What speaks against a change whatever DNS holds.
    fn objection(&self, name: &Name, rtype: RecordType, zone: Option<&ZoneName>, kind: &Kind) -> Option<Reason> {
        let Some(zone) = zone else { return Some(Reason::OutsideZones) };
        if kind.wanted().is_some_and(|wanted| wanted.rdata.is_empty()) {
            return Some(Reason::NoTargets);
        }
        if rtype == RecordType::CNAME && name == zone.as_name() {
            return Some(Reason::ApexCname(zone.clone()));
        }
        if kind.wanted().is_some() && !self.profile.holds(rtype) {
            return Some(Reason::NotInProfile(rtype));
        }
        self.protected.covers(zone, None, name, rtype).then_some(Reason::Protected)
    }
}
