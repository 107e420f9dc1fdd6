//! Traces over OTLP: what a reconcile asked of which zone and server, and how each answered.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use http::uri::Scheme;
use http::{HeaderMap, HeaderName};
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use thiserror::Error;
use tokio::task::spawn_blocking;
use tracing::{Level, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, dynamic_filter_fn};
use tracing_subscriber::registry::LookupSpan;

use crate::config::Traces;

/// Spans that may begin a trace. Probes ask a server every few seconds, which nobody wants to see there.
const FIRST: [&str; 2] = ["reconcile", "keep_alive"];
/// Longest wait for a collector at the end, since shutting down must not take long.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why no traces can be sent.
#[derive(Debug, Error)]
pub enum TracesError {
    /// The file of certification authorities.
    #[error("{} cannot be read", .0.display())]
    Certificate(PathBuf, #[source] io::Error),
    /// What the exporter says of its settings.
    #[error(transparent)]
    Exporter(#[from] ExporterBuildError),
}

/// What sends traces to the collector.
#[derive(Debug)]
pub(super) struct Exporter(SdkTracerProvider);

impl Exporter {
    /// Begins to collect spans; nothing is sent yet. Called within the runtime on which they are sent.
    pub(super) fn start(wanted: &Traces) -> Result<Self, TracesError> {
        let mut exporter = SpanExporter::builder().with_tonic().with_endpoint(wanted.endpoint.to_string());
        if wanted.endpoint.scheme() == Some(&Scheme::HTTPS) {
            exporter = exporter.with_tls_config(tls(wanted)?);
        }
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter.build()?).with_resource(resource());
        Ok(Self(provider.build()))
    }

    /// What turns spans of this program into those of traces, and warnings into their events.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let ours = dynamic_filter_fn(|metadata, context| {
            metadata.target().starts_with(env!("CARGO_CRATE_NAME"))
                && if metadata.is_span() {
                    *metadata.level() <= Level::INFO
                        && (FIRST.contains(&metadata.name()) || context.lookup_current().is_some())
                } else {
                    *metadata.level() <= Level::WARN
                }
        });
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer(env!("CARGO_PKG_NAME")))
            .with_location(false)
            .with_threads(false)
            .with_level(true)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(ours.with_max_level_hint(LevelFilter::INFO))
    }

    /// Sends what is left. The exporter waits for its own thread, and so on none of the runtime's.
    pub(super) async fn close(self) {
        let closing = spawn_blocking(move || self.0.shutdown_with_timeout(FAREWELL));
        match tokio::time::timeout(FAREWELL, closing).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "the last traces were not sent"),
            Ok(Err(_)) | Err(_) => tracing::warn!("the last traces were not sent: the collector is silent"),
        }
    }
}

fn tls(wanted: &Traces) -> Result<ClientTlsConfig, TracesError> {
    let Some(path) = &wanted.certificate else { return Ok(ClientTlsConfig::new().with_enabled_roots()) };
    let pem = fs::read(path).map_err(|error| TracesError::Certificate(path.clone(), error))?;
    Ok(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)))
}

/// Who we are: `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` say it, or our own name.
fn resource() -> Resource {
    let given = Resource::builder().build();
    let name = opentelemetry::Key::from_static_str("service.name");
    let is_named = given.get(&name).is_some_and(|value| !value.as_str().starts_with("unknown_service"));
    let builder =
        Resource::builder().with_attribute(opentelemetry::KeyValue::new("service.version", env!("BUILD_VERSION")));
    if is_named { builder.build() } else { builder.with_service_name(env!("CARGO_PKG_NAME")).build() }
}

pub(super) fn continue_trace(span: &Span, headers: &HeaderMap) {
    let context = TraceContextPropagator::new().extract(&Headers(headers));
    if context.span().span_context().is_valid() {
        // Without an exporter there is no trace to be a part of.
        let _ = span.set_parent(context);
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}
