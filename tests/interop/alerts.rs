//! Alerts and dashboard of `deploy/`: judged by Prometheus's own tool, and against what the sidecar exports.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Changes, Directory, Endpoint, Settings, find_or_install, run, wait_until};

const RULES: &str = include_str!("../../deploy/prometheus-rules.yaml");
const CASES: &str = include_str!("alerts.yaml");
const DASHBOARD: &str = include_str!("../../deploy/grafana-dashboard.json");
const PAGE: &str = include_str!("../../deploy/troubleshooting.md");

fn promtool() -> Command {
    let program = find_or_install("promtool", "apt-get install -y --no-install-recommends prometheus");
    let mut command = Command::new(program);
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")));
    command
}

/// What follows `key` on each line that starts with it.
fn values<'a>(text: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| line.trim_start().strip_prefix(key)).map(str::trim)
}

/// Every PromQL expression of the dashboard, and the queries of its variables, with a value for each variable.
fn expressions(value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, value)| match (key.as_str(), value) {
                ("expr", Value::String(text)) => {
                    vec![text.replace("$__rate_interval", "5m").replace("$job", ".+").replace("$instance", ".+")]
                }
                _ => expressions(value),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(expressions).collect(),
        _ => Vec::new(),
    }
}

/// The anchor that a heading gets where Markdown is shown.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>();
    kept.replace(' ', "-")
}

#[test]
fn prometheus_takes_the_rules_and_each_fires_in_its_case() {
    run(promtool().args(["check", "rules", "deploy/prometheus-rules.yaml"]));
    run(promtool().args(["test", "rules", "tests/interop/alerts.yaml"]));
}

#[test]
fn each_alert_has_a_case_that_fires_and_one_that_does_not() {
    let cases: Vec<_> = CASES.split("alertname: ").skip(1).collect();
    let alerts: Vec<_> = values(RULES, "- alert:").collect();
    assert!(!alerts.is_empty());
    for alert in alerts {
        for silent in [false, true] {
            let found = cases
                .iter()
                .any(|case| case.lines().next() == Some(alert) && case.contains("exp_alerts: []") == silent);
            assert!(found, "{alert}: silent {silent}");
        }
    }
}

#[test]
fn each_alert_leads_to_a_heading_of_the_troubleshooting_page() {
    let headings: BTreeSet<_> = PAGE.lines().filter(|line| line.starts_with('#')).map(anchor_of_line).collect();
    let links: Vec<_> = values(RULES, "runbook_url:").collect();
    assert_eq!(links.len(), values(RULES, "- alert:").count());
    for link in links {
        let (page, heading) = link.rsplit_once('#').unwrap();
        assert!(page.ends_with("/deploy/troubleshooting.md"), "{link}");
        // The page has every cause, which a unit test sees to.
        assert!(heading == "{{ $labels.reason }}" || headings.contains(heading), "{link}: {headings:?}");
    }
}

fn anchor_of_line(line: &str) -> String {
    anchor(line.trim_start_matches('#').trim())
}

#[test]
fn prometheus_takes_every_expression_of_the_dashboard() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let expressions = expressions(&dashboard);
    let panels = dashboard["panels"].as_array().unwrap();
    let identifiers: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(identifiers.len(), panels.len());
    let rules: Vec<_> = expressions
        .iter()
        .enumerate()
        .map(|(number, expr)| serde_json::json!({"record": format!("panel:{number}"), "expr": expr}))
        .collect();
    assert!(rules.len() > 10, "{rules:?}");
    let directory = Directory::new();
    let file = directory.join("dashboard.json");
    fs::write(&file, serde_json::json!({"groups": [{"name": "dashboard", "rules": rules}]}).to_string()).unwrap();
    run(promtool().args(["check", "rules"]).arg(&file));
}

#[test]
fn every_metric_of_the_alerts_and_the_dashboard_is_exported() {
    let (kdc, named, sidecar) = crate::example();
    sidecar.records();
    sidecar.apply_all(&Changes::new().create(&Endpoint::a("www.example.test", &["192.0.2.1"])));
    assert_eq!(sidecar.apply(&Changes::new().create(&Endpoint::a("www.example.net", &["192.0.2.1"]))), 500);
    // A time signed is known to the second, and the clock is told from the second exchange on.
    sidecar.records();
    let keeping = Settings::keytab(&kdc, &named, &["example.test"]).set("RFC2136_KEEP_ALIVE", "on").start();
    keeping.adjust(&[Endpoint::a("www.example.test", &["192.0.2.1"])]);
    wait_until("a refresh", Duration::from_secs(20), || keeping.status()["keep_alive"]["zones"][0]["records"] == 2);
    wait_until("its count", Duration::from_secs(20), || {
        keeping.metric("external_dns_rfc2136_keep_alive_refreshes_total", "outcome=\"refreshed\"") == 2.0
    });
    let exported = [sidecar, keeping].map(|sidecar| sidecar.admin("/metrics").body).concat();
    let samples: BTreeSet<&str> = exported.lines().filter_map(|line| line.split(['{', ' ']).next()).collect();
    let text = [RULES, DASHBOARD].concat();
    let named: BTreeSet<&str> = text
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("external_dns_rfc2136_"))
        .collect();
    assert!(named.len() > 10, "{named:?}");
    let missing: Vec<_> = named.difference(&samples).collect();
    assert!(missing.is_empty(), "{missing:?} are not in\n{exported}");
}
