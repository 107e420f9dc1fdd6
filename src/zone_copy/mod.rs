//! What is known of each zone on each server, and how it is refreshed.
//!
//! A copy is refreshed by its source, from the marker of the version that is held. One refresh runs per zone and server, in
//! a task of its own: who waits for it leaves at its deadline, and the next read finds what it brought. Updates that
//! succeeded are applied to the copy at once, so that a read shows them; the next refresh starts from what the source
//! itself has told, and so confirms or corrects them.

use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use thiserror::Error;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument as _;

use crate::dns::{ServerAddress, Update, ZoneContents, ZoneName};

mod entry;
mod hidden;
mod server;
mod source;
pub mod transfer;

use entry::Entry;
pub use source::{DirectorySettings, Marker, Source, SourceError, Sources, Way};

/// Copies are kept for this many servers: the one in use, and the one it took over from.
const SERVERS: usize = 2;

/// Where zones are read from: one server, by one way of reading. Clones are the same source.
pub trait ZoneSource: Clone + Send + Sync + 'static {
    /// What tells a version of a zone from the next one; a serial, for example.
    type Marker: Clone + PartialEq + Debug + Send + Sync + 'static;
    /// Why it could not be read; every waiter gets it.
    type Error: Clone + Debug + Send + Sync + 'static;

    /// The server, as what it said is kept under.
    fn address(&self) -> &ServerAddress;

    /// The zone's present version, told by the least that leads there from what is held.
    fn refresh(
        &self,
        zone: &ZoneName,
        held: Option<Base<Self::Marker>>,
    ) -> impl Future<Output = Result<Refreshed<Self::Marker>, Self::Error>> + Send;
}

/// A version of a zone, as its source told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version<M> {
    /// What the zone holds.
    pub contents: Arc<ZoneContents>,
    /// What the source knows it by.
    pub marker: M,
}

/// What a refresh starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base<M> {
    /// The version that the source told last, without our own updates since.
    pub version: Version<M>,
    /// Whether the zone may have changed without its marker.
    pub doubtful: bool,
}

/// What a refresh brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refreshed<M> {
    /// The present version; the held one where that is unchanged.
    pub version: Version<M>,
    /// What it took.
    pub kind: ReadKind,
}

/// A zone as one server holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneCopy {
    /// What the zone holds, with our own updates since.
    pub contents: Arc<ZoneContents>,
    /// When the server last confirmed it.
    pub read_at: SystemTime,
    /// How the last refresh went.
    pub kind: ReadKind,
}

/// What it took to refresh a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReadKind {
    /// The marker had not moved.
    Unchanged,
    /// Differences.
    Ixfr,
    /// The whole zone.
    Axfr,
    /// A search of the directory, for what has changed or for everything.
    Ldap,
}

impl ReadKind {
    /// Stable label, for metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Ixfr => "ixfr",
            Self::Axfr => "axfr",
            Self::Ldap => "ldap",
        }
    }
}

/// Why a zone was not read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReadError<E> {
    /// The deadline passed; the refresh goes on.
    #[error("the zone could not be read before the deadline")]
    Deadline,
    /// The refresh ended without a result, by a defect.
    #[error("reading the zone was broken off")]
    BrokenOff,
    /// The server did not let it be read.
    #[error("the server did not let the zone be read")]
    Source(#[source] E),
}

/// The copies of all zones.
#[derive(Debug)]
pub struct ZoneCopies<S: ZoneSource> {
    known: Shared<S>,
}

type Key = (ZoneName, ServerAddress);

/// What a reader wants of a refresh.
#[derive(Debug, Clone, Copy)]
struct Asked {
    /// The first one that is late enough.
    since: u64,
    /// Whether a marker that stands still must be known to move.
    strictly: bool,
}

type Shared<S> = Arc<Mutex<Entries<<S as ZoneSource>::Marker, <S as ZoneSource>::Error>>>;

#[derive(Debug)]
struct Entries<M, E> {
    entries: HashMap<Key, Entry<M, E>>,
    /// Servers that entries are kept for, the one used last at the end.
    servers: Vec<ServerAddress>,
    /// Number of the next refresh.
    next: u64,
}

