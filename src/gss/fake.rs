//! Test support: Kerberos without a KDC. Both sides of a context, scripted failures, and MICs that are really verified.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::{GssBackend, GssError, SealingContext, SecurityContext};
use crate::kerberos::TargetName;

/// Opens every token, so that others are refused.
const MAGIC: &[u8] = b"fake-krb5";
/// Octets of the sequence number before the MAC.
const SEQUENCE: usize = 8;
/// Octets of a MIC.
const MIC: usize = SEQUENCE + 32;
/// A message this far behind the newest is too old to be told from a duplicate (as MIT Kerberos).
const REPLAY_WINDOW: u64 = 64;

/// A realm of its own: what its initiators ask is recorded, and what its acceptors take comes from its initiators only.
#[derive(Clone, Default)]
pub(crate) struct FakeKerberos {
    state: Arc<Mutex<Script>>,
}

#[derive(Default)]
struct Script {
    acquisitions: usize,
    forgotten: usize,
    targets: Vec<String>,
    lifetime: Option<Duration>,
    delay: Duration,
    acquire_failures: VecDeque<GssError>,
    acquire_failure: Option<GssError>,
    step_failure: Option<GssError>,
    two_rounds: bool,
    contexts: u64,
}

impl FakeKerberos {
    /// A realm in which everything succeeds, in one round, for ten hours.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Every credential and context lives this long.
    pub(crate) fn set_lifetime(&self, lifetime: Duration) {
        self.lock().lifetime = Some(lifetime);
    }

    /// Every call that would ask a KDC takes this long, as with a silent one.
    pub(crate) fn set_delay(&self, delay: Duration) {
        self.lock().delay = delay;
    }

    /// Acquiring fails like this from now on; none lets it succeed again.
    pub(crate) fn fail_acquire(&self, error: Option<GssError>) {
        self.lock().acquire_failure = error;
    }

    /// The next acquisition fails like this; several queue up.
    pub(crate) fn fail_next_acquire(&self, error: GssError) {
        self.lock().acquire_failures.push_back(error);
    }

    /// The first step of a context, where the service ticket is asked for, fails like this from now on.
    pub(crate) fn fail_step(&self, error: Option<GssError>) {
        self.lock().step_failure = error;
    }

    /// Whether contexts take two round trips.
    pub(crate) fn set_two_rounds(&self, two: bool) {
        self.lock().two_rounds = two;
    }

    /// The target names asked for, in order.
    #[must_use]
    pub(crate) fn targets(&self) -> Vec<String> {
        self.lock().targets.clone()
    }

    /// How often a KDC was asked for a credential.
    #[must_use]
    pub(crate) fn acquisitions(&self) -> usize {
        self.lock().acquisitions
    }

    /// How often the credential was given up.
    #[must_use]
    pub(crate) fn forgotten(&self) -> usize {
        self.lock().forgotten
    }

    /// The acceptor's side of a new context, for a fake server.
    #[must_use]
    pub(crate) fn acceptor(&self) -> Box<dyn SealingContext> {
        let two_rounds = self.lock().two_rounds;
        Box::new(FakeContext::new(self, Side::Acceptor, String::new(), two_rounds))
    }

    fn initiator(&self, target: &TargetName) -> FakeContext {
        let target = target.to_string();
        let mut script = self.lock();
        script.targets.push(target.clone());
        let two_rounds = script.two_rounds;
        drop(script);
        FakeContext::new(self, Side::Initiator, target, two_rounds)
    }

    fn lock(&self) -> MutexGuard<'_, Script> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lifetime(&self) -> Duration {
        self.lock().lifetime.unwrap_or(Duration::from_secs(36_000))
    }

    fn delay(&self) {
        let delay = self.lock().delay;
        std::thread::sleep(delay);
    }
}

impl GssBackend for FakeKerberos {
    fn acquire(&self) -> Result<Duration, GssError> {
        let failure = {
            let mut script = self.lock();
            script.acquisitions += 1;
            script.acquire_failures.pop_front().or_else(|| script.acquire_failure.clone())
        };
        self.delay();
        failure.map_or_else(|| Ok(self.lifetime()), Err)
    }

    fn forget(&self) {
        self.lock().forgotten += 1;
    }

    fn initiate(&self, target: &TargetName) -> Result<Box<dyn SecurityContext>, GssError> {
        Ok(Box::new(self.initiator(target)))
    }

