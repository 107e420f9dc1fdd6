//! A throw-away Samba AD domain controller.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File};
use std::hash::{Hash as _, Hasher as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use super::daemon::{command, find_or_install, no_lock_file, run, wait_until};
use super::document::block;
use super::namespace::{Family, InnerForwarder, Namespace};
use super::sidecar::Settings;

/// What the tests of Samba need beyond what the other tests do.
const INSTALL: &str = "apt-get install -y --no-install-recommends bind9 bind9-dnsutils iproute2 python3-markdown \
                       python3-samba samba samba-ad-dc samba-ad-provision samba-dsdb-modules samba-vfs-modules";
const PREPARE: &str = include_str!("samba/prepare.sh");
const PROVISION: &str = include_str!("samba/provision.sh");
/// Where a domain controller has everything, as seen from its namespace.
const STATE: &str = "/var/lib/samba";

/// Which name server answers for the zones in the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// Samba's own.
    Internal,
    /// BIND with Samba's module.
    Bind9Dlz,
}

impl Backend {
    /// Both; `SAMBA_BACKENDS=internal` says that there is no module of Samba for the BIND that is here.
    ///
    /// # Panics
    /// When the variable says something else.
    pub fn all() -> Vec<Self> {
        match std::env::var("SAMBA_BACKENDS").as_deref() {
            Err(_) => vec![Self::Internal, Self::Bind9Dlz],
            Ok("internal") => vec![Self::Internal],
            Ok(other) => panic!("SAMBA_BACKENDS is {other}, and may be internal"),
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Internal => "SAMBA_INTERNAL",
            Self::Bind9Dlz => "BIND9_DLZ",
        }
    }
}

/// The controller `dc1.ad.test` of the domain `AD.TEST`, in a namespace of its own.
///
/// Users are `externaldns`, `extdns2`, `reader` and `locked`, which is disabled; zones are `ad.test`, `second.test`,
/// `wild.test` and `2.0.192.in-addr.arpa`. Any user may create a name, which is that user's from then on; with BIND9_DLZ,
/// `externaldns` is in DnsAdmins.
pub struct Samba {
    backend: Backend,
    named: Option<Family>,
    samba: Option<Family>,
    namespace: Namespace,
}

impl Samba {
    pub const REALM: &'static str = "AD.TEST";
    pub const ADDRESS: &'static str = "10.53.53.1";

    pub fn start(backend: Backend) -> Self {
        Self::start_with(backend, "")
    }

    /// With more lines in smb.conf.
    pub fn start_with(backend: Backend, smb_conf: &str) -> Self {
        let archive = archive(backend);
        let namespace = Namespace::new(PREPARE, &[]);
        run(namespace.command(find("tar")).args(["-C", STATE, "-xf"]).arg(archive));
        write_configuration(&namespace, backend, smb_conf);
        let mut samba = Self { backend, named: None, samba: None, namespace };
        samba.restart();
        samba
    }

    pub const fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    pub const fn backend(&self) -> Backend {
        self.backend
    }

    /// SIGKILL for all servers, and starts them anew; until they answer.
    pub fn restart(&mut self) {
        (self.named, self.samba) = (None, None);
        let mut samba = self.family("samba");
        self.samba = Some(Family::spawn(samba.args(["-F", "--no-process-group", "--configfile"]).arg(SMB_CONF)));
        self.wait_for("the KDC", |samba| samba.accepts(88));
        if self.backend == Backend::Bind9Dlz {
            let mut named = self.family("named");
            named.env("SMB_CONF_PATH", SMB_CONF);
            named.args(["-f", "-n", "1", "-c"]).arg(format!("{STATE}/named/named.conf"));
            self.named = Some(Family::spawn(&mut named));
        }
        self.wait_for("DNS", |samba| samba.dig(&["+short", "ad.test", "SOA"]).starts_with("dc1.ad.test."));
    }

    fn family(&self, program: &str) -> Command {
        let mut family = self.namespace.family(find(program));
        let output = File::options().create(true).append(true).open(self.path(&format!("{program}.out"))).unwrap();
        family.stdout(output.try_clone().unwrap()).stderr(output);
        family
    }

    fn wait_for(&mut self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        wait_until(what, Duration::from_secs(30), || {
            let mut families = self.samba.iter_mut().chain(&mut self.named);
            assert!(families.all(Family::is_running), "a server ended: {}", self.output());
            condition(self)
        });
    }

    fn accepts(&self, port: u16) -> bool {
        self.namespace.inside(|| TcpStream::connect((Self::ADDRESS, port)).is_ok())
    }

    /// What the servers printed.
    fn output(&self) -> String {
        let read = |name| fs::read_to_string(self.path(name)).unwrap_or_default();
        ["samba.out", "samba.log", "named.out"].map(read).join("\n")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.namespace.path(&format!("{STATE}/{name}"))
    }

