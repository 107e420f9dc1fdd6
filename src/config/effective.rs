//! The effective configuration as text, secrets left out.

use std::fmt;

use super::{Authentication, Config, Krb5Conf, LoadBalancing, LogFormat, ReadMode, value};
use crate::dns::{ServerProfile, ServerSource};
use crate::kerberos::CredentialSource;
use crate::plan::{ProtectedName, Protection};

const REDACTED: &str = "[redacted]";

/// `NAME=value` lines, as the settings were understood.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, text) in self
            .lines()
            .into_iter()
            .chain(self.authentication_lines())
            .chain(self.tls_lines())
            .chain(self.trace_lines())
        {
            writeln!(f, "{name}={text}")?;
        }
        Ok(())
    }
}

type Lines = Vec<(&'static str, String)>;

impl Config {
    fn lines(&self) -> Lines {
        let filter = &self.domain_filter;
        vec![
            ("RFC2136_HOST", join(&self.servers, server)),
            ("RFC2136_PORT", self.port.to_string()),
            ("RFC2136_ZONE", join(self.zones.iter(), ToString::to_string)),
            ("RFC2136_SERVER_PROFILE", profile(self.profile).to_owned()),
            ("RFC2136_LOAD_BALANCING_STRATEGY", strategy(self.load_balancing).to_owned()),
            ("RFC2136_TIMEOUT", value::show(self.timeout)),
            ("RFC2136_READ", read_mode(self.read).to_owned()),
            ("RFC2136_LDAP_HOST", self.ldap.host.as_ref().map(ToString::to_string).unwrap_or_default()),
            ("RFC2136_LDAP_PORT", self.ldap.port.to_string()),
            ("RFC2136_LDAP_BASE", self.ldap.base.clone().unwrap_or_default()),
            ("RFC2136_TRANSFER_UNSIGNED", self.transfer_unsigned.to_string()),
            ("RFC2136_MIN_TTL", format!("{}s", self.min_ttl.as_secs())),
            ("RFC2136_DEFAULT_TTL", format!("{}s", self.default_ttl.as_secs())),
            ("RFC2136_BATCH_CHANGE_SIZE", self.batch_change_size.to_string()),
            ("RFC2136_PREREQUISITES", self.prerequisites.to_string()),
            ("RFC2136_PROTECTED_NAMES", join(&self.protected_names, protected)),
            ("RFC2136_ALLOW_UNOWNED", self.allow_unowned.to_string()),
            ("RFC2136_MAX_DELETES", self.max_deletes.unwrap_or(0).to_string()),
            ("RFC2136_KEEP_ALIVE", self.keep_alive.label().to_owned()),
            ("RFC2136_DRY_RUN", self.dry_run.to_string()),
            ("WEBHOOK_LISTEN", self.webhook_listen.to_string()),
            ("WEBHOOK_ADMIN_LISTEN", self.admin_listen.map_or_else(|| "[::]:8080".to_owned(), |a| a.to_string())),
            ("WEBHOOK_DEADLINE", value::show(self.deadline)),
            ("WEBHOOK_MAX_BODY", self.max_body.to_string()),
            ("DOMAIN_FILTER", filter.include.join(",")),
            ("EXCLUDE_DOMAINS", filter.exclude.join(",")),
            ("REGEX_DOMAIN_FILTER", filter.regex_include.clone()),
            ("REGEX_DOMAIN_EXCLUSION", filter.regex_exclude.clone()),
            ("LOG_LEVEL", self.log_level.clone()),
            ("LOG_FORMAT", if self.log_format == LogFormat::Json { "json" } else { "text" }.to_owned()),
        ]
    }

    fn trace_lines(&self) -> Lines {
        let Some(traces) = &self.traces else { return Vec::new() };
        let certificate = traces.certificate.as_ref().map(|path| path.display().to_string());
        let certificate = certificate.map(|path| ("OTEL_EXPORTER_OTLP_CERTIFICATE", path));
        std::iter::once(("OTEL_EXPORTER_OTLP_ENDPOINT", traces.endpoint.to_string())).chain(certificate).collect()
    }

    fn authentication_lines(&self) -> Lines {
        match &self.authentication {
            Authentication::Insecure => vec![("RFC2136_INSECURE", "true".to_owned())],
            Authentication::Tsig(key) => vec![
                ("RFC2136_TSIG_KEYNAME", key.name.to_string()),
                ("RFC2136_TSIG_SECRET_ALG", key.algorithm.to_string()),
                ("RFC2136_TSIG_SECRET", REDACTED.to_owned()),
            ],
            Authentication::Gss(kerberos) => vec![
                ("RFC2136_GSS_TSIG", "true".to_owned()),
                ("RFC2136_KERBEROS_REALM", kerberos.realm.to_string()),
                ("RFC2136_KERBEROS_USERNAME", kerberos.principal.as_ref().map(ToString::to_string).unwrap_or_default()),
                match &kerberos.source {
                    CredentialSource::Keytab(path) => ("RFC2136_KERBEROS_KEYTAB", path.display().to_string()),
                    CredentialSource::PasswordFile(path) => {
                        ("RFC2136_KERBEROS_PASSWORD_FILE", path.display().to_string())
                    }
                    CredentialSource::Password(_) => ("RFC2136_KERBEROS_PASSWORD", REDACTED.to_owned()),
                    CredentialSource::Ccache(path) => ("RFC2136_KERBEROS_CCACHE", path.display().to_string()),
                },
                match &kerberos.krb5_conf {
                    Krb5Conf::Own(files) => ("KRB5_CONFIG", files.to_string()),
                    Krb5Conf::Generated { kdcs } => ("RFC2136_KERBEROS_KDC", kdcs.join(",")),
                },
            ],
        }
    }

    fn tls_lines(&self) -> Lines {
        let Some(tls) = &self.tls else { return vec![("RFC2136_USE_TLS", "false".to_owned())] };
        let path = |path: Option<&std::path::PathBuf>| path.map(|p| p.display().to_string()).unwrap_or_default();
        vec![
            ("RFC2136_USE_TLS", "true".to_owned()),
            ("RFC2136_SKIP_TLS_VERIFY", tls.skip_verify.to_string()),
            ("RFC2136_TLS_CA", path(tls.ca.as_ref())),
            ("RFC2136_TLS_CLIENT_CERT", path(tls.client.as_ref().map(|(certificate, _)| certificate))),
            ("RFC2136_TLS_CLIENT_CERT_KEY", path(tls.client.as_ref().map(|(_, key)| key))),
        ]
    }
}

fn join<T>(items: impl IntoIterator<Item = T>, show: impl Fn(T) -> String) -> String {
    items.into_iter().map(show).collect::<Vec<_>>().join(",")
}

fn server(source: &ServerSource) -> String {
    match source {
        ServerSource::Server(address) => address.to_string(),
        ServerSource::Srv(domain) => format!("srv:{domain}"),
    }
}

fn protected(entry: &ProtectedName) -> String {
    let prefix = match entry.effect {
        Protection::Exact => "",
        Protection::Subtree => ".",
        Protection::Lift => "-",
    };
    format!("{prefix}{}", entry.name)
}

const fn profile(profile: ServerProfile) -> &'static str {
    match profile {
        ServerProfile::Auto => "auto",
        ServerProfile::Bind => "bind",
        ServerProfile::Samba => "samba",
        ServerProfile::Windows => "windows",
    }
}

const fn strategy(strategy: LoadBalancing) -> &'static str {
    match strategy {
        LoadBalancing::Disabled => "disabled",
        LoadBalancing::RoundRobin => "round-robin",
        LoadBalancing::Random => "random",
    }
}

const fn read_mode(mode: ReadMode) -> &'static str {
    match mode {
        ReadMode::Auto => "auto",
        ReadMode::Transfer => "transfer",
        ReadMode::Ldap => "ldap",
        ReadMode::None => "none",
    }
}
