//! Composition: from the configuration to a running sidecar, and its orderly end.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::config::{Authentication, Config, Kerberos, LoadBalancing, ReadMode};
use crate::gss::{Credential, Initiator, MitBackend};
use crate::ldap;
use crate::metrics::Metrics;
use crate::nameserver::{self, Pool, PoolSettings, Settings, Strategy, Tls, TlsError, TlsSettings};
use crate::plan::{Policy, Protected};
use crate::provider::{Provider as _, Servers, ServersSettings, Service, ServiceSettings};
use crate::server::{self, Health, Limits};
use crate::zone_copy::{DirectorySettings, Sources, Way};

/// How often readiness is looked at while all is well; it costs a SOA query per zone.
const WHILE_READY: Duration = Duration::from_secs(8);
/// And while something stands in the way, so that its end is noticed soon.
const WHILE_UNREADY: Duration = Duration::from_secs(3);
/// Port of the admin listener where none is given.
const ADMIN_PORT: u16 = 8080;
/// Longest wait for requests under way when shutting down: a message in flight and its answer.
const DRAIN: Duration = Duration::from_millis(2800);

/// Why the sidecar does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// An address is in use, or not this host's.
    #[error("{variable}: cannot listen on {address}; choose another address or port")]
    Listen {
        /// The variable that sets it.
        variable: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The files of DNS over TLS.
    #[error("RFC2136_TLS_*: {0}")]
    Tls(#[from] TlsError),
    /// The operating system.
    #[error("signals cannot be received")]
    Signals(#[source] io::Error),
    /// A defect of this build.
    #[error("the gRPC API cannot be served")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// Serves until SIGTERM or SIGINT; then finishes what is under way and says goodbye to the name servers.
///
/// # Errors
/// When it cannot start.
pub async fn serve(config: Config) -> Result<(), StartError> {
    // First of all: ExternalDNS gives up after a few seconds without a listener.
    let webhook = listen("webhook", "WEBHOOK_LISTEN", config.webhook_listen).await?;
    let admin = listen_admin(config.admin_listen).await?;
    let stop = stop_signal().map_err(StartError::Signals)?;

    let credential = match &config.authentication {
        Authentication::Gss(kerberos) => Some(self::credential(kerberos)),
        Authentication::Tsig(_) | Authentication::Insecure => None,
    };
    if let Some(credential) = &credential {
        tokio::spawn(credential.clone().keep_fresh());
    }
    let session = session_settings(&config, credential.as_ref())?;
    let sources = sources(&config, way(config.read), &session);
    let pool = Pool::new(pool_settings(&config, session));
    let metrics = Arc::new(Metrics::new());
    let how = ServersSettings { read: config.read, profile: config.profile, dry_run: config.dry_run };
    let servers = Servers::new(pool, sources, how, metrics.clone());
    let service = Arc::new(Service::new(service_settings(&config), servers, credential, metrics.clone(), stop.clone()));
    let health = Health::new().await;
    tokio::spawn(stop.clone().run_until_cancelled_owned(watch_readiness(service.clone(), health.clone())));

    let keeper = service.clone();
    tokio::spawn(async move { keeper.keep_alive().await });

    let limits = Limits { deadline: config.deadline, max_body: config.max_body };
    let webhook = server::serve(
        webhook,
        server::webhook(&service, &health, metrics.clone(), limits)?,
        stop.clone().cancelled_owned(),
    );
    let admin = server::serve(admin, server::admin(&service, &health, metrics), stop.clone().cancelled_owned());
    let serving = tokio::spawn(async { tokio::join!(webhook, admin) });
    stop.cancelled().await;
    tracing::info!("stopping: requests under way are finished");
    if timeout(DRAIN, serving).await.is_err() {
        tracing::warn!("some requests were still under way");
    }
    service.close().await;
    tracing::info!("stopped");
    Ok(())
}

async fn listen(what: &str, variable: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|source| StartError::Listen { variable, address, source })?;
    let address = listener.local_addr().unwrap_or(address);
    tracing::info!("{what} listens on {address}");
    Ok(listener)
}

/// Both families where none is asked for, or IPv4 alone where there is no IPv6.
async fn listen_admin(configured: Option<SocketAddr>) -> Result<TcpListener, StartError> {
    let listen = |address| listen("admin", "WEBHOOK_ADMIN_LISTEN", address);
    if let Some(address) = configured {
        return listen(address).await;
    }
    let both = SocketAddr::from((Ipv6Addr::UNSPECIFIED, ADMIN_PORT));
    match listen(both).await {
        Err(StartError::Listen { source, .. }) if source.kind() != io::ErrorKind::AddrInUse => {
            listen(SocketAddr::from((Ipv4Addr::UNSPECIFIED, ADMIN_PORT))).await
        }
        outcome => outcome,
    }
}

/// Cancelled by SIGTERM, as Kubernetes sends it, or SIGINT.
fn stop_signal() -> io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        token.cancel();
    });
    Ok(stop)
}

