//! Variables as they were given, and what is found wrong with them on the way.

use std::collections::BTreeMap;
use std::ffi::OsString;

use secrecy::SecretString;

use super::table::{self, Kind, Preset};
use super::{Problem, Problems, VariableError, Warning};
use crate::given;

pub(super) struct Reader {
    settings: config::Config,
    given: Vec<&'static str>,
    secrets: BTreeMap<&'static str, SecretString>,
    problems: Vec<Problem>,
    pub(super) warnings: Vec<Warning>,
}

impl Reader {
    pub(super) fn new(variables: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let mut reader = Self {
            settings: config::Config::default(),
            given: Vec::new(),
            secrets: BTreeMap::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
        };
        let mut texts = config::Map::new();
        for (name, value) in variables {
            if let Ok(name) = name.into_string() {
                reader.take(&name, value, &mut texts);
            }
        }
        // Text in, text out: nothing is parsed here, and secrets never come this way.
        let source = config::Environment::default().source(Some(texts));
        reader.settings = config::Config::builder().add_source(source).build().unwrap_or_default();
        reader
    }

    fn take(&mut self, name: &str, value: OsString, texts: &mut config::Map<String, String>) {
        if value.to_string_lossy().trim().is_empty() {
            return;
        }
        let known = table::find(name);
        let is_secret = known.is_some_and(|known| known.kind == Kind::Secret);
        let is_ours = name.starts_with("RFC2136_") || name.starts_with("WEBHOOK_");
        if is_ours && !is_secret && is_service_link(name, &value.to_string_lossy(), known.is_some()) {
            return self.warnings.push(Warning::ServiceLink(name.to_owned()));
        }
        let Some(known) = known else {
            if is_ours {
                self.problem(name, VariableError::Unknown { nearest: table::nearest(name) });
            }
            return;
        };
        let Ok(value) = value.into_string() else { return self.problem(name, VariableError::NotUnicode) };
        let bare = if is_secret { given::bare(&value) } else { given::bare_list(&value) };
        let Ok(value) = bare else { return self.problem(name, VariableError::Quoted) };
        match known.kind {
            Kind::Retired(instead) => self.warnings.push(Warning::Retired { name: known.name, instead }),
            Kind::Secret => {
                self.given.push(known.name);
                self.secrets.insert(known.name, value.to_owned().into());
            }
            Kind::Setting => {
                self.given.push(known.name);
                texts.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    pub(super) fn problem(&mut self, variable: &str, fault: VariableError) {
        self.problems.push(Problem { variable: variable.to_owned(), fault });
    }

    pub(super) fn is_given(&self, name: &str) -> bool {
        self.given.contains(&name)
    }

    pub(super) fn secret(&self, name: &str) -> Option<SecretString> {
        self.secrets.get(name).cloned()
    }

    /// The text as given, without what surrounds it.
    pub(super) fn given(&self, name: &str) -> Option<String> {
        self.settings.get_string(&name.to_lowercase()).ok()
    }

    /// The text or the default.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let preset = || match table::find(name)?.preset {
            Preset::Value(value) => Some(value.to_owned()),
            Preset::Words(_) | Preset::Unset => None,
        };
        self.given(name).or_else(preset)
    }

    /// Reads a value that has a default.
    pub(super) fn value<T>(
        &mut self,
        name: &'static str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let found = self.text(name).unwrap_or_default();
        let value = parse(&found);
        if value.is_none() {
            self.problem(name, VariableError::Malformed { found, expected });
        }
        value
    }

    pub(super) fn flag(&mut self, name: &'static str) -> Option<bool> {
        self.value(name, super::value::BOOLEAN, super::value::boolean)
    }

    pub(super) fn no_effect(&mut self, names: &[&'static str], needs: &'static str) {
        for &name in names {
            if self.is_given(name) {
                self.warnings.push(Warning::NoEffect { name, needs });
            }
        }
    }

    pub(super) fn finish<T>(self, value: Option<T>) -> Result<(T, Vec<Warning>), Problems> {
        match value {
            Some(value) if self.problems.is_empty() => Ok((value, self.warnings)),
            _ => Err(Problems(self.problems)),
        }
    }
}

/// Whether Kubernetes made this variable for a Service, such as `RFC2136_PORT_53_TCP_ADDR`.
fn is_service_link(name: &str, value: &str, is_known: bool) -> bool {
    let is_url = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    if is_known {
        return is_url && name.ends_with("_PORT");
    }
    let is_port_part = name.split_once("_PORT_").is_some_and(|(_, rest)| {
        let mut parts = rest.split('_');
        parts.next().is_some_and(|port| !port.is_empty() && port.bytes().all(|octet| octet.is_ascii_digit()))
            && parts.next().is_some_and(|protocol| matches!(protocol, "TCP" | "UDP" | "SCTP"))
    });
    is_port_part
        || (is_url && name.ends_with("_PORT"))
        || name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
}
