//! `make demo`: a KDC, a BIND and the sidecar; this program plays ExternalDNS and shows what happens.
//!
//! Takes the path of the sidecar's program, else runs the one that was built beside it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "the demo fails by panicking")]
#![allow(clippy::print_stdout, reason = "a demo talks")]
#![allow(clippy::disallowed_methods, reason = "it reads its own argument and NO_COLOR")]

#[path = "mod.rs"]
mod support;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;
use support::{Changes, Endpoint, Kdc, Named, Response, Settings, Sidecar, Zone};

const ZONES: [&str; 3] = ["example.test", "second.test", "2.0.192.in-addr.arpa"];

/// What was expected and what came instead.
struct Mismatch(String);

fn main() -> ExitCode {
    match Demo::prepare().play() {
        Ok(()) => ExitCode::SUCCESS,
        Err(Mismatch(text)) => {
            println!("\n{} {text}", Paint::new().red("FAILED"));
            ExitCode::FAILURE
        }
    }
}

/// Colours, where a terminal shows them.
#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn new() -> Self {
        Self(std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none())
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    fn red(self, text: &str) -> String {
        self.paint("31", text)
    }
}

struct Demo {
    sidecar: Sidecar,
    named: Named,
    kdc: Kdc,
    paint: Paint,
    steps: usize,
    checks: usize,
}

impl Demo {
    /// Starts everything and says what it is.
    fn prepare() -> Self {
        let paint = Paint::new();
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
        println!(
            "  {}  webhook {}, admin {}, started with",
            paint.bold("sidecar"),
            sidecar.webhook_url(),
            sidecar.admin_url()
        );
        for (name, value) in settings.variables() {
            println!("           {}={value}", paint.dim(name));
        }
        Self { sidecar, named, kdc, paint, steps: 0, checks: 0 }
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

    fn step(&mut self, title: &str) {
        self.steps += 1;
        println!("\n{}", self.paint.bold(&format!("{}. {title}", self.steps)));
    }

    fn negotiate(&mut self) -> Result<(), Mismatch> {
        self.step("ExternalDNS starts: which domains are served?");
        let answer = self.get("/", 200)?;
        self.expect("the domains", &answer.json()["include"].as_array().map(Vec::len), &Some(ZONES.len()))
    }

    fn create(&mut self) -> Result<(), Mismatch> {
        self.step("A Service with two addresses, a CNAME and a PTR record: three zones, one apply");
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
        self.note("BIND's log: the A records and their ownership TXT came in one UPDATE message");
        self.expect("record and ownership in one message", &together, &true)?;
        let records = self.get("/records", 200)?.json();
        self.expect("records listed, the foreign ones among them", &records.as_array().map(Vec::len), &Some(7))
    }

    fn update(&mut self) -> Result<(), Mismatch> {
        self.step("One address of the Service changes");
        self.apply(
            &Changes::new().update(&www(&["192.0.2.9", "192.0.2.10"]), &www(&["192.0.2.9", "192.0.2.11"])),
            204,
        )?;
        self.dig("www.example.test", "A", &["192.0.2.11", "192.0.2.9"])
    }

    fn change_type(&mut self) -> Result<(), Mismatch> {
        self.step("The CNAME becomes an A record: one message, at no moment is the name missing");
        let shop = Endpoint::new("shop.second.test", "CNAME", &["www.example.test"]).ttl(60);
        self.apply(&Changes::new().delete(&shop).create(&Endpoint::a("shop.second.test", &["192.0.2.20"])), 204)?;
        self.dig("shop.second.test", "A", &["192.0.2.20"])
    }

    fn leave_foreign_records_alone(&mut self) -> Result<(), Mismatch> {
        self.step("A name that somebody else already uses: left alone, named, and the rest is applied");
        let changes = Changes::new()
            .create(&Endpoint::a("legacy.example.test", &["192.0.2.30"]))
            .create(&Endpoint::a("fine.example.test", &["192.0.2.31"]));
        self.apply(&changes, 500)?;
        self.dig("legacy.example.test", "A", &["192.0.2.99"])?;
        self.dig("fine.example.test", "A", &["192.0.2.31"])?;
        let status = self.sidecar.status();
        println!("   {}", self.paint.bold("GET /status"));
        for entry in status["rejected"].as_array().into_iter().flatten() {
            println!("     {entry}");
        }
        let names = status["rejected"].to_string();
        self.expect("the rejected name", &names.contains("legacy.example.test"), &true)
    }

    fn refuse_the_unsigned(&mut self) -> Result<(), Mismatch> {
        self.step("Nobody else writes here: the same update without Kerberos");
        let text = self.named.unsigned_update("update add evil.example.test 60 A 192.0.2.66");
        println!("   {}\n     {}", self.paint.bold("$ nsupdate"), text.trim());
        self.expect("the refusal", &text.contains("REFUSED"), &true)?;
        self.dig("evil.example.test", "A", &[])
    }

    fn delete(&mut self) -> Result<(), Mismatch> {
        self.step("The Services are deleted, and so are their records, not the others");
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
        self.step("What it cost");
        let (messages, contexts) = (self.named.changing_updates().len(), self.named.negotiations());
        self.note(&format!("UPDATE messages that changed something: {messages}"));
        self.note(&format!("GSS-TSIG security contexts negotiated: {contexts}"));
        self.note(&format!("logins at the KDC: {}", self.kdc.logins()));
        self.expect("contexts negotiated", &contexts, &1)?;
        let (code, took) = self.sidecar.sigterm();
        if code != Some(0) {
            return Err(Mismatch(format!("the sidecar ended with {code:?} after SIGTERM")));
        }
        println!("   the sidecar ended on SIGTERM with exit code 0 after {took:.0?}");
        println!(
            "\n{} {} checks passed; servers stopped, nothing is left behind.",
            self.paint.green("SUCCESS"),
            self.checks
        );
        Ok(())
    }

    fn note(&self, text: &str) {
        println!("   {}", self.paint.dim(text));
    }

    fn expect<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, got: &T, want: &T) -> Result<(), Mismatch> {
        self.checks += 1;
        if got == want { Ok(()) } else { Err(Mismatch(format!("{what}: {got:?} instead of {want:?}"))) }
    }

