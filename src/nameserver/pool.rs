//! Several servers for the same zones: which one a reconcile uses, and what happens when it fails.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::discovery::{DiscoveryError, Resolver};
use super::error::ServerError;
use super::server::Server;
use super::session::Settings;
use crate::dns::{ServerAddress, ServerSource};

/// Time after which a failed server is asked whether it is back.
const RECHECK: Duration = if cfg!(test) { Duration::from_millis(100) } else { Duration::from_secs(10) };
/// Time after which SRV records are looked up again.
const REDISCOVERY: Duration = if cfg!(test) { Duration::from_millis(200) } else { Duration::from_secs(300) };

/// Which server a reconcile goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// The first that works, in the order of the configuration.
    #[default]
    Sticky,
    /// Each reconcile the next one.
    RoundRobin,
    /// Each reconcile any.
    Random,
}

/// What a pool is made of.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// Servers, in order of preference.
    pub sources: Vec<ServerSource>,
    /// Which of them a reconcile goes to.
    pub strategy: Strategy,
    /// Port of servers that are discovered.
    pub port: u16,
    /// What all servers have in common.
    pub session: Arc<Settings>,
}

/// All servers. Clones share them.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

/// The server of one request, which moves to another when that one fails; for all that the request has in flight.
#[derive(Debug)]
pub struct Pin {
    pool: Pool,
    /// Whether it only looks, so that no other request moves with it.
    only_looks: bool,
    course: Mutex<Course>,
}

#[derive(Debug)]
struct Course {
    server: Server,
    /// Servers that have failed in this request.
    tried: Vec<ServerAddress>,
}

/// What is known of a server.
#[derive(Debug, Clone)]
pub struct ServerStatus {
    /// The server.
    pub address: ServerAddress,
    /// Whether the last reconcile used it.
    pub in_use: bool,
    /// Whether it is left alone until it answers again.
    pub failed: bool,
    /// Its last failure, until a request succeeds.
    pub last_error: Option<LastError>,
    /// Time that its security context has left.
    pub context_remaining: Option<Duration>,
    /// Security contexts negotiated so far.
    pub negotiations: u64,
    /// Negotiations that failed so far.
    pub failed_negotiations: u64,
    /// Its clock minus ours in seconds, where a signed answer told it.
    pub clock_skew: Option<i64>,
}

/// Why a server was left, or would be if there were another.
#[derive(Debug, Clone)]
pub enum LastError {
    /// A transport failure of its own.
    Server(ServerError),
    /// Something else on its host has failed, told by who uses it.
    Host(String),
}

struct Inner {
    settings: PoolSettings,
    /// Instead of the system's resolvers, in tests.
    resolver: Option<Resolver>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    members: Vec<Member>,
    current: Option<ServerAddress>,
    turn: usize,
    discovered: Option<Instant>,
}

struct Member {
    server: Server,
    failed: bool,
    last_error: Option<LastError>,
}

impl Pool {
    /// A pool of these servers; nothing is sent yet.
    #[must_use]
    pub fn new(settings: PoolSettings) -> Self {
        Self::with_resolver(settings, None)
    }

    pub(super) fn with_resolver(settings: PoolSettings, resolver: Option<Resolver>) -> Self {
        let pool = Self(Arc::new(Inner { settings, resolver, state: Mutex::default() }));
        let fixed = pool.0.settings.sources.iter().filter_map(|source| match source {
            ServerSource::Server(address) => Some(address.clone()),
            ServerSource::Srv(_) => None,
        });
        pool.0.replace_members(fixed.collect());
        pool
    }

    /// Starts a reconcile: the strategy picks its server, which [`Pool::pin`] then gives again.
    ///
    /// # Errors
    /// When no server is known because none was discovered.
    pub async fn advance(&self) -> Result<Pin, DiscoveryError> {
        self.0.discover().await?;
        let server = self.0.lock().advance(self.0.settings.strategy);
        self.pinned(server, false)
    }

    /// The server of this reconcile: the one used last, or the next best where that has failed.
    ///
    /// # Errors
    /// When no server is known because none was discovered.
    pub async fn pin(&self) -> Result<Pin, DiscoveryError> {
        self.0.discover().await?;
        let server = self.0.lock().current();
        self.pinned(server, false)
    }

    /// The server that [`pin`](Self::pin) would give, for who only looks: a reconcile under way stays where it is,
    /// whatever is found there.
    ///
    /// # Errors
    /// When no server is known because none was discovered.
    pub async fn look(&self) -> Result<Pin, DiscoveryError> {
        self.0.discover().await?;
        let server = self.0.lock().would_be_current();
        self.pinned(server, true)
    }

