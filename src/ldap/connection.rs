//! A connection to a directory server: messages of LDAP, and from the bind on their sealed frames (RFC 4752).

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use futures_util::FutureExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};

use super::ber::extent;
use super::error::LdapFault;
use super::frame;
use super::message::{Answer, LdapResult, Message, bind, code, unbind};
use crate::dial::{Tcp, dial};
use crate::dns::ServerAddress;
use crate::gss::{Initiated, Initiator, SealingContext};
use crate::kerberos::{Realm, TargetName};

/// The only SASL mechanism: Kerberos, without SPNEGO around it.
const MECHANISM: &str = "GSSAPI";
/// The layer that seals (RFC 4752 §3.3).
const SEALED: u8 = 4;
/// Most octets of a message, a node with all its records, that we take.
const MOST_MESSAGE: usize = 32 << 20;
/// What sealing adds to a message is less than this.
const SEAL: usize = 256;
/// More rounds than a bind takes.
const MOST_ROUNDS: u8 = 8;
/// Room for what one read brings.
const READ_OCTETS: usize = 64 << 10;

/// A connection; one that an error came of, or that was left while something was due, is of no use any more.
pub(super) struct Connection {
    stream: Tcp,
    timeout: Duration,
    /// Sealed octets that make no frame yet.
    sealed: BytesMut,
    /// Octets that make no message yet; one stream, wherever frames and messages end.
    plain: BytesMut,
    layer: Option<Layer>,
    last_id: i32,
    received: usize,
}

/// What both sides agreed on.
struct Layer {
    context: Box<dyn SealingContext>,
    /// Most octets that the server takes in a frame.
    most: usize,
    ends: Instant,
}

impl Connection {
    /// Connects and binds with the credential; each step takes `limit` at most.
    pub(super) async fn bound(
        server: &ServerAddress,
        initiator: &Initiator,
        realm: &Realm,
        limit: Duration,
    ) -> Result<Self, LdapFault> {
        let initiated = initiator.initiate_sealing(TargetName::ldap(&server.host, realm), limit).await?;
        let stream = dial(server, limit).await?;
        let mut connection = Self {
            stream,
            timeout: limit,
            sealed: BytesMut::new(),
            plain: BytesMut::new(),
            layer: None,
            last_id: 0,
            received: 0,
        };
        connection.bind(initiated).await.inspect_err(|fault| {
            // A server with new keys refuses tickets made for the old ones, for as long as they live.
            if matches!(fault, LdapFault::Bind(outcome) if outcome.code == code::INVALID_CREDENTIALS) {
                initiator.forget_tickets();
            }
        })?;
        Ok(connection)
    }

    async fn bind(&mut self, initiated: Initiated<dyn SealingContext>) -> Result<(), LdapFault> {
        let Initiated { mut context, token, credential } = initiated;
        let mut token = token.ok_or(LdapFault::Stalled)?;
        for _ in 0..MOST_ROUNDS {
            let reply = self.bind_step(&token).await?.ok_or(LdapFault::Stalled)?;
            if context.is_complete() {
                let layer = self.agree(context, &reply, credential).await?;
                // What came before the layer stands would be nobody's.
                if !self.plain.is_empty() {
                    return Err(LdapFault::WrongAnswer);
                }
                self.layer = Some(layer);
                return Ok(());
            }
            token = context.step(Some(&reply)).map_err(LdapFault::Token)?.unwrap_or_default();
        }
        Err(LdapFault::Stalled)
    }

    /// Answers the server's offer of layers, and so ends the bind.
    async fn agree(
        &mut self,
        mut context: Box<dyn SealingContext>,
        offer: &[u8],
        credential: Duration,
    ) -> Result<Layer, LdapFault> {
        let offer = context.unwrap(offer).map_err(LdapFault::Unsealed)?;
        let &[layers, s0, s1, s2] = offer.as_slice() else { return Err(LdapFault::Stalled) };
        if layers & SEALED == 0 {
            return Err(LdapFault::NoSealing(layers));
        }
        let choice = (u32::from(SEALED) << 24 | frame::MOST).to_be_bytes();
        let choice = context.wrap(false, &choice).map_err(LdapFault::Sealing)?;
        if self.bind_step(&choice).await?.is_some() {
            return Err(LdapFault::Stalled);
        }
        let most = usize::try_from(u32::from_be_bytes([0, s0, s1, s2])).unwrap_or(usize::MAX);
        let life = context.lifetime().map_or(credential, |life| life.min(credential));
        Ok(Layer { context, most, ends: Instant::now() + life })
    }

