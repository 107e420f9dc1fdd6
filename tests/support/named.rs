//! A throw-away BIND that takes GSS-TSIG.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::daemon::{Daemon, Directory, Place, command, find, no_lock_file, run};
use super::kdc::Kdc;
use super::update_log::{self, LoggedUpdate};
use super::zone::{LAB_KEY, LAB_SECRET, Zone};

/// What a [`Named`] is started with.
#[derive(Debug, Clone)]
pub struct NamedOptions {
    host: String,
    keytab: Option<PathBuf>,
    zones: Vec<Zone>,
    keys: String,
    options: String,
    tls: Option<String>,
    severity: &'static str,
}

impl NamedOptions {
    /// A server's name: `ns2.example.test` for a second one.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        self.host = host.to_owned();
        self
    }

    /// Takes GSS-TSIG for `DNS/<host>`.
    #[must_use]
    pub fn gss(mut self, kdc: &Kdc) -> Self {
        self.keytab = Some(kdc.keytab(&format!("DNS/{}", self.host)));
        self
    }

    /// Takes GSS-TSIG with the keys of this file.
    #[must_use]
    pub fn keytab(mut self, keytab: &Path) -> Self {
        self.keytab = Some(keytab.to_owned());
        self
    }

    #[must_use]
    pub fn zone(mut self, zone: Zone) -> Self {
        self.zones.push(zone);
        self
    }

    /// A shared TSIG key.
    #[must_use]
    pub fn tsig_key(mut self, name: &str, algorithm: &str, secret: &str) -> Self {
        self.keys.push_str(&format!("key \"{name}\" {{ algorithm {algorithm}; secret \"{secret}\"; }};\n"));
        self
    }

    /// More statements of the options block.
    #[must_use]
    pub fn option(mut self, text: &str) -> Self {
        self.options.push_str(text);
        self.options.push('\n');
        self
    }

    /// Logs no more than a server in use would; [`Named::updates`] and [`Named::negotiations`] see nothing then.
    #[must_use]
    pub fn quiet(self) -> Self {
        Self { severity: "notice", ..self }
    }

    /// Listens for DNS over TLS too, with a certificate of its own authority.
    #[must_use]
    pub fn tls(self) -> Self {
        Self { tls: Some(String::new()), ..self }
    }

    /// As [`NamedOptions::tls`], and only for clients with a certificate of that authority.
    #[must_use]
    pub fn mutual_tls(self) -> Self {
        Self { tls: Some("ca-file \"ca.pem\"; ".to_owned()), ..self }
    }

    /// Starts it.
    pub fn start(self) -> Named {
        Named::start(self)
    }
}

/// A BIND on an address of its own. Its own administrator key may do everything: see [`Named::nsupdate`].
pub struct Named {
    daemon: Option<Daemon>,
    options: NamedOptions,
    place: Place,
    tls_place: Place,
    directory: Directory,
}

impl Named {
    /// `ns1.example.test` without a zone, without Kerberos.
    pub fn options() -> NamedOptions {
        NamedOptions {
            host: "ns1.example.test".to_owned(),
            keytab: None,
            zones: Vec::new(),
            keys: String::new(),
            options: String::new(),
            tls: None,
            severity: "debug 3",
        }
    }

    /// `ns1.example.test` with GSS-TSIG and the zone `example.test`, which `externaldns` may change.
    pub fn example(kdc: &Kdc) -> Self {
        Self::options().gss(kdc).zone(Zone::granted("example.test")).start()
    }

    fn start(options: NamedOptions) -> Self {
        let directory = Directory::new();
        // A copy, since AppArmor on Debian confines the program at its own path to its own directories. Made by a
        // process of its own: a file open for writing here may be so in another thread's child, and then cannot be run.
        run(command(find("cp")).arg(find("named")).arg(directory.join("named")));
        let mut named = Self { daemon: None, options, place: Place::free(), tls_place: Place::free(), directory };
        if named.options.tls.is_some() {
            named.make_certificates();
        }
        for zone in &named.options.zones {
            let file = named.path(&format!("{}.db", zone.name));
            fs::write(file, zone.file(&named.options.host)).unwrap();
        }
        fs::write(named.path("named.conf"), named.configuration()).unwrap();
        named.restart();
        named
    }

