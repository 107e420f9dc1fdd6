use proptest::prelude::*;

use super::*;

const GSS: [(&str, &str); 6] = [
    ("RFC2136_HOST", "dc1.example.test"),
    ("RFC2136_ZONE", "example.test, second.test."),
    ("RFC2136_GSS_TSIG", "true"),
    ("RFC2136_KERBEROS_REALM", "EXAMPLE.TEST"),
    ("RFC2136_KERBEROS_USERNAME", "external-dns"),
    ("RFC2136_KERBEROS_PASSWORD", "0012"),
];

fn with(changes: &[(&str, &str)]) -> Result<Loaded, Problems> {
    let mut variables: std::collections::BTreeMap<&str, &str> = GSS.into_iter().collect();
    variables.extend(changes.iter().copied());
    Config::from_variables(variables)
}

fn problems(changes: &[(&str, &str)]) -> String {
    with(changes).unwrap_err().to_string()
}

#[test]
fn a_password_of_digits_reaches_kerberos_unaltered_and_is_never_shown() {
    use secrecy::ExposeSecret;
    let loaded = with(&[]).unwrap();
    let Authentication::Gss(kerberos) = &loaded.config.authentication else { panic!("not GSS") };
    let CredentialSource::Password(password) = &kerberos.source else { panic!("no password") };
    assert_eq!(password.expose_secret(), "0012");
    assert!(!format!("{loaded:?}{}", loaded.config).contains("0012"));
}

/// What else makes this variable count, and a value for it.
fn example(name: &str, file: &str) -> (Vec<(&'static str, &'static str)>, String) {
    let tsig = vec![("RFC2136_GSS_TSIG", "false"), ("RFC2136_TSIG_KEYNAME", "key.test")];
    let tls =
        vec![("RFC2136_USE_TLS", "true"), ("RFC2136_TLS_CLIENT_CERT", "/c"), ("RFC2136_TLS_CLIENT_CERT_KEY", "/k")];
    let (others, value) = match name {
        "RFC2136_KERBEROS_PASSWORD" => (Vec::new(), "pass word"),
        "RFC2136_KERBEROS_KEYTAB" | "RFC2136_KERBEROS_PASSWORD_FILE" | "RFC2136_KERBEROS_CCACHE" => {
            (vec![("RFC2136_KERBEROS_PASSWORD", "")], "/a/file")
        }
        "KRB5_CONFIG" => (Vec::new(), "/etc/krb5.conf"),
        "RFC2136_KERBEROS_KDC" => (Vec::new(), "kdc.test:88, kdc2.test"),
        "RFC2136_TSIG_KEYNAME" => ([tsig, vec![("RFC2136_TSIG_SECRET", "c2VjcmV0")]].concat(), "key.test"),
        "RFC2136_TSIG_SECRET" => (tsig, "c2VjcmV0"),
        "RFC2136_TSIG_SECRET_FILE" => (tsig, file),
        "RFC2136_INSECURE" => (vec![("RFC2136_GSS_TSIG", "false")], "true"),
        "RFC2136_TLS_CA" | "RFC2136_TLS_CLIENT_CERT" | "RFC2136_TLS_CLIENT_CERT_KEY" => (tls, "/a/file"),
        "OTEL_EXPORTER_OTLP_ENDPOINT" => (Vec::new(), "http://collector.test:4317"),
        "OTEL_EXPORTER_OTLP_CERTIFICATE" => {
            (vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.test:4317")], "/a/file")
        }
        "RFC2136_LDAP_HOST" => (Vec::new(), "dc1.example.test"),
        "RFC2136_LDAP_BASE" => (Vec::new(), "CN=MicrosoftDNS,DC=example,DC=test"),
        "RFC2136_PROTECTED_NAMES" => (Vec::new(), "-www, .corp"),
        "DOMAIN_FILTER" | "EXCLUDE_DOMAINS" => (Vec::new(), "a.example.test, b.example.test"),
        "REGEX_DOMAIN_FILTER" | "REGEX_DOMAIN_EXCLUSION" => (Vec::new(), "^a[.]example[.]test$"),
        "WEBHOOK_ADMIN_LISTEN" => (Vec::new(), "[::1]:8080"),
        _ => {
            let given = GSS.into_iter().find(|(given, _)| *given == name).map(|(_, value)| value);
            let preset = table::find(name).and_then(|known| match known.preset {
                table::Preset::Value(value) => Some(value),
                table::Preset::Words(_) | table::Preset::Unset => None,
            });
            (Vec::new(), given.or(preset).unwrap_or_else(|| panic!("{name} has no example here: add one")))
        }
    };
    (others, value.to_owned())
}

/// What the settings become with this one and what it needs, secrets included.
fn outcome(name: &str, others: &[(&str, &str)], value: &str) -> Result<String, Problems> {
    use secrecy::ExposeSecret;
    let loaded = with(&[others, &[(name, value)]].concat())?;
    let password = match &loaded.config.authentication {
        Authentication::Gss(Kerberos { source: CredentialSource::Password(password), .. }) => password.expose_secret(),
        _ => "",
    };
    Ok(format!("{loaded:?}{password}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn blanks_and_newlines_around_a_value_change_nothing_in_any_variable(before in "[ \t\r\n]{0,3}", after in "[ \t\r\n]{0,3}") {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{before}c2VjcmV0{after}")).unwrap();
        let is_read = |known: &&table::Variable| matches!(known.kind, table::Kind::Setting | table::Kind::Secret);
        for known in table::variables().filter(is_read) {
            let (others, value) = example(known.name, file.path().to_str().unwrap());
            let plain = outcome(known.name, &others, &value).unwrap();
            let padded = outcome(known.name, &others, &format!("{before}{value}{after}"));
            prop_assert_eq!(padded, Ok(plain), "{}", known.name);
        }
    }
}

