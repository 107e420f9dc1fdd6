//! When each record of a zone was refreshed, and when it is due.

use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;

use super::{Basis, Key, Manner, Pace};

/// The records of a zone that are kept alive.
#[derive(Debug, Clone, Default)]
pub struct Schedule {
    pace: Option<Pace>,
    kept: BTreeMap<Key, Kept>,
}

/// A record that is kept alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Since when it is.
    pub since: SystemTime,
    /// When it was refreshed last, as far as is known.
    pub last: Option<SystemTime>,
    /// When that was tried last.
    pub tried: Option<SystemTime>,
    /// Whether the server said then that it was done, and no look has shown yet what came of it.
    pub is_answered: bool,
    /// By what it is refreshed.
    pub manner: Manner,
    /// When it is due.
    pub due: SystemTime,
    /// From when on it may be taken out.
    pub late: SystemTime,
}

/// A record that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Which.
    pub key: Key,
    /// By what it is refreshed.
    pub manner: Manner,
}

impl Schedule {
    /// Takes over which records there are, and what the directory's time stamps say of each where these are the basis.
    pub fn look(
        &mut self,
        pace: Pace,
        standing: impl IntoIterator<Item = Key>,
        stamps: &HashMap<Key, SystemTime>,
        now: SystemTime,
    ) {
        let mut before = std::mem::take(&mut self.kept);
        let is_same = self.pace.is_some_and(|before| before.basis == pace.basis);
        self.pace = Some(pace);
        for key in standing {
            let known = before.remove(&key);
            let last = match pace.basis {
                Basis::TimeStamps => Some(match stamps.get(&key) {
                    Some(&stamp) => stamp,
                    // A static one does not age.
                    None => continue,
                }),
                Basis::Updates => known.filter(|_| is_same).and_then(|known| known.last),
            };
            let new =
                Kept { since: now, last, tried: None, is_answered: false, manner: Manner::Add, due: now, late: now };
            let kept = known.map_or(new, |known| Kept { last, is_answered: false, ..known.learned(last, &pace) });
            self.kept.insert(key.clone(), kept.at(&pace, &key));
        }
    }

    /// Forgets all: nothing here ages.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// What is due, the one that is late first.
    #[must_use]
    pub fn due(&self, now: SystemTime) -> Vec<Due> {
        let mut due: Vec<(&Kept, &Key)> =
            self.kept.iter().filter(|(_, kept)| kept.due <= now).map(|(key, kept)| (kept, key)).collect();
        due.sort_by_key(|(kept, _)| kept.late);
        due.into_iter().map(|(kept, key)| Due { key: key.clone(), manner: kept.manner }).collect()
    }

    /// Notes that a refresh was tried, and whether it was done.
    pub fn tried(&mut self, key: &Key, is_done: bool, now: SystemTime) {
        if let (Some(pace), Some(kept)) = (self.pace, self.kept.get_mut(key)) {
            (kept.tried, kept.is_answered) = (Some(now), is_done);
            if is_done && pace.basis == Basis::Updates {
                kept.last = Some(now);
            }
            *kept = kept.at(&pace, key);
        }
    }

    /// Every record, by its name.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Kept)> {
        self.kept.iter()
    }

    /// Records of which a refresh may come too late by now.
    #[must_use]
    pub fn overdue(&self, now: SystemTime) -> usize {
        self.kept.values().filter(|kept| kept.late <= now).count()
    }

    /// Whether a look would show what came of a refresh.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.pace.is_some_and(|pace| pace.basis == Basis::TimeStamps) && self.kept.values().any(|kept| kept.is_answered)
    }

    /// When the next one is due.
    #[must_use]
    pub fn next(&self) -> Option<SystemTime> {
        self.kept.values().map(|kept| kept.due).min()
    }

    /// How soon records are refreshed, once that is known.
    #[must_use]
    pub const fn pace(&self) -> Option<Pace> {
        self.pace
    }
}

impl Kept {
    /// A time stamp that stands still though the server said that it was done: by other means then, and at once.
    fn learned(self, last: Option<SystemTime>, pace: &Pace) -> Self {
        let stands_still = pace.basis == Basis::TimeStamps && self.is_answered && self.last == last;
        if !stands_still || self.manner == Manner::Replace {
            return self;
        }
        Self { manner: Manner::Replace, tried: None, ..self }
    }

