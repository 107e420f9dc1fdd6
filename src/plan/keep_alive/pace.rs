//! How soon a record is refreshed after it was last.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, SystemTime};

use super::Key;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Windows's own no-refresh interval, and its refresh interval.
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

/// How soon a record is refreshed after it was last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// What tells when that was.
    pub basis: Basis,
    /// The soonest.
    pub after: Duration,
    /// The latest is so much later: not all come at once.
    pub spread: Duration,
    /// From then on it may be too late.
    pub late: Duration,
    /// The next attempt, whatever came of the last one.
    pub retry: Duration,
}

/// What tells when a record was refreshed last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// The directory's time stamps.
    TimeStamps,
    /// Our own updates.
    Updates,
}

impl Basis {
    /// Its name in `/status`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::TimeStamps => "time stamps",
            Self::Updates => "updates",
        }
    }
}

impl Pace {
    /// For a zone with these intervals: within the first half of the refresh interval.
    #[must_use]
    pub fn of_intervals(no_refresh: Duration, refresh: Duration) -> Self {
        Self {
            basis: Basis::TimeStamps,
            after: no_refresh + refresh / 8,
            spread: refresh * 3 / 8,
            late: no_refresh + refresh * 3 / 4,
            retry: (refresh / 8).clamp(5 * MINUTE, 6 * HOUR),
        }
    }

    /// For a zone whose intervals are not told: daily. It is late by those that Windows sets.
    #[must_use]
    pub fn of_time_stamps() -> Self {
        let late = Self::of_intervals(WEEK, WEEK).late;
        Self { basis: Basis::TimeStamps, after: DAY, spread: Duration::ZERO, late, retry: DAY }
    }

    /// For a zone of which no time stamps are told: daily. It is late when half of Windows's refresh interval is over.
    #[must_use]
    pub fn daily() -> Self {
        Self { basis: Basis::Updates, after: DAY, spread: Duration::ZERO, late: WEEK / 2, retry: HOUR }
    }

    /// When a record is due.
    #[must_use]
    pub fn due(&self, last: SystemTime, key: &Key) -> SystemTime {
        last + self.after + self.spread.mul_f64(share(key))
    }

    /// When it may be too late for it.
    #[must_use]
    pub fn late(&self, last: SystemTime) -> SystemTime {
        last + self.late
    }

    /// How often to look what is due.
    #[must_use]
    pub fn look(&self) -> Duration {
        self.retry.min(HOUR)
    }
}

/// From 0 to 1, always the same for the same record.
fn share((name, rtype): &Key) -> f64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    rtype.hash(&mut hasher);
    f64::from(u16::try_from(hasher.finish() & 0xffff).unwrap_or_default()) / f64::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dns::RecordType;

    proptest! {
        /// Whatever the intervals: never within the one in which a refresh counts for nothing, and with half of the other left.
        #[test]
        fn a_record_is_due_in_the_first_half_of_its_refresh_interval(
            no_refresh in 0_u32..9000, refresh in 1_u32..9000, label in "[a-z]{1,8}",
        ) {
            let (no_refresh, refresh) = (HOUR * no_refresh, HOUR * refresh);
            let pace = Pace::of_intervals(no_refresh, refresh);
            let key = (format!("{label}.example.test").parse().unwrap(), RecordType::A);
            let due = pace.due(SystemTime::UNIX_EPOCH, &key);
            prop_assert!(due > SystemTime::UNIX_EPOCH + no_refresh);
            prop_assert!(due <= SystemTime::UNIX_EPOCH + no_refresh + refresh / 2);
            prop_assert!(due < pace.late(SystemTime::UNIX_EPOCH));
            // It is looked at, and tried again, before it is late.
            prop_assert!(due + pace.look() + pace.retry <= pace.late(SystemTime::UNIX_EPOCH));
            prop_assert!(pace.late(SystemTime::UNIX_EPOCH) < SystemTime::UNIX_EPOCH + no_refresh + refresh);
        }
    }

    #[test]
    fn records_of_one_age_do_not_all_come_at_once() {
        let pace = Pace::of_intervals(WEEK, WEEK);
        let due = |number: u32| {
            let key = (format!("h{number}.example.test").parse().unwrap(), RecordType::A);
            pace.due(SystemTime::UNIX_EPOCH, &key)
        };
        let mut dues: Vec<SystemTime> = (0..100).map(due).collect();
        dues.sort_unstable();
        assert!(dues[99].duration_since(dues[0]).unwrap() > 2 * DAY);
        assert!(dues[75].duration_since(dues[25]).unwrap() > DAY / 2);
    }
}