async fn watch_readiness(service: Arc<Service<Servers>>, health: Health) {
    loop {
        service.check_readiness().await;
        let is_ready = service.unready().is_empty();
        health.tell(is_ready).await;
        sleep(if is_ready { WHILE_READY } else { WHILE_UNREADY }).await;
    }
}

/// What this configuration says about planning.
#[must_use]
pub fn policy(config: &Config) -> Policy {
    Policy {
        zones: config.zones.clone(),
        profile: config.profile,
        min_ttl: config.min_ttl,
        default_ttl: config.default_ttl,
        protected: Protected::new(&config.protected_names, &config.zones),
        allow_unowned: config.allow_unowned,
        max_deletes: config.max_deletes,
        prerequisites: config.prerequisites,
        batch_change_size: config.batch_change_size,
    }
}

fn service_settings(config: &Config) -> ServiceSettings {
    ServiceSettings {
        policy: policy(config),
        domain_filter: config.domain_filter.clone(),
        read: config.read,
        deadline: config.deadline,
        dry_run: config.dry_run,
        keep_alive: config.keep_alive,
    }
}

/// The Kerberos credential of this configuration; nothing is asked of a KDC yet.
#[must_use]
pub fn credential(kerberos: &Kerberos) -> Arc<Credential> {
    let backend = Arc::new(MitBackend::new(kerberos.principal.clone(), kerberos.source.clone()));
    Arc::new(Credential::new(backend, kerberos.principal.clone(), &kerberos.source))
}

/// What all name servers have in common; `credential` is the one of [`credential`], where Kerberos is configured.
///
/// # Errors
/// When the files of DNS over TLS cannot be used.
pub fn session_settings(config: &Config, credential: Option<&Arc<Credential>>) -> Result<Settings, TlsError> {
    let authentication = match (&config.authentication, credential) {
        (Authentication::Gss(kerberos), Some(credential)) => {
            nameserver::Authentication::gss(Initiator::new(credential.clone()), kerberos.realm.clone())
        }
        (Authentication::Gss(kerberos), None) => {
            nameserver::Authentication::gss(Initiator::new(self::credential(kerberos)), kerberos.realm.clone())
        }
        (Authentication::Tsig(key), _) => {
            nameserver::Authentication::Hmac { name: key.name.clone(), key: key.key.clone() }
        }
        (Authentication::Insecure, _) => nameserver::Authentication::Insecure,
    };
    let tls = config.tls.as_ref().map(|tls| {
        Tls::load(&TlsSettings { skip_verify: tls.skip_verify, ca: tls.ca.clone(), client: tls.client.clone() })
    });
    Ok(Settings {
        timeout: config.timeout,
        authentication,
        tls: tls.transpose()?,
        sign_reads: !config.transfer_unsigned,
    })
}

/// Which ways of reading a mode allows.
#[must_use]
pub const fn way(read: ReadMode) -> Way {
    match read {
        ReadMode::Auto => Way::Either,
        ReadMode::Ldap => Way::Directory,
        ReadMode::Transfer | ReadMode::None => Way::Transfer,
    }
}

/// How zones are read from the servers of this configuration; over LDAP only with Kerberos, by the same calls to a KDC.
#[must_use]
pub fn sources(config: &Config, way: Way, session: &Settings) -> Sources {
    let directory = match &session.authentication {
        nameserver::Authentication::Gss(gss) => Some(DirectorySettings {
            ldap: ldap::Settings {
                initiator: gss.initiator().clone(),
                realm: gss.realm().clone(),
                timeout: config.timeout,
                base: config.ldap.base.clone(),
            },
            host: config.ldap.host.clone(),
            port: config.ldap.port,
        }),
        _ => None,
    };
    Sources::new(way, directory)
}

/// The servers of this configuration.
#[must_use]
pub fn pool_settings(config: &Config, session: Settings) -> PoolSettings {
    PoolSettings {
        sources: config.servers.clone(),
        strategy: match config.load_balancing {
            LoadBalancing::Disabled => Strategy::Sticky,
            LoadBalancing::RoundRobin => Strategy::RoundRobin,
            LoadBalancing::Random => Strategy::Random,
        },
        port: config.port,
        session: Arc::new(session),
    }
}
