//! Log lines on standard error, for people or for machines; and traces, where a collector is configured.

use std::io::{self, BufWriter, IsTerminal as _};

use http::HeaderMap;
use thiserror::Error;
use tracing::Span;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{EnvFilter, fmt, registry};

use crate::config::{LogFormat, Traces};

#[cfg(feature = "otlp")]
mod traces;

/// Lines that wait to be written at most; then whoever logs waits for standard error, since none is dropped.
const LINES: usize = 4096;

/// Why there are no logs, or no traces.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// The level is neither a level nor directives.
    #[error("the log level is not understood")]
    Level(#[from] tracing_subscriber::filter::ParseError),
    /// Something else logs already.
    #[error("logs are set up already")]
    Installed(#[from] TryInitError),
    /// The settings of the traces.
    #[cfg(feature = "otlp")]
    #[error("OTEL_EXPORTER_OTLP_*: {0}")]
    Traces(#[from] traces::TracesError),
}

/// Logs and traces under way; to be closed at the very end.
#[derive(Debug)]
pub struct Telemetry {
    #[cfg(feature = "otlp")]
    exporter: Option<traces::Exporter>,
    /// Writes what is left when it goes.
    _lines: WorkerGuard,
}

impl Telemetry {
    /// Starts logging at this level or with these directives, and traces where they are wanted.
    ///
    /// Called within a runtime, on which traces are sent; lines are written by a thread of their own.
    ///
    /// # Errors
    /// When the level or a setting of the traces is not understood, or something else logs already.
    pub fn start(level: &str, format: LogFormat, wanted: Option<&Traces>) -> Result<Self, TelemetryError> {
        let filter = EnvFilter::try_new(level)?;
        let stderr = NonBlockingBuilder::default().lossy(false).buffered_lines_limit(LINES).thread_name("log");
        let (writer, lines) = stderr.finish(BufWriter::new(io::stderr()));
        let layer = fmt::layer().with_writer(writer).with_ansi(io::stderr().is_terminal());
        let layer = match format {
            LogFormat::Text => layer.with_filter(filter).boxed(),
            LogFormat::Json => layer.json().with_filter(filter).boxed(),
        };
        #[cfg(feature = "otlp")]
        {
            let exporter = wanted.map(traces::Exporter::start).transpose()?;
            registry().with(layer).with(exporter.as_ref().map(traces::Exporter::layer)).try_init()?;
            Ok(Self { exporter, _lines: lines })
        }
        #[cfg(not(feature = "otlp"))]
        {
            registry().with(layer).try_init()?;
            if wanted.is_some() {
                tracing::warn!(
                    "OTEL_EXPORTER_OTLP_ENDPOINT has no effect: this build leaves traces out; build with the feature otlp"
                );
            }
            Ok(Self { _lines: lines })
        }
    }

    /// Sends and writes what is left, for a limited time.
    pub async fn close(self) {
        #[cfg(feature = "otlp")]
        if let Some(exporter) = self.exporter {
            exporter.close().await;
        }
    }
}

/// Makes this span, not yet entered, a part of the trace that the caller of a request tells (W3C Trace Context).
pub(crate) fn continue_trace(span: &Span, headers: &HeaderMap) {
    #[cfg(feature = "otlp")]
    traces::continue_trace(span, headers);
    #[cfg(not(feature = "otlp"))]
    let _ = (span, headers);
}
