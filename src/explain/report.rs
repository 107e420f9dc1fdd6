//! What was found about a name, for people and for machines.

use std::fmt;

use serde::Serialize;

use crate::plan::inspect::RecordSet;
use crate::provider::{Cause, Failure};

/// Everything about a name.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// The name, without trailing dot.
    pub name: String,
    /// Its zone, once that was read.
    pub zone: Option<ZoneRead>,
    /// Why nothing more can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Explanation>,
    /// The record sets at the name.
    pub records: Vec<Record>,
    /// What the running sidecar has rejected or left out at the name.
    pub rejected: Vec<CurrentRejection>,
    /// Why the running sidecar cannot be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_sidecar: Option<String>,
    /// What changes would do now.
    pub changes: Vec<Prospect>,
}

/// A zone, and how it was read.
#[derive(Debug, Clone, Serialize)]
pub struct ZoneRead {
    /// The zone.
    pub zone: String,
    /// From which server.
    pub server: String,
    /// How.
    pub by: &'static str,
    /// Its serial, where it was read whole.
    pub serial: Option<u32>,
}

/// Why something does not work, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The label of the cause.
    pub cause: &'static str,
    /// What exactly.
    pub detail: String,
    /// What to do.
    pub remedy: &'static str,
}

/// A record set at the name.
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    /// Its type.
    #[serde(rename = "type")]
    pub record_type: String,
    /// Its TTL in seconds.
    pub ttl: u32,
    /// Its targets.
    pub targets: Vec<String>,
    /// Whether ExternalDNS is shown it.
    pub listed: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Explanation>,
    /// Whose it is.
    pub owners: Vec<Owner>,
}

/// An owner by a registry TXT.
#[derive(Debug, Clone, Serialize)]
pub struct Owner {
    /// The name of the registry TXT.
    pub registry_txt: String,
    /// The owner; none where the text is encrypted.
    pub owner: Option<String>,
}

/// What the running sidecar says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CurrentRejection {
    /// The type.
    #[serde(rename = "type")]
    pub record_type: String,
    /// The label of the cause.
    pub cause: String,
    /// What exactly.
    pub detail: String,
    /// What to do.
    pub remedy: String,
}

/// What a change would do.
#[derive(Debug, Clone, Serialize)]
pub struct Prospect {
    /// `create`, `update` or `delete`.
    pub op: &'static str,
    /// The type.
    #[serde(rename = "type")]
    pub record_type: String,
    /// What would come of it.
    pub answer: Answer,
}

/// What would come of a change.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// DNS holds it already.
    Nothing,
    /// These messages, as `nsupdate` takes them.
    Script(Vec<String>),
    /// It is rejected.
    Rejected(Explanation),
}

impl From<&Failure> for Explanation {
    fn from(failure: &Failure) -> Self {
        let Failure { cause, detail, .. } = failure;
        Self { cause: cause.label(), detail: detail.clone(), remedy: cause.remedy() }
    }
}

impl From<RecordSet> for Record {
    fn from(set: RecordSet) -> Self {
        let problem = set
            .unlisted
            .as_ref()
            .map(|reason| Explanation::from(&Failure::new(Cause::from(reason), reason.to_string())));
        let owner = |text: crate::plan::inspect::RegistryText| Owner {
            registry_txt: text.name.to_undotted(),
            owner: text.owner,
        };
        Self {
            record_type: set.rtype.to_string(),
            ttl: set.ttl.as_secs(),
            targets: set.targets,
            listed: problem.is_none(),
            problem,
            owners: set.texts.into_iter().map(owner).collect(),
        }
    }
}

impl Report {
    pub(super) fn failed(mut self, failure: &Failure) -> Self {
        self.problem = Some(Explanation::from(failure));
        self
    }

    /// Whether the name could be explained.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.problem.is_none()
    }

    /// The report as JSON.
    ///
    /// # Errors
    /// Never but for want of memory.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}); remedy: {}", self.detail, self.cause, self.remedy)
    }
}

