//! A scripted name server over real sockets, and a Kerberos of its own, for tests.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::clock;
use super::security::{Authentication, gss_tsig};
use super::{Server, Settings};
use crate::dns::Rcode;
use crate::dns::tkey::{Mode, TkeyQuery};
use crate::dns::tsig::testing::{Received, Signing, mac_of, receive};
use crate::dns::tsig::{BadMac, HmacAlgorithm, HmacKey, Mac};
use crate::dns::{Message, Name, Opcode, RecordType, ServerAddress};
use crate::gss::{GssBackend, GssError, Initiator, SealingContext, SecurityContext};
use crate::kerberos::{Realm, TargetName};

pub(super) const TIMEOUT: Duration = Duration::from_secs(1);
const SECRET: &[u8] = b"shared";

pub(super) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// How the server treats one request that is not TKEY.
#[derive(Debug, Clone)]
pub(crate) enum Reaction {
    /// As a good server does, with this code.
    Answer(Rcode),
    /// The same, in the form of Samba's internal server.
    AnswerLikeSamba(Rcode),
    /// The same, without a signature.
    AnswerUnsigned(Rcode),
    /// The request with its own signature.
    Echo(Rcode),
    /// A TSIG error; signed where it says so.
    TsigError { error: Rcode, skew: i64, signed: bool },
    /// These messages in a row; those marked are signed.
    Stream(Vec<(Vec<u8>, bool)>),
    /// The same, then the end of the connection.
    StreamAndClose(Vec<(Vec<u8>, bool)>),
    /// An answer with another id.
    WrongId,
    /// An answer after that to the next request.
    AfterTheNext,
    /// An answer after a while.
    Late(Duration),
    /// An answer, then the end of the connection.
    AnswerAndClose,
    /// The end of the connection.
    Close,
    /// Half an answer, then the end of the connection.
    Half,
    /// Nothing.
    Silence,
}

/// What the server knows and does.
pub(crate) struct World {
    pub(super) script: VecDeque<Reaction>,
    pub(super) contexts: HashMap<Name, Acceptor>,
    pub(crate) requests: Vec<Message>,
    /// An answer that waits for the next one.
    held: Option<Vec<u8>>,
    pub(super) connections: usize,
    pub(super) negotiations: usize,
    pub(super) deleted: Vec<Name>,
    pub(super) tkey: TkeyManners,
}

/// How the server negotiates.
#[derive(Debug, Clone)]
pub(super) struct TkeyManners {
    pub(super) rounds: u8,
    pub(super) signed: bool,
    pub(super) spoiled: bool,
    pub(super) in_additional: bool,
    pub(super) renamed: Option<Name>,
    pub(super) error: Rcode,
    pub(super) silent: bool,
}

impl Default for TkeyManners {
    fn default() -> Self {
        Self {
            rounds: 1,
            signed: true,
            spoiled: false,
            in_additional: false,
            renamed: None,
            error: Rcode::NOERROR,
            silent: false,
        }
    }
}

/// A name server on a port of its own, until it is dropped.
pub(crate) struct FakeServer {
    pub(super) address: SocketAddr,
    world: Arc<Mutex<World>>,
    accepting: JoinHandle<()>,
}

impl FakeServer {
    pub(crate) async fn start() -> Self {
        Self::start_with(None).await
    }

