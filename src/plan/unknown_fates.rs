//! Updates that did not end in success, for a caller that never reads the zone: it sends them again as creates.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::intake::{Change, Kind};
use crate::dns::{Name, Rdata, RecordType};

/// An entry that has not been tried for so long may describe what somebody else has written since.
const LIFE: Duration = Duration::from_secs(6 * 3600);
/// RRsets that are remembered; of more, those tried last.
const MOST: usize = 10_000;
/// Values that are remembered of one RRset: the first, which was there before anything failed, and the last ones.
const VALUES: usize = 8;

/// What each RRset may hold after updates whose outcome is not known to be success.
#[derive(Debug, Clone, Default)]
pub struct UnknownFates(BTreeMap<(Name, RecordType), Entry>);

#[derive(Debug, Clone)]
struct Entry {
    values: Vec<Vec<Rdata>>,
    /// When it was tried last.
    tried: SystemTime,
}

impl UnknownFates {
    /// Lets the changes start from any value that an earlier update of theirs may have left.
    pub fn accept<'a>(&self, changes: impl IntoIterator<Item = &'a mut Change>) {
        if self.0.is_empty() {
            return;
        }
        for change in changes {
            change.accepted = self.0.get(&key(change)).map(|entry| entry.values.clone()).unwrap_or_default();
        }
    }

    /// Keeps the old and the new value of an update that is not known to have succeeded; others leave no trace.
    pub fn keep(&mut self, change: &Change, now: SystemTime) {
        let earlier = self.0.contains_key(&key(change));
        let values = match &change.kind {
            Kind::Update { old, new, .. } => vec![old.clone(), new.rdata.clone()],
            // The same update once more, under its second name.
            Kind::Create(wanted) if earlier => vec![wanted.rdata.clone()],
            Kind::Create(_) | Kind::Delete { .. } => return,
        };
        let kept = self.0.entry(key(change)).or_insert_with(|| Entry { values: Vec::new(), tried: now });
        kept.tried = now;
        for value in values {
            if !kept.values.contains(&value) {
                kept.values.push(value);
            }
        }
        if let Some(surplus) = kept.values.len().checked_sub(VALUES) {
            kept.values.drain(1..=surplus);
        }
    }

    /// Forgets an RRset whose change succeeded, or which holds none of the values.
    pub fn forget(&mut self, change: &Change) {
        self.0.remove(&key(change));
    }

    /// Forgets what is too old, and what is too much.
    pub fn expire(&mut self, now: SystemTime) {
        // A clock that was set back makes nothing old.
        self.0.retain(|_, entry| now.duration_since(entry.tried).unwrap_or_default() < LIFE);
        if self.0.len() > MOST {
            let mut by_age: Vec<_> = self.0.iter().map(|(key, entry)| (entry.tried, key.clone())).collect();
            by_age.sort_unstable();
            by_age.truncate(self.0.len() - MOST);
            by_age.iter().for_each(|(_, key)| drop(self.0.remove(key)));
        }
    }
}

fn key(change: &Change) -> (Name, RecordType) {
    (change.name.clone(), change.rtype)
}

#[cfg(test)]
mod tests {
    use super::super::tests::policy;
    use super::*;
    use crate::plan::intake::intake;

    fn update(n: usize, old: usize, new: usize) -> Change {
        let endpoint = |target: usize| crate::api::Endpoint {
            dns_name: format!("h{n}.example.test"),
            record_type: "A".into(),
            targets: vec![format!("192.0.2.{target}")],
            ..Default::default()
        };
        let changes = crate::api::Changes {
            update_old: vec![endpoint(old)],
            update_new: vec![endpoint(new)],
            ..Default::default()
        };
        intake(&changes, &policy(&["example.test"])).0.remove(0)
    }

    fn accepted(unknown_fates: &UnknownFates, change: &Change) -> usize {
        let mut changes = [change.clone()];
        unknown_fates.accept(&mut changes);
        changes[0].accepted.len()
    }

    #[test]
    fn an_entry_that_is_not_tried_any_more_expires() {
        let (mut unknown_fates, began, change) = (UnknownFates::default(), SystemTime::UNIX_EPOCH, update(0, 1, 2));
        let hours = |n: u64| began + Duration::from_secs(n * 3600);
        unknown_fates.keep(&change, began);
        unknown_fates.expire(hours(5));
        assert_eq!(accepted(&unknown_fates, &change), 2);
        unknown_fates.keep(&change, hours(5));
        unknown_fates.expire(hours(10));
        assert_eq!(accepted(&unknown_fates, &change), 2, "each try counts");
        unknown_fates.expire(hours(11));
        assert_eq!(accepted(&unknown_fates, &change), 0);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_latest_stays() {
        let (mut unknown_fates, began) = (UnknownFates::default(), SystemTime::UNIX_EPOCH);
        for n in 0..MOST + 10 {
            unknown_fates.keep(&update(n, 1, 2), began + Duration::from_millis(n as u64));
        }
        unknown_fates.expire(began + Duration::from_secs(60));
        assert_eq!(unknown_fates.0.len(), MOST);
        assert_eq!([9, 10].map(|n| accepted(&unknown_fates, &update(n, 1, 2))), [0, 2]);
    }

    #[test]
    fn of_many_values_the_first_and_the_last_stay() {
        let mut unknown_fates = UnknownFates::default();
        (2..100).for_each(|new| unknown_fates.keep(&update(0, 1, new), SystemTime::UNIX_EPOCH));
        let mut changes = [update(0, 1, 99)];
        unknown_fates.accept(&mut changes);
        let [change] = changes;
        let value = |n: usize| update(0, 1, n).kind.wanted().unwrap().rdata.clone();
        let expected: Vec<_> = [1].into_iter().chain(93..100).map(value).collect();
        assert_eq!(change.accepted, expected);
    }
}