    /// A token there, and the server's back; none when the server is content.
    async fn bind_step(&mut self, token: &[u8]) -> Result<Option<Vec<u8>>, LdapFault> {
        let id = self.next_id();
        self.send(&bind(id, MECHANISM, token)).await?;
        match self.receive(id).await? {
            Answer::Bind { outcome: LdapResult { code: code::SASL_BIND_IN_PROGRESS, .. }, token } => {
                Ok(Some(token.unwrap_or_default()))
            }
            Answer::Bind { outcome: LdapResult { code: code::SUCCESS, .. }, .. } => Ok(None),
            Answer::Bind { outcome, .. } => Err(LdapFault::Bind(outcome)),
            _ => Err(LdapFault::WrongAnswer),
        }
    }

    /// A number that no request has had.
    pub(super) fn next_id(&mut self) -> i32 {
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        self.last_id
    }

    /// Octets received so far.
    pub(super) const fn received(&self) -> usize {
        self.received
    }

    /// Time until the credential that it was bound with ends.
    pub(super) fn remaining(&self) -> Duration {
        self.layer.as_ref().map_or(Duration::ZERO, |layer| layer.ends.saturating_duration_since(Instant::now()))
    }

    /// Whether the server has kept it open and sent nothing that was not asked for.
    pub(super) fn is_quiet(&mut self) -> bool {
        self.sealed.is_empty() && self.plain.is_empty() && self.stream.read_u8().now_or_never().is_none()
    }

    /// Sends a message, sealed once that is agreed.
    pub(super) async fn send(&mut self, message: &[u8]) -> Result<(), LdapFault> {
        let octets = match &mut self.layer {
            None => message.to_vec(),
            Some(layer) => layer.seal(message)?,
        };
        match timeout(self.timeout, self.stream.write_all(&octets)).await {
            Ok(outcome) => outcome.map_err(|error| LdapFault::Broken(Arc::new(error))),
            Err(_) => Err(LdapFault::Silent(self.timeout)),
        }
    }

    /// The next answer to the request of this number.
    pub(super) async fn receive(&mut self, id: i32) -> Result<Answer, LdapFault> {
        let message = timeout(self.timeout, self.message()).await.map_err(|_| LdapFault::Silent(self.timeout))??;
        match message {
            Message { answer: Answer::Disconnection(outcome), .. } => Err(LdapFault::Disconnected(outcome)),
            Message { id: found, answer } if found == id => Ok(answer),
            Message { .. } => Err(LdapFault::WrongAnswer),
        }
    }

    async fn message(&mut self) -> Result<Message, LdapFault> {
        loop {
            if let Some(whole) = extent(&self.plain, MOST_MESSAGE)?.filter(|&whole| whole <= self.plain.len()) {
                return Ok(Message::parse(&self.plain.split_to(whole))?);
            }
            let into = if self.layer.is_some() { &mut self.sealed } else { &mut self.plain };
            into.reserve(READ_OCTETS);
            match self.stream.read_buf(into).await {
                Ok(0) => return Err(LdapFault::Closed),
                Ok(count) => self.received += count,
                Err(error) => return Err(LdapFault::Broken(Arc::new(error))),
            }
            if let Some(layer) = &mut self.layer {
                layer.unseal(&mut self.sealed, &mut self.plain)?;
            }
        }
    }

    /// Says goodbye.
    pub(super) async fn close(mut self) {
        let id = self.next_id();
        let _ = self.send(&unbind(id)).await;
        let _ = timeout(self.timeout, self.stream.shutdown()).await;
    }
}

impl Layer {
    /// The frames of a message, each with its length in front and no larger than the server takes.
    fn seal(&mut self, message: &[u8]) -> Result<Vec<u8>, LdapFault> {
        let mut frames = Vec::with_capacity(message.len() + SEAL);
        for part in message.chunks(self.most.saturating_sub(SEAL).max(1)) {
            let sealed = self.context.wrap(true, part).map_err(LdapFault::Sealing)?;
            frames.extend_from_slice(&u32::try_from(sealed.len()).unwrap_or(u32::MAX).to_be_bytes());
            frames.extend_from_slice(&sealed);
        }
        Ok(frames)
    }

    /// Opens every whole frame.
    fn unseal(&mut self, sealed: &mut BytesMut, plain: &mut BytesMut) -> Result<(), LdapFault> {
        while let Some((frame, whole)) = frame::first(sealed).map_err(LdapFault::FrameTooLarge)? {
            plain.extend_from_slice(&self.context.unwrap(frame).map_err(LdapFault::Unsealed)?);
            sealed.advance(whole);
        }
        Ok(())
    }
}
