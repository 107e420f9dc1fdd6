//! What ExternalDNS says: endpoints, changes and the domain filter, exactly as its JSON spells them. Pure.

mod changes;
mod domain_filter;
mod endpoint;

pub use changes::Changes;
pub use domain_filter::DomainFilter;
pub(crate) use endpoint::nulls_dropped;
pub use endpoint::{Endpoint, ProviderSpecificProperty};
