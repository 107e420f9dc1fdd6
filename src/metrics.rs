//! What is counted and measured, in the text format of OpenMetrics.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// Every metric's name starts with this.
const PREFIX: &str = "external_dns_rfc2136";
/// Upper bounds in seconds, up to ExternalDNS's patience.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 4.0, 12.0, 15.0];

type Label = String;
type Seconds = Gauge<f64, AtomicU64>;
/// Of a metric that is absent until it has a value.
type NoLabels = [(&'static str, &'static str); 0];

/// A webhook request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    api: &'static str,
    method: &'static str,
    class: Label,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabels {
    api: &'static str,
    method: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UpdateLabels {
    zone: Label,
    server: Label,
    rcode: Label,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ChangeLabels {
    op: &'static str,
    r#type: Label,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReadLabels {
    zone: Label,
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ZoneLabels {
    zone: Label,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServerLabels {
    server: Label,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NegotiationLabels {
    server: Label,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefreshLabels {
    zone: Label,
    outcome: &'static str,
}

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    request_duration: Family<MethodLabels, Histogram>,
    updates: Family<UpdateLabels, Counter>,
    update_records: Family<ChangeLabels, Counter>,
    reads: Family<ReadLabels, Counter>,
    exchange: Histogram,
    rejected: Family<ReasonLabels, Gauge>,
    records: Family<ZoneLabels, Gauge>,
    serial: Family<ZoneLabels, Gauge>,
    last_read: Family<ZoneLabels, Gauge>,
    last_apply: Family<ZoneLabels, Gauge>,
    negotiations: Family<NegotiationLabels, Counter>,
    failed: Family<ServerLabels, Gauge>,
    context_expiry: Family<ServerLabels, Seconds>,
    clock_skew: Family<ServerLabels, Seconds>,
    ticket_expiry: Family<NoLabels, Seconds>,
    records_body: Gauge,
    refreshes: Family<RefreshLabels, Counter>,
    kept: Family<ZoneLabels, Gauge>,
    overdue: Family<ZoneLabels, Gauge>,
    next_refresh: Family<ZoneLabels, Gauge>,
}

/// One webhook request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// `http` or `grpc`.
    pub api: &'static str,
    /// What was asked.
    pub method: &'static str,
}

/// What is known of a zone now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneGauges {
    /// The zone.
    pub zone: String,
    /// Records in its copy; none without a copy.
    pub records: Option<usize>,
    /// SOA serial of its copy.
    pub serial: Option<u32>,
    /// Time of its last complete read, seconds since 1970.
    pub last_read: Option<u64>,
    /// Time of the last apply that changed it, seconds since 1970.
    pub last_apply: Option<u64>,
}

/// What is known of a server now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerGauges {
    /// The server.
    pub server: String,
    /// Whether the last request to it failed.
    pub failed: bool,
    /// Contexts negotiated since the start.
    pub negotiated: u64,
    /// Negotiations that failed since the start.
    pub not_negotiated: u64,
    /// Time that the security context has left; zero without one.
    pub context_expiry: Duration,
    /// The server's clock minus ours, in seconds, where a verified answer told it.
    pub clock_skew: Option<i64>,
}

/// What is read at the moment of a scrape.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Per zone.
    pub zones: Vec<ZoneGauges>,
    /// Per server.
    pub servers: Vec<ServerGauges>,
    /// Time that the Kerberos ticket has left; zero without one, none without Kerberos.
    pub ticket_expiry: Option<Duration>,
    /// Rejected records by the label of their cause.
    pub rejected: Vec<(&'static str, usize)>,
    /// Of each zone in which records are kept from ageing.
    pub keep_alive: Vec<KeepAliveGauges>,
}

/// What is known of the records of a zone that are kept from ageing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeepAliveGauges {
    /// The zone.
    pub zone: String,
    /// RRsets.
    pub records: usize,
    /// Those that may be taken out as aged.
    pub overdue: usize,
    /// When the next one is due, seconds since 1970.
    pub next: Option<u64>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All metrics at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix(PREFIX),
            requests: Family::default(),
            request_duration: Family::new_with_constructor(histogram),
            updates: Family::default(),
            update_records: Family::default(),
            reads: Family::default(),
            exchange: histogram(),
            rejected: Family::default(),
            records: Family::default(),
            serial: Family::default(),
            last_read: Family::default(),
            last_apply: Family::default(),
            negotiations: Family::default(),
            failed: Family::default(),
            context_expiry: Family::default(),
            clock_skew: Family::default(),
            ticket_expiry: Family::default(),
            records_body: Gauge::default(),
            refreshes: Family::default(),
            kept: Family::default(),
            overdue: Family::default(),
            next_refresh: Family::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        let build = Info::new(vec![
            ("version", env!("CARGO_PKG_VERSION")),
            ("commit", env!("BUILD_COMMIT")),
            ("date", env!("BUILD_DATE")),
        ]);
        registry.register("build", "The program's version, commit and date", build);
        registry.register("requests", "Webhook requests", self.requests.clone());
        let duration = self.request_duration.clone();
        registry.register_with_unit("request_duration", "Time to answer webhook requests", Unit::Seconds, duration);
        registry.register("updates", "UPDATE messages by the server's answer", self.updates.clone());
        registry.register("update_records", "RRsets changed", self.update_records.clone());
        registry.register("reads", "Zones read, by what it took", self.reads.clone());
        let exchange = self.exchange.clone();
        registry.register_with_unit("exchange", "Time of exchanges with name servers", Unit::Seconds, exchange);
        registry.register("rejected_records", "RRsets that are rejected now", self.rejected.clone());
        registry.register("records", "Records in the copy of a zone", self.records.clone());
        registry.register("zone_serial", "SOA serial of the copy of a zone", self.serial.clone());
        let (read, apply) = (self.last_read.clone(), self.last_apply.clone());
        let help = "Time of the last complete read of a zone, seconds since 1970";
        registry.register_with_unit("last_read_timestamp", help, Unit::Seconds, read);
        let help = "Time of the last apply that changed a zone, seconds since 1970";
        registry.register_with_unit("last_apply_timestamp", help, Unit::Seconds, apply);
        registry.register("negotiations", "Negotiations of security contexts", self.negotiations.clone());
        registry.register("server_failed", "Whether the last request to a server failed", self.failed.clone());
        let context = self.context_expiry.clone();
        registry.register_with_unit("context_expiry", "Time until the security context ends", Unit::Seconds, context);
        let skew = self.clock_skew.clone();
        registry.register_with_unit("clock_skew", "The server's clock minus ours", Unit::Seconds, skew);
        let ticket = self.ticket_expiry.clone();
        registry.register_with_unit("ticket_expiry", "Time until the Kerberos ticket ends", Unit::Seconds, ticket);
        let body = self.records_body.clone();
        registry.register_with_unit("records_body", "Size of the last answer to GET /records", Unit::Bytes, body);
        let refreshes = self.refreshes.clone();
        registry.register("keep_alive_refreshes", "RRsets that were due for a refresh, by what came of it", refreshes);
        registry.register("keep_alive_records", "RRsets that are kept from ageing", self.kept.clone());
        let overdue = self.overdue.clone();
        registry.register("keep_alive_overdue_records", "RRsets that may be taken out as aged", overdue);
        let (help, next) = ("Time of the next refresh, seconds since 1970", self.next_refresh.clone());
        registry.register_with_unit("keep_alive_next_timestamp", help, Unit::Seconds, next);
    }

    /// Counts an answered webhook request; `class` is `2xx`, `5xx` or a gRPC code.
    pub fn answered(&self, request: Request, class: &str, took: Duration) {
        let Request { api, method } = request;
        self.requests.get_or_create(&RequestLabels { api, method, class: class.to_owned() }).inc();
        self.request_duration.get_or_create(&MethodLabels { api, method }).observe(took.as_secs_f64());
    }

    /// Notes the size in octets of an answer to `GET /records`.
    pub fn listed(&self, octets: usize) {
        self.records_body.set(octets.try_into().unwrap_or(i64::MAX));
    }

    /// Counts an UPDATE message; `rcode` is the server's answer, with `unverified` where nothing proves it, or `none`.
    pub fn updated(&self, zone: String, server: String, rcode: String, took: Duration) {
        self.updates.get_or_create(&UpdateLabels { zone, server, rcode }).inc();
        self.exchange.observe(took.as_secs_f64());
    }

    /// Counts an RRset that was changed.
    pub fn changed(&self, op: &'static str, rtype: String) {
        self.update_records.get_or_create(&ChangeLabels { op, r#type: rtype }).inc();
    }

    /// Counts a zone that was read.
    pub fn read(&self, zone: String, kind: &'static str) {
        self.reads.get_or_create(&ReadLabels { zone, kind }).inc();
    }

    /// Counts RRsets that were refreshed, or were not.
    pub fn refreshed(&self, zone: String, is_done: bool, count: usize) {
        let outcome = if is_done { "refreshed" } else { "failed" };
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.refreshes.get_or_create(&RefreshLabels { zone, outcome }).inc_by(count);
    }

    /// All metrics as text, after taking over what is read at this moment.
    ///
    /// # Errors
    /// Never but for want of memory.
    pub fn scrape(&self, gauges: &Gauges) -> Result<String, fmt::Error> {
        self.take(gauges);
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    fn take(&self, gauges: &Gauges) {
        for zone in &gauges.zones {
            let labels = ZoneLabels { zone: zone.zone.clone() };
            let values = [
                (&self.records, zone.records.and_then(|count| i64::try_from(count).ok())),
                (&self.serial, zone.serial.map(i64::from)),
                (&self.last_read, zone.last_read.and_then(|time| i64::try_from(time).ok())),
                (&self.last_apply, zone.last_apply.and_then(|time| i64::try_from(time).ok())),
            ];
            for (family, value) in values {
                if let Some(value) = value {
                    family.get_or_create(&labels).set(value);
                }
            }
        }
        for server in &gauges.servers {
            let labels = ServerLabels { server: server.server.clone() };
            self.failed.get_or_create(&labels).set(server.failed.into());
            self.context_expiry.get_or_create(&labels).set(server.context_expiry.as_secs_f64());
            if let Some(skew) = server.clock_skew {
                self.clock_skew.get_or_create(&labels).set(f64::from(i32::try_from(skew).unwrap_or(i32::MAX)));
            }
            for (outcome, count) in [("established", server.negotiated), ("failed", server.not_negotiated)] {
                let labels = NegotiationLabels { server: server.server.clone(), outcome };
                let counter = self.negotiations.get_or_create(&labels);
                counter.inc_by(count.saturating_sub(counter.get()));
            }
        }
        if let Some(left) = gauges.ticket_expiry {
            self.ticket_expiry.get_or_create(&[]).set(left.as_secs_f64());
        }
        for kept in &gauges.keep_alive {
            let labels = ZoneLabels { zone: kept.zone.clone() };
            let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
            self.kept.get_or_create(&labels).set(count(kept.records));
            self.overdue.get_or_create(&labels).set(count(kept.overdue));
            match kept.next.and_then(|time| i64::try_from(time).ok()) {
                Some(time) => self.next_refresh.get_or_create(&labels).set(time),
                None => i64::from(self.next_refresh.remove(&labels)),
            };
        }
        self.rejected.clear();
        for &(reason, count) in &gauges.rejected {
            let gauge = self.rejected.get_or_create_owned(&ReasonLabels { reason });
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metrics_have_the_names_that_dashboards_rely_on() {
        let metrics = Metrics::new();
        metrics.answered(Request { api: "http", method: "records" }, "2xx", Duration::from_millis(3));
        metrics.updated("example.test".into(), "ns1.example.test:53".into(), "NOERROR".into(), Duration::ZERO);
        metrics.changed("create", "A".into());
        metrics.read("example.test".into(), "axfr");
        let server = ServerGauges {
            server: "ns1.example.test:53".into(),
            failed: true,
            negotiated: 2,
            not_negotiated: 1,
            context_expiry: Duration::from_secs(9),
            clock_skew: Some(-3),
        };
        let zone = |zone: &str| ZoneGauges {
            zone: zone.into(),
            records: Some(4),
            serial: Some(7),
            last_read: Some(1_800_000_000),
            last_apply: None,
        };
        let second = ZoneGauges { last_apply: Some(1_800_000_001), records: None, ..zone("second.test") };
        let zones = vec![zone("example.test"), second];
        let gauges =
            Gauges { zones, servers: vec![server], ticket_expiry: Some(Duration::from_secs(60)), ..Gauges::default() };
        let text = metrics.scrape(&gauges).and_then(|_| metrics.scrape(&gauges)).unwrap();
        let of_server = r#"server="ns1.example.test:53""#;
        for line in [
            r#"requests_total{api="http",method="records",class="2xx"} 1"#.to_owned(),
            r#"request_duration_seconds_count{api="http",method="records"} 1"#.to_owned(),
            format!(r#"updates_total{{zone="example.test",{of_server},rcode="NOERROR"}} 1"#),
            r#"update_records_total{op="create",type="A"} 1"#.to_owned(),
            r#"reads_total{zone="example.test",kind="axfr"} 1"#.to_owned(),
            "exchange_seconds_count 1".to_owned(),
            r#"records{zone="example.test"} 4"#.to_owned(),
            r#"zone_serial{zone="example.test"} 7"#.to_owned(),
            r#"last_read_timestamp_seconds{zone="example.test"} 1800000000"#.to_owned(),
            r#"last_apply_timestamp_seconds{zone="second.test"} 1800000001"#.to_owned(),
            format!(r#"negotiations_total{{{of_server},outcome="established"}} 2"#),
            format!(r#"negotiations_total{{{of_server},outcome="failed"}} 1"#),
            format!("server_failed{{{of_server}}} 1"),
            format!("context_expiry_seconds{{{of_server}}} 9.0"),
            format!("clock_skew_seconds{{{of_server}}} -3.0"),
            "ticket_expiry_seconds{} 60.0".to_owned(),
            format!(
                r#"build_info{{version="{}",commit="{}",date="{}"}} 1"#,
                env!("CARGO_PKG_VERSION"),
                env!("BUILD_COMMIT"),
                env!("BUILD_DATE")
            ),
        ] {
            assert!(text.contains(&format!("\n{PREFIX}_{line}\n")), "{line} in\n{text}");
        }
        for absent in [r#"_records{zone="second.test"}"#, r#"last_apply_timestamp_seconds{zone="example.test"}"#] {
            assert!(!text.contains(absent), "{absent} in\n{text}");
        }
    }

    #[test]
    fn what_is_kept_from_ageing_is_counted_and_the_next_refresh_is_told_while_there_is_one() {
        let metrics = Metrics::new();
        metrics.refreshed("example.test".into(), true, 5);
        metrics.refreshed("example.test".into(), false, 1);
        let scrape = |next| {
            let kept = KeepAliveGauges { zone: "example.test".into(), records: 3, overdue: 1, next };
            metrics.scrape(&Gauges { keep_alive: vec![kept], ..Gauges::default() }).unwrap()
        };
        let text = scrape(Some(1_800_000_002));
        for line in [
            r#"refreshes_total{zone="example.test",outcome="refreshed"} 5"#,
            r#"refreshes_total{zone="example.test",outcome="failed"} 1"#,
            r#"records{zone="example.test"} 3"#,
            r#"overdue_records{zone="example.test"} 1"#,
            r#"next_timestamp_seconds{zone="example.test"} 1800000002"#,
        ] {
            assert!(text.contains(&format!("\n{PREFIX}_keep_alive_{line}\n")), "{line} in\n{text}");
        }
        assert!(!scrape(None).contains("_next_timestamp_seconds{"));
    }

    #[test]
    fn without_kerberos_no_ticket_is_about_to_end() {
        assert!(!Metrics::new().scrape(&Gauges::default()).unwrap().contains("_ticket_expiry_seconds{"));
    }

    #[test]
    fn a_reason_that_no_longer_holds_is_no_longer_told() {
        let metrics = Metrics::new();
        let rejected = vec![("protected", 2)];
        let text = metrics.scrape(&Gauges { rejected, ..Gauges::default() }).unwrap();
        assert!(text.contains(&format!("\n{PREFIX}_rejected_records{{reason=\"protected\"}} 2\n")), "{text}");
        assert!(!metrics.scrape(&Gauges::default()).unwrap().contains("protected"));
    }
}
