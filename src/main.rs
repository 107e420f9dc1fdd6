//! The sidecar's entry point: settings, Kerberos configuration, logs, then the work.

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use std::{env, fs};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use external_dns_rfc2136_webhook::app;
use external_dns_rfc2136_webhook::check::{self, Report};
use external_dns_rfc2136_webhook::config::{Authentication, Config, Krb5Conf, Loaded, table};
use external_dns_rfc2136_webhook::explain;
use external_dns_rfc2136_webhook::gss::krb5_conf;
use external_dns_rfc2136_webhook::provider::chain;
use external_dns_rfc2136_webhook::telemetry::Telemetry;

/// `EX_CONFIG` of sysexits.h.
const BAD_CONFIGURATION: u8 = 78;
/// Requests wait for name servers and not for processors, and what takes long runs beside the runtime. A second thread
/// would have to be woken in the middle of most requests.
const WORKERS: usize = 1;
/// Longest wait for threads at the end.
const LAST_THREADS: Duration = Duration::from_secs(1);

/// DNS records for ExternalDNS, kept by RFC 2136 updates signed with GSS-TSIG.
#[derive(Parser)]
#[command(version = env!("BUILD_VERSION"))]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand, Clone)]
enum Command {
    /// Serves the webhook (the default).
    Serve,
    /// Checks configuration, Kerberos, servers and zones, and says what to do; exit code 0 or 1.
    ///
    /// Writes one TXT record per zone, and deletes it again.
    Check {
        /// Lines for people, or one JSON document.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
        /// The same as `--output=json`.
        #[arg(long, conflicts_with = "output")]
        json: bool,
    },
    /// Tells what DNS holds at a name, whose it is, why it is rejected, and what a change would do; writes nothing.
    Explain {
        /// The name, such as www.example.com.
        name: String,
        /// A record type; all that are there without it.
        #[arg(value_name = "TYPE")]
        record_type: Option<String>,
        /// Lines for people, or one JSON document.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Prints the effective configuration, secrets redacted.
    Config,
}

#[derive(ValueEnum, Clone, Copy, Default, PartialEq, Eq)]
enum Output {
    #[default]
    Text,
    Json,
}

impl Command {
    const fn wants_json(&self) -> bool {
        matches!(self, Self::Check { output: Output::Json, .. } | Self::Check { json: true, .. })
    }
}

fn main() -> ExitCode {
    let matches = Arguments::command().after_help(table::help()).get_matches();
    let command = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()).command;
    let command = command.unwrap_or(Command::Serve);
    let loaded = match Config::from_environment() {
        Ok(loaded) => loaded,
        Err(problems) => {
            match command {
                Command::Check { .. } => {
                    let report = Report::from(&problems);
                    tell(&if command.wants_json() { json_of(&report) } else { report.to_string() });
                }
                Command::Config | Command::Serve | Command::Explain { .. } => {
                    let _ = writeln!(io::stderr(), "{problems}");
                }
            }
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    match command {
        Command::Check { .. } => with_kerberos(loaded, |loaded| check(&loaded, command.wants_json())),
        Command::Explain { name, record_type, output } => {
            let work = |loaded: Loaded| explain(&loaded.config, &name, record_type.as_deref(), output);
            with_kerberos(loaded, work)
        }
        Command::Config => print(&loaded),
        Command::Serve => with_kerberos(loaded, serve),
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

/// Runs something for which the Kerberos library needs its configuration, and removes what was generated for that.
fn with_kerberos(loaded: Loaded, run: impl FnOnce(Loaded) -> ExitCode) -> ExitCode {
    let generated = match point_to_krb5_conf(&loaded.config) {
        Ok(generated) => generated,
        Err(error) => {
            let base = env::temp_dir();
            let _ = writeln!(
                io::stderr(),
                "KRB5_CONFIG: no krb5.conf can be written below {}: {error}; mount a tmpfs there, or set TMPDIR to one",
                base.display()
            );
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    let code = run(loaded);
    if let Some(directory) = generated.as_deref().and_then(|path| path.parent()) {
        let _ = fs::remove_dir_all(directory);
    }
    code
}

/// Points the Kerberos library to its configuration, and returns the private one that was written for it.
fn point_to_krb5_conf(config: &Config) -> io::Result<Option<PathBuf>> {
    let Authentication::Gss(kerberos) = &config.authentication else { return Ok(None) };
    let (path, generated) = match &kerberos.krb5_conf {
        // Set again, since the library does not remove what surrounds the value.
        Krb5Conf::Own(files) => (PathBuf::from(files.as_str()), None),
        Krb5Conf::Generated { kdcs } => {
            let text = krb5_conf::generate(&kerberos.realm, kdcs);
            let path = krb5_conf::write_private(&env::temp_dir(), std::process::id(), &text)?;
            (path.clone(), Some(path))
        }
    };
    #[expect(unsafe_code, reason = "the Kerberos library takes its configuration from this variable alone")]
    #[expect(clippy::disallowed_methods, reason = "no thread exists yet")]
    // SAFETY: this is the main thread, and no other has been started.
    unsafe {
        env::set_var("KRB5_CONFIG", &path);
    }
    Ok(generated)
}

fn serve(loaded: Loaded) -> ExitCode {
    match run(serve_until_stopped(loaded)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => fail(error.as_ref()),
        Err(error) => fail(&error),
    }
}

async fn serve_until_stopped(loaded: Loaded) -> Result<(), Box<dyn Error>> {
    let Loaded { config, warnings } = loaded;
    let telemetry = Telemetry::start(&config.log_level, config.log_format, config.traces.as_ref())?;
    for warning in warnings.iter().chain(&config.inspect_files()) {
        tracing::warn!("{warning}");
    }
    if config.dry_run {
        tracing::warn!("RFC2136_DRY_RUN: nothing is sent; what would be is printed as nsupdate scripts");
    }
    let served = app::serve(config).await;
    telemetry.close().await;
    Ok(served?)
}

/// The preflight, on standard output: lines as they come, or one JSON document.
fn check(loaded: &Loaded, json: bool) -> ExitCode {
    let mut is_told = true;
    let outcome = run(check::check(loaded, |step| {
        if !json {
            is_told &= tell(&format!("{step}\n"));
        }
    }));
    match outcome {
        Ok(report) => {
            is_told &= tell(&if json { json_of(&report) } else { report.summary() + "\n" });
            if is_told && report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => fail(&error),
    }
}

/// One name, on standard output.
fn explain(config: &Config, name: &str, record_type: Option<&str>, output: Output) -> ExitCode {
    match run(explain::explain(config, name, record_type)) {
        Ok(report) => {
            let text = match output {
                Output::Text => report.to_string(),
                Output::Json => report.to_json().map(|json| json + "\n").unwrap_or_default(),
            };
            if tell(&text) && report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => fail(&error),
    }
}

/// Whether it could be told.
fn tell(text: &str) -> bool {
    let mut stdout = io::stdout();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).is_ok()
}

fn json_of(report: &Report) -> String {
    report.to_json().map(|json| json + "\n").unwrap_or_default()
}

/// Runs this to its end.
fn run<T>(work: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    let outcome = runtime.block_on(work);
    // What other threads still hold of the Kerberos library must be gone before its exit handlers destroy its locks,
    // which else aborts the process. A thread that waits for a silent KDC is not waited for.
    runtime.shutdown_timeout(LAST_THREADS);
    Ok(outcome)
}

fn fail(error: &(dyn Error + 'static)) -> ExitCode {
    let _ = writeln!(io::stderr(), "{}", chain(error));
    ExitCode::FAILURE
}
