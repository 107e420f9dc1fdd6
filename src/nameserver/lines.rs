//! The connections to one server.
//!
//! Requests with one answer share a connection, and are told apart by their ids, in whatever order they are answered
//! (RFC 7766 §6.2.1.1 and §7). It is served by a task while anything is in flight there, and idle between; so nobody who
//! leaves can leave it in the middle of a message. A transfer or a negotiation has a connection for itself, so that no
//! request waits behind it.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::connection::{Connection, response_id};
use super::error::{Fault, Sent};
use super::session::Settings;
use crate::dns::ServerAddress;

/// Servers close idle connections, BIND after 30 s; one that has been idle for longer than this is not used again.
const MAX_IDLE: Duration = Duration::from_secs(15);
/// After a server has closed a connection that had more in flight, it gets one request a connection, so that none is
/// lost, until it has answered so many.
const PROBATION: usize = 64;
/// A server that has closed so many connections in a row without one answer is taken for dead.
const MAX_BARREN: usize = 3;

/// The connections to one server.
pub(super) struct Lines {
    address: ServerAddress,
    settings: Arc<Settings>,
    kept: Mutex<Kept>,
    /// Held while a connection to share is being opened, so that one is enough for all who wait.
    opening: tokio::sync::Mutex<()>,
    /// Answers that are missing yet until requests are sent while others are in flight.
    probation: AtomicUsize,
    /// Connections in a row that ended without one answer.
    barren: AtomicUsize,
}

/// What is kept for the next request.
#[derive(Default)]
enum Kept {
    #[default]
    Nothing,
    Idle(Connection, Instant),
    Shared(Line),
}

/// A connection that requests share.
#[derive(Clone)]
struct Line {
    calls: mpsc::UnboundedSender<Call>,
    /// Whether the server has answered on it.
    used: Arc<AtomicBool>,
}

/// Makes the octets of a request, signed.
type Sign = Box<dyn FnMut() -> Result<Vec<u8>, Fault> + Send>;

/// A request, and where its answer goes.
struct Call {
    id: u16,
    /// Called when it is its turn, so that messages arrive in the order in which they are signed: Samba refuses others.
    sign: Sign,
    told: oneshot::Sender<Result<Vec<u8>, Lost>>,
}

/// A request without an answer.
#[derive(Debug, Clone)]
pub(super) struct Lost {
    pub(super) sent: Sent,
    pub(super) fault: Fault,
    /// Whether nothing more is said of the server by this than that it closed a connection (RFC 7766 §6.2.4).
    pub(super) closed: bool,
}

impl Lines {
    pub(super) fn new(address: ServerAddress, settings: Arc<Settings>) -> Self {
        Self {
            address,
            settings,
            kept: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            probation: AtomicUsize::new(0),
            // Nothing is known yet of whoever has never answered.
            barren: AtomicUsize::new(MAX_BARREN),
        }
    }

