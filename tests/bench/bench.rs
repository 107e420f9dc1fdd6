//! `make bench`: the sidecar and the tools that do the same, on one KDC and one BIND, in one run. Judges nothing; what it
//! prints it writes to `tests/bench/RESULTS.md` too. `BENCH=quick` leaves out what takes long, and writes nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark fails by panicking")]
#![allow(clippy::print_stdout, reason = "its output is for people")]
#![allow(clippy::disallowed_methods, reason = "it measures time")]

#[path = "../support/mod.rs"]
mod support;

use std::fmt::{self, Display, Formatter, Write as _};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use support::{Changes, Daemon, Endpoint, Kdc, Named, Place, Settings, Sidecar, Zone, find, program, run, wait_until};

/// Zone of the applies.
const ZONE: &str = "example.test";
/// Zones of the reads, and how many records each holds.
const ZONES: [(&str, usize); 3] = [("thousand.test", 1_000), ("ten-thousand.test", 10_000), ("large.test", 100_000)];
/// Record sets of an apply, each with its registry TXT, and how often it is measured.
const APPLIES: [(usize, usize); 3] = [(1, 20), (1_000, 5), (10_000, 5)];
/// Record sets that both put into one message.
const PER_MESSAGE: usize = 200;
const ROUNDS: usize = 7;

fn main() {
    let is_quick = std::env::var("BENCH").is_ok_and(|form| form == "quick");
    let (zones, applies) = if is_quick { (&ZONES[..2], &APPLIES[..2]) } else { (&ZONES[..], &APPLIES[..]) };
    let mut bench = Bench::prepare(zones);
    bench.start();
    bench.idle(zones);
    let profiles = ["auto", "bind"].map(|profile| {
        (
            format!("RFC2136_SERVER_PROFILE={profile}"),
            bench.settings(ZONE).set("RFC2136_SERVER_PROFILE", profile).start(),
        )
    });
    for (records, rounds) in applies {
        bench.apply(&profiles, *records, *rounds);
    }
    drop(profiles);
    for (zone, records) in zones {
        bench.apply_one(zone, *records);
    }
    for (zone, records) in zones {
        bench.read(zone, *records);
    }
    if !is_quick {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/RESULTS.md");
        std::fs::write(file, bench.report.markdown()).unwrap();
    }
}

/// What this ran on.
fn machine() -> String {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("?", |(_, m)| m);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    let named = run(std::process::Command::new(find("named")).arg("-v"));
    let version = named.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    let ours = run(std::process::Command::new(program()).arg("--version"));
    format!("{cores} x {model}, Linux {}, {version}, {}", kernel.trim(), ours.trim())
}

/// What was measured, printed as it comes.
#[derive(Default)]
struct Report {
    rows: Vec<[String; 4]>,
}

impl Report {
    fn row(&mut self, what: &str, sidecar: &str, peer: &str, ratio: &str) {
        println!("{}", format!("{what:<52}{sidecar:>26}{peer:>38}{ratio:>8}").trim_end());
        self.rows.push([what, sidecar, peer, ratio].map(str::to_owned));
    }

    fn compare(&mut self, what: &str, sidecar: &Times, peer: (&str, &Times)) {
        let ratio = sidecar.median().as_secs_f64() / peer.1.median().as_secs_f64();
        self.row(what, &sidecar.to_string(), &format!("{}: {}", peer.0, peer.1), &format!("{ratio:.2}"));
    }

    fn markdown(&self) -> String {
        let mut text = format!(
            "# Results of one run of `make bench`\n\n{}. Medians, with minimum and maximum in parentheses; the ratio is that \
             of the medians.\n\n| | sidecar | peer | ratio |\n|---|---|---|---|\n",
            machine()
        );
        for row in &self.rows {
            writeln!(text, "| {} |", row.join(" | ")).unwrap();
        }
        text
    }
}

/// Times of the same work, at least one.
struct Times(Vec<Duration>);

impl Times {
    fn of(rounds: usize, work: impl FnMut(usize) -> Duration) -> Self {
        Self((0..rounds).map(work).collect())
    }

    fn median(&self) -> Duration {
        let mut times = self.0.clone();
        times.sort_unstable();
        times[times.len() / 2]
    }
}

