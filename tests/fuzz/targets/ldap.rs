//! Any octets are frames, messages of LDAP, and values of dnsRecord and dNSProperty, or errors.

#![no_main]

use external_dns_rfc2136_webhook::dns::ZoneName;
use external_dns_rfc2136_webhook::ldap::{ber, dns_record, frame, message, zone_property};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    match ber::extent(octets, 1 << 16) {
        Ok(Some(whole)) => assert!((2..=1 << 16).contains(&whole)),
        Ok(None) => assert!(octets.len() < 6),
        Err(_) => {}
    }
    messages(&unsealed(octets));
    zone_property::Properties::default().take(octets);
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

/// What frames hold, as if nothing were sealed.
fn unsealed(mut octets: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    while let Ok(Some((sealed, whole))) = frame::first(octets) {
        assert!(sealed.len() < whole && whole <= octets.len());
        plain.extend_from_slice(sealed);
        octets = &octets[whole..];
    }
    plain
}

/// Reads a stream, message by message.
fn messages(mut plain: &[u8]) {
    while let Ok(Some(whole)) = ber::extent(plain, 1 << 16)
        && let Some((message, rest)) = plain.split_at_checked(whole)
    {
        drop(message::Message::parse(message));
        plain = rest;
    }
}
