//! Updates that did not end in success, for a caller that never reads the zone: it sends them again as creates.

use std::collections::BTreeMap;

use super::intake::{Change, Kind};
use crate::dns::{Name, Rdata, RecordType};

/// What each RRset may hold after updates whose outcome is not known to be success.
#[derive(Debug, Clone, Default)]
pub struct Unsettled(BTreeMap<(Name, RecordType), Vec<Vec<Rdata>>>);

impl Unsettled {
    /// Lets the changes start from any value that an earlier update of theirs may have left.
    pub fn accept(&self, changes: &mut [Change]) {
        for change in changes {
            change.accepted = self.0.get(&key(change)).cloned().unwrap_or_default();
        }
    }

    /// Keeps the old and the new value of an update that is not known to have succeeded; others leave no trace.
    pub fn keep(&mut self, change: &Change) {
        let earlier = self.0.contains_key(&key(change));
        let values = match &change.kind {
            Kind::Update { old, new, .. } => vec![old.clone(), new.rdata.clone()],
            // The same update once more, under its second name.
            Kind::Create(wanted) if earlier => vec![wanted.rdata.clone()],
            Kind::Create(_) | Kind::Delete { .. } => return,
        };
        let kept = self.0.entry(key(change)).or_default();
        for value in values {
            if !kept.contains(&value) {
                kept.push(value);
            }
        }
    }

    /// Forgets an RRset whose change succeeded, or which holds none of the values.
    pub fn settle(&mut self, change: &Change) {
        self.0.remove(&key(change));
    }
}

fn key(change: &Change) -> (Name, RecordType) {
    (change.name.clone(), change.rtype)
}
