//! Groups that were rejected: when each is tried again, alone, so that it never fails with others.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::copies::Copies;
use super::group::Group;
use crate::dns::{Name, RecordType, Rrset};

/// Applies in which a rejected group is tried again at once.
const PROMPT_TRIES: u32 = 2;
/// The first wait after those; it doubles with every rejection.
const FIRST_WAIT: Duration = Duration::from_secs(60);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// Rejected groups that are tried in one apply at most.
const TRIES_PER_APPLY: usize = 32;
/// Lists that end an entry when no apply comes between them.
const LISTS_WITHOUT_APPLY: u8 = 2;

/// The groups that were rejected and are still asked for.
#[derive(Debug, Clone)]
pub struct Quarantine<C> {
    entries: BTreeMap<Key, Entry<C>>,
    lists: u8,
}

/// What identifies a group from apply to apply: the RRsets it changes.
type Key = Vec<(Name, RecordType)>;

#[derive(Debug, Clone)]
struct Entry<C> {
    asked: Group,
    held: Vec<Rrset>,
    cause: C,
    rejections: u32,
    tried: SystemTime,
}

/// What an apply does with its groups.
#[derive(Debug, Clone)]
pub struct Triage<C> {
    /// Groups that may share messages.
    pub together: Vec<Group>,
    /// Groups that were rejected before: each goes in a message of its own.
    pub alone: Vec<Group>,
    /// Groups that stay rejected in this apply, with the cause of the last time.
    pub held_back: Vec<(Group, C)>,
}

impl<C> Default for Quarantine<C> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), lists: 0 }
    }
}

impl<C: Clone> Quarantine<C> {
    /// Sorts the groups of an apply. Entries that the apply leaves out end; a change of what is asked, or of what DNS
    /// holds, starts anew.
    #[must_use]
    pub fn triage(&mut self, groups: Vec<Group>, copies: &Copies, now: SystemTime) -> Triage<C> {
        self.lists = 0;
        if self.entries.is_empty() {
            return Triage { together: groups, alone: Vec::new(), held_back: Vec::new() };
        }
        let mut former = std::mem::take(&mut self.entries);
        let mut triage = Triage { together: Vec::new(), alone: Vec::new(), held_back: Vec::new() };
        let mut due = Vec::new();
        for group in groups {
            let key = key(&group);
            match former.remove(&key).filter(|entry| entry.asked == group && entry.held == held(&group, copies)) {
                None => triage.together.push(group),
                Some(entry) => {
                    if entry.is_due(now) {
                        due.push((entry.tried, group));
                    } else {
                        triage.held_back.push((group, entry.cause.clone()));
                    }
                    self.entries.insert(key, entry);
                }
            }
        }
        // The sort is stable, and those over the limit come first next time.
        due.sort_by_key(|(tried, _)| *tried);
        let later = due.split_off(due.len().min(TRIES_PER_APPLY));
        triage.alone = due.into_iter().map(|(_, group)| group).collect();
        for (_, group) in later {
            let cause = self.entries.get(&self::key(&group)).map(|entry| entry.cause.clone());
            triage.held_back.extend(cause.map(|cause| (group, cause)));
        }
        triage
    }

    /// Notes that a group was rejected; `copies` tell what DNS held then.
    pub fn reject(&mut self, group: &Group, cause: C, copies: &Copies, now: SystemTime) {
        let key = key(group);
        let rejections = self.entries.get(&key).map_or(0, |entry| entry.rejections).saturating_add(1);
        let entry = Entry { asked: group.clone(), held: held(group, copies), cause, rejections, tried: now };
        self.entries.insert(key, entry);
    }

    /// Notes that a group was applied.
    pub fn release(&mut self, group: &Group) {
        if !self.entries.is_empty() {
            self.entries.remove(&key(group));
        }
    }

    /// Notes that the records were listed; the second list without an apply between ends every entry.
    pub fn listed(&mut self) {
        self.lists = self.lists.saturating_add(1);
        if self.lists >= LISTS_WITHOUT_APPLY {
            self.entries.clear();
        }
    }
}

impl<C> Entry<C> {
    fn is_due(&self, now: SystemTime) -> bool {
        // A clock that went back must not hold a group for ever.
        now.duration_since(self.tried).map_or(true, |waited| waited >= self.wait())
    }

    fn wait(&self) -> Duration {
        let Some(doublings) = self.rejections.checked_sub(PROMPT_TRIES + 1) else { return Duration::ZERO };
        let factor = 2_u32.checked_pow(doublings).unwrap_or(u32::MAX);
        FIRST_WAIT.saturating_mul(factor).min(LONGEST_WAIT)
    }
}

fn key(group: &Group) -> Key {
    let mut key: Key = group.changes().map(|change| (change.name.clone(), change.rtype)).collect();
    key.sort_unstable();
    key
}

/// What DNS holds at the names of a group.
fn held(group: &Group, copies: &Copies) -> Vec<Rrset> {
    let mut names: Vec<_> =
        group.parts.iter().flat_map(|part| part.changes.iter().map(move |change| (&part.zone, &change.name))).collect();
    names.sort_unstable();
    names.dedup();
    let at = |(zone, name)| copies.get(zone).into_iter().flat_map(move |contents| contents.at(name));
    names.into_iter().flat_map(at).filter_map(|rrset| rrset.to_rrset()).collect()
}
