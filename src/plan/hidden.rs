//! What nobody sees who asks this zone: names below a delegation or a DNAME, but for glue and the registry TXT of both.

use std::collections::BTreeSet;

use super::canonical::canonical_targets;
use super::ownership::{Claim, claim};
use super::protected::host;
use super::reason::Reason;
use super::registry::{may_speak_for, owned_candidates};
use crate::dns::zone::RrsetRef;
use crate::dns::{Name, RecordType, ZoneContents};

const ADDRESSES: [RecordType; 2] = [RecordType::A, RecordType::AAAA];

/// What hides an RRset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cover<'a> {
    /// An NS RRset.
    Cut(RrsetRef<'a>),
    /// A DNAME.
    Dname(RrsetRef<'a>),
}

impl Cover<'_> {
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::Cut(cut) => Reason::Delegated {
                cut: cut.name.clone(),
                servers: canonical_targets(RecordType::NS, cut.rdata).join(", "),
            },
            Self::Dname(dname) => Reason::BelowDname {
                dname: dname.name.clone(),
                target: canonical_targets(RecordType::DNAME, dname.rdata).join(", "),
            },
        }
    }
}

/// What hides an RRset: the highest delegation or DNAME. Not a delegation's own records, nor the glue of its servers.
pub(super) fn cover<'a>(contents: &'a ZoneContents, name: &Name, rtype: RecordType) -> Option<Cover<'a>> {
    let (cut, dname) = (contents.delegation_of(name), contents.dname_above(name));
    match (cut, dname) {
        (Some(cut), Some(dname)) if dname.name.label_count() <= cut.name.label_count() => Some(Cover::Dname(dname)),
        (None, Some(dname)) => Some(Cover::Dname(dname)),
        (Some(cut), _) => (!belongs_to(&cut, name, rtype)).then_some(Cover::Cut(cut)),
        (None, None) => None,
    }
}

/// Whether an RRset is a delegation's own, or the address of one of its servers.
fn belongs_to(cut: &RrsetRef<'_>, name: &Name, rtype: RecordType) -> bool {
    let is_cut = cut.name == name && matches!(rtype, RecordType::NS | RecordType::DS);
    is_cut || (ADDRESSES.contains(&rtype) && serves(cut, name))
}

fn serves(cut: &RrsetRef<'_>, name: &Name) -> bool {
    cut.rdata.iter().any(|server| host(server, 0).as_ref() == Some(name))
}

/// What the registry TXT below one delegation say of the names below it.
#[derive(Debug)]
pub(super) struct Below<'a> {
    cut: RrsetRef<'a>,
    /// Addresses that a registry TXT may speak for: glue of a server that is not named yet, or no more.
    claimed: BTreeSet<(Name, RecordType)>,
    /// Registry TXT of the delegation and of addresses below it.
    texts: BTreeSet<&'a Name>,
}

impl<'a> Below<'a> {
    pub(super) fn new(contents: &'a ZoneContents, cut: RrsetRef<'a>) -> Self {
        let (mut claimed, mut texts) = (BTreeSet::new(), BTreeSet::new());
        let is_claim = |rrset: &RrsetRef<'_>| rrset.rdata.iter().any(|text| claim(text) != Claim::Foreign);
        let below = contents.at_or_below(cut.name).filter(|rrset| rrset.rtype == RecordType::TXT);
        for text in below.filter(is_claim) {
            if may_speak_for(text.name, cut.name, RecordType::NS) {
                texts.insert(text.name);
            }
            for owned in owned_candidates(text.name).filter(|owned| owned.is_at_or_below(cut.name)) {
                for rtype in ADDRESSES.into_iter().filter(|rtype| may_speak_for(text.name, &owned, *rtype)) {
                    if contents.rrset(&owned, rtype).is_some() {
                        texts.insert(text.name);
                        claimed.insert((owned.clone(), rtype));
                    }
                }
            }
        }
        Self { cut, claimed, texts }
    }

    pub(super) fn is_of(&self, cut: &RrsetRef<'_>) -> bool {
        self.cut.name == cut.name
    }

    /// Whether an RRset below the delegation is shown all the same.
    pub(super) fn shows(&self, name: &Name, rtype: RecordType) -> bool {
        belongs_to(&self.cut, name, rtype)
            || self.claimed.contains(&(name.clone(), rtype))
            || (rtype == RecordType::TXT && self.texts.contains(name))
    }
}