#[test]
fn a_value_in_quotes_is_refused_by_name_in_every_variable() {
    for known in table::variables() {
        for quoted in ["\"x\"", "'x'", " \"x\"\n", "\"\""] {
            let problems = outcome(known.name, &[], quoted).unwrap_err();
            let quoted = Problem { variable: known.name.to_owned(), fault: VariableError::Quoted };
            assert!(problems.0.contains(&quoted), "{}: {problems}", known.name);
        }
    }
    assert!(
        problems(&[("RFC2136_ZONE", "example.test,'second.test'")]).contains("RFC2136_ZONE: has a value in quotes")
    );
}

#[test]
fn a_secret_in_quotes_in_a_file_is_refused_by_the_name_of_its_variable() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "\"c2VjcmV0\"\n").unwrap();
    for name in ["RFC2136_TSIG_SECRET_FILE", "RFC2136_KERBEROS_PASSWORD_FILE"] {
        let (others, _) = example(name, "");
        let problems = outcome(name, &others, file.path().to_str().unwrap()).unwrap_err();
        assert_eq!(problems.0, [Problem { variable: name.to_owned(), fault: VariableError::Quoted }]);
        assert!(!problems.to_string().contains("c2VjcmV0"));
    }
}

#[test]
fn a_realm_is_rewritten_with_one_warning_or_refused() {
    let loaded = with(&[("RFC2136_KERBEROS_REALM", "example.test.")]).unwrap();
    assert!(matches!(loaded.warnings.as_slice(), [Warning::RealmRewritten { .. }]), "{:?}", loaded.warnings);
    for realm in ["", " ", "EXAMPLE TEST", "EXAMPLE/TEST"] {
        assert!(problems(&[("RFC2136_KERBEROS_REALM", realm)]).contains("RFC2136_KERBEROS_REALM"), "{realm:?}");
    }
    assert!(problems(&[("RFC2136_KERBEROS_USERNAME", "user@OTHER.TEST")]).contains("OTHER.TEST"));
}

#[test]
fn names_in_other_scripts_are_taken_as_a_labels() {
    let config = with(&[
        ("RFC2136_ZONE", "Bücher.test,xn--bcher-kva.example"),
        ("RFC2136_PROTECTED_NAMES", "größe"),
        ("DOMAIN_FILTER", "kunden.Bücher.test"),
    ]);
    let config = config.unwrap().config;
    let zones: Vec<String> = config.zones.iter().map(ToString::to_string).collect();
    assert_eq!(zones, ["xn--bcher-kva.example", "xn--bcher-kva.test"]);
    assert_eq!(config.protected_names[0].name, "xn--gre-6ka8i");
    assert_eq!(config.domain_filter.include, ["kunden.xn--bcher-kva.test"]);
    assert!(problems(&[("RFC2136_ZONE", "a\u{200d}.test")]).contains("no valid international domain name"));
}

#[test]
fn every_problem_is_reported_at_once() {
    let text = problems(&[("RFC2136_PORT", "x"), ("RFC2136_ZONE", "a..b"), ("RFC2136_TIMEOUT", "4 years")]);
    for name in ["RFC2136_PORT", "RFC2136_ZONE", "RFC2136_TIMEOUT"] {
        assert!(text.contains(name), "{text}");
    }
}

#[test]
fn an_unknown_name_is_a_problem_with_the_nearest_known_one() {
    assert!(problems(&[("RFC2136_ZONES", "x")]).contains("did you mean RFC2136_ZONE?"));
}

