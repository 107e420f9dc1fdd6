//! Every variable, declared once.

use std::fmt::Write;

/// What a variable is to the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An ordinary setting.
    Setting,
    /// Never shown.
    Secret,
    /// A retired name: accepted, with what replaces it.
    Retired(&'static str),
}

/// What an unset variable means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// As if it were set to this.
    Value(&'static str),
    /// Described in words.
    Words(&'static str),
    /// Nothing.
    Unset,
}

/// A variable.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it means when unset.
    pub preset: Preset,
    /// What it sets.
    pub meaning: &'static str,
    /// What it is to the program.
    pub kind: Kind,
}

impl Variable {
    const fn as_kind(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    fn default_text(&self) -> &'static str {
        match self.preset {
            Preset::Value(text) | Preset::Words(text) => text,
            Preset::Unset => "",
        }
    }
}

/// Variables that belong together.
#[derive(Debug)]
pub struct Section {
    /// Its heading.
    pub title: &'static str,
    /// Its variables.
    pub variables: &'static [Variable],
}

const fn preset(name: &'static str, value: &'static str, meaning: &'static str) -> Variable {
    Variable { name, preset: Preset::Value(value), meaning, kind: Kind::Setting }
}

const fn words(name: &'static str, default: &'static str, meaning: &'static str) -> Variable {
    Variable { name, preset: Preset::Words(default), meaning, kind: Kind::Setting }
}

const fn unset(name: &'static str, meaning: &'static str) -> Variable {
    Variable { name, preset: Preset::Unset, meaning, kind: Kind::Setting }
}

/// Every variable, in the order of `--help` and `deploy/configuration.md`.
pub const SECTIONS: &[Section] = &[
    Section { title: "Servers and zones", variables: SERVERS },
    Section { title: "Authentication", variables: AUTHENTICATION },
    Section { title: "Reading", variables: READING },
    Section { title: "Writing", variables: WRITING },
    Section { title: "DNS over TLS", variables: TLS },
    Section { title: "Webhook", variables: WEBHOOK },
    Section { title: "Logs", variables: LOGS },
    Section { title: "Traces", variables: TRACES },
    Section { title: "Retired", variables: RETIRED },
];

const SERVERS: &[Variable] = &[
    words(
        "RFC2136_HOST",
        "required",
        "comma list of `fqdn[@address][:port]`, tried in order. The FQDN makes the Kerberos target `DNS/fqdn@REALM`; \
         `@address` is dialled instead of resolving it. IPv6 in brackets. `srv:domain` finds domain controllers by SRV",
    ),
    preset("RFC2136_PORT", "53", "port of entries without one"),
    words("RFC2136_ZONE", "required", "comma list of zones; a trailing dot is accepted"),
    preset("RFC2136_SERVER_PROFILE", "auto", "`auto` (careful everywhere), `bind`, `samba`, `windows`"),
    preset(
        "RFC2136_LOAD_BALANCING_STRATEGY",
        "disabled",
        "`disabled` (sticky, fails over), `round-robin`, `random`; a reconcile reads and writes on one server",
    ),
    preset(
        "RFC2136_TIMEOUT",
        "4s",
        "one exchange with a server; with several in flight, and in a transfer, the silence between two messages",
    ),
];