    fn configuration(&self) -> String {
        let NamedOptions { keys, options, severity, .. } = &self.options;
        let (port, tls_port) = (self.place.port, self.tls_place.port);
        let directory = self.directory.path().display();
        let keytab = self.options.keytab.as_ref().map(|file| format!("tkey-gssapi-keytab \"{}\";", file.display()));
        let keytab = keytab.unwrap_or_default();
        let zones: String =
            self.options.zones.iter().map(|zone| zone.statement(&format!("{directory}/{}.db", zone.name))).collect();
        let (tls, listen_tls) = self.options.tls.as_ref().map_or_else(Default::default, |more| {
            let tls = format!("tls lab {{ cert-file \"server.pem\"; key-file \"server.key\"; {more}}};\n");
            (tls, format!("listen-on port {tls_port} tls lab {{ 127.0.0.1; }};"))
        });
        format!(
            "key \"{LAB_KEY}\" {{ algorithm hmac-sha256; secret \"{LAB_SECRET}\"; }};\n{keys}controls {{ }};\n{tls}\
             options {{\n  directory \"{directory}\"; pid-file none; {} session-keyfile none;\n  \
             listen-on port {port} {{ 127.0.0.1; }};\n  {listen_tls}\n  listen-on-v6 {{ none; }};\n  {keytab}\n  \
             recursion no; dnssec-validation no; notify no; minimal-responses yes; empty-zones-enable no;\n  \
             allow-query {{ any; }}; tcp-clients 500;\n  {options}}};\n\
             logging {{\n  channel log {{ file \"{directory}/named.log\"; severity {severity}; print-time iso8601; \
             print-category yes; print-severity yes; }};\n  category default {{ log; }};\n  \
             category lame-servers {{ null; }};\n}};\n{zones}",
            no_lock_file()
        )
    }

