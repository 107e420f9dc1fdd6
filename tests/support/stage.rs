//! What a demo shows, and what it checks on the way.

use std::io::IsTerminal as _;

use serde_json::Value;

use super::{Changes, Response, Sidecar};

/// What was expected and what came instead.
#[derive(Debug)]
pub struct Mismatch(pub String);

/// Colours, where a terminal shows them.
#[derive(Clone, Copy)]
pub struct Paint(bool);

impl Paint {
    pub fn new() -> Self {
        Self(std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none())
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    pub fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub fn red(self, text: &str) -> String {
        self.paint("31", text)
    }
}

/// A demo under way.
#[derive(Default)]
pub struct Stage {
    pub paint: Paint,
    steps: usize,
    pub checks: usize,
}

impl Stage {
    pub fn step(&mut self, title: &str) {
        self.steps += 1;
        println!("\n{}", self.paint.bold(&format!("{}. {title}", self.steps)));
    }

    pub fn note(&self, text: &str) {
        println!("   {}", self.paint.dim(text));
    }

    /// How the sidecar was started.
    pub fn introduce(&self, sidecar: &Sidecar, settings: &super::Settings) {
        let (webhook, admin) = (sidecar.webhook_url(), sidecar.admin_url());
        println!("  {}  webhook {webhook}, admin {admin}, started with", self.paint.bold("sidecar"));
        for (name, value) in settings.variables() {
            println!("           {}={value}", self.paint.dim(name));
        }
    }

    pub fn expect<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, got: &T, want: &T) -> Result<(), Mismatch> {
        self.checks += 1;
        if got == want { Ok(()) } else { Err(Mismatch(format!("{what}: {got:?} instead of {want:?}"))) }
    }

    /// The answer of this command line, which must be exactly this.
    pub fn shows(&mut self, line: &str, got: &[String], want: &[&str]) -> Result<(), Mismatch> {
        println!("   {}", self.paint.bold(line));
        for value in got {
            println!("     {}", self.paint.green(value));
        }
        if got.is_empty() {
            println!("     {}", self.paint.dim("(no such record)"));
        }
        let want: Vec<String> = want.iter().map(|&value| value.to_owned()).collect();
        self.expect(line, &got, &want.as_slice())
    }

    pub fn get(&mut self, sidecar: &Sidecar, path: &str, status: u16) -> Result<Response, Mismatch> {
        println!("   {}", self.paint.bold(&format!("GET {path}")));
        self.answered(sidecar.get(path), status)
    }

    pub fn post(&mut self, sidecar: &Sidecar, path: &str, body: &Value, status: u16) -> Result<Response, Mismatch> {
        println!("   {}", self.paint.bold(&format!("POST {path}")));
        show(body);
        self.answered(sidecar.post(path, &body.to_string()), status)
    }

    pub fn apply(&mut self, sidecar: &Sidecar, changes: &Changes, status: u16) -> Result<(), Mismatch> {
        let body: Value = serde_json::from_str(&changes.body()).unwrap();
        self.post(sidecar, "/records", &body, status).map(|_| ())
    }

    fn answered(&mut self, answer: Response, status: u16) -> Result<Response, Mismatch> {
        println!("   -> {} {}", self.paint.green(&answer.status.to_string()), self.paint.dim(&answer.content_type));
        if !answer.body.is_empty() {
            serde_json::from_str(&answer.body).map_or_else(|_| println!("     {}", answer.body), |body| show(&body));
        }
        self.expect("the status", &answer.status, &status)?;
        Ok(answer)
    }

    /// Ends the sidecar and the demo.
    pub fn end(mut self, sidecar: Sidecar) -> Result<(), Mismatch> {
        let (code, took) = sidecar.sigterm();
        self.expect("the sidecar's end after SIGTERM", &code, &Some(0))?;
        println!("   the sidecar ended on SIGTERM with exit code 0 after {took:.0?}");
        let success = self.paint.green("SUCCESS");
        println!("\n{success} {} checks passed; servers stopped, nothing is left behind.", self.checks);
        Ok(())
    }
}

impl Default for Paint {
    fn default() -> Self {
        Self::new()
    }
}

/// Plays a demo to its end.
pub fn play(demo: impl FnOnce() -> Result<(), Mismatch>) -> std::process::ExitCode {
    match demo() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(Mismatch(text)) => {
            println!("\n{} {text}", Paint::new().red("FAILED"));
            std::process::ExitCode::FAILURE
        }
    }
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
