//! `cargo run --example samba-lab`: a Samba domain controller and the sidecar for another program, which ends them by closing
//! standard input.
//!
//! Prints `WEBHOOK=` with the sidecar's URL, as seen from here, then `READY`. After that each line of standard input is a
//! command, answered by one line: `updates` by the number of UPDATE messages sent so far, `held NAME TYPE` by what DNS
//! holds, separated by blanks, `restart` by the URL of a new sidecar.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a lab fails by panicking")]
#![allow(clippy::print_stdout, reason = "its output is for its caller")]

#[path = "mod.rs"]
mod support;

use std::io::{self, BufRead as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use support::{Backend, Samba, Settings, Sidecar};

const ZONES: [&str; 3] = ["ad.test", "second.test", "2.0.192.in-addr.arpa"];

fn main() {
    let samba = Samba::start(Backend::Internal);
    let settings = samba.settings_of("extdns2", &ZONES);
    let mut sidecar = settings.start();
    println!("WEBHOOK={}\nREADY", bridged(&samba, &sidecar));
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        let answer = match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["updates"] => sidecar.metric("external_dns_rfc2136_updates_total", "").to_string(),
            ["held", name, record_type] => samba.held(name, record_type).join(" "),
            ["restart"] => {
                sidecar = restarted(&settings, sidecar);
                bridged(&samba, &sidecar)
            }
            _ => panic!("unknown command {line}"),
        };
        println!("{answer}");
    }
}

fn restarted(settings: &Settings, sidecar: Sidecar) -> Sidecar {
    assert_eq!(sidecar.sigterm().0, Some(0));
    settings.start()
}

/// Where the sidecar's webhook is reached from outside its namespace.
fn bridged(samba: &Samba, sidecar: &Sidecar) -> String {
    let inner: Arc<str> = sidecar.webhook_url().trim_start_matches("http://").into();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let namespace = samba.namespace().clone();
    thread::spawn(move || {
        for outer in listener.incoming().map_while(Result::ok) {
            // A sidecar that has ended takes no more.
            if let Ok(inner) = namespace.inside(|| TcpStream::connect(inner.as_ref())) {
                join(&outer, &inner);
                join(&inner, &outer);
            }
        }
    });
    format!("http://{address}")
}

/// Copies what one sends to the other, until it ends.
fn join(from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}
