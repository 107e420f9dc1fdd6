//! What a difference of clocks means.

use std::fmt::Display;

use super::report::Finding;
use crate::dns::tsig::FUDGE;
use crate::provider::{Cause, Failure};

/// Seconds from which it deserves a warning.
const WORTH_TELLING: u64 = 60;

/// Compares a clock with ours; `skew` is that clock minus ours in seconds.
pub(super) fn compare(whose: impl Display, skew: i64) -> Finding {
    let difference = skew.unsigned_abs();
    let detail = match skew {
        0 => "agrees with ours".to_owned(),
        1.. => format!("{difference} seconds ahead of ours"),
        _ => format!("{difference} seconds behind ours"),
    };
    if difference > u64::from(FUDGE) {
        Finding::failed("clock", whose, &Failure::new(Cause::ClockSkew, detail))
    } else if difference >= WORTH_TELLING {
        Finding::warning("clock", whose, detail, Cause::ClockSkew.remedy())
    } else {
        Finding::ok("clock", whose, detail)
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Grade;
    use super::*;

    #[test]
    fn five_minutes_fail_and_one_minute_is_worth_a_warning() {
        let cases = [
            (0, Grade::Ok, "agrees with ours"),
            (59, Grade::Ok, "59 seconds ahead of ours"),
            (-60, Grade::Warning, "60 seconds behind ours"),
            (300, Grade::Warning, "300 seconds ahead of ours"),
            (-301, Grade::Failed, "301 seconds behind ours"),
        ];
        for (skew, grade, words) in cases {
            let step = compare("KDC", skew);
            assert_eq!((step.grade, step.detail.ends_with(words)), (grade, true), "{step:?}");
            assert_eq!(step.cause, (grade == Grade::Failed).then_some("clock_skew"));
            assert_eq!(step.remedy.contains("NTP"), grade != Grade::Ok);
        }
    }
}
