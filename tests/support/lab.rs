//! `cargo run --example lab -- [option]...`: a KDC and a BIND for another program, which ends them by closing standard input.
//!
//! Prints `NAME=value` lines, then `READY`. After that each line of standard input is a command, answered by one line:
//! `OK`, or for `count` a number.
//!
//! ```text
//! --zone NAME              a zone that externaldns@EXAMPLE.TEST may change; example.test always is one
//! --open-zone NAME         a zone that everybody may change, unsigned too
//! --records NAME TEXT      records in the zone file of NAME; `\n` in TEXT is a line's end
//! --policy NAME TEXT       other statements of update-policy for NAME
//! --tsig-key NAME ALGORITHM SECRET
//! --option TEXT            statements of named's options block
//! --realm NAME             a second realm of the KDC
//! --tls                    DNS over TLS too
//!
//! named|kdc  kill|start|stop|cont        named terminate
//! password USER PASSWORD                 keytab USER FILE (writes a keytab there)
//! nsupdate COMMANDS                      as administrator; `;` is a line's end
//! count updates|changes|negotiations|as-requests
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a lab fails by panicking")]
#![allow(clippy::print_stdout, reason = "its output is for its caller")]

#[path = "mod.rs"]
mod support;

use std::io::BufRead as _;
use std::path::Path;

use support::{Kdc, LAB_KEY, LAB_SECRET, Named, NamedOptions, PASSWORD, Zone};

fn main() {
    let (kdc, named) = start(std::env::args().skip(1));
    print(&kdc, &named);
    serve(kdc, named);
}

fn start(mut arguments: impl Iterator<Item = String>) -> (Kdc, Named) {
    let mut zones = vec![Zone::granted("example.test")];
    let (mut realms, mut options) = (vec![Kdc::REALM.to_owned()], Named::options());
    while let Some(option) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_else(|| panic!("{option} lacks a value"));
        match option.as_str() {
            "--zone" => zones.push(Zone::granted(&value())),
            "--open-zone" => zones.push(Zone::new(&value()).allow_update("any;")),
            "--records" => alter(&mut zones, &value(), |zone| zone.records(&value().replace("\\n", "\n"))),
            "--policy" => alter(&mut zones, &value(), |zone| zone.policy(&value())),
            "--tsig-key" => options = options.tsig_key(&value(), &value(), &value()),
            "--option" => options = options.option(&value()),
            "--realm" => realms.push(value()),
            "--tls" => options = options.tls(),
            other => panic!("unknown option {other}"),
        }
    }
    let kdc = Kdc::with_realms(&realms.iter().map(String::as_str).collect::<Vec<_>>());
    let named = zones.into_iter().fold(options.gss(&kdc), NamedOptions::zone).start();
    (kdc, named)
}

fn alter(zones: &mut [Zone], name: &str, change: impl FnOnce(Zone) -> Zone) {
    let zone = zones.iter_mut().find(|zone| zone.name == name).unwrap_or_else(|| panic!("no zone {name}"));
    *zone = change(zone.clone());
}

fn print(kdc: &Kdc, named: &Named) {
    let socket = named.socket();
    let values = [
        ("DNS_HOST", named.host().to_owned()),
        ("DNS_SERVER", socket.ip().to_string()),
        ("DNS_PORT", socket.port().to_string()),
        ("TLS_HOST", named.tls_server()),
        ("TLS_CA", named.tls_ca().display().to_string()),
        ("REALM", Kdc::REALM.to_owned()),
        ("KDC", kdc.address()),
        ("KRB5_CONFIG", kdc.krb5_conf().display().to_string()),
        ("USERNAME", "externaldns".to_owned()),
        ("PASSWORD", PASSWORD.to_owned()),
        ("KEYTAB", kdc.keytab("externaldns").display().to_string()),
        ("NAMED_LOG", named.log_file().display().to_string()),
        ("KDC_LOG", kdc.log_file().display().to_string()),
        ("ADMIN_KEY", format!("hmac-sha256:{LAB_KEY}:{LAB_SECRET}")),
    ];
    for (name, value) in values {
        println!("{name}={value}");
    }
    println!("READY");
}

fn serve(mut kdc: Kdc, mut named: Named) {
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["named", "kill"] => named.kill(),
            ["named", "terminate"] => named.terminate(),
            ["named", "start"] => named.restart(),
            ["named", "stop"] => named.stop(),
            ["named", "cont"] => named.cont(),
            ["kdc", "kill"] => kdc.kill(),
            ["kdc", "start"] => kdc.restart(),
            ["kdc", "stop"] => kdc.stop(),
            ["kdc", "cont"] => kdc.cont(),
            ["password", user, password] => kdc.change_password(user, password),
            ["keytab", user, file] => kdc.write_keytab(user, Path::new(file)),
            ["nsupdate", ..] => named.nsupdate(&line["nsupdate".len()..].replace(';', "\n")),
            ["count", what] => {
                println!("{}", count(&kdc, &named, what));
                continue;
            }
            [] => continue,
            _ => panic!("unknown command {line}"),
        }
        println!("OK");
    }
}

fn count(kdc: &Kdc, named: &Named, what: &str) -> usize {
    match what {
        "updates" => named.updates().len(),
        "changes" => named.changing_updates().len(),
        "negotiations" => named.negotiations(),
        "as-requests" => kdc.as_requests(),
        other => panic!("nothing counts {other}"),
    }
}
