//! Request bodies: read to their end whatever their size, but kept only up to the limit.

use std::sync::Arc;

use axum::body::Body;
use http_body_util::BodyExt as _;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bodies up to this size are never made to wait.
const SMALL: usize = 1 << 20;
/// Bodies up to this size are decoded where they are read: some dozen endpoints, a tenth of a millisecond.
const READ_AT_ONCE: usize = 16 << 10;
/// Larger bodies that are held at the same time; ExternalDNS sends one at a time.
const LARGE_AT_ONCE: usize = 2;

/// Reads bodies, with a bound on what they take together.
#[derive(Debug, Clone)]
pub(super) struct BodyReader {
    limit: usize,
    large: Arc<Semaphore>,
}

/// A body that was read whole. To be kept until it is decoded: it holds its share of memory.
#[derive(Debug)]
pub(super) struct Octets {
    octets: Vec<u8>,
    _share: Option<OwnedSemaphorePermit>,
}

/// Why there is no body.
#[derive(Debug, Error)]
pub(super) enum BodyError {
    /// Larger than allowed; all of it was read, so that the caller hears of it.
    #[error("the request body is larger than WEBHOOK_MAX_BODY, {0} octets")]
    TooLarge(usize),
    /// The caller broke off.
    #[error("the request body broke off")]
    Broken(#[from] axum::Error),
}

impl BodyReader {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, large: Arc::new(Semaphore::new(LARGE_AT_ONCE)) }
    }

    /// Reads a body to its end.
    pub(super) async fn read(&self, mut body: Body) -> Result<Octets, BodyError> {
        let mut octets = Vec::new();
        let mut share = None;
        let mut is_too_large = false;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            let size = octets.len() + data.len();
            is_too_large |= size > self.limit;
            if is_too_large {
                octets = Vec::new();
                share = None;
                continue;
            }
            if size > SMALL && share.is_none() {
                // Closed never: nobody closes this semaphore.
                share = self.large.clone().acquire_owned().await.ok();
            }
            octets.extend_from_slice(&data);
        }
        if is_too_large { Err(BodyError::TooLarge(self.limit)) } else { Ok(Octets { octets, _share: share }) }
    }
}

impl Octets {
    /// Whether reading it takes less than a hand-over to another thread and back.
    pub(super) fn is_small(&self) -> bool {
        self.octets.len() <= READ_AT_ONCE
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(octets: usize) -> Body {
        let chunks =
            vec![b'x'; octets].chunks(4096).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect::<Vec<_>>();
        Body::from_stream(futures_util::stream::iter(chunks))
    }

    #[tokio::test]
    async fn a_body_at_the_limit_is_read_and_one_beyond_is_drained_and_refused() {
        let reader = BodyReader::new(10_000);
        assert_eq!(reader.read(body(10_000)).await.unwrap().as_slice().len(), 10_000);
        assert!(matches!(reader.read(body(10_001)).await, Err(BodyError::TooLarge(10_000))));
    }

    #[tokio::test]
    async fn large_bodies_wait_for_each_other_and_small_ones_do_not() {
        let reader = BodyReader::new(4 * SMALL);
        let held = [reader.read(body(2 * SMALL)).await.unwrap(), reader.read(body(2 * SMALL)).await.unwrap()];
        let third = tokio::spawn({
            let reader = reader.clone();
            async move { reader.read(body(2 * SMALL)).await.map(|octets| octets.as_slice().len()) }
        });
        assert_eq!(reader.read(body(SMALL)).await.unwrap().as_slice().len(), SMALL);
        assert!(!third.is_finished());
        drop(held);
        assert_eq!(third.await.unwrap().unwrap(), 2 * SMALL);
    }
}
