//! Settings: read once from the environment, checked as a whole, frozen afterwards.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use crate::api::DomainFilter;
pub use crate::dns::tsig::HmacAlgorithm;
use crate::dns::{Name, ServerProfile, ServerSource, Ttl, ZoneSet};
use crate::kerberos::{CredentialSource, Principal, Realm};

/// Every setting, valid and complete.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the webhook listens.
    pub webhook_listen: SocketAddr,
    /// Where the admin port listens; none takes both families, or IPv4 alone where there is no IPv6.
    pub admin_listen: Option<SocketAddr>,
    /// Name servers, in order of preference; at least one.
    pub servers: Vec<ServerSource>,
    /// The zones.
    pub zones: ZoneSet,
    /// How messages are authenticated.
    pub authentication: Authentication,
    /// How zones are read.
    pub read: ReadMode,
    /// Whether transfers go unsigned.
    pub transfer_unsigned: bool,
    /// What kind of servers these are.
    pub profile: ServerProfile,
    /// Floor under every TTL.
    pub min_ttl: Ttl,
    /// For creates without a TTL.
    pub default_ttl: Ttl,
    /// Endpoints per UPDATE message at most.
    pub batch_change_size: usize,
    /// Which server a reconcile goes to.
    pub load_balancing: LoadBalancing,
    /// Whether updates carry prerequisites.
    pub prerequisites: bool,
    /// Names added to or lifted from the protected ones.
    pub protected_names: Vec<ProtectedName>,
    /// Whether updates and deletes need no ownership label.
    pub allow_unowned: bool,
    /// RRsets deleted without replacement in one apply at most; none is no limit.
    pub max_deletes: Option<usize>,
    /// One exchange with a server.
    pub timeout: Duration,
    /// DNS over TLS, where wanted.
    pub tls: Option<Tls>,
    /// Print what would be sent instead of sending it.
    pub dry_run: bool,
    /// What `GET /` announces.
    pub domain_filter: DomainFilter,
    /// Every webhook request is answered within this time.
    pub deadline: Duration,
    /// Largest request body in octets.
    pub max_body: usize,
    /// Level or filter directives for tracing.
    pub log_level: String,
    /// Text or JSON.
    pub log_format: LogFormat,
}

/// How messages are authenticated.
#[derive(Debug, Clone)]
pub enum Authentication {
    /// GSS-TSIG (RFC 3645).
    Gss(Kerberos),
    /// A shared key (RFC 8945).
    Tsig(TsigKey),
    /// Neither signed nor verified.
    Insecure,
}

/// Everything that GSS-TSIG needs.
#[derive(Debug, Clone)]
pub struct Kerberos {
    /// The client; its realm is the only realm there is.
    pub principal: Principal,
    /// Where its credential comes from.
    pub source: CredentialSource,
    /// Where the Kerberos library reads its configuration.
    pub krb5_conf: Krb5Conf,
}

impl Kerberos {
    /// The configured realm.
    #[must_use]
    pub fn realm(&self) -> &Realm {
        self.principal.realm()
    }
}

/// Where the Kerberos library reads its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Krb5Conf {
    /// The user's own `KRB5_CONFIG`, left as it is.
    Own(PathBuf),
    /// Generated; an empty list means DNS SRV.
    Generated {
        /// `host[:port]` of each KDC.
        kdcs: Vec<String>,
    },
}

/// A shared TSIG key.
#[derive(Debug, Clone)]
pub struct TsigKey {
    /// Key name.
    pub name: Name,
    /// MAC algorithm.
    pub algorithm: HmacAlgorithm,
    /// The secret, base64 as given.
    pub secret: SecretString,
}

/// How zones are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadMode {
    /// Transfer; LDAP where that is refused, once LDAP is built.
    #[default]
    Auto,
    /// AXFR.
    Transfer,
    /// Not at all; for `--registry=crd`.
    None,
}

/// Which server a reconcile goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoadBalancing {
    /// Sticky; fails over.
    #[default]
    Disabled,
    /// Each reconcile the next one.
    RoundRobin,
    /// Each reconcile any.
    Random,
}

/// An entry of `RFC2136_PROTECTED_NAMES`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectedName {
    /// The name as given: relative to each zone, or absolute when it lies in one.
    pub name: String,
    /// What the entry does.
    pub effect: Protection,
}

/// What an entry of `RFC2136_PROTECTED_NAMES` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// `name`: protects the name.
    Exact,
    /// `.name`: protects the name and all below it.
    Subtree,
    /// `-name`: lifts a protection.
    Lift,
}

/// DNS over TLS (RFC 7858).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Accepts any certificate.
    pub skip_verify: bool,
    /// PEM file of certification authorities; the system's where none is given.
    pub ca: Option<PathBuf>,
    /// PEM files of a client certificate and its key.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines.
    Json,
}
