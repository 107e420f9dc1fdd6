//! MIT keytab files, as far as it takes to say what is in them before the Kerberos library says something misleading.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::kerberos::Principal;

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
    /// Neither of format 0x0501 nor of 0x0502.
    #[error("keytab {0} is empty, or no keytab: it begins with neither 0x0501 nor 0x0502")]
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

/// The entry that the Kerberos library takes where it is asked for no version: the highest, unless eight bits have wrapped.
#[must_use]
pub fn newest<'a>(entries: impl IntoIterator<Item = &'a KeytabEntry>) -> Option<&'a KeytabEntry> {
    entries.into_iter().reduce(|kept, entry| {
        let has_wrapped = entry.timestamp >= kept.timestamp && entry.kvno < 128 && (241..256).contains(&kept.kvno);
        let would_unwrap = entry.timestamp <= kept.timestamp && kept.kvno < 128 && (241..256).contains(&entry.kvno);
        if has_wrapped || (!would_unwrap && entry.kvno > kept.kvno) { entry } else { kept }
    })
}

/// Reads what the Kerberos library would find; none when the octets are no keytab.
///
/// It reads on after nothing that it does not understand: a length of zero, an entry that is cut off, and one without
/// components or key end the file, and what was read before counts.
#[must_use]
pub fn parse(octets: &[u8]) -> Option<Vec<KeytabEntry>> {
    let (&[5, version], mut rest) = octets.split_first_chunk()? else { return None };
    let format = match version {
        1 => Format::Native,
        2 => Format::BigEndian,
        _ => return None,
    };
    let mut entries = Vec::new();
    while let Some(size) = take(&mut rest).map(|size| format.u32(size).cast_signed()) {
        // A negative size is the hole that a removed key left.
        if size > 0 {
            // The size says where the next entry begins, and not where this one has to end.
            let after = usize::try_from(size.unsigned_abs()).ok().and_then(|size| rest.get(size..));
            let Some(entry) = entry(rest, size.unsigned_abs(), format) else { break };
            entries.push(entry);
            rest = after.unwrap_or_default();
        } else if size == 0 || size == i32::MIN {
            break;
        } else {
            rest = usize::try_from(size.unsigned_abs()).ok().and_then(|size| rest.get(size..)).unwrap_or_default();
        }
    }
    Some(entries)
}

/// How numbers are written.
#[derive(Clone, Copy)]
enum Format {
    /// 0x0501: as the machine has them; the realm counts as a component, and names have no type.
    Native,
    /// 0x0502.
    BigEndian,
}

impl Format {
    const fn u16(self, octets: [u8; 2]) -> u16 {
        match self {
            Self::Native => u16::from_ne_bytes(octets),
            Self::BigEndian => u16::from_be_bytes(octets),
        }
    }

    const fn u32(self, octets: [u8; 4]) -> u32 {
        match self {
            Self::Native => u32::from_ne_bytes(octets),
            Self::BigEndian => u32::from_be_bytes(octets),
        }
    }
}

fn entry(octets: &[u8], size: u32, format: Format) -> Option<KeytabEntry> {
    let mut rest = octets;
    let count = format.u16(take(&mut rest)?);
    let components = match format {
        Format::Native => count.checked_sub(1)?,
        Format::BigEndian => count,
    };
    if components == 0 {
        return None;
    }
    let realm = counted(&mut rest, format).filter(|realm| !realm.is_empty())?;
    let names = (0..components).map(|_| counted(&mut rest, format)).collect::<Option<Vec<_>>>()?;
    if matches!(format, Format::BigEndian) {
        let _name_type: [u8; 4] = take(&mut rest)?;
    }
    let timestamp = format.u32(take(&mut rest)?);
    let [kvno] = take(&mut rest)?;
    let enctype = format.u16(take(&mut rest)?);
    let length = usize::from(format.u16(take(&mut rest)?));
    let (_key, mut trailer) = rest.split_at_checked(length).filter(|(key, _)| !key.is_empty())?;
    let is_in_entry = octets.len() - trailer.len() + 4 <= usize::try_from(size).ok()?;
    // Where the 32-bit number is there and not zero it counts; the 8-bit one has wrapped.
    let wide = if is_in_entry { format.u32(take(&mut trailer)?) } else { 0 };
    Some(KeytabEntry {
        principal: format!("{}@{realm}", names.join("/")),
        kvno: if wide == 0 { u32::from(kvno) } else { wide },
        enctype,
        timestamp,
    })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}

fn counted(rest: &mut &[u8], format: Format) -> Option<String> {
    let length = usize::from(format.u16(take(rest)?));
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
    fn what_the_library_does_not_read_ends_the_file_and_what_was_read_before_counts() {
        let whole = parse(&sample()).unwrap();
        for behind in [&[0][..], &[0; 4], &[0; 64], &[0, 0, 0, 9, 1], &[0x7f, 0xff, 0xff, 0xff], &[0x80, 0, 0, 0, 1]] {
            assert_eq!(parse(&[&sample()[..], behind].concat()), Some(whole.clone()), "{behind:?}");
        }
        let hole_past_the_end = [&sample()[..], &(-9_i32).to_be_bytes()].concat();
        assert_eq!(parse(&hole_past_the_end), Some(whole));
        assert_eq!(parse(&[5, 2]), Some(Vec::new()));
        for other in [&[][..], &[5], &[5, 3], b"BQIAAABE"] {
            assert_eq!(parse(other), None);
        }
    }

    #[test]
    fn of_several_versions_the_newest_is_the_highest_unless_it_has_wrapped() {
        let entry = |kvno, timestamp| KeytabEntry { kvno, timestamp, ..parse(&sample()).unwrap().remove(0) };
        for (entries, expected) in [
            (vec![entry(3, 9), entry(4, 1)], 4),
            (vec![entry(4, 1), entry(3, 9)], 4),
            (vec![entry(255, 1), entry(1, 9)], 1),
            (vec![entry(1, 9), entry(255, 1)], 1),
            (vec![entry(256, 1), entry(1, 9)], 256),
        ] {
            assert_eq!(newest(&entries).unwrap().kvno, expected, "{entries:?}");
        }
        assert_eq!(newest(&[]), None);
    }

    #[test]
    fn the_first_format_has_the_machines_numbers_and_no_name_type() {
        let mut record = Vec::new();
        record.extend(3_u16.to_ne_bytes());
        for text in ["EXAMPLE.TEST", "DNS", "ns1.example.test"] {
            record.extend(u16::try_from(text.len()).unwrap().to_ne_bytes());
            record.extend(text.bytes());
        }
        record.extend(7_u32.to_ne_bytes());
        record.push(3);
        record.extend(99_u16.to_ne_bytes());
        record.extend(2_u16.to_ne_bytes());
        record.extend([1, 2]);
        let size = u32::try_from(record.len()).unwrap().to_ne_bytes();
        let entries = parse(&[&[5, 1][..], &size, &record].concat()).unwrap();
        let expected = KeytabEntry {
            principal: "DNS/ns1.example.test@EXAMPLE.TEST".to_owned(),
            kvno: 3,
            enctype: 99,
            timestamp: 7,
        };
        assert_eq!(entries, [expected]);
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
