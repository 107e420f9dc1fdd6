//! A directory server for tests: the codec is another one's, and what it sends is cut anywhere.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::BytesMut;
use ldap3_proto::LdapCodec;
use ldap3_proto::control::LdapControl;
use ldap3_proto::proto::{
    LdapBindCred, LdapBindRequest, LdapBindResponse, LdapExtendedResponse, LdapFilter, LdapMsg, LdapOp,
    LdapPartialAttribute, LdapResult, LdapResultCode, LdapSearchRequest, LdapSearchResultEntry,
    LdapSearchResultReference, LdapSearchScope,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::{Decoder as _, Encoder as _};

use super::{Directory, Settings};
use crate::dns::{Name, ServerAddress};
use crate::gss::fake::FakeKerberos;
use crate::gss::{Initiator, SealingContext};
use crate::kerberos::Realm;

pub(crate) const ZONES: &str = "CN=MicrosoftDNS,DC=DomainDnsZones,DC=ad,DC=test";
pub(crate) const ZONE: &str = "DC=ad.test,CN=MicrosoftDNS,DC=DomainDnsZones,DC=ad,DC=test";
const SERVICE: &str = "CN=NTDS Settings,CN=DC1,CN=Sites,CN=Configuration,DC=ad,DC=test";
const LARGE: usize = 8 << 20;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mischief {
    None,
    /// Closes the connection in the middle of a page.
    Closes,
    /// Says that it closes the connection.
    Disconnects,
    /// Sends the first page for ever.
    RepeatsPages,
    /// Sends empty pages for ever.
    EmptyPages,
    /// Says that a frame is larger than was agreed.
    OversizedFrame,
    /// Sends octets that nobody sealed.
    Garbage,
    /// Leaves a frame out.
    DropsFrame,
    /// Answers with a referral.
    Refers,
    /// Says that it seals no connection.
    NoSealing,
    /// Refuses the bind.
    RefusesBind,
    /// Is a directory, and of no domain.
    NoDomain,
    /// Says nothing any more.
    Silent,
}

/// An entry: its DN, its number of change, its attributes.
#[derive(Debug, Clone)]
pub(crate) struct FakeEntry {
    pub(crate) dn: String,
    pub(crate) changed: u64,
    pub(crate) attributes: Vec<(&'static str, Vec<Vec<u8>>)>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) entries: Vec<FakeEntry>,
    pub(crate) last_change: u64,
    pub(crate) invocation: Vec<u8>,
    pub(crate) mischief: Mischief,
    pub(crate) page: usize,
    pub(crate) binds: usize,
    /// Bases of the searches, the root's left out.
    pub(crate) searches: Vec<String>,
}

/// The server.
#[derive(Clone)]
pub(crate) struct FakeDirectory {
    pub(crate) kerberos: FakeKerberos,
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) address: ServerAddress,
}

impl FakeDirectory {
    /// One with an empty zone `ad.test`.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let address = ServerAddress { host: "dc1.ad.test".to_owned(), address: Some(Ipv4Addr::LOCALHOST.into()), port };
        let state = State {
            entries: Vec::new(),
            last_change: 10,
            invocation: vec![1; 16],
            mischief: Mischief::None,
            page: 7,
            binds: 0,
            searches: Vec::new(),
        };
        let server = Self { kerberos: FakeKerberos::new(), state: Arc::new(Mutex::new(state)), address };
        server.put(ZONE, &[("objectClass", vec![b"dnsZone".to_vec()]), ("name", vec![b"ad.test".to_vec()])]);
        server.node("@", &[soa(1)]);
        let this = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(this.clone().serve(stream));
            }
        });
        server
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn directory(&self) -> Directory {
        self.directory_with(None)
    }

    pub(crate) fn directory_with(&self, base: Option<&str>) -> Directory {
        let settings = Settings {
            initiator: Initiator::new(Arc::new(self.kerberos.clone())),
            realm: Realm::parse("AD.TEST").unwrap().realm,
            timeout: Duration::from_millis(700),
            base: base.map(str::to_owned),
        };
        Directory::new(self.address.clone(), Arc::new(settings))
    }

    /// Puts an entry in the place of the one with its DN.
    pub(crate) fn put(&self, dn: &str, attributes: &[(&'static str, Vec<Vec<u8>>)]) {
        let mut state = self.state();
        state.last_change += 1;
        let entry = FakeEntry { dn: dn.to_owned(), changed: state.last_change, attributes: attributes.to_vec() };
        state.entries.retain(|known| known.dn != dn);
        state.entries.push(entry);
    }

    /// Puts a node into the zone.
    pub(crate) fn node(&self, name: &str, records: &[Vec<u8>]) {
        let attributes = [
            ("objectClass", vec![b"dnsNode".to_vec()]),
            ("name", vec![name.as_bytes().to_vec()]),
            ("dnsRecord", records.to_vec()),
        ];
        self.put(&format!("DC={name},{ZONE}"), &attributes);
    }

    /// Takes an entry out without a trace.
    pub(crate) fn remove(&self, dn: &str) {
        self.state().entries.retain(|known| known.dn != dn);
    }

    async fn serve(self, mut stream: TcpStream) {
        let mut codec = LdapCodec::new(Some(LARGE), None);
        let mut context = self.kerberos.acceptor();
        let (mut plain, mut sealed) = (BytesMut::new(), BytesMut::new());
        let mut is_bound = false;
        loop {
            let message = loop {
                if let Some(message) = codec.decode(&mut plain).unwrap() {
                    break message;
                }
                let into = if is_bound { &mut sealed } else { &mut plain };
                if !matches!(stream.read_buf(into).await, Ok(1..)) {
                    return;
                }
                while is_bound && sealed.len() >= 4 {
                    let length = u32::from_be_bytes(sealed[..4].try_into().unwrap()) as usize;
                    if sealed.len() < 4 + length {
                        break;
                    }
                    let frame = sealed.split_to(4 + length);
                    plain.extend_from_slice(&context.unwrap(&frame[4..]).unwrap());
                }
            };
            match message.op {
                LdapOp::BindRequest(request) => {
                    let (answer, bound) = self.bind(&request, context.as_mut());
                    is_bound |= bound;
                    let octets = encoded(&[LdapMsg { msgid: message.msgid, op: answer, ctrl: Vec::new() }]);
                    if stream.write_all(&octets).await.is_err() {
                        return;
                    }
                }
                LdapOp::SearchRequest(request) => {
                    let answers = self.search(message.msgid, &request, &message.ctrl);
                    let octets = self.sealed(&encoded(&answers), context.as_mut(), &request.scope);
                    for part in cut(&octets) {
                        if stream.write_all(part).await.is_err() {
                            return;
                        }
                        tokio::task::yield_now().await;
                    }
                    if self.state().mischief == Mischief::Closes && request.scope == LdapSearchScope::OneLevel {
                        return;
                    }
                }
                _ => return,
            }
        }
    }

    fn bind(&self, request: &LdapBindRequest, context: &mut dyn SealingContext) -> (LdapOp, bool) {
        let mischief = self.state().mischief;
        let answer = |code, message: &str, saslcreds| {
            LdapOp::BindResponse(LdapBindResponse { res: result(code, message), saslcreds })
        };
        let LdapBindCred::SASL(credentials) = &request.cred else { panic!("no SASL") };
        assert_eq!(credentials.mechanism, "GSSAPI");
        if mischief == Mischief::RefusesBind {
            return (answer(LdapResultCode::InvalidCredentials, "80090308: AcceptSecurityContext error", None), false);
        }
        let more = |token| (answer(LdapResultCode::SaslBindInProgress, "", Some(token)), false);
        if !context.is_complete() {
            return more(context.step(Some(&credentials.credentials)).unwrap().unwrap());
        }
        if credentials.credentials.is_empty() {
            let layers = if mischief == Mischief::NoSealing { 3 } else { 7 };
            return more(context.wrap(false, &[layers, 1, 0, 0]).unwrap());
        }
        assert_eq!(context.unwrap(&credentials.credentials).unwrap(), [4, 0xff, 0xff, 0xff]);
        self.state().binds += 1;
        (answer(LdapResultCode::Success, "", None), true)
    }

    #[expect(clippy::too_many_lines, reason = "one answer for each kind of mischief")]
    fn search(&self, id: i32, request: &LdapSearchRequest, controls: &[LdapControl]) -> Vec<LdapMsg> {
        let mut state = self.state();
        let message = |op, ctrl| LdapMsg { msgid: id, op, ctrl };
        let done = |code, text: &str, cookie: Option<Vec<u8>>| {
            let ctrl = cookie.map(|cookie| LdapControl::SimplePagedResults { size: 0, cookie }).into_iter().collect();
            message(LdapOp::SearchResultDone(result(code, text)), ctrl)
        };
        if request.base.is_empty() {
            return vec![message(root(&state), Vec::new()), done(LdapResultCode::Success, "", None)];
        }
        state.searches.push(request.base.clone());
        let is_node = |entry: &&FakeEntry| match request.scope {
            LdapSearchScope::Base => entry.dn == request.base,
            _ => entry.dn.split_once(',').is_some_and(|(_, parent)| parent == request.base),
        };
        let service = FakeEntry {
            dn: SERVICE.to_owned(),
            changed: 0,
            attributes: vec![("objectClass", vec![]), ("invocationId", vec![state.invocation.clone()])],
        };
        let all: Vec<FakeEntry> = state.entries.iter().chain([&service]).cloned().collect();
        let known = |dn: &str| all.iter().any(|entry| entry.dn == dn) || dn == ZONES;
        if !known(&request.base) {
            return vec![done(LdapResultCode::NoSuchObject, "acl_read: no such base", None)];
        }
        let found: Vec<&FakeEntry> =
            all.iter().filter(is_node).filter(|entry| matches(entry, &request.filter)).collect();
        let entry = |entry: &&FakeEntry| {
            let wanted = |(name, _): &&(&str, Vec<Vec<u8>>)| request.attrs.iter().any(|attr| attr == name);
            let partial = |(name, vals): &(&str, Vec<Vec<u8>>)| LdapPartialAttribute {
                atype: (*name).to_owned(),
                vals: vals.clone(),
            };
            let mut attributes: Vec<_> = entry.attributes.iter().filter(wanted).map(partial).collect();
            if request.attrs.iter().any(|attr| attr == "uSNChanged") {
                let vals = vec![entry.changed.to_string().into_bytes()];
                attributes.push(LdapPartialAttribute { atype: "uSNChanged".to_owned(), vals });
            }
            let found = LdapSearchResultEntry { dn: entry.dn.clone(), attributes };
            message(LdapOp::SearchResultEntry(found), Vec::new())
        };
        let [LdapControl::SimplePagedResults { cookie, .. }] = controls else {
            let ended = done(LdapResultCode::Success, "", None);
            return found.iter().map(entry).chain([ended]).collect();
        };
        let at = cookie.first().map_or(0, |&page| usize::from(page)) * state.page;
        let next = || Some(vec![u8::try_from(at / state.page + 1).unwrap()]);
        let page = found.iter().skip(at).take(state.page).map(entry);
        match state.mischief {
            Mischief::Refers => vec![done(LdapResultCode::Referral, "elsewhere", None)],
            Mischief::Silent => Vec::new(),
            Mischief::Disconnects => {
                let res = result(LdapResultCode::Unavailable, "shutting down");
                let name = Some("1.3.6.1.4.1.1466.20036".to_owned());
                let notice = LdapOp::ExtendedResponse(LdapExtendedResponse { res, name, value: None });
                vec![LdapMsg { msgid: 0, op: notice, ctrl: Vec::new() }]
            }
            Mischief::Closes => page.take(1).collect(),
            Mischief::RepeatsPages => found
                .iter()
                .take(state.page)
                .map(entry)
                .chain([done(LdapResultCode::Success, "", Some(vec![1]))])
                .collect(),
            Mischief::EmptyPages => vec![done(LdapResultCode::Success, "", Some(vec![1]))],
            _ => {
                let cookie = if at + state.page < found.len() { next() } else { Some(Vec::new()) };
                let uris = vec!["ldap://other.test/".to_owned()];
                let reference = message(LdapOp::SearchResultReference(LdapSearchResultReference { uris }), Vec::new());
                let ended = done(LdapResultCode::Success, "", cookie);
                page.chain([reference, ended]).collect()
            }
        }
    }

    /// The frames of these octets, cut anywhere.
    fn sealed(&self, plain: &[u8], context: &mut dyn SealingContext, scope: &LdapSearchScope) -> Vec<u8> {
        let mischief = if *scope == LdapSearchScope::OneLevel { self.state().mischief } else { Mischief::None };
        match mischief {
            Mischief::OversizedFrame => return vec![0x01, 0, 0, 0, 1, 2, 3],
            Mischief::Garbage => return [&[0, 0, 0, 60][..], &[7; 60]].concat(),
            _ => {}
        }
        let mut octets = Vec::new();
        for (number, part) in cut(plain).enumerate() {
            let frame = context.wrap(true, part).unwrap();
            if mischief == Mischief::DropsFrame && number == 1 {
                continue;
            }
            octets.extend(u32::try_from(frame.len()).unwrap().to_be_bytes());
            octets.extend(frame);
        }
        octets
    }
}

/// The octets in parts of any size, often tiny.
fn cut(mut octets: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let most = if rand::random_bool(0.3) { 3 } else { 900 };
        let (part, rest) = octets.split_at(rand::random_range(1..=most).min(octets.len()));
        octets = rest;
        (!part.is_empty()).then_some(part)
    })
}

