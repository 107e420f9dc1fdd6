//! What is known of each zone on each server, and how it is refreshed.
//!
//! A copy is read by SOA query, then IXFR, then AXFR, whichever is enough. One refresh runs per zone and server, in a
//! task of its own: who waits for it leaves at its deadline, and the next read finds what it brought. Updates that
//! succeeded are applied to the copy at once, so that a read shows them; the next refresh starts from what the server
//! itself has told, and so confirms or corrects them.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use thiserror::Error;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::dns::{Outcome, ServerAddress, Update, ZoneContents, ZoneName};

mod refresh;
mod server;
mod slot;

use refresh::Fresh;
use slot::{Flight, Slot};

/// Copies are kept for this many servers: the one in use, and the one it took over from.
const SERVERS: usize = 2;

/// A server that zones are read from; clones are the same server.
pub trait ZoneSource: Clone + Send + Sync + 'static {
    /// Why it could not be read; every waiter gets it.
    type Error: Clone + Send + Sync + 'static;

    /// The server, as what it said is kept under.
    fn address(&self) -> &ServerAddress;

    /// The zone's serial (SOA query).
    fn serial(&self, zone: &ZoneName) -> impl Future<Output = Result<u32, Self::Error>> + Send;

    /// The whole zone (AXFR).
    fn whole(&self, zone: &ZoneName) -> impl Future<Output = Result<ZoneContents, Self::Error>> + Send;

    /// The zone by its differences to what is held (IXFR).
    fn differences(&self, held: Arc<ZoneContents>) -> impl Future<Output = Result<Outcome, Self::Error>> + Send;

    /// Whether [`whole`](Self::whole) may succeed where [`differences`](Self::differences) failed with this error.
    fn wants_whole(error: &Self::Error) -> bool;
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
    /// The serial had not moved.
    Unchanged,
    /// Differences.
    Ixfr,
    /// The whole zone.
    Axfr,
}

impl ReadKind {
    /// Stable label, for metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Ixfr => "ixfr",
            Self::Axfr => "axfr",
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
    slots: Arc<Mutex<Slots<S::Error>>>,
}

type Key = (ZoneName, ServerAddress);

#[derive(Debug)]
struct Slots<E> {
    slots: HashMap<Key, Slot<E>>,
    /// Servers that slots are kept for, the one used last at the end.
    servers: Vec<ServerAddress>,
    /// Number of the next refresh.
    next: u64,
}

/// What a refresh tells those who wait for it, once it is done.
type Landing<E> = Option<Result<ZoneCopy, E>>;

/// Where it is told.
type Waiting<E> = watch::Receiver<Landing<E>>;

impl<S: ZoneSource> Default for ZoneCopies<S> {
    fn default() -> Self {
        let slots = Slots { slots: HashMap::new(), servers: Vec::new(), next: 0 };
        Self { slots: Arc::new(Mutex::new(slots)) }
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
        self.lock().slots.get(&key(zone, server))?.copy()
    }

    /// The copy to start changes from; none while it is doubted.
    #[must_use]
    pub fn trusted(&self, zone: &ZoneName, server: &ServerAddress) -> Option<ZoneCopy> {
        self.lock().slots.get(&key(zone, server))?.trusted()
    }

    /// Why the last refresh failed; none after one that succeeded.
    #[must_use]
    pub fn failure(&self, zone: &ZoneName, server: &ServerAddress) -> Option<S::Error> {
        self.lock().slots.get(&key(zone, server))?.failure.clone()
    }

    /// Keeps a zone that was read by other means.
    pub fn put(&self, server: &ServerAddress, contents: ZoneContents, now: SystemTime) {
        let zone = contents.zone().clone();
        let mut slots = self.lock();
        slots.touch(server);
        slots.slot(&zone, server).put(contents, now);
    }

    /// Refreshes the copy, or waits for the refresh that is under way.
    ///
    /// # Errors
    /// At the deadline, or when the server cannot be read; never with an old copy instead.
    pub async fn read(&self, zone: &ZoneName, source: &S, deadline: Instant) -> Result<ZoneCopy, ReadError<S::Error>> {
        self.read_since(0, zone, source, deadline).await
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
        let next = self.lock().next;
        self.read_since(next, zone, source, deadline).await
    }

