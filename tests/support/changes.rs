//! What ExternalDNS writes with its TXT registry.

use serde_json::{Map, Value, json};

/// An endpoint, with the labels that ExternalDNS gives what it owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub name: String,
    pub record_type: String,
    pub targets: Vec<String>,
    pub ttl: u32,
    pub owner: Option<String>,
    resource: Option<String>,
    registry_name: Option<String>,
}

impl Endpoint {
    /// An endpoint of the owner `default`, without a TTL.
    pub fn new(name: &str, record_type: &str, targets: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            record_type: record_type.to_owned(),
            targets: targets.iter().map(|&target| target.to_owned()).collect(),
            ttl: 0,
            owner: Some("default".to_owned()),
            resource: None,
            registry_name: None,
        }
    }

    /// An A record set.
    pub fn a(name: &str, targets: &[&str]) -> Self {
        Self::new(name, "A", targets)
    }

    #[must_use]
    pub fn ttl(self, ttl: u32) -> Self {
        Self { ttl, ..self }
    }

    #[must_use]
    pub fn owner(self, owner: &str) -> Self {
        Self { owner: Some(owner.to_owned()), ..self }
    }

    /// Without labels, as `--registry=noop` sends it.
    #[must_use]
    pub fn unowned(self) -> Self {
        Self { owner: None, ..self }
    }

    /// The Kubernetes object behind it, as its labels and its registry TXT tell.
    #[must_use]
    pub fn resource_named(self, resource: &str) -> Self {
        Self { resource: Some(resource.to_owned()), ..self }
    }

    /// Another name for its registry TXT, as `--txt-prefix` makes it.
    #[must_use]
    pub fn registry_named(self, name: &str) -> Self {
        Self { registry_name: Some(name.to_owned()), ..self }
    }

    fn resource(&self) -> String {
        if let Some(resource) = &self.resource {
            return resource.clone();
        }
        let label = self.name.split('.').next().unwrap_or_default();
        format!("service/default/{}", if label == "*" { "wildcard" } else { label })
    }

    /// As ExternalDNS writes it in JSON.
    pub fn json(&self) -> Value {
        let labels = match &self.owner {
            Some(owner) => json!({"owner": owner, "resource": self.resource()}),
            None => json!({}),
        };
        self.json_with(&labels)
    }

    fn json_with(&self, labels: &Value) -> Value {
        let mut json =
            json!({"dnsName": self.name, "targets": self.targets, "recordType": self.record_type, "labels": labels});
        if self.ttl > 0 {
            json["recordTTL"] = json!(self.ttl);
        }
        json
    }

    /// The ownership record that ExternalDNS keeps beside it: `a-www.example.test TXT "heritage=..."`.
    pub fn registry_txt(&self) -> Self {
        let owner = self.owner.as_deref().unwrap_or_default();
        let text =
            format!("\"heritage=external-dns,external-dns/owner={owner},external-dns/resource={}\"", self.resource());
        let usual = || format!("{}-{}", self.record_type.to_lowercase(), self.name);
        Self::new(&self.registry_name.clone().unwrap_or_else(usual), "TXT", &[&text])
    }

    fn registry_json(&self) -> Value {
        self.registry_txt().json_with(&json!({"ownedRecord": self.name}))
    }
}

/// The body of `POST /records`.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    lists: [(Vec<Value>, Vec<Value>); 4],
}

const KEYS: [&str; 4] = ["create", "updateOld", "updateNew", "delete"];

impl Changes {
    pub fn new() -> Self {
        Self::default()
    }

    fn push(&mut self, list: usize, endpoint: &Endpoint) {
        self.lists[list].0.push(endpoint.json());
        if endpoint.owner.is_some() {
            self.lists[list].1.push(endpoint.registry_json());
        }
    }

    /// Creates a record set, with its registry TXT when it has an owner.
    #[must_use]
    pub fn create(mut self, endpoint: &Endpoint) -> Self {
        self.push(0, endpoint);
        self
    }

    /// Updates a record set, and its registry TXT when it has an owner.
    #[must_use]
    pub fn update(mut self, old: &Endpoint, new: &Endpoint) -> Self {
        self.push(1, old);
        self.push(2, new);
        self
    }

    /// Deletes a record set, and its registry TXT when it has an owner.
    #[must_use]
    pub fn delete(mut self, endpoint: &Endpoint) -> Self {
        self.push(3, endpoint);
        self
    }

    /// Creates exactly this, without a registry TXT.
    #[must_use]
    pub fn create_alone(mut self, endpoint: &Endpoint) -> Self {
        self.lists[0].0.push(endpoint.json());
        self
    }

    /// As ExternalDNS of v0.17 and later writes it: all records of a list come before its registry TXT.
    pub fn body(&self) -> String {
        self.with_keys(|key| key.to_owned())
    }

    /// As ExternalDNS before v0.17 writes it: `Create`, `UpdateOld`, ...
    pub fn capitalised_body(&self) -> String {
        self.with_keys(|key| key[..1].to_uppercase() + &key[1..])
    }

    fn with_keys(&self, spell: impl Fn(&str) -> String) -> String {
        let mut body = Map::new();
        for (key, (records, texts)) in KEYS.iter().zip(&self.lists) {
            if !records.is_empty() {
                body.insert(spell(key), records.iter().chain(texts).cloned().collect());
            }
        }
        Value::Object(body).to_string()
    }
}
