//! What ExternalDNS asks to be changed.

use serde::{Deserialize, Serialize};

use super::endpoint::{Endpoint, nulls_dropped};

/// ExternalDNS's `plan.Changes`; up to 0.16 its keys were capitalised.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Changes {
    /// Record sets to create.
    #[serde(alias = "Create", deserialize_with = "nulls_dropped")]
    pub create: Vec<Endpoint>,
    /// Record sets to update, as the caller last saw them.
    #[serde(alias = "UpdateOld", deserialize_with = "nulls_dropped")]
    pub update_old: Vec<Endpoint>,
    /// Record sets to update, as they should become.
    #[serde(alias = "UpdateNew", deserialize_with = "nulls_dropped")]
    pub update_new: Vec<Endpoint>,
    /// Record sets to delete.
    #[serde(alias = "Delete", deserialize_with = "nulls_dropped")]
    pub delete: Vec<Endpoint>,
}

impl Changes {
    /// How many endpoints they name.
    #[must_use]
    pub fn count(&self) -> usize {
        [&self.create, &self.update_old, &self.update_new, &self.delete].into_iter().map(Vec::len).sum()
    }
}
