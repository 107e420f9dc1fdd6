//! One zone on one server: its copy, our updates on top of it, and the refresh under way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use super::refresh::{Base, Fresh};
use super::{ReadKind, Waiting, ZoneCopy};
use crate::dns::{Name, Operation, RecordType, Rrset, ZoneContents};

/// What is known of one zone on one server.
#[derive(Debug)]
pub(super) struct Slot<E> {
    held: Option<Held>,
    flight: Option<Flight<E>>,
    /// Why the last refresh failed.
    pub(super) failure: Option<E>,
}

/// A copy, and how to take our own updates out of it again.
#[derive(Debug)]
struct Held {
    copy: ZoneCopy,
    /// What each RRset was before our own updates.
    undo: BTreeMap<(Name, RecordType), Option<Rrset>>,
    doubtful: bool,
}

/// A refresh under way.
#[derive(Debug)]
pub(super) struct Flight<E> {
    pub(super) number: u64,
    pub(super) landing: Waiting<E>,
    /// It began before something that a new reader must see.
    pub(super) outdated: bool,
    /// Updates done since it began, which it may not have seen.
    later: Vec<Operation>,
}

impl<E> Flight<E> {
    pub(super) const fn new(number: u64, landing: Waiting<E>) -> Self {
        Self { number, landing, outdated: false, later: Vec::new() }
    }
}

impl<E> Default for Slot<E> {
    fn default() -> Self {
        Self { held: None, flight: None, failure: None }
    }
}

impl<E: Clone> Slot<E> {
    pub(super) fn copy(&self) -> Option<ZoneCopy> {
        self.held.as_ref().map(|held| held.copy.clone())
    }

    /// The copy, unless an update whose outcome is unknown may have changed the zone since.
    pub(super) fn trusted(&self) -> Option<ZoneCopy> {
        self.held.as_ref().filter(|held| !held.doubtful).map(|held| held.copy.clone())
    }

    /// What a refresh starts from.
    pub(super) fn base(&self) -> Option<Base> {
        self.held.as_ref().map(Held::base)
    }

    /// The refresh under way; none when its task died.
    pub(super) fn flight(&self) -> Option<&Flight<E>> {
        self.flight.as_ref().filter(|flight| flight.landing.has_changed().is_ok())
    }

    pub(super) fn is_flying(&self, number: u64) -> bool {
        self.flight.as_ref().is_some_and(|flight| flight.number == number)
    }

    pub(super) fn start(&mut self, flight: Flight<E>) {
        self.flight = Some(flight);
    }

    /// Takes the result of the refresh under way, with the updates that it may have missed.
    pub(super) fn land(&mut self, result: Result<Fresh, E>, now: SystemTime) -> Result<ZoneCopy, E> {
        let flight = self.flight.take();
        let fresh = result.inspect_err(|error| self.failure = Some(error.clone()))?;
        self.failure = None;
        let (later, outdated) = flight.map(|flight| (flight.later, flight.outdated)).unwrap_or_default();
        let mut held = match (fresh, self.held.take()) {
            (Fresh::Unchanged(_), Some(held)) => held.confirmed(now),
            (Fresh::Unchanged(contents), None) => Held::new(contents, ReadKind::Unchanged, now).with(&later),
            (Fresh::Transferred(contents, kind), _) => Held::new(Arc::new(contents), kind, now).with(&later),
        };
        held.doubtful |= outdated;
        Ok(self.held.insert(held).copy.clone())
    }

    /// Takes a copy that no refresh brought.
    pub(super) fn put(&mut self, contents: ZoneContents, now: SystemTime) {
        self.failure = None;
        self.held = Some(Held::new(Arc::new(contents), ReadKind::Axfr, now));
    }

    /// Applies operations that the server has done.
    pub(super) fn apply(&mut self, operations: &[Operation]) {
        if let Some(flight) = &mut self.flight {
            flight.later.extend_from_slice(operations);
        }
        if let Some(held) = &mut self.held {
            held.apply(operations);
        }
    }

    /// Believes neither the copy nor the refresh under way any more.
    pub(super) fn doubt(&mut self) {
        if let Some(flight) = &mut self.flight {
            flight.outdated = true;
        }
        if let Some(held) = &mut self.held {
            held.doubtful = true;
        }
    }
}

impl Held {
    const fn new(contents: Arc<ZoneContents>, kind: ReadKind, read_at: SystemTime) -> Self {
        Self { copy: ZoneCopy { contents, read_at, kind }, undo: BTreeMap::new(), doubtful: false }
    }

    fn with(mut self, operations: &[Operation]) -> Self {
        self.apply(operations);
        self
    }

    /// The server holds this version still; updates of ours since are kept.
    fn confirmed(self, read_at: SystemTime) -> Self {
        let copy = ZoneCopy { read_at, kind: ReadKind::Unchanged, ..self.copy };
        Self { copy, ..self }
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

    fn base(&self) -> Base {
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
        Base { contents, doubtful: self.doubtful || changed }
    }
}
