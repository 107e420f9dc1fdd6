//! What currently stands against records: since when, and when to tell it again.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// What stands is told again after this time.
const TELL_AGAIN: Duration = Duration::from_secs(3600);
/// Lists that end an entry when no apply comes between them: ExternalDNS sends no empty plan.
const LISTS_WITHOUT_APPLY: u8 = 2;

/// Records with what stands against each, and since when.
#[derive(Debug, Clone)]
pub struct Standing<K, C> {
    entries: BTreeMap<K, Entry<C>>,
    lists: u8,
}

#[derive(Debug, Clone)]
struct Entry<C> {
    cause: C,
    since: SystemTime,
    told: SystemTime,
}

impl<K, C> Default for Standing<K, C> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), lists: 0 }
    }
}

impl<K: Ord + Clone, C: PartialEq> Standing<K, C> {
    /// Puts the present entries in the place of the former ones, and returns the keys of those to tell: new, changed,
    /// or not told for an hour. What stood before keeps its time.
    pub fn replace(&mut self, present: impl IntoIterator<Item = (K, C)>, now: SystemTime) -> Vec<K> {
        self.lists = 0;
        let mut former = std::mem::take(&mut self.entries);
        let mut to_tell = Vec::new();
        for (key, cause) in present {
            let before = former.remove(&key);
            let since = before.as_ref().map_or(now, |entry| entry.since);
            let is_known = |entry: &Entry<C>| {
                entry.cause == cause && now.duration_since(entry.told).is_ok_and(|since| since < TELL_AGAIN)
            };
            let told = before.filter(is_known).map_or(now, |entry| entry.told);
            if told == now {
                to_tell.push(key.clone());
            }
            self.entries.insert(key, Entry { cause, since, told });
        }
        to_tell
    }

    /// Notes that the records were listed; the second list without an apply between ends every entry.
    ///
    /// Returns whether it did.
    pub fn listed(&mut self) -> bool {
        self.lists = self.lists.saturating_add(1);
        let is_over = self.lists >= LISTS_WITHOUT_APPLY;
        if is_over {
            self.entries.clear();
        }
        is_over
    }

    /// Every entry with its cause and since when it stands, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &C, SystemTime)> {
        self.entries.iter().map(|(key, entry)| (key, &entry.cause, entry.since))
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing stands.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(secs)
    }

    #[test]
    fn an_entry_is_told_when_new_when_changed_and_hourly_and_keeps_its_time() {
        let mut standing = Standing::default();
        assert_eq!(standing.replace([("a", 1)], at(10)), ["a"]);
        assert_eq!(standing.replace([("a", 1)], at(70)), [""; 0]);
        assert_eq!(standing.replace([("a", 2)], at(80)), ["a"]);
        assert_eq!(standing.replace([("a", 2)], at(3679)), [""; 0]);
        assert_eq!(standing.replace([("a", 2), ("b", 1)], at(3680)), ["a", "b"]);
        assert_eq!(standing.iter().collect::<Vec<_>>(), [(&"a", &2, at(10)), (&"b", &1, at(3680))]);
    }

    #[test]
    fn an_entry_ends_when_an_apply_leaves_it_out() {
        let mut standing = Standing::default();
        standing.replace([("a", 1), ("b", 1)], at(10));
        standing.replace([("b", 1)], at(70));
        assert_eq!(standing.iter().collect::<Vec<_>>(), [(&"b", &1, at(10))]);
    }

    #[test]
    fn entries_end_with_the_second_list_without_an_apply() {
        let mut standing = Standing::default();
        standing.replace([("a", 1)], at(10));
        assert!(!standing.listed());
        standing.replace([("a", 1)], at(20));
        assert!(!standing.listed());
        assert_eq!(standing.len(), 1);
        assert!(standing.listed());
        assert!(standing.is_empty());
    }
}