    pub(super) const fn address(&self) -> &ServerAddress {
        &self.address
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// A new connection.
    pub(super) async fn open(&self) -> Result<Connection, Fault> {
        Connection::open(&self.address, self.settings.tls.as_ref(), self.settings.timeout).await
    }

    /// The idle connection, for whoever wants it for himself.
    pub(super) fn take_idle(&self) -> Option<Connection> {
        if self.is_on_probation() {
            return None;
        }
        let mut kept = self.lock();
        match std::mem::take(&mut *kept) {
            Kept::Idle(connection, since) => if_fresh(connection, since),
            other => {
                *kept = other;
                None
            }
        }
    }

    /// Keeps a connection on which nothing is in flight, unless another one is kept already.
    pub(super) fn put_back(&self, connection: Connection) {
        let mut kept = self.lock();
        if !matches!(&*kept, Kept::Shared(_)) {
            *kept = Kept::Idle(connection, Instant::now());
        }
    }

    /// Keeps nothing any more; what is in flight is still answered.
    pub(super) fn close(&self) {
        *self.lock() = Kept::Nothing;
    }

    /// Has a request signed and sent over the connection that is shared, and receives its answer.
    pub(super) async fn ask(
        self: &Arc<Self>,
        id: u16,
        sign: impl FnMut() -> Result<Vec<u8>, Fault> + Send + 'static,
    ) -> Result<Vec<u8>, Lost> {
        let (told, answer) = oneshot::channel();
        if let Err(call) = self.take_call(Call { id, sign: Box::new(sign), told }) {
            let unsent = |fault| Lost { sent: Sent::Nothing, fault, closed: false };
            let limit = self.settings.timeout;
            let turn = timeout(limit, self.opening.lock()).await;
            let _turn = turn.map_err(|_| unsent(Fault::ConnectTimeout(limit)))?;
            // Whoever had the turn before may have opened one.
            if let Err(call) = self.take_call(call) {
                let connection = self.open().await.map_err(unsent)?;
                self.share(&mut self.lock(), connection, false, call);
            }
        }
        answer.await.unwrap_or(Err(Lost { sent: Sent::Unknown, fault: Fault::Closed, closed: false }))
    }

    /// Hands a call to the connection that is kept; gives it back where there is none.
    fn take_call(self: &Arc<Self>, call: Call) -> Result<(), Call> {
        let mut kept = self.lock();
        match std::mem::take(&mut *kept) {
            Kept::Shared(line) => {
                let outcome = line.calls.send(call).map_err(|refused| refused.0);
                if outcome.is_ok() {
                    *kept = Kept::Shared(line);
                }
                outcome
            }
            Kept::Idle(connection, since) => match if_fresh(connection, since) {
                Some(connection) => {
                    self.share(&mut kept, connection, true, call);
                    Ok(())
                }
                None => Err(call),
            },
            Kept::Nothing => Err(call),
        }
    }

    fn share(self: &Arc<Self>, kept: &mut Kept, connection: Connection, is_used: bool, call: Call) {
        let (calls, queue) = mpsc::unbounded_channel();
        let used = Arc::new(AtomicBool::new(is_used));
        // The queue is open: its other end is here.
        let _ = calls.send(call);
        *kept = Kept::Shared(Line { calls, used: Arc::clone(&used) });
        let lines = Arc::clone(self);
        let (in_flight, held_up) = (HashMap::new(), VecDeque::new());
        let task = Task { lines, queue, used, in_flight, is_crowded: false, held_up };
        tokio::spawn(task.serve(connection));
    }

    /// The connection is idle now; it comes back where a call has come in just this moment.
    fn retire(&self, task: &Task, connection: Connection) -> Option<Connection> {
        let mut kept = self.lock();
        if !task.queue.is_empty() {
            return Some(connection);
        }
        if task.is_kept(&kept) {
            *kept = Kept::Idle(connection, Instant::now());
        }
        None
    }

    /// The connection is of no use any more; nobody sends over it from now on.
    fn forget(&self, task: &mut Task) {
        let mut kept = self.lock();
        if task.is_kept(&kept) {
            *kept = Kept::Nothing;
        }
        task.queue.close();
    }

    fn is_on_probation(&self) -> bool {
        self.probation.load(Ordering::Relaxed) > 0
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that was idle, if it can still be used.
fn if_fresh(mut connection: Connection, since: Instant) -> Option<Connection> {
    (since.elapsed() < MAX_IDLE && connection.is_quiet()).then_some(connection)
}

/// What serves a shared connection.
struct Task {
    lines: Arc<Lines>,
    queue: mpsc::UnboundedReceiver<Call>,
    used: Arc<AtomicBool>,
    in_flight: HashMap<u16, Waiting>,
    /// Whether several were in flight at once.
    is_crowded: bool,
    /// Calls that must not be in flight beside what is.
    held_up: VecDeque<Call>,
}

struct Waiting {
    due: Instant,
    told: oneshot::Sender<Result<Vec<u8>, Lost>>,
}

impl Task {
    /// Serves the connection until nothing is in flight there, or it breaks.
    async fn serve(mut self, mut connection: Connection) {
        let limit = self.lines.settings.timeout;
        let fault = loop {
            if self.in_flight.is_empty() {
                match self.lines.retire(&self, connection) {
                    Some(open) => connection = open,
                    None => return,
                }
            }
            let due = self.in_flight.values().map(|waiting| waiting.due).min();
            let outcome = tokio::select! {
                message = connection.message(), if due.is_some() => match message {
                    Ok(message) => self.answer(&mut connection, message).await,
                    Err(fault) => Err(fault),
                },
                Some(call) = self.queue.recv() => self.take(&mut connection, call).await,
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => Err(Fault::Silent(limit)),
            };
            if let Err(fault) = outcome {
                break fault;
            }
        };
        self.drain(&mut connection, &fault).await;
        self.fail(&fault);
    }

    /// A server that has closed its side may have answered before: what cannot be written to can still be read from.
    async fn drain(&mut self, connection: &mut Connection, fault: &Fault) {
        if !matches!(fault, Fault::Send(_)) {
            return;
        }
        let limit = connection.timeout();
        while !self.in_flight.is_empty() {
            let Ok(Ok(message)) = timeout(limit, connection.message()).await else { return };
            if self.tell(message).is_err() {
                return;
            }
        }
    }

    fn is_kept(&self, kept: &Kept) -> bool {
        matches!(kept, Kept::Shared(line) if Arc::ptr_eq(&line.used, &self.used))
    }

    async fn take(&mut self, connection: &mut Connection, mut call: Call) -> Result<(), Fault> {
        let is_on_probation = self.lines.is_on_probation();
        let must_wait =
            if is_on_probation { !self.in_flight.is_empty() } else { self.in_flight.contains_key(&call.id) };
        if must_wait {
            self.held_up.push_back(call);
            return Ok(());
        }
        if is_on_probation && self.used.load(Ordering::Relaxed) {
            self.held_up.push_back(call);
            return Err(Fault::Closed);
        }
        let message = match (call.sign)() {
            Ok(message) => message,
            Err(fault) => {
                // Which says nothing of the connection.
                let _ = call.told.send(Err(Lost { sent: Sent::Nothing, fault, closed: false }));
                return Ok(());
            }
        };
        match connection.write(&message).await {
            Ok(()) => {
                let waiting = Waiting { due: Instant::now() + connection.timeout(), told: call.told };
                self.in_flight.insert(call.id, waiting);
                self.is_crowded |= self.in_flight.len() > 1;
                Ok(())
            }
            Err(fault) => {
                if matches!(fault, Fault::Silent(_)) {
                    self.in_flight.insert(call.id, Waiting { due: Instant::now(), told: call.told });
                } else {
                    // What was not written to its end cannot be read by the server.
                    self.held_up.push_back(call);
                }
                Err(fault)
            }
        }
    }

    /// Tells an answer to whom it belongs; one that belongs to nobody makes the connection worthless.
    fn tell(&mut self, message: Vec<u8>) -> Result<(), Fault> {
        let waiting = response_id(&message)?.and_then(|id| self.in_flight.remove(&id));
        let Some(waiting) = waiting else { return Err(Fault::WrongAnswer) };
        self.used.store(true, Ordering::Relaxed);
        self.lines.barren.store(0, Ordering::Relaxed);
        let one_less = |left: usize| left.checked_sub(1);
        // None is left when it was none before.
        let _ = self.lines.probation.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
        // Whoever waits no longer need not know.
        let _ = waiting.told.send(Ok(message));
        Ok(())
    }

    /// Takes an answer, and sends what had to wait for it.
    async fn answer(&mut self, connection: &mut Connection, message: Vec<u8>) -> Result<(), Fault> {
        self.tell(message)?;
        // A server takes updates one after the other: those behind this one have had no time of their own yet.
        let due = Instant::now() + connection.timeout();
        self.in_flight.values_mut().for_each(|waiting| waiting.due = due);
        // Those that must wait longer come back behind the others.
        for _ in 0..self.held_up.len() {
            let Some(call) = self.held_up.pop_front() else { break };
            self.take(connection, call).await?;
        }
        Ok(())
    }

    /// Nothing more comes over this connection.
    fn fail(mut self, fault: &Fault) {
        let lines = Arc::clone(&self.lines);
        if is_closed(fault) && self.is_crowded {
            lines.probation.store(PROBATION, Ordering::Relaxed);
        }
        let is_barren = !self.used.load(Ordering::Relaxed);
        let closed = is_closed(fault) && !(is_barren && lines.barren.fetch_add(1, Ordering::Relaxed) + 1 >= MAX_BARREN);
        let lost = |sent| Err(Lost { sent, fault: fault.clone(), closed });
        lines.forget(&mut self);
        for (_, waiting) in self.in_flight.drain() {
            let _ = waiting.told.send(lost(Sent::Unknown));
        }
        let queued = std::iter::from_fn(|| self.queue.try_recv().ok());
        for call in self.held_up.drain(..).chain(queued) {
            let _ = call.told.send(lost(Sent::Nothing));
        }
    }
}

const fn is_closed(fault: &Fault) -> bool {
    matches!(fault, Fault::Send(_) | Fault::Receive(_) | Fault::Closed)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use futures_util::future::join_all;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::time::sleep;

    use super::super::testing::{TIMEOUT, hmac, settings};
    use super::*;

    async fn listen() -> (TcpListener, Arc<Lines>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let address = ServerAddress { host: "ns1.test".into(), address: Some(Ipv4Addr::LOCALHOST.into()), port };
        let lines = Arc::new(Lines::new(address, settings(hmac())));
        (listener, lines)
    }

    fn request(id: u8) -> impl FnMut() -> Result<Vec<u8>, Fault> + Send + 'static {
        move || Ok(vec![0x12, id, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, id])
    }

    /// Whoever closes a connection need not be dead, but whoever does nothing else is.
    #[tokio::test]
    async fn a_server_that_closes_connections_without_an_answer_is_dead_in_the_end() {
        let (listener, lines) = listen().await;
        let server = async {
            for _ in 0..=MAX_BARREN {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.read_exact(&mut [0; 15]).await.unwrap();
            }
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut framed = [0; 15];
            stream.read_exact(&mut framed).await.unwrap();
            framed[4] |= 0x80;
            stream.write_all(&framed).await.unwrap();
        };
        let client = async {
            assert!(!lines.ask(0x1201, request(1)).await.unwrap_err().closed, "it has never answered");
            lines.barren.store(0, Ordering::Relaxed);
            for n in 1..=MAX_BARREN {
                let lost = lines.ask(0x1201, request(1)).await.unwrap_err();
                assert!(matches!(lost.sent, Sent::Unknown), "{lost:?}");
                assert_eq!(lost.closed, n < MAX_BARREN);
            }
            assert!(lines.ask(0x1201, request(1)).await.is_ok());
            assert_eq!(lines.barren.load(Ordering::Relaxed), 0);
        };
        tokio::join!(server, client);
    }

    /// A server that allows one request a connection gets them so, and none of them is lost.
    #[tokio::test]
    async fn a_server_that_closed_with_more_in_flight_gets_one_request_a_connection() {
        let (listener, lines) = listen().await;
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut first, mut second) = ([0; 15], [0; 15]);
            stream.read_exact(&mut first).await.unwrap();
            stream.read_exact(&mut second).await.unwrap();
            first[4] |= 0x80;
            stream.write_all(&first).await.unwrap();
            drop(stream);
            for _ in 0..3 {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut framed = [0; 15];
                stream.read_exact(&mut framed).await.unwrap();
                framed[4] |= 0x80;
                stream.write_all(&framed).await.unwrap();
                assert_eq!(stream.read(&mut framed).await.unwrap(), 0, "a second request");
            }
        };
        let client = async {
            let (first, second) = tokio::join!(lines.ask(0x1201, request(1)), lines.ask(0x1202, request(2)));
            assert!(first.is_ok());
            let lost = second.unwrap_err();
            assert!(lost.closed && matches!(lost.sent, Sent::Unknown), "{lost:?}");
            for left in (1..=3).rev() {
                let asked = (1..=left).map(|id| lines.ask(0x1200 + u16::from(id), request(id)));
                let (done, lost): (Vec<_>, Vec<_>) = join_all(asked).await.into_iter().partition(Result::is_ok);
                assert_eq!((done.len(), lost.len()), (1, usize::from(left) - 1));
                let lost = lost.into_iter().map(Result::unwrap_err);
                assert!(lost.into_iter().all(|lost| lost.closed && matches!(lost.sent, Sent::Nothing)));
            }
            lines.close();
        };
        tokio::join!(client, server);
    }

