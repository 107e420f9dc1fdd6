use std::sync::Arc;

use domain::base::iana::Rtype;
use domain::base::{self, MessageBuilder};
use domain::rdata::tsig::Time48;
use domain::tsig::{Algorithm, ClientSequence, ClientTransaction, Key, ServerSequence, ServerTransaction};
use proptest::prelude::*;

use super::testing::{Signing, mac_of, receive};
use super::*;
use crate::dns::{Query, RecordType, Update};

const NOW: u64 = 1_700_000_000;
const SECRET: &[u8] = b"a secret of thirty-two octets...";

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn key_name() -> Name {
    name("key.example.test")
}

fn hmac(algorithm: HmacAlgorithm) -> HmacKey {
    HmacKey::new(algorithm, SECRET.to_vec())
}

fn request() -> Vec<u8> {
    Query::new(name("www.example.test"), RecordType::A).encode(0x1234)
}

/// What a server answers to [`request`], not signed yet.
fn answer() -> Vec<u8> {
    let mut octets = request();
    octets[2..4].copy_from_slice(&[0x84, 0x00]);
    octets[7] = 1;
    octets.extend(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04\xc0\x00\x02\x01");
    octets
}

/// A signed request with what verifies its answer.
fn signed() -> (HmacKey, Vec<u8>, Transaction) {
    let mut mac = hmac(HmacAlgorithm::Sha256);
    let (octets, transaction) = sign(&mut mac, &key_name(), &request(), NOW).unwrap();
    (mac, octets, transaction)
}

fn flaw(transaction: Transaction, octets: &[u8], now: u64) -> Flaw<BadMac> {
    match transaction.verify(&mut hmac(HmacAlgorithm::Sha256), octets, now).unwrap() {
        Answer::Unverified(_, flaw) => flaw,
        Answer::Verified(verified) => panic!("verified: {verified:?}"),
    }
}

fn mac_input(transaction: Transaction, octets: &[u8], now: u64) -> MacInput {
    match transaction.verify(&mut hmac(HmacAlgorithm::Sha256), octets, now).unwrap() {
        Answer::Verified(verified) => verified.mac_input(),
        Answer::Unverified(_, flaw) => panic!("not verified: {flaw}"),
    }
}

#[test]
fn an_answer_in_the_form_of_the_rfc_is_verified_and_comes_without_its_signature() {
    let (mut mac, octets, transaction) = signed();
    let reply = Signing::new(&key_name(), NOW).sign(&mut mac, &mac_of(&octets), &answer());
    let Answer::Verified(verified) = transaction.verify(&mut mac, &reply, NOW).unwrap() else {
        panic!("not verified");
    };
    assert_eq!(verified.mac_input(), MacInput::Standard);
    assert_eq!(*verified.get(), Message::parse(&answer()).unwrap());
}

#[test]
fn an_answer_in_the_form_of_sambas_internal_server_is_verified_as_such() {
    let (mut mac, octets, transaction) = signed();
    let reply = Signing::new(&key_name(), NOW).sign_after(&mut mac, &mac_of(&octets), &answer());
    assert_eq!(mac_input(transaction, &reply, NOW), MacInput::Samba);
}

#[test]
fn an_answer_to_another_request_is_not_verified() {
    let (mut mac, _, transaction) = signed();
    let (other, _) = sign(&mut mac, &key_name(), &request(), NOW + 1).unwrap();
    let reply = Signing::new(&key_name(), NOW).sign(&mut mac, &mac_of(&other), &answer());
    assert_eq!(flaw(transaction, &reply, NOW), Flaw::Unverifiable(BadMac));
}

#[test]
fn an_answer_signed_without_the_requests_mac_is_not_verified() {
    let (mut mac, _, transaction) = signed();
    let reply = Signing::new(&key_name(), NOW).sign(&mut mac, &[], &answer());
    assert_eq!(flaw(transaction, &reply, NOW), Flaw::Unverifiable(BadMac));
}

#[test]
fn the_requests_own_signature_is_recognised_when_it_comes_back() {
    let (_, mut octets, transaction) = signed();
    octets[2] |= 0x80;
    octets[3] |= 5;
    assert_eq!(flaw(transaction, &octets, NOW), Flaw::Echoed);
}

#[test]
fn an_answer_without_a_signature_is_unsigned() {
    let (_, _, transaction) = signed();
    assert_eq!(flaw(transaction, &answer(), NOW), Flaw::Unsigned);
    let (mac, _, transaction) = signed();
    let empty = Signing::new(&key_name(), NOW).with_mac(mac.algorithm(), &[], &answer());
    assert_eq!(flaw(transaction, &empty, NOW), Flaw::Unsigned);
}

#[test]
fn a_signature_of_another_key_or_algorithm_is_told_by_its_names() {
    let other = name("other.test");
    let (mut mac, octets, transaction) = signed();
    let reply = Signing::new(&other, NOW).sign(&mut mac, &mac_of(&octets), &answer());
    assert!(matches!(flaw(transaction, &reply, NOW), Flaw::OtherKey { key, .. } if key == other));

    let (_, octets, transaction) = signed();
    let reply = Signing::new(&key_name(), NOW).sign(&mut hmac(HmacAlgorithm::Sha512), &mac_of(&octets), &answer());
    assert!(
        matches!(flaw(transaction, &reply, NOW), Flaw::OtherKey { algorithm, .. } if algorithm == name("hmac-sha512"))
    );
}

#[test]
fn names_in_upper_case_are_the_same_names() {
    let (mut mac, octets, transaction) = signed();
    let mut reply = Signing::new(&key_name(), NOW).sign(&mut mac, &mac_of(&octets), &answer());
    for text in [&b"hmac-sha256"[..], b"key"] {
        let at = reply.windows(text.len()).rposition(|window| window == text).unwrap();
        reply[at..at + text.len()].make_ascii_uppercase();
    }
    assert_eq!(mac_input(transaction, &reply, NOW), MacInput::Standard);
}

#[test]
fn the_time_is_checked_once_the_mac_is_good() {
    for (skew, good) in [(300_i64, true), (-300, true), (301, false), (-301, false)] {
        let (mut mac, octets, transaction) = signed();
        let time = NOW.checked_add_signed(skew).unwrap();
        let reply = Signing::new(&key_name(), time).sign(&mut mac, &mac_of(&octets), &answer());
        match transaction.verify(&mut mac, &reply, NOW).unwrap() {
            Answer::Verified(_) => assert!(good, "{skew}"),
            Answer::Unverified(_, flaw) => assert_eq!((flaw, good), (Flaw::OutOfTime { skew }, false)),
        }
    }
}

#[test]
fn errors_tell_whether_they_are_signed() {
    let errors = [
        (Rcode::BADSIG, TsigError::BadSig),
        (Rcode::BADKEY, TsigError::BadKey),
        (Rcode::BADTRUNC, TsigError::BadTrunc),
        (Rcode::BADNAME, TsigError::Other(Rcode::BADNAME)),
    ];
    for (code, error) in errors {
        let key = key_name();
        let signing = Signing { error: code, ..Signing::new(&key, NOW) };
        let (mut mac, octets, transaction) = signed();
        let proved = signing.sign(&mut mac, &mac_of(&octets), &answer());
        assert_eq!(flaw(transaction, &proved, NOW), Flaw::Rejected { error, signed: true });
        for worthless in [&b""[..], b"junk"] {
            let (_, _, transaction) = signed();
            let claimed = signing.with_mac(mac.algorithm(), worthless, &answer());
            assert_eq!(flaw(transaction, &claimed, NOW), Flaw::Rejected { error, signed: false });
        }
    }
}

#[test]
fn a_badtime_answer_tells_the_skew_in_seconds() {
    for (skew, sent) in [(-3_600_i64, true), (4_000, true), (0, false)] {
        let (mut mac, octets, transaction) = signed();
        let other = NOW.checked_add_signed(skew).unwrap().to_be_bytes();
        let other = if sent { &other[2..] } else { &[] };
        let key = key_name();
        let signing = Signing { error: Rcode::BADTIME, other, ..Signing::new(&key, NOW) };
        let reply = signing.sign(&mut mac, &mac_of(&octets), &answer());
        let error = TsigError::BadTime { skew: Some(skew).filter(|_| sent) };
        assert_eq!(flaw(transaction, &reply, NOW), Flaw::Rejected { error, signed: true });
    }
}

#[test]
fn the_answer_to_an_unsigned_request_is_signed_without_a_request_mac() {
    let mut mac = hmac(HmacAlgorithm::Sha256);
    let reply = Signing::new(&key_name(), NOW).sign(&mut mac, &[], &answer());
    assert_eq!(mac_input(Transaction::of_unsigned_request(key_name()), &reply, NOW), MacInput::Standard);
    let transaction = Transaction::of_unsigned_request(key_name());
    assert_eq!(flaw(transaction, &answer(), NOW), Flaw::Unsigned);
}

#[test]
fn a_forwarders_id_does_not_matter_to_the_mac() {
    let (mut mac, octets, transaction) = signed();
    let mut reply = Signing::new(&key_name(), NOW).sign(&mut mac, &mac_of(&octets), &answer());
    reply[0] ^= 0xff;
    assert_eq!(mac_input(transaction, &reply, NOW), MacInput::Standard);
}

#[test]
fn a_signature_that_is_not_the_last_record_is_refused() {
    let (mut mac, octets, transaction) = signed();
    let mut reply = Signing::new(&key_name(), NOW).sign(&mut mac, &mac_of(&octets), &answer());
    reply[11] += 1;
    reply.extend(b"\x00\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04\x7f\x00\x00\x01");
    assert!(transaction.verify(&mut mac, &reply, NOW).is_err());
}

#[test]
fn the_owner_name_of_the_signature_is_not_compressed() {
    let (_, octets, _) = signed();
    let tail = &octets[request().len()..];
    assert!(tail.starts_with(key_name().as_wire()));
}

#[test]
fn a_message_without_room_for_its_signature_is_not_sent() {
    let mut mac = hmac(HmacAlgorithm::Sha256);
    let result = sign(&mut mac, &key_name(), &vec![0; 65_500], NOW);
    assert!(matches!(result, Err(SignError::TooLarge)));
    assert!(matches!(sign(&mut mac, &key_name(), &[], NOW), Err(SignError::Wire(_))));
}

#[test]
fn the_secret_is_not_shown() {
    assert_eq!(format!("{:?}", hmac(HmacAlgorithm::Sha384)), "HmacKey(hmac-sha384)");
}

/// A stream of messages of which only those in `signed` carry a signature.
fn stream(count: usize, signed: impl Fn(usize) -> bool, request_mac: &[u8]) -> Vec<Vec<u8>> {
    let mut mac = hmac(HmacAlgorithm::Sha256);
    let key = key_name();
    let signing = Signing::new(&key, NOW);
    let first = signing.sign(&mut mac, request_mac, &answer());
    let (mut prior, mut unsigned, mut messages) = (mac_of(&first), Vec::new(), vec![first]);
    for index in 1..count {
        if signed(index) {
            let (octets, next) = signing.sign_later(&mut mac, &prior, &unsigned, &answer());
            (prior, unsigned) = (next, Vec::new());
            messages.push(octets);
        } else {
            unsigned.push(answer());
            messages.push(answer());
        }
    }
    messages
}

/// Numbers of messages that each message of a stream has brought.
fn read_stream(messages: &[Vec<u8>], transaction: Transaction) -> Result<Vec<usize>, StreamError<BadMac>> {
    let mut mac = hmac(HmacAlgorithm::Sha256);
    let mut stream = transaction.into_stream();
    let mut counts = Vec::new();
    for message in messages {
        let verified = stream.verify(&mut mac, message, NOW)?;
        assert!(verified.iter().all(|verified| *verified.get() == answer()));
        counts.push(verified.len());
    }
    stream.finish()?;
    Ok(counts)
}

#[test]
fn messages_of_a_stream_are_held_back_until_a_signature_covers_them() {
    let (_, octets, transaction) = signed();
    let messages = stream(6, |index| index == 3 || index == 5, &mac_of(&octets));
    assert_eq!(read_stream(&messages, transaction), Ok(vec![1, 0, 0, 3, 0, 2]));
}

#[test]
fn ninety_nine_messages_in_a_row_may_be_unsigned_and_no_more() {
    let (_, octets, transaction) = signed();
    let messages = stream(101, |index| index == 100, &mac_of(&octets));
    assert_eq!(read_stream(&messages, transaction).unwrap().last(), Some(&100));
    let (_, octets, transaction) = signed();
    let messages = stream(102, |index| index == 101, &mac_of(&octets));
    assert_eq!(read_stream(&messages, transaction), Err(StreamError::TooManyUnsigned));
}

#[test]
fn the_first_and_the_last_message_of_a_stream_must_be_signed() {
    let (_, octets, transaction) = signed();
    let messages = stream(4, |index| index == 1, &mac_of(&octets));
    assert_eq!(read_stream(&messages, transaction), Err(StreamError::UnsignedEnd(2)));
    let (_, _, transaction) = signed();
    let error = read_stream(&[answer()], transaction).unwrap_err();
    assert!(matches!(error, StreamError::Flaw { flaw: Flaw::Unsigned, .. }));
}

#[test]
fn a_message_that_is_left_out_put_in_or_changed_breaks_the_stream() {
    let spoil: [fn(&mut Vec<Vec<u8>>); 4] = [
        |messages| drop(messages.remove(1)),
        |messages| messages.insert(1, answer()),
        |messages| messages.swap(0, 3),
        |messages| messages[2][3] ^= 1,
    ];
    for spoil in spoil {
        let (_, octets, transaction) = signed();
        let mut messages = stream(4, |index| index == 3, &mac_of(&octets));
        spoil(&mut messages);
        let error = read_stream(&messages, transaction).unwrap_err();
        assert!(matches!(error, StreamError::Flaw { .. }), "{error:?}");
    }
}

const ALGORITHMS: [(HmacAlgorithm, Algorithm); 4] = [
    (HmacAlgorithm::Sha1, Algorithm::Sha1),
    (HmacAlgorithm::Sha256, Algorithm::Sha256),
    (HmacAlgorithm::Sha384, Algorithm::Sha384),
    (HmacAlgorithm::Sha512, Algorithm::Sha512),
];

fn oracle(algorithm: Algorithm) -> Arc<Key> {
    Arc::new(Key::new(algorithm, SECRET, "key.example.test".parse().unwrap(), None, None).unwrap())
}

#[test]
fn another_implementation_verifies_our_request_and_we_its_answer() {
    for (algorithm, theirs) in ALGORITHMS {
        let mut mac = hmac(algorithm);
        let (octets, transaction) = sign(&mut mac, &key_name(), &request(), NOW).unwrap();
        let mut received = base::Message::from_octets(octets).unwrap();
        let now = Time48::from_u64(NOW + 100);
        let server = ServerTransaction::request(&oracle(theirs), &mut received, now).unwrap().unwrap();
        let builder = MessageBuilder::new_vec();
        let mut answer = builder.start_answer(&received, base::iana::Rcode::NOERROR).unwrap().additional();
        server.answer(&mut answer, now).unwrap();
        let verdict = transaction.verify(&mut mac, &answer.finish(), NOW).unwrap();
        assert!(matches!(verdict, Answer::Verified(_)), "{algorithm}");
    }
}

#[test]
fn we_verify_the_request_of_another_implementation_and_it_our_answer() {
    for (algorithm, theirs) in ALGORITHMS {
        let mut question = MessageBuilder::new_vec().question();
        let owner: base::Name<Vec<u8>> = "www.example.test".parse().unwrap();
        question.push((owner, Rtype::A)).unwrap();
        let mut request = question.additional();
        let client = ClientTransaction::request(oracle(theirs), &mut request, Time48::from_u64(NOW)).unwrap();
        let mut mac = hmac(algorithm);
        let received = receive(&mut mac, &request.finish());
        let (_, request_mac, _) = received.signature.unwrap();
        assert!(received.genuine, "{algorithm}");
        let mut unsigned = received.message;
        unsigned[2] |= 0x80;
        let reply = Signing::new(&key_name(), NOW).sign(&mut mac, &request_mac, &unsigned);
        let mut reply = base::Message::from_octets(reply).unwrap();
        client.answer(&mut reply, Time48::from_u64(NOW)).unwrap();
    }
}

#[test]
fn a_stream_of_another_implementation_is_verified() {
    let mut mac = hmac(HmacAlgorithm::Sha512);
    let (octets, transaction) = sign(&mut mac, &key_name(), &request(), NOW).unwrap();
    let mut received = base::Message::from_octets(octets).unwrap();
    let now = Time48::from_u64(NOW);
    let key = oracle(Algorithm::Sha512);
    let mut server = ServerSequence::request(&key, &mut received, now).unwrap().unwrap();
    let mut stream = transaction.into_stream();
    for _ in 0..5 {
        let builder = MessageBuilder::new_vec();
        let mut answer = builder.start_answer(&received, base::iana::Rcode::NOERROR).unwrap().additional();
        server.answer(&mut answer, now).unwrap();
        assert_eq!(stream.verify(&mut mac, &answer.finish(), NOW).unwrap().len(), 1);
    }
    stream.finish::<BadMac>().unwrap();
}

#[test]
fn our_stream_with_gaps_is_verified_by_another_implementation() {
    let mut question = MessageBuilder::new_vec().question();
    let owner: base::Name<Vec<u8>> = "www.example.test".parse().unwrap();
    question.push((owner, Rtype::A)).unwrap();
    let mut request = question.additional();
    let now = Time48::from_u64(NOW);
    let mut client = ClientSequence::request(oracle(Algorithm::Sha256), &mut request, now).unwrap();
    let request = request.finish();
    let id = [request[0], request[1]];
    let (_, request_mac, _) = receive(&mut hmac(HmacAlgorithm::Sha256), &request).signature.unwrap();

    let mut mac = hmac(HmacAlgorithm::Sha256);
    let mut reply = answer();
    reply[..2].copy_from_slice(&id);
    let key = key_name();
    let signing = Signing::new(&key, NOW);
    let first = signing.sign(&mut mac, &request_mac, &reply);
    let (last, _) = signing.sign_later(&mut mac, &mac_of(&first), &[reply.clone(), reply.clone()], &reply);
    for octets in [first, reply.clone(), reply, last] {
        client.answer(&mut base::Message::from_octets(octets).unwrap(), now).unwrap();
    }
    client.done().unwrap();
}

#[test]
fn hmac_sha224_gives_the_code_of_rfc_4231() {
    // RFC 4231 §4.3, test case 2.
    let mut mac = HmacKey::new(HmacAlgorithm::Sha224, b"Jefe".to_vec());
    let code = mac.sign(b"what do ya want for nothing?").unwrap();
    let hex: String = code.iter().map(|octet| format!("{octet:02x}")).collect();
    assert_eq!(hex, "a30e01098bc6dbbf45690f3a7e9e6d0f8bbea2a39e6148008fd05e44");
    assert_eq!(mac.verify(b"what do ya want for nothing?", &code), Ok(()));
    assert_eq!(mac.verify(b"what do ya want for nothing?", &code[..20]), Err(BadMac));
}

/// Bits that may flip: the id, whose original is in the TSIG record, and the case of the letters in its two names.
const FREE_BITS: usize = 16 + "keyexampletest".len() + "hmacsha".len();

#[test]
fn any_flipped_bit_fails_verification() {
    let (mut mac, octets, _) = signed();
    let reply = Signing::new(&key_name(), NOW).sign(&mut mac, &mac_of(&octets), &answer());
    let mut free = 0;
    for bit in 0..reply.len() * 8 {
        let flipped = flip(&reply, bit);
        let (_, _, transaction) = signed();
        let verified = matches!(transaction.verify(&mut mac, &flipped, NOW), Ok(Answer::Verified(_)));
        let same = record::split(&flipped).is_ok_and(|split| (split.message, split.tsig) == split_of(&reply));
        assert_eq!(verified, same, "bit {bit}");
        free += usize::from(same);
    }
    assert_eq!(free, FREE_BITS);
}

#[test]
fn any_flipped_bit_of_a_stream_fails_verification() {
    let (_, octets, _) = signed();
    let messages = stream(4, |index| index == 3, &mac_of(&octets));
    // Class and TTL of the last signature are not digested: later messages have only the timers (RFC 8945 §5.3.1).
    let free = [FREE_BITS, 0, 0, FREE_BITS + 48];
    for (index, message) in messages.iter().enumerate() {
        let verified = (0..message.len() * 8).filter(|&bit| {
            let mut messages = messages.clone();
            messages[index] = flip(message, bit);
            let (_, _, transaction) = signed();
            read_raw(&messages, transaction).is_ok()
        });
        assert_eq!(verified.count(), free[index], "message {index}");
    }
}

proptest! {
    #[test]
    fn any_octets_are_verified_without_panic(octets: Vec<u8>) {
        let (mut mac, _, transaction) = signed();
        let _ = transaction.verify(&mut mac, &octets, NOW);
    }

    #[test]
    fn any_message_is_split_into_what_it_was_signed_from(
        id: u16, time in 0..1_u64 << 48, data in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let zone = "example.test".parse().unwrap();
        let rdata = crate::dns::Rdata::from_wire(data);
        let add = crate::dns::Operation::Add {
            name: name("x.example.test"), rtype: RecordType::from(4_000), ttl: crate::dns::Ttl::ZERO, rdata,
        };
        let message = Update { zone, prerequisites: Vec::new(), operations: vec![add] }.encode(id).unwrap();
        let (octets, _) = sign(&mut hmac(HmacAlgorithm::Sha1), &key_name(), &message, time).unwrap();
        let received = receive(&mut hmac(HmacAlgorithm::Sha1), &octets);
        prop_assert!(received.genuine);
        prop_assert_eq!(&received.message, &message);
        prop_assert_eq!(received.signature.map(|(_, _, signed)| signed), Some(time));
        prop_assert_eq!(unsigned(&octets), Ok(message));
    }
}

fn flip(octets: &[u8], bit: usize) -> Vec<u8> {
    let mut flipped = octets.to_vec();
    flipped[bit / 8] ^= 1 << (bit % 8);
    flipped
}

fn split_of(octets: &[u8]) -> (Vec<u8>, Option<record::Tsig>) {
    let split = record::split(octets).unwrap();
    (split.message, split.tsig)
}

fn read_raw(messages: &[Vec<u8>], transaction: Transaction) -> Result<(), StreamError<BadMac>> {
    let mut stream = transaction.into_stream();
    for message in messages {
        stream.verify(&mut hmac(HmacAlgorithm::Sha256), message, NOW)?;
    }
    stream.finish()
}