/// What a refresh tells those who wait for it, once it is done.
type Ended<E> = Option<Result<ZoneCopy, E>>;

/// Where it is told.
type Waiting<E> = watch::Receiver<Ended<E>>;

impl<S: ZoneSource> Default for ZoneCopies<S> {
    fn default() -> Self {
        let known = Entries { entries: HashMap::new(), servers: Vec::new(), next: 0 };
        Self { known: Arc::new(Mutex::new(known)) }
    }
}

impl<S: ZoneSource> ZoneCopies<S> {
    /// No copies.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The copy as it stands, without asking the server.
    #[must_use]
    pub fn get(&self, zone: &ZoneName, server: &ServerAddress) -> Option<ZoneCopy> {
        self.lock().entries.get(&key(zone, server))?.copy()
    }

    /// The copy to start changes from; none while it is doubted.
    #[must_use]
    pub fn trusted(&self, zone: &ZoneName, server: &ServerAddress) -> Option<ZoneCopy> {
        self.lock().entries.get(&key(zone, server))?.trusted()
    }

    /// Why the last refresh failed; none after one that succeeded.
    #[must_use]
    pub fn failure(&self, zone: &ZoneName, server: &ServerAddress) -> Option<S::Error> {
        self.lock().entries.get(&key(zone, server))?.failure.clone()
    }

    /// Keeps a version that was read by other means.
    pub fn put(&self, server: &ServerAddress, version: Version<S::Marker>, now: SystemTime) {
        let zone = version.contents.zone().clone();
        let mut known = self.lock();
        known.touch(server);
        known.entry(&zone, server).put(version, now);
    }

    /// Refreshes the copy, or waits for the refresh that is under way.
    ///
    /// # Errors
    /// At the deadline, or when the server cannot be read; never with an old copy instead.
    pub async fn read(&self, zone: &ZoneName, source: &S, deadline: Instant) -> Result<ZoneCopy, ReadError<S::Error>> {
        self.read_since(Asked { since: 0, strictly: false }, zone, source, deadline).await
    }

    /// As [`read`](Self::read), but by a refresh that begins after this call: for reading back what was just sent.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn read_anew(
        &self,
        zone: &ZoneName,
        source: &S,
        deadline: Instant,
    ) -> Result<ZoneCopy, ReadError<S::Error>> {
        let since = self.lock().next;
        self.read_since(Asked { since, strictly: false }, zone, source, deadline).await
    }

    /// As [`read_anew`](Self::read_anew), for who is shown the zone again and again: a large one that never stands still
    /// may take longer than a caller waits. At the deadline it is the version whose refresh ended since the last list, so
    /// that no list is older than the one before, with our own updates since.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn list(&self, zone: &ZoneName, source: &S, deadline: Instant) -> Result<ZoneCopy, ReadError<S::Error>> {
        let read = self.read_anew(zone, source, deadline).await;
        let mut known = self.lock();
        let entry = known.entry(zone, source.address());
        let copy = read.or_else(|error| match error {
            ReadError::Deadline => entry.unlisted().ok_or(error),
            error => Err(error),
        })?;
        entry.listed();
        Ok(copy)
    }

    /// Has the copy refreshed, for who only wants to know that it can be read.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn warm(&self, zone: &ZoneName, source: &S, deadline: Instant) -> Result<ZoneCopy, ReadError<S::Error>> {
        self.read_anew(zone, source, deadline).await.or_else(|error| match error {
            ReadError::Deadline => self.lock().entry(zone, source.address()).unlisted().ok_or(error),
            error => Err(error),
        })
    }

    /// As [`read_anew`](Self::read_anew), for who does nothing if nothing has changed: a marker that stands still proves
    /// that only where it has been seen to move with the zone.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn confirm(
        &self,
        zone: &ZoneName,
        source: &S,
        deadline: Instant,
    ) -> Result<ZoneCopy, ReadError<S::Error>> {
        let since = self.lock().next;
        self.read_since(Asked { since, strictly: true }, zone, source, deadline).await
    }

    /// Applies an update that the server has verifiably done.
    pub fn apply(&self, server: &ServerAddress, update: &Update) {
        if let Some(entry) = self.lock().entries.get_mut(&key(&update.zone, server)) {
            entry.apply(&update.operations);
        }
    }

    /// Doubts the copy, after an update whose outcome is unknown: the next read asks at least for what changed, and
    /// for the whole zone where the marker does not tell.
    pub fn invalidate(&self, zone: &ZoneName, server: &ServerAddress) {
        if let Some(entry) = self.lock().entries.get_mut(&key(zone, server)) {
            entry.doubt();
        }
    }

    async fn read_since(
        &self,
        asked: Asked,
        zone: &ZoneName,
        source: &S,
        deadline: Instant,
    ) -> Result<ZoneCopy, ReadError<S::Error>> {
        let read = async {
            loop {
                match self.join(asked, zone, source) {
                    Ok(refresh) => return ended(refresh).await?.map_err(ReadError::Source),
                    Err(older) => drop(ended(older).await),
                }
            }
        };
        timeout_at(deadline, read).await.unwrap_or(Err(ReadError::Deadline))
    }

    /// The refresh to wait for, started if there is none; or one that is too old and must end first.
    fn join(&self, asked: Asked, zone: &ZoneName, source: &S) -> Result<Waiting<S::Error>, Waiting<S::Error>> {
        let server = source.address();
        let mut known = self.lock();
        known.touch(server);
        if let Some(refresh) = known.entry(zone, server).refresh() {
            let waiting = refresh.waiting.clone();
            return if refresh.answers(asked) { Ok(waiting) } else { Err(waiting) };
        }
        let (told, waiting) = watch::channel(None);
        let number = known.next;
        known.next += 1;
        let held = known.entry(zone, server).begin(number, asked.strictly, waiting.clone());
        let refresh = refresh(Arc::clone(&self.known), zone.clone(), source.clone(), held, (number, told));
        tokio::spawn(refresh.in_current_span());
        Ok(waiting)
    }

    fn lock(&self) -> MutexGuard<'_, Entries<S::Marker, S::Error>> {
        lock(&self.known)
    }
}

