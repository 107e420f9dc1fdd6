//! The list of all records as ExternalDNS reads it, of which only what has changed is written anew.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::{Cause, Failure};
use crate::api::Endpoint;
use crate::dns::{ZoneContents, ZoneName};
use crate::plan::{Listing, Policy};

/// Each zone as it was last written: each endpoint as JSON behind a comma.
#[derive(Debug, Default)]
pub(super) struct Lists(Mutex<BTreeMap<ZoneName, Listing<Bytes>>>);

impl Lists {
    /// One JSON array of what these versions hold, in pieces that lie one behind the other.
    pub(super) fn of(&self, versions: &[Arc<ZoneContents>], policy: &Policy) -> Result<Vec<Bytes>, Failure> {
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pieces = vec![Bytes::from_static(b"[")];
        for version in versions {
            let list = lists.entry(version.zone().clone()).or_default();
            list.update(version, policy, |endpoints| after_comma(&endpoints))?;
            pieces.extend(list.written().filter(|page| !page.is_empty()).cloned());
        }
        // None before the first endpoint.
        pieces.iter_mut().skip(1).take(1).for_each(|first| *first = first.slice(1..));
        pieces.push(Bytes::from_static(b"]"));
        Ok(pieces)
    }
}

/// Each endpoint behind a comma.
fn after_comma(endpoints: &[Endpoint]) -> Result<Bytes, Failure> {
    let mut octets = Vec::new();
    for endpoint in endpoints {
        octets.push(b',');
        serde_json::to_writer(&mut octets, endpoint).map_err(unwritten)?;
    }
    // It is kept.
    octets.shrink_to_fit();
    Ok(octets.into())
}

/// Endpoints as ExternalDNS reads them.
pub(super) fn json(endpoints: &[Endpoint]) -> Result<Bytes, Failure> {
    serde_json::to_vec(endpoints).map(Into::into).map_err(unwritten)
}

#[expect(clippy::needless_pass_by_value, reason = "what map_err hands over")]
fn unwritten(error: serde_json::Error) -> Failure {
    Failure::new(Cause::Internal, format!("the list cannot be written: {error}"))
}

/// What is large takes long enough to hold up everybody else on a runtime thread.
pub(crate) async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let span = tracing::Span::current();
    let result = tokio::task::spawn_blocking(move || span.in_scope(work)).await;
    result.map_err(|_| Failure::new(Cause::Internal, "the request broke off"))
}
