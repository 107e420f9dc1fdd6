//! The program under test, as a process.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::changes::{Changes, Endpoint};
use super::daemon::{Daemon, clock, find, memory, wait_until};
use super::kdc::Kdc;
use super::named::Named;
use super::namespace::Namespace;

/// The media type of ExternalDNS's webhook API.
const MEDIA_TYPE: &str = "application/external.dns.webhook+json;version=1";

/// The built program: cargo says where for a test; for an example it lies one directory above.
pub fn program() -> PathBuf {
    option_env!("CARGO_BIN_EXE_external-dns-rfc2136-webhook").map_or_else(
        || std::env::current_exe().unwrap().with_file_name("../external-dns-rfc2136-webhook"),
        PathBuf::from,
    )
}

/// The sidecar's environment.
#[derive(Clone)]
pub struct Settings {
    variables: BTreeMap<String, String>,
    program: PathBuf,
    arguments: Vec<String>,
    namespace: Option<Namespace>,
}

impl Settings {
    /// Free ports and nothing else.
    pub fn new() -> Self {
        Self { variables: BTreeMap::new(), program: program(), arguments: Vec::new(), namespace: None }
            .set("WEBHOOK_LISTEN", "127.0.0.1:0")
            .set("WEBHOOK_ADMIN_LISTEN", "127.0.0.1:0")
    }

    /// Another build of the program.
    #[must_use]
    pub fn program(self, program: &Path) -> Self {
        Self { program: program.to_owned(), ..self }
    }

    /// What starts the program, with its arguments.
    #[must_use]
    pub fn starter(self, program: &Path, arguments: &[String]) -> Self {
        Self { arguments: arguments.to_vec(), ..self.program(program) }
    }

    /// In a namespace, and what is asked of the sidecar too.
    #[must_use]
    pub fn within(self, namespace: &Namespace) -> Self {
        Self { namespace: Some(namespace.clone()), ..self }
    }

    /// A server and zones, unsigned.
    pub fn insecure(named: &Named, zones: &[&str]) -> Self {
        Self::new().servers(&[&named.server()], zones).set("RFC2136_INSECURE", "true")
    }

    /// A server and zones, with GSS-TSIG as `externaldns` and its keytab.
    pub fn keytab(kdc: &Kdc, named: &Named, zones: &[&str]) -> Self {
        let keytab = kdc.keytab("externaldns");
        Self::gss(kdc, named, zones).set("RFC2136_KERBEROS_KEYTAB", keytab.to_str().unwrap())
    }

    /// A server and zones, with GSS-TSIG as `externaldns`; the secret is left to be set.
    pub fn gss(kdc: &Kdc, named: &Named, zones: &[&str]) -> Self {
        Self::new()
            .servers(&[&named.server()], zones)
            .set("RFC2136_GSS_TSIG", "true")
            .set("RFC2136_KERBEROS_REALM", Kdc::REALM)
            .set("RFC2136_KERBEROS_USERNAME", "externaldns")
            .set("RFC2136_KERBEROS_KDC", &kdc.address())
            // A killed sidecar leaves its krb5.conf behind, which goes with the KDC.
            .set("TMPDIR", kdc.krb5_conf().parent().unwrap().to_str().unwrap())
    }

    /// `RFC2136_HOST` and `RFC2136_ZONE`.
    #[must_use]
    pub fn servers(self, servers: &[&str], zones: &[&str]) -> Self {
        self.set("RFC2136_HOST", &servers.join(",")).set("RFC2136_ZONE", &zones.join(","))
    }

    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    #[must_use]
    pub fn unset(mut self, name: &str) -> Self {
        self.variables.remove(name);
        self
    }

    /// Another clock than everybody else's: `offset` is such as `+10m`.
    #[must_use]
    pub fn clock(self, offset: &str) -> Self {
        clock(offset).into_iter().fold(self, |settings, (name, value)| settings.set(name, &value))
    }

