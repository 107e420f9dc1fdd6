//! A connection to a server: DNS messages with their length in front, over TCP (RFC 7766 §8) or TLS (RFC 7858 §3.3).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use futures_util::FutureExt as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout, timeout_at};

use super::error::Fault;
use super::tls::Tls;
use crate::dial::{DialError, dial};
use crate::dns::{HEADER_OCTETS, ServerAddress, WireReader};

/// The response bit, in the third octet of the header.
const QR: u8 = 0x80;
/// Room for what one read brings.
const READ_OCTETS: usize = 16 * 1024;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// An open connection.
///
/// Who has it for himself calls [`Connection::send`] and [`Connection::receive`], which take it by value or fail, so that
/// one that was left in the middle of a message cannot be used again.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    /// What was received and is not taken yet.
    received: BytesMut,
    timeout: Duration,
}

impl Connection {
    /// Connects within `timeout`, trying every address of the server.
    pub(super) async fn open(server: &ServerAddress, tls: Option<&Tls>, limit: Duration) -> Result<Self, Fault> {
        let deadline = Instant::now() + limit;
        let tcp = dial(server, limit).await?;
        let stream: Box<dyn Stream> = match tls {
            None => Box::new(tcp),
            Some(tls) => {
                let handshake = timeout_at(deadline, tls.connect(&server.host, tcp)).await;
                let session = handshake.map_err(|_| Fault::ConnectTimeout(limit))?;
                Box::new(session.map_err(|error| Fault::Tls(Arc::new(error)))?)
            }
        };
        Ok(Self { stream, received: BytesMut::new(), timeout: limit })
    }

    /// Longest wait for one step.
    pub(super) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Whether the server has kept it open and sent nothing that was not asked for.
    pub(super) fn is_quiet(&mut self) -> bool {
        self.received.is_empty() && self.stream.read_u8().now_or_never().is_none()
    }

    /// Sends a message. A connection for which this has failed or was dropped is of no use.
    pub(super) async fn write(&mut self, message: &[u8]) -> Result<(), Fault> {
        let length = u16::try_from(message.len()).map_err(|_| Fault::NoRoom)?;
        let framed = [&length.to_be_bytes()[..], message].concat();
        let sending = async {
            self.stream.write_all(&framed).await?;
            self.stream.flush().await
        };
        match timeout(self.timeout, sending).await {
            Ok(outcome) => outcome.map_err(|error| Fault::Send(Arc::new(error))),
            Err(_) => Err(Fault::Silent(self.timeout)),
        }
    }

    /// The next message, whenever it comes. It may be dropped and called again.
    pub(super) async fn message(&mut self) -> Result<Vec<u8>, Fault> {
        loop {
            if let Some(message) = self.take_message() {
                return Ok(message);
            }
            self.received.reserve(READ_OCTETS);
            match self.stream.read_buf(&mut self.received).await {
                Ok(0) => return Err(Fault::Closed),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(Fault::Closed),
                Err(error) => return Err(Fault::Receive(Arc::new(error))),
            }
        }
    }

    fn take_message(&mut self) -> Option<Vec<u8>> {
        let (length, rest) = self.received.split_first_chunk()?;
        let message = rest.get(..usize::from(u16::from_be_bytes(*length)))?.to_vec();
        self.received.advance(size_of::<u16>() + message.len());
        Some(message)
    }

    /// Sends a message.
    pub(super) async fn send(mut self, message: &[u8]) -> Result<Self, Fault> {
        self.write(message).await?;
        Ok(self)
    }

    /// Receives the next message, which must be a response to the request of this id.
    pub(super) async fn receive(mut self, id: u16) -> Result<(Self, Vec<u8>), Fault> {
        let message = timeout(self.timeout, self.message()).await.map_err(|_| Fault::Silent(self.timeout))??;
        if response_id(&message)? == Some(id) { Ok((self, message)) } else { Err(Fault::WrongAnswer) }
    }
}

impl From<DialError> for Fault {
    fn from(error: DialError) -> Self {
        match error {
            DialError::Resolve(source) => Self::Resolve(source),
            DialError::Connect(source) => Self::Connect(source),
            DialError::Timeout(limit) => Self::ConnectTimeout(limit),
        }
    }
}

/// The id of the request that a message answers; none when it is no response.
pub(super) fn response_id(message: &[u8]) -> Result<Option<u16>, Fault> {
    let id = WireReader::at(message, 0).u16()?;
    let [flags] = WireReader::at(message, 2).array()?;
    WireReader::at(message, 0).octets(HEADER_OCTETS)?;
    Ok((flags & QR != 0).then_some(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_response_to_the_request_is_one() {
        let octets = |flags| [0x12, 0x34, flags, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(response_id(&octets(QR)).unwrap(), Some(0x1234));
        assert_eq!(response_id(&octets(0)).unwrap(), None);
        for length in 0..12 {
            assert!(response_id(&octets(QR)[..length]).is_err());
        }
    }
}