fn matches(entry: &FakeEntry, filter: &LdapFilter) -> bool {
    let has = |name: &str, value: &str| {
        let values = entry.attributes.iter().filter(|(known, _)| *known == name).flat_map(|(_, values)| values);
        values.into_iter().any(|known| known.eq_ignore_ascii_case(value.as_bytes()))
    };
    match filter {
        LdapFilter::And(all) => all.iter().all(|filter| matches(entry, filter)),
        LdapFilter::Or(any) => any.iter().any(|filter| matches(entry, filter)),
        LdapFilter::Equality(name, value) => has(name, value),
        LdapFilter::GreaterOrEqual(name, value) if name == "uSNChanged" => entry.changed >= value.parse().unwrap(),
        LdapFilter::Present(name) => entry.attributes.iter().any(|(known, _)| known == name),
        other => panic!("{other:?}"),
    }
}

fn root(state: &State) -> LdapOp {
    let text = |name: &str, values: &[&str]| LdapPartialAttribute {
        atype: name.to_owned(),
        vals: values.iter().map(|value| value.as_bytes().to_vec()).collect(),
    };
    let contexts = ["DC=ad,DC=test", "CN=Configuration,DC=ad,DC=test", "DC=DomainDnsZones,DC=ad,DC=test", "DC=custom"];
    let attributes = vec![
        text("defaultNamingContext", &["DC=ad,DC=test"]),
        text("rootDomainNamingContext", &["DC=ad,DC=test"]),
        text("namingContexts", &contexts),
        text("dsServiceName", if state.mischief == Mischief::NoDomain { &[] } else { &[SERVICE] }),
        text("highestCommittedUSN", &[&state.last_change.to_string()]),
    ];
    LdapOp::SearchResultEntry(LdapSearchResultEntry { dn: String::new(), attributes })
}

