//! Any target is RDATA or an error, and what was read is written in a spelling that stays.

#![no_main]

use external_dns_rfc2136_webhook::dns::presentation::{SUPPORTED, parse_target, render_target};
use external_dns_rfc2136_webhook::dns::{Rdata, RecordType};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let Some((&first, rest)) = octets.split_first() else { return };
    let rtype = SUPPORTED[usize::from(first) % SUPPORTED.len()];
    stays(rtype, &Rdata::from_wire(rest));
    if let Ok(rdata) = parse_target(rtype, &String::from_utf8_lossy(rest), |name| name.parse()) {
        assert!(stays(rtype, &rdata), "{rdata:?} was read but cannot be written");
    }
});

/// Writes RDATA, reads the text and writes it again; false when it cannot be written.
fn stays(rtype: RecordType, rdata: &Rdata) -> bool {
    let Ok(text) = render_target(rtype, rdata) else { return false };
    let again = parse_target(rtype, &text, |name| name.parse());
    assert_eq!(again.map(|rdata| render_target(rtype, &rdata)), Ok(Ok(text)));
    true
}