/// Refreshes a copy, keeps it, and tells all who wait.
async fn refresh<S: ZoneSource>(
    known: Shared<S>,
    zone: ZoneName,
    source: S,
    held: Option<Base<S::Marker>>,
    (number, told): (u64, watch::Sender<Ended<S::Error>>),
) {
    let result = source.refresh(&zone, held).await;
    let copy = lock(&known).end(&key(&zone, source.address()), number, result, now());
    told.send_replace(Some(copy));
}

async fn ended<E: Clone>(mut refresh: Waiting<E>) -> Result<Result<ZoneCopy, E>, ReadError<E>> {
    let result = refresh.wait_for(Option::is_some).await.map_err(|_| ReadError::BrokenOff)?;
    result.clone().ok_or(ReadError::BrokenOff)
}

impl<M: Clone + PartialEq, E: Clone> Entries<M, E> {
    fn entry(&mut self, zone: &ZoneName, server: &ServerAddress) -> &mut Entry<M, E> {
        self.entries.entry(key(zone, server)).or_default()
    }

    /// Marks a server as the one used last, and forgets what is known from the one that was not used for longest.
    fn touch(&mut self, server: &ServerAddress) {
        self.servers.retain(|kept| kept != server);
        self.servers.push(server.clone());
        if self.servers.len() > SERVERS {
            let forgotten = self.servers.remove(0);
            self.entries.retain(|(_, kept), _| *kept != forgotten);
        }
    }

    /// Keeps what a refresh brought, unless its server was forgotten meanwhile.
    fn end(&mut self, key: &Key, number: u64, result: Result<Refreshed<M>, E>, now: SystemTime) -> Result<ZoneCopy, E> {
        match self.entries.get_mut(key).filter(|entry| entry.is_refreshed_by(number)) {
            Some(entry) => entry.end(result, now),
            None => Entry::default().end(result, now),
        }
    }
}

fn key(zone: &ZoneName, server: &ServerAddress) -> Key {
    (zone.clone(), server.clone())
}

fn lock<M, E>(known: &Mutex<Entries<M, E>>) -> MutexGuard<'_, Entries<M, E>> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::disallowed_methods, reason = "a refresh ends when it ends; nobody could hand in that time")]
fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests;
