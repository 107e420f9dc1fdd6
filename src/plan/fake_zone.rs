//! A stateful name server for tests: prerequisites by RFC 2136 §3.2, updates by §3.4.

use crate::dns::{Operation, Prerequisite, Rdata, RecordType, Update, ZoneContents};

/// Why the server changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rcode {
    /// A name exists that should not.
    YxDomain,
    /// An RRset exists that should not.
    YxRrset,
    /// An RRset does not exist, or differs.
    NxRrset,
    /// A name does not exist that should.
    NxDomain,
}

/// Applies an update whole or not at all.
pub(crate) fn apply(update: &Update, zone: &mut ZoneContents) -> Result<(), Rcode> {
    update.prerequisites.iter().try_for_each(|prerequisite| check(prerequisite, zone))?;
    for operation in &update.operations {
        // RFC 2136 §3.4.2.2: a CNAME beside other data, or other data beside a CNAME, is ignored without a word.
        let beside_cname = |rtype: RecordType| (rtype == RecordType::CNAME) != (operation.rtype() == RecordType::CNAME);
        // Knot and YADIFA ignore the addition of RDATA that is there, whatever its TTL.
        let is_there = |added: &Rdata| {
            zone.rrset(operation.name(), operation.rtype()).is_some_and(|held| held.rdata.contains(added))
        };
        let is_ignored = matches!(operation, Operation::Add { rdata, .. }
            if is_there(rdata) || zone.at(operation.name()).any(|rrset| beside_cname(rrset.rtype)));
        if is_ignored {
            continue;
        }
        if let Operation::Add { name, rtype: RecordType::CNAME, .. } = operation {
            zone.remove_rrset(name, RecordType::CNAME);
        }
        operation.apply_to(zone);
    }
    Ok(())
}

fn check(prerequisite: &Prerequisite, zone: &ZoneContents) -> Result<(), Rcode> {
    let must = |holds: bool, rcode| if holds { Ok(()) } else { Err(rcode) };
    match prerequisite {
        Prerequisite::NameInUse(name) => must(zone.at(name).next().is_some(), Rcode::NxDomain),
        Prerequisite::NameNotInUse(name) => must(zone.at(name).next().is_none(), Rcode::YxDomain),
        Prerequisite::RrsetExists { name, rtype } => must(zone.rrset(name, *rtype).is_some(), Rcode::NxRrset),
        Prerequisite::RrsetDoesNotExist { name, rtype } => must(zone.rrset(name, *rtype).is_none(), Rcode::YxRrset),
        Prerequisite::RrsetEquals(rrset) => {
            let held = zone.rrset(rrset.name(), rrset.rtype());
            must(held.is_some_and(|held| held.rdata == rrset.rdata()), Rcode::NxRrset)
        }
    }
}
