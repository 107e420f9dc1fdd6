//! What messages to a server are signed with.

use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{RwLockReadGuard, RwLockWriteGuard};
use tokio::time::Instant;

use super::error::{Fault, KeyError};
use crate::dns::Name;
use crate::dns::tsig::{HmacKey, Mac, TsigError};
use crate::gss::{Initiator, SecurityContext};
use crate::kerberos::{Realm, TargetName};

/// The algorithm's name (RFC 3645 §6).
static GSS_TSIG: LazyLock<Name> = LazyLock::new(|| name(&["gss-tsig"]));
/// What Windows 2000 called it; some servers still do.
static GSS_MICROSOFT: LazyLock<Name> = LazyLock::new(|| name(&["gss", "microsoft", "com"]));

/// How messages are authenticated.
#[derive(Clone)]
pub enum Authentication {
    /// GSS-TSIG (RFC 3645).
    Gss(Gss),
    /// A shared key (RFC 8945).
    Hmac {
        /// Key name.
        name: Name,
        /// Algorithm and secret.
        key: HmacKey,
    },
    /// Neither signed nor verified.
    Insecure,
}

/// GSS-TSIG with one realm, which nothing can change.
#[derive(Clone)]
pub struct Gss {
    pub(super) initiator: Initiator,
    realm: Realm,
}

impl Authentication {
    /// GSS-TSIG with this source of security contexts, in this realm.
    #[must_use]
    pub fn gss(initiator: Initiator, realm: Realm) -> Self {
        Self::Gss(Gss { initiator, realm })
    }
}

impl Gss {
    /// Where contexts begin; shared by all that need one, so that one call at a time waits for a KDC.
    #[must_use]
    pub const fn initiator(&self) -> &Initiator {
        &self.initiator
    }

    /// The realm.
    #[must_use]
    pub const fn realm(&self) -> &Realm {
        &self.realm
    }

    /// The Kerberos name of the DNS service on this host; the realm is the one given at construction.
    pub(super) fn target(&self, host: &str) -> TargetName {
        TargetName::dns(host, &self.realm)
    }
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gss(gss) => write!(f, "Gss({})", gss.realm),
            Self::Hmac { name, key } => write!(f, "Hmac({name}, {key:?})"),
            Self::Insecure => f.write_str("Insecure"),
        }
    }
}

/// A key that messages are signed with now.
#[derive(Clone)]
pub(super) enum Key {
    Gss(Arc<Context>),
    Hmac { name: Name, key: HmacKey },
}

/// A security context that both sides have completed, under the name the server knows it by.
pub(super) struct Context {
    pub(super) name: Name,
    pub(super) established: Instant,
    pub(super) lifetime: Duration,
    inner: Mutex<Box<dyn SecurityContext>>,
    /// Shared by requests over one connection, where they arrive as they are signed; a request over another connection has
    /// it alone until it is answered. Samba refuses what was signed before a message that it has seen already.
    order: tokio::sync::RwLock<()>,
}

impl Context {
    pub(super) fn new(name: Name, lifetime: Duration, inner: Box<dyn SecurityContext>) -> Self {
        let order = tokio::sync::RwLock::new(());
        Self { name, established: Instant::now(), lifetime, inner: Mutex::new(inner), order }
    }

    /// Time left until the first of context, ticket and server's key ends.
    pub(super) fn remaining(&self) -> Duration {
        self.lifetime.saturating_sub(self.established.elapsed())
    }

    /// Whether four fifths of its life are over.
    pub(super) fn is_due(&self) -> bool {
        self.established.elapsed() >= self.lifetime.mul_f64(0.8)
    }

    fn with<T>(&self, call: impl FnOnce(&mut dyn SecurityContext) -> T) -> T {
        // A MIC takes microseconds and asks no KDC, so the lock is never held for long.
        call(self.inner.lock().unwrap_or_else(PoisonError::into_inner).as_mut())
    }
}

