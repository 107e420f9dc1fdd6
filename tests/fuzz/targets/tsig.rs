//! Nobody without the key makes an answer that verifies, alone or in a stream, and a stripped message has no signature.

#![no_main]

use external_dns_rfc2136_webhook::dns::tsig::{Answer, HmacAlgorithm, HmacKey, Transaction, sign, unsigned};
use external_dns_rfc2136_webhook::dns::{Name, Query, RecordType};
use libfuzzer_sys::fuzz_target;

const NOW: u64 = 1_700_000_000;

fuzz_target!(|octets: &[u8]| {
    if let Ok(stripped) = unsigned(octets) {
        assert_eq!(unsigned(&stripped).as_ref(), Ok(&stripped));
    }
    let (mut key, transaction) = request();
    if let Ok(answer) = transaction.verify(&mut key, octets, NOW) {
        assert!(matches!(answer, Answer::Unverified(..)));
    }
    let (mut key, transaction) = request();
    let mut stream = transaction.into_stream();
    let mut rest = octets;
    while let Some((&[high, low], after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([high, low])).min(after.len());
        let (message, after) = after.split_at(length);
        rest = after;
        match stream.verify(&mut key, message, NOW) {
            Ok(verified) => assert!(verified.is_empty()),
            Err(_) => break,
        }
    }
});

/// A request signed with a key that the fuzzer does not look for.
fn request() -> (HmacKey, Transaction) {
    let mut key = HmacKey::new(HmacAlgorithm::Sha256, b"0123456789abcdef".to_vec());
    let query = Query::new(Name::root(), RecordType::SOA).encode(0);
    let signed = sign(&mut key, &Name::root(), &query, NOW);
    let Ok((_, transaction)) = signed else { panic!("a query has room for its signature") };
    (key, transaction)
}
