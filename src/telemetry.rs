//! Log lines on standard error, for people or for machines.

use std::io::{self, IsTerminal as _};

use thiserror::Error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::TryInitError;

use crate::config::LogFormat;

/// Why there are no logs.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// The level is neither a level nor directives.
    #[error("the log level is not understood")]
    Level(#[from] tracing_subscriber::filter::ParseError),
    /// Something else logs already.
    #[error("logs are set up already")]
    Installed(#[from] TryInitError),
}

/// Starts logging at this level or with these directives.
///
/// # Errors
/// When the level is not understood, or something else logs already.
pub fn start(level: &str, format: LogFormat) -> Result<(), TelemetryError> {
    use tracing_subscriber::util::SubscriberInitExt;

    let filter = EnvFilter::try_new(level)?;
    let lines =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    match format {
        LogFormat::Text => lines.finish().try_init()?,
        LogFormat::Json => lines.json().finish().try_init()?,
    }
    Ok(())
}
