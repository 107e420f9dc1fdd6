//! `make bench-samba`: a zone of 5,000 names read over LDAP by the sidecar and by `ldapsearch`, in one run. Prints and
//! judges nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark fails by panicking")]
#![allow(clippy::print_stdout, reason = "its output is for people")]
#![allow(clippy::disallowed_methods, reason = "it measures time")]

#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use support::{Backend, Changes, Endpoint, Samba, Settings, find_or_install, run};

const INSTALL: &str = "apt-get install -y --no-install-recommends ldap-utils libsasl2-modules-gssapi-mit krb5-user";
const ZONE: &str = "second.test";
const BASE: &str = "DC=second.test,CN=MicrosoftDNS,DC=DomainDnsZones,DC=ad,DC=test";
/// Names in the zone: hosts, and as many of their registry TXT.
const NAMES: usize = 5_000;
/// Hosts of one apply; Samba takes a while for each.
const AT_ONCE: usize = 250;
const ROUNDS: usize = 7;

fn main() {
    let bench = Bench::prepare();
    let whole = median(|| bench.ldapsearch());
    row("ldapsearch, pages of 1000", whole, whole);
    row("process start to the whole list", median(|| bench.start()), whole);
    let sidecar = bench.settings.start();
    let list = || timed(|| assert_eq!(sidecar.records().len(), NAMES));
    list();
    let read = median(|| {
        // Another controller's copy, or what makes the apex move, is read whole.
        bench.touch_apex();
        list()
    });
    row("the list again, the apex changed: a whole read", read, whole);
    row("the list again, zone unchanged", median(list), whole);
    println!(
        "{:<50}{:>12}{:>10.2}",
        "  of that, against the whole read",
        "",
        median(list).as_secs_f64() / read.as_secs_f64()
    );
}

fn row(what: &str, time: Duration, peer: Duration) {
    let (time, peer) = (time.as_secs_f64(), peer.as_secs_f64());
    println!("{what:<50}{:>9.1} ms{:>10.2}", time * 1e3, time / peer);
}

fn median(mut measure: impl FnMut() -> Duration) -> Duration {
    let mut times: Vec<Duration> = (0..ROUNDS).map(|_| measure()).collect();
    times.sort_unstable();
    times[ROUNDS / 2]
}

fn timed(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

struct Bench {
    samba: Samba,
    settings: Settings,
}

impl Bench {
    fn prepare() -> Self {
        let samba = Samba::start(Backend::Internal);
        let settings = samba.settings(&[ZONE]).set("RFC2136_READ", "ldap");
        let filling = settings.clone().set("WEBHOOK_DEADLINE", "120s").set("RFC2136_TIMEOUT", "30s").start();
        let hosts: Vec<usize> = (0..NAMES / 2).collect();
        for some in hosts.chunks(AT_ONCE) {
            let host = |index| Endpoint::a(&format!("h{index}.{ZONE}"), &["192.0.2.1"]).ttl(300);
            filling.apply_all(&some.iter().fold(Changes::new(), |changes, index| changes.create(&host(index))));
        }
        let conf = "[libdefaults]\n default_realm = AD.TEST\n dns_lookup_kdc = false\n rdns = false\n dns_canonicalize_hostname = false\n\
                    [realms]\n AD.TEST = {\n kdc = 10.53.53.1\n }\n";
        fs::write(samba.namespace().path(KRB5_CONF), conf).unwrap();
        let bench = Self { samba, settings };
        let keytab = bench.samba.keytab("externaldns");
        bench.tool("kinit", &["-k", "-t", &keytab, "externaldns"]);
        bench
    }

    fn tool(&self, program: &str, arguments: &[&str]) -> String {
        let mut tool = self.samba.namespace().command(find_or_install(program, INSTALL));
        tool.env("KRB5_CONFIG", KRB5_CONF).env("KRB5CCNAME", "FILE:/var/lib/samba/bench.ccache");
        run(tool.args(arguments))
    }

    /// What a whole read asks for, with the ticket in a cache.
    fn ldapsearch(&self) -> Duration {
        timed(|| {
            let arguments = [
                "-LLL",
                "-Q",
                "-Y",
                "GSSAPI",
                "-H",
                "ldap://dc1.ad.test",
                "-b",
                BASE,
                "-s",
                "one",
                "-E",
                "pr=1000/noprompt",
                "(objectClass=dnsNode)",
                "name",
                "dnsRecord",
                "dNSTombstoned",
            ];
            let found = self.tool("ldapsearch", &arguments).lines().filter(|line| line.starts_with("dn: ")).count();
            assert!(found > NAMES, "{found} nodes");
        })
    }

    /// A sidecar with nothing in memory, its login at the KDC included.
    fn start(&self) -> Duration {
        timed(|| assert_eq!(self.settings.start().records().len(), NAMES))
    }

    /// Writes the apex as it is, which counts as a change of it.
    fn touch_apex(&self) {
        let script = include_str!("touch.py");
        assert!(Path::new(PYTHON).exists(), "{INSTALL}");
        run(self.samba.namespace().command(PYTHON.into()).args(["-c", script, &format!("DC=@,{BASE}")]));
    }
}

const KRB5_CONF: &str = "/var/lib/samba/bench.krb5.conf";
const PYTHON: &str = "/usr/bin/python3";