fn result(code: LdapResultCode, message: &str) -> LdapResult {
    LdapResult { code, matcheddn: String::new(), message: message.to_owned(), referral: Vec::new() }
}

fn encoded(messages: &[LdapMsg]) -> Vec<u8> {
    let (mut codec, mut octets) = (LdapCodec::new(Some(LARGE), None), BytesMut::new());
    messages.iter().for_each(|message| codec.encode(message.clone(), &mut octets).unwrap());
    octets.to_vec()
}

/// A value of dnsRecord with these data.
pub(crate) fn value(rtype: u16, rank: u8, ttl: u32, time_stamp: u32, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap();
    let fields: [&[u8]; 8] = [
        &length.to_le_bytes(),
        &rtype.to_le_bytes(),
        &[5, rank, 0, 0],
        &[110, 0, 0, 0],
        &ttl.to_be_bytes(),
        &[0; 4],
        &time_stamp.to_le_bytes(),
        data,
    ];
    fields.concat()
}

pub(crate) fn a(address: [u8; 4]) -> Vec<u8> {
    value(1, 0xf0, 300, 0, &address)
}

pub(crate) fn txt(text: &str) -> Vec<u8> {
    value(16, 0xf0, 300, 0, &[&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat())
}

pub(crate) fn count_name(name: &str) -> Vec<u8> {
    let name: Name = name.parse().unwrap();
    let wire = name.as_wire();
    [&[u8::try_from(wire.len()).unwrap(), u8::try_from(name.label_count()).unwrap()], wire].concat()
}

pub(crate) fn soa(serial: u32) -> Vec<u8> {
    let numbers: Vec<u8> = [serial, 900, 600, 86_400, 3600].iter().flat_map(|number| number.to_be_bytes()).collect();
    value(6, 0xf0, 3600, 0, &[&numbers[..], &count_name("dc1.ad.test"), &count_name("hostmaster.ad.test")].concat())
}
