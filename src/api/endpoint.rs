//! One record set as ExternalDNS sees it.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

/// The label that names the owner of a record; every registry but `noop` sets it.
pub(super) const OWNER_LABEL: &str = "owner";
/// The label of a registry TXT that names the record it speaks for.
pub(super) const OWNED_RECORD_LABEL: &str = "ownedRecord";

/// ExternalDNS's `endpoint.Endpoint`: the targets of one name and record type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Endpoint {
    /// Owner name, normally without a trailing dot.
    #[serde(deserialize_with = "null_as_default")]
    pub dns_name: String,
    /// Values in presentation form.
    #[serde(deserialize_with = "nulls_dropped", skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// Upper-case type mnemonic.
    #[serde(deserialize_with = "null_as_default")]
    pub record_type: String,
    /// Routing-policy discriminator; meaningless for plain DNS.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "String::is_empty")]
    pub set_identifier: String,
    /// Seconds; zero is unset.
    #[serde(rename = "recordTTL", deserialize_with = "null_as_default", skip_serializing_if = "is_zero")]
    pub record_ttl: i64,
    /// ExternalDNS's own notes about the endpoint.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Provider-specific properties.
    #[serde(deserialize_with = "nulls_dropped", skip_serializing_if = "Vec::is_empty")]
    pub provider_specific: Vec<ProviderSpecificProperty>,
}

/// A property that only some providers understand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProviderSpecificProperty {
    /// Name of the property.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its value.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "String::is_empty")]
    pub value: String,
}

impl Endpoint {
    /// The owner id that the caller's registry gives this endpoint, if any.
    #[must_use]
    pub fn owner(&self) -> Option<&str> {
        self.label(OWNER_LABEL)
    }

    /// The name that this registry TXT speaks for, if it is one.
    #[must_use]
    pub fn owned_record(&self) -> Option<&str> {
        self.label(OWNED_RECORD_LABEL)
    }

    fn label(&self, key: &str) -> Option<&str> {
        self.labels.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// Reads `null` as the zero value, as Go does.
pub(super) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads `null` as an empty list and drops `null` elements, which would make ExternalDNS panic if echoed.
pub(crate) fn nulls_dropped<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let elements: Option<Vec<Option<T>>> = Option::deserialize(deserializer)?;
    Ok(elements.unwrap_or_default().into_iter().flatten().collect())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_zero(ttl: &i64) -> bool {
    *ttl == 0
}