const AUTHENTICATION: &[Variable] = &[
    preset("RFC2136_GSS_TSIG", "false", "GSS-TSIG; exactly one of this, `RFC2136_TSIG_KEYNAME`, `RFC2136_INSECURE`"),
    preset("RFC2136_INSECURE", "false", "neither signs nor verifies"),
    words(
        "RFC2136_KERBEROS_REALM",
        "required with GSS-TSIG",
        "the realm; upper-cased and one trailing dot removed, with a warning",
    ),
    words(
        "RFC2136_KERBEROS_USERNAME",
        "required with GSS-TSIG, except with a ccache",
        "`user`, or `user@REALM` of the same realm",
    ),
    unset("RFC2136_KERBEROS_KEYTAB", "keytab file; exactly one of this and the next three. Files are watched"),
    unset("RFC2136_KERBEROS_PASSWORD_FILE", "file with the password"),
    unset("RFC2136_KERBEROS_PASSWORD", "the password").as_kind(Kind::Secret),
    unset("RFC2136_KERBEROS_CCACHE", "credential cache file that something else keeps fresh"),
    words("RFC2136_KERBEROS_KDC", "DNS SRV", "comma list of `host[:port]`; a private krb5.conf is generated"),
    words(
        "KRB5_CONFIG",
        "generated",
        "your own krb5.conf, or several with colons between them, used instead and checked against the realm",
    ),
    unset("RFC2136_TSIG_KEYNAME", "name of a shared TSIG key"),
    unset("RFC2136_TSIG_SECRET", "its secret in base64; this or the next").as_kind(Kind::Secret),
    unset("RFC2136_TSIG_SECRET_FILE", "file with the secret in base64, read at start"),
    preset("RFC2136_TSIG_SECRET_ALG", "hmac-sha256", "`hmac-sha1`, `-sha224`, `-sha256`, `-sha384`, `-sha512`"),
];

const READING: &[Variable] = &[
    preset(
        "RFC2136_READ",
        "auto",
        "`transfer` (IXFR, AXFR), `ldap` (AD and Samba, with Kerberos; no right to transfers needed), `auto` (transfer; with \
         Kerberos, LDAP where it is refused or empty), `none` (with `--registry=crd`)",
    ),
    preset("RFC2136_TRANSFER_UNSIGNED", "false", "transfers go unsigned: AD allows them by address and signs none"),
    words(
        "RFC2136_LDAP_HOST",
        "the DNS server",
        "`fqdn[@address][:port]` of the domain controller to read from; unset, the one that takes the updates",
    ),
    preset("RFC2136_LDAP_PORT", "389", "its port; the connection is sealed by Kerberos and needs no TLS"),
    words(
        "RFC2136_LDAP_BASE",
        "found",
        "entry below which the zones are, such as `CN=MicrosoftDNS,DC=DomainDnsZones,DC=example,DC=com`",
    ),
];

const WRITING: &[Variable] = &[
    preset("RFC2136_MIN_TTL", "0s", "floor under every TTL: `60`, `60s`, `5m`, `1h`"),
    preset("RFC2136_DEFAULT_TTL", "300s", "for creates without a TTL"),
    preset(
        "RFC2136_BATCH_CHANGE_SIZE",
        "200",
        "endpoints per UPDATE message at most; also capped at 15 KiB, 48 KiB with profile `bind`",
    ),
    preset(
        "RFC2136_PREREQUISITES",
        "true",
        "guard every change; off only for servers that refuse them, and every change is then read back",
    ),
    unset(
        "RFC2136_PROTECTED_NAMES",
        "adds to the protected names: `name` (zone-relative or absolute), `.name` = it and all below, \
         `-name` lifts one",
    ),
    preset("RFC2136_ALLOW_UNOWNED", "false", "allow updates and deletes without an ownership label"),
    preset(
        "RFC2136_MAX_DELETES",
        "0",
        "above this many RRsets deleted without replacement in one apply, the deletes are rejected; 0 = off",
    ),
    preset(
        "RFC2136_KEEP_ALIVE",
        "off",
        "refreshes records before AD takes them out as aged: `auto` = where the directory shows time stamps on them, \
         `on` = daily where it does not",
    ),
    preset("RFC2136_DRY_RUN", "false", "print the nsupdate script, send nothing, answer 204"),
];

const TLS: &[Variable] = &[
    preset("RFC2136_USE_TLS", "false", "DNS over TLS (TLS 1.3), together with GSS-TSIG too; usually on port 853"),
    preset("RFC2136_SKIP_TLS_VERIFY", "false", "accept any certificate"),
    words("RFC2136_TLS_CA", "the system's", "PEM file of certification authorities"),
    unset("RFC2136_TLS_CLIENT_CERT", "PEM file of a client certificate"),
    unset("RFC2136_TLS_CLIENT_CERT_KEY", "PEM file of its key"),
];

