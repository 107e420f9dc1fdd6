//! Several servers, and faults in the middle of a request.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::Duration;

use hickory_proto::op::OpCode;

use crate::support::{Action, Changes, Endpoint, Forwarder, Kdc, Message, Named, Settings, Sidecar, Zone, wait_until};

const HOST: &str = "ns1.example.test";
const ZONE: &str = "example.test";

/// One server behind two addresses; the sidecar prefers the first.
struct TwoWays {
    kdc: Kdc,
    named: Named,
    ways: [Forwarder; 2],
}

impl TwoWays {
    fn new() -> Self {
        let kdc = Kdc::start();
        let named = Named::example(&kdc);
        let ways = [Forwarder::start(named.socket()), Forwarder::start(named.socket())];
        Self { kdc, named, ways }
    }

    fn settings(&self) -> Settings {
        let servers = self.ways.each_ref().map(|way| way.server(HOST));
        Settings::keytab(&self.kdc, &self.named, &[ZONE])
            .servers(&[&servers[0], &servers[1]], &[ZONE])
            .set("RFC2136_TIMEOUT", "1s")
    }
}

/// A sidecar that has read the zone of its only server, over an address of the forwarder's.
struct OneWay {
    named: Named,
    way: Forwarder,
    sidecar: Sidecar,
    _kdc: Kdc,
}

impl OneWay {
    fn new() -> Self {
        let kdc = Kdc::start();
        let named = Named::example(&kdc);
        let way = Forwarder::start(named.socket());
        let sidecar = Settings::keytab(&kdc, &named, &[ZONE]).servers(&[&way.server(HOST)], &[ZONE]).start();
        sidecar.records();
        Self { named, way, sidecar, _kdc: kdc }
    }
}

fn hosts(count: usize) -> Changes {
    (0..count).fold(Changes::new(), |changes, n| {
        changes.create(&Endpoint::a(&format!("h{n}.{ZONE}"), &[&format!("192.0.2.{}", n % 250)]))
    })
}

/// Names of the zone's A records, without the name servers'; each must be there once.
fn held(named: &Named) -> BTreeSet<String> {
    let records = named.axfr(ZONE);
    let names: Vec<_> = records
        .iter()
        .filter(|record| record.contains(" A "))
        .map(|record| record.split(' ').next().unwrap().to_owned())
        .filter(|name| !name.starts_with("ns"))
        .collect();
    let unique: BTreeSet<_> = names.iter().cloned().collect();
    assert_eq!(names.len(), unique.len(), "some name has two records");
    unique
}

/// From the sixth update on, nothing comes through any more.
fn fail_after_five_updates(way: &Forwarder, how: Action) {
    let mut updates = 0;
    way.on_message(move |message| {
        updates += usize::from(message.is_update());
        if updates > 5 { how.clone() } else { Action::Pass }
    });
}

/// A key negotiation, which comes first on every new way.
fn is_tkey(message: &Message) -> bool {
    const TKEY: u16 = 249;
    message.op_code() == OpCode::Query && u16::from(message.decode().queries[0].query_type()) == TKEY
}

fn is_transfer(message: &Message) -> bool {
    const TRANSFERS: [u16; 2] = [251, 252];
    let asks = |query: &hickory_proto::op::Query| TRANSFERS.contains(&u16::from(query.query_type()));
    message.op_code() == OpCode::Query && message.decode().queries.first().is_some_and(asks)
}

#[test]
fn an_apply_of_two_thousand_records_goes_on_over_the_second_address_when_the_first_breaks_off() {
    let two = TwoWays::new();
    let sidecar = two.settings().start();
    sidecar.records();
    fail_after_five_updates(&two.ways[0], Action::Cut);
    sidecar.apply_all(&hosts(2000));
    assert_eq!(held(&two.named).len(), 2000);
    assert!(two.ways[0].updates().len() > 5 && two.ways[1].updates().len() > 5);
    assert_eq!(sidecar.records().len(), 4000);
}