    pub(super) async fn start_with(tls: Option<TlsAcceptor>) -> Self {
        let world = World {
            script: VecDeque::new(),
            contexts: HashMap::new(),
            requests: Vec::new(),
            held: None,
            connections: 0,
            negotiations: 0,
            deleted: Vec::new(),
            tkey: TkeyManners::default(),
        };
        Self::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), Arc::new(Mutex::new(world)), tls).await
    }

    async fn listen(address: SocketAddr, world: Arc<Mutex<World>>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(accept(listener, world.clone(), tls));
        Self { address, world, accepting }
    }

    /// The same server again, on the same port, after it was stopped.
    pub(super) async fn restart(&mut self) {
        self.stop().await;
        *self = Self::listen(self.address, self.world.clone(), None).await;
    }

    pub(super) async fn stop(&mut self) {
        self.accepting.abort();
        while !self.accepting.is_finished() {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub(crate) fn then(&self, reactions: impl IntoIterator<Item = Reaction>) {
        self.world().script.extend(reactions);
    }

    pub(crate) fn address(&self) -> ServerAddress {
        let host = "ns1.example.test".to_owned();
        ServerAddress { host, address: Some(self.address.ip()), port: self.address.port() }
    }

    pub(super) fn client(&self, authentication: Authentication) -> Server {
        Server::new(self.address(), settings(authentication))
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

pub(crate) fn settings(authentication: Authentication) -> Arc<Settings> {
    Arc::new(Settings { timeout: TIMEOUT, authentication, tls: None, sign_reads: true })
}

pub(crate) fn hmac() -> Authentication {
    Authentication::Hmac { name: name("key.test"), key: HmacKey::new(HmacAlgorithm::Sha256, SECRET.to_vec()) }
}

async fn accept(listener: TcpListener, world: Arc<Mutex<World>>, tls: Option<TlsAcceptor>) {
    // Dropped with this task, so that a stopped server has no connections either.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        world.lock().unwrap().connections += 1;
        connections.spawn(welcome(stream, world.clone(), tls.clone()));
    }
}

async fn welcome(stream: TcpStream, world: Arc<Mutex<World>>, tls: Option<TlsAcceptor>) {
    let _ = match tls {
        None => serve(stream, &world).await,
        Some(tls) => match tls.accept(stream).await {
            Ok(stream) => serve(stream, &world).await,
            Err(error) => Err(error),
        },
    };
}

/// What is written in answer to one request.
#[derive(Default)]
struct Output {
    delay: Duration,
    messages: Vec<Vec<u8>>,
    /// Octets of the last message that are not written.
    withheld: usize,
    close: bool,
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, world: &Mutex<World>) -> io::Result<()> {
    loop {
        let length = stream.read_u16().await?;
        let mut request = vec![0; usize::from(length)];
        stream.read_exact(&mut request).await?;
        let output = world.lock().unwrap().react(&request);
        tokio::time::sleep(output.delay).await;
        let mut octets = Vec::new();
        for message in &output.messages {
            octets.extend(u16::try_from(message.len()).unwrap().to_be_bytes());
            octets.extend(message);
        }
        octets.truncate(octets.len() - output.withheld);
        stream.write_all(&octets).await?;
        stream.flush().await?;
        if output.close {
            return Ok(());
        }
    }
}

impl World {
    fn react(&mut self, octets: &[u8]) -> Output {
        let message = Message::parse(octets).unwrap();
        if message.questions[0].rtype == RecordType::TKEY && message.opcode() == Opcode::QUERY {
            let messages = if self.tkey.silent { Vec::new() } else { vec![self.react_to_tkey(octets, &message)] };
            return Output { messages, ..Output::default() };
        }
        self.requests.push(message);
        let reaction = self.script.pop_front().unwrap_or(Reaction::Answer(Rcode::NOERROR));
        let held = self.held.take();
        let mut output = self.perform(&reaction, octets);
        output.messages.extend(held);
        output
    }

    fn perform(&mut self, reaction: &Reaction, octets: &[u8]) -> Output {
        let one = |message| Output { messages: vec![message], ..Output::default() };
        let good = Rcode::NOERROR;
        match reaction {
            Reaction::Answer(rcode) => one(self.answer(octets, *rcode, false)),
            Reaction::AnswerLikeSamba(rcode) => one(self.answer(octets, *rcode, true)),
            Reaction::AnswerUnsigned(rcode) => one(unsigned_answer(octets, *rcode)),
            Reaction::Echo(rcode) => {
                let mut echo = octets.to_vec();
                echo[2] |= 0x80;
                echo[3] |= u8::try_from(rcode.number()).unwrap();
                one(echo)
            }
            Reaction::TsigError { error, skew, signed } => one(self.tsig_error(octets, *error, *skew, *signed)),
            Reaction::Stream(messages) => self.stream(octets, messages),
            Reaction::StreamAndClose(messages) => Output { close: true, ..self.stream(octets, messages) },
            Reaction::WrongId => {
                let mut answer = self.answer(octets, good, false);
                answer[0] ^= 0xff;
                one(answer)
            }
            Reaction::AfterTheNext => {
                self.held = Some(self.answer(octets, good, false));
                Output::default()
            }
            Reaction::Late(delay) => Output { delay: *delay, ..one(self.answer(octets, good, false)) },
            Reaction::AnswerAndClose => Output { close: true, ..one(self.answer(octets, good, false)) },
            Reaction::Close => Output { close: true, ..Output::default() },
            Reaction::Half => Output { withheld: 7, close: true, ..one(self.answer(octets, good, false)) },
            Reaction::Silence => Output::default(),
        }
    }

    /// Signs with what the request was signed with; BADKEY or BADSIG where that does not verify.
    fn answer(&mut self, octets: &[u8], rcode: Rcode, like_samba: bool) -> Vec<u8> {
        let Some((mut key, received)) = self.receive(octets) else {
            return bare_error(octets, Rcode::BADKEY);
        };
        let Some((key_name, mac, _)) = &received.signature else {
            return unsigned_answer(octets, rcode);
        };
        if !received.genuine {
            return bare_error(octets, Rcode::BADSIG);
        }
        let signing = Signing::new(key_name, clock::now());
        let answer = unsigned_answer(octets, rcode);
        if like_samba { signing.sign_after(&mut key, mac, &answer) } else { signing.sign(&mut key, mac, &answer) }
    }

    fn tsig_error(&mut self, octets: &[u8], error: Rcode, skew: i64, signed: bool) -> Vec<u8> {
        let (mut key, received) = self.receive(octets).unwrap();
        let (key_name, mac, time) = received.signature.unwrap();
        let server_time = clock::now().checked_add_signed(skew).unwrap().to_be_bytes();
        let signing = Signing { key: &key_name, time, error, other: &server_time[2..] };
        let answer = unsigned_answer(octets, Rcode::NOTAUTH);
        if signed { signing.sign(&mut key, &mac, &answer) } else { signing.with_mac(key.algorithm(), &[], &answer) }
    }

    fn stream(&mut self, octets: &[u8], messages: &[(Vec<u8>, bool)]) -> Output {
        let received = self.receive(octets);
        let mut output = Output::default();
        let mut unsigned = Vec::new();
        let mut prior: Option<Vec<u8>> = None;
        for (records, signed) in messages {
            let message = axfr_message(octets, records);
            let signature = received.as_ref().and_then(|(_, received)| received.signature.clone());
            let (Some((mut key, _)), Some((key_name, mac, _)), true) = (received_key(&received), signature, *signed)
            else {
                unsigned.push(message.clone());
                output.messages.push(message);
                continue;
            };
            let signing = Signing::new(&key_name, clock::now());
            let octets = match &prior {
                None => signing.sign(&mut key, &mac, &message),
                Some(prior) => signing.sign_later(&mut key, prior, &unsigned, &message).0,
            };
            unsigned.clear();
            prior = Some(mac_of(&octets));
            output.messages.push(octets);
        }
        output
    }

    /// The key that a request is signed with, and whether it is good; none for a key that is not known.
    fn receive(&mut self, octets: &[u8]) -> Option<(Acceptor, Received)> {
        let mut shared = Acceptor::shared();
        let received = receive(&mut shared, octets);
        let Some((key_name, _, _)) = &received.signature else { return Some((shared, received)) };
        if *key_name == name("key.test") {
            return Some((shared, received));
        }
        let mut acceptor = self.contexts.get(key_name)?.clone();
        let received = receive(&mut acceptor, octets);
        Some((acceptor, received))
    }

    fn react_to_tkey(&mut self, octets: &[u8], message: &Message) -> Vec<u8> {
        let asked = message.questions[0].name.clone();
        let rdata = message.additionals[0].rdata.as_wire();
        let fields = &rdata[gss_tsig().as_wire().len()..];
        if fields[9] == 5 {
            self.deleted.push(asked);
            return self.answer(octets, Rcode::NOERROR, false);
        }
        let token = &fields[14..fields.len() - 2];
        let round = token[0];
        self.negotiations += usize::from(round == 1);
        let last = round >= self.tkey.rounds;
        let key = self.tkey.renamed.clone().unwrap_or(asked);
        let reply = [if last { b"d" } else { b"m" }, &token[1..]].concat();
        let answer = self.tkey_answer(message.id(), &key, &reply);
        if !last || self.tkey.error != Rcode::NOERROR {
            return answer;
        }
        let mut acceptor = Acceptor::of(&token[1..]);
        self.contexts.insert(key.clone(), acceptor.clone());
        if !self.tkey.signed {
            return answer;
        }
        let mut signed = Signing::new(&key, clock::now()).sign(&mut acceptor, &[], &answer);
        if self.tkey.spoiled {
            let mac = mac_of(&signed);
            let at = signed.windows(mac.len()).position(|window| window == mac).unwrap();
            signed[at + mac.len() - 1] ^= 1;
        }
        signed
    }

    fn tkey_answer(&self, id: u16, key: &Name, token: &[u8]) -> Vec<u8> {
        let query = TkeyQuery { key, algorithm: gss_tsig(), mode: Mode::Negotiate, key_data: token };
        let mut answer = query.encode(id, clock::now()).unwrap();
        answer[2] |= 0x80;
        if !self.tkey.in_additional {
            (answer[7], answer[11]) = (1, 0);
        }
        let error_at = answer.len() - 2 - token.len() - 4;
        answer[error_at..error_at + 2].copy_from_slice(&self.tkey.error.number().to_be_bytes());
        answer
    }
}

fn received_key(received: &Option<(Acceptor, Received)>) -> Option<(Acceptor, ())> {
    received.as_ref().map(|(key, _)| (key.clone(), ()))
}

/// The answer of an authoritative server: header and question, and a SOA record where one is asked for.
fn unsigned_answer(octets: &[u8], rcode: Rcode) -> Vec<u8> {
    let soa = rcode == Rcode::NOERROR && question_type(octets) == RecordType::SOA && octets[2] & 0x78 == 0;
    let mut answer = axfr_message(octets, if soa { SOA } else { b"" });
    answer[2] |= octets[2] & 0x78;
    answer[3] = u8::try_from(rcode.number()).unwrap();
    answer
}

/// An answer to the question of this request that holds these records, whose owner names start at the question.
fn axfr_message(octets: &[u8], records: &[u8]) -> Vec<u8> {
    let question = &octets[12..question_end(octets)];
    let id = [octets[0], octets[1]];
    let count = u8::try_from(records.windows(2).filter(|window| *window == b"\xc0\x0c").count()).unwrap();
    [&id[..], &[0x84, 0, 0, 1, 0, count, 0, 0, 0, 0], question, records].concat()
}

fn question_end(octets: &[u8]) -> usize {
    let mut at = 12;
    while octets[at] != 0 {
        at += 1 + usize::from(octets[at]);
    }
    at + 5
}

fn question_type(octets: &[u8]) -> RecordType {
    let end = question_end(octets);
    u16::from_be_bytes([octets[end - 4], octets[end - 3]]).into()
}

/// A SOA record of serial 7 at the question's name.
pub(super) const SOA: &[u8] = b"\xc0\x0c\x00\x06\x00\x01\x00\x00\x00\x3c\x00\x16\x00\x00\
    \x00\x00\x00\x07\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01";
/// A NS record at the question's name.
pub(super) const NS: &[u8] = b"\xc0\x0c\x00\x02\x00\x01\x00\x00\x00\x3c\x00\x07\x03ns1\x01x\x00";
/// A TXT record at the question's name.
pub(crate) const TXT: &[u8] = b"\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x3c\x00\x03\x02hi";

fn bare_error(octets: &[u8], error: Rcode) -> Vec<u8> {
    let key = name("key.test");
    let signing = Signing { error, ..Signing::new(&key, clock::now()) };
    signing.with_mac(gss_tsig(), &[], &unsigned_answer(octets, Rcode::NOTAUTH))
}

/// The server's half of a key. Its MAC differs by direction and sequence number, and a repeated one is refused.
#[derive(Clone)]
pub(super) struct Acceptor {
    half: Arc<Mutex<Half>>,
    algorithm: Name,
}

impl Acceptor {
    fn of(key: &[u8]) -> Self {
        Self { half: Arc::new(Mutex::new(Half::new(Some((b'A', b'I')), key))), algorithm: gss_tsig().clone() }
    }

    fn shared() -> Self {
        Self { half: Arc::new(Mutex::new(Half::new(None, SECRET))), algorithm: name("hmac-sha256") }
    }
}

impl Mac for Acceptor {
    type Error = BadMac;

    fn algorithm(&self) -> &Name {
        &self.algorithm
    }

    fn sign(&mut self, octets: &[u8]) -> Result<Vec<u8>, BadMac> {
        self.half.lock().unwrap().sign(octets)
    }

    fn verify(&mut self, octets: &[u8], mac: &[u8]) -> Result<(), BadMac> {
        self.half.lock().unwrap().verify(octets, mac)
    }
}

/// One side of a key; without directions it is plain HMAC.
struct Half {
    directions: Option<(u8, u8)>,
    key: HmacKey,
    sequence: u64,
    seen: HashSet<Vec<u8>>,
}

impl Half {
    fn new(directions: Option<(u8, u8)>, key: &[u8]) -> Self {
        let key = HmacKey::new(HmacAlgorithm::Sha256, key.to_vec());
        Self { directions, key, sequence: 0, seen: HashSet::new() }
    }

    fn sign(&mut self, octets: &[u8]) -> Result<Vec<u8>, BadMac> {
        let Some((ours, _)) = self.directions else { return self.key.sign(octets) };
        self.sequence += 1;
        let sequence = self.sequence.to_be_bytes();
        let mac = self.key.sign(&[&[ours], &sequence[..], octets].concat())?;
        Ok([&sequence[..], &mac].concat())
    }

    fn verify(&mut self, octets: &[u8], mac: &[u8]) -> Result<(), BadMac> {
        let Some((_, theirs)) = self.directions else { return self.key.verify(octets, mac) };
        let (sequence, mac) = mac.split_at_checked(8).ok_or(BadMac)?;
        self.key.verify(&[&[theirs], sequence, octets].concat(), mac)?;
        if self.seen.insert(sequence.to_vec()) { Ok(()) } else { Err(BadMac) }
    }
}

/// A Kerberos that records what it is asked for.
pub(super) struct FakeKerberos {
    pub(super) targets: Mutex<Vec<TargetName>>,
    pub(super) acquired: Mutex<usize>,
    pub(super) forgotten: Mutex<usize>,
    pub(super) lifetime: Mutex<Duration>,
    /// How long the KDC takes.
    pub(super) delay: Mutex<Duration>,
    pub(super) error: Mutex<Option<GssError>>,
}

impl FakeKerberos {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            targets: Mutex::default(),
            acquired: Mutex::default(),
            forgotten: Mutex::default(),
            lifetime: Mutex::new(Duration::from_secs(3600)),
            delay: Mutex::default(),
            error: Mutex::default(),
        })
    }

    pub(super) fn authentication(self: &Arc<Self>) -> Authentication {
        Authentication::gss(Initiator::new(self.clone()), Realm::parse("EXAMPLE.TEST").unwrap().realm)
    }
}

