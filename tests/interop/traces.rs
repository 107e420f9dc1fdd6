//! Traces over OTLP, to a collector of the test's own.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use tonic::{Request, Response, Status};

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

use crate::support::{Changes, Directory, Endpoint, Kdc, Named, Settings, find, run, wait_until};

const ZONE: &str = "example.test";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// A span as it was received.
#[derive(Debug, Clone)]
struct Span {
    trace: String,
    id: String,
    parent: String,
    name: String,
    service: String,
    failed: bool,
    attributes: BTreeMap<String, String>,
}

impl Span {
    fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map(String::as_str).unwrap_or_default()
    }
}

#[derive(Clone, Default)]
struct Received(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Received {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut spans = self.0.lock().unwrap();
        for resource in request.into_inner().resource_spans {
            let service = texts(&resource.resource.unwrap().attributes).remove("service.name").unwrap_or_default();
            let of_all = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            spans.extend(of_all.map(|span| Span {
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                name: span.name,
                service: service.clone(),
                failed: span.status.is_some_and(|status| status.code == 2),
                attributes: texts(&span.attributes),
            }));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: Option<AnyValue>| match value.and_then(|value| value.value) {
        Some(any_value::Value::StringValue(text)) => text,
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes.iter().map(|attribute| (attribute.key.clone(), text(attribute.value.clone()))).collect()
}

/// A collector that keeps what it gets.
struct Collector {
    address: SocketAddr,
    received: Received,
    runtime: tokio::runtime::Runtime,
}

/// Takes connections over TLS.
struct Tls(tokio::net::TcpListener, TlsAcceptor);

impl axum::serve::Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, address) = self.0.accept().await.unwrap();
            if let Ok(stream) = self.1.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Collector {
    fn new() -> (Self, tokio::net::TcpListener) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let received = Received::default();
        let listener = runtime.block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = listener.local_addr().unwrap();
        (Self { address, received, runtime }, listener)
    }

    fn start() -> Self {
        let (collector, listener) = Self::new();
        collector.serve(listener);
        collector
    }

    /// With a certificate for its address, and where that is.
    fn start_tls(directory: &Directory) -> (Self, String) {
        let [certificate, key] = ["collector.pem", "collector.key"].map(|name| directory.join(name));
        run(Command::new(find("openssl"))
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=collector.test"])
            .args(["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"])
            .arg("-out")
            .arg(&certificate)
            .arg("-keyout")
            .arg(&key));
        let chain = vec![CertificateDer::from_pem_file(&certificate).unwrap()];
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::from_pem_file(&key).unwrap())
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let (collector, listener) = Self::new();
        collector.serve(Tls(listener, TlsAcceptor::from(Arc::new(config))));
        (collector, certificate.to_str().unwrap().to_owned())
    }

    fn serve<L: axum::serve::Listener<Addr = SocketAddr>>(&self, listener: L) {
        let router = tonic::service::Routes::new(TraceServiceServer::new(self.received.clone())).into_axum_router();
        self.runtime.spawn(async move { axum::serve(listener, router).await });
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn spans(&self) -> Vec<Span> {
        self.received.0.lock().unwrap().clone()
    }
}

fn one() -> Changes {
    Changes::new().create(&Endpoint::a("www.example.test", &["192.0.2.1"]))
}

/// Traces are sent soon.
fn traced(kdc: &Kdc, named: &Named, endpoint: &str) -> Settings {
    Settings::keytab(kdc, named, &[ZONE])
        .set("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .set("OTEL_BSP_SCHEDULE_DELAY", "100")
}

#[test]
fn a_reconcile_is_part_of_its_callers_trace_down_to_each_exchange_however_it_is_run() {
    let (kdc, collector) = (Kdc::start(), Collector::start());
    let named = Named::example(&kdc);
    let sidecar = traced(&kdc, &named, &collector.url()).start();
    sidecar.records();
    let parent = format!("00-{TRACE}-{CALLER}-01");
    assert_eq!(sidecar.post_traced("/records", &one().body(), &parent).status, 204);
    sidecar.records();
    // What has been traced until then is sent at the end.
    sidecar.sigterm();

    let spans = collector.spans();
    let all = |name: &str, parent: &Span| -> Vec<Span> {
        spans.iter().filter(|span| span.name == name && span.parent == parent.id).cloned().collect()
    };
    let of = |method: &str| {
        let mut found = spans.iter().filter(|span| span.name == "reconcile" && span.attribute("method") == method);
        found.next().unwrap_or_else(|| panic!("{method}: {spans:#?}")).clone()
    };
    let apply = of("apply_changes");
    assert_eq!((apply.trace.as_str(), apply.parent.as_str()), (TRACE, CALLER));
    assert_eq!((apply.attribute("class"), apply.service.as_str()), ("2xx", env!("CARGO_PKG_NAME")));
    let [zone] = &all("zone", &apply)[..] else { panic!("one span for the zone: {spans:#?}") };
    assert_eq!(zone.attribute("zone"), ZONE);
    let exchanges = all("exchange", zone);
    let update = exchanges.iter().find(|exchange| exchange.attribute("asked") == "UPDATE").unwrap();
    assert_eq!((update.attribute("rcode"), update.trace.as_str(), update.failed), ("NOERROR", TRACE, false));
    assert_eq!(update.attribute("server"), named.server());
    for octets in ["sent_bytes", "received_bytes"] {
        assert!(update.attribute(octets).parse::<usize>().unwrap() > 100, "{update:?}");
    }

    // A zone is read in a task of its own.
    let reads = spans.iter().filter(|span| span.name == "reconcile" && span.attribute("method") == "records");
    let zones: Vec<Span> = reads.flat_map(|read| all("zone", read)).collect();
    let asked: BTreeSet<String> =
        zones.iter().flat_map(|zone| all("exchange", zone)).map(|span| span.attribute("asked").to_owned()).collect();
    assert!(asked.contains("SOA") && asked.contains("IXFR"), "{spans:#?}");
    // Probes are no trace of their own.
    let roots = spans.iter().filter(|span| span.parent.is_empty());
    assert!(roots.clone().count() > 0 && roots.clone().all(|span| span.name == "reconcile"), "{spans:#?}");
}

#[test]
fn a_collector_behind_tls_is_believed_by_its_certificate_alone() {
    let (kdc, directory) = (Kdc::start(), Directory::new());
    let named = Named::example(&kdc);
    let (collector, certificate) = Collector::start_tls(&directory);
    let settings = traced(&kdc, &named, &format!("https://{}", collector.address));
    let known = settings.clone().set("OTEL_EXPORTER_OTLP_CERTIFICATE", &certificate).start();
    known.records();
    known.sigterm();
    let spans = collector.spans().len();
    assert!(spans > 0);

    let elsewhere = Directory::new();
    let (_other, certificate) = Collector::start_tls(&elsewhere);
    let unknown = settings.clone().set("OTEL_EXPORTER_OTLP_CERTIFICATE", &certificate).start();
    unknown.records();
    let is_said = || unknown.logged("BatchSpanProcessor.ExportError") > 0;
    wait_until("the log says so", Duration::from_secs(10), is_said);
    unknown.sigterm();
    assert_eq!(collector.spans().len(), spans);

    let (code, said) = settings.set("OTEL_EXPORTER_OTLP_CERTIFICATE", "/no/such.pem").run();
    assert_eq!(code, Some(1));
    assert!(said.contains("OTEL_EXPORTER_OTLP") && said.contains("/no/such.pem"), "{said}");
}

#[test]
fn what_failed_is_said_to_have_failed() {
    let (kdc, collector) = (Kdc::start(), Collector::start());
    let mut named = Named::example(&kdc);
    let sidecar = traced(&kdc, &named, &collector.url()).start();
    sidecar.records();
    named.kill();
    assert_eq!(sidecar.apply(&one()), 503);
    sidecar.sigterm();
    let spans = collector.spans();
    let failed = |name: &str| spans.iter().any(|span| span.name == name && span.failed);
    assert!(failed("reconcile") && failed("exchange"), "{spans:#?}");
}

#[test]
fn a_collector_that_is_silent_or_away_holds_up_neither_records_nor_the_end() {
    let kdc = Kdc::start();
    let named = Named::example(&kdc);
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    for address in [silent.local_addr().unwrap(), gone] {
        let sidecar = traced(&kdc, &named, &format!("http://{address}")).start();
        let name = format!("h{}.{ZONE}", address.port());
        let start = Instant::now();
        assert_eq!(sidecar.apply(&Changes::new().create(&Endpoint::a(&name, &["192.0.2.1"]))), 204);
        assert!(start.elapsed() < Duration::from_secs(3), "{}", sidecar.log());
        if address == gone {
            let is_said = || sidecar.log().contains("BatchSpanProcessor.ExportError");
            wait_until("the log says so", Duration::from_secs(10), is_said);
        }
        let (code, took) = sidecar.sigterm();
        assert_eq!(code, Some(0));
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
}
