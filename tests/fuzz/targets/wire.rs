//! Any octets are a message or an error, and what was read encodes its names within their limits.

#![no_main]

use external_dns_rfc2136_webhook::dns::{Message, Name};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let Ok(message) = Message::parse(octets) else { return };
    let records = message.answers.iter().chain(&message.authorities).chain(&message.additionals);
    for record in records {
        assert!(record.offset < octets.len());
        assert_eq!(Name::from_wire(record.name.as_wire()).as_ref(), Ok(&record.name));
        assert_eq!(record.name.to_string().parse().as_ref(), Ok(&record.name));
    }
});