pub(super) fn gss_error(text: &str) -> GssError {
    GssError { major: "failure".into(), minor: -1_765_328_377, minor_text: text.into() }
}

impl GssBackend for FakeKerberos {
    fn acquire(&self) -> Result<Duration, GssError> {
        *self.acquired.lock().unwrap() += 1;
        let delay = *self.delay.lock().unwrap();
        std::thread::sleep(delay);
        self.error.lock().unwrap().clone().map_or(Ok(*self.lifetime.lock().unwrap()), Err)
    }

    fn forget(&self) {
        *self.forgotten.lock().unwrap() += 1;
    }

    fn initiate(&self, target: &TargetName) -> Result<Box<dyn SecurityContext>, GssError> {
        self.targets.lock().unwrap().push(target.clone());
        let key = rand::random::<[u8; 16]>();
        let lifetime = *self.lifetime.lock().unwrap();
        let half = Half::new(Some((b'I', b'A')), &key);
        Ok(Box::new(FakeContext { key, half, round: 0, complete: false, lifetime }))
    }

    fn initiate_sealing(&self, _: &TargetName) -> Result<Box<dyn SealingContext>, GssError> {
        Err(gss_error("DNS messages are signed and never sealed"))
    }
}

struct FakeContext {
    key: [u8; 16],
    half: Half,
    round: u8,
    complete: bool,
    lifetime: Duration,
}

impl SecurityContext for FakeContext {
    fn step(&mut self, token: Option<&[u8]>) -> Result<Option<Vec<u8>>, GssError> {
        match token.map(|token| token.split_first()) {
            Some(Some((b'd', key))) if key == self.key => {
                self.complete = true;
                Ok(None)
            }
            None | Some(Some((b'm', _))) => {
                self.round += 1;
                Ok(Some([&[self.round], &self.key[..]].concat()))
            }
            Some(_) => Err(gss_error("A token was invalid")),
        }
    }

    fn is_complete(&self) -> bool {
        self.complete
    }

    fn mic(&mut self, message: &[u8]) -> Result<Vec<u8>, GssError> {
        self.half.sign(message).map_err(|_| gss_error("no MIC"))
    }

    fn verify_mic(&mut self, message: &[u8], mic: &[u8]) -> Result<(), GssError> {
        self.half.verify(message, mic).map_err(|_| gss_error("A token had an invalid Message Integrity Check (MIC)"))
    }

    fn lifetime(&self) -> Result<Duration, GssError> {
        Ok(self.lifetime)
    }
}
