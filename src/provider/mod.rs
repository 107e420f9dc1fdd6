//! The webhook's meaning: one service behind the HTTP and the gRPC front end.

use std::future::Future;

use bytes::Bytes;

use crate::api::{Changes, DomainFilter, Endpoint};
use crate::metrics::Gauges;

mod apply;
pub mod authority;
mod failure;
#[cfg(test)]
mod fake;
mod keep_alive;
mod list;
mod memory;
mod servers;
mod service;
pub mod status;
#[cfg(test)]
mod tests;
mod untold;

pub use failure::{Cause, Failure, chain};
pub(crate) use list::off_the_runtime;
pub use servers::{Servers, ServersSettings};
pub use service::{Service, ServiceSettings};
use status::{Rejection, Status};

/// What ExternalDNS can ask of a provider. Both front ends speak to this trait only.
pub trait Provider: Send + Sync + 'static {
    /// The names this provider answers for; static, and free of I/O.
    fn domain_filter(&self) -> DomainFilter;

    /// Every record set of every zone, complete, or a failure.
    fn records(&self) -> impl Future<Output = Result<Vec<Endpoint>, Failure>> + Send;

    /// The same as ExternalDNS's JSON, in pieces that lie one behind the other; what did not change since the last call is
    /// not written anew.
    fn records_json(&self) -> impl Future<Output = Result<Vec<Bytes>, Failure>> + Send {
        async {
            let endpoints = self.records().await?;
            off_the_runtime(move || list::json(&endpoints)).await?.map(|json| vec![json])
        }
    }

    /// The canonical form of what is desired; what can never be written is left out.
    fn adjust_endpoints(&self, desired: Vec<Endpoint>) -> Vec<Endpoint>;

    /// Applies what can be applied and returns what was rejected; a failure is what stopped the whole call.
    fn apply_changes(&self, changes: Changes) -> impl Future<Output = Result<Vec<Rejection>, Failure>> + Send;

    /// What `/status` shows.
    fn status(&self) -> Status;

    /// What is read at the moment of a scrape.
    fn gauges(&self) -> Gauges;

    /// Why the sidecar is not ready; empty when it is.
    fn unready(&self) -> Vec<Failure>;
}
