//! `make demo`: a KDC, a BIND and the sidecar; this program plays ExternalDNS and shows what happens.
//!
//! Takes the path of the sidecar's program, else runs the one that was built beside it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "the demo fails by panicking")]
#![allow(clippy::print_stdout, reason = "a demo talks")]
#![allow(clippy::disallowed_methods, reason = "it reads its own argument and NO_COLOR")]

#[path = "mod.rs"]
mod support;

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;
use support::stage::{self, Mismatch, Stage};
use support::{Changes, Endpoint, Kdc, Named, Response, Settings, Sidecar, Zone};

const ZONES: [&str; 3] = ["example.test", "second.test", "2.0.192.in-addr.arpa"];

fn main() -> ExitCode {
    stage::play(|| Demo::prepare().play())
}

struct Demo {
    sidecar: Sidecar,
    named: Named,
    kdc: Kdc,
    stage: Stage,
}

impl Demo {
    /// Starts everything and says what it is.
    fn prepare() -> Self {
        let stage = Stage::default();
        let paint = stage.paint;
        println!(
            "{}\n",
            paint.bold("Kubernetes ExternalDNS -> webhook sidecar -> GSS-TSIG -> BIND, all on this machine")
        );
        let kdc = Kdc::start();
        println!("  {}  realm {} at {}", paint.bold("MIT KDC"), Kdc::REALM, kdc.address());
        let foreign = "legacy IN A 192.0.2.99";
        let zones =
            ZONES.map(|name| if name == ZONES[0] { Zone::granted(name).records(foreign) } else { Zone::granted(name) });
        let named = zones.into_iter().fold(Named::options().gss(&kdc), support::NamedOptions::zone).start();
        println!("  {}     {} at {}: zones {}", paint.bold("BIND"), named.host(), named.socket(), ZONES.join(", "));
        println!("           update-policy {{ grant externaldns@EXAMPLE.TEST zonesub ANY; }}");
        let mut settings = Settings::keytab(&kdc, &named, &ZONES);
        if let Some(program) = std::env::args_os().nth(1).map(PathBuf::from) {
            settings = settings.program(&program);
        }
        let sidecar = settings.start();
        stage.introduce(&sidecar, &settings);
        Self { sidecar, named, kdc, stage }
    }

    fn play(mut self) -> Result<(), Mismatch> {
        self.negotiate()?;
        self.create()?;
        self.update()?;
        self.change_type()?;
        self.leave_foreign_records_alone()?;
        self.refuse_the_unsigned()?;
        self.delete()?;
        self.sum_up()
    }

    fn negotiate(&mut self) -> Result<(), Mismatch> {
        self.stage.step("ExternalDNS starts: which domains are served?");
        let answer = self.get("/", 200)?;
        self.stage.expect("the domains", &answer.json()["include"].as_array().map(Vec::len), &Some(ZONES.len()))
    }

    fn create(&mut self) -> Result<(), Mismatch> {
        self.stage.step("A Service with two addresses, a CNAME and a PTR record: three zones, one apply");
        let desired = [
            Endpoint::a("WWW.example.test.", &["192.0.2.10", "192.0.2.9"]).ttl(300),
            Endpoint::new("shop.second.test", "CNAME", &["www.example.test."]).ttl(60),
            Endpoint::new("9.2.0.192.in-addr.arpa", "PTR", &["www.example.test"]).ttl(300),
        ];
        let body = Value::from_iter(desired.iter().map(Endpoint::json));
        self.post("/adjustendpoints", &body, 200)?;
        let [_, shop, ptr] = &desired;
        let changes = Changes::new().create(&www(&["192.0.2.9", "192.0.2.10"])).create(shop).create(ptr);
        self.apply(&changes, 204)?;
        self.dig("www.example.test", "A", &["192.0.2.10", "192.0.2.9"])?;
        self.dig("a-www.example.test", "TXT", &[&www(&[]).registry_txt().targets[0]])?;
        self.dig("shop.second.test", "CNAME", &["www.example.test."])?;
        self.dig("9.2.0.192.in-addr.arpa", "PTR", &["www.example.test."])?;
        let update = self.named.updates().into_iter().find(|update| update.adds("www.example.test A"));
        let together = update.is_some_and(|update| update.adds("a-www.example.test TXT"));
        self.stage.note("BIND's log: the A records and their ownership TXT came in one UPDATE message");
        self.stage.expect("record and ownership in one message", &together, &true)?;
        let records = self.get("/records", 200)?.json();
        self.stage.expect("records listed, the foreign ones among them", &records.as_array().map(Vec::len), &Some(7))
    }