impl Display for Times {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let milliseconds = |time: &Duration| format!("{:.1}", time.as_secs_f64() * 1e3);
        let [least, most] = [self.0.iter().min().unwrap(), self.0.iter().max().unwrap()].map(milliseconds);
        write!(f, "{} ms ({least}\u{2013}{most})", milliseconds(&self.median()))
    }
}

fn mebibytes(octets: u64) -> String {
    format!("{:.1} MiB", octets as f64 / f64::from(1 << 20))
}

fn timed(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

struct Bench {
    kdc: Kdc,
    named: Named,
    ccache: PathBuf,
    report: Report,
}

impl Bench {
    fn prepare(zones: &[(&str, usize)]) -> Self {
        println!("{}\n", machine());
        let kdc = Kdc::start();
        let mut options = Named::options().quiet().gss(&kdc).zone(Zone::granted(ZONE));
        for (zone, records) in zones {
            let mut text = String::new();
            for index in 0..records / 2 {
                let [_, a, b, c] = u32::try_from(index).unwrap().to_be_bytes();
                writeln!(text, "h{index} A 10.{a}.{b}.{c}").unwrap();
                writeln!(text, "a-h{index} TXT \"heritage=external-dns,external-dns/owner=default\"").unwrap();
            }
            options = options.zone(Zone::granted(zone).records(&text));
        }
        let named = options.start();
        let ccache = kdc.ccache("externaldns", "1h");
        Self { kdc, named, ccache, report: Report::default() }
    }

    fn settings(&self, zone: &str) -> Settings {
        Settings::keytab(&self.kdc, &self.named, &[zone]).set("LOG_LEVEL", "info")
    }

    /// From starting the process to the answer to `GET /`.
    fn start(&mut self) {
        let once = |_| {
            let place = Place::free();
            let settings = self.settings(ZONE).set("WEBHOOK_LISTEN", &place.socket().to_string());
            let mut command = Daemon::command(program());
            command.envs(settings.variables()).stdout(Stdio::null()).stderr(Stdio::null());
            let began = Instant::now();
            let _sidecar = Daemon::spawn(&mut command);
            let mut connection = loop {
                match TcpStream::connect(place.socket()) {
                    Ok(connection) => break connection,
                    Err(_) => std::thread::sleep(Duration::from_micros(200)),
                }
            };
            connection.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            assert!(connection.read(&mut [0; 1024]).unwrap() > 0);
            began.elapsed()
        };
        let times = Times::of(10, once);
        self.report.row("process start to the answer to `GET /`", &times.to_string(), "", "");
    }

    /// Resident memory when nothing has been asked yet.
    fn idle(&mut self, zones: &[(&str, usize)]) {
        for (zone, records) in [(ZONE, 3)].iter().chain(zones) {
            let sidecar = self.settings(zone).start();
            wait_until("it is ready", Duration::from_secs(60), || sidecar.readyz().0 == 200);
            std::thread::sleep(Duration::from_secs(2));
            let (idle, peak) = (mebibytes(sidecar.resident()), mebibytes(sidecar.peak()));
            self.report.row(&format!("resident memory, idle, a zone of {records} records"), &idle, "", "");
            self.report.row("the most of it until then", &peak, "", "");
        }
    }

    fn apply(&mut self, profiles: &[(String, Sidecar)], records: usize, rounds: usize) {
        let endpoints = endpoints(ZONE, records);
        let [create, delete] = bodies(&endpoints);
        let [add, remove] = ["add", "delete"].map(|verb| script(ZONE, verb, &endpoints));
        let mut ours = vec![Vec::new(); profiles.len()];
        let mut theirs = Vec::new();
        for _ in 0..rounds {
            for ((_, sidecar), times) in profiles.iter().zip(&mut ours) {
                times.push(apply(sidecar, &create));
                apply(sidecar, &delete);
            }
            theirs.push(timed(|| self.nsupdate(&add)));
            self.nsupdate(&remove);
        }
        let theirs = Times(theirs);
        for ((profile, _), times) in profiles.iter().zip(ours) {
            let what = format!("create {records} A, `{profile}`");
            self.report.compare(&what, &Times(times), ("`nsupdate -g`", &theirs));
        }
    }

    /// What one record costs in a zone that holds many.
    fn apply_one(&mut self, zone: &str, records: usize) {
        let sidecar = self.settings(zone).start();
        let endpoints = [Endpoint::a(&format!("one.{zone}"), &["192.0.2.1"]).ttl(300)];
        let [create, delete] = bodies(&endpoints);
        let [add, remove] = ["add", "delete"].map(|verb| script(zone, verb, &endpoints));
        let ours = Times::of(20, |_| {
            let created = apply(&sidecar, &create);
            apply(&sidecar, &delete);
            created
        });
        let theirs = Times::of(20, |_| {
            let created = timed(|| self.nsupdate(&add));
            self.nsupdate(&remove);
            created
        });
        self.report.compare(&format!("create 1 A in a zone of {records}"), &ours, ("`nsupdate -g`", &theirs));
    }

    /// With the ticket in a cache; the sidecar has its own.
    fn nsupdate(&self, script: &str) {
        let mut nsupdate = self.kdc.tool("nsupdate");
        let text = format!("server 127.0.0.1 {}\n{script}", self.named.socket().port());
        let mut child = nsupdate.arg("-g").env("KRB5CCNAME", &self.ccache).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "nsupdate -g");
    }

    fn read(&mut self, zone: &str, records: usize) {
        let dig = |_| timed(|| assert!(self.named.dig(&["+noall", "+answer", zone, "AXFR"]).len() > 50));
        let whole = Times::of(ROUNDS, dig);
        let compare = |report: &mut Report, what: &str, times: &Times| {
            report.compare(&format!("read {records} records, {what}"), times, ("`dig AXFR`", &whole));
        };
        let list = |sidecar: &Sidecar| timed(|| assert_eq!(sidecar.get("/records").status, 200));
        let mut peak = 0;
        let first = Times::of(ROUNDS, |_| {
            let began = Instant::now();
            let sidecar = self.settings(zone).start();
            list(&sidecar);
            let took = began.elapsed();
            peak = peak.max(sidecar.peak());
            took
        });
        compare(&mut self.report, "from process start", &first);
        let sidecar = self.settings(zone).start();
        list(&sidecar);
        compare(&mut self.report, "again, zone unchanged", &Times::of(ROUNDS, |_| list(&sidecar)));
        for changes in [1, 10] {
            let changed = Times::of(ROUNDS, |round| {
                let add = |index| format!("update add extra{round}-{changes}-{index}.{zone} 300 A 192.0.2.1\n");
                self.named.nsupdate(&(0..changes).map(add).collect::<String>());
                list(&sidecar)
            });
            compare(&mut self.report, &format!("again, {changes} added elsewhere"), &changed);
        }
        self.report.row("the most memory after the first read", &mebibytes(peak), "", "");
    }
}

