//! A TCP relay in front of a name server that reads every DNS message, and can cut, swallow or alter it.

use std::collections::{BTreeSet, HashMap};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use hickory_proto::op::{self, OpCode};
use hickory_proto::rr::Name;

use super::daemon::Place;

/// A DNS message on its way.
#[derive(Debug, Clone)]
pub struct Message {
    /// From the sidecar; else from the name server.
    pub request: bool,
    /// Number of the TCP connection.
    pub connection: usize,
    pub bytes: Vec<u8>,
    /// What it answers, where it is an answer.
    pub question: Option<Arc<Self>>,
    /// Its number among the answers to that, counted from 0.
    pub nth: usize,
}

impl Message {
    pub fn decode(&self) -> op::Message {
        op::Message::from_vec(&self.bytes).unwrap()
    }

    /// The operation code, read without decoding the rest.
    pub fn op_code(&self) -> OpCode {
        OpCode::from_u8((self.bytes[2] >> 3) & 0xF)
    }

    /// An UPDATE message from the sidecar.
    pub fn is_update(&self) -> bool {
        self.request && self.op_code() == OpCode::Update
    }

    /// An UPDATE message from the sidecar that is to change something.
    pub fn is_change(&self) -> bool {
        self.is_update() && self.operations() > 0
    }

    /// The answer to an UPDATE message that is to change something.
    pub fn answers_change(&self) -> bool {
        self.question.as_ref().is_some_and(|question| question.is_change())
    }

    /// Records in the second section: of an UPDATE, the prerequisites.
    pub fn prerequisites(&self) -> u16 {
        u16::from_be_bytes([self.bytes[6], self.bytes[7]])
    }

    /// Records in the third section: of an UPDATE, what it changes.
    pub fn operations(&self) -> u16 {
        u16::from_be_bytes([self.bytes[8], self.bytes[9]])
    }

    /// Names in the update section, without final dots.
    pub fn changed_names(&self) -> BTreeSet<String> {
        let name = |name: &Name| name.to_string().trim_end_matches('.').to_owned();
        self.decode().authorities.iter().map(|record| name(&record.name)).collect()
    }
}

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Pass,
    /// It never arrives; the connection stays.
    Swallow,
    /// It never arrives; the connection ends.
    Cut,
    /// Half of it arrives; the connection ends.
    CutInside,
    /// It arrives; the connection ends.
    PassAndCut,
    /// It arrives; the connection is reset.
    PassAndReset,
    /// This arrives in its place.
    Replace(Vec<u8>),
}

/// A request, and how many answers it has had.
type Asked = (Arc<Message>, usize);

type Rule = Box<dyn FnMut(&Message) -> Action + Send>;

struct Shared {
    target: SocketAddr,
    rule: Mutex<Rule>,
    messages: Mutex<Vec<Message>>,
    /// Requests by connection and message ID, with the number of answers so far.
    asked: Mutex<HashMap<(usize, [u8; 2]), Asked>>,
    open: Mutex<Vec<TcpStream>>,
    connections: AtomicUsize,
    closed: AtomicBool,
}

/// A relay on an address of its own.
pub struct Forwarder {
    place: Place,
    shared: Arc<Shared>,
}

impl Forwarder {
    /// Relays to `target` and passes everything.
    pub fn start(target: SocketAddr) -> Self {
        let shared = Shared {
            target,
            rule: Mutex::new(Box::new(|_| Action::Pass)),
            messages: Mutex::default(),
            asked: Mutex::default(),
            open: Mutex::default(),
            connections: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        };
        let forwarder = Self { place: Place::free(), shared: Arc::new(shared) };
        forwarder.listen();
        forwarder
    }

