//! What the preflight has found, for people and for machines.

use std::fmt::{self, Display};

use serde::Serialize;

use crate::config::{Problem, Problems, Warning};
use crate::provider::Failure;

/// How a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// As it should be.
    Ok,
    /// It works, and deserves a look.
    Warning,
    /// The sidecar will not work.
    Failed,
    /// Not looked at.
    Skipped,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at: `configuration`, `keytab`, `login`, `negotiation`, `transfer`, `update` and so on.
    pub step: &'static str,
    /// Of what: a principal, a server, a zone.
    pub subject: String,
    /// How it went.
    #[serde(rename = "result")]
    pub grade: Grade,
    /// What was found.
    pub detail: String,
    /// The label of the cause, where it failed for a known one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<&'static str>,
    /// What to do.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remedy: String,
}

impl Finding {
    pub(super) fn ok(step: &'static str, subject: impl Display, detail: impl Into<String>) -> Self {
        Self::new(step, subject, Grade::Ok, detail.into())
    }

    pub(super) fn warning(step: &'static str, subject: impl Display, detail: impl Into<String>, remedy: &str) -> Self {
        Self { remedy: remedy.to_owned(), ..Self::new(step, subject, Grade::Warning, detail.into()) }
    }

    pub(super) fn skipped(step: &'static str, subject: impl Display, why: impl Into<String>) -> Self {
        Self::new(step, subject, Grade::Skipped, why.into())
    }

    /// Failed for a cause of the failure table.
    pub(super) fn failed(step: &'static str, subject: impl Display, failure: &Failure) -> Self {
        let detail = format!("{}: {}", failure.cause.sentence(), failure.detail);
        Self {
            cause: Some(failure.cause.label()),
            remedy: failure.cause.remedy().to_owned(),
            ..Self::new(step, subject, Grade::Failed, detail)
        }
    }

    /// Failed for a cause that only the preflight meets.
    pub(super) fn broken(step: &'static str, subject: impl Display, detail: impl Into<String>, remedy: &str) -> Self {
        Self { remedy: remedy.to_owned(), ..Self::new(step, subject, Grade::Failed, detail.into()) }
    }

    /// Failed, but something else makes up for it.
    pub(super) fn forgive(&mut self) {
        if self.grade == Grade::Failed {
            self.grade = Grade::Warning;
        }
    }

    fn new(step: &'static str, subject: impl Display, grade: Grade, detail: String) -> Self {
        Self { step, subject: subject.to_string(), grade, detail, cause: None, remedy: String::new() }
    }
}

/// All steps, in the order in which they were taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The steps.
    pub steps: Vec<Finding>,
}

impl Report {
    /// Whether nothing has failed.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.steps.iter().all(|step| step.grade != Grade::Failed)
    }

    /// The report as JSON.
    ///
    /// # Errors
    /// Never but for want of memory.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }
}

/// A configuration that cannot be used is all there is to report.
impl From<&Problems> for Report {
    fn from(problems: &Problems) -> Self {
        let step = |problem: &Problem| {
            Finding::broken("configuration", &problem.variable, problem.fault.to_string(), &problem.fault.remedy())
        };
        Self { steps: problems.0.iter().map(step).collect() }
    }
}

/// What is amiss without standing in the way.
impl From<&Warning> for Finding {
    fn from(warning: &Warning) -> Self {
        Self::warning("configuration", "environment", warning.to_string(), "")
    }
}

/// One line, and one more for the remedy.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grade = match self.grade {
            Grade::Ok => "ok",
            Grade::Warning => "WARNING",
            Grade::Failed => "FAILED",
            Grade::Skipped => "skipped",
        };
        write!(f, "{grade:8} {:14} {}: {}", self.step, self.subject, self.detail)?;
        if let Some(cause) = self.cause {
            write!(f, " [{cause}]")?;
        }
        if !self.remedy.is_empty() {
            write!(f, "\n{:8} {:14} -> {}", "", "", self.remedy)?;
        }
        Ok(())
    }
}

impl Report {
    /// The last line.
    #[must_use]
    pub fn summary(&self) -> String {
        let count = |grade| self.steps.iter().filter(|step| step.grade == grade).count();
        let [ok, warnings, failed, skipped] = [Grade::Ok, Grade::Warning, Grade::Failed, Grade::Skipped].map(count);
        format!("{ok} ok, {warnings} warnings, {failed} failed, {skipped} skipped")
    }
}

/// All steps and the summary.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))?;
        writeln!(f, "{}", self.summary())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::Cause;

    fn report() -> Report {
        let failure = Failure::new(Cause::SpnUnknown, "Server DNS/x@Y not found in Kerberos database");
        let steps = vec![
            Finding::ok("login", "externaldns@EXAMPLE.TEST", "a ticket for 36000 seconds"),
            Finding::warning("unsigned", "example.test", "the zone takes unsigned updates", "set it to secure only"),
            Finding::failed("negotiation", "ns1.example.test:53", &failure),
            Finding::skipped("transfer", "example.test", "RFC2136_READ=none"),
        ];
        Report { steps }
    }

    #[test]
    fn people_read_a_line_per_step_with_cause_and_remedy() {
        let text = report().to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "ok       login          externaldns@EXAMPLE.TEST: a ticket for 36000 seconds");
        assert!(lines[3].starts_with("FAILED   negotiation    ns1.example.test:53: the KDC does not know"), "{text}");
        assert!(lines[3].ends_with("[spn_unknown]") && lines[4].contains("-> RFC2136_HOST must be"), "{text}");
        assert_eq!(lines.last(), Some(&"1 ok, 1 warnings, 1 failed, 1 skipped"));
    }

    #[test]
    fn machines_read_one_array_of_steps() {
        let json: serde_json::Value = serde_json::from_str(&report().to_json().unwrap()).unwrap();
        let failed = &json["steps"][2];
        assert_eq!(
            (&failed["step"], &failed["result"], &failed["cause"]),
            (&"negotiation".into(), &"failed".into(), &"spn_unknown".into())
        );
        assert!(json["steps"][0].get("cause").is_none() && json["steps"][0].get("remedy").is_none());
        assert!(!report().is_good());
    }
}
