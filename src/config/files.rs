//! Files that the settings name; they may be mounted later, so what is amiss is a warning.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::{Authentication, Config, Krb5Conf, Warning};
use crate::gss::krb5_conf;
use crate::kerberos::CredentialSource;

impl Config {
    /// Looks at every file that the settings name.
    #[must_use]
    pub fn inspect_files(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        if let Authentication::Gss(kerberos) = &self.authentication {
            match &kerberos.source {
                CredentialSource::Keytab(path) => warnings.extend(unreadable("RFC2136_KERBEROS_KEYTAB", path)),
                CredentialSource::PasswordFile(path) => {
                    warnings.extend(unreadable("RFC2136_KERBEROS_PASSWORD_FILE", path));
                }
                CredentialSource::Ccache(path) => warnings.extend(unreadable("RFC2136_KERBEROS_CCACHE", path)),
                CredentialSource::Password(_) => {}
            }
            if let Krb5Conf::Own(files) = &kerberos.krb5_conf {
                match files.read() {
                    Ok(text) => warnings.extend(
                        krb5_conf::objections(&text, &kerberos.realm)
                            .into_iter()
                            .map(|objection| Warning::Krb5Conf { files: files.clone(), objection }),
                    ),
                    Err(_) => warnings.extend(files.paths().filter_map(|path| unreadable("KRB5_CONFIG", path))),
                }
            }
        }
        if let Some(tls) = &self.tls {
            warnings.extend(tls.ca.iter().filter_map(|path| unreadable("RFC2136_TLS_CA", path)));
            if let Some((certificate, key)) = &tls.client {
                warnings.extend(unreadable("RFC2136_TLS_CLIENT_CERT", certificate));
                warnings.extend(unreadable("RFC2136_TLS_CLIENT_CERT_KEY", key));
            }
        }
        let certificate = self.traces.as_ref().and_then(|traces| traces.certificate.as_ref());
        warnings.extend(certificate.and_then(|path| unreadable("OTEL_EXPORTER_OTLP_CERTIFICATE", path)));
        warnings
    }
}

fn unreadable(variable: &'static str, path: &Path) -> Option<Warning> {
    let error = File::open(path).err()?;
    Some(Warning::FileUnreadable { variable, path: path.to_owned(), kind: error.kind() })
}

/// The files of `KRB5_CONFIG`, as the library takes them: split at colons. It reads those that it can open, the first
/// value of a setting counts, and one file is enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Krb5Files(String);

impl Krb5Files {
    /// As the variable names them.
    #[must_use]
    pub const fn new(given: String) -> Self {
        Self(given)
    }

    /// As the variable names them.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Each of them, in order.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.split(':').filter(|path| !path.is_empty()).map(Path::new)
    }

    /// What the library reads of them, one after the other.
    ///
    /// # Errors
    /// When it can open none of them, or one that it can open cannot be read.
    pub fn read(&self) -> io::Result<String> {
        let mut texts = Vec::new();
        let mut missing = None;
        for path in self.paths() {
            match fs::read_to_string(path) {
                Ok(text) => texts.push(text),
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
                    missing.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        match missing {
            Some(error) if texts.is_empty() => Err(error),
            _ => Ok(texts.join("\n")),
        }
    }
}

impl fmt::Display for Krb5Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kerberos::Realm;

    #[test]
    fn several_files_are_one_and_those_that_are_missing_are_none() {
        let realm = Realm::parse("EXAMPLE.TEST").unwrap().realm;
        let base = tempfile::tempdir().unwrap();
        let path = |name: &str| base.path().join(name).display().to_string();
        fs::write(path("own"), "[realms]\n EXAMPLE.TEST = {\n  kdc = kdc1.example.test\n }").unwrap();
        fs::write(path("site"), "[libdefaults]\n dns_lookup_kdc = no\n default_realm = EXAMPLE.TEST\n").unwrap();
        let files = |names: &[&str]| Krb5Files::new(names.iter().map(|name| path(name)).collect::<Vec<_>>().join(":"));
        let text = files(&["gone", "own", "site"]).read().unwrap();
        assert_eq!(krb5_conf::kdcs(&text, &realm), krb5_conf::Kdcs::Named(vec!["kdc1.example.test".to_owned()]));
        assert_eq!(krb5_conf::objections(&text, &realm), Vec::<String>::new());
        assert_eq!(files(&["gone", "away"]).read().unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