    fn update(&mut self) -> Result<(), Mismatch> {
        self.stage.step("One address of the Service changes");
        self.apply(
            &Changes::new().update(&www(&["192.0.2.9", "192.0.2.10"]), &www(&["192.0.2.9", "192.0.2.11"])),
            204,
        )?;
        self.dig("www.example.test", "A", &["192.0.2.11", "192.0.2.9"])
    }

    fn change_type(&mut self) -> Result<(), Mismatch> {
        self.stage.step("The CNAME becomes an A record: one message, at no moment is the name missing");
        let shop = Endpoint::new("shop.second.test", "CNAME", &["www.example.test"]).ttl(60);
        self.apply(&Changes::new().delete(&shop).create(&Endpoint::a("shop.second.test", &["192.0.2.20"])), 204)?;
        self.dig("shop.second.test", "A", &["192.0.2.20"])
    }

    fn leave_foreign_records_alone(&mut self) -> Result<(), Mismatch> {
        self.stage.step("A name that somebody else already uses: left alone, named, and the rest is applied");
        let changes = Changes::new()
            .create(&Endpoint::a("legacy.example.test", &["192.0.2.30"]))
            .create(&Endpoint::a("fine.example.test", &["192.0.2.31"]));
        self.apply(&changes, 500)?;
        self.dig("legacy.example.test", "A", &["192.0.2.99"])?;
        self.dig("fine.example.test", "A", &["192.0.2.31"])?;
        let status = self.sidecar.status();
        println!("   {}", self.stage.paint.bold("GET /status"));
        for entry in status["rejected"].as_array().into_iter().flatten() {
            println!("     {entry}");
        }
        let names = status["rejected"].to_string();
        self.stage.expect("the rejected name", &names.contains("legacy.example.test"), &true)
    }

    fn refuse_the_unsigned(&mut self) -> Result<(), Mismatch> {
        self.stage.step("Nobody else writes here: the same update without Kerberos");
        let text = self.named.unsigned_update("update add evil.example.test 60 A 192.0.2.66");
        println!("   {}\n     {}", self.stage.paint.bold("$ nsupdate"), text.trim());
        self.stage.expect("the refusal", &text.contains("REFUSED"), &true)?;
        self.dig("evil.example.test", "A", &[])
    }

    fn delete(&mut self) -> Result<(), Mismatch> {
        self.stage.step("The Services are deleted, and so are their records, not the others");
        let changes = Changes::new()
            .delete(&www(&["192.0.2.9", "192.0.2.11"]))
            .delete(&Endpoint::a("shop.second.test", &["192.0.2.20"]))
            .delete(&Endpoint::a("fine.example.test", &["192.0.2.31"]))
            .delete(&Endpoint::new("9.2.0.192.in-addr.arpa", "PTR", &["www.example.test"]).ttl(300));
        self.apply(&changes, 204)?;
        self.dig("www.example.test", "A", &[])?;
        self.dig("a-www.example.test", "TXT", &[])?;
        self.dig("legacy.example.test", "A", &["192.0.2.99"])
    }

    fn sum_up(mut self) -> Result<(), Mismatch> {
        self.stage.step("What it cost");
        let (messages, contexts) = (self.named.changing_updates().len(), self.named.negotiations());
        self.stage.note(&format!("UPDATE messages that changed something: {messages}"));
        self.stage.note(&format!("GSS-TSIG security contexts negotiated: {contexts}"));
        self.stage.note(&format!("logins at the KDC: {}", self.kdc.logins()));
        self.stage.expect("contexts negotiated", &contexts, &1)?;
        self.stage.end(self.sidecar)
    }

    /// `dig +short`, which must answer exactly this.
    fn dig(&mut self, name: &str, record_type: &str, want: &[&str]) -> Result<(), Mismatch> {
        let got = self.named.answer(name, record_type);
        let line = format!("$ dig @127.0.0.1 -p {} +short {name} {record_type}", self.named.socket().port());
        self.stage.shows(&line, &got, want)
    }

    fn get(&mut self, path: &str, status: u16) -> Result<Response, Mismatch> {
        self.stage.get(&self.sidecar, path, status)
    }

    fn post(&mut self, path: &str, body: &Value, status: u16) -> Result<Response, Mismatch> {
        self.stage.post(&self.sidecar, path, body, status)
    }

    fn apply(&mut self, changes: &Changes, status: u16) -> Result<(), Mismatch> {
        self.stage.apply(&self.sidecar, changes, status)
    }
}

fn www(targets: &[&str]) -> Endpoint {
    Endpoint::a("www.example.test", targets).ttl(300)
}
