//! What the documents tell to type is typed, and does what they say. Those for Samba and PowerDNS are a part of how these
//! servers are set up here.

use std::fs;
use std::process::Command;

use crate::support::{
    Backend, Changes, Directory, Endpoint, Forwarder, Kdc, Named, PASSWORD, Samba, Settings, Sidecar, Zone, block,
    program, run,
};

fn writes_and_lists(sidecar: &Sidecar, name: &str) {
    let record = Endpoint::a(name, &["192.0.2.1"]);
    sidecar.apply_all(&Changes::new().create(&record));
    assert_eq!(sidecar.targets(name, "A"), Some(vec!["192.0.2.1".to_owned()]));
    sidecar.apply_all(&Changes::new().delete(&record));
    assert_eq!(sidecar.targets(name, "A"), None);
}

/// The value between two texts of a block.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let start = text.find(before).unwrap_or_else(|| panic!("{before} is not in {text}")) + before.len();
    let end = text[start..].find(after).unwrap();
    text[start..start + end].trim()
}

#[test]
fn bind_with_mit_kerberos() {
    const PAGE: &str = "deploy/bind.md";
    let kdc = Kdc::with_realms(&["EXAMPLE.COM"]);
    // A KDC of these tests has an account of that name.
    kdc.kadmin("delprinc -force externaldns\n");
    let directory = Directory::new();
    run(kdc.tool("sh").current_dir(directory.path()).args(["-ec", &block(PAGE, "kadmin.local", &[])]));

    let configuration = block(PAGE, "update-policy", &[]);
    assert!(configuration.contains("tkey-gssapi-keytab \"/etc/bind/dns.keytab\";"));
    let zone = Zone::new(between(&configuration, "zone \"", "\""))
        .policy(between(&configuration, "update-policy {", "}"))
        .allow_transfer(between(&configuration, "allow-transfer {", "}"));
    let named = Named::options().host("ns1.example.com").keytab(&directory.join("dns.keytab")).zone(zone).start();
    let sidecar = Settings::new()
        .servers(&[&named.server()], &["example.com"])
        .set("RFC2136_GSS_TSIG", "true")
        .set("RFC2136_SERVER_PROFILE", "bind")
        .set("RFC2136_KERBEROS_REALM", "EXAMPLE.COM")
        .set("RFC2136_KERBEROS_USERNAME", "externaldns")
        .set("RFC2136_KERBEROS_KEYTAB", directory.join("externaldns.keytab").to_str().unwrap())
        .set("RFC2136_KERBEROS_KDC", &kdc.address())
        .set("TMPDIR", directory.path().to_str().unwrap())
        .start();
    writes_and_lists(&sidecar, "www.example.com");
}

#[test]
fn an_account_on_samba() {
    let samba = Samba::start(Backend::Internal);
    let names = [("externaldns", "newcomer")];
    samba.type_in("keytabs", &block("deploy/samba.md", "samba-tool user create", &names));
    writes_and_lists(&samba.settings_of("newcomer", &["second.test"]).start(), "www.second.test");
}

#[test]
fn the_sidecar_with_a_shared_key() {
    let directory = Directory::new();
    let secret = directory.join("secret");
    fs::write(&secret, "bGFib3JhdG9yeQ==\n").unwrap();
    let secret = secret.to_str().unwrap();
    let settings = block("deploy/knot-powerdns.md", "RFC2136_TSIG_KEYNAME", &[("/etc/tsig/secret", secret)]);
    let mut shell = Command::new("sh");
    shell.args(["-ec", &format!("set -a\n{settings}exec \"$0\" config")]).arg(program());
    let shown = run(&mut shell);
    assert!(settings.lines().filter(|line| !line.contains("SECRET_FILE")).all(|line| shown.contains(line)), "{shown}");
}

#[test]
fn a_lab_by_hand() {
    let (kdc, directory) = (Kdc::start(), Directory::new());
    let named = Named::example(&kdc);
    let way = Forwarder::start(named.socket());
    let lab = block("tests/README.md", "cargo run -- check", &[]);
    let mut shell = Command::new("sh");
    shell
        // The program is built already; the last command of the block would go on.
        .args(["-ec", &format!("cargo() {{ shift; [ $# = 0 ] || {{ shift; \"$PROGRAM\" \"$@\"; }}; }}\n{lab}")])
        .env("PROGRAM", program())
        .env("DNS_PORT", way.socket().port().to_string())
        .env("TMPDIR", directory.path());
    for (name, value) in
        [("REALM", Kdc::REALM), ("KDC", &kdc.address()), ("USERNAME", "externaldns"), ("PASSWORD", PASSWORD)]
    {
        shell.env(name, value);
    }
    let said = run(&mut shell);
    assert!(said.contains("example.test") && !way.updates().is_empty(), "{said}");
}
