//! What nobody sees who asks this zone: names below a delegation or a DNAME, but for glue and the registry TXT of both.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::canonical::canonical_targets;
use super::group::Group;
use super::intake::Change;
use super::ownership::{Claim, claim};
use super::protected::host;
use super::reason::Reason;
use super::registry::{may_speak_for, owned_candidates};
use crate::dns::{Name, RecordType, Rrset, RrsetRef, Ttl, ZoneContents, ZoneName};

const ADDRESSES: [RecordType; 2] = [RecordType::A, RecordType::AAAA];

/// What hides an RRset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cover<'a> {
    /// An NS RRset.
    Cut(RrsetRef<'a>),
    /// A DNAME.
    Dname(RrsetRef<'a>),
}

impl<'a> Cover<'a> {
    /// A change that makes a delegation or DNAME, as what it will be.
    fn of(change: &'a Change) -> Option<Self> {
        let wanted = change.kind.wanted()?;
        let rrset = RrsetRef { name: &change.name, rtype: change.rtype, ttl: Ttl::ZERO, rdata: &wanted.rdata };
        match change.rtype {
            RecordType::NS if change.zone.as_ref().is_some_and(|zone| change.name.is_below(zone.as_name())) => {
                Some(Self::Cut(rrset))
            }
            RecordType::DNAME => Some(Self::Dname(rrset)),
            _ => None,
        }
    }

    /// What the RRsets of one name hide.
    fn at(rrsets: impl Iterator<Item = RrsetRef<'a>>, apex: &Name) -> Option<Self> {
        let mut covers = rrsets.filter_map(|rrset| match rrset.rtype {
            RecordType::NS if rrset.name != apex => Some(Self::Cut(rrset)),
            RecordType::DNAME => Some(Self::Dname(rrset)),
            _ => None,
        });
        // Types come in their order: of both, the delegation.
        covers.next()
    }

    /// Whether a name lies below it; a DNAME leaves its own name as it is.
    fn reaches(&self, name: &Name) -> bool {
        match self {
            Self::Cut(cut) => name.is_at_or_below(cut.name),
            Self::Dname(dname) => name.is_below(dname.name),
        }
    }

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
    let apex = contents.zone().as_name();
    let names = std::iter::successors(Some(name.clone()), Name::parent).take_while(|above| above.is_at_or_below(apex));
    let cover =
        names.filter_map(|above| Cover::at(contents.at(&above), apex).filter(|cover| cover.reaches(name))).last();
    cover.filter(|cover| !matches!(cover, Cover::Cut(cut) if belongs_to(cut, name, rtype)))
}

pub(super) fn is_address(rtype: RecordType) -> bool {
    ADDRESSES.contains(&rtype)
}

/// Whether an RRset is a delegation's own, or the address of one of its servers.
pub(super) fn belongs_to(cut: &RrsetRef<'_>, name: &Name, rtype: RecordType) -> bool {
    let is_cut = cut.name == name && matches!(rtype, RecordType::NS | RecordType::DS);
    is_cut || (is_address(rtype) && servers(cut).any(|server| server == *name))
}

/// Whether an address may be that of a server that the delegation does not name yet, or no more: one beside it has its
/// address below the cut too. Elsewhere nobody would see it.
pub(super) fn may_be_glue(cut: &RrsetRef<'_>, name: &Name, rtype: RecordType) -> bool {
    is_address(rtype) && name.is_at_or_below(cut.name) && servers(cut).any(|server| server.is_below(cut.name))
}

fn servers<'a>(cut: &RrsetRef<'a>) -> impl Iterator<Item = Name> + use<'a> {
    cut.rdata.iter().filter_map(|server| host(server, 0))
}

/// A name that is there and that a new delegation or DNAME would hide; not what goes in the same group, nor the glue of the
/// delegation and the registry TXT of both.
pub(super) fn hidden_by_new(contents: &ZoneContents, change: &Change, group: &Group) -> Option<Name> {
    let cover = Cover::of(change).filter(|_| contents.rrset(&change.name, change.rtype).is_none())?;
    let below = match cover {
        Cover::Cut(cut) => Below::new(contents, cut),
        Cover::Dname(_) => None,
    };
    let goes = |rrset: &RrsetRef<'_>| {
        let is_it = |other: &&Change| other.name == *rrset.name && other.rtype == rrset.rtype;
        group.changes().find(is_it).is_some_and(|other| other.kind.wanted().is_none())
    };
    let stays = |rrset: &RrsetRef<'_>| match &below {
        Some(below) => below.shows(rrset.name, rrset.rtype),
        None => *rrset.name == change.name,
    };
    let mut hidden = contents.at_or_below(&change.name).filter(|rrset| !stays(rrset) && !goes(rrset));
    hidden.next().map(|rrset| rrset.name.clone())
}

