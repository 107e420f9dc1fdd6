//! Which key messages are signed with: Kerberos, a shared one, or none.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};

use super::reader::Reader;
use super::{Authentication, Kerberos, Krb5Conf, Krb5Files, TsigKey, VariableError, Warning, hosts, value};
use crate::dns::tsig::{HmacAlgorithm, HmacKey};
use crate::given;
use crate::kerberos::{CredentialSource, Principal, Realm};

const METHODS: [&str; 3] = ["RFC2136_GSS_TSIG", "RFC2136_TSIG_KEYNAME", "RFC2136_INSECURE"];
const SOURCES: [&str; 4] = [
    "RFC2136_KERBEROS_KEYTAB",
    "RFC2136_KERBEROS_PASSWORD_FILE",
    "RFC2136_KERBEROS_PASSWORD",
    "RFC2136_KERBEROS_CCACHE",
];
const SECRETS: [&str; 2] = ["RFC2136_TSIG_SECRET", "RFC2136_TSIG_SECRET_FILE"];

pub(super) fn read(reader: &mut Reader, gss: bool) -> Option<Authentication> {
    let insecure = reader.flag("RFC2136_INSECURE")?;
    let key_name = reader.text("RFC2136_TSIG_KEYNAME");
    let chosen = [gss, key_name.is_some(), insecure];
    let names: Vec<_> = METHODS.into_iter().zip(chosen).filter_map(|(name, is)| is.then_some(name)).collect();
    match names.as_slice() {
        [] => reader.problem("RFC2136_GSS_TSIG", VariableError::NoneOf(&METHODS)),
        [_] => {}
        [first, ..] => {
            let first = *first;
            reader.problem(first, VariableError::Exclusive(names.clone()));
        }
    }
    if !gss {
        reader.no_effect(&SOURCES, "RFC2136_GSS_TSIG");
        let rest = ["RFC2136_KERBEROS_REALM", "RFC2136_KERBEROS_USERNAME", "RFC2136_KERBEROS_KDC"];
        reader.no_effect(&rest, "RFC2136_GSS_TSIG");
    }
    if key_name.is_none() {
        reader.no_effect(&SECRETS, "RFC2136_TSIG_KEYNAME");
    }
    let kerberos = gss.then(|| kerberos(reader));
    let key = key_name.map(|name| tsig_key(reader, &name));
    match (kerberos, key) {
        (Some(kerberos), _) => kerberos.map(Authentication::Gss),
        (None, Some(key)) => key.map(Authentication::Tsig),
        (None, None) => insecure.then_some(Authentication::Insecure),
    }
}

fn kerberos(reader: &mut Reader) -> Option<Kerberos> {
    let realm = realm(reader);
    let source = source(reader);
    let krb5_conf = krb5_conf(reader);
    let user = reader.text("RFC2136_KERBEROS_USERNAME");
    let is_ccache = matches!(source, Some(CredentialSource::Ccache(_)));
    if user.is_none() && !is_ccache {
        reader.problem("RFC2136_KERBEROS_USERNAME", VariableError::Missing { example: "the account's name" });
    }
    let (realm, source) = (realm?, source?);
    let principal = match user.map(|user| Principal::parse(&user, &realm)).transpose() {
        Ok(principal) => principal,
        Err(error) => {
            reader.problem("RFC2136_KERBEROS_USERNAME", VariableError::Principal(error));
            return None;
        }
    };
    Some(Kerberos { realm, principal, source, krb5_conf: krb5_conf? })
}

fn realm(reader: &mut Reader) -> Option<Realm> {
    const NAME: &str = "RFC2136_KERBEROS_REALM";
    let Some(given) = reader.given(NAME) else {
        reader.problem(NAME, VariableError::Missing { example: "the Kerberos realm, such as EXAMPLE.COM" });
        return None;
    };
    match Realm::parse(&given) {
        Ok(parsed) => {
            if parsed.rewritten {
                reader.warnings.push(Warning::RealmRewritten { given, realm: parsed.realm.clone() });
            }
            Some(parsed.realm)
        }
        Err(error) => {
            reader.problem(NAME, VariableError::Realm(error));
            None
        }
    }
}