    /// The keytab of a user, as seen from inside.
    pub fn keytab(&self, user: &str) -> String {
        format!("{STATE}/keytabs/{user}.keytab")
    }

    /// What Samba has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("samba.log")).unwrap()
    }

    /// What named has logged, at `debug 3`.
    pub fn named_log(&self) -> String {
        fs::read_to_string(self.path("named/named.log")).unwrap()
    }

    /// What `dig` prints for these arguments.
    pub fn dig(&self, arguments: &[&str]) -> String {
        let mut dig = self.namespace.command(find("dig"));
        dig.args(["-r", "@10.53.53.1", "+norecurse", "+time=2", "+tries=2", "+nocookie"]);
        let output = dig.args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The RDATA that is held for a name and type, one line each, sorted; also for the NS of a delegation.
    pub fn held(&self, name: &str, record_type: &str) -> Vec<String> {
        let text = self.dig(&["+noall", "+answer", "+authority", "+comments", "-q", name, "-t", record_type]);
        assert!(text.contains(", status: NOERROR") || text.contains(", status: NXDOMAIN"), "{text}");
        let mut held: Vec<String> = text.lines().filter_map(|line| rdata(line, name, record_type)).collect();
        held.sort();
        held
    }

    /// What a transfer of a zone has for a name, as `type rdata`, sorted.
    pub fn axfr(&self, zone: &str, name: &str) -> Vec<String> {
        let text = self.dig(&["+noall", "+answer", "+onesoa", zone, "AXFR"]);
        assert!(text.contains("SOA"), "no transfer of {zone}: {text}");
        let records = text.lines().filter_map(|line| {
            let (owner, rest) = line.split_once(char::is_whitespace)?;
            let [_, _, rtype, rdata] =
                rest.trim().splitn(4, char::is_whitespace).collect::<Vec<_>>().try_into().ok()?;
            (owner.trim_end_matches('.') == name).then(|| format!("{rtype} {}", rdata.trim()))
        });
        let mut records: Vec<String> = records.collect();
        records.sort();
        records
    }

    /// Denies a user everything at a node of a zone, or at the zone itself where `node` is empty.
    pub fn deny(&self, node: &str, zone: &str, trustee: &str) {
        let node = if node.is_empty() { String::new() } else { format!("DC={node},") };
        let dn = format!("{node}DC={zone},CN=MicrosoftDNS,DC=DomainDnsZones,DC=ad,DC=test");
        let script = include_str!("samba/deny.py");
        run(self.namespace.command("/usr/bin/python3".into()).args(["-c", script, &dn, trustee]));
    }

    /// Has a zone age its records after 24 hours and 24 more, and makes those of some nodes so many hours old, given as
    /// `node=hours` or `node=static`; of those that are given as `node` alone it only tells. Returns how old each was, -1
    /// for static ones.
    pub fn age(&self, zone: &str, nodes: &[&str]) -> BTreeMap<String, i64> {
        let dn = format!("DC={zone},CN=MicrosoftDNS,DC=DomainDnsZones,DC=ad,DC=test");
        let mut python = self.namespace.command("/usr/bin/python3".into());
        let output = python.args(["-c", include_str!("samba/age.py"), &dn]).args(nodes).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let node = |line: &str| line.split_once(' ').map(|(name, hours)| (name.to_owned(), hours.parse().unwrap()));
        text.lines().filter_map(node).collect()
    }

    /// Types commands in on the controller, in a directory below its state.
    pub fn type_in(&self, directory: &str, commands: &str) {
        let mut shell = self.namespace.command(find("sh"));
        run(shell.env("SMB_CONF_PATH", SMB_CONF).args(["-ec", &format!("cd {STATE}/{directory}\n{commands}")]));
    }

    /// Gives a user the right to change the names of a zone of the domain, by the commands of `deploy/samba.md`.
    pub fn grant(&self, zone: &str, user: &str) {
        let names = [("externaldns", user), ("k8s.example.com", zone), ("DC=example,DC=com", "DC=ad,DC=test")];
        self.type_in(".", &block("deploy/samba.md", "samba-tool dsacl", &names));
    }

    /// A forwarder in front of its name server.
    pub fn forwarder(&self) -> InnerForwarder {
        self.namespace.forwarder((Ipv4Addr::new(10, 53, 53, 1), 53).into())
    }

    /// The sidecar's settings for this controller, as `externaldns` with its keytab.
    pub fn settings(&self, zones: &[&str]) -> Settings {
        self.settings_of("externaldns", zones)
    }

    /// As [`Samba::settings`], for another user.
    pub fn settings_of(&self, user: &str, zones: &[&str]) -> Settings {
        Settings::new()
            .within(&self.namespace)
            .servers(&[&format!("dc1.ad.test@{}", Self::ADDRESS)], zones)
            .set("RFC2136_GSS_TSIG", "true")
            .set("RFC2136_KERBEROS_REALM", Self::REALM)
            .set("RFC2136_KERBEROS_USERNAME", user)
            .set("RFC2136_KERBEROS_KEYTAB", &self.keytab(user))
            .set("RFC2136_KERBEROS_KDC", Self::ADDRESS)
            .set("TMPDIR", STATE)
    }
}

