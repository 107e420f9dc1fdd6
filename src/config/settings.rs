//! From variables to [`Config`].

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;

use super::reader::Reader;
use super::{
    Config, KeepAlive, LoadBalancing, Loaded, LogFormat, Problems, ReadMode, Tls, Traces, VariableError, Warning,
};
use super::{authentication, hosts, reading, value};
use crate::api::DomainFilter;
use crate::dns::{Name, ServerProfile, ServerSource, ZoneName, ZoneSet};
use crate::plan::{ProtectedName, Protection};

const ADDRESS: &str = "an address and a port such as 127.0.0.1:8888 or [::1]:8888";

/// Reads every setting before the first missing one ends it, so that all problems are told at once.
#[expect(clippy::too_many_lines, reason = "one line for each setting")]
pub(super) fn read(mut reader: Reader) -> Result<Loaded, Problems> {
    let r = &mut reader;
    let gss = r.flag("RFC2136_GSS_TSIG");
    let port = r.value("RFC2136_PORT", "a port such as 53", |text| text.parse().ok().filter(|&port: &u16| port != 0));
    let servers = servers(r, port.unwrap_or(53), gss.unwrap_or(false));
    let zones = zones(r);
    let authentication = authentication::read(r, gss.unwrap_or(false));
    let profiles = [
        ("auto", ServerProfile::Auto),
        ("bind", ServerProfile::Bind),
        ("samba", ServerProfile::Samba),
        ("windows", ServerProfile::Windows),
    ];
    let profile = r.value("RFC2136_SERVER_PROFILE", "auto, bind, samba or windows", |t| value::keyword(t, &profiles));
    let strategies = [
        ("disabled", LoadBalancing::Disabled),
        ("round-robin", LoadBalancing::RoundRobin),
        ("random", LoadBalancing::Random),
    ];
    let load_balancing = r.value("RFC2136_LOAD_BALANCING_STRATEGY", "disabled, round-robin or random", |text| {
        value::keyword(text, &strategies)
    });
    let read = reading::mode(r, gss.unwrap_or(false));
    let ldap = reading::ldap(r);
    let transfer_unsigned = r.flag("RFC2136_TRANSFER_UNSIGNED");
    let min_ttl = r.value("RFC2136_MIN_TTL", value::TTL, value::ttl);
    let default_ttl = r.value("RFC2136_DEFAULT_TTL", value::TTL, value::ttl);
    let batch_change_size = r.value("RFC2136_BATCH_CHANGE_SIZE", "a number above zero", |text| {
        text.parse().ok().filter(|&count: &usize| count > 0)
    });
    let prerequisites = r.flag("RFC2136_PREREQUISITES");
    let protected_names = protected_names(r);
    let allow_unowned = r.flag("RFC2136_ALLOW_UNOWNED");
    let max_deletes = r.value("RFC2136_MAX_DELETES", "a number; 0 is no limit", |text| text.parse::<usize>().ok());
    let timeout = r.value("RFC2136_TIMEOUT", value::DURATION, value::duration);
    let tls = tls(r);
    let dry_run = r.flag("RFC2136_DRY_RUN");
    let keep_alive = keep_alive(r, gss.unwrap_or(false), read, dry_run.unwrap_or(false));
    let domain_filter = domain_filter(r, zones.as_ref());
    let (webhook_listen, admin_listen) = (webhook_listen(r), admin_listen(r));
    let deadline = deadline(r, timeout);
    let max_body = r.value("WEBHOOK_MAX_BODY", value::SIZE, value::size);
    let log_level = r.value("LOG_LEVEL", "off, error, warn, info, debug, trace, or module=level", log_level);
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let log_format = r.value("LOG_FORMAT", "text or json", |text| value::keyword(text, &formats));
    let traces = traces(r);
    let build = || {
        Some(Config {
            webhook_listen: webhook_listen?,
            admin_listen: admin_listen?,
            servers: servers?,
            port: port?,
            zones: zones?,
            authentication: authentication?,
            read: read?,
            ldap: ldap?,
            transfer_unsigned: transfer_unsigned?,
            profile: profile?,
            min_ttl: min_ttl?,
            default_ttl: default_ttl?,
            batch_change_size: batch_change_size?,
            load_balancing: load_balancing?,
            prerequisites: prerequisites?,
            protected_names: protected_names?,
            allow_unowned: allow_unowned?,
            max_deletes: Some(max_deletes?).filter(|&limit| limit > 0),
            keep_alive: keep_alive?,
            timeout: timeout?,
            tls: tls?,
            dry_run: dry_run?,
            domain_filter: domain_filter?,
            deadline: deadline?,
            max_body: max_body?,
            log_level: log_level?,
            log_format: log_format?,
            traces: traces?,
        })
    };
    let config = build();
    let (config, mut warnings) = reader.finish(config)?;
    if config.tls.is_some() && config.servers.iter().any(|s| matches!(s, ServerSource::Server(a) if a.port == 53)) {
        warnings.push(Warning::TlsOnPlainPort);
    }
    Ok(Loaded { config, warnings })
}

