//! What ExternalDNS says: endpoints, changes and the domain filter, exactly as its JSON spells them. Pure.

pub mod changes;
pub mod domain_filter;
pub mod endpoint;

pub use changes::Changes;
pub use domain_filter::DomainFilter;
pub use endpoint::Endpoint;
