//! One zone on one server: its copy, our updates on top of it, and the refresh under way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use super::{Held, ReadKind, Refreshed, Version, Waiting, ZoneCopy};
use crate::dns::{Name, Operation, RecordType, Rrset};

/// What is known of one zone on one server.
#[derive(Debug)]
pub(super) struct Entry<M, E> {
    known: Option<Known<M>>,
    refresh: Option<Refresh<E>>,
    /// Why the last refresh failed.
    pub(super) failure: Option<E>,
}

/// A copy, and how to take our own updates out of it again.
#[derive(Debug)]
struct Known<M> {
    copy: ZoneCopy,
    /// What the source knows the version by that our updates are on top of.
    marker: M,
    /// What each RRset was before our own updates.
    undo: BTreeMap<(Name, RecordType), Option<Rrset>>,
    doubtful: bool,
}

/// A refresh under way.
#[derive(Debug)]
pub(super) struct Refresh<E> {
    pub(super) number: u64,
    pub(super) waiting: Waiting<E>,
    /// It began before something that a new reader must see.
    pub(super) outdated: bool,
    /// Updates done since it began, which it may not have seen.
    later: Vec<Operation>,
}

impl<M, E> Default for Entry<M, E> {
    fn default() -> Self {
        Self { known: None, refresh: None, failure: None }
    }
}

impl<M: Clone, E: Clone> Entry<M, E> {
    pub(super) fn copy(&self) -> Option<ZoneCopy> {
        self.known.as_ref().map(|known| known.copy.clone())
    }

    /// The copy, unless an update whose outcome is unknown may have changed the zone since.
    pub(super) fn trusted(&self) -> Option<ZoneCopy> {
        self.known.as_ref().filter(|known| !known.doubtful).map(|known| known.copy.clone())
    }

    /// The refresh under way; none when its task died.
    pub(super) fn refresh(&self) -> Option<&Refresh<E>> {
        self.refresh.as_ref().filter(|refresh| refresh.waiting.has_changed().is_ok())
    }

    pub(super) fn is_refreshed_by(&self, number: u64) -> bool {
        self.refresh.as_ref().is_some_and(|refresh| refresh.number == number)
    }

    /// Notes that a refresh begins, and gives what it starts from.
    pub(super) fn begin(&mut self, number: u64, waiting: Waiting<E>) -> Option<Held<M>> {
        self.refresh = Some(Refresh { number, waiting, outdated: false, later: Vec::new() });
        self.known.as_ref().map(Known::held)
    }

    /// Takes the result of the refresh under way, with the updates that it may have missed.
    pub(super) fn end(&mut self, result: Result<Refreshed<M>, E>, now: SystemTime) -> Result<ZoneCopy, E> {
        let refresh = self.refresh.take();
        let refreshed = result.inspect_err(|error| self.failure = Some(error.clone()))?;
        self.failure = None;
        let (later, outdated) = refresh.map(|refresh| (refresh.later, refresh.outdated)).unwrap_or_default();
        let mut known = match (refreshed.kind, self.known.take()) {
            (ReadKind::Unchanged, Some(known)) => known.confirmed(refreshed.version.marker, now),
            (_, _) => Known::new(refreshed, now).with(&later),
        };
        known.doubtful |= outdated;
        Ok(self.known.insert(known).copy.clone())
    }

    /// Takes a version that no refresh brought.
    pub(super) fn put(&mut self, version: Version<M>, now: SystemTime) {
        self.failure = None;
        self.known = Some(Known::new(Refreshed { version, kind: ReadKind::Axfr }, now));
    }

    /// Applies operations that the server has done.
    pub(super) fn apply(&mut self, operations: &[Operation]) {
        if let Some(refresh) = &mut self.refresh {
            refresh.later.extend_from_slice(operations);
        }
        if let Some(known) = &mut self.known {
            known.apply(operations);
        }
    }

    /// Believes neither the copy nor the refresh under way any more.
    pub(super) fn doubt(&mut self) {
        if let Some(refresh) = &mut self.refresh {
            refresh.outdated = true;
        }
        if let Some(known) = &mut self.known {
            known.doubtful = true;
        }
    }
}

impl<M: Clone> Known<M> {
    fn new(Refreshed { version, kind }: Refreshed<M>, read_at: SystemTime) -> Self {
        let copy = ZoneCopy { contents: version.contents, read_at, kind };
        Self { copy, marker: version.marker, undo: BTreeMap::new(), doubtful: false }
    }

    fn with(mut self, operations: &[Operation]) -> Self {
        self.apply(operations);
        self
    }

    /// The server holds this version still; updates of ours since are kept.
    fn confirmed(self, marker: M, read_at: SystemTime) -> Self {
        let copy = ZoneCopy { read_at, kind: ReadKind::Unchanged, ..self.copy };
        Self { copy, marker, ..self }
    }

    fn apply(&mut self, operations: &[Operation]) {
        if operations.is_empty() {
            return;
        }
        let contents = Arc::make_mut(&mut self.copy.contents);
        for operation in operations {
            let (name, rtype) = (operation.name(), operation.rtype());
            self.undo
                .entry((name.clone(), rtype))
                .or_insert_with(|| contents.rrset(name, rtype).and_then(|rrset| rrset.to_rrset()));
            operation.apply_to(contents);
        }
    }

    /// What the source told, without our own updates since.
    fn held(&self) -> Held<M> {
        let mut contents = Arc::clone(&self.copy.contents);
        let changed = !self.undo.is_empty();
        if changed {
            let contents = Arc::make_mut(&mut contents);
            for ((name, rtype), before) in &self.undo {
                match before {
                    Some(rrset) => contents.replace(rrset),
                    None => contents.remove_rrset(name, *rtype),
                }
            }
        }
        Held { version: Version { contents, marker: self.marker.clone() }, doubtful: self.doubtful || changed }
    }
}