    /// Many at once, from many threads.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn requests_arrive_in_the_order_in_which_they_are_signed() {
        let (listener, lines) = listen().await;
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            for order in 0..200_u8 {
                let mut framed = [0; 15];
                stream.read_exact(&mut framed).await.unwrap();
                assert_eq!(framed[14], order);
                framed[4] |= 0x80;
                stream.write_all(&framed).await.unwrap();
            }
        });
        let signed = Arc::new(AtomicUsize::new(0));
        let asking = (0..200_u8).map(|id| {
            let (lines, signed) = (Arc::clone(&lines), Arc::clone(&signed));
            let sign = move || {
                let order = u8::try_from(signed.fetch_add(1, Ordering::SeqCst)).unwrap();
                Ok(vec![0x12, id, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, order])
            };
            tokio::spawn(async move { lines.ask(0x1200 + u16::from(id), sign).await.map(drop) })
        });
        for asked in join_all(asking.collect::<Vec<_>>()).await {
            asked.unwrap().unwrap();
        }
        server.await.unwrap();
    }

    /// As long as a server answers, it works on the others.
    #[tokio::test]
    async fn a_server_that_takes_its_time_for_each_of_several_is_not_silent() {
        let (listener, lines) = listen().await;
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut framed = [[0; 15]; 4];
            for framed in &mut framed {
                stream.read_exact(framed).await.unwrap();
            }
            for mut framed in framed {
                sleep(TIMEOUT.mul_f32(0.4)).await;
                framed[4] |= 0x80;
                stream.write_all(&framed).await.unwrap();
            }
            // Kept open, so that only silence could be the reason.
            stream
        };
        let asked = (1..=4).map(|id| lines.ask(0x1200 + u16::from(id), request(id)));
        let (answers, _stream) = tokio::join!(join_all(asked), server);
        assert!(answers.iter().all(Result::is_ok));
        let silent = lines.ask(0x1205, request(5)).await.unwrap_err();
        assert!(matches!(silent.fault, Fault::Silent(_)), "{silent:?}");
    }

    /// Two of many requests in flight may have got the same id by chance.
    #[tokio::test]
    async fn a_request_waits_while_another_of_its_id_is_in_flight() {
        let (listener, lines) = listen().await;
        let request = |last: u8| move || Ok(vec![0x12, 0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            for _ in 0..2 {
                let mut framed = [0; 15];
                stream.read_exact(&mut framed).await.unwrap();
                let more = timeout(Duration::from_millis(50), stream.read_u8()).await;
                assert!(more.is_err(), "the second was sent before the first was answered");
                framed[4] |= 0x80;
                stream.write_all(&framed).await.unwrap();
            }
        };
        let (first, second, ()) = tokio::join!(lines.ask(0x1234, request(1)), lines.ask(0x1234, request(2)), server);
        assert_eq!((first.unwrap()[12], second.unwrap()[12]), (1, 2));
    }
}
