//! Name servers without Kerberos, with a shared key: Knot and PowerDNS.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use super::daemon::{Daemon, Directory, Place, command, find_or_install, run, wait_until};
use super::document::block;
use super::sidecar::Settings;
use super::zone::{LAB_KEY, LAB_SECRET, Zone};

const INSTALL: &str =
    "apt-get install -y --no-install-recommends knot pdns-server pdns-backend-sqlite3 sqlite3 bind9-dnsutils";
/// Tables of PowerDNS.
const SCHEMA: &str = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql";

/// A program that serves the zone `example.test`, which the key of the tests may read and change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Transfers differences.
    Knot,
    /// Transfers whole zones alone.
    PowerDns,
}

/// Such a server, on an address of its own.
pub struct Other {
    _daemon: Daemon,
    place: Place,
    directory: Directory,
}

impl Other {
    pub fn start(program: Program) -> Self {
        let (place, directory) = (Place::free(), Directory::new());
        fs::write(directory.join("zone"), Zone::new(ZONE).file("ns1.example.test")).unwrap();
        let mut server = match program {
            Program::Knot => knot(&directory, &place),
            Program::PowerDns => power_dns(&directory, &place),
        };
        let output = File::create(directory.join("output")).unwrap();
        server.stdout(output.try_clone().unwrap()).stderr(output);
        let other = Self { _daemon: Daemon::spawn(&mut server), place, directory };
        wait_until("the server answers", Duration::from_secs(20), || {
            let answers = other.dig(&["+short", ZONE, "SOA"]).starts_with("ns1.example.test.");
            answers || other.output().contains("fatal") && panic!("{}", other.output())
        });
        other
    }

    /// What it has logged.
    pub fn output(&self) -> String {
        fs::read_to_string(self.directory.join("output")).unwrap()
    }

    pub fn socket(&self) -> SocketAddr {
        self.place.socket()
    }

    /// A sidecar's settings, with the key.
    pub fn settings(&self) -> Settings {
        Settings::new()
            .servers(&[&format!("ns1.example.test@{}", self.socket())], &[ZONE])
            .set("RFC2136_TSIG_KEYNAME", LAB_KEY)
            .set("RFC2136_TSIG_SECRET", LAB_SECRET)
    }

    /// What `dig` prints.
    pub fn dig(&self, arguments: &[&str]) -> String {
        let mut dig = Command::new(find_or_install("dig", INSTALL));
        dig.args([
            "-r",
            "@127.0.0.1",
            "-p",
            &self.place.port.to_string(),
            "+norecurse",
            "+time=2",
            "+tries=2",
            "+nosplit",
        ]);
        String::from_utf8_lossy(&dig.args(arguments).output().unwrap().stdout).into_owned()
    }

    /// `TTL RDATA` of each record in DNS, sorted; the NS of a delegation too.
    pub fn held(&self, name: &str, record_type: &str) -> Vec<String> {
        let text = self.dig(&["+noall", "+answer", "+authority", "+comments", "-q", name, "-t", record_type]);
        assert!(text.contains(", status: NOERROR") || text.contains(", status: NXDOMAIN"), "{text}");
        let of = |line: &str| {
            let (owner, rest) = line.split_once(char::is_whitespace)?;
            let [ttl, _, rtype, rdata] =
                rest.trim().splitn(4, char::is_whitespace).collect::<Vec<_>>().try_into().ok()?;
            let is_meant = owner.trim_end_matches('.').eq_ignore_ascii_case(name) && rtype == record_type;
            is_meant.then(|| format!("{ttl} {}", rdata.trim()))
        };
        let mut held: Vec<String> = text.lines().filter_map(of).collect();
        held.sort();
        held
    }
}

const ZONE: &str = "example.test";

fn knot(directory: &Directory, place: &Place) -> Command {
    let at = directory.path().display();
    let text = format!(
        "server:\n  rundir: {at}\n  listen: 127.0.0.1@{}\n  tcp-workers: 2\n  udp-workers: 1\n\
         log:\n- target: stderr\n  any: info\n\
         database:\n  storage: {at}\n\
         key:\n- id: {LAB_KEY}\n  algorithm: hmac-sha256\n  secret: {LAB_SECRET}\n\
         acl:\n- id: lab\n  key: {LAB_KEY}\n  action: [transfer, update]\n\
         zone:\n- domain: {ZONE}\n  file: {at}/zone\n  storage: {at}\n  acl: lab\n",
        place.port
    );
    fs::write(directory.join("knot.conf"), text).unwrap();
    let mut knot = Daemon::command(find_or_install("knotd", INSTALL));
    knot.arg("-c").arg(directory.join("knot.conf"));
    knot
}

fn power_dns(directory: &Directory, place: &Place) -> Command {
    let at = directory.path().display();
    let text = format!(
        "launch=gsqlite3\ngsqlite3-database={at}/db\ngsqlite3-dnssec=yes\nlocal-address=127.0.0.1\nlocal-port={}\n\
         socket-dir={at}\ndaemon=no\nguardian=no\ndnsupdate=yes\nallow-dnsupdate-from=127.0.0.0/8\ndisable-axfr=no\n\
         allow-axfr-ips=\ncache-ttl=0\nquery-cache-ttl=0\nnegquery-cache-ttl=0\nzone-cache-refresh-interval=0\n",
        place.port
    );
    fs::write(directory.join("pdns.conf"), text).unwrap();
    let documented = [("externaldns", LAB_KEY), ("k8s.example.com", ZONE), ("pdnsutil", "util")];
    let documented = block("deploy/knot-powerdns.md", "pdnsutil", &documented);
    assert!(documented.contains(LAB_SECRET), "{documented}");
    let set_up = format!(
        "sqlite3 db <{SCHEMA}
         util() {{ pdnsutil --config-dir=. \"$@\"; }}
         util load-zone {ZONE} zone
         {documented}"
    );
    find_or_install("sqlite3", INSTALL);
    find_or_install("pdnsutil", INSTALL);
    run(command(find_or_install("sh", INSTALL)).current_dir(directory.path()).args(["-ec", &set_up]));
    let mut server = Daemon::command(find_or_install("pdns_server", INSTALL));
    server.arg(format!("--config-dir={at}"));
    server
}
