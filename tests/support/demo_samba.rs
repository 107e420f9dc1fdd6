//! `make demo-samba`: a Samba AD domain controller and the sidecar; this program plays ExternalDNS and shows what happens.
//!
//! Takes the path of the sidecar's program, else runs the one that was built beside it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "the demo fails by panicking")]
#![allow(clippy::print_stdout, reason = "a demo talks")]
#![allow(clippy::disallowed_methods, reason = "it reads its own argument and NO_COLOR")]

#[path = "mod.rs"]
mod support;

use std::path::PathBuf;
use std::process::ExitCode;

use support::stage::{self, Mismatch, Stage};
use support::{Backend, Changes, Endpoint, Samba, Settings, Sidecar};

const ZONES: [&str; 3] = ["ad.test", "second.test", "2.0.192.in-addr.arpa"];
/// A plain domain account: it may create names, and change those that it created.
const ACCOUNT: &str = "extdns2";

fn main() -> ExitCode {
    stage::play(|| Demo::prepare().play())
}

struct Demo {
    sidecar: Sidecar,
    settings: Settings,
    samba: Samba,
    stage: Stage,
}

impl Demo {
    /// Starts everything and says what it is.
    fn prepare() -> Self {
        let stage = Stage::default();
        let paint = stage.paint;
        let title = "Kubernetes ExternalDNS -> webhook sidecar -> GSS-TSIG and LDAP -> Samba AD, all on this machine";
        println!("{}\n", paint.bold(title));
        let samba = Samba::start(Backend::Internal);
        let (realm, zones) = (Samba::REALM, ZONES.join(", "));
        println!(
            "  {}    domain {realm}, dc1.ad.test at {}, its internal DNS with zones {zones}",
            paint.bold("Samba"),
            Samba::ADDRESS
        );
        println!("           the account {ACCOUNT} is a plain domain user, in no other group than Domain Users");
        let mut settings = samba.settings_of(ACCOUNT, &ZONES);
        if let Some(program) = std::env::args_os().nth(1).map(PathBuf::from) {
            settings = settings.program(&program);
        }
        let sidecar = settings.start();
        stage.introduce(&sidecar, &settings);
        Self { sidecar, settings, samba, stage }
    }

    fn play(mut self) -> Result<(), Mismatch> {
        self.preflight()?;
        self.read_nothing()?;
        self.create()?;
        self.find_again()?;
        self.update()?;
        self.leave_the_domain_alone()?;
        self.delete()?;
        self.stage.step("The end");
        let binds = self.sidecar.logged("bound to the directory");
        self.stage.note(&format!("connections bound to the directory: {binds}; security contexts: 1"));
        let contexts = self.sidecar.logged("security context established");
        self.stage.expect("contexts negotiated", &contexts, &1)?;
        self.stage.end(self.sidecar)
    }

    fn preflight(&mut self) -> Result<(), Mismatch> {
        self.stage.step("Before the first start: which way of reading works?");
        let (code, text) = self.settings.output(&["check"]);
        println!("   {}", self.stage.paint.bold("$ external-dns-rfc2136-webhook check"));
        let lines = text.lines().filter(|line| !line.contains(" valid, for ") && line.contains("ad.test on "));
        lines.for_each(|line| println!("     {line}"));
        self.stage.expect("the preflight", &code, &Some(0))
    }

    fn read_nothing(&mut self) -> Result<(), Mismatch> {
        self.stage.step("What is there: the zones are read over LDAP, and a domain's own names are not shown");
        let transfer = self.samba.dig(&["+noall", "+answer", "ad.test", "AXFR"]);
        self.stage.note(&format!("$ dig ad.test AXFR: {}", transfer.trim().lines().last().unwrap_or("(nothing)")));
        self.lists(0)
    }

    fn create(&mut self) -> Result<(), Mismatch> {
        self.stage
            .step("A Service with an address, an alias, a text, a mail exchanger, SRV and PTR: three zones, one apply");
        let changes = desired(1).iter().fold(Changes::new(), Changes::create);
        self.stage.apply(&self.sidecar, &changes, 204)?;
        self.holds(1)?;
        self.lists(2 * desired(1).len())
    }