#[test]
fn an_answer_that_is_lost_is_read_back_where_work_goes_on_and_nothing_is_done_twice() {
    let two = TwoWays::new();
    let sidecar = two.settings().start();
    sidecar.records();
    // The sixth update is done, and its answer lost.
    let mut answers = 0;
    two.ways[0].on_message(move |message| {
        answers += usize::from(!message.request && message.bytes[2] & 0x78 == 0x28);
        if answers > 5 { Action::Cut } else { Action::Pass }
    });
    // More than can be in flight when the first way ends.
    sidecar.apply_all(&hosts(2000));
    assert_eq!(held(&two.named).len(), 2000);
    // What was done is not sent again: its own prerequisites would fail.
    let second = two.ways[1].messages();
    let answers: Vec<_> = second.iter().filter(|message| message.answers_change()).collect();
    assert!(!answers.is_empty() && answers.iter().all(|answer| answer.bytes[3] & 0xF == 0), "{}", answers.len());
    assert!(two.ways[1].messages().iter().any(|message| message.request && !message.is_update() && !is_tkey(message)));
}

#[test]
fn nothing_more_is_sent_in_a_request_to_a_server_that_was_silent_in_it() {
    let two = TwoWays::new();
    let sidecar = two.settings().start();
    sidecar.records();
    fail_after_five_updates(&two.ways[0], Action::Swallow);
    sidecar.apply_all(&hosts(1500));
    assert_eq!(held(&two.named).len(), 1500);
    let sent = two.ways[0].updates().len();
    assert!((6..=5 + 8).contains(&sent), "what was in flight, and no more: {sent}");
}

#[test]
fn a_stopped_server_is_left_for_the_next_one() {
    let kdc = Kdc::start();
    let first = Named::example(&kdc);
    let second = Named::options().host("ns2.example.test").gss(&kdc).zone(Zone::granted(ZONE)).start();
    let sidecar = Settings::keytab(&kdc, &first, &[ZONE])
        .servers(&[&first.server(), &second.server()], &[ZONE])
        .set("RFC2136_TIMEOUT", "1s")
        .start();
    sidecar.records();
    first.stop();
    sidecar.apply_all(&hosts(20));
    assert_eq!(held(&second).len(), 20);
    first.cont();
    assert!(held(&first).len() <= 20, "the one message that was under way may arrive, and no more");
    let servers = sidecar.status()["servers"].clone();
    assert_eq!((&servers[0]["failed"], &servers[1]["in_use"]), (&true.into(), &true.into()), "{servers}");
}

#[test]
fn a_server_that_is_back_is_used_again_within_half_a_minute() {
    let two = TwoWays::new();
    let sidecar = two.settings().start();
    two.ways[0].close();
    sidecar.apply_all(&hosts(1));
    assert!(sidecar.metric("external_dns_rfc2136_server_failed", &two.ways[0].server(HOST)) > 0.0);
    two.ways[0].reopen();
    wait_until("the first server is used again", Duration::from_secs(30), || {
        sidecar.records();
        sidecar.status()["servers"][0]["in_use"] == true
    });
}

#[test]
fn a_single_server_is_asked_again_at_once() {
    let kdc = Kdc::start();
    let mut named = Named::example(&kdc);
    let sidecar = Settings::keytab(&kdc, &named, &[ZONE]).start();
    sidecar.records();
    named.kill();
    assert_eq!((sidecar.get("/records").status, sidecar.apply(&hosts(1))), (503, 503));
    named.restart();
    sidecar.apply_all(&hosts(1));
}

