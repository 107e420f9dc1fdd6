//! What should change: from ExternalDNS's words and what DNS holds to updates. Pure: no I/O, no clock, no log.

use crate::dns::{ServerProfile, Ttl, ZoneSet};

mod adjust;
pub mod alias;
mod batch;
pub mod canonical;
mod copies;
mod decision;
pub mod delivery;
#[cfg(test)]
pub(crate) mod fake_zone;
mod group;
mod hidden;
pub mod inspect;
mod intake;
pub mod keep_alive;
mod listing;
pub mod ownership;
mod portion;
mod protected;
mod quarantine;
mod reason;
mod registry;
mod standing;
mod step;
#[cfg(test)]
mod tests;
mod unknown_fates;

pub use adjust::{Adjusted, adjust};
pub use batch::{Batch, Indexed, Limits, pack};
pub use copies::Copies;
pub use group::{Group, Grouped, Part, group};
pub use intake::{Change, Kind, Wanted, intake};
pub use listing::{Listing, list};
pub use protected::{Protected, ProtectedName, Protection};
pub use quarantine::{Quarantine, Triage};
pub use reason::{Reason, Refusal};
pub use standing::Standing;
pub use step::{Op, Planned, Step, plan};
pub use unknown_fates::UnknownFates;

/// What the configuration says about planning.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The configured zones.
    pub zones: ZoneSet,
    /// What kind of servers these are.
    pub profile: ServerProfile,
    /// Floor under every TTL.
    pub min_ttl: Ttl,
    /// For creates without a TTL.
    pub default_ttl: Ttl,
    /// Names that are never listed and never touched.
    pub protected: Protected,
    /// Whether updates and deletes need no ownership label.
    pub allow_unowned: bool,
    /// RRsets deleted without replacement in one apply at most.
    pub max_deletes: Option<usize>,
    /// Whether updates carry prerequisites.
    pub prerequisites: bool,
    /// Endpoints per message at most.
    pub batch_change_size: usize,
}