    /// What is set, for those who show it.
    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    fn command(&self) -> Command {
        assert!(self.program.is_file(), "{} is missing: run cargo build first", self.program.display());
        let program = self.program.clone();
        let mut command = self
            .namespace
            .as_ref()
            .map_or_else(|| Daemon::command(program.clone()), |namespace| namespace.command(program.clone()));
        command.args(&self.arguments).envs(&self.variables).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn spawn(&self) -> Daemon {
        Daemon::spawn(&mut self.command())
    }

    /// Runs another subcommand to its end: its exit code and what it wrote to standard output.
    ///
    /// # Panics
    /// When it wrote anything to standard error.
    pub fn output(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.command().args(arguments).output().unwrap();
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }

    /// Starts the sidecar, and until it listens.
    pub fn start(&self) -> Sidecar {
        Sidecar::new(self.spawn(), self.namespace.clone())
    }

    /// Runs the sidecar where it is expected to end by itself: its exit code and what it wrote to standard error.
    pub fn run(&self) -> (Option<i32>, String) {
        let mut daemon = self.spawn();
        let lines = collect(daemon.child().stderr.take().unwrap());
        let status = daemon.wait(Duration::from_secs(20)).expect("it goes on running");
        std::thread::sleep(Duration::from_millis(50));
        let lines = lines.lock().unwrap().join("\n");
        (status.code(), lines)
    }
}

/// An answer of either port.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub content_type: String,
    pub body: String,
    pub elapsed: Duration,
}

impl Response {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

type Lines = Arc<Mutex<Vec<String>>>;

fn collect(pipe: impl Read + Send + 'static) -> Lines {
    let lines = Lines::default();
    let sink = lines.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            sink.lock().unwrap().push(line);
        }
    });
    lines
}

/// A running sidecar.
pub struct Sidecar {
    daemon: Daemon,
    webhook: String,
    admin: String,
    stderr: Lines,
    stdout: Lines,
    agent: ureq::Agent,
    namespace: Option<Namespace>,
}

