//! Whatever is wanted comes about in one reconcile, and the next one has nothing to do.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::{Changes, Endpoint, Kdc, Named, Settings, Sidecar, Zone};

/// Name and type of a record set.
type Key = (String, String);

/// A small generator of choices, the same in every run.
struct Choices(u64);

impl Choices {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }

    /// A wish for one name, spelled as people spell; some names carry two types.
    fn endpoints(&mut self, number: usize) -> Vec<Endpoint> {
        let name = self.of(&[
            "h#.example.test",
            "H#.Example.Test.",
            "*.w#.example.test",
            "_x._tcp.h#.example.test",
            "ü#.example.test",
        ]);
        let name = name.replace('#', &number.to_string());
        let ttl = self.below(3) * 100;
        let record =
            |record_type, targets: &[&str]| Endpoint::new(&name, record_type, targets).ttl(u32::try_from(ttl).unwrap());
        match self.below(7) {
            0 => vec![record("A", &[self.of(&["192.0.2.1", "192.0.2.2"]), "192.0.2.3"])],
            1 => vec![record("A", &["192.0.2.1"]), record("AAAA", &[self.of(&["2001:DB8::1", "2001:db8:0::2"])])],
            2 => vec![record("CNAME", &[self.of(&["Target.Example.COM.", "other.example.com"])])],
            3 => vec![record(
                "TXT",
                &[self.of(&["plain", "\"quoted\" \"twice\"", "semi; colon \\ back", "ü"]), "second"],
            )],
            4 => vec![record("MX", &[self.of(&["010 Mail.example.com.", "20 mail.example.com"])])],
            5 => vec![record("SRV", &[self.of(&["1 2 443 web.example.com.", "0 0 80 WEB.example.com."])])],
            _ => Vec::new(),
        }
    }
}

fn endpoint(json: &Value) -> Endpoint {
    let targets: Vec<&str> =
        json["targets"].as_array().unwrap().iter().map(|target| target.as_str().unwrap()).collect();
    let text = |key: &str| json[key].as_str().unwrap();
    let ttl = json["recordTTL"].as_u64().unwrap_or(0);
    Endpoint::new(text("dnsName"), text("recordType"), &targets).ttl(u32::try_from(ttl).unwrap())
}

fn keyed(endpoints: impl IntoIterator<Item = Endpoint>) -> BTreeMap<Key, Endpoint> {
    endpoints.into_iter().map(|endpoint| ((endpoint.name.clone(), endpoint.record_type.clone()), endpoint)).collect()
}

/// What ExternalDNS would take for its own: record sets whose registry TXT is listed.
fn owned(sidecar: &Sidecar) -> BTreeMap<Key, Endpoint> {
    let all = keyed(sidecar.records().iter().map(endpoint));
    let is_owned = |endpoint: &Endpoint| {
        let registry = endpoint.registry_txt();
        all.get(&(registry.name, "TXT".to_owned())).is_some_and(|held| held.targets[0] == registry.targets[0])
    };
    all.values()
        .filter(|endpoint| is_owned(endpoint))
        .map(|e| ((e.name.clone(), e.record_type.clone()), e.clone()))
        .collect()
}

/// The plan of ExternalDNS: none when nothing differs.
fn plan(current: &BTreeMap<Key, Endpoint>, desired: &BTreeMap<Key, Endpoint>) -> Option<Changes> {
    let (mut changes, mut is_empty) = (Changes::new(), true);
    for (key, wanted) in desired {
        changes = match current.get(key) {
            None => changes.create(wanted),
            Some(held) if held.targets != wanted.targets || (wanted.ttl > 0 && held.ttl != wanted.ttl) => {
                changes.update(held, wanted)
            }
            Some(_) => continue,
        };
        is_empty = false;
    }
    for (_, held) in current.iter().filter(|(key, _)| !desired.contains_key(*key)) {
        changes = changes.delete(held);
        is_empty = false;
    }
    (!is_empty).then_some(changes)
}

fn converges(sidecar: &Sidecar, named: &Named, wishes: &[Endpoint]) {
    let desired = keyed(sidecar.adjust(wishes).iter().map(endpoint));
    assert_eq!(desired.len(), wishes.len(), "nothing is dropped");
    if let Some(changes) = plan(&owned(sidecar), &desired) {
        sidecar.apply_all(&changes);
    }
    let updates = named.updates().len();
    let again = keyed(sidecar.adjust(wishes).iter().map(endpoint));
    let current = owned(sidecar);
    let left = plan(&current, &again).map(|changes| changes.body());
    assert_eq!(left, None, "left to do:\n{current:#?}\n{again:#?}");
    assert_eq!(named.updates().len(), updates);
}

#[test]
fn any_state_follows_any_other_in_one_reconcile() {
    let kdc = Kdc::start();
    // Otherwise BIND takes only host names for addresses.
    let zone = Zone::granted("example.test").option("check-names ignore;");
    let named = Named::options().gss(&kdc).zone(zone).start();
    let sidecar = Settings::keytab(&kdc, &named, &["example.test"]).start();
    let mut choices = Choices(20_260_822);
    for _ in 0..40 {
        let wishes: Vec<Endpoint> = (0..8).flat_map(|number| choices.endpoints(number)).collect();
        converges(&sidecar, &named, &wishes);
    }
    converges(&sidecar, &named, &[]);
    assert_eq!(named.axfr("example.test").len(), 2, "apex NS and its address");
    assert_eq!(named.negotiations(), 1);
}
