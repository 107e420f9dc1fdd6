//! Which names this provider answers for.

use serde::{Deserialize, Serialize};

/// ExternalDNS's `endpoint.DomainFilter`; plain and regular expressions exclude each other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DomainFilter {
    /// Domains served, each with all below it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Domains left out, each with all below it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// Regular expression (Go RE2) of names served.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub regex_include: String,
    /// Regular expression (Go RE2) of names left out.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub regex_exclude: String,
}
