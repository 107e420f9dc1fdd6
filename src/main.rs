//! The sidecar's entry point: settings, Kerberos configuration, logs, then the work.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use external_dns_rfc2136_webhook::config::{Config, Loaded, table};

/// `EX_CONFIG` of sysexits.h.
const BAD_CONFIGURATION: u8 = 78;

/// DNS records for ExternalDNS, kept by RFC 2136 updates signed with GSS-TSIG.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand, Clone, Copy)]
enum Command {
    /// Serves the webhook (the default).
    Serve,
    /// Prints the effective configuration, secrets redacted.
    Config,
}

fn main() -> ExitCode {
    let matches = Arguments::command().after_help(table::help()).get_matches();
    let command = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()).command;
    let loaded = match Config::from_environment() {
        Ok(loaded) => loaded,
        Err(problems) => {
            let _ = writeln!(io::stderr(), "{problems}");
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    match command.unwrap_or(Command::Serve) {
        Command::Config => print(&loaded),
        Command::Serve => {
            let _ = writeln!(io::stderr(), "serve is not supported yet");
            ExitCode::FAILURE
        }
    }
}

/// Settings to standard output, warnings to standard error.
fn print(loaded: &Loaded) -> ExitCode {
    for warning in loaded.warnings.iter().chain(&loaded.config.inspect_files()) {
        let _ = writeln!(io::stderr(), "warning: {warning}");
    }
    match write!(io::stdout(), "{}", loaded.config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
