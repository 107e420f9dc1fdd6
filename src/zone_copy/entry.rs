//! One zone on one server: its copy, our updates on top of it, and the refresh under way.

use std::sync::Arc;
use std::time::SystemTime;

use super::{Asked, Base, ReadKind, Refreshed, Version, Waiting, ZoneCopy};
use crate::dns::Operation;

/// What is known of one zone on one server.
#[derive(Debug)]
pub(super) struct Entry<M, E> {
    known: Option<Known<M>>,
    refresh: Option<Refresh<E>>,
    /// Whether the marker moves when the zone changes, once that was seen.
    moves: Option<bool>,
    /// Whether what the last refresh brought was shown to the caller.
    is_listed: bool,
    /// Why the last refresh failed.
    pub(super) failure: Option<E>,
}

/// Two versions of a zone: the one that its source told, and the one with our own updates since.
#[derive(Debug)]
struct Known<M> {
    /// What the next refresh starts from.
    told: Version<M>,
    /// What is shown; the very version that was told until an update of ours is done.
    copy: ZoneCopy,
    doubtful: bool,
}

/// A refresh under way.
#[derive(Debug)]
pub(super) struct Refresh<E> {
    number: u64,
    pub(super) waiting: Waiting<E>,
    /// It believes no marker that is not known to move.
    strict: bool,
    /// It began before something that a new reader must see.
    pub(super) outdated: bool,
    /// Updates done since it began, which it may or may not have seen.
    later: Vec<Operation>,
}

impl<M, E> Default for Entry<M, E> {
    fn default() -> Self {
        Self { known: None, refresh: None, moves: None, is_listed: false, failure: None }
    }
}

impl<E> Refresh<E> {
    /// Whether its result is what a reader wants.
    pub(super) const fn answers(&self, asked: Asked) -> bool {
        self.number >= asked.since && !self.outdated && (self.strict || !asked.strictly)
    }
}

impl<M: Clone + PartialEq, E: Clone> Entry<M, E> {
    pub(super) fn copy(&self) -> Option<ZoneCopy> {
        self.known.as_ref().map(|known| known.copy.clone())
    }

    /// The copy, unless an update whose outcome is unknown may have changed the zone since.
    pub(super) fn trusted(&self) -> Option<ZoneCopy> {
        self.known.as_ref().filter(|known| !known.doubtful).map(|known| known.copy.clone())
    }

    /// The copy, if the last refresh succeeded after the caller's last list.
    pub(super) fn unlisted(&self) -> Option<ZoneCopy> {
        self.trusted().filter(|_| !self.is_listed && self.failure.is_none())
    }

    /// Notes that the caller is shown the copy.
    pub(super) const fn listed(&mut self) {
        self.is_listed = true;
    }

    /// The refresh under way; none when its task died.
    pub(super) fn refresh(&self) -> Option<&Refresh<E>> {
        self.refresh.as_ref().filter(|refresh| refresh.waiting.has_changed().is_ok())
    }

    pub(super) fn is_refreshed_by(&self, number: u64) -> bool {
        self.refresh.as_ref().is_some_and(|refresh| refresh.number == number)
    }

    /// Notes that a refresh begins, and gives what it starts from.
    pub(super) fn begin(&mut self, number: u64, strict: bool, waiting: Waiting<E>) -> Option<Base<M>> {
        self.refresh = Some(Refresh { number, waiting, strict, outdated: false, later: Vec::new() });
        let proves_nothing = self.moves == Some(false) || (strict && self.moves.is_none());
        let held = self.known.as_ref().map(Known::held)?;
        Some(Base { doubtful: held.doubtful || proves_nothing, ..held })
    }

    /// Takes the result of the refresh under way, with the updates that it may have missed.
    pub(super) fn end(&mut self, result: Result<Refreshed<M>, E>, now: SystemTime) -> Result<ZoneCopy, E> {
        let refresh = self.refresh.take();
        let refreshed = result.inspect_err(|error| self.failure = Some(error.clone()))?;
        self.failure = None;
        self.is_listed = false;
        self.watch_marker(&refreshed);
        let (later, outdated) = refresh.map(|refresh| (refresh.later, refresh.outdated)).unwrap_or_default();
        let mut known = match (refreshed.kind, self.known.take()) {
            (ReadKind::Unchanged, Some(known)) => known.confirmed(refreshed.version.marker, now),
            (_, _) => Known::new(refreshed, now).with(&later),
        };
        known.doubtful |= outdated;
        Ok(self.known.insert(known).copy.clone())
    }

    /// One change that it has passed over is enough to believe it no more.
    fn watch_marker(&mut self, refreshed: &Refreshed<M>) {
        let Some(Known { told, .. }) = self.known.as_ref().filter(|_| refreshed.kind != ReadKind::Unchanged) else {
            return;
        };
        if told.marker != refreshed.version.marker {
            self.moves.get_or_insert(true);
        } else if told.contents != refreshed.version.contents {
            self.moves = Some(false);
        }
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
        let copy = ZoneCopy { contents: Arc::clone(&version.contents), read_at, kind };
        Self { told: version, copy, doubtful: false }
    }

    /// What was told stays what was told: whether the refresh had seen these updates, only the next one can say.
    fn with(mut self, operations: &[Operation]) -> Self {
        self.apply(operations);
        self
    }

    /// The server holds this version still; updates of ours since are kept.
    fn confirmed(self, marker: M, read_at: SystemTime) -> Self {
        let copy = ZoneCopy { read_at, kind: ReadKind::Unchanged, ..self.copy };
        Self { told: Version { marker, ..self.told }, copy, ..self }
    }

    fn apply(&mut self, operations: &[Operation]) {
        if operations.is_empty() {
            return;
        }
        let contents = Arc::make_mut(&mut self.copy.contents);
        operations.iter().for_each(|operation| operation.apply_to(contents));
    }

    fn held(&self) -> Base<M> {
        let changed = !Arc::ptr_eq(&self.copy.contents, &self.told.contents);
        Base { version: self.told.clone(), doubtful: self.doubtful || changed }
    }
}