    fn initiate_sealing(&self, target: &TargetName) -> Result<Box<dyn SealingContext>, GssError> {
        Ok(Box::new(self.initiator(target)))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Initiator,
    Acceptor,
}

/// One side of a context. Tokens: magic, round, key, target name.
struct FakeContext {
    realm: FakeKerberos,
    side: Side,
    target: String,
    two_rounds: bool,
    round: u8,
    key: [u8; 8],
    complete: bool,
    next: u64,
    newest: Option<u64>,
    seen: Vec<u64>,
    /// Number of the message to unwrap next.
    due: u64,
}

impl FakeContext {
    fn new(realm: &FakeKerberos, side: Side, target: String, two_rounds: bool) -> Self {
        let mut script = realm.lock();
        script.contexts += 1;
        let key = script.contexts.to_be_bytes();
        drop(script);
        Self {
            realm: realm.clone(),
            side,
            target,
            two_rounds,
            round: 0,
            key,
            complete: false,
            next: 0,
            newest: None,
            seen: Vec::new(),
            due: 0,
        }
    }

    fn token(&self, round: u8) -> Vec<u8> {
        [MAGIC, &[round], &self.key, self.target.as_bytes()].concat()
    }

    /// Reads the peer's token of the round that is due.
    fn read(&mut self, token: &[u8]) -> Result<(), GssError> {
        let malformed = || failed("A token was invalid");
        let (&round, rest) = token.strip_prefix(MAGIC).and_then(<[u8]>::split_first).ok_or_else(malformed)?;
        let (key, target) = rest.split_first_chunk::<8>().ok_or_else(malformed)?;
        let target = String::from_utf8_lossy(target).into_owned();
        if self.side == Side::Acceptor && self.round == 0 {
            self.key = *key;
            self.target = target;
        } else if self.key != *key || self.target != target {
            return Err(malformed());
        }
        if round == self.round { Ok(()) } else { Err(malformed()) }
    }

    fn is_last(&self) -> bool {
        self.round == u8::from(self.two_rounds)
    }

    fn mac(&self, side: Side, sequence: [u8; SEQUENCE], message: &[u8]) -> Result<Hmac<Sha256>, GssError> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).map_err(|_| failed("Invalid key"))?;
        // The side is in it, so that a MIC sent back to its maker does not verify.
        mac.update(&[u8::from(side == Side::Acceptor)]);
        mac.update(&sequence);
        mac.update(message);
        Ok(mac)
    }

    /// REPLAY without SEQUENCE: gaps and another order are fine, duplicates and old messages are not.
    fn note(&mut self, sequence: u64) -> Result<(), GssError> {
        let newest = self.newest.unwrap_or(sequence).max(sequence);
        if self.seen.contains(&sequence) {
            return Err(failed("The token was a duplicate of an earlier token"));
        }
        if newest - sequence >= REPLAY_WINDOW {
            return Err(failed("The token's validity period has expired"));
        }
        self.newest = Some(newest);
        self.seen.retain(|&seen| newest - seen < REPLAY_WINDOW);
        self.seen.push(sequence);
        Ok(())
    }

    fn peer(&self) -> Side {
        if self.side == Side::Initiator { Side::Acceptor } else { Side::Initiator }
    }

    fn completed(&self) -> Result<(), GssError> {
        if self.complete { Ok(()) } else { Err(failed("No context has been established")) }
    }
}

impl SecurityContext for FakeContext {
    fn step(&mut self, token: Option<&[u8]>) -> Result<Option<Vec<u8>>, GssError> {
        match (self.side, token) {
            (Side::Initiator, None) => {
                let failure = self.realm.lock().step_failure.clone();
                self.realm.delay();
                failure.map_or_else(|| Ok(Some(self.token(0))), Err)
            }
            (Side::Initiator, Some(token)) => {
                self.read(token)?;
                self.complete = self.is_last();
                self.round += 1;
                Ok((!self.complete).then(|| self.token(self.round)))
            }
            (Side::Acceptor, Some(token)) => {
                self.read(token)?;
                self.complete = self.is_last();
                let reply = self.token(self.round);
                self.round += 1;
                Ok(Some(reply))
            }
            (Side::Acceptor, None) => Err(failed("A token was invalid")),
        }
    }

    fn is_complete(&self) -> bool {
        self.complete
    }

    fn mic(&mut self, message: &[u8]) -> Result<Vec<u8>, GssError> {
        self.completed()?;
        let sequence = self.next.to_be_bytes();
        self.next += 1;
        let mac = self.mac(self.side, sequence, message)?.finalize().into_bytes();
        Ok([sequence.as_slice(), mac.as_slice()].concat())
    }

    fn verify_mic(&mut self, message: &[u8], mic: &[u8]) -> Result<(), GssError> {
        self.completed()?;
        let invalid = || failed("A token had an invalid Message Integrity Check (MIC)");
        let (sequence, mac) = mic.split_first_chunk::<SEQUENCE>().ok_or_else(invalid)?;
        self.mac(self.peer(), *sequence, message)?.verify_slice(mac).map_err(|_| invalid())?;
        self.note(u64::from_be_bytes(*sequence))
    }

    fn lifetime(&self) -> Result<Duration, GssError> {
        Ok(self.realm.lifetime())
    }
}

