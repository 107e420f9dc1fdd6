//! `make bench`: the sidecar and the tools that do the same, on one KDC and one BIND, in one run. Prints and judges nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark fails by panicking")]
#![allow(clippy::print_stdout, reason = "its output is for people")]
#![allow(clippy::disallowed_methods, reason = "it measures time")]

#[path = "../support/mod.rs"]
mod support;

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use support::{Changes, Daemon, Endpoint, Kdc, Named, Place, Settings, Sidecar, Zone, find, program, run, wait_until};

/// Zone of the applies.
const ZONE: &str = "example.test";
/// Zone of the reads, and how many records it holds.
const LARGE: (&str, usize) = ("large.test", 100_000);
/// Records of an apply, each with its registry TXT, and how often it is measured.
const APPLIES: [(usize, usize); 3] = [(1, 20), (1_000, 5), (10_000, 3)];
/// Record sets that both put into one message.
const PER_MESSAGE: usize = 200;

fn main() {
    let bench = Bench::prepare();
    println!("{}\n", machine());
    bench.start();
    bench.idle();
    let profiles = ["auto", "bind"].map(|profile| {
        (
            format!("RFC2136_SERVER_PROFILE={profile}"),
            bench.settings(ZONE).set("RFC2136_SERVER_PROFILE", profile).start(),
        )
    });
    for (records, rounds) in APPLIES {
        bench.apply(&profiles, records, rounds);
    }
    drop(profiles);
    bench.read();
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
    format!("{cores} x {model}, Linux {}, {version}", kernel.trim())
}

fn row(what: &str, sidecar: &str, peer: &str, ratio: &str) {
    println!("{}", format!("{what:<46}{sidecar:>14}{peer:>14}{ratio:>10}").trim_end());
}

fn heading(what: &str, peer: &str) {
    println!();
    row(what, "sidecar", peer, if peer.is_empty() { "" } else { "ratio" });
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

fn compare(what: &str, sidecar: Duration, peer: Duration) {
    let ratio = sidecar.as_secs_f64() / peer.as_secs_f64();
    row(what, &milliseconds(sidecar), &milliseconds(peer), &format!("{ratio:.2}"));
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
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
}

impl Bench {
    fn prepare() -> Self {
        let kdc = Kdc::start();
        let mut records = String::new();
        for index in 0..LARGE.1 / 2 {
            let [_, a, b, c] = u32::try_from(index).unwrap().to_be_bytes();
            writeln!(records, "h{index} A 10.{a}.{b}.{c}").unwrap();
            writeln!(records, "a-h{index} TXT \"heritage=external-dns,external-dns/owner=default\"").unwrap();
        }
        let large = Zone::granted(LARGE.0).records(&records);
        let named = Named::options().quiet().gss(&kdc).zone(Zone::granted(ZONE)).zone(large).start();
        let ccache = kdc.ccache("externaldns", "1h");
        Self { kdc, named, ccache }
    }

    fn settings(&self, zone: &str) -> Settings {
        Settings::keytab(&self.kdc, &self.named, &[zone]).set("LOG_LEVEL", "info")
    }

    /// From starting the process to the answer to `GET /`.
    fn start(&self) {
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
        heading("start", "");
        row("process start to the answer to GET /", &milliseconds(median((0..10).map(once).collect())), "", "");
    }

    /// Resident memory when nothing has been asked yet, and with a large zone in memory.
    fn idle(&self) {
        heading("resident memory", "");
        for (what, zone) in [("idle, a zone of 3 records", ZONE), ("idle, a zone of 100,000 records", LARGE.0)] {
            let sidecar = self.settings(zone).start();
            wait_until("it is ready", Duration::from_secs(60), || sidecar.readyz().0 == 200);
            std::thread::sleep(Duration::from_secs(2));
            row(what, &format!("{:.1} MiB", sidecar.resident() as f64 / f64::from(1 << 20)), "", "");
        }
    }

    fn apply(&self, profiles: &[(String, Sidecar)], records: usize, rounds: usize) {
        let endpoints: Vec<Endpoint> =
            (0..records).map(|index| Endpoint::a(&format!("h{index}.{ZONE}"), &["192.0.2.1"]).ttl(300)).collect();
        let create = endpoints.iter().fold(Changes::new(), Changes::create).body();
        let delete = endpoints.iter().fold(Changes::new(), Changes::delete).body();
        let apply = |sidecar: &Sidecar, body: &str| {
            // As ExternalDNS does before each plan.
            sidecar.records();
            timed(|| assert_eq!(sidecar.post("/records", body).status, 204, "{}", sidecar.log()))
        };
        let [add, remove] = ["add", "delete"].map(|verb| script(verb, &endpoints));
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
        heading(&format!("create {records} A, each with its registry TXT"), "nsupdate -g");
        let peer = median(theirs);
        for ((profile, _), times) in profiles.iter().zip(ours) {
            compare(profile, median(times), peer);
        }
    }

    /// With the ticket in a cache; the sidecar has its own.
    fn nsupdate(&self, script: &str) {
        let mut nsupdate = self.kdc.tool("nsupdate");
        let text = format!("server 127.0.0.1 {}\n{script}", self.named.socket().port());
        let mut child = nsupdate.arg("-g").env("KRB5CCNAME", &self.ccache).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "nsupdate -g");
    }

    fn read(&self) {
        let (zone, records) = LARGE;
        let dig = |arguments: &[&str]| {
            median((0..5).map(|_| timed(|| assert!(self.named.dig(arguments).len() > 50))).collect())
        };
        let whole = dig(&["+noall", "+answer", zone, "AXFR"]);
        heading(&format!("read {records} records"), "dig AXFR");
        let first = |_| timed(|| assert_eq!(self.settings(zone).start().records().len(), records));
        compare("process start to the whole list", median((0..5).map(first).collect()), whole);
        let sidecar = self.settings(zone).start();
        let list = || timed(|| assert!(sidecar.get("/records").status == 200));
        list();
        compare("the list again, zone unchanged", median((0..5).map(|_| list()).collect()), whole);
        let changed = |index| {
            self.named.nsupdate(&format!("update add extra{index}.{zone} 300 A 192.0.2.1"));
            list()
        };
        compare("the list again, one record changed", median((0..5).map(changed).collect()), whole);
    }
}

/// A script for `nsupdate`, as many record sets to a message as the sidecar sends.
fn script(verb: &str, endpoints: &[Endpoint]) -> String {
    let mut text = format!("zone {ZONE}\n");
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