    /// `dig +short`, which must answer exactly this.
    fn dig(&mut self, name: &str, record_type: &str, want: &[&str]) -> Result<(), Mismatch> {
        let got = self.named.answer(name, record_type);
        let line = format!("$ dig @127.0.0.1 -p {} +short {name} {record_type}", self.named.socket().port());
        println!("   {}", self.paint.bold(&line));
        for value in &got {
            println!("     {}", self.paint.green(value));
        }
        if got.is_empty() {
            println!("     {}", self.paint.dim("(no such record)"));
        }
        let want: Vec<String> = want.iter().map(|&value| value.to_owned()).collect();
        self.expect(&line, &got, &want)
    }

    fn get(&mut self, path: &str, status: u16) -> Result<Response, Mismatch> {
        println!("   {}", self.paint.bold(&format!("GET {path}")));
        let answer = self.sidecar.get(path);
        self.answered(answer, status)
    }

    fn post(&mut self, path: &str, body: &Value, status: u16) -> Result<Response, Mismatch> {
        println!("   {}", self.paint.bold(&format!("POST {path}")));
        show(body);
        let answer = self.sidecar.post(path, &body.to_string());
        self.answered(answer, status)
    }

    fn apply(&mut self, changes: &Changes, status: u16) -> Result<(), Mismatch> {
        let body: Value = serde_json::from_str(&changes.body()).unwrap();
        self.post("/records", &body, status).map(|_| ())
    }

    fn answered(&mut self, answer: Response, status: u16) -> Result<Response, Mismatch> {
        println!("   -> {} {}", self.paint.green(&answer.status.to_string()), self.paint.dim(&answer.content_type));
        if !answer.body.is_empty() {
            serde_json::from_str(&answer.body).map_or_else(|_| println!("     {}", answer.body), |body| show(&body));
        }
        self.expect("the status", &answer.status, &status)?;
        Ok(answer)
    }
}

fn www(targets: &[&str]) -> Endpoint {
    Endpoint::a("www.example.test", targets).ttl(300)
}

/// JSON with one endpoint a line.
fn show(body: &Value) {
    match body {
        Value::Array(endpoints) => endpoints.iter().for_each(|endpoint| println!("     {endpoint}")),
        Value::Object(lists) if lists.values().all(|list| list[0].is_object()) => {
            for (key, list) in lists {
                println!("     {key}:");
                list.as_array().into_iter().flatten().for_each(|endpoint| println!("       {endpoint}"));
            }
        }
        other => println!("     {other}"),
    }
}
