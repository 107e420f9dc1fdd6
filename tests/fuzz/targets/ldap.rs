//! Any octets are messages of LDAP and values of dnsRecord, or errors.

#![no_main]

use external_dns_rfc2136_webhook::dns::ZoneName;
use external_dns_rfc2136_webhook::ldap::{ber, dns_record, message};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    match ber::extent(octets, 1 << 16) {
        Ok(Some(whole)) => assert!((2..=1 << 16).contains(&whole)),
        Ok(None) => assert!(octets.len() < 6),
        Err(_) => {}
    }
    if let Ok(message) = message::Message::parse(octets)
        && let message::Answer::Entry(entry) = message.answer
    {
        entry.values("dnsRecord").iter().for_each(|value| drop(dns_record::parse(value)));
    }
    if let Ok(dns_record::Value::Record(record)) = dns_record::parse(octets) {
        assert_eq!(dns_record::record_type(octets), Some(record.rtype));
        assert!(record.rdata.as_wire().len() <= octets.len());
    }
    if let (Ok(text), Ok(zone)) = (std::str::from_utf8(octets), "t".parse::<ZoneName>())
        && let Ok(name) = dns_record::node_name(text, &zone)
    {
        assert!(name.is_at_or_below(zone.as_name()));
    }
});