const SMB_CONF: &str = "/var/lib/samba/smb.conf";

/// The RDATA in a line of `dig`, where it is of this name and type.
fn rdata(line: &str, name: &str, record_type: &str) -> Option<String> {
    let (owner, rest) = line.split_once(char::is_whitespace)?;
    let [_, _, rtype, rdata] = rest.trim().splitn(4, char::is_whitespace).collect::<Vec<_>>().try_into().ok()?;
    let is_meant = owner.trim_end_matches('.').eq_ignore_ascii_case(name) && rtype == record_type;
    is_meant.then(|| rdata.trim().to_owned())
}

fn find(program: &str) -> PathBuf {
    find_or_install(program, INSTALL)
}

/// The provisioned domain, made by the first who asks for it.
fn archive(backend: Backend) -> PathBuf {
    let mut version = DefaultHasher::new();
    (PROVISION, run(command(find("samba")).arg("--version"))).hash(&mut version);
    let directory = option_env!("CARGO_TARGET_TMPDIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let archive = directory.join(format!("samba-{}-{:016x}.tar", backend.label(), version.finish()));
    let lock = File::create(archive.with_extension("lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    if !archive.is_file() {
        let namespace = Namespace::new(PREPARE, &[]);
        let provision = ["-ec", PROVISION, "sh", backend.label(), archive.to_str().unwrap()];
        write_configuration(&namespace, backend, "");
        run(namespace.family(find("sh")).args(provision));
    }
    archive
}

fn write_configuration(namespace: &Namespace, backend: Backend, smb_conf: &str) {
    let state = namespace.path(STATE);
    fs::write(state.join("smb.conf"), smb_conf_text(backend, smb_conf)).unwrap();
    if backend == Backend::Bind9Dlz {
        fs::create_dir(state.join("named")).unwrap();
        fs::write(state.join("named/named.conf"), named_conf_text()).unwrap();
    }
}

fn smb_conf_text(backend: Backend, more: &str) -> String {
    let dns = if backend == Backend::Internal { ", dns" } else { "" };
    format!(
        "[global]
 realm = AD.TEST
 workgroup = AD
 netbios name = DC1
 server role = active directory domain controller
 interfaces = 10.53.53.1/32
 bind interfaces only = yes
 server services = rpc, ldap, cldap, kdc{dns}
 dcerpc endpoint servers = epmapper, samr, lsarpc, netlogon, drsuapi, dnsserver
 allow dns updates = secure only
 tls enabled = no
 private dir = {STATE}/private
 binddns dir = {STATE}/bind-dns
 state directory = {STATE}/state
 cache directory = {STATE}/run/cache
 lock directory = {STATE}/run/lock
 ncalrpc dir = {STATE}/run/ncalrpc
 pid directory = {STATE}/run
 winbindd socket directory = {STATE}/run/winbindd
 ntp signd socket directory = {STATE}/run/ntp
 log level = 1 dns:3 auth_audit:2
 log file = {STATE}/samba.log
 max log size = 0
{more}
"
    )
}

fn named_conf_text() -> String {
    let module = dlz_module();
    format!(
        "options {{
  directory \"{STATE}/named\"; pid-file none; {} session-keyfile none;
  listen-on {{ 10.53.53.1; }}; listen-on-v6 {{ none; }};
  recursion no; dnssec-validation no; notify no; empty-zones-enable no; minimal-responses yes;
  tkey-gssapi-keytab \"{STATE}/bind-dns/dns.keytab\";
}};
controls {{ }};
logging {{
  channel file {{ file \"{STATE}/named/named.log\"; severity debug 3; print-time iso8601; print-category yes; }};
  category default {{ file; }};
}};
dlz \"AD\" {{ database \"dlopen {}\"; }};
",
        no_lock_file(),
        module.display()
    )
}

/// Samba's module for the installed BIND.
fn dlz_module() -> PathBuf {
    let version = run(command(find("named")).arg("-v"));
    let minor = version.trim_start_matches("BIND 9.").split('.').next().unwrap_or_default().to_owned();
    let libraries = fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
    let module = |library: PathBuf| library.join(format!("samba/bind9/dlz_bind9_{minor}.so"));
    libraries
        .map(module)
        .chain([module(Path::new("/usr/lib").to_owned())])
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("Samba's module for BIND 9.{minor} is missing. Install it with: {INSTALL}"))
}
