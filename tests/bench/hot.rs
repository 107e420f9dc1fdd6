//! `make bench-hot`: the pure paths that everything goes through, each by itself, with its allocations.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a benchmark fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use divan::{AllocProfiler, Bencher, black_box};
use external_dns_rfc2136_webhook::api::{Changes, Endpoint};
use external_dns_rfc2136_webhook::app;
use external_dns_rfc2136_webhook::config::Config;
use external_dns_rfc2136_webhook::dns::{
    Message, Name, Operation, Prerequisite, Rdata, RecordType, Ttl, Update, ZoneContents, ZoneName,
};
use external_dns_rfc2136_webhook::plan::{self, Copies, Policy};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const ZONE: &str = "example.test";
const SIZES: [usize; 3] = [1_000, 100_000, 1_000_000];

fn main() {
    divan::main();
}

fn zone() -> ZoneName {
    ZoneName::from(ZONE.parse::<Name>().unwrap())
}

fn name(number: usize) -> Name {
    format!("h{number}.{ZONE}").parse().unwrap()
}

fn address(number: usize) -> Rdata {
    Rdata::from_wire(u32::try_from(number).unwrap().to_be_bytes())
}

fn contents(names: usize) -> ZoneContents {
    let mut contents = ZoneContents::new(zone(), 1);
    (0..names).for_each(|number| contents.add(&name(number), RecordType::A, Ttl::from_secs(300), address(number)));
    contents
}

fn policy() -> Policy {
    let settings = [("RFC2136_HOST", "ns1.example.test"), ("RFC2136_ZONE", ZONE), ("RFC2136_INSECURE", "true")];
    app::policy(&Config::from_variables(settings).unwrap().config)
}

/// Creates of records with their registry TXT.
fn creates(count: usize) -> Changes {
    let owner = ("owner".to_owned(), "default".to_owned());
    let text = "\"heritage=external-dns,external-dns/owner=default,external-dns/resource=service/default/web\"";
    let both = |number: usize| {
        let record = format!("new{number}.{ZONE}");
        let endpoint = |dns_name, record_type: &str, target: &str, label| Endpoint {
            dns_name,
            record_type: record_type.to_owned(),
            targets: vec![target.to_owned()],
            labels: BTreeMap::from([label]),
            ..Endpoint::default()
        };
        let text = endpoint(format!("a-{record}"), "TXT", text, ("ownedRecord".to_owned(), record.clone()));
        [endpoint(record, "A", "192.0.2.1", owner.clone()), text]
    };
    Changes { create: (0..count).flat_map(both).collect(), ..Changes::default() }
}

/// An update of 200 records, each guarded.
fn update() -> Update {
    let prerequisites =
        (0..200).map(|number| Prerequisite::RrsetDoesNotExist { name: name(number), rtype: RecordType::A });
    let add = |number| Operation::Add {
        name: name(number),
        rtype: RecordType::A,
        ttl: Ttl::from_secs(300),
        rdata: address(number),
    };
    Update { zone: zone(), prerequisites: prerequisites.collect(), operations: (0..200).map(add).collect() }
}

/// One record more in a version that somebody else holds too, and the older one dropped.
#[divan::bench(args = SIZES)]
fn change_a_zone_of(bencher: Bencher<'_, '_>, names: usize) {
    let mut version = Arc::new(contents(names));
    let mut next = names;
    bencher.bench_local(|| {
        let held = Arc::clone(&version);
        next += 1;
        Arc::make_mut(&mut version).add_by_update(&name(next), RecordType::A, Ttl::from_secs(300), address(next));
        drop(black_box(held));
    });
}

/// What is done with changes before anything is sent.
#[divan::bench(args = [1, 1_000])]
fn plan_creates(bencher: Bencher<'_, '_>, count: usize) {
    let (policy, changes) = (policy(), creates(count));
    let copies = Copies::from_iter([(zone(), Arc::new(contents(100_000)))]);
    bencher.bench(|| {
        let (changes, _) = plan::intake(black_box(&changes), &policy);
        let grouped = plan::group(changes, &policy);
        let steps = grouped.groups.iter().map(|group| plan::plan(group, &group.parts[0], &copies, &policy).unwrap());
        steps.map(|step| step.unwrap().operations.len()).sum::<usize>()
    });
}

#[divan::bench]
fn list_10_000_records(bencher: Bencher<'_, '_>) {
    let (policy, contents) = (policy(), contents(10_000));
    bencher.bench(|| plan::list(black_box(&contents), &policy).len());
}

#[divan::bench]
fn build_a_zone_of_10_000_records(bencher: Bencher<'_, '_>) {
    let names: Vec<Name> = (0..10_000).map(name).collect();
    bencher.bench(|| {
        let mut contents = ZoneContents::new(zone(), 1);
        for (number, name) in names.iter().enumerate() {
            contents.add(name, RecordType::A, Ttl::from_secs(300), address(number));
        }
        contents.record_count()
    });
}

#[divan::bench]
fn encode_an_update_of_200_records(bencher: Bencher<'_, '_>) {
    let update = update();
    bencher.bench(|| black_box(&update).encode(1).unwrap().len());
}

#[divan::bench]
fn parse_a_message_of_400_records(bencher: Bencher<'_, '_>) {
    let octets = update().encode(1).unwrap();
    bencher.bench(|| Message::parse(black_box(&octets)).unwrap().authorities.len());
}

#[divan::bench]
fn compare_two_names(bencher: Bencher<'_, '_>) {
    let (one, other) = (name(10), name(11));
    bencher.bench(|| black_box(&one).cmp(black_box(&other)));
}
