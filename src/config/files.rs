//! Files that the settings name; they may be mounted later, so what is amiss is a warning.

use std::fs::File;
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