fn traces(r: &mut Reader) -> Option<Option<Traces>> {
    const NAME: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    let is_wanted = r.is_given(NAME);
    let collector = "the URL of an OTLP collector such as http://collector.example.com:4317";
    let endpoint = r.value(NAME, collector, |text| if is_wanted { url(text).map(Some) } else { Some(None) });
    let is_grpc = |text: &str| (!is_wanted || text == "grpc").then_some(());
    let protocol = r.value("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc, and the port for it (4317 as a rule)", is_grpc);
    let certificate = r.given("OTEL_EXPORTER_OTLP_CERTIFICATE").map(PathBuf::from);
    let (endpoint, ()) = (endpoint?, protocol?);
    Some(endpoint.map(|endpoint| Traces { endpoint, certificate }))
}

/// With an account in it, it is refused: nothing would use that.
fn url(text: &str) -> Option<Uri> {
    let url: Uri = text.parse().ok()?;
    let authority = url.authority().filter(|authority| !authority.host().is_empty())?;
    let is_taken = matches!(url.scheme_str(), Some("http" | "https")) && !authority.as_str().contains('@');
    is_taken.then_some(url)
}

fn servers(reader: &mut Reader, port: u16, gss: bool) -> Option<Vec<ServerSource>> {
    const NAME: &str = "RFC2136_HOST";
    let text = reader.text(NAME).unwrap_or_default();
    let entries: Vec<_> = value::items(&text).map(|entry| (entry, hosts::server(entry, port, gss))).collect();
    if entries.is_empty() {
        reader.problem(NAME, VariableError::Missing { example: "the name server, such as dc1.example.com" });
    }
    let mut servers = Vec::new();
    for (entry, server) in entries {
        match server {
            Ok(server) => servers.push(server),
            Err(reason) => reader.problem(NAME, VariableError::Host { found: entry.to_owned(), reason }),
        }
    }
    (!servers.is_empty()).then_some(servers)
}

fn zones(reader: &mut Reader) -> Option<ZoneSet> {
    const NAME: &str = "RFC2136_ZONE";
    let text = reader.text(NAME).unwrap_or_default();
    let mut zones = Vec::new();
    let mut is_empty = true;
    for entry in value::items(&text) {
        is_empty = false;
        match Name::from_unicode(entry) {
            Ok(name) if !name.is_root() && name.to_undotted().bytes().all(|octet| octet.is_ascii_graphic()) => {
                zones.push(ZoneName::from(name));
            }
            Ok(_) => {
                let expected = "a zone such as example.com";
                reader.problem(NAME, VariableError::Malformed { found: entry.to_owned(), expected });
            }
            Err(reason) => reader.problem(NAME, VariableError::BadName { found: entry.to_owned(), reason }),
        }
    }
    if is_empty {
        reader.problem(NAME, VariableError::Missing { example: "the zones, such as example.com" });
    }
    ZoneSet::new(zones)
}

/// Needs to know what stands in DNS, and for `auto` how old it is.
fn keep_alive(reader: &mut Reader, gss: bool, read: Option<ReadMode>, dry_run: bool) -> Option<KeepAlive> {
    const NAME: &str = "RFC2136_KEEP_ALIVE";
    let modes = [KeepAlive::Off, KeepAlive::Auto, KeepAlive::On].map(|mode| (mode.label(), mode));
    let mode = reader.value(NAME, "off, auto or on", |text| value::keyword(text, &modes))?;
    match (mode, read) {
        (KeepAlive::Off, _) => {}
        (_, Some(ReadMode::None)) => reader.problem(NAME, VariableError::KeepAliveUnread),
        _ if dry_run => reader.no_effect(&[NAME], "RFC2136_DRY_RUN=false"),
        (KeepAlive::Auto, _) if !gss => reader.no_effect(&[NAME], "RFC2136_GSS_TSIG"),
        (KeepAlive::Auto, Some(ReadMode::Transfer)) => reader.no_effect(&[NAME], "RFC2136_READ=auto or ldap"),
        _ => {}
    }
    Some(mode)
}

fn protected_names(reader: &mut Reader) -> Option<Vec<ProtectedName>> {
    const NAME: &str = "RFC2136_PROTECTED_NAMES";
    let text = reader.text(NAME).unwrap_or_default();
    let mut names = Vec::new();
    for entry in value::items(&text) {
        let (effect, name) = match (entry.strip_prefix('-'), entry.strip_prefix('.')) {
            (Some(name), _) => (Protection::Lift, name.strip_prefix('.').unwrap_or(name)),
            (None, Some(name)) => (Protection::Subtree, name),
            (None, None) => (Protection::Exact, entry),
        };
        match Name::from_unicode(name) {
            Ok(_) if name.is_ascii() => names.push(ProtectedName { name: name.to_owned(), effect }),
            Ok(name) => names.push(ProtectedName { name: name.to_undotted(), effect }),
            Err(reason) => reader.problem(NAME, VariableError::BadName { found: entry.to_owned(), reason }),
        }
    }
    Some(names)
}