const WEBHOOK: &[Variable] = &[
    preset("WEBHOOK_LISTEN", "127.0.0.1:8888", "webhook (HTTP and gRPC) and `/status`"),
    words(
        "WEBHOOK_ADMIN_LISTEN",
        "[::]:8080",
        "`/healthz`, `/readyz`, `/metrics`; both families, `0.0.0.0:8080` where there is no IPv6",
    ),
    preset("WEBHOOK_ALLOW_REMOTE", "false", "allow a webhook address that is not loopback; it has no authentication"),
    preset("WEBHOOK_DEADLINE", "12s", "every request is answered within this; below ExternalDNS's 15 s"),
    preset("WEBHOOK_MAX_BODY", "64MiB", "largest request body"),
    words("DOMAIN_FILTER", "the zones", "comma list of domains that `GET /` announces"),
    unset("EXCLUDE_DOMAINS", "comma list of domains left out"),
    unset("REGEX_DOMAIN_FILTER", "regular expression of names; not together with the two above"),
    unset("REGEX_DOMAIN_EXCLUSION", "regular expression of names left out"),
];

const LOGS: &[Variable] = &[
    preset("LOG_LEVEL", "info", "`off`, `error`, `warn`, `info`, `debug`, `trace`, or directives per module"),
    preset("LOG_FORMAT", "text", "`text` or `json`"),
];

const TRACES: &[Variable] = &[
    unset(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "sends traces by OTLP to this collector, such as `http://collector.example.com:4317`; the SDK's other variables \
         (`OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER`, `OTEL_EXPORTER_OTLP_HEADERS`, ...) hold as well",
    ),
    preset("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "`grpc` is all there is"),
    words("OTEL_EXPORTER_OTLP_CERTIFICATE", "the system's", "PEM file of certification authorities, for `https`"),
];

const RETIRED: &[Variable] = &[
    unset("RFC2136_AXFR", "replaced by `RFC2136_READ`").as_kind(Kind::Retired("RFC2136_READ")),
    unset("RFC2136_TSIG_AXFR", "replaced by `RFC2136_READ`").as_kind(Kind::Retired("RFC2136_READ")),
    unset("RFC2136_CREATE_PTR", "replaced by ExternalDNS's `--create-ptr`")
        .as_kind(Kind::Retired("ExternalDNS's --create-ptr")),
];

/// Every variable.
pub fn variables() -> impl Iterator<Item = &'static Variable> {
    SECTIONS.iter().flat_map(|section| section.variables)
}

/// The variable of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Variable> {
    variables().find(|variable| variable.name == name)
}

/// The known name that is spelled most like this one, unless none is.
#[must_use]
pub fn nearest(name: &str) -> Option<&'static str> {
    variables()
        .map(|known| (strsim::damerau_levenshtein(name, known.name), known.name))
        .min()
        .filter(|(distance, _)| *distance <= name.len() / 3)
        .map(|(_, known)| known)
}

/// The table for `--help`.
#[must_use]
pub fn help() -> String {
    let mut text = String::from("Settings, all from the environment:\n");
    for section in SECTIONS {
        let _ = writeln!(text, "\n{}:", section.title);
        for variable in section.variables {
            let meaning = variable.meaning.replace('`', "");
            let _ = match variable.default_text() {
                "" => writeln!(text, "  {}\n      {meaning}", variable.name),
                default => writeln!(text, "  {} [{default}]\n      {meaning}", variable.name),
            };
        }
    }
    text
}

/// The tables of `deploy/configuration.md`.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::new();
    for section in SECTIONS {
        let _ = writeln!(text, "### {}\n\n| variable | default | meaning |\n|---|---|---|", section.title);
        for variable in section.variables {
            let default = match variable.preset {
                Preset::Value(value) => format!("`{value}`"),
                Preset::Words(words) => words.to_owned(),
                Preset::Unset => String::new(),
            };
            let _ = writeln!(text, "| `{}` | {default} | {} |", variable.name, variable.meaning);
        }
        text.push('\n');
    }
    text
}
