//! `make bench`: the sidecar and the tools that do the same, on one KDC and one BIND, in one run. Judges nothing; what it
//! prints it writes to `tests/bench/RESULTS.md` too. `BENCH=quick` leaves out what takes long, `BENCH="one read"` measures
//! these parts only; both write nothing.
//!
//! Its peers: `nsupdate -g`; ExternalDNS's own rfc2136 provider, where there is Go; clients with nothing around them,
//! which show what the server can do; and `dig`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark fails by panicking")]
#![allow(clippy::print_stdout, reason = "its output is for people")]
#![allow(clippy::disallowed_methods, reason = "it measures time")]

mod bare;
mod distance;
mod intree;
#[path = "../support/mod.rs"]
mod support;

use std::fmt::{self, Display, Formatter, Write as _};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use intree::InTree;
use support::{
    Changes, Daemon, Endpoint, Forwarder, Kdc, Named, Place, Settings, Sidecar, Zone, find, program, run, wait_until,
};

/// Zone of the applies.
const ZONE: &str = "example.test";
/// Everybody may change it, unsigned too.
const OPEN: &str = "open.test";
/// Zones of the reads, and how many records each holds.
const ZONES: [(&str, usize); 4] =
    [("thousand.test", 1_000), ("ten-thousand.test", 10_000), ("large.test", 100_000), ("million.test", 1_000_000)];
/// The in-tree provider's reads take time with the square of this.
const MOST_IN_TREE: usize = 100_000;
/// Record sets that all put into one message.
const PER_MESSAGE: usize = 200;
/// What the in-tree provider puts into one unless told otherwise.
const PER_MESSAGE_IN_TREE: usize = 50;
/// The server that is not on this machine.
const ROUND_TRIP: Duration = Duration::from_millis(5);
/// What can be measured by itself.
const PARTS: [&str; 7] = ["start", "one", "apply", "far", "ceiling", "idle", "read"];

fn main() {
    let wish = Wish::read();
    let zones = if wish.is_quick { &ZONES[..2] } else { &ZONES[..] };
    let mut bench = Bench::prepare(zones);
    if wish.wants("start") {
        bench.start();
    }
    // What takes a millisecond comes first: a virtual machine may get less of its processor after some busy minutes.
    if wish.wants("one") {
        zones.iter().for_each(|(zone, records)| bench.apply_one(zone, *records));
    }
    let near = bench.named.socket();
    if wish.wants("apply") {
        for (records, rounds) in wish.unless_quick(&[(1, 20), (100, 5), (10_000, 5)], &[(1, 20), (1_000, 5)]) {
            bench.apply(*records, *rounds, ("", near));
        }
    }
    if wish.wants("far") {
        let far = distance::line(near, ROUND_TRIP);
        for (records, rounds) in wish.unless_quick(&[(1, 10), (10_000, 3)], &[(1, 5)]) {
            bench.apply(*records, *rounds, (", 5 ms away", far));
        }
    }
    if wish.wants("ceiling") {
        bench.ceiling(if wish.is_quick { 1_000 } else { 10_000 });
    }
    if wish.wants("idle") {
        bench.idle(zones);
    }
    if wish.wants("read") {
        zones.iter().for_each(|(zone, records)| bench.read(zone, *records));
    }
    if wish.is_whole() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/RESULTS.md");
        fs::write(file, bench.report.markdown()).unwrap();
    }
}

/// What `BENCH` asks for: `quick` for small zones, and the names of the parts to be measured; else all.
struct Wish {
    is_quick: bool,
    parts: Vec<String>,
}

impl Wish {
    fn read() -> Self {
        let words: Vec<String> =
            std::env::var("BENCH").unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        let (quick, parts): (Vec<_>, Vec<_>) = words.into_iter().partition(|word| word == "quick");
        let unknown = parts.iter().find(|part| !PARTS.contains(&part.as_str()));
        assert!(unknown.is_none(), "BENCH knows `quick` and {PARTS:?}, but not {unknown:?}");
        Self { is_quick: !quick.is_empty(), parts }
    }

    fn wants(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|wanted| wanted == part)
    }

    fn is_whole(&self) -> bool {
        !self.is_quick && self.parts.is_empty()
    }

    fn unless_quick<T>(&self, whole: &'static [T], quick: &'static [T]) -> &'static [T] {
        if self.is_quick { quick } else { whole }
    }
}

