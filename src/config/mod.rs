//! Settings: read once from the environment, checked as a whole, frozen afterwards.
//!
//! [`table`] names every variable once; what `--help`, `deploy/configuration.md` and the check of unknown names say comes from there.
//! Values reach their parsers as the text they were given, secrets by a way of their own.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;

use crate::api::DomainFilter;
use crate::dns::tsig::{HmacAlgorithm, HmacKey};
use crate::dns::{Name, ServerAddress, ServerProfile, ServerSource, Ttl, ZoneSet};
use crate::kerberos::{CredentialSource, Principal, Realm};
use crate::plan::ProtectedName;

mod authentication;
mod effective;
mod files;
mod hosts;
mod problem;
mod reader;
mod reading;
mod settings;
pub mod table;
mod value;

pub use files::Krb5Files;
pub use problem::{Problem, Problems, VariableError, Warning};

/// A valid configuration, and what deserves a line in the log.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// What was rewritten, ignored, or will bite.
    pub warnings: Vec<Warning>,
}

impl Config {
    /// Reads the settings from the process's environment.
    ///
    /// # Errors
    /// With every problem there is, each naming its variable and the remedy.
    pub fn from_environment() -> Result<Loaded, Problems> {
        Self::from_variables(std::env::vars_os())
    }

    /// Reads the settings from variables, each a name and a value.
    ///
    /// # Errors
    /// With every problem there is, each naming its variable and the remedy.
    pub fn from_variables<N, V>(variables: impl IntoIterator<Item = (N, V)>) -> Result<Loaded, Problems>
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        settings::read(reader::Reader::new(variables.into_iter().map(|(name, value)| (name.into(), value.into()))))
    }
}

/// Every setting, valid and complete.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the webhook listens.
    pub webhook_listen: SocketAddr,
    /// Where the admin port listens; none takes both families, or IPv4 alone where there is no IPv6.
    pub admin_listen: Option<SocketAddr>,
    /// Name servers, in order of preference; at least one.
    pub servers: Vec<ServerSource>,
    /// Port of servers given without one, and of those found by SRV.
    pub port: u16,
    /// The zones.
    pub zones: ZoneSet,
    /// How messages are authenticated.
    pub authentication: Authentication,
    /// How zones are read.
    pub read: ReadMode,
    /// Where the directory is, for reading over LDAP.
    pub ldap: Ldap,
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
    /// Whether records are refreshed where a directory ages them.
    pub keep_alive: KeepAlive,
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
    /// Where traces go, if anywhere.
    pub traces: Option<Traces>,
}

/// Traces over OTLP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces {
    /// The collector, as `http` or `https` URL.
    pub endpoint: Uri,
    /// PEM file of certification authorities instead of the system's.
    pub certificate: Option<PathBuf>,
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
    /// The only realm there is.
    pub realm: Realm,
    /// The client, of this realm; none takes whoever a credential cache belongs to.
    pub principal: Option<Principal>,
    /// Where its credential comes from.
    pub source: CredentialSource,
    /// Where the Kerberos library reads its configuration.
    pub krb5_conf: Krb5Conf,
}

/// Where the Kerberos library reads its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Krb5Conf {
    /// The user's own `KRB5_CONFIG`, left as it is.
    Own(Krb5Files),
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
    /// Algorithm and secret.
    pub key: HmacKey,
    /// The algorithm alone, for display.
    pub algorithm: HmacAlgorithm,
}

/// How zones are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadMode {
    /// Transfer; with Kerberos, LDAP where that is refused or empty.
    #[default]
    Auto,
    /// AXFR.
    Transfer,
    /// LDAP.
    Ldap,
    /// Not at all; for `--registry=crd`.
    None,
}

/// Whether records are refreshed where a directory ages them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeepAlive {
    /// Not at all.
    #[default]
    Off,
    /// Where the directory shows that they age.
    Auto,
    /// There by its time stamps, and everywhere else daily.
    On,
}

impl KeepAlive {
    /// The value that sets it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Auto => "auto",
            Self::On => "on",
        }
    }
}

/// Where the directory is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ldap {
    /// The one directory server; none is each name server itself.
    pub host: Option<ServerAddress>,
    /// Its port, where it is the name server itself.
    pub port: u16,
    /// The entry below which the zones are; none is looked for.
    pub base: Option<String>,
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

#[cfg(test)]
mod tests;