    fn pinned(&self, server: Option<Server>, only_looks: bool) -> Result<Pin, DiscoveryError> {
        let server = server.ok_or_else(|| DiscoveryError::NoServers(String::new()))?;
        Ok(Pin { pool: self.clone(), only_looks, course: Mutex::new(Course { server, tried: Vec::new() }) })
    }

    /// What is known of each server.
    #[must_use]
    pub fn status(&self) -> Vec<ServerStatus> {
        let state = self.0.lock();
        state.members.iter().map(|member| member.status(state.current.as_ref())).collect()
    }

    /// All servers, in order of preference.
    #[must_use]
    pub fn servers(&self) -> Vec<Server> {
        self.0.lock().members.iter().map(|member| member.server.clone()).collect()
    }

    /// Deletes the security contexts on all servers and closes the connections.
    pub async fn close(&self) {
        let mut closing = JoinSet::new();
        for server in self.servers() {
            closing.spawn(async move { server.close().await });
        }
        closing.join_all().await;
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({:?})", self.servers())
    }
}

impl Pin {
    /// The server to use now.
    #[must_use]
    pub fn server(&self) -> Server {
        self.course().server.clone()
    }

    /// Moves on to another server, if the one that failed was at fault and not what was asked of it, and another is left
    /// to try. Of several requests in flight there, the first to fail moves on, and the others follow.
    ///
    /// A server is used once in a request: one that has failed in it is not tried again. What was sent to it must be
    /// built and signed anew, and where [`ServerError::sent`] says that the outcome is unknown, be read back first.
    pub fn fail_over(&self, error: &ServerError) -> bool {
        error.is_transport() && self.leave(&error.server, error, LastError::Server(error.clone()))
    }