    fn listen(&self) {
        let listener = TcpListener::bind(self.place.socket()).unwrap();
        let shared = self.shared.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                if shared.closed.load(Ordering::SeqCst) {
                    return;
                }
                let _ = client.and_then(|client| relay(&shared, client));
            }
        });
    }

    /// Where it listens.
    pub fn socket(&self) -> SocketAddr {
        self.place.socket()
    }

    /// `host@address:port` as `RFC2136_HOST` takes it.
    pub fn server(&self, host: &str) -> String {
        format!("{host}@{}", self.place.socket())
    }

    /// Decides on every message from now on.
    pub fn on_message(&self, rule: impl FnMut(&Message) -> Action + Send + 'static) {
        *self.shared.rule.lock().unwrap() = Box::new(rule);
    }

    /// Everything passes again.
    pub fn pass(&self) {
        self.on_message(|_| Action::Pass);
    }

    /// All messages so far.
    pub fn messages(&self) -> Vec<Message> {
        self.shared.messages.lock().unwrap().clone()
    }

    /// All UPDATE messages from the sidecar so far.
    pub fn updates(&self) -> Vec<Message> {
        let mut messages = self.messages();
        messages.retain(Message::is_update);
        messages
    }

    /// Forgets the messages so far.
    pub fn forget(&self) {
        self.shared.messages.lock().unwrap().clear();
    }

    /// TCP connections taken so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Ends every connection; new ones are taken.
    pub fn reset(&self) {
        for stream in self.shared.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Resets every connection; new ones are taken.
    pub fn abort(&self) {
        for stream in self.shared.open.lock().unwrap().drain(..) {
            let _ = abort(&stream);
        }
    }

    /// Ends every connection and refuses new ones.
    pub fn close(&self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.place.socket());
        self.reset();
    }

    /// Ends [`Forwarder::close`].
    pub fn reopen(&self) {
        self.shared.closed.store(false, Ordering::SeqCst);
        self.listen();
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    /// Tells requests and answers apart, and which belong together.
    fn note(&self, request: bool, connection: usize, bytes: Vec<u8>) -> Message {
        let mut asked = self.asked.lock().unwrap();
        let key = (connection, [bytes[0], bytes[1]]);
        let mut message = Message { request, connection, bytes, question: None, nth: 0 };
        if request {
            asked.insert(key, (Arc::new(message.clone()), 0));
        } else if let Some((question, answers)) = asked.get_mut(&key) {
            (message.question, message.nth) = (Some(question.clone()), *answers);
            *answers += 1;
        }
        message
    }
}

/// Ends a connection by RST instead of FIN, however many hold it open.
fn abort(stream: &TcpStream) -> std::io::Result<()> {
    // Connecting to an address of no family dissolves the association (connect(2)).
    rustix::net::connect_unspec(stream)?;
    Ok(())
}

fn relay(shared: &Arc<Shared>, client: TcpStream) -> std::io::Result<()> {
    let server = TcpStream::connect(shared.target)?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
        shared.open.lock().unwrap().push(stream.try_clone()?);
    }
    let connection = shared.connections.fetch_add(1, Ordering::SeqCst);
    for (request, from, to) in [(true, client.try_clone()?, server.try_clone()?), (false, server, client)] {
        let shared = shared.clone();
        thread::spawn(move || {
            let (from, to) = (&from, &to);
            let _ = copy(&shared, request, connection, from, to);
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
    Ok(())
}

fn copy(
    shared: &Shared,
    request: bool,
    connection: usize,
    mut from: &TcpStream,
    mut to: &TcpStream,
) -> std::io::Result<()> {
    loop {
        let mut length = [0; 2];
        from.read_exact(&mut length)?;
        let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
        from.read_exact(&mut bytes)?;
        let message = shared.note(request, connection, bytes);
        let action = (shared.rule.lock().unwrap())(&message);
        let mut frame = [&length[..], &message.bytes].concat();
        shared.messages.lock().unwrap().push(message);
        match action {
            Action::Pass => to.write_all(&frame)?,
            Action::Swallow => {}
            Action::Cut => return Ok(()),
            Action::CutInside => {
                frame.truncate(frame.len() / 2);
                return to.write_all(&frame);
            }
            Action::PassAndCut => return to.write_all(&frame),
            Action::PassAndReset => {
                to.write_all(&frame)?;
                return abort(to);
            }
            Action::Replace(other) => {
                let length = u16::try_from(other.len()).unwrap().to_be_bytes();
                to.write_all(&[&length[..], &other].concat())?;
            }
        }
    }
}
