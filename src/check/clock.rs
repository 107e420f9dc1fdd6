//! What a difference of clocks means.

use std::fmt::Display;

use super::report::Step;
use crate::dns::tsig::FUDGE;
use crate::provider::{Cause, Failure};

/// Seconds from which it deserves a warning.
const WORTH_TELLING: u64 = 60;

/// Compares a clock with ours; `skew` is that clock minus ours in seconds.
pub(super) fn compare(whose: impl Display, skew: i64) -> Step {
    let difference = skew.unsigned_abs();
    let detail = match skew {
        0 => "agrees with ours".to_owned(),
        1.. => format!("{difference} seconds ahead of ours"),
        _ => format!("{difference} seconds behind ours"),
    };
    if difference > u64::from(FUDGE) {
        Step::failed("clock", whose, &Failure::new(Cause::ClockSkew, detail))
    } else if difference >= WORTH_TELLING {
        Step::warning("clock", whose, detail, Cause::ClockSkew.remedy())
    } else {
        Step::ok("clock", whose, detail)
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Verdict;
    use super::*;

    #[test]
    fn five_minutes_fail_and_one_minute_is_worth_a_warning() {
        let cases = [
            (0, Verdict::Ok, "agrees with ours"),
            (59, Verdict::Ok, "59 seconds ahead of ours"),
            (-60, Verdict::Warning, "60 seconds behind ours"),
            (300, Verdict::Warning, "300 seconds ahead of ours"),
            (-301, Verdict::Failed, "301 seconds behind ours"),
        ];
        for (skew, verdict, words) in cases {
            let step = compare("KDC", skew);
            assert_eq!((step.verdict, step.detail.ends_with(words)), (verdict, true), "{step:?}");
            assert_eq!(step.cause, (verdict == Verdict::Failed).then_some("clock_skew"));
            assert_eq!(step.remedy.contains("NTP"), verdict != Verdict::Ok);
        }
    }
}
