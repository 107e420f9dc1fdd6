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

/// What in a user's own krb5.conf does not fit the realm; a remedy each.
#[must_use]
pub fn objections(text: &str, realm: &Realm) -> Vec<String> {
    let mut objections = Vec::new();
    let settings = || {
        text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])).filter_map(|line| line.split_once('='))
    };
    let value_of =
        |key: &str| settings().find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim().to_owned());
    let has_stanza = settings().any(|(name, value)| name.trim() == realm.as_str() && value.trim().starts_with('{'));
    let looks_up =
        value_of("dns_lookup_kdc").is_none_or(|value| !matches!(value.as_str(), "false" | "no" | "0" | "off"));
    let includes = text.lines().any(|line| line.trim_start().starts_with("include"));
    if !has_stanza && !looks_up && !includes {
        objections.push(format!(
            "it has no [realms] entry for {realm} and dns_lookup_kdc is off: add the realm with its kdc"
        ));
    }
    if let Some(default) = value_of("default_realm").filter(|default| default != realm.as_str()) {
        objections.push(format!(
            "its default_realm is {default}, the configured realm is {realm}; the configured one is used"
        ));
    }
    objections
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
