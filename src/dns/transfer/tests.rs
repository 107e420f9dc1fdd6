use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::dns::{Rcode, Rdata, Ttl};

/// A record of a scripted reply.
type Line = (String, RecordType, u32, Vec<u8>);

const APEX: &str = "example.test";

fn zone() -> ZoneName {
    APEX.parse().unwrap()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn soa(serial: u32) -> Line {
    let mut rdata = name("ns1.example.test").as_wire().to_vec();
    rdata.push(0);
    rdata.extend(serial.to_be_bytes());
    rdata.extend([0; 16]);
    (APEX.to_owned(), RecordType::SOA, 3600, rdata)
}

fn ns() -> Line {
    (APEX.to_owned(), RecordType::NS, 3600, name("ns1.example.test").as_wire().to_vec())
}

fn a(host: u8) -> Line {
    (format!("h{host}.{APEX}"), RecordType::A, 300, vec![192, 0, 2, host])
}

/// A version of the zone with these hosts.
fn version(serial: u32, hosts: impl IntoIterator<Item = u8>) -> ZoneContents {
    let mut contents = ZoneContents::new(zone(), serial);
    for (owner, rtype, ttl, rdata) in [soa(serial), ns()].into_iter().chain(hosts.into_iter().map(a)) {
        contents.add(&name(&owner), rtype, Ttl::from_secs(ttl), Rdata::from_wire(rdata));
    }
    contents
}

/// A reply message with the question of a query, and these answers.
fn message(query: &Query, id: u16, flags: u16, lines: &[Line]) -> Vec<u8> {
    let mut octets = query.encode(id);
    octets.truncate(12 + zone().as_name().as_wire().len() + 4);
    octets[2..4].copy_from_slice(&flags.to_be_bytes());
    octets[6..8].copy_from_slice(&u16::try_from(lines.len()).unwrap().to_be_bytes());
    octets[8..12].fill(0);
    for (owner, rtype, ttl, rdata) in lines {
        octets.extend(name(owner).as_wire());
        octets.extend(rtype.number().to_be_bytes());
        octets.extend(1_u16.to_be_bytes());
        octets.extend(ttl.to_be_bytes());
        octets.extend(u16::try_from(rdata.len()).unwrap().to_be_bytes());
        octets.extend(rdata);
    }
    octets
}

/// The reply as messages of these sizes; the rest goes into a last one.
fn messages(transfer: &Transfer, lines: &[Line], sizes: &[usize]) -> Vec<Vec<u8>> {
    let mut rest = lines;
    let mut messages = Vec::new();
    for size in sizes.iter().copied().chain([usize::MAX]) {
        let (chunk, tail) = rest.split_at(size.min(rest.len()));
        if !chunk.is_empty() {
            messages.push(message(&transfer.query, transfer.id, 0x8400, chunk));
        }
        rest = tail;
    }
    messages
}

/// Runs a transfer to its end; a reply that ends too early is cut off.
fn run(mut transfer: Transfer, messages: &[Vec<u8>]) -> Result<Transferred, TransferError> {
    for message in messages {
        match transfer.answer(message)? {
            Progress::More(more) => transfer = more,
            Progress::Done(outcome) => return Ok(outcome),
        }
    }
    Err(transfer.cut_off())
}

fn axfr(lines: &[Line], sizes: &[usize]) -> Result<Transferred, TransferError> {
    let transfer = Transfer::whole(zone(), 1);
    let messages = messages(&transfer, lines, sizes);
    run(transfer, &messages)
}

fn ixfr(held: ZoneContents, lines: &[Line], sizes: &[usize]) -> Result<Transferred, TransferError> {
    let transfer = Transfer::incremental(Arc::new(held), 1);
    let messages = messages(&transfer, lines, sizes);
    run(transfer, &messages)
}

#[test]
fn a_whole_zone_is_what_is_between_its_soa_records() {
    let outcome = axfr(&[soa(7), ns(), a(1), a(2), soa(7)], &[2]);
    assert_eq!(outcome, Ok(Transferred::Whole(version(7, [1, 2]))));
}

#[test]
fn a_zone_of_soa_and_ns_alone_is_a_zone() {
    assert_eq!(axfr(&[soa(7), ns(), soa(7)], &[]), Ok(Transferred::Whole(version(7, []))));
}

#[test]
fn an_empty_transfer_is_an_error() {
    assert_eq!(axfr(&[soa(7), soa(7)], &[1]), Err(TransferError::Empty));
    assert_eq!(axfr(&[soa(7), a(1), soa(7)], &[]), Err(TransferError::Empty));
    let transfer = Transfer::whole(zone(), 1);
    let silent = message(&transfer.query, 1, 0x8400, &[]);
    assert_eq!(run(transfer, &[silent]), Err(TransferError::Empty));
}

#[test]
fn cause_12_a_transfer_without_its_closing_soa_is_cut_off() {
    assert_eq!(axfr(&[soa(7), ns(), a(1)], &[1, 1]), Err(TransferError::CutOff { records: 3 }));
    let lines = [soa(9), soa(7), a(1), soa(9), a(2)];
    assert_eq!(ixfr(version(7, [1]), &lines, &[]), Err(TransferError::CutOff { records: 5 }));
    assert_eq!(ixfr(version(7, [1]), &[soa(9)], &[]), Err(TransferError::CutOff { records: 1 }));
}

#[test]
fn a_closing_soa_of_another_version_is_an_error() {
    let error = TransferError::OtherVersion { opened: 7, closed: 8 };
    assert_eq!(axfr(&[soa(7), ns(), a(1), soa(8)], &[]), Err(error));
    let error = TransferError::OtherVersion { opened: 9, closed: 10 };
    assert_eq!(ixfr(version(7, [1]), &[soa(9), soa(7), soa(9), a(2), soa(10)], &[]), Err(error));
}

#[test]
fn a_transfer_begins_with_soa_and_ends_with_soa() {
    assert_eq!(axfr(&[ns(), soa(7)], &[]), Err(TransferError::NoOpeningSoa));
    assert_eq!(axfr(&[soa(7), ns(), soa(7), a(1)], &[]), Err(TransferError::Trailing));
}

#[test]
fn differences_are_applied_one_after_another() {
    let lines = [soa(9), soa(7), a(1), soa(8), a(2), soa(8), a(2), a(3), soa(9), a(4), soa(9)];
    assert_eq!(ixfr(version(7, [1, 3, 5]), &lines, &[]), Ok(Transferred::Updated(version(9, [4, 5]))));
}

#[test]
fn a_changed_ttl_comes_through_a_difference() {
    let mut changed = a(1);
    changed.2 = 900;
    let Ok(Transferred::Updated(contents)) =
        ixfr(version(7, [1]), &[soa(8), soa(7), a(1), soa(8), changed, soa(8)], &[])
    else {
        panic!("not updated");
    };
    assert_eq!(contents.rrset(&name("h1.example.test"), RecordType::A).unwrap().ttl, Ttl::from_secs(900));
}

#[test]
fn a_lone_soa_of_the_held_version_means_unchanged() {
    assert_eq!(ixfr(version(7, [1]), &[soa(7)], &[]), Ok(Transferred::Unchanged));
}

#[test]
fn a_server_that_went_back_is_no_unchanged_zone() {
    assert_eq!(ixfr(version(7, [1]), &[soa(6)], &[]), Err(TransferError::WentBack { held: 7, found: 6 }));
}

#[test]
fn an_incremental_request_may_be_answered_with_the_whole_zone() {
    let lines = [soa(9), ns(), a(1), a(2), soa(9)];
    for sizes in [&[][..], &[1], &[2]] {
        assert_eq!(ixfr(version(7, [5]), &lines, sizes), Ok(Transferred::Whole(version(9, [1, 2]))));
    }
}

#[test]
fn differences_that_do_not_fit_the_held_version_are_errors() {
    let error = TransferError::OtherBase { held: 7, found: 6 };
    assert_eq!(ixfr(version(7, [1]), &[soa(9), soa(6), soa(9), a(2), soa(9)], &[]), Err(error));
    let error = TransferError::OtherBase { held: 8, found: 6 };
    assert_eq!(ixfr(version(7, [1]), &[soa(9), soa(7), soa(8), a(2), soa(6), soa(9), soa(9)], &[]), Err(error));
    let error = TransferError::NotHeld { name: name("h2.example.test"), rtype: RecordType::A };
    assert_eq!(ixfr(version(7, [1]), &[soa(9), soa(7), a(2), soa(9), soa(9)], &[]), Err(error));
}

#[test]
fn records_of_other_zones_are_left_out() {
    let foreign = ("www.other.test".to_owned(), RecordType::A, 300, vec![192, 0, 2, 66]);
    let lines = [soa(7), ns(), foreign.clone(), a(1), soa(7)];
    assert_eq!(axfr(&lines, &[]), Ok(Transferred::Whole(version(7, [1]))));
    let lines = [soa(9), soa(7), foreign.clone(), soa(9), foreign, soa(9)];
    assert_eq!(ixfr(version(7, [1]), &lines, &[]), Ok(Transferred::Updated(version(9, [1]))));
}

#[test]
fn refusals_are_told_apart_and_replies_must_belong() {
    let answer = |id, flags| {
        let transfer = Transfer::whole(zone(), 1);
        let reply = message(&transfer.query, id, flags, &[]);
        run(transfer, &[reply]).unwrap_err()
    };
    assert_eq!(answer(1, 0x8405), TransferError::Reply(ReplyError::Refused));
    assert_eq!(answer(1, 0x8009), TransferError::Reply(ReplyError::NotAuthoritative));
    assert_eq!(answer(1, 0x8004), TransferError::Reply(ReplyError::Failed(Rcode::NOTIMP)));
    assert_eq!(answer(2, 0x8400), TransferError::Reply(ReplyError::WrongId { expected: 1, found: 2 }));
    let wrong = message(&Query::soa(&zone()), 1, 0x8400, &[soa(7), ns(), soa(7)]);
    assert_eq!(run(Transfer::whole(zone(), 1), &[wrong]), Err(TransferError::Reply(ReplyError::WrongQuestion)));
}

#[test]
fn a_refusal_in_the_middle_ends_the_transfer() {
    let transfer = Transfer::whole(zone(), 1);
    let first = message(&transfer.query, 1, 0x8400, &[soa(7), ns()]);
    let second = message(&transfer.query, 1, 0x8402, &[soa(7)]);
    let error = TransferError::Reply(ReplyError::Failed(Rcode::SERVFAIL));
    assert_eq!(run(transfer, &[first, second]), Err(error));
}

#[test]
fn later_messages_may_leave_out_the_question() {
    let transfer = Transfer::whole(zone(), 1);
    let first = message(&transfer.query, 1, 0x8400, &[soa(7), ns()]);
    let mut second = message(&transfer.query, 1, 0x8400, &[soa(7)]);
    second.drain(12..12 + zone().as_name().as_wire().len() + 4);
    second[5] = 0;
    assert_eq!(run(transfer, &[first, second]), Ok(Transferred::Whole(version(7, []))));
}

/// Versions that follow one another, as sets of hosts.
fn history() -> impl Strategy<Value = Vec<BTreeSet<u8>>> {
    prop::collection::vec(prop::collection::btree_set(0_u8..30, 0..20), 2..6)
}

/// An IXFR reply that leads through all versions, the first of which has serial 1.
fn differences(history: &[BTreeSet<u8>]) -> Vec<Line> {
    let last = u32::try_from(history.len()).unwrap();
    let mut lines = vec![soa(last)];
    for (from, pair) in (1..).zip(history.windows(2)) {
        lines.push(soa(from));
        lines.extend(pair[0].difference(&pair[1]).map(|&host| a(host)));
        lines.push(soa(from + 1));
        lines.extend(pair[1].difference(&pair[0]).map(|&host| a(host)));
    }
    lines.push(soa(last));
    lines
}

/// The same reply as the `domain` crate reads it: what it leaves of `held`.
fn as_domain_reads(held: BTreeSet<(String, Vec<u8>)>, replies: &[Vec<u8>]) -> BTreeSet<(String, Vec<u8>)> {
    use domain::base::{Message, Record, iana::Rtype, rdata::ComposeRecordData};
    use domain::net::xfr::protocol::{ParsedRecord, XfrResponseInterpreter};
    use domain::zonetree::types::ZoneUpdate;

    let entry = |record: &ParsedRecord| -> Option<(String, Vec<u8>)> {
        let mut rdata = Vec::new();
        record.data().compose_rdata(&mut rdata).unwrap();
        (Record::rtype(record) == Rtype::A).then(|| (record.owner().to_string(), rdata))
    };
    let mut hosts = held;
    let mut interpreter = XfrResponseInterpreter::new();
    for reply in replies {
        let reply = Message::from_octets(reply.clone().into()).unwrap();
        for update in interpreter.interpret_response(reply).unwrap() {
            match update.unwrap() {
                ZoneUpdate::DeleteAllRecords => hosts.clear(),
                ZoneUpdate::DeleteRecord(record) => {
                    entry(&record).map(|entry| hosts.remove(&entry));
                }
                ZoneUpdate::AddRecord(record) => hosts.extend(entry(&record)),
                _ => {}
            }
        }
    }
    assert!(interpreter.is_finished());
    hosts
}

fn hosts_of(contents: &ZoneContents) -> BTreeSet<(String, Vec<u8>)> {
    let hosts = contents.iter().filter(|rrset| rrset.rtype == RecordType::A);
    hosts.map(|rrset| (rrset.name.to_undotted(), rrset.rdata[0].as_wire().to_vec())).collect()
}

proptest! {
    #[test]
    fn a_whole_zone_does_not_depend_on_how_it_is_cut_into_messages(
        hosts in prop::collection::btree_set(any::<u8>(), 0..60),
        sizes in prop::collection::vec(1_usize..9, 0..20),
    ) {
        let lines: Vec<_> = [soa(7), ns()].into_iter().chain(hosts.iter().copied().map(a)).chain([soa(7)]).collect();
        prop_assert_eq!(axfr(&lines, &sizes), Ok(Transferred::Whole(version(7, hosts))));
    }

    #[test]
    fn differences_do_not_depend_on_how_they_are_cut_into_messages(
        history in history(),
        sizes in prop::collection::vec(1_usize..9, 0..20),
    ) {
        let held = version(1, history[0].iter().copied());
        let last = version(u32::try_from(history.len()).unwrap(), history.last().unwrap().iter().copied());
        prop_assert_eq!(ixfr(held, &differences(&history), &sizes), Ok(Transferred::Updated(last)));
    }

    #[test]
    fn no_transfer_is_complete_before_its_closing_soa(
        history in history(),
        sizes in prop::collection::vec(1_usize..9, 0..20),
        cut: Index,
    ) {
        let lines = differences(&history);
        let cut = 1 + cut.index(lines.len() - 1);
        let error = ixfr(version(1, history[0].iter().copied()), &lines[..cut], &sizes);
        prop_assert_eq!(error, Err(TransferError::CutOff { records: cut }));

        let hosts = history[0].iter().copied().map(a);
        let lines: Vec<_> = [soa(7), ns()].into_iter().chain(hosts).chain([soa(7)]).collect();
        let cut = 1 + cut % (lines.len() - 1);
        prop_assert_eq!(axfr(&lines[..cut], &sizes), Err(TransferError::CutOff { records: cut }));
    }

    #[test]
    fn the_domain_crate_reads_the_same_from_it(
        history in history(),
        first in 2_usize..9,
        sizes in prop::collection::vec(1_usize..9, 0..20),
    ) {
        let sizes: Vec<_> = std::iter::once(first).chain(sizes).collect();
        let held = version(1, history[0].iter().copied());
        let transfer = Transfer::incremental(Arc::new(held.clone()), 1);
        let replies = messages(&transfer, &differences(&history), &sizes);
        let theirs = as_domain_reads(hosts_of(&held), &replies);
        let Ok(Transferred::Updated(ours)) = run(transfer, &replies) else { panic!("not updated") };
        prop_assert_eq!(hosts_of(&ours), theirs);

        let hosts = history[0].iter().copied().map(a);
        let lines: Vec<_> = [soa(7), ns()].into_iter().chain(hosts).chain([soa(7)]).collect();
        let transfer = Transfer::whole(zone(), 1);
        let replies = messages(&transfer, &lines, &sizes);
        let theirs = as_domain_reads(BTreeSet::new(), &replies);
        let Ok(Transferred::Whole(ours)) = run(transfer, &replies) else { panic!("not whole") };
        prop_assert_eq!(hosts_of(&ours), theirs);
    }

    #[test]
    fn any_octets_are_taken_without_panic(octets: Vec<u8>, at: Index, octet: u8) {
        let _ = Transfer::whole(zone(), 1).answer(&octets);
        let transfer = Transfer::incremental(Arc::new(version(7, [1])), 1);
        let lines = [soa(9), soa(7), a(1), soa(9), a(2), soa(9)];
        let mut reply = message(&transfer.query, 1, 0x8400, &lines);
        let at = at.index(reply.len());
        reply[at] = octet;
        let _ = transfer.answer(&reply);
    }
}