#[test]
fn service_links_and_retired_names_are_warnings() {
    let links =
        [("RFC2136_PORT", "tcp://10.0.0.1:53"), ("RFC2136_SERVICE_HOST", "h"), ("RFC2136_PORT_53_TCP_ADDR", "a")];
    let loaded = with(&links).unwrap();
    assert_eq!((loaded.warnings.len(), loaded.config.port), (3, 53));
    assert!(matches!(with(&[("RFC2136_AXFR", "true")]).unwrap().warnings.as_slice(), [Warning::Retired { .. }]));
}

#[test]
fn records_are_kept_alive_only_where_they_are_read() {
    let keep_alive = |value: &str, more: &[(&str, &str)]| with(&[&[("RFC2136_KEEP_ALIVE", value)], more].concat());
    let warnings = |value: &str, more: &[(&str, &str)]| keep_alive(value, more).unwrap().warnings;
    assert_eq!(with(&[]).unwrap().config.keep_alive, KeepAlive::Off);
    assert_eq!(keep_alive("auto", &[]).unwrap().config.keep_alive, KeepAlive::Auto);
    assert!(problems(&[("RFC2136_KEEP_ALIVE", "yes")]).contains("off, auto or on"));
    for value in ["auto", "on"] {
        let text = problems(&[("RFC2136_KEEP_ALIVE", value), ("RFC2136_READ", "none")]);
        assert!(text.contains("RFC2136_KEEP_ALIVE") && text.contains("RFC2136_READ=none"), "{text}");
        let dry = warnings(value, &[("RFC2136_DRY_RUN", "true")]);
        assert!(matches!(dry[..], [Warning::NoEffect { name: "RFC2136_KEEP_ALIVE", .. }]), "{dry:?}");
    }
    assert_eq!(warnings("off", &[("RFC2136_READ", "none"), ("RFC2136_DRY_RUN", "true")]), []);
    assert_eq!(warnings("on", &[("RFC2136_READ", "transfer")]), []);
    let [Warning::NoEffect { needs, .. }] = warnings("auto", &[("RFC2136_READ", "transfer")])[..] else { panic!() };
    assert!(needs.contains("ldap"));
}

#[test]
fn the_directory_is_the_name_server_unless_it_is_given() {
    let read = |more: &[(&str, &str)]| with(&[&[("RFC2136_READ", "ldap")], more].concat()).unwrap().config;
    assert_eq!(read(&[]).ldap, Ldap { host: None, port: 389, base: None });
    let base = "CN=MicrosoftDNS,DC=a\\,b,DC=example,DC=test";
    let given = [
        ("RFC2136_LDAP_HOST", "DC2.example.test@10.0.0.6"),
        ("RFC2136_LDAP_PORT", "3389"),
        ("RFC2136_LDAP_BASE", base),
    ];
    let Ldap { host, port, base: found } = read(&given).ldap;
    assert_eq!(host.unwrap().to_string(), "dc2.example.test@10.0.0.6:3389");
    assert_eq!((port, found.as_deref()), (3389, Some(base)));

    for (name, value, remedy) in [
        ("RFC2136_LDAP_HOST", "10.0.0.6", "fqdn@address"),
        ("RFC2136_LDAP_HOST", "srv:example.test", "one domain controller"),
        ("RFC2136_LDAP_PORT", "0", "389"),
        ("RFC2136_LDAP_BASE", "example.test", "CN=MicrosoftDNS"),
    ] {
        assert!(problems(&[(name, value)]).contains(remedy), "{name} {value}");
    }
    let without = Config::from_variables([
        ("RFC2136_HOST", "ns1.example.test"),
        ("RFC2136_ZONE", "example.test"),
        ("RFC2136_INSECURE", "true"),
        ("RFC2136_READ", "ldap"),
    ]);
    assert!(without.unwrap_err().to_string().contains("RFC2136_GSS_TSIG=true"));
    let warnings = with(&[("RFC2136_READ", "transfer"), ("RFC2136_LDAP_BASE", "CN=a")]).unwrap().warnings;
    assert!(matches!(warnings[..], [Warning::NoEffect { name: "RFC2136_LDAP_BASE", .. }]), "{warnings:?}");
}

#[test]
fn hosts_are_names_addresses_or_domains() {
    let text = "dc1.example.test@10.0.0.5:5353,DC2.example.test.@[2001:db8::1],srv:example.test";
    let servers = with(&[("RFC2136_HOST", text)]).unwrap().config.servers;
    let shown: Vec<_> = servers.iter().map(|server| format!("{server:?}")).collect();
    assert!(
        shown[0].contains("5353") && shown[1].contains("dc2.example.test\"") && shown[2].starts_with("Srv"),
        "{shown:?}"
    );
    assert!(problems(&[("RFC2136_HOST", "10.0.0.5")]).contains("fqdn@address"));
    assert!(problems(&[("RFC2136_HOST", "2001:db8::1")]).contains("brackets"));
}