fn endpoints(zone: &str, records: usize) -> Vec<Endpoint> {
    (0..records).map(|index| Endpoint::a(&format!("h{index}.{zone}"), &["192.0.2.1"]).ttl(300)).collect()
}

/// The bodies that create and that delete these, each with its registry TXT.
fn bodies(endpoints: &[Endpoint]) -> [String; 2] {
    let create = endpoints.iter().fold(Changes::new(), Changes::create).body();
    [create, endpoints.iter().fold(Changes::new(), Changes::delete).body()]
}

fn apply(sidecar: &Sidecar, body: &str) -> Duration {
    // As ExternalDNS does before each plan.
    sidecar.get("/records");
    timed(|| assert_eq!(sidecar.post("/records", body).status, 204, "{}", sidecar.log()))
}

/// A script for `nsupdate`, as many record sets to a message as the sidecar sends.
fn script(zone: &str, verb: &str, endpoints: &[Endpoint]) -> String {
    let mut text = format!("zone {zone}\n");
    for message in endpoints.chunks(PER_MESSAGE / 2) {
        for endpoint in message {
            for Endpoint { name, record_type, targets, .. } in [endpoint, &endpoint.registry_txt()] {
                writeln!(text, "update {verb} {name}. 300 {record_type} {}", targets[0]).unwrap();
            }
        }
        text.push_str("send\n");
    }
    text
}
