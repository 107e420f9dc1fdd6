//! The list of all records as ExternalDNS reads it, written once for each version of a zone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::{Cause, Failure};
use crate::api::Endpoint;
use crate::dns::{ZoneContents, ZoneName};
use crate::plan::{self, Policy};

/// Each zone as it was last written, with the version that it was written from.
#[derive(Debug, Default)]
pub(super) struct Lists(Mutex<BTreeMap<ZoneName, (Arc<ZoneContents>, Bytes)>>);

impl Lists {
    /// One JSON array of what these versions hold, in pieces that lie one behind the other.
    pub(super) fn of(&self, versions: &[Arc<ZoneContents>], policy: &Policy) -> Result<Vec<Bytes>, Failure> {
        let mut pieces = vec![Bytes::from_static(b"[")];
        for version in versions {
            let zone = self.of_zone(version, policy)?;
            if zone.is_empty() {
                continue;
            }
            if pieces.len() > 1 {
                pieces.push(Bytes::from_static(b","));
            }
            pieces.push(zone);
        }
        pieces.push(Bytes::from_static(b"]"));
        Ok(pieces)
    }

    /// A version's endpoints, separated by commas.
    fn of_zone(&self, version: &Arc<ZoneContents>, policy: &Policy) -> Result<Bytes, Failure> {
        let kept = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, json)) = kept().get(version.zone()).filter(|(of, _)| Arc::ptr_eq(of, version)) {
            return Ok(json.clone());
        }
        let list = json(&plan::list(version, policy))?;
        let json = list.slice(1..list.len() - 1);
        kept().insert(version.zone().clone(), (Arc::clone(version), json.clone()));
        Ok(json)
    }
}

/// Endpoints as ExternalDNS reads them.
pub(super) fn json(endpoints: &[Endpoint]) -> Result<Bytes, Failure> {
    let json = serde_json::to_vec(endpoints);
    let mut json =
        json.map_err(|error| Failure::new(Cause::Internal, format!("the list cannot be written: {error}")))?;
    // It is kept.
    json.shrink_to_fit();
    Ok(json.into())
}

/// What is large takes long enough to hold up everybody else on a runtime thread.
pub(crate) async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let result = tokio::task::spawn_blocking(work).await;
    result.map_err(|_| Failure::new(Cause::Internal, "the request broke off"))
}