    /// Applies an update that the server has verifiably done.
    pub fn apply(&self, server: &ServerAddress, update: &Update) {
        if let Some(slot) = self.lock().slots.get_mut(&key(&update.zone, server)) {
            slot.apply(&update.operations);
        }
    }

    /// Doubts the copy, after an update whose outcome is unknown: the next read transfers at least what changed, and
    /// the whole zone where the serial does not tell.
    pub fn invalidate(&self, zone: &ZoneName, server: &ServerAddress) {
        if let Some(slot) = self.lock().slots.get_mut(&key(zone, server)) {
            slot.doubt();
        }
    }

    async fn read_since(
        &self,
        oldest: u64,
        zone: &ZoneName,
        source: &S,
        deadline: Instant,
    ) -> Result<ZoneCopy, ReadError<S::Error>> {
        let read = async {
            loop {
                match self.board(oldest, zone, source) {
                    Ok(flight) => return landed(flight).await?.map_err(ReadError::Source),
                    Err(older) => drop(landed(older).await),
                }
            }
        };
        timeout_at(deadline, read).await.unwrap_or(Err(ReadError::Deadline))
    }

    /// The refresh to wait for, started if there is none; or one that is too old and must end first.
    fn board(&self, oldest: u64, zone: &ZoneName, source: &S) -> Result<Waiting<S::Error>, Waiting<S::Error>> {
        let server = source.address();
        let mut slots = self.lock();
        slots.touch(server);
        if let Some(flight) = slots.slot(zone, server).flight() {
            let landing = flight.landing.clone();
            return if flight.number >= oldest && !flight.outdated { Ok(landing) } else { Err(landing) };
        }
        let (sender, landing) = watch::channel(None);
        let number = slots.next;
        slots.next += 1;
        let slot = slots.slot(zone, server);
        let base = slot.base();
        slot.start(Flight::new(number, landing.clone()));
        tokio::spawn(fly(Arc::clone(&self.slots), zone.clone(), source.clone(), base, (number, sender)));
        Ok(landing)
    }

    fn lock(&self) -> MutexGuard<'_, Slots<S::Error>> {
        lock(&self.slots)
    }
}

/// Refreshes a copy, keeps it, and tells all who wait.
async fn fly<S: ZoneSource>(
    slots: Arc<Mutex<Slots<S::Error>>>,
    zone: ZoneName,
    source: S,
    base: Option<refresh::Base>,
    (number, sender): (u64, watch::Sender<Landing<S::Error>>),
) {
    let result = refresh::refresh(&source, &zone, base).await;
    let copy = lock(&slots).land(&key(&zone, source.address()), number, result, now());
    sender.send_replace(Some(copy));
}

async fn landed<E: Clone>(mut flight: Waiting<E>) -> Result<Result<ZoneCopy, E>, ReadError<E>> {
    let landing = flight.wait_for(Option::is_some).await.map_err(|_| ReadError::BrokenOff)?;
    landing.clone().ok_or(ReadError::BrokenOff)
}

impl<E: Clone> Slots<E> {
    fn slot(&mut self, zone: &ZoneName, server: &ServerAddress) -> &mut Slot<E> {
        self.slots.entry(key(zone, server)).or_default()
    }

    /// Marks a server as the one used last, and forgets what is known from the one that was not used for longest.
    fn touch(&mut self, server: &ServerAddress) {
        self.servers.retain(|kept| kept != server);
        self.servers.push(server.clone());
        if self.servers.len() > SERVERS {
            let forgotten = self.servers.remove(0);
            self.slots.retain(|(_, kept), _| *kept != forgotten);
        }
    }

    /// Keeps what a refresh brought, unless its server was forgotten meanwhile.
    fn land(&mut self, key: &Key, number: u64, result: Result<Fresh, E>, now: SystemTime) -> Result<ZoneCopy, E> {
        match self.slots.get_mut(key).filter(|slot| slot.is_flying(number)) {
            Some(slot) => slot.land(result, now),
            None => Slot::default().land(result, now),
        }
    }
}

fn key(zone: &ZoneName, server: &ServerAddress) -> Key {
    (zone.clone(), server.clone())
}

fn lock<E>(slots: &Mutex<Slots<E>>) -> MutexGuard<'_, Slots<E>> {
    slots.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::disallowed_methods, reason = "a refresh ends when it ends; nobody could hand in that time")]
fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests;