fn tls(reader: &mut Reader) -> Option<Option<Tls>> {
    const CERT: &str = "RFC2136_TLS_CLIENT_CERT";
    const KEY: &str = "RFC2136_TLS_CLIENT_CERT_KEY";
    let wanted = reader.flag("RFC2136_USE_TLS");
    let skip_verify = reader.flag("RFC2136_SKIP_TLS_VERIFY");
    if wanted == Some(false) {
        reader.no_effect(&["RFC2136_SKIP_TLS_VERIFY", "RFC2136_TLS_CA", CERT, KEY], "RFC2136_USE_TLS");
    }
    let client = match (reader.text(CERT), reader.text(KEY)) {
        (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
        (None, None) => None,
        (Some(_), None) => {
            reader.problem(CERT, VariableError::Without(KEY));
            None
        }
        (None, Some(_)) => {
            reader.problem(KEY, VariableError::Without(CERT));
            None
        }
    };
    let tls = Tls { skip_verify: skip_verify?, ca: reader.text("RFC2136_TLS_CA").map(Into::into), client };
    Some(wanted?.then_some(tls))
}

fn domain_filter(reader: &mut Reader, zones: Option<&ZoneSet>) -> Option<DomainFilter> {
    let list = |reader: &Reader, name| {
        let text = reader.text(name).unwrap_or_default();
        let domain = |item: &str| match Name::from_unicode(item) {
            // ExternalDNS compares A-labels.
            Ok(name) if !item.is_ascii() => name.to_undotted(),
            _ => item.trim_end_matches('.').to_ascii_lowercase(),
        };
        value::items(&text).map(domain).collect::<Vec<_>>()
    };
    let mut filter = DomainFilter {
        include: list(reader, "DOMAIN_FILTER"),
        exclude: list(reader, "EXCLUDE_DOMAINS"),
        regex_include: reader.text("REGEX_DOMAIN_FILTER").unwrap_or_default(),
        regex_exclude: reader.text("REGEX_DOMAIN_EXCLUSION").unwrap_or_default(),
    };
    if filter.regex_include.is_empty() && filter.regex_exclude.is_empty() {
        if filter.include.is_empty() {
            filter.include = zones?.iter().map(ToString::to_string).collect();
        }
    } else if !filter.include.is_empty() || !filter.exclude.is_empty() {
        let names = ["DOMAIN_FILTER", "EXCLUDE_DOMAINS", "REGEX_DOMAIN_FILTER", "REGEX_DOMAIN_EXCLUSION"];
        let given: Vec<_> = names.into_iter().filter(|name| reader.is_given(name)).collect();
        reader.problem("REGEX_DOMAIN_FILTER", VariableError::Exclusive(given));
    }
    Some(filter)
}

fn webhook_listen(reader: &mut Reader) -> Option<SocketAddr> {
    let address = reader.value("WEBHOOK_LISTEN", ADDRESS, |text| text.parse::<SocketAddr>().ok());
    let remote = reader.flag("WEBHOOK_ALLOW_REMOTE")?;
    let address = address?;
    if !remote && !address.ip().to_canonical().is_loopback() {
        reader.problem("WEBHOOK_LISTEN", VariableError::NotLoopback(address));
    }
    Some(address)
}

fn admin_listen(reader: &mut Reader) -> Option<Option<SocketAddr>> {
    const NAME: &str = "WEBHOOK_ADMIN_LISTEN";
    if reader.text(NAME).is_none() {
        return Some(None);
    }
    reader.value(NAME, ADDRESS, |text| text.parse().ok()).map(Some)
}

fn deadline(reader: &mut Reader, timeout: Option<Duration>) -> Option<Duration> {
    let deadline = reader.value("WEBHOOK_DEADLINE", value::DURATION, value::duration)?;
    if let Some(timeout) = timeout.filter(|timeout| deadline <= *timeout) {
        reader.problem("WEBHOOK_DEADLINE", VariableError::DeadlineTooShort { deadline, timeout });
    }
    if deadline >= Duration::from_secs(15) {
        reader.warnings.push(Warning::DeadlineLong(deadline));
    }
    Some(deadline)
}

/// A lone word must be a level: as a directive it would name a module, and silence everything else.
fn log_level(text: &str) -> Option<String> {
    let is_level = |word: &str| word.parse::<tracing_subscriber::filter::LevelFilter>().is_ok();
    let is_directives = text.contains('=') && tracing_subscriber::EnvFilter::try_new(text).is_ok();
    (is_level(text) || is_directives).then(|| text.to_owned())
}
