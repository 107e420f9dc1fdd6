//! Aliases that lead back to themselves: through one apply and what DNS holds.

use std::collections::{BTreeMap, BTreeSet};

use super::copies::Copies;
use super::intake::Change;
use super::protected::host;
use crate::dns::{Name, RecordType, ZoneSet};

/// What each alias that an apply changes points to in the end; none where it goes.
pub type Aliases = BTreeMap<Name, Option<Name>>;

pub(super) fn aliases(changes: &[Change]) -> Aliases {
    let aliases = changes.iter().filter(|change| change.rtype == RecordType::CNAME);
    aliases.map(|change| (change.name.clone(), target(change))).collect()
}

fn target(change: &Change) -> Option<Name> {
    host(change.kind.wanted()?.rdata.first()?, 0)
}

/// Whether the chain of aliases that starts with this one comes back to a name that it went through.
pub(super) fn leads_back(change: &Change, aliases: &Aliases, copies: &Copies, zones: &ZoneSet) -> bool {
    if !matches!(change.rtype, RecordType::CNAME | RecordType::DNAME) {
        return false;
    }
    let Some(mut name) = target(change) else { return false };
    if change.rtype == RecordType::DNAME {
        return name.is_below(&change.name);
    }
    let mut seen = BTreeSet::from([change.name.clone()]);
    while seen.insert(name.clone()) {
        match next(&name, &change.name, aliases, copies, zones) {
            Some(target) => name = target,
            None => return false,
        }
    }
    true
}

/// What a name is an alias of, as the apply leaves it; `origin` is where the chain starts.
fn next(name: &Name, origin: &Name, aliases: &Aliases, copies: &Copies, zones: &ZoneSet) -> Option<Name> {
    if let Some(target) = aliases.get(name) {
        return target.clone();
    }
    let contents = copies.get(zones.find(name)?);
    let held = |name: &Name| host(contents?.rrset(name, RecordType::CNAME)?.rdata.first()?, 0);
    if contents.is_some_and(|contents| contents.at(name).next().is_some()) {
        return held(name);
    }
    if origin.is_wildcard() && origin.parent().is_some_and(|parent| name.is_below(&parent)) {
        return aliases.get(origin).cloned().flatten();
    }
    held(contents?.wildcard_above(name)?)
}
