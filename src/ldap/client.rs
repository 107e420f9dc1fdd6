//! Searching a directory over connections that are bound once, kept, and taken by one reader at a time.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::field::Empty;
use tracing::{Instrument as _, info_span};

use super::connection::Connection;
use super::error::LdapFault;
use super::message::{Answer, Entry, Filter, LdapResult, Page, Scope, Search, code};
use crate::dns::ServerAddress;
use crate::gss::Initiator;
use crate::kerberos::Realm;

/// Active Directory closes what is idle for 900 s; what has been idle for longer than this is not used again.
const MOST_IDLE: Duration = Duration::from_secs(600);
/// A connection whose credential ends sooner than this is not used again.
const LEAST_LIFE: Duration = Duration::from_secs(60);
/// As many zones as are read at a time.
const MOST_CONNECTIONS: usize = 4;
/// Entries in a page; Active Directory gives no more at once.
const PAGE_ENTRIES: i32 = 1000;
/// Most octets that a search may bring: some million nodes.
const MOST_OCTETS: usize = 1 << 30;
/// Longest time that a search may take.
const MOST_TIME: Duration = Duration::from_secs(120);
/// Longest wait at the end, since shutting down must not take long.
const MOST_FAREWELL: Duration = Duration::from_secs(1);

/// What all directory servers have in common.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where security contexts begin.
    pub initiator: Initiator,
    /// The realm of the servers.
    pub realm: Realm,
    /// Longest wait for one step: connecting, the KDC, or the next message.
    pub timeout: Duration,
    /// The container of the zones, where it is not to be found.
    pub base: Option<String>,
}

/// A directory server. Clones share its connections.
#[derive(Clone)]
pub(super) struct Client(Arc<Inner>);

struct Inner {
    address: ServerAddress,
    settings: Arc<Settings>,
    /// Connections in nobody's hands, with the time since when.
    idle: Mutex<Vec<(Connection, Instant)>>,
}

/// What a server tells about itself (RFC 4512 §5.1, MS-ADTS §3.1.1.3.2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Root {
    /// Its domain.
    pub domain: Option<String>,
    /// The forest's first domain.
    pub root_domain: Option<String>,
    /// Every partition that it holds.
    pub contexts: Vec<String>,
    /// Where its own settings are.
    pub service: Option<String>,
    /// The number of its last change.
    pub last_change: Option<u64>,
}

impl Client {
    /// A directory server at this address; nothing is sent yet.
    pub(super) fn new(address: ServerAddress, settings: Arc<Settings>) -> Self {
        Self(Arc::new(Inner { address, settings, idle: Mutex::default() }))
    }

    /// Where it is.
    pub(super) fn address(&self) -> &ServerAddress {
        &self.0.address
    }

    /// The container of the zones, where it is configured.
    pub(super) fn base(&self) -> Option<&str> {
        self.0.settings.base.as_deref()
    }

    /// A connection that works, the idle one if it still does, and what the server tells about itself just now.
    pub(super) async fn open(&self) -> Result<(Reader, Root), LdapFault> {
        if let Some(connection) = self.take_idle() {
            let mut reader = Reader(connection);
            match reader.root().await {
                Ok(root) => return Ok((reader, root)),
                // The server may have closed it meanwhile, or have been started anew.
                Err(fault) if fault.is_transport() => {}
                Err(fault) => return Err(fault),
            }
        }
        let Settings { initiator, realm, timeout, .. } = self.0.settings.as_ref();
        let mut reader = Reader(Connection::bound(&self.0.address, initiator, realm, *timeout).await?);
        let root = reader.root().await?;
        tracing::info!(server = %self.0.address, "bound to the directory");
        Ok((reader, root))
    }

    /// Keeps a connection for the next reader; one that failed is not to be put back.
    pub(super) fn put_back(&self, Reader(connection): Reader) {
        let mut idle = self.idle();
        if idle.len() < MOST_CONNECTIONS {
            idle.push((connection, Instant::now()));
        }
    }