/// A wrapped message: its MIC, whether it is sealed, and its octets, turned over where it is.
impl SealingContext for FakeContext {
    fn wrap(&mut self, sealed: bool, message: &[u8]) -> Result<Vec<u8>, GssError> {
        let octets = message.iter().map(|octet| if sealed { !octet } else { *octet });
        let body: Vec<u8> = std::iter::once(u8::from(sealed)).chain(octets).collect();
        Ok([self.mic(&body)?, body].concat())
    }

    fn unwrap(&mut self, message: &[u8]) -> Result<Vec<u8>, GssError> {
        self.completed()?;
        let invalid = || failed("A token had an invalid Message Integrity Check (MIC)");
        let (mic, body) = message.split_at_checked(MIC).ok_or_else(invalid)?;
        let (sequence, mac) = mic.split_first_chunk::<SEQUENCE>().ok_or_else(invalid)?;
        self.mac(self.peer(), *sequence, body)?.verify_slice(mac).map_err(|_| invalid())?;
        if u64::from_be_bytes(*sequence) != self.due {
            return Err(failed("An expected per-message token was not received"));
        }
        self.due += 1;
        let (&sealed, octets) = body.split_first().ok_or_else(invalid)?;
        Ok(octets.iter().map(|octet| if sealed == 1 { !octet } else { *octet }).collect())
    }
}

fn failed(words: &str) -> GssError {
    GssError { major: words.to_owned(), ..GssError::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kerberos::Realm;

    fn established(kerberos: &FakeKerberos) -> (Box<dyn SealingContext>, Box<dyn SealingContext>) {
        let realm = Realm::parse("EXAMPLE.TEST").unwrap().realm;
        let mut initiator = kerberos.initiate_sealing(&TargetName::dns("ns1.example.test", &realm)).unwrap();
        let mut acceptor = kerberos.acceptor();
        let mut token = initiator.step(None).unwrap();
        while let Some(sent) = token {
            let reply = acceptor.step(Some(&sent)).unwrap();
            token = initiator.step(reply.as_deref()).unwrap();
        }
        assert!(initiator.is_complete() && acceptor.is_complete());
        (initiator, acceptor)
    }

    #[test]
    fn each_side_verifies_what_the_other_signed_and_nothing_else() {
        for two_rounds in [false, true] {
            let kerberos = FakeKerberos::new();
            kerberos.set_two_rounds(two_rounds);
            let (mut initiator, mut acceptor) = established(&kerberos);
            let mic = initiator.mic(b"update").unwrap();
            assert!(acceptor.verify_mic(b"updates", &mic).is_err());
            assert!(initiator.verify_mic(b"update", &mic).is_err(), "its own MIC came back");
            acceptor.verify_mic(b"update", &mic).unwrap();
            assert!(acceptor.verify_mic(b"update", &mic).is_err(), "a replay");
            assert_eq!(kerberos.targets(), ["DNS/ns1.example.test@EXAMPLE.TEST"]);
        }
    }

    #[test]
    fn contexts_do_not_share_keys() {
        let kerberos = FakeKerberos::new();
        let (mut first, _) = established(&kerberos);
        let (_, mut second) = established(&kerberos);
        let mic = first.mic(b"update").unwrap();
        assert!(second.verify_mic(b"update", &mic).is_err());
    }

    #[test]
    fn gaps_verify_and_messages_far_behind_do_not() {
        let (mut initiator, mut acceptor) = established(&FakeKerberos::new());
        let mics: Vec<_> = (0..=64).map(|_| initiator.mic(b"m").unwrap()).collect();
        acceptor.verify_mic(b"m", &mics[64]).unwrap();
        acceptor.verify_mic(b"m", &mics[1]).unwrap();
        assert!(acceptor.verify_mic(b"m", &mics[0]).is_err());
    }

    #[test]
    fn what_is_wrapped_is_unwrapped_once_and_in_order() {
        let (mut initiator, mut acceptor) = established(&FakeKerberos::new());
        let wrapped: Vec<_> = (0..4).map(|n| initiator.wrap(n % 2 == 0, &[n; 3]).unwrap()).collect();
        assert_eq!(acceptor.unwrap(&wrapped[0]).unwrap(), [0; 3]);
        assert!(acceptor.unwrap(&wrapped[0]).is_err(), "a replay");
        assert_eq!(acceptor.unwrap(&wrapped[1]).unwrap(), [1; 3]);
        assert!(acceptor.unwrap(&wrapped[3]).is_err(), "a gap");
        let mut forged = wrapped[2].clone();
        *forged.last_mut().unwrap() ^= 1;
        assert!(acceptor.unwrap(&forged).is_err() && acceptor.unwrap(&[]).is_err());
        assert!(initiator.unwrap(&wrapped[2]).is_err(), "its own message came back");
        assert_eq!(acceptor.unwrap(&wrapped[2]).unwrap(), [2; 3]);
    }
}