/// Notes the changes that a delegation or DNAME of the same apply would hide, but for glue and registry TXT.
pub(super) fn note_hidden(changes: &mut [Change]) {
    let covers: BTreeMap<Name, Change> = changes
        .iter()
        .filter(|change| Cover::of(change).is_some())
        .map(|change| (change.name.clone(), change.clone()))
        .collect();
    if covers.is_empty() {
        return;
    }
    for change in changes.iter_mut().filter(|change| change.kind.wanted().is_some()) {
        let above = std::iter::successors(change.name.parent(), Name::parent).filter_map(|name| covers.get(&name));
        let mut covers = above.filter(|cover| cover.zone == change.zone).filter_map(Cover::of);
        let hidden_by = covers.find(|cover| match cover {
            Cover::Dname(_) => true,
            Cover::Cut(cut) => {
                // Of a registry TXT only the name of its record is known, which stands for an address.
                let (name, rtype) = match &change.owned_record {
                    Some(owned) => (owned, RecordType::A),
                    None => (&change.name, change.rtype),
                };
                let is_of_cut = change.is_registry() && name == cut.name;
                !is_of_cut && !belongs_to(cut, name, rtype) && !may_be_glue(cut, name, rtype)
            }
        });
        if let Some(cover) = hidden_by {
            let reason = cover.reason();
            change.problem.get_or_insert(reason);
        }
    }
}

/// What the registry TXT below one delegation say of the names below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Below {
    cut: Rrset,
    /// Addresses that a registry TXT may speak for: glue of a server that is not named yet, or no more.
    claimed: BTreeSet<(Name, RecordType)>,
    /// Registry TXT of the delegation and of addresses below it.
    texts: BTreeSet<Name>,
}

impl Below {
    /// None where the delegation has no record.
    pub(super) fn new(contents: &ZoneContents, cut: RrsetRef<'_>) -> Option<Self> {
        let (mut claimed, mut texts) = (BTreeSet::new(), BTreeSet::new());
        let is_claim = |rrset: &RrsetRef<'_>| rrset.rdata.iter().any(|text| claim(text) != Claim::Foreign);
        let below = contents.at_or_below(cut.name).filter(|rrset| rrset.rtype == RecordType::TXT);
        for text in below.filter(is_claim) {
            if may_speak_for(text.name, cut.name, RecordType::NS) {
                texts.insert(text.name.clone());
            }
            for owned in owned_candidates(text.name).filter(|owned| owned.is_at_or_below(cut.name)) {
                for rtype in ADDRESSES.into_iter().filter(|rtype| may_speak_for(text.name, &owned, *rtype)) {
                    if contents.rrset(&owned, rtype).is_some() {
                        texts.insert(text.name.clone());
                        claimed.insert((owned.clone(), rtype));
                    }
                }
            }
        }
        Some(Self { cut: cut.to_rrset()?, claimed, texts })
    }

    /// Whether an RRset below the delegation is shown all the same.
    pub(super) fn shows(&self, name: &Name, rtype: RecordType) -> bool {
        belongs_to(&self.cut.as_ref(), name, rtype)
            || self.claimed.contains(&(name.clone(), rtype))
            || (rtype == RecordType::TXT && self.texts.contains(name))
    }
}

/// What is shown of a zone, whose names are told one after the other: what one of them hides comes directly behind it.
#[derive(Debug)]
pub(super) struct Shown<'a> {
    contents: &'a ZoneContents,
    hiding: Option<Arc<Hiding>>,
}

/// A delegation or DNAME with all that decides what it hides.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Hiding {
    Cut(Below),
    Dname(Rrset),
}

impl<'a> Shown<'a> {
    /// Begins at a name: before the first one, or at one that is hidden by this, if by anything.
    pub(super) const fn new(contents: &'a ZoneContents, hiding: Option<Arc<Hiding>>) -> Self {
        Self { contents, hiding }
    }

    /// Goes on to the next name, of which these are the RRsets.
    pub(super) fn enter(&mut self, rrsets: impl Iterator<Item = RrsetRef<'a>> + Clone) {
        let Some(name) = rrsets.clone().next().map(|rrset| rrset.name) else { return };
        if !self.hiding.as_ref().is_some_and(|hiding| hiding.reaches(name)) {
            self.hiding = Hiding::by(self.contents, rrsets).map(Arc::new);
        }
    }

    /// Whether an RRset of that name is shown.
    pub(super) fn shows(&self, rrset: &RrsetRef<'_>) -> bool {
        match self.hiding.as_deref() {
            Some(Hiding::Cut(below)) => below.shows(rrset.name, rrset.rtype),
            Some(hiding) => !hiding.reaches(rrset.name),
            None => true,
        }
    }

