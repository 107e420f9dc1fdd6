//! Negotiating a security context with a server (RFC 3645 §3), one state per value.

use std::time::Duration;

use super::error::Fault;
use super::security::{Context, Gss, Key, gss_tsig};
use crate::dns::tkey::{Mode, TkeyAnswer, TkeyQuery};
use crate::dns::tsig::{Answer, Transaction};
use crate::dns::{Message, Name};
use crate::gss::{InitiateError, Initiated, SecurityContext};
use crate::kerberos::TargetName;

/// More round trips than any mechanism needs: Kerberos takes one, SPNEGO two.
const MAX_ROUNDS: u8 = 8;

/// A context that waits for the server's answer to its token.
pub(super) struct Negotiation {
    name: Name,
    context: Box<dyn SecurityContext>,
    token: Vec<u8>,
    /// How long the credential lives, which ends the context too.
    credential: Duration,
    round: u8,
}

/// What an answer has led to.
pub(super) enum Step {
    /// Another token is to be sent.
    Ask(Negotiation),
    /// Both sides have authenticated each other.
    Established(Context),
}

impl Negotiation {
    /// Gets the credential and the service ticket, which may take a KDC, and with them the first token.
    pub(super) async fn start(gss: &Gss, target: TargetName, timeout: Duration) -> Result<Self, Fault> {
        let initiated = gss.initiator.initiate(target, timeout).await.map_err(|error| match error {
            InitiateError::Kerberos(error) => Fault::Kerberos(error),
            InitiateError::KdcSilent(limit) => Fault::KdcSilent(limit),
            InitiateError::BrokenOff => Fault::Stalled,
        })?;
        let Initiated { context, token, credential } = initiated;
        let token = token.ok_or(Fault::Stalled)?;
        Ok(Self { name: random_name(), context, token, credential, round: 1 })
    }

    /// The request that carries the token.
    pub(super) fn request(&self, id: u16, now: u64) -> Result<Vec<u8>, Fault> {
        let query = TkeyQuery { key: &self.name, algorithm: gss_tsig(), mode: Mode::Negotiate, key_data: &self.token };
        Ok(query.encode(id, now)?)
    }

    /// Takes the answer to the request.
    pub(super) fn answer(self, octets: &[u8], now: u64) -> Result<Step, Fault> {
        let answer = TkeyAnswer::read(&Message::parse(octets)?).map_err(Fault::Tkey)?;
        let Self { mut context, credential, round, .. } = self;
        // A context that completed with its last token has nothing left to hear.
        let reply = if context.is_complete() && answer.key_data.is_empty() {
            None
        } else {
            context.step(Some(&answer.key_data)).map_err(Fault::Kerberos)?
        };
        let name = answer.key;
        match reply {
            Some(token) if round < MAX_ROUNDS => {
                Ok(Step::Ask(Self { name, context, token, credential, round: round + 1 }))
            }
            None if context.is_complete() => {
                let lifetime = lifetime(answer.lifetime, credential, context.as_ref());
                let context = Context::new(name, lifetime, context);
                Ok(Step::Established(prove(context, octets, now)?))
            }
            _ => Err(Fault::Stalled),
        }
    }
}

/// Verifies the final answer, which the server signs with the new context.
///
/// Mutual authentication is complete by then, so that an answer that is unsigned or does not verify is let pass:
/// Windows sends such.
fn prove(context: Context, octets: &[u8], now: u64) -> Result<Context, Fault> {
    let name = context.name.clone();
    let mut key = Key::Gss(std::sync::Arc::new(context));
    let answer = Transaction::of_unsigned_request(name.clone()).verify(&mut key, octets, now)?;
    if let Answer::Unverified(_, flaw) = answer {
        tracing::info!(key = %name, %flaw, "the final TKEY answer is not verified; the context is, by Kerberos");
    }
    match key {
        Key::Gss(context) => std::sync::Arc::into_inner(context).ok_or(Fault::Stalled),
        Key::Hmac { .. } => Err(Fault::Stalled),
    }
}

/// The shortest of what the server grants, and what credential and context have left.
fn lifetime(granted: u32, credential: Duration, context: &dyn SecurityContext) -> Duration {
    let own = context.lifetime().map_or(credential, |lifetime| lifetime.min(credential));
    // Some servers leave the times empty, or give an expiration in the past.
    if granted == 0 || granted > u32::MAX / 2 { own } else { own.min(Duration::from_secs(granted.into())) }
}

/// A key name that was never used before: servers refuse one that they know (BADNAME).
fn random_name() -> Name {
    let label = format!("{:032x}", rand::random::<u128>());
    Name::from_labels([label.as_bytes(), b"sig"]).unwrap_or_else(|_| Name::root())
}