/// What this ran on.
fn machine() -> String {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
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

/// Processor time of a process, or of the children of this one that have ended.
fn cpu(pid: Option<u32>) -> Duration {
    let stat = fs::read_to_string(pid.map_or_else(|| "/proc/self/stat".to_owned(), |pid| format!("/proc/{pid}/stat")));
    // proc(5): utime and stime are fields 14 and 15, those of children the next two, all in hundredths of a second.
    let fields: Vec<u64> =
        stat.unwrap().rsplit(") ").next().unwrap().split(' ').map_while(|f| f.parse().ok().or(Some(0))).collect();
    let first = if pid.is_some() { 11 } else { 13 };
    Duration::from_millis((fields[first] + fields[first + 1]) * 10)
}

struct Bench {
    kdc: Kdc,
    named: Named,
    ccache: PathBuf,
    has_go: bool,
    report: Report,
}

impl Bench {
    fn prepare(zones: &[(&str, usize)]) -> Self {
        println!("{}\n", machine());
        let kdc = Kdc::start();
        let mut options = Named::options().quiet().keytab(&keytab(&kdc)).zone(Zone::granted(ZONE));
        options = options.zone(Zone::new(OPEN).allow_update("any;"));
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
        let has_go = InTree::build().is_some();
        if !has_go {
            println!("ExternalDNS's own provider is left out: there is no Go to build it");
        }
        Self { kdc, named, ccache, has_go, report: Report::default() }
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

    /// By everybody in turn, over a line.
    fn apply(&mut self, records: usize, rounds: usize, (where_, server): (&str, SocketAddr)) {
        let endpoints = endpoints(ZONE, records);
        let [create, delete] = bodies(&endpoints);
        let [add, remove] = ["add", "delete"].map(|verb| script(ZONE, verb, &endpoints));
        let profiles = ["auto", "bind"].map(|profile| (profile, self.sidecar(server, profile)));
        let mut ours = [Vec::new(), Vec::new()];
        let (mut theirs, mut their_cpu) = (Vec::new(), Duration::ZERO);
        let before = cpu(Some(profiles[0].1.pid()));
        for _ in 0..rounds {
            for ((_, sidecar), times) in profiles.iter().zip(&mut ours) {
                times.push(apply(sidecar, &create));
                apply(sidecar, &delete);
            }
            let before = cpu(None);
            theirs.push(timed(|| self.nsupdate(server, &add)));
            self.nsupdate(server, &remove);
            their_cpu += cpu(None) - before;
        }
        let our_cpu = cpu(Some(profiles[0].1.pid())) - before;
        let theirs = Times(theirs);
        let [auto, bind] = ours.map(Times);
        let what = format!("create {records} A{where_}");
        self.report.compare(&what, &auto, ("`nsupdate -g`", &theirs));
        self.report.compare(&format!("{what}, `RFC2136_SERVER_PROFILE=bind`"), &bind, ("`nsupdate -g`", &theirs));
        if records > 1_000 {
            let rounds = u32::try_from(rounds).unwrap();
            let (ours, theirs) = (our_cpu / rounds, their_cpu / rounds);
            self.report.compare(
                "processor time of that, deleted again",
                &Times(vec![ours]),
                ("`nsupdate -g`", &Times(vec![theirs])),
            );
        }
        for (size, is_usual) in [(PER_MESSAGE_IN_TREE, true), (PER_MESSAGE, false)] {
            let rounds = if where_.is_empty() { rounds.min(3) } else { 1 };
            if let Some(times) = self.in_tree(server, records, size, rounds) {
                let peer = if is_usual { "in-tree, its defaults" } else { "in-tree, 200 a message" };
                self.report.compare(&what, &auto, (peer, &times));
            }
        }
    }

    fn sidecar(&self, server: SocketAddr, profile: &str) -> Sidecar {
        let server = format!("{}@{server}", self.named.host());
        self.settings(ZONE).servers(&[&server], &[ZONE]).set("RFC2136_SERVER_PROFILE", profile).start()
    }

    /// ExternalDNS's own provider, without ExternalDNS.
    fn in_tree(&self, server: SocketAddr, records: usize, size: usize, rounds: usize) -> Option<Times> {
        let mut peer = self.has_go.then(|| InTree::start(&self.kdc, server))?;
        Some(Times::of(rounds, |_| {
            let took = peer.ask(&format!("create {ZONE} {records} {size}"));
            peer.ask(&format!("delete {ZONE} {records} {PER_MESSAGE}"));
            took
        }))
    }

    /// What the server can do: the messages that the sidecar has sent, sent again without signatures.
    fn ceiling(&mut self, records: usize) {
        let endpoints = endpoints(OPEN, records);
        let [create, delete] = bodies(&endpoints);
        let way = Forwarder::start(self.named.socket());
        let sidecar = self.settings(OPEN).servers(&[&way.server(self.named.host())], &[OPEN]).start();
        apply(&sidecar, &create);
        let signed: Vec<Vec<u8>> = way.updates().into_iter().map(|message| message.bytes).collect();
        apply(&sidecar, &delete);
        drop(sidecar);
        let messages = bare::unsigned(&signed);
        let sidecar = self.settings(OPEN).start();
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..5 {
            ours.push(apply(&sidecar, &create));
            apply(&sidecar, &delete);
            theirs.push(bare::send(self.named.socket(), &messages));
            apply(&sidecar, &delete);
        }
        self.report.compare(
            &format!("create {records} A"),
            &Times(ours),
            ("the same messages, unsigned", &Times(theirs)),
        );
    }

    /// What one record costs in a zone that holds many.
    fn apply_one(&mut self, zone: &str, records: usize) {
        let sidecar = self.settings(zone).start();
        let endpoints = [Endpoint::a(&format!("one.{zone}"), &["192.0.2.1"]).ttl(300)];
        let [create, delete] = bodies(&endpoints);
        let [add, remove] = ["add", "delete"].map(|verb| script(zone, verb, &endpoints));
        let server = self.named.socket();
        let exchanges = bare::Exchanges::new(server, zone);
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..20 {
            ours.push(apply(&sidecar, &create));
            apply(&sidecar, &delete);
            // The list before an apply leaves the caches cold; so it does before the peer's.
            sidecar.get("/records");
            bare.push(exchanges.once());
        }
        let [ours, bare] = [ours, bare].map(Times);
        let theirs = Times::of(20, |_| {
            let created = timed(|| self.nsupdate(server, &add));
            self.nsupdate(server, &remove);
            created
        });
        let what = format!("create 1 A in a zone of {records}");
        self.report.compare(&what, &ours, ("one signed exchange", &bare));
        self.report.compare(&what, &ours, ("`nsupdate -g`", &theirs));
    }

    /// With the ticket in a cache; the sidecar has its own.
    fn nsupdate(&self, server: SocketAddr, script: &str) {
        let mut nsupdate = self.kdc.tool("nsupdate");
        let text = format!("server {} {}\n{script}", server.ip(), server.port());
        let mut child = nsupdate.arg("-g").env("KRB5CCNAME", &self.ccache).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "nsupdate -g");
    }

    fn read(&mut self, zone: &str, records: usize) {
        let rounds = if records > 100_000 { 3 } else { 7 };
        let dig = |_| timed(|| assert!(self.named.dig(&["+noall", "+answer", zone, "AXFR"]).len() > 50));
        let whole = Times::of(rounds, dig);
        let in_tree = (self.has_go && records <= MOST_IN_TREE).then(|| {
            let mut peer = InTree::start(&self.kdc, self.named.socket());
            let times =
                Times::of(if records < MOST_IN_TREE { 3 } else { 1 }, |_| peer.ask(&format!("read {zone} {records}")));
            (times, format!("in-tree: {}", mebibytes(peer.peak())))
        });
        let compare = |report: &mut Report, what: &str, times: &Times| {
            let what = format!("read {records} records, {what}");
            report.compare(&what, times, ("`dig AXFR`", &whole));
            if let Some((theirs, _)) = &in_tree {
                report.compare(&what, times, ("in-tree", theirs));
            }
        };
        let list = |sidecar: &Sidecar| timed(|| assert_eq!(sidecar.get("/records").status, 200));
        let mut peak = 0;
        let first = Times::of(rounds, |_| {
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
        compare(&mut self.report, "again, zone unchanged", &Times::of(rounds, |_| list(&sidecar)));
        for changes in [1, 10] {
            let changed = Times::of(rounds, |round| {
                let add = |index| format!("update add extra{round}-{changes}-{index}.{zone} 300 A 192.0.2.1\n");
                self.named.nsupdate(&(0..changes).map(add).collect::<String>());
                list(&sidecar)
            });
            compare(&mut self.report, &format!("again, {changes} added elsewhere"), &changed);
        }
        let their_peak = in_tree.map(|(_, peak)| peak).unwrap_or_default();
        self.report.row("the most memory after the first read", &mebibytes(peak), &their_peak, "");
        self.reconcile(zone, records, &sidecar);
    }

    /// The processor time of a reconcile that finds nothing to do: records, and adjust of a tenth of them.
    fn reconcile(&mut self, zone: &str, records: usize, sidecar: &Sidecar) {
        let desired = endpoints(zone, records / 10);
        sidecar.adjust(&desired);
        let before = cpu(Some(sidecar.pid()));
        for _ in 0..10 {
            sidecar.get("/records");
            sidecar.adjust(&desired);
        }
        let took = Times(vec![(cpu(Some(sidecar.pid())) - before) / 10]);
        let what = format!("processor time of an unchanged reconcile, {records} records");
        self.report.row(&what, &took.to_string(), "", "");
    }
}

/// The server's own key, and one for its address: the in-tree provider asks for a ticket for what it connects to.
fn keytab(kdc: &Kdc) -> PathBuf {
    let file = kdc.keytab("DNS/ns1.example.test");
    kdc.kadmin(&format!("addprinc -randkey DNS/127.0.0.1\nktadd -k {} -norandkey DNS/127.0.0.1\n", file.display()));
    file
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