    fn take_idle(&self) -> Option<Connection> {
        loop {
            let (mut connection, since) = self.idle().pop()?;
            if since.elapsed() < MOST_IDLE && connection.remaining() > LEAST_LIFE && connection.is_quiet() {
                return Some(connection);
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Connection, Instant)>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the connections.
    pub(super) async fn close(&self) {
        let idle = std::mem::take(&mut *self.idle());
        let closing = idle.into_iter().map(|(connection, _)| connection.close());
        let _ = timeout(MOST_FAREWELL, join_all(closing)).await;
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.0.address)
    }
}

/// A connection in the hands of its reader.
pub(super) struct Reader(Connection);

impl Reader {
    async fn root(&mut self) -> Result<Root, LdapFault> {
        const ATTRIBUTES: &[&str] = &[
            "defaultNamingContext",
            "rootDomainNamingContext",
            "namingContexts",
            "dsServiceName",
            "highestCommittedUSN",
        ];
        let entry = self.entry(String::new(), ATTRIBUTES).await?.unwrap_or_default();
        let text = |name| entry.text(name).map(str::to_owned);
        let contexts = entry.values("namingContexts").iter();
        Ok(Root {
            domain: text("defaultNamingContext"),
            root_domain: text("rootDomainNamingContext"),
            contexts: contexts.map(|value| String::from_utf8_lossy(value).into_owned()).collect(),
            service: text("dsServiceName"),
            last_change: entry.text("highestCommittedUSN").and_then(|text| text.parse().ok()),
        })
    }

    /// The entry with this DN, if there is one that the account may see.
    pub(super) async fn entry(
        &mut self,
        dn: String,
        attributes: &'static [&'static str],
    ) -> Result<Option<Entry>, LdapFault> {
        let search = Search { base: dn, scope: Scope::Base, filter: Filter::Present("objectClass"), attributes };
        let mut found = None;
        let searched = self.search(&search, |entry| {
            found = Some(entry);
            Ok(())
        });
        match searched.await {
            Ok(()) => Ok(found),
            Err(fault) if fault.is_no_such_object() => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Gives every entry that a search finds, page by page.
    pub(super) async fn search(
        &mut self,
        search: &Search,
        each: impl FnMut(Entry) -> Result<(), LdapFault>,
    ) -> Result<(), LdapFault> {
        let before = self.0.received();
        let span =
            info_span!("search", base = search.base, received_bytes = Empty, error = Empty, otel.status_code = Empty);
        let within = Instant::now() + MOST_TIME;
        let searching = timeout_at(within, self.pages(search, each).instrument(span.clone()));
        let outcome = searching.await.unwrap_or(Err(LdapFault::TooLong(MOST_TIME)));
        span.record("received_bytes", self.0.received() - before);
        if let Err(fault) = &outcome {
            span.record("error", fault as &dyn Error).record("otel.status_code", "ERROR");
        }
        outcome
    }

    async fn pages(
        &mut self,
        search: &Search,
        mut each: impl FnMut(Entry) -> Result<(), LdapFault>,
    ) -> Result<(), LdapFault> {
        let before = self.0.received();
        // The root is no place to page, and an entry is no page.
        let is_paged = search.scope == Scope::OneLevel;
        let mut cookie = Vec::new();
        loop {
            let id = self.0.next_id();
            let page = is_paged.then_some(Page { size: PAGE_ENTRIES, cookie: &cookie });
            self.0.send(&search.request(id, page)).await?;
            let mut count = 0;
            let next = loop {
                match self.0.receive(id).await? {
                    Answer::Entry(entry) => each(entry)?,
                    // What lies in other domains is no zone of this one.
                    Answer::Reference => {}
                    Answer::Done { outcome: LdapResult { code: code::SUCCESS, .. }, cookie } => {
                        break cookie.unwrap_or_default();
                    }
                    Answer::Done { outcome, .. } => {
                        return Err(LdapFault::Search { base: search.base.clone(), outcome });
                    }
                    Answer::Bind { .. } | Answer::Disconnection(_) | Answer::Other(_) => {
                        return Err(LdapFault::WrongAnswer);
                    }
                }
                count += 1;
                if self.0.received() - before > MOST_OCTETS {
                    return Err(LdapFault::TooMuch(MOST_OCTETS));
                }
            };
            if next.is_empty() {
                return Ok(());
            }
            // Samba tells the same place every time, and goes on from where it was.
            if count == 0 && next == cookie {
                return Err(LdapFault::EndlessPages);
            }
            cookie = next;
        }
    }
}