impl Key {
    /// Waits until a request over the connection that all share may be signed; held until it is answered.
    pub(super) async fn in_order(&self) -> Option<RwLockReadGuard<'_, ()>> {
        match self {
            Self::Gss(context) => Some(context.order.read().await),
            Self::Hmac { .. } => None,
        }
    }

    /// Waits until a request over a connection of its own may be signed; held until it is answered.
    pub(super) async fn alone(&self) -> Option<RwLockWriteGuard<'_, ()>> {
        match self {
            Self::Gss(context) => Some(context.order.write().await),
            Self::Hmac { .. } => None,
        }
    }

    pub(super) fn name(&self) -> &Name {
        match self {
            Self::Gss(context) => &context.name,
            Self::Hmac { name, .. } => name,
        }
    }

    /// Why the server does not accept what was signed with it.
    pub(super) fn rejected(&self, error: TsigError, signed: bool) -> Fault {
        Fault::Rejected { key: self.name().clone(), shared: matches!(self, Self::Hmac { .. }), error, signed }
    }
}

impl Mac for Key {
    type Error = KeyError;

    fn algorithm(&self) -> &Name {
        match self {
            Self::Gss(_) => gss_tsig(),
            Self::Hmac { key, .. } => key.algorithm(),
        }
    }

    fn accepts(&self, algorithm: &Name) -> bool {
        self.algorithm() == algorithm || (matches!(self, Self::Gss(_)) && *algorithm == *GSS_MICROSOFT)
    }

    fn sign(&mut self, octets: &[u8]) -> Result<Vec<u8>, KeyError> {
        match self {
            Self::Gss(context) => Ok(context.with(|context| context.mic(octets))?),
            Self::Hmac { key, .. } => Ok(key.sign(octets)?),
        }
    }

    fn verify(&mut self, octets: &[u8], mac: &[u8]) -> Result<(), KeyError> {
        match self {
            Self::Gss(context) => Ok(context.with(|context| context.verify_mic(octets, mac))?),
            Self::Hmac { key, .. } => Ok(key.verify(octets, mac)?),
        }
    }
}

/// The name of the GSS-TSIG algorithm.
pub(super) fn gss_tsig() -> &'static Name {
    &GSS_TSIG
}

/// A name of these labels, which are well formed.
fn name(labels: &[&str]) -> Name {
    Name::from_labels(labels.iter().map(|label| label.as_bytes())).unwrap_or_else(|_| Name::root())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gss::GssBackend as _;
    use crate::nameserver::testing::FakeKerberos;

    /// A context of ten seconds that is this old.
    fn context(age_in_millis: u64) -> Context {
        let target = TargetName::dns("ns1.example.test", &Realm::parse("EXAMPLE.TEST").unwrap().realm);
        let inner = FakeKerberos::new().initiate(&target).unwrap();
        let established = Instant::now().checked_sub(Duration::from_millis(age_in_millis)).unwrap();
        Context { established, ..Context::new(Name::root(), Duration::from_secs(10), inner) }
    }

    #[test]
    fn a_context_is_due_for_renewal_after_four_fifths_of_its_life_and_ends_with_it() {
        let seen = |age| (context(age).is_due(), context(age).remaining().is_zero());
        assert_eq!(
            [0, 7_000, 8_000, 9_000, 10_000].map(seen),
            [(false, false), (false, false), (true, false), (true, false), (true, true)]
        );
    }

    #[test]
    fn secrets_are_not_shown() {
        let key = HmacKey::new(crate::dns::tsig::HmacAlgorithm::Sha256, b"hunter2".to_vec());
        let shown = format!("{:?}", Authentication::Hmac { name: Name::root(), key });
        assert_eq!(shown, "Hmac(., HmacKey(hmac-sha256))");
    }

    #[test]
    fn contexts_accept_the_name_that_windows_gave_the_algorithm_and_shared_keys_do_not() {
        let gss = Key::Gss(Arc::new(context(0)));
        let hmac = HmacKey::new(crate::dns::tsig::HmacAlgorithm::Sha256, Vec::new());
        let accepts = |key: &Key| {
            ["gss-tsig", "GSS.Microsoft.com", "hmac-sha256"].map(|name| key.accepts(&name.parse().unwrap()))
        };
        assert_eq!(accepts(&gss), [true, true, false]);
        assert_eq!(accepts(&Key::Hmac { name: Name::root(), key: hmac }), [false, false, true]);
    }
}
