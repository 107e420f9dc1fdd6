//! MIT keytab files, as far as it takes to say what is in them before the Kerberos library says something misleading.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::kerberos::Principal;

/// File format 0x0502: big-endian throughout.
const MAGIC: [u8; 2] = [5, 2];

/// One key of a keytab. The key itself is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeytabEntry {
    /// `user@REALM`.
    pub principal: String,
    /// Key version number.
    pub kvno: u32,
    /// Encryption type number.
    pub enctype: u16,
    /// When the key was written, seconds since 1970.
    pub timestamp: u32,
}

impl KeytabEntry {
    /// The encryption type's name, for those in use.
    #[must_use]
    pub const fn enctype_name(&self) -> &'static str {
        match self.enctype {
            17 => "aes128-cts-hmac-sha1-96",
            18 => "aes256-cts-hmac-sha1-96",
            19 => "aes128-cts-hmac-sha256-128",
            20 => "aes256-cts-hmac-sha384-192",
            23 => "arcfour-hmac (obsolete)",
            _ => "other",
        }
    }
}

/// Why a keytab is of no use.
#[derive(Debug, Error)]
pub enum KeytabError {
    /// Missing, or not readable for this user.
    #[error("keytab {path} cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not a keytab of format 0x0502, or cut off.
    #[error("keytab {0} is empty, cut off, or no keytab of format 0x0502")]
    Malformed(PathBuf),
    /// No key for the configured principal.
    #[error("keytab {path} holds no key for {principal}; it holds keys for: {found}")]
    LacksPrincipal {
        /// The file.
        path: PathBuf,
        /// The configured principal.
        principal: String,
        /// The principals that it has keys for.
        found: String,
    },
}

/// Reads a keytab and makes sure that it has a key for the principal.
///
/// # Errors
/// When it cannot be read, is malformed, or has no such key.
pub fn check(path: &Path, principal: &Principal) -> Result<Vec<KeytabEntry>, KeytabError> {
    let octets = std::fs::read(path).map_err(|source| KeytabError::Unreadable { path: path.to_owned(), source })?;
    let entries = parse(&octets).ok_or_else(|| KeytabError::Malformed(path.to_owned()))?;
    let principal = principal.to_string();
    if entries.iter().any(|entry| entry.principal == principal) {
        return Ok(entries);
    }
    let mut found: Vec<_> = entries.into_iter().map(|entry| entry.principal).collect();
    found.dedup();
    let found = if found.is_empty() { "nobody".to_owned() } else { found.join(", ") };
    Err(KeytabError::LacksPrincipal { path: path.to_owned(), principal, found })
}

/// Reads all entries; none when the octets are no keytab.
#[must_use]
pub fn parse(octets: &[u8]) -> Option<Vec<KeytabEntry>> {
    let mut rest = octets.strip_prefix(&MAGIC)?;
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let size = i32::from_be_bytes(take(&mut rest)?);
        let (record, after) = rest.split_at_checked(usize::try_from(size.unsigned_abs()).ok()?)?;
        rest = after;
        // A negative size is the hole that a removed key left.
        if size > 0 {
            entries.push(entry(record)?);
        }
    }
    Some(entries)
}

fn entry(mut record: &[u8]) -> Option<KeytabEntry> {
    let components = u16::from_be_bytes(take(&mut record)?);
    let realm = counted(&mut record)?;
    let names = (0..components).map(|_| counted(&mut record)).collect::<Option<Vec<_>>>()?;
    let _name_type: [u8; 4] = take(&mut record)?;
    let timestamp = u32::from_be_bytes(take(&mut record)?);
    let [kvno] = take(&mut record)?;
    let enctype = u16::from_be_bytes(take(&mut record)?);
    let length = usize::from(u16::from_be_bytes(take(&mut record)?));
    let (_key, mut trailer) = record.split_at_checked(length)?;
    // Where the 32-bit number is there and not zero it counts; the 8-bit one has wrapped.
    let wide = take(&mut trailer).map(u32::from_be_bytes).filter(|kvno| *kvno != 0);
    Some(KeytabEntry {
        principal: format!("{}@{realm}", names.join("/")),
        kvno: wide.unwrap_or_else(|| u32::from(kvno)),
        enctype,
        timestamp,
    })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}

fn counted(rest: &mut &[u8]) -> Option<String> {
    let length = usize::from(u16::from_be_bytes(take(rest)?));
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kerberos::Realm;

    /// A keytab with one AES-256 key of version 300 for `externaldns@EXAMPLE.TEST`, and a hole of 4 octets.
    fn sample() -> Vec<u8> {
        let mut record = vec![0, 1, 0, 12];
        record.extend(b"EXAMPLE.TEST");
        record.extend([0, 11]);
        record.extend(b"externaldns");
        record.extend([0, 0, 0, 1, 0x60, 0, 0, 0, 44, 0, 18, 0, 4, 1, 2, 3, 4, 0, 0, 1, 44]);
        let mut keytab = vec![5, 2, 0xff, 0xff, 0xff, 0xfc, 9, 9, 9, 9];
        keytab.extend(u32::try_from(record.len()).unwrap().to_be_bytes());
        keytab.extend(record);
        keytab
    }

    fn principal(user: &str) -> Principal {
        Principal::parse(user, &Realm::parse("EXAMPLE.TEST").unwrap().realm).unwrap()
    }

    #[test]
    fn entries_are_read_past_holes_and_with_wide_version_numbers() {
        let entries = parse(&sample()).unwrap();
        assert_eq!(
            entries,
            [KeytabEntry {
                principal: "externaldns@EXAMPLE.TEST".to_owned(),
                kvno: 300,
                enctype: 18,
                timestamp: 0x6000_0000
            }]
        );
    }

    #[test]
    fn a_keytab_without_the_principal_says_whose_keys_it_holds() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), sample()).unwrap();
        assert!(check(file.path(), &principal("externaldns")).is_ok());
        let error = check(file.path(), &principal("other")).unwrap_err().to_string();
        assert!(error.contains("externaldns@EXAMPLE.TEST") && error.contains("other@EXAMPLE.TEST"), "{error}");
    }

    #[test]
    fn a_missing_keytab_is_unreadable() {
        let error = check(Path::new("/nonexistent/keytab"), &principal("externaldns"));
        assert!(matches!(error, Err(KeytabError::Unreadable { .. })));
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..80, value: u8) {
            let _ = parse(&octets);
            let mut mutated = sample();
            if let Some(octet) = mutated.get_mut(at) {
                *octet = value;
            }
            let _ = parse(&mutated);
        }
    }
}