    pub(super) fn zone(&self) -> &'a ZoneName {
        self.contents.zone()
    }

    /// What hides at that name and may hide the ones that follow.
    pub(super) fn into_hiding(self) -> Option<Arc<Hiding>> {
        self.hiding
    }
}

impl Hiding {
    /// At a name of a zone; none where nothing does.
    pub(super) fn at(contents: &ZoneContents, name: &Name) -> Option<Self> {
        Self::by(contents, contents.at(name))
    }

    /// By one of these, which are all RRsets of a name.
    fn by<'a>(contents: &ZoneContents, rrsets: impl Iterator<Item = RrsetRef<'a>>) -> Option<Self> {
        match Cover::at(rrsets, contents.zone().as_name())? {
            Cover::Cut(cut) => Below::new(contents, cut).map(Self::Cut),
            Cover::Dname(dname) => dname.to_rrset().map(Self::Dname),
        }
    }

    /// The name of the delegation or DNAME.
    pub(super) fn name(&self) -> &Name {
        match self {
            Self::Cut(below) => below.cut.name(),
            Self::Dname(dname) => dname.name(),
        }
    }

    pub(super) fn reaches(&self, name: &Name) -> bool {
        self.cover().reaches(name)
    }

    fn cover(&self) -> Cover<'_> {
        match self {
            Self::Cut(below) => Cover::Cut(below.cut.as_ref()),
            Self::Dname(dname) => Cover::Dname(dname.as_ref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dns::presentation::parse_target;

    const NAMES: [&str; 6] = [
        "example.test",
        "a.example.test",
        "b.a.example.test",
        "c.b.a.example.test",
        "x.a.example.test",
        "z.example.test",
    ];
    const TYPES: [RecordType; 4] = [RecordType::NS, RecordType::DNAME, RecordType::PTR, RecordType::CNAME];

    fn zone(records: &[(&str, RecordType)]) -> ZoneContents {
        let mut contents = ZoneContents::new("example.test".parse().unwrap(), 1);
        for (owner, rtype) in records {
            let target = parse_target(*rtype, "ns.elsewhere.test", |text| text.parse()).unwrap();
            contents.add(&owner.parse().unwrap(), *rtype, Ttl::ZERO, target);
        }
        contents
    }

    fn covered_by(records: &[(&str, RecordType)], text: &str) -> Option<String> {
        cover(&zone(records), &text.parse().unwrap(), RecordType::A).map(|cover| match cover {
            Cover::Cut(cut) => format!("NS {}", cut.name),
            Cover::Dname(dname) => format!("DNAME {}", dname.name),
        })
    }

    proptest! {
        /// One walk over the zone, and a walk up from each name, come to the same.
        #[test]
        fn what_is_listed_is_what_may_be_written(
            records in prop::collection::vec((prop::sample::select(&NAMES[..]), prop::sample::select(&TYPES[..])), 0..12),
        ) {
            let contents = zone(&records);
            let mut shown = Shown::new(&contents, None);
            for rrsets in contents.pages().flat_map(|page| page.nodes()) {
                shown.enter(rrsets.clone());
                for rrset in rrsets {
                    let is_free = cover(&contents, rrset.name, rrset.rtype).is_none();
                    prop_assert_eq!(shown.shows(&rrset), is_free, "{} {}", rrset.name, rrset.rtype);
                }
            }
        }
    }

    #[test]
    fn the_highest_delegation_hides_what_is_at_and_below_it() {
        let zone = [
            ("example.test", RecordType::NS),
            ("sub.example.test", RecordType::NS),
            ("deep.sub.example.test", RecordType::NS),
        ];
        let sub = Some("NS sub.example.test.");
        for (name, expected) in [
            ("www.deep.sub.example.test", sub),
            ("sub.example.test", sub),
            ("www.example.test", None),
            ("notsub.example.test", None),
            ("example.test", None),
            ("www.other.test", None),
        ] {
            assert_eq!(covered_by(&zone, name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn a_dname_hides_what_is_below_it_and_not_itself_and_of_both_the_higher_one_does() {
        let zone = [("b.example.test", RecordType::DNAME), ("a.b.example.test", RecordType::NS)];
        assert_eq!(covered_by(&zone, "x.a.b.example.test").as_deref(), Some("DNAME b.example.test."));
        assert_eq!(covered_by(&zone, "b.example.test"), None);
        let zone = [("b.example.test", RecordType::NS), ("a.b.example.test", RecordType::DNAME)];
        assert_eq!(covered_by(&zone, "x.a.b.example.test").as_deref(), Some("NS b.example.test."));
        assert_eq!(
            covered_by(&[("example.test", RecordType::DNAME)], "x.example.test").as_deref(),
            Some("DNAME example.test.")
        );
    }
}
