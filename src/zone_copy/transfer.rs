//! Zones by transfers: the serial (SOA query), then the differences (IXFR), then the whole zone (AXFR).

use std::future::Future;
use std::sync::Arc;

use super::{Base, ReadKind, Refreshed, Version};
use crate::dns::{ServerAddress, Transferred, ZoneContents, ZoneName, is_newer};

/// A server that transfers zones; clones are the same server.
pub trait Transfers: Clone + Send + Sync + 'static {
    /// Why it did not.
    type Error: Clone + Send + Sync + 'static;

    /// The server.
    fn address(&self) -> &ServerAddress;

    /// The zone's serial (SOA query).
    fn serial(&self, zone: &ZoneName) -> impl Future<Output = Result<u32, Self::Error>> + Send;

    /// The whole zone (AXFR).
    fn whole(&self, zone: &ZoneName) -> impl Future<Output = Result<ZoneContents, Self::Error>> + Send;

    /// The zone by its differences to what is held (IXFR).
    fn differences(&self, held: Arc<ZoneContents>) -> impl Future<Output = Result<Transferred, Self::Error>> + Send;

    /// Whether [`whole`](Self::whole) may succeed where [`differences`](Self::differences) failed with this error.
    fn wants_whole(error: &Self::Error) -> bool;
}

/// Reads a zone by the least that tells its present version.
///
/// # Errors
/// When the server does not tell it.
pub async fn refresh<T: Transfers>(
    server: &T,
    zone: &ZoneName,
    held: Option<Base<u32>>,
) -> Result<Refreshed<u32>, T::Error> {
    if let Some(held) = held
        && let Some(refreshed) = from_held(server, zone, held).await?
    {
        return Ok(refreshed);
    }
    Ok(transferred(server.whole(zone).await?, ReadKind::Axfr))
}

/// The present version by way of a held one; none when only the whole zone tells.
///
/// A serial that stands still while the copy was changed or doubted tells nothing: some servers never move it, and
/// others pass over an update in silence.
async fn from_held<T: Transfers>(
    server: &T,
    zone: &ZoneName,
    held: Base<u32>,
) -> Result<Option<Refreshed<u32>>, T::Error> {
    let serial = server.serial(zone).await?;
    let Base { version, doubtful } = held;
    if serial == version.marker {
        return Ok((!doubtful).then_some(Refreshed { version, kind: ReadKind::Unchanged }));
    }
    if !is_newer(serial, version.marker) {
        return Ok(None);
    }
    match server.differences(version.contents).await {
        Ok(Transferred::Updated(contents)) => Ok(Some(transferred(contents, ReadKind::Ixfr))),
        Ok(Transferred::Whole(contents)) => Ok(Some(transferred(contents, ReadKind::Axfr))),
        Ok(Transferred::Unchanged) => Ok(None),
        Err(error) if T::wants_whole(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn transferred(contents: ZoneContents, kind: ReadKind) -> Refreshed<u32> {
    let marker = contents.serial();
    Refreshed { version: Version { contents: Arc::new(contents), marker }, kind }
}
