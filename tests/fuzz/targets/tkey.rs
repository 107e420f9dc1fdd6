//! Any TKEY RDATA is a key, a refusal or an error.

#![no_main]

use external_dns_rfc2136_webhook::dns::Message;
use external_dns_rfc2136_webhook::dns::tkey::TkeyAnswer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|rdata: &[u8]| {
    let Ok(length) = u16::try_from(rdata.len()) else { return };
    let mut reply =
        b"\x00\x00\x84\x00\x00\x00\x00\x01\x00\x00\x00\x00\x01k\x00\x00\xf9\x00\xff\x00\x00\x00\x00".to_vec();
    reply.extend(length.to_be_bytes());
    reply.extend(rdata);
    let Ok(message) = Message::parse(&reply) else { panic!("odd RDATA spoils no message") };
    if let Ok(answer) = TkeyAnswer::read(&message) {
        assert!(answer.key_data.len() <= rdata.len());
    }
});
