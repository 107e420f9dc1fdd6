//! What was last read of each zone.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::protected::Infrastructure;
use crate::dns::{ZoneContents, ZoneName};

/// What was last read of each zone. A zone that is not there is unknown: the caller's old values stand in.
#[derive(Debug, Clone, Default)]
pub struct Copies(BTreeMap<ZoneName, Known>);

#[derive(Debug, Clone)]
struct Known {
    contents: Arc<ZoneContents>,
    /// Found once for all that is planned against the contents.
    infrastructure: Infrastructure,
}

impl Copies {
    /// Of no zone.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// What a zone holds.
    #[must_use]
    pub fn get(&self, zone: &ZoneName) -> Option<&Arc<ZoneContents>> {
        self.0.get(zone).map(|known| &known.contents)
    }

    /// What each zone holds.
    pub fn contents(&self) -> impl Iterator<Item = &Arc<ZoneContents>> {
        self.0.values().map(|known| &known.contents)
    }

    /// What of it keeps the zone going.
    pub(super) fn infrastructure(&self, zone: &ZoneName) -> Option<&Infrastructure> {
        self.0.get(zone).map(|known| &known.infrastructure)
    }

    pub(super) fn holds(&self, zone: &ZoneName) -> bool {
        self.0.contains_key(zone)
    }

    pub(super) fn insert(&mut self, zone: ZoneName, contents: Arc<ZoneContents>) {
        let infrastructure = Infrastructure::of(&contents);
        self.0.insert(zone, Known { contents, infrastructure });
    }

    pub(super) fn remove(&mut self, zone: &ZoneName) {
        self.0.remove(zone);
    }
}

impl FromIterator<(ZoneName, Arc<ZoneContents>)> for Copies {
    fn from_iter<T: IntoIterator<Item = (ZoneName, Arc<ZoneContents>)>>(zones: T) -> Self {
        let mut copies = Self::new();
        zones.into_iter().for_each(|(zone, contents)| copies.insert(zone, contents));
        copies
    }
}