#[test]
fn exactly_one_way_to_authenticate() {
    assert!(problems(&[("RFC2136_INSECURE", "true")]).contains("exclude each other"));
    assert!(problems(&[("RFC2136_GSS_TSIG", "")]).contains("none of"));
    assert!(problems(&[("RFC2136_KERBEROS_KEYTAB", "/k")]).contains("exclude each other"));
}

#[test]
fn the_webhook_stays_on_loopback_and_its_deadline_above_an_exchange() {
    assert!(problems(&[("WEBHOOK_LISTEN", "0.0.0.0:8888")]).contains("WEBHOOK_ALLOW_REMOTE"));
    assert!(with(&[("WEBHOOK_LISTEN", "0.0.0.0:8888"), ("WEBHOOK_ALLOW_REMOTE", "true")]).is_ok());
    assert!(problems(&[("WEBHOOK_DEADLINE", "4s")]).contains("RFC2136_TIMEOUT"));
}

#[test]
fn traces_go_by_grpc_to_a_url_and_nowhere_unless_one_is_given() {
    let traces = |variables: &[(&str, &str)]| with(variables).unwrap().config.traces;
    assert_eq!(traces(&[]), None);
    // What is set for every container of a cluster is nobody's business here until there is a collector.
    assert_eq!(traces(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]), None);
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.test:4317");
    assert_eq!(traces(&[endpoint]).unwrap().endpoint.host(), Some("collector.test"));
    let refused = problems(&[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]);
    assert!(refused.contains("OTEL_EXPORTER_OTLP_PROTOCOL") && refused.contains("grpc"), "{refused}");
    for text in
        ["collector.test:4317", "ftp://collector.test", "http://", "http://a b", "http://me:secret@collector.test"]
    {
        assert!(problems(&[(endpoint.0, text)]).contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{text}");
    }
}

#[test]
fn durations_have_units() {
    for (text, seconds) in [("60", 60), ("60s", 60), ("5m", 300), ("1h", 3600)] {
        assert_eq!(with(&[("RFC2136_MIN_TTL", text)]).unwrap().config.min_ttl.as_secs(), seconds);
    }
}

proptest! {
    #[test]
    fn no_variables_make_it_panic_and_no_secret_is_shown(values in prop::collection::vec((0usize..60, ".{0,12}"), 0..12)) {
        let names: Vec<_> = table::variables().map(|variable| variable.name).collect();
        let mut variables: std::collections::BTreeMap<String, String> = values
            .into_iter()
            .map(|(index, value)| (names.get(index).map_or_else(|| format!("RFC2136_{value}"), ToString::to_string), value))
            .filter(|(name, _)| name != "RFC2136_TSIG_SECRET_FILE" && !name.contains(['=', '\0']))
            .collect();
        for name in ["RFC2136_KERBEROS_PASSWORD", "RFC2136_TSIG_SECRET"] {
            variables.insert(name.to_owned(), "tcp://Xyzzy-12".to_owned());
        }
        let result = Config::from_variables(variables);
        let shown = match &result {
            Ok(loaded) => format!("{loaded:?}{}", loaded.config),
            Err(problems) => format!("{problems:?}{problems}"),
        };
        prop_assert!(!shown.contains("Xyzzy"));
    }
}

#[test]
fn the_page_on_configuration_holds_the_table_of_variables() {
    let page = include_str!("../../deploy/configuration.md");
    assert!(page.contains(table::markdown().trim_end()), "configuration.md should hold:\n{}", table::markdown());
}

/// Variables in a container's `env`, in either style of YAML.
fn environment(yaml: &str) -> Vec<(String, String)> {
    let entries = yaml.split("name: ").filter_map(|entry| entry.split_once("value: "));
    let word = |text: &str| text.split(['\n', '}', '#', ',']).next().unwrap_or_default().trim().to_owned();
    let value = |text: &str| text.split('"').nth(1).unwrap_or_default().to_owned();
    entries.map(|(name, rest)| (word(name), value(rest))).collect()
}

#[test]
fn the_values_for_helm_in_deploy_and_readme_are_a_valid_configuration() {
    for (file, count) in [(include_str!("../../deploy/helm-values.yaml"), 8), (include_str!("../../README.md"), 7)] {
        let variables = environment(file);
        assert_eq!(variables.len(), count, "{variables:?}");
        assert_eq!(Config::from_variables(variables).unwrap().warnings, []);
    }
}
