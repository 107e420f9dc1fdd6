//! Any messages are a transfer or an error, and no transfer is done without an apex.

#![no_main]

use std::sync::Arc;

use external_dns_rfc2136_webhook::dns::{
    Progress, Rdata, RecordType, Transfer, Transferred, Ttl, ZoneContents, ZoneName,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let Ok(zone) = "t".parse::<ZoneName>() else { return };
    let mut held = ZoneContents::new(zone.clone(), 1);
    held.add(zone.as_name(), RecordType::NS, Ttl::ZERO, Rdata::from_wire([0]));
    run(Transfer::whole(zone, 0), octets);
    run(Transfer::incremental(Arc::new(held), 0), octets);
});

/// Feeds the messages of a stream, each after its length, to a transfer. Id, flags and question are made to fit.
fn run(mut transfer: Transfer, mut stream: &[u8]) {
    while let Some((length, rest)) = stream.split_at_checked(2) {
        let length = usize::from(u16::from_be_bytes([length[0], length[1]])).min(rest.len());
        let (message, rest) = rest.split_at(length);
        stream = rest;
        let reply = fitted(&transfer, message);
        match transfer.answer(&reply) {
            Ok(Progress::More(more)) => transfer = more,
            Ok(Progress::Done(Transferred::Whole(contents) | Transferred::Updated(contents))) => {
                assert!(contents.rrset(contents.zone().as_name(), RecordType::NS).is_some());
                return;
            }
            Ok(Progress::Done(Transferred::Unchanged)) | Err(_) => return,
        }
    }
}

/// A reply to the transfer's request: two octets of ANCOUNT, then the answer section.
fn fitted(transfer: &Transfer, message: &[u8]) -> Vec<u8> {
    let (count, answers) = message.split_at_checked(2).unwrap_or((&[0, 0], message));
    let mut reply = transfer.request();
    reply.truncate(12 + 3 + 4);
    reply[2] = 0x84;
    reply[6..8].copy_from_slice(count);
    reply[8..12].fill(0);
    reply.extend(answers);
    reply
}
