//! ExternalDNS's own rfc2136 provider as a peer, where Go is there to build it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::support::{Kdc, PASSWORD, memory};

/// The provider in a process of its own, which answers commands with what they took.
pub(crate) struct InTree {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl InTree {
    /// Builds it, where there is Go.
    pub(crate) fn build() -> Option<()> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/intree");
        let mut go = Command::new("go");
        go.arg("-C").arg(source).args(["build", "-o"]).arg(program()).arg(".");
        go.status().ok().map(|status| assert!(status.success(), "go build"))
    }

    /// One for the server at this address, whose Kerberos name is that of the address.
    pub(crate) fn start(kdc: &Kdc, server: SocketAddr) -> Self {
        let mut command = Command::new(program());
        command
            .env("KRB5_CONFIG", kdc.krb5_conf())
            .env("DNS_SERVER", server.ip().to_string())
            .env("DNS_PORT", server.port().to_string())
            .env("REALM", Kdc::REALM)
            .env("USERNAME", "externaldns")
            .env("PASSWORD", PASSWORD)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (commands, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, commands, answers }
    }

    /// What a command took; `main.go` tells which there are.
    pub(crate) fn ask(&mut self, command: &str) -> Duration {
        writeln!(self.commands, "{command}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        Duration::from_nanos(answer.trim().parse().unwrap_or_else(|_| panic!("in-tree: {command}")))
    }

    /// The most memory that was ever resident, in octets.
    pub(crate) fn peak(&self) -> u64 {
        memory(self.child.id(), "VmHWM:")
    }
}

impl Drop for InTree {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> std::path::PathBuf {
    std::env::current_exe().unwrap().with_file_name("intree")
}