/// What a server or a tenant can name may hold anything; a terminal is to see no control characters, nor what turns the
/// direction of the text around it.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => write!(f, "{}", c.escape_default()),
            c if c.is_control() => write!(f, "{}", c.escape_default()),
            c => write!(f, "{c}"),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", Plain(&self.name))?;
        if let Some(ZoneRead { zone, server, by, serial }) = &self.zone {
            let serial = serial.map(|serial| format!(", serial {serial}")).unwrap_or_default();
            writeln!(f, "zone      {zone}{serial}, read by {by} from {server}")?;
        }
        if let Some(problem) = &self.problem {
            writeln!(f, "PROBLEM   {}", Plain(&problem.to_string()))?;
        }
        if self.zone.is_some() && self.records.is_empty() {
            writeln!(f, "DNS       nothing")?;
        }
        for record in &self.records {
            let (rtype, ttl, targets) = (&record.record_type, record.ttl, record.targets.join(", "));
            writeln!(f, "DNS       {rtype} {}, TTL {ttl}", Plain(&targets))?;
            match &record.problem {
                None => writeln!(f, "          listed")?,
                Some(problem) => writeln!(f, "          NOT LISTED: {}", Plain(&problem.to_string()))?,
            }
            for Owner { registry_txt, owner } in &record.owners {
                let owner = owner.as_deref().unwrap_or("somebody whose text is encrypted");
                writeln!(f, "          of {}, by {}", Plain(owner), Plain(registry_txt))?;
            }
            if record.owners.is_empty() && record.record_type != "TXT" {
                writeln!(f, "          of nobody: no registry TXT speaks for it")?;
            }
        }
        for CurrentRejection { record_type, cause, detail, remedy } in &self.rejected {
            let [rtype, detail, cause, remedy] = [record_type, detail, cause, remedy].map(|text| Plain(text));
            writeln!(f, "REJECTED  {rtype}: {detail} ({cause}); remedy: {remedy}")?;
        }
        match (&self.no_sidecar, self.rejected.is_empty()) {
            (Some(error), _) => writeln!(f, "sidecar   cannot be asked what it has rejected: {}", Plain(error))?,
            (None, true) => writeln!(f, "sidecar   has rejected nothing here")?,
            (None, false) => {}
        }
        for Prospect { op, record_type, answer } in &self.changes {
            match answer {
                Answer::Nothing => writeln!(f, "{op:<9} of {record_type}: DNS holds that already")?,
                Answer::Rejected(problem) => {
                    writeln!(f, "{op:<9} of {record_type} is rejected: {}", Plain(&problem.to_string()))?;
                }
                Answer::Script(scripts) => {
                    writeln!(f, "{op:<9} of {record_type} sends")?;
                    scripts
                        .iter()
                        .flat_map(|script| script.lines())
                        .try_for_each(|line| writeln!(f, "  {}", Plain(line)))?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "\u{1b}[2J\nREJECTED\u{202e}\u{2066}\u{7}\u{9b}";

    /// A tenant names types and names, and whoever listens where the sidecar should says the rest.
    #[test]
    fn nothing_that_others_can_name_reaches_the_terminal_as_it_is() {
        let text = || HOSTILE.to_owned();
        let problem = || Explanation { cause: "protected", detail: text(), remedy: "none" };
        let zone =
            ZoneRead { zone: "example.test".into(), server: "ns1.example.test".into(), by: "transfer", serial: None };
        let report = Report {
            name: text(),
            zone: Some(zone),
            problem: Some(problem()),
            records: vec![Record {
                record_type: "A".into(),
                ttl: 1,
                targets: vec![text()],
                listed: false,
                problem: Some(problem()),
                owners: vec![Owner { registry_txt: text(), owner: Some(text()) }],
            }],
            rejected: vec![CurrentRejection { record_type: text(), cause: text(), detail: text(), remedy: text() }],
            no_sidecar: Some(text()),
            changes: vec![
                Prospect { op: "delete", record_type: "A".into(), answer: Answer::Rejected(problem()) },
                Prospect { op: "update", record_type: "A".into(), answer: Answer::Script(vec![text()]) },
            ],
        };
        let shown = report.to_string();
        let is_harmful =
            |c: char| c != '\n' && c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        assert!(!shown.contains(is_harmful), "{shown:?}");
        // A script alone has lines, and those are indented.
        assert!(shown.lines().all(|line| !line.starts_with("REJECTED\\u")), "{shown}");
        assert_eq!(shown.matches("[2J").count(), 13);
    }
}