    fn find_again(&mut self) -> Result<(), Mismatch> {
        self.stage.step("The sidecar starts anew: it finds what is there, and the same desired state sends nothing");
        self.sidecar = self.settings.start();
        self.lists(2 * desired(1).len())?;
        let same = desired(1).iter().fold(Changes::new(), |changes, record| changes.update(record, record));
        self.stage.apply(&self.sidecar, &same, 204)?;
        let sent = self.sidecar.metric("external_dns_rfc2136_updates_total", "");
        self.stage.note(&format!("UPDATE messages sent since the start: {sent}"));
        self.stage.expect("UPDATE messages", &sent, &0.0)
    }

    fn update(&mut self) -> Result<(), Mismatch> {
        self.stage.step("Everything changes");
        let pairs = desired(1).into_iter().zip(desired(2));
        let changes = pairs.fold(Changes::new(), |changes, (old, new)| changes.update(&old, &new));
        self.stage.apply(&self.sidecar, &changes, 204)?;
        self.holds(2)?;
        self.lists(2 * desired(1).len())
    }

    fn leave_the_domain_alone(&mut self) -> Result<(), Mismatch> {
        self.stage.step("A name of the domain's own: refused before anything is sent");
        let takeover = Changes::new().create(&Endpoint::a("gc._msdcs.ad.test", &["192.0.2.66"]));
        self.stage.apply(&self.sidecar, &takeover, 500)?;
        self.digs("gc._msdcs.ad.test", "A", &[Samba::ADDRESS])
    }

    fn delete(&mut self) -> Result<(), Mismatch> {
        self.stage.step("The Services are deleted, and so are their records");
        let changes = desired(2).iter().fold(Changes::new(), Changes::delete);
        self.stage.apply(&self.sidecar, &changes, 204)?;
        for record in desired(2) {
            self.digs(&record.name, &record.record_type, &[])?;
        }
        self.lists(0)
    }

    fn holds(&mut self, version: u8) -> Result<(), Mismatch> {
        for record in desired(version) {
            let shown: Vec<String> = record.targets.iter().map(|target| in_dns(&record.record_type, target)).collect();
            let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
            self.digs(&record.name, &record.record_type, &shown)?;
        }
        Ok(())
    }

    fn digs(&mut self, name: &str, record_type: &str, want: &[&str]) -> Result<(), Mismatch> {
        let got = self.samba.held(name, record_type);
        self.stage.shows(&format!("$ dig @{} {name} {record_type}", Samba::ADDRESS), &got, want)
    }

    fn lists(&mut self, count: usize) -> Result<(), Mismatch> {
        let records = self.stage.get(&self.sidecar, "/records", 200)?.json();
        self.stage.expect("records listed", &records.as_array().map(Vec::len), &Some(count))
    }
}

/// What the Services want, in two versions.
fn desired(version: u8) -> Vec<Endpoint> {
    let v = version;
    let records = [
        ("www.ad.test", "A", format!("192.0.2.{v}")),
        ("shop.second.test", "CNAME", format!("www{v}.ad.test")),
        ("text.ad.test", "TXT", format!("version {v}")),
        ("mail.ad.test", "MX", format!("{v}0 www.ad.test")),
        ("_sip._tcp.ad.test", "SRV", format!("0 {v} 5060 www.ad.test.")),
        ("7.2.0.192.in-addr.arpa", "PTR", format!("www{v}.ad.test")),
    ];
    records.map(|(name, record_type, target)| Endpoint::new(name, record_type, &[&target]).ttl(300)).to_vec()
}

/// A target as `dig` shows it.
fn in_dns(record_type: &str, target: &str) -> String {
    match record_type {
        "TXT" => format!("\"{target}\""),
        "A" => target.to_owned(),
        _ => format!("{}.", target.trim_end_matches('.')),
    }
}
