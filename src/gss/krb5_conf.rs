//! The Kerberos library's configuration file: generated, or the user's own checked against the realm.

use std::fmt::Write;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::kerberos::Realm;

/// Text of a krb5.conf for one realm. No KDCs means that they are found by DNS SRV.
///
/// Names are never canonicalised, so that the target name is the one configured; TCP is tried first, since tickets with
/// an AD PAC do not fit UDP.
#[must_use]
pub fn generate(realm: &Realm, kdcs: &[String]) -> String {
    let mut text = format!(
        "[libdefaults]\n default_realm = {realm}\n dns_lookup_kdc = {}\n dns_lookup_realm = false\n \
         dns_canonicalize_hostname = false\n rdns = false\n forwardable = false\n udp_preference_limit = 1\n",
        kdcs.is_empty()
    );
    if !kdcs.is_empty() {
        let _ = writeln!(text, "[realms]\n {realm} = {{");
        for kdc in kdcs {
            let _ = writeln!(text, "  kdc = {kdc}");
        }
        text.push_str(" }\n");
    }
    text
}

/// Writes a generated krb5.conf where only this user can read and replace it.
///
/// # Errors
/// When no private directory can be made below `base`.
pub fn write_private(base: &Path, process: u32, text: &str) -> io::Result<PathBuf> {
    let directory = base.join(format!("external-dns-rfc2136-webhook-{process}"));
    // What a former process of the same number left behind is removed; another user's stays and makes `create` fail.
    let _ = fs::remove_dir_all(&directory);
    fs::DirBuilder::new().mode(0o700).create(&directory)?;
    let path = directory.join("krb5.conf");
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    io::Write::write_all(&mut file, text.as_bytes())?;
    Ok(path)
}

/// Where a krb5.conf says that a realm's KDCs are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kdcs {
    /// `host[:port]` of each.
    Named(Vec<String>),
    /// Found by DNS SRV.
    Srv,
    /// In files that it includes, perhaps.
    Elsewhere,
    /// Nowhere: it does not know the realm.
    Nowhere,
}

/// Where a user's own krb5.conf says that the realm's KDCs are.
#[must_use]
pub fn kdcs(text: &str, realm: &Realm) -> Kdcs {
    let opens =
        |line: &&str| setting(line).is_some_and(|(name, value)| name == realm.as_str() && value.starts_with('{'));
    let lines = text.lines().map(str::trim).skip_while(|line| !opens(line)).skip(1);
    let named: Vec<_> = lines
        .take_while(|line| !line.starts_with(['}', '[']))
        .filter_map(setting)
        .filter(|(name, _)| *name == "kdc")
        .map(|(_, value)| value.to_owned())
        .collect();
    if !named.is_empty() {
        Kdcs::Named(named)
    } else if looks_up_kdcs(text) {
        Kdcs::Srv
    } else if includes(text) {
        Kdcs::Elsewhere
    } else {
        Kdcs::Nowhere
    }
}

/// What in a user's own krb5.conf does not fit the realm; a remedy each.
#[must_use]
pub fn objections(text: &str, realm: &Realm) -> Vec<String> {
    let mut objections = Vec::new();
    let has_stanza = settings(text).any(|(name, value)| name == realm.as_str() && value.starts_with('{'));
    if !has_stanza && !looks_up_kdcs(text) && !includes(text) {
        objections.push(format!(
            "it has no [realms] entry for {realm} and dns_lookup_kdc is off: add the realm with its kdc"
        ));
    }
    if let Some(default) = value_of(text, "default_realm").filter(|default| *default != realm.as_str()) {
        objections.push(format!(
            "its default_realm is {default}, the configured realm is {realm}; the configured one is used"
        ));
    }
    objections
}

/// Names and values, line by line.
fn settings(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(setting)
}

/// Name and value of a line that is no comment.
fn setting(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.trim().split_once('=').filter(|(name, _)| !name.starts_with(['#', ';']))?;
    Some((name.trim(), value.trim()))
}

fn value_of<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    settings(text).find(|(name, _)| *name == key).map(|(_, value)| value)
}

/// Whether the library asks DNS, as it does unless told not to.
fn looks_up_kdcs(text: &str) -> bool {
    value_of(text, "dns_lookup_kdc").is_none_or(|value| !matches!(value, "false" | "no" | "0" | "off"))
}

fn includes(text: &str) -> bool {
    text.lines().any(|line| line.trim_start().starts_with("include"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn realm() -> Realm {
        Realm::parse("EXAMPLE.TEST").unwrap().realm
    }

    #[test]
    fn without_kdcs_dns_finds_them() {
        assert!(generate(&realm(), &[]).contains("dns_lookup_kdc = true"));
        let given = generate(&realm(), &["kdc1.example.test".to_owned(), "10.0.0.1:8888".to_owned()]);
        assert!(given.contains("dns_lookup_kdc = false") && given.contains("  kdc = 10.0.0.1:8888\n"), "{given}");
    }

    #[test]
    fn the_generated_file_passes_its_own_check() {
        assert_eq!(objections(&generate(&realm(), &["kdc".to_owned()]), &realm()), Vec::<String>::new());
    }

    #[test]
    fn a_file_without_the_realm_is_objected_to() {
        let text =
            "[libdefaults]\n default_realm = ATHENA.TEST\n dns_lookup_kdc = false\n[realms]\n ATHENA.TEST = {\n }\n";
        assert_eq!(objections(text, &realm()).len(), 2);
    }

    #[test]
    fn the_kdcs_of_a_realm_are_those_of_its_own_entry() {
        let text = "[libdefaults]\n dns_lookup_kdc = false\n[realms]\n OTHER.TEST = {\n  kdc = kdc.other.test\n }\n \
            EXAMPLE.TEST = {\n  # kdc = old\n  kdc = kdc1.example.test\n  admin_server = adm\n  kdc = [2001:db8::1]:88\n }\n \
            MORE.TEST = {\n  kdc = kdc.more.test\n }\n[logging]\n kdc = FILE:/dev/null\n";
        let named = ["kdc1.example.test", "[2001:db8::1]:88"].map(str::to_owned).to_vec();
        assert_eq!(kdcs(text, &realm()), Kdcs::Named(named.clone()));
        let cut = text.split_once(" }\n MORE").map(|(before, _)| format!("{before}[logging]\n kdc = FILE:/dev/null\n"));
        assert_eq!(kdcs(&cut.unwrap(), &realm()), Kdcs::Named(named.clone()), "the section ends the entry too");
        assert_eq!(kdcs(&generate(&realm(), &named), &realm()), Kdcs::Named(named));
        assert_eq!(kdcs("[libdefaults]\n default_realm = EXAMPLE.TEST\n", &realm()), Kdcs::Srv);
        assert_eq!(kdcs("[libdefaults]\n dns_lookup_kdc = no\n", &realm()), Kdcs::Nowhere);
        assert_eq!(kdcs("include /etc/krb5.d/x\n[libdefaults]\n dns_lookup_kdc = no\n", &realm()), Kdcs::Elsewhere);
    }

    #[test]
    fn the_sample_in_deploy_is_what_is_generated() {
        let sample = include_str!("../../deploy/krb5.conf").split_inclusive('\n').filter(|line| !line.starts_with('#'));
        let kdcs = ["dc1.example.com", "dc2.example.com"].map(str::to_owned);
        assert_eq!(sample.collect::<String>(), generate(&Realm::parse("EXAMPLE.COM").unwrap().realm, &kdcs));
    }

    #[test]
    fn only_this_user_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let base = tempfile::tempdir().unwrap();
        let path = write_private(base.path(), 7, "x").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    }
}