fn source(reader: &mut Reader) -> Option<CredentialSource> {
    let given: Vec<_> = SOURCES.into_iter().filter(|name| reader.is_given(name)).collect();
    let [name] = given.as_slice() else {
        match given.first() {
            None => reader.problem("RFC2136_KERBEROS_KEYTAB", VariableError::NoneOf(&SOURCES)),
            Some(first) => reader.problem(first, VariableError::Exclusive(given.clone())),
        }
        return None;
    };
    if let Some(password) = reader.secret(name) {
        return Some(CredentialSource::Password(password));
    }
    let text = reader.value(name, "the path of a file", |text| (!text.is_empty()).then(|| text.to_owned()))?;
    let path = PathBuf::from(text.strip_prefix("FILE:").unwrap_or(&text));
    Some(match *name {
        "RFC2136_KERBEROS_KEYTAB" => CredentialSource::Keytab(path),
        "RFC2136_KERBEROS_PASSWORD_FILE" => {
            // A file that is mounted later is looked at when it is used.
            let text = std::fs::read_to_string(&path).map(SecretString::from);
            if text.is_ok_and(|text| given::first_line(text.expose_secret()).is_err()) {
                reader.problem(name, VariableError::Quoted);
                return None;
            }
            CredentialSource::PasswordFile(path)
        }
        _ => CredentialSource::Ccache(path),
    })
}

fn krb5_conf(reader: &mut Reader) -> Option<Krb5Conf> {
    const NAME: &str = "RFC2136_KERBEROS_KDC";
    if let Some(own) = reader.text("KRB5_CONFIG") {
        if reader.is_given(NAME) {
            reader.warnings.push(Warning::KdcOverridden);
        }
        return Some(Krb5Conf::Own(Krb5Files::new(own)));
    }
    let mut kdcs = Vec::new();
    let text = reader.text(NAME).unwrap_or_default();
    for entry in value::items(&text) {
        match hosts::kdc(entry) {
            Ok(kdc) => kdcs.push(kdc),
            Err(reason) => reader.problem(NAME, VariableError::Host { found: entry.to_owned(), reason }),
        }
    }
    Some(Krb5Conf::Generated { kdcs })
}

fn tsig_key(reader: &mut Reader, name: &str) -> Option<TsigKey> {
    use HmacAlgorithm::{Sha1, Sha224, Sha256, Sha384, Sha512};
    let algorithms = [Sha1, Sha224, Sha256, Sha384, Sha512].map(|algorithm| (algorithm.as_str(), algorithm));
    let expected = "hmac-sha1, hmac-sha224, hmac-sha256, hmac-sha384 or hmac-sha512";
    let algorithm = reader
        .value("RFC2136_TSIG_SECRET_ALG", expected, |text| value::keyword(text.trim_end_matches('.'), &algorithms));
    let secret = secret(reader);
    let name = name.parse().map_err(|reason| {
        reader.problem("RFC2136_TSIG_KEYNAME", VariableError::BadName { found: name.to_owned(), reason });
    });
    let algorithm = algorithm?;
    Some(TsigKey { name: name.ok()?, key: HmacKey::new(algorithm, secret?), algorithm })
}

/// The octets of the shared secret.
fn secret(reader: &mut Reader) -> Option<Vec<u8>> {
    let [inline, file] = SECRETS;
    let path = reader.text(file).map(PathBuf::from);
    let (variable, text) = match (reader.secret(inline), path) {
        (Some(_), Some(_)) => {
            reader.problem(inline, VariableError::Exclusive(SECRETS.to_vec()));
            return None;
        }
        (None, None) => {
            reader.problem(inline, VariableError::NoneOf(&SECRETS));
            return None;
        }
        (Some(text), None) => (inline, text),
        (None, Some(path)) => match std::fs::read_to_string(&path) {
            Ok(text) => (file, SecretString::from(text)),
            Err(error) => {
                reader.problem(file, VariableError::Unreadable { path, kind: error.kind() });
                return None;
            }
        },
    };
    let Ok(text) = given::bare(text.expose_secret()) else {
        reader.problem(variable, VariableError::Quoted);
        return None;
    };
    let octets = STANDARD.decode(text).ok().filter(|octets| !octets.is_empty());
    if octets.is_none() {
        reader.problem(variable, VariableError::NotBase64);
    }
    octets
}