    fn at(self, pace: &Pace, key: &Key) -> Self {
        let due = self.last.map_or(self.since, |last| pace.due(last, key));
        let retry = self.tried.map_or(due, |tried| tried + pace.retry);
        Self { due: due.max(retry), late: pace.late(self.last.unwrap_or(self.since)), ..self }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::dns::RecordType;

    const HOUR: Duration = Duration::from_secs(3600);

    fn key(label: &str) -> Key {
        (format!("{label}.example.test").parse().unwrap(), RecordType::A)
    }

    fn at(hours: u32) -> SystemTime {
        SystemTime::UNIX_EPOCH + HOUR * (100_000 + hours)
    }

    fn keys_due(schedule: &Schedule, now: SystemTime) -> Vec<Key> {
        schedule.due(now).into_iter().map(|due| due.key).collect()
    }

    #[test]
    fn by_time_stamps_only_what_is_old_enough_is_due_and_what_is_static_never() {
        let mut schedule = Schedule::default();
        let pace = Pace::of_intervals(HOUR * 24, HOUR * 24);
        let stamps = HashMap::from([(key("new"), at(90)), (key("old"), at(60)), (key("older"), at(40))]);
        let keys = ["new", "old", "older", "static"].map(key);
        schedule.look(pace, keys.clone(), &stamps, at(100));
        assert_eq!(keys_due(&schedule, at(100)), [key("older"), key("old")]);
        assert_eq!((schedule.iter().count(), schedule.overdue(at(100))), (3, 1));
        schedule.tried(&key("older"), true, at(100));
        schedule.tried(&key("old"), false, at(100));
        assert_eq!(schedule.due(at(100)), []);
        assert!(schedule.is_waiting());
        // The server said yes, and its time stamp has not moved: it is tried by other means at once, and is still late.
        schedule.look(pace, keys.clone(), &stamps, at(100));
        assert_eq!(schedule.due(at(100)), [Due { key: key("older"), manner: Manner::Replace }]);
        schedule.tried(&key("older"), true, at(100));
        schedule.look(pace, keys.clone(), &stamps, at(100));
        assert_eq!((schedule.due(at(100)), schedule.is_waiting()), (vec![], false));
        // After that there is no third way.
        schedule.look(pace, keys.clone(), &stamps, at(104));
        let manners = [(key("older"), Manner::Replace), (key("old"), Manner::Add)];
        assert_eq!(schedule.due(at(104)), manners.map(|(key, manner)| Due { key, manner }));
        assert_eq!(schedule.overdue(at(104)), 2);
        let stamps = HashMap::from([(key("older"), at(101)), (key("old"), at(101))]);
        schedule.look(pace, keys, &stamps, at(105));
        assert_eq!((schedule.due(at(105)), schedule.overdue(at(105)), schedule.iter().count()), (vec![], 0, 2));
        assert!(schedule.next().is_some_and(|next| next > at(125) && next <= at(137)));
    }

    #[test]
    fn without_time_stamps_each_record_is_due_at_once_and_then_daily() {
        let mut schedule = Schedule::default();
        let (pace, none) = (Pace::daily(), HashMap::new());
        schedule.look(pace, [key("a"), key("b")], &none, at(0));
        assert_eq!(keys_due(&schedule, at(0)), [key("a"), key("b")]);
        schedule.tried(&key("a"), true, at(0));
        schedule.tried(&key("b"), false, at(0));
        assert_eq!(schedule.due(at(0)), []);
        schedule.look(pace, [key("a"), key("b")], &none, at(1));
        assert_eq!(keys_due(&schedule, at(1)), [key("b")]);
        assert_eq!(keys_due(&schedule, at(24)), [key("a"), key("b")]);
        assert_eq!((schedule.overdue(at(83)), schedule.overdue(at(84))), (0, 2));
        // What is gone from DNS is forgotten.
        schedule.look(pace, [key("a")], &none, at(2));
        assert_eq!(schedule.iter().count(), 1);
        schedule.clear();
        assert_eq!((schedule.next(), schedule.pace()), (None, None));
    }

    #[test]
    fn a_zone_that_begins_to_show_time_stamps_is_judged_by_them() {
        let mut schedule = Schedule::default();
        schedule.look(Pace::daily(), [key("a")], &HashMap::new(), at(0));
        schedule.tried(&key("a"), true, at(0));
        let stamps = HashMap::from([(key("a"), at(0))]);
        schedule.look(Pace::of_intervals(HOUR * 168, HOUR * 168), [key("a")], &stamps, at(30));
        assert_eq!(schedule.due(at(30)), []);
        // And the other way round nothing is known any more.
        schedule.look(Pace::daily(), [key("a")], &HashMap::new(), at(31));
        assert_eq!(keys_due(&schedule, at(31)), [key("a")]);
    }
}
