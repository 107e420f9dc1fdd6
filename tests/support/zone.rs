//! A zone of a test's name server.

use std::fmt::Write as _;

/// TSIG key of the test itself: it may read and change every zone.
pub const LAB_KEY: &str = "lab-key";
/// Its secret.
pub const LAB_SECRET: &str = "bGFib3JhdG9yeS1rZXktb2YtdGhlLXRlc3RzLW9ubHk=";

/// A primary zone: who may change it, who may transfer it, and what is in it at the start.
#[derive(Debug, Clone)]
pub struct Zone {
    pub name: String,
    policy: Option<String>,
    allow_update: Option<String>,
    allow_transfer: String,
    records: String,
    options: String,
}

impl Zone {
    /// A zone that nobody may change and everybody may transfer.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            policy: None,
            allow_update: None,
            allow_transfer: "any;".to_owned(),
            records: String::new(),
            options: String::new(),
        }
    }

    /// A zone that `externaldns@EXAMPLE.TEST` may change.
    pub fn granted(name: &str) -> Self {
        Self::new(name).policy("grant externaldns@EXAMPLE.TEST zonesub ANY;")
    }

    /// Statements of `update-policy`; the first that matches decides.
    #[must_use]
    pub fn policy(mut self, statements: &str) -> Self {
        self.policy = Some(statements.to_owned());
        self
    }

    /// `allow-update` in place of a policy.
    #[must_use]
    pub fn allow_update(mut self, acl: &str) -> Self {
        self.allow_update = Some(acl.to_owned());
        self
    }

    /// `allow-transfer`; a Kerberos principal is a key named `"externaldns\@EXAMPLE.TEST"`.
    #[must_use]
    pub fn allow_transfer(mut self, acl: &str) -> Self {
        self.allow_transfer = acl.to_owned();
        self
    }

    /// Records in the zone file, besides SOA, NS and (for `example.test`) the address of `ns1`.
    #[must_use]
    pub fn records(mut self, text: &str) -> Self {
        self.records.push_str(text);
        self.records.push('\n');
        self
    }

    /// More statements of the zone's block.
    #[must_use]
    pub fn option(mut self, text: &str) -> Self {
        self.options.push_str(text);
        self
    }

    /// Its block in named.conf.
    pub(super) fn statement(&self, file: &str) -> String {
        let Self { name, allow_transfer, options, .. } = self;
        let mut block = format!("zone \"{name}\" {{ type primary; file \"{file}\"; {options}\n");
        if let Some(policy) = &self.policy {
            writeln!(block, "  update-policy {{ {policy} grant {LAB_KEY} zonesub ANY; }};").unwrap();
        }
        if let Some(acl) = &self.allow_update {
            writeln!(block, "  allow-update {{ {acl} key {LAB_KEY}; }};").unwrap();
        }
        writeln!(block, "  allow-transfer {{ key {LAB_KEY}; {allow_transfer} }};\n}};").unwrap();
        block
    }

    /// Its zone file.
    pub(super) fn file(&self, host: &str) -> String {
        let mut text =
            format!("$TTL 300\n@ IN SOA {host}. hostmaster.example.test. 1 3600 600 86400 60\n@ IN NS {host}.\n");
        if let Some(label) = host.strip_suffix(&format!(".{}", self.name)) {
            writeln!(text, "{label} IN A 127.0.0.1").unwrap();
        }
        text.push_str(&self.records);
        text
    }
}