    /// A certification authority, a certificate for the server, and one for a client.
    fn make_certificates(&self) {
        let names = format!("subjectAltName=DNS:{},IP:127.0.0.1", self.options.host);
        let script = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj '/CN=lab CA' \
                      -keyout ca.key -out ca.pem\n\
                      issue() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj \"/CN=$1\" \
                      -keyout $1.key -out $1.csr; printf '%s\\n' \"$2\" >$1.ext; openssl x509 -req -in $1.csr -CA ca.pem \
                      -CAkey ca.key -CAcreateserial -days 30 -extfile $1.ext -out $1.pem; }\n\
                      issue server \"$0\"; issue client extendedKeyUsage=clientAuth\n";
        find("openssl");
        run(command(find("sh")).current_dir(self.directory.path()).args(["-ec", script, &names]));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Certificate of the authority behind [`NamedOptions::tls`]; `client.pem` and `client.key` are beside it.
    pub fn tls_ca(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// Its name.
    pub fn host(&self) -> &str {
        &self.options.host
    }

    /// Where it listens.
    pub fn socket(&self) -> SocketAddr {
        self.place.socket()
    }

    /// `fqdn@address:port` as `RFC2136_HOST` takes it.
    pub fn server(&self) -> String {
        format!("{}@{}", self.options.host, self.place.socket())
    }

    /// As [`Named::server`], for DNS over TLS.
    pub fn tls_server(&self) -> String {
        format!("{}@{}", self.options.host, self.tls_place.socket())
    }

    /// SIGKILL: what it held in memory, contexts too, is lost.
    pub fn kill(&mut self) {
        self.daemon = None;
    }

    /// An orderly end: it saves its contexts.
    pub fn terminate(&mut self) {
        let mut daemon = self.daemon.take().unwrap();
        assert_eq!(daemon.terminate(Duration::from_secs(20)), Some(0));
    }

    /// It keeps its port and its connections, and says nothing.
    pub fn stop(&self) {
        self.daemon.as_ref().unwrap().signal("STOP");
    }

    /// Ends [`Named::stop`].
    pub fn cont(&self) {
        self.daemon.as_ref().unwrap().signal("CONT");
    }

    /// Starts it anew on the same address, and until it answers from every zone.
    pub fn restart(&mut self) {
        self.daemon = None;
        let mut named = Daemon::command(self.path("named"));
        named.args(["-f", "-n", "1", "-c"]).arg(self.path("named.conf"));
        let output = fs::File::create(self.path("output")).unwrap();
        named.stdout(output.try_clone().unwrap()).stderr(output);
        self.daemon = Some(Daemon::spawn(&mut named));
        let (host, start) = (format!("{}.", self.options.host), Instant::now());
        for zone in &self.options.zones {
            while !self.dig(&["+short", &zone.name, "SOA"]).starts_with(&host) {
                let ended = self.daemon.as_mut().unwrap().child().try_wait().unwrap();
                let running = ended.is_none() && start.elapsed() < Duration::from_secs(20);
                assert!(running, "named does not answer for {}: {}", zone.name, self.tail());
                thread::sleep(Duration::from_millis(10));
            }
        }
    }

    fn tail(&self) -> String {
        let output = fs::read_to_string(self.path("output")).unwrap_or_default();
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        format!("{output}{}", lines[lines.len().saturating_sub(15)..].join("\n"))
    }

    /// Its log at `debug 3`.
    pub fn log_file(&self) -> PathBuf {
        self.path("named.log")
    }

    /// The text of [`Named::log_file`].
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Security contexts that it has accepted.
    pub fn negotiations(&self) -> usize {
        self.log().matches("gss-api source name (accept) is").count()
    }

    /// UPDATE messages that it has taken, in order, without those of [`Named::nsupdate`].
    pub fn updates(&self) -> Vec<LoggedUpdate> {
        let mut updates = update_log::parse(&self.log());
        updates.retain(|update| update.key.as_deref() != Some(LAB_KEY));
        updates
    }

    /// Those of [`Named::updates`] that changed something.
    pub fn changing_updates(&self) -> Vec<LoggedUpdate> {
        let mut updates = self.updates();
        updates.retain(LoggedUpdate::changed);
        updates
    }

    fn dig_command(&self) -> Command {
        let mut dig = command(find("dig"));
        dig.args(["-r", "@127.0.0.1", "-p", &self.place.port.to_string()]);
        dig.args(["+norecurse", "+time=2", "+tries=2", "+nocookie"]);
        dig
    }

    /// What `dig` prints for these arguments.
    pub fn dig(&self, arguments: &[&str]) -> String {
        let output = self.dig_command().args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The RDATA of an answer, one line each, sorted; a CNAME on the way is among them.
    pub fn answer(&self, name: &str, record_type: &str) -> Vec<String> {
        // The NS of a delegation are no answer but a referral.
        let sections: &[&str] = if record_type == "NS" { &["+noall", "+answer", "+authority"] } else { &["+short"] };
        let text = self.dig(&[sections, &["-q", name, "-t", record_type]].concat());
        let rdata = |line: &str| line.split_once("\tIN\tNS\t").map_or(line, |(_, rdata)| rdata).to_owned();
        let mut lines: Vec<String> = text.lines().filter(|line| !line.contains("\tSOA\t")).map(rdata).collect();
        assert!(!lines.iter().any(|line| line.starts_with(";;")), "{lines:?}");
        lines.sort();
        lines
    }

    /// Every record of a zone but its SOA, as `name ttl type rdata`, sorted.
    pub fn axfr(&self, zone: &str) -> Vec<String> {
        let key = format!("hmac-sha256:{LAB_KEY}:{LAB_SECRET}");
        let text = self.dig(&["-y", &key, "+noall", "+answer", "+onesoa", zone, "AXFR"]);
        assert!(text.contains("\tSOA\t"), "no transfer of {zone}: {text}");
        let mut records: Vec<String> = text
            .lines()
            .filter(|line| !line.starts_with(';') && !line.contains("\tSOA\t"))
            .filter_map(|line| {
                let (owner, rest) = line.split_once(char::is_whitespace)?;
                let [ttl, _, rtype, rdata] = rest.trim().splitn(4, '\t').collect::<Vec<_>>().try_into().ok()?;
                Some(format!("{owner} {ttl} {rtype} {rdata}"))
            })
            .collect();
        records.sort();
        records
    }

    /// The serial of a zone.
    pub fn serial(&self, zone: &str) -> u32 {
        self.dig(&["+short", zone, "SOA"]).split(' ').nth(2).unwrap().parse().unwrap()
    }

    /// Changes a zone as its administrator: commands of `nsupdate` without `server`, `key` and `send`.
    ///
    /// # Panics
    /// When the server does not take them.
    pub fn nsupdate(&self, commands: &str) {
        let (accepted, text) =
            self.run_nsupdate(&format!("key hmac-sha256:{LAB_KEY} {LAB_SECRET}\n{commands}\nsend\n"));
        assert!(accepted, "nsupdate {commands}: {text}");
    }

    /// Tries to change a zone without a signature: what `nsupdate` says about it.
    pub fn unsigned_update(&self, commands: &str) -> String {
        self.run_nsupdate(&format!("{commands}\nsend\n")).1
    }

    /// Feeds a script to `nsupdate`, preceded by the administrator's key: whether it was accepted, and what it said.
    pub fn run_script(&self, script: &str) -> (bool, String) {
        self.run_nsupdate(&format!("key hmac-sha256:{LAB_KEY} {LAB_SECRET}\n{script}"))
    }

    fn run_nsupdate(&self, commands: &str) -> (bool, String) {
        let mut nsupdate = command(find("nsupdate"));
        nsupdate.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = nsupdate.spawn().unwrap();
        let text = format!("server 127.0.0.1 {}\n{commands}", self.place.port);
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }
}