#[test]
fn a_read_and_the_write_that_follows_it_go_to_one_server_whatever_the_strategy() {
    for strategy in ["round-robin", "random"] {
        let two = TwoWays::new();
        let sidecar = two.settings().set("RFC2136_LOAD_BALANCING_STRATEGY", strategy).start();
        wait_until("it is ready", Duration::from_secs(20), || sidecar.readyz().0 == 200);
        let mut used = BTreeSet::new();
        for n in 0..12 {
            sidecar.records();
            let read = sidecar.status()["servers"][0]["in_use"] == true;
            two.ways.iter().for_each(Forwarder::forget);
            sidecar.apply_all(&Changes::new().create(&Endpoint::a(&format!("{strategy}{n}.{ZONE}"), &["192.0.2.1"])));
            let written = !two.ways[0].updates().is_empty();
            assert_eq!(written, read, "{strategy}");
            assert_eq!(two.ways.iter().map(|way| way.updates().len()).sum::<usize>(), 1);
            used.insert(written);
        }
        assert_eq!(used.len(), 2, "{strategy} uses both");
    }
}

#[test]
fn a_policy_answer_is_no_reason_to_ask_another_server() {
    let kdc = Kdc::start();
    let named = Named::options().gss(&kdc).zone(Zone::new(ZONE)).start();
    let ways = [Forwarder::start(named.socket()), Forwarder::start(named.socket())];
    let sidecar = Settings::keytab(&kdc, &named, &[ZONE])
        .servers(&[&ways[0].server(HOST), &ways[1].server(HOST)], &[ZONE])
        .start();
    sidecar.records();
    assert_eq!(sidecar.apply(&hosts(1)), 500);
    assert_eq!(sidecar.rejected()[1], format!("h0.{ZONE} A refused_by_policy"));
    assert_eq!(ways[1].connections(), 0);
}

/// RFC 7766 §6.2.4: a server may close a connection at any time, and is none the worse for it.
#[test]
fn a_server_that_closes_its_side_after_a_few_answers_is_not_dead() {
    for (answers, action) in [1, 2, 5].into_iter().flat_map(|n| [(n, Action::PassAndCut), (n, Action::PassAndReset)]) {
        let one = OneWay::new();
        let (mut count, action_) = (0, action.clone());
        one.way.on_message(move |message| {
            // A transfer is one answer in many messages.
            let is_answer = message.question.as_ref().is_some_and(|question| !is_transfer(question));
            count += usize::from(is_answer);
            if is_answer && count % answers == 0 { action_.clone() } else { Action::Pass }
        });
        one.sidecar.apply_all(&hosts(2000));
        one.way.pass();
        assert_eq!(held(&one.named).len(), 2000, "{action:?} after {answers} answers");
    }
}

#[test]
fn a_server_that_closes_its_side_when_nothing_is_asked_for_a_moment_is_not_dead() {
    let one = OneWay::new();
    for n in 0..20 {
        one.sidecar.apply_all(&Changes::new().create(&Endpoint::a(&format!("h{n}.{ZONE}"), &["192.0.2.1"])));
        sleep(Duration::from_millis(50));
        if n % 2 == 0 {
            one.way.reset()
        } else {
            one.way.abort()
        }
        if n % 3 == 0 {
            one.sidecar.records();
        }
    }
    assert_eq!(held(&one.named).len(), 20);
}

#[test]
fn a_server_that_closes_its_side_after_a_transfer_or_in_one_is_not_dead() {
    let actions = [Action::PassAndCut, Action::PassAndReset, Action::CutInside, Action::Cut];
    // The differences are one message, and several.
    for (action, count) in actions.into_iter().flat_map(|action| [(action.clone(), 20), (action, 2000)]) {
        let one = OneWay::new();
        one.sidecar.apply_all(&hosts(count));
        one.named.nsupdate(&format!("update add other.{ZONE} 60 A 192.0.2.1"));
        let (mut is_cut, action_) = (false, action.clone());
        one.way.on_message(move |message| {
            let is_transferred = message.question.as_ref().is_some_and(|question| is_transfer(question));
            if !is_transferred || std::mem::replace(&mut is_cut, true) { Action::Pass } else { action_.clone() }
        });
        let records = one.sidecar.get("/records");
        assert_eq!(records.status, 200, "{action:?}: {records:?}");
        one.sidecar.apply_all(&Changes::new().create(&Endpoint::a(&format!("last.{ZONE}"), &["192.0.2.1"])));
        assert_eq!(held(&one.named).len(), count + 2, "{action:?}");
    }
}
