//! A throw-away MIT Kerberos KDC.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::daemon::{Daemon, Directory, Place, clock, command, find, run, wait_until};

/// The password of every user.
pub const PASSWORD: &str = "Passw0rd";

/// Users of every realm, and what makes each of them special.
const USERS: [(&str, &str); 5] = [
    ("externaldns", ""),
    ("reader", ""),
    ("shortlived", "modprinc -maxlife 20seconds shortlived\n"),
    ("locked", "modprinc -allow_tix locked\n"),
    ("pwexpired", "modprinc -pwexpire yesterday pwexpired\n"),
];

/// A KDC with a database per realm, the users `externaldns`, `reader`, `shortlived`, `locked` and `pwexpired` in each,
/// and `DNS/ns1.example.test` and `DNS/ns2.example.test`.
pub struct Kdc {
    daemon: Option<Daemon>,
    realms: Vec<String>,
    place: Place,
    directory: Directory,
}

impl Kdc {
    /// The realm of [`Kdc::start`].
    pub const REALM: &'static str = "EXAMPLE.TEST";

    /// One realm, `EXAMPLE.TEST`.
    pub fn start() -> Self {
        Self::with_realms(&[Self::REALM])
    }

    /// Several realms without trust between them; the first is the default.
    pub fn with_realms(realms: &[&str]) -> Self {
        let mut kdc = Self {
            daemon: None,
            realms: realms.iter().map(|&realm| realm.to_owned()).collect(),
            place: Place::free(),
            directory: Directory::new(),
        };
        fs::write(kdc.krb5_conf(), kdc.krb5_conf_text()).unwrap();
        fs::write(kdc.path("kdc.conf"), kdc.kdc_conf_text()).unwrap();
        for realm in realms {
            run(kdc.tool("kdb5_util").args(["-r", realm, "create", "-s", "-P", "master"]));
            kdc.kadmin_in(realm, &populate());
        }
        kdc.restart();
        kdc
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// `host:port` as `RFC2136_KERBEROS_KDC` takes it.
    pub fn address(&self) -> String {
        self.place.socket().to_string()
    }

    /// A krb5.conf that knows every realm of this KDC.
    pub fn krb5_conf(&self) -> PathBuf {
        self.path("krb5.conf")
    }

    /// The text of [`Kdc::krb5_conf`].
    pub fn krb5_conf_text(&self) -> String {
        // A line each: Go's Kerberos library reads no other form.
        let realms: String =
            self.realms.iter().map(|realm| format!("  {realm} = {{\n    kdc = {}\n  }}\n", self.address())).collect();
        let (default, log) = (&self.realms[0], self.log_file());
        format!(
            "[libdefaults]\n  default_realm = {default}\n  dns_lookup_kdc = false\n  dns_lookup_realm = false\n  \
             dns_canonicalize_hostname = false\n  rdns = false\n  udp_preference_limit = 1\n\
             [realms]\n{realms}[logging]\n  kdc = FILE:{log}\n  admin_server = FILE:{log}.admin\n  \
             default = FILE:{log}.library\n",
            log = log.display()
        )
    }

    fn kdc_conf_text(&self) -> String {
        let directory = self.directory.path().display();
        let realms: String = self
            .realms
            .iter()
            .map(|realm| {
                format!(
                    "  {realm} = {{\n    database_name = {directory}/db.{realm}\n    \
                     key_stash_file = {directory}/stash.{realm}\n    acl_file = {directory}/acl\n    \
                     supported_enctypes = aes256-cts-hmac-sha1-96:normal aes128-cts-hmac-sha1-96:normal\n  }}\n"
                )
            })
            .collect();
        let address = self.address();
        format!("[kdcdefaults]\n  kdc_listen = {address}\n  kdc_tcp_listen = {address}\n[realms]\n{realms}")
    }

    fn environment<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("KRB5_CONFIG", self.krb5_conf()).env("KRB5_KDC_PROFILE", self.path("kdc.conf"))
    }

    /// A Kerberos tool that uses this KDC.
    pub fn tool(&self, program: &str) -> Command {
        let mut tool = command(find(program));
        self.environment(&mut tool);
        tool.env("KRB5CCNAME", format!("FILE:{}", self.path("ccache").display()));
        tool
    }

    /// Runs commands of `kadmin.local` in the default realm.
    pub fn kadmin(&self, commands: &str) -> String {
        self.kadmin_in(&self.realms[0], commands)
    }