    /// Moves on from a server because something else on its host has failed, as `told` in its status.
    pub fn leave_for(&self, failed: &ServerAddress, error: &(dyn Error + 'static), told: String) -> bool {
        self.leave(failed, error, LastError::Host(told))
    }

    fn leave(&self, failed: &ServerAddress, why: &(dyn Error + 'static), error: LastError) -> bool {
        let mut course = self.course();
        if course.server.address() != failed {
            return true;
        }
        if self.only_looks {
            self.pool.0.lock().note(failed, error);
        } else {
            self.pool.0.failed(&course.server, error);
        }
        if !course.tried.contains(failed) {
            course.tried.push(failed.clone());
        }
        let mut state = self.pool.0.lock();
        let next = if self.only_looks { state.best(&course.tried) } else { state.choose(&course.tried) };
        drop(state);
        match next {
            Some(next) => {
                let what =
                    if self.only_looks { "looking at another name server" } else { "moving to another name server" };
                tracing::warn!(from = %failed, to = %next.address(), error = why, "{what}");
                course.server = next;
                true
            }
            None => false,
        }
    }

    /// Notes that a server works.
    pub fn succeeded(&self, server: &Server) {
        self.pool.0.recovered(server.address());
    }

    fn course(&self) -> MutexGuard<'_, Course> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Marks a server, unless it is the only one, and watches for its return.
    fn failed(self: &Arc<Self>, server: &Server, error: LastError) {
        let watch = {
            let mut state = self.lock();
            let alone = state.members.len() < 2;
            let Some(member) = state.note(server.address(), error) else { return };
            !alone && !std::mem::replace(&mut member.failed, !alone)
        };
        if watch {
            tokio::spawn(watch_for_return(Arc::downgrade(self), server.clone()));
        }
    }

    fn recovered(&self, address: &ServerAddress) {
        if let Some(member) = self.lock().members.iter_mut().find(|member| member.is(address)) {
            member.failed = false;
            member.last_error = None;
        }
    }

    /// Looks up SRV records where that is due: in the background while there are servers to use.
    async fn discover(self: &Arc<Self>) -> Result<(), DiscoveryError> {
        if !self.settings.sources.iter().any(|source| matches!(source, ServerSource::Srv(_))) {
            return Ok(());
        }
        let (empty, due) = {
            let mut state = self.lock();
            let due = state.discovered.is_none_or(|at| at.elapsed() >= REDISCOVERY);
            let empty = state.members.is_empty();
            if due && !empty {
                state.discovered = Some(Instant::now());
            }
            (empty, due)
        };
        if empty {
            return self.rediscover().await;
        }
        if due {
            let pool = self.clone();
            tokio::spawn(async move {
                if let Err(error) = pool.rediscover().await {
                    tracing::warn!(error = &error as &dyn Error, "domain controllers could not be looked up again");
                }
            });
        }
        Ok(())
    }

    async fn rediscover(&self) -> Result<(), DiscoveryError> {
        let timeout = self.settings.session.timeout;
        let resolver = match &self.resolver {
            Some(resolver) => resolver.clone(),
            None => Resolver::system(timeout).await?,
        };
        let mut addresses: Vec<ServerAddress> = Vec::new();
        for source in &self.settings.sources {
            let found = match source {
                ServerSource::Server(address) => vec![address.clone()],
                ServerSource::Srv(domain) => resolver.controllers(domain, self.settings.port).await?,
            };
            addresses.extend(found);
        }
        self.replace_members(addresses);
        self.lock().discovered = Some(Instant::now());
        Ok(())
    }

    /// Takes over this list; servers that are known already keep their connection, context and state.
    fn replace_members(&self, addresses: Vec<ServerAddress>) {
        let mut state = self.lock();
        let mut known = std::mem::take(&mut state.members);
        for address in addresses {
            if state.members.iter().any(|member| member.is(&address)) {
                continue;
            }
            let member = match known.iter().position(|member| member.is(&address)) {
                Some(at) => known.swap_remove(at),
                None => Member {
                    server: Server::new(address, self.settings.session.clone()),
                    failed: false,
                    last_error: None,
                },
            };
            state.members.push(member);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn advance(&mut self, strategy: Strategy) -> Option<Server> {
        let working: Vec<_> = self.members.iter().filter(|member| !member.failed).collect();
        let picked = match strategy {
            Strategy::Sticky => None,
            Strategy::RoundRobin => {
                self.turn = self.turn.wrapping_add(1);
                working.get(self.turn.wrapping_sub(1).checked_rem(working.len()).unwrap_or(0))
            }
            Strategy::Random => working.get(rand::random_range(0..working.len().max(1))),
        };
        match picked.map(|member| member.server.clone()) {
            Some(server) => {
                self.current = Some(server.address().clone());
                Some(server)
            }
            None => self.choose(&[]),
        }
    }

    fn current(&mut self) -> Option<Server> {
        let server = self.would_be_current()?;
        self.current = Some(server.address().clone());
        Some(server)
    }

    fn would_be_current(&self) -> Option<Server> {
        let wanted = self.current.as_ref();
        let current = self.members.iter().find(|member| !member.failed && Some(member.server.address()) == wanted);
        current.map(|member| member.server.clone()).or_else(|| self.best(&[]))
    }

    /// Has the best of those that were not tried used from now on.
    fn choose(&mut self, tried: &[ServerAddress]) -> Option<Server> {
        let server = self.best(tried)?;
        self.current = Some(server.address().clone());
        Some(server)
    }

    /// The first server that works and was not tried, else the first that was not tried.
    fn best(&self, tried: &[ServerAddress]) -> Option<Server> {
        let untried = || self.members.iter().filter(|member| !tried.contains(member.server.address()));
        let member = untried().find(|member| !member.failed).or_else(|| untried().next())?;
        Some(member.server.clone())
    }

    /// Notes how a server failed, which is told until it answers again.
    fn note(&mut self, address: &ServerAddress, error: LastError) -> Option<&mut Member> {
        let member = self.members.iter_mut().find(|member| member.is(address))?;
        member.last_error = Some(error);
        Some(member)
    }
}

impl Member {
    fn is(&self, address: &ServerAddress) -> bool {
        self.server.address() == address
    }

    fn status(&self, current: Option<&ServerAddress>) -> ServerStatus {
        ServerStatus {
            address: self.server.address().clone(),
            in_use: Some(self.server.address()) == current,
            failed: self.failed,
            last_error: self.last_error.clone(),
            context_remaining: self.server.context_remaining(),
            negotiations: self.server.negotiations(),
            failed_negotiations: self.server.failed_negotiations(),
            clock_skew: self.server.clock_skew(),
        }
    }
}

/// Asks a failed server from time to time until it answers, so that no request has to find out.
async fn watch_for_return(pool: Weak<Inner>, server: Server) {
    loop {
        sleep(RECHECK).await;
        let answers = server.probe().await.is_ok();
        let Some(pool) = pool.upgrade() else { return };
        if answers {
            tracing::info!(server = %server.address(), "the name server answers again");
            pool.recovered(server.address());
            return;
        }
    }
}
