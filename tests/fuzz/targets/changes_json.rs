//! Any body is a list of changes or an error, and what was read is read again from what is written.

#![no_main]

use external_dns_rfc2136_webhook::api::Changes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let Ok(changes) = serde_json::from_slice::<Changes>(body) else { return };
    let Ok(written) = serde_json::to_vec(&changes) else { panic!("{changes:?} cannot be written") };
    assert_eq!(serde_json::from_slice::<Changes>(&written).ok(), Some(changes));
});