    /// Runs commands of `kadmin.local` in `realm`.
    ///
    /// # Panics
    /// When one of them fails, which kadmin's exit code does not tell.
    pub fn kadmin_in(&self, realm: &str, commands: &str) -> String {
        let mut kadmin = self.tool("kadmin.local");
        kadmin.args(["-r", realm]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = kadmin.spawn().unwrap();
        child.stdin.take().unwrap().write_all(commands.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(output.status.success() && !text.contains(" while "), "kadmin.local {commands}: {text}");
        text
    }

    /// A keytab of `principal`, whose password goes on working.
    pub fn keytab(&self, principal: &str) -> PathBuf {
        let file = self.path(&format!("{}.keytab", principal.replace('/', "_")));
        self.write_keytab(principal, &file);
        file
    }

    /// Puts the keys that `principal` has now into `file`, in one step for whoever reads it.
    pub fn write_keytab(&self, principal: &str, file: &Path) {
        let fresh = file.with_extension("fresh");
        let _ = fs::remove_file(&fresh);
        self.kadmin(&format!("ktadd -k {} -norandkey {principal}\n", fresh.display()));
        fs::rename(fresh, file).unwrap();
    }

    /// Sets the password of `principal`.
    pub fn change_password(&self, principal: &str, password: &str) {
        self.kadmin(&format!("cpw -pw {password} {principal}\n"));
    }

    /// Gives `principal` a random key: its password and older keytabs stop working.
    pub fn rotate_key(&self, principal: &str) {
        self.kadmin(&format!("cpw -randkey {principal}\n"));
    }

    /// A credential cache that holds a ticket-granting ticket of `principal`; `life` as `kinit -l` takes it.
    pub fn ccache(&self, principal: &str, life: &str) -> PathBuf {
        let (keytab, ccache) = (self.keytab(principal), self.path(&format!("{principal}.ccache")));
        let mut kinit = self.tool("kinit");
        kinit.arg("-c").arg(&ccache).args(["-l", life, "-k", "-t"]).arg(keytab).arg(principal);
        run(&mut kinit);
        ccache
    }

    /// Its log.
    pub fn log_file(&self) -> PathBuf {
        self.path("kdc.log")
    }

    /// What the KDC has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Requests for a ticket-granting ticket that the KDC has logged; a login with pre-authentication makes two.
    pub fn as_requests(&self) -> usize {
        self.log().matches("AS_REQ").count()
    }

    /// Ticket-granting tickets that the KDC has given out.
    pub fn logins(&self) -> usize {
        self.log().lines().filter(|line| line.contains("AS_REQ") && line.contains(" ISSUE: ")).count()
    }

    /// Requests for a service ticket that the KDC has logged.
    pub fn tgs_requests(&self) -> usize {
        self.log().matches("TGS_REQ").count()
    }

    /// It keeps its port and its connections, and says nothing.
    pub fn stop(&self) {
        self.running().signal("STOP");
    }

    /// Ends [`Kdc::stop`].
    pub fn cont(&self) {
        self.running().signal("CONT");
    }

    /// It is gone: connections are refused.
    pub fn kill(&mut self) {
        self.daemon = None;
    }

    /// Starts it anew on the same address.
    pub fn restart(&mut self) {
        self.start_with(&[]);
    }

    /// Starts it anew with another clock: `offset` is such as `+10m`.
    pub fn restart_with_clock(&mut self, offset: &str) {
        self.start_with(&clock(offset));
    }

    fn start_with(&mut self, environment: &[(&str, String)]) {
        self.daemon = None;
        let mut krb5kdc = Daemon::command(find("krb5kdc"));
        krb5kdc.envs(environment.iter().map(|(name, value)| (name, value)));
        self.environment(&mut krb5kdc).arg("-n").arg("-P").arg(self.path("pid"));
        for realm in &self.realms {
            krb5kdc.args(["-r", realm]);
        }
        let output = fs::File::create(self.path("output")).unwrap();
        krb5kdc.stdout(output.try_clone().unwrap()).stderr(output);
        self.daemon = Some(Daemon::spawn(&mut krb5kdc));
        let socket = self.place.socket();
        wait_until("krb5kdc answers", Duration::from_secs(20), || TcpStream::connect(socket).is_ok());
    }

    fn running(&self) -> &Daemon {
        self.daemon.as_ref().unwrap()
    }
}

fn populate() -> String {
    let mut commands = String::new();
    for host in ["ns1.example.test", "ns2.example.test"] {
        commands.push_str(&format!("addprinc -randkey DNS/{host}\n"));
    }
    for (user, special) in USERS {
        commands.push_str(&format!("addprinc +requires_preauth -pw {PASSWORD} {user}\n{special}"));
    }
    commands
}