impl Sidecar {
    fn new(mut daemon: Daemon, namespace: Option<Namespace>) -> Self {
        let stderr = collect(daemon.child().stderr.take().unwrap());
        let stdout = collect(daemon.child().stdout.take().unwrap());
        let url = |what: &str| {
            let lines = stderr.lock().unwrap();
            let address = lines.iter().find_map(|line| line.split_once(what))?.1;
            let end = address.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':').unwrap_or(address.len());
            Some(format!("http://{}", &address[..end]))
        };
        wait_until("the sidecar listens", Duration::from_secs(20), || {
            let ended = daemon.child().try_wait().unwrap();
            assert!(ended.is_none(), "the sidecar ended ({ended:?}): {}", stderr.lock().unwrap().join("\n"));
            url("webhook listens on ").is_some() && url("admin listens on ").is_some()
        });
        let webhook = url("webhook listens on ").unwrap();
        let admin = url("admin listens on ").unwrap();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build()
            .into();
        Self { daemon, webhook, admin, stderr, stdout, agent, namespace }
    }

    /// `http://127.0.0.1:PORT` of the webhook.
    pub fn webhook_url(&self) -> &str {
        &self.webhook
    }

    /// `http://127.0.0.1:PORT` of the admin port.
    pub fn admin_url(&self) -> &str {
        &self.admin
    }

    /// The processes that its first one has started: the sidecar itself, where something else starts it.
    pub fn children(&self) -> Vec<u32> {
        let pid = self.daemon.pid();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        children.split_whitespace().map(|child| child.parse().unwrap()).collect()
    }

    fn fetch(&self, url: &str) -> Response {
        self.inside(|| {
            let start = Instant::now();
            let answer = self.agent.get(url).header("Accept", MEDIA_TYPE).call();
            answered(url, answer, start)
        })
    }

    /// Where the sidecar's ports are.
    fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match &self.namespace {
            Some(namespace) => namespace.inside(work),
            None => work(),
        }
    }

    /// `GET path` on the webhook port.
    pub fn get(&self, path: &str) -> Response {
        self.fetch(&format!("{}{path}", self.webhook))
    }

    /// `GET /records`, where the sidecar may be killed meanwhile.
    pub fn try_records(&self) -> Option<Vec<Value>> {
        let url = format!("{}/records", self.webhook);
        let text = self.inside(|| {
            let mut answer = self.agent.get(&url).header("Accept", MEDIA_TYPE).call().ok()?;
            let text = answer.body_mut().read_to_string().ok()?;
            (answer.status() == 200).then_some(text)
        });
        serde_json::from_str(&text?).ok()
    }

    /// `POST /records`, where the sidecar may be killed meanwhile: the status.
    pub fn try_apply(&self, changes: &Changes) -> Option<u16> {
        let url = format!("{}/records", self.webhook);
        let body = changes.body();
        self.inside(|| {
            let answer = self.agent.post(&url).header("Content-Type", MEDIA_TYPE).send(&body);
            answer.ok().map(|answer| answer.status().as_u16())
        })
    }

    /// SIGKILL after a while, whatever it is doing.
    pub fn kill_after(&self, delay: Duration) -> JoinHandle<()> {
        let pid = Pid::from_raw(i32::try_from(self.daemon.pid()).unwrap()).unwrap();
        std::thread::spawn(move || {
            std::thread::sleep(delay);
            // It is a child that nobody has waited for, so that the number is its own.
            kill_process(pid, Signal::KILL).unwrap();
        })
    }

    /// `GET path` on the admin port.
    pub fn admin(&self, path: &str) -> Response {
        self.fetch(&format!("{}{path}", self.admin))
    }

    /// `POST path` on the webhook port.
    pub fn post(&self, path: &str, body: &str) -> Response {
        let url = format!("{}{path}", self.webhook);
        self.inside(|| {
            let start = Instant::now();
            let answer = self.agent.post(&url).header("Content-Type", MEDIA_TYPE).send(body);
            answered(&url, answer, start)
        })
    }

    /// [`Sidecar::post`], as a part of the caller's trace.
    pub fn post_traced(&self, path: &str, body: &str, traceparent: &str) -> Response {
        let url = format!("{}{path}", self.webhook);
        let request = self.agent.post(&url).header("Content-Type", MEDIA_TYPE).header("traceparent", traceparent);
        let start = Instant::now();
        answered(&url, request.send(body), start)
    }

    /// `POST /records`: the status.
    pub fn apply(&self, changes: &Changes) -> u16 {
        self.post("/records", &changes.body()).status
    }

    /// `POST /records`.
    ///
    /// # Panics
    /// With what the sidecar says about it, unless the answer is 204.
    pub fn apply_all(&self, changes: &Changes) {
        let answer = self.post("/records", &changes.body());
        assert_eq!(answer.status, 204, "{answer:?}\n{}\n{}", self.get("/status").body, self.log());
    }

    /// `GET /records`, which must succeed.
    pub fn records(&self) -> Vec<Value> {
        let answer = self.get("/records");
        assert_eq!(answer.status, 200, "{answer:?}\n{}", self.log());
        answer.json().as_array().unwrap().clone()
    }

    /// The endpoint of `GET /records` with this name and type.
    pub fn record(&self, name: &str, record_type: &str) -> Option<Value> {
        let mut found = self.records();
        found.retain(|endpoint| endpoint["dnsName"] == name && endpoint["recordType"] == record_type);
        assert!(found.len() < 2, "listed twice: {found:?}");
        found.pop()
    }

    /// The targets of [`Sidecar::record`], in the order listed.
    pub fn targets(&self, name: &str, record_type: &str) -> Option<Vec<String>> {
        let targets = self.record(name, record_type)?["targets"].clone();
        Some(serde_json::from_value(targets).unwrap())
    }

    /// `POST /adjustendpoints`.
    pub fn adjust(&self, endpoints: &[Endpoint]) -> Vec<Value> {
        let body = Value::from_iter(endpoints.iter().map(Endpoint::json));
        let answer = self.post("/adjustendpoints", &body.to_string());
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json().as_array().unwrap().clone()
    }

    /// `GET /status`.
    pub fn status(&self) -> Value {
        self.get("/status").json()
    }

    /// `name TYPE cause` of every entry of `rejected` in `/status`, sorted.
    pub fn rejected(&self) -> Vec<String> {
        let status = self.status();
        let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        let mut entries: Vec<String> = status["rejected"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| format!("{} {} {}", text(entry, "name"), text(entry, "type"), text(entry, "cause")))
            .collect();
        entries.sort();
        entries
    }

    /// The entry of `rejected` in `/status` for this name and type.
    pub fn rejection(&self, name: &str, record_type: &str) -> Value {
        let status = self.status();
        let mut entries = status["rejected"].as_array().unwrap().iter();
        let found = entries.find(|entry| entry["name"] == name && entry["type"] == record_type);
        found.unwrap_or_else(|| panic!("{name} {record_type} is not among {status}")).clone()
    }

    /// `GET /readyz`: status and body.
    pub fn readyz(&self) -> (u16, Value) {
        let answer = self.admin("/readyz");
        (answer.status, answer.json())
    }

    /// Waits until it is ready, and until then for whatever else it does at its start.
    pub fn becomes_ready(&self) -> &Self {
        wait_until("it is ready", Duration::from_secs(20), || self.readyz().0 == 200);
        self
    }

    /// Waits until `/readyz` names this cause.
    ///
    /// # Panics
    /// With what it says instead after a while.
    pub fn is_unready_for(&self, cause: &str) {
        let start = Instant::now();
        loop {
            let (status, causes) = self.readyz();
            if status == 503 && causes["causes"][0]["cause"] == cause {
                return;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "{cause} expected: {causes}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// `GET /metrics`: the sum of the samples of `name` whose labels contain `labels`.
    pub fn metric(&self, name: &str, labels: &str) -> f64 {
        let text = self.admin("/metrics").body;
        let samples = text.lines().filter(|line| line.starts_with(name) && line.contains(labels));
        samples
            .filter(|line| line[name.len()..].starts_with(['{', ' ']))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Standard error so far.
    pub fn log(&self) -> String {
        self.lines().join("\n")
    }

    /// Lines of standard error that contain `text`.
    pub fn logged(&self, text: &str) -> usize {
        self.lines().iter().filter(|line| line.contains(text)).count()
    }

    /// Lines are written by a thread of their own, which may be behind an answer: until no more come.
    fn lines(&self) -> Vec<String> {
        loop {
            let before = self.stderr.lock().unwrap().len();
            std::thread::sleep(Duration::from_millis(30));
            let lines = self.stderr.lock().unwrap();
            if lines.len() == before {
                return lines.clone();
            }
        }
    }

    /// Standard output so far.
    pub fn output(&self) -> String {
        self.stdout.lock().unwrap().join("\n")
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.daemon.pid()
    }

    /// Resident memory in octets.
    pub fn resident(&self) -> u64 {
        memory(self.pid(), "VmRSS:")
    }

    /// The most that was ever resident.
    pub fn peak(&self) -> u64 {
        memory(self.pid(), "VmHWM:")
    }

    /// Sends SIGTERM without waiting.
    pub fn ask_to_end(&self) {
        self.daemon.signal("TERM");
    }

    /// SIGTERM: the exit code and how long it took.
    pub fn sigterm(mut self) -> (Option<i32>, Duration) {
        let start = Instant::now();
        let code = self.daemon.terminate(Duration::from_secs(30));
        (code, start.elapsed())
    }

    /// The exit code, after [`Sidecar::ask_to_end`].
    pub fn wait(&mut self, limit: Duration) -> Option<i32> {
        self.daemon.wait(limit).and_then(|status| status.code())
    }
}

fn answered(url: &str, answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>, start: Instant) -> Response {
    let mut answer = answer.unwrap_or_else(|error| panic!("{url}: {error}"));
    let content_type = answer.headers().get("content-type").and_then(|value| value.to_str().ok());
    let (status, content_type) = (answer.status().as_u16(), content_type.unwrap_or_default().to_owned());
    let body = answer.body_mut().with_config().limit(256 << 20).read_to_string().unwrap();
    Response { status, content_type, body, elapsed: start.elapsed() }
}
