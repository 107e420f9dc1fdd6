//! What a refresh asks, in order: the serial, the differences, the whole zone.

use std::sync::Arc;

use super::{ReadKind, ZoneSource};
use crate::dns::{Outcome, ZoneContents, ZoneName, query::is_newer};

/// What a refresh starts from: the version as the server told it, without our own updates since.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) contents: Arc<ZoneContents>,
    /// The zone may have changed without its serial.
    pub(super) doubtful: bool,
}

/// What a refresh brought.
#[derive(Debug)]
pub(super) enum Fresh {
    /// The base is the server's version.
    Unchanged(Arc<ZoneContents>),
    /// A version that was transferred.
    Transferred(ZoneContents, ReadKind),
}

/// Reads a zone by the least that tells its present version.
pub(super) async fn refresh<S: ZoneSource>(source: &S, zone: &ZoneName, base: Option<Base>) -> Result<Fresh, S::Error> {
    if let Some(base) = base
        && let Some(fresh) = from_base(source, zone, base).await?
    {
        return Ok(fresh);
    }
    Ok(Fresh::Transferred(source.whole(zone).await?, ReadKind::Axfr))
}

/// The present version by way of a held one; none when only the whole zone tells.
///
/// A serial that stands still while the copy was changed or doubted tells nothing: some servers never move it, and
/// others pass over an update in silence.
async fn from_base<S: ZoneSource>(source: &S, zone: &ZoneName, base: Base) -> Result<Option<Fresh>, S::Error> {
    let serial = source.serial(zone).await?;
    let held = base.contents.serial();
    if serial == held {
        return Ok((!base.doubtful).then_some(Fresh::Unchanged(base.contents)));
    }
    if !is_newer(serial, held) {
        return Ok(None);
    }
    match source.differences(base.contents).await {
        Ok(Outcome::Updated(contents)) => Ok(Some(Fresh::Transferred(contents, ReadKind::Ixfr))),
        Ok(Outcome::Whole(contents)) => Ok(Some(Fresh::Transferred(contents, ReadKind::Axfr))),
        Ok(Outcome::Unchanged) => Ok(None),
        Err(error) if S::wants_whole(&error) => Ok(None),
        Err(error) => Err(error),
    }
}
