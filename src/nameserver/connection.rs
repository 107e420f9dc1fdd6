//! A connection to a server: DNS messages with their length in front, over TCP (RFC 7766 §8) or TLS (RFC 7858 §3.3).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};

use super::error::Fault;
use super::tls::Tls;
use crate::dns::ServerAddress;
use crate::dns::message::HEADER_OCTETS;
use crate::dns::wire::Reader;

/// The response bit, in the third octet of the header.
const QR: u8 = 0x80;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// An open connection, with no request under way.
///
/// Each call takes it by value or fails, so that one that was left in the middle of a message cannot be used again.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    timeout: Duration,
}

impl Connection {
    /// Connects within `timeout`, trying every address of the server.
    pub(super) async fn open(server: &ServerAddress, tls: Option<&Tls>, limit: Duration) -> Result<Self, Fault> {
        let deadline = Instant::now() + limit;
        let addresses = timeout_at(deadline, resolve(server)).await.map_err(|_| Fault::ConnectTimeout(limit))??;
        let tcp = connect(&addresses, deadline, limit).await?;
        // Requests are written whole; waiting for more would only delay them.
        tcp.set_nodelay(true).map_err(|error| Fault::Connect(Arc::new(error)))?;
        let stream: Box<dyn Stream> = match tls {
            None => Box::new(tcp),
            Some(tls) => {
                let handshake = timeout_at(deadline, tls.connect(&server.host, tcp)).await;
                let session = handshake.map_err(|_| Fault::ConnectTimeout(limit))?;
                Box::new(session.map_err(|error| Fault::Tls(Arc::new(error)))?)
            }
        };
        Ok(Self { stream, timeout: limit })
    }

    /// Whether the server has kept it open and sent nothing that was not asked for.
    pub(super) fn is_quiet(&mut self) -> bool {
        self.stream.read_u8().now_or_never().is_none()
    }

    /// Sends a message.
    pub(super) async fn send(mut self, message: &[u8]) -> Result<Self, Fault> {
        let length = u16::try_from(message.len()).map_err(|_| Fault::NoRoom)?;
        let framed = [&length.to_be_bytes()[..], message].concat();
        let sending = async {
            self.stream.write_all(&framed).await?;
            self.stream.flush().await
        };
        match timeout(self.timeout, sending).await {
            Ok(Ok(())) => Ok(self),
            Ok(Err(error)) => Err(Fault::Send(Arc::new(error))),
            Err(_) => Err(Fault::Silent(self.timeout)),
        }
    }

    /// Receives the next message, which must be a response to the request of this id.
    pub(super) async fn receive(mut self, id: u16) -> Result<(Self, Vec<u8>), Fault> {
        let receiving = async {
            let length = self.stream.read_u16().await?;
            let mut message = vec![0; usize::from(length)];
            self.stream.read_exact(&mut message).await?;
            Ok::<_, io::Error>(message)
        };
        let message = match timeout(self.timeout, receiving).await {
            Ok(Ok(message)) => message,
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(Fault::Closed),
            Ok(Err(error)) => return Err(Fault::Receive(Arc::new(error))),
            Err(_) => return Err(Fault::Silent(self.timeout)),
        };
        if is_response(&message, id)? { Ok((self, message)) } else { Err(Fault::WrongAnswer) }
    }
}

/// The addresses to dial: the one given, or those that the name has.
async fn resolve(server: &ServerAddress) -> Result<Vec<SocketAddr>, Fault> {
    if let Some(address) = server.address {
        return Ok(vec![(address, server.port).into()]);
    }
    let lookup = lookup_host((server.host.as_str(), server.port)).await;
    Ok(lookup.map_err(|error| Fault::Resolve(Arc::new(error)))?.collect())
}

/// Tries the addresses in turn; each gets its share of the time that is left, so that a silent one hides no other.
async fn connect(addresses: &[SocketAddr], deadline: Instant, limit: Duration) -> Result<TcpStream, Fault> {
    let mut fault = Fault::Resolve(Arc::new(io::ErrorKind::NotFound.into()));
    for (tried, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => fault = Fault::Connect(Arc::new(error)),
            Err(_) => fault = Fault::ConnectTimeout(limit),
        }
    }
    Err(fault)
}

fn is_response(message: &[u8], id: u16) -> Result<bool, Fault> {
    let found = Reader::at(message, 0).u16()?;
    let [flags] = Reader::at(message, 2).array()?;
    Reader::at(message, 0).octets(HEADER_OCTETS)?;
    Ok(found == id && flags & QR != 0)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn an_address_that_refuses_hides_no_other() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let closed = {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            listener.local_addr().unwrap()
        };
        let limit = Duration::from_secs(2);
        let open = listener.local_addr().unwrap();
        let stream = connect(&[closed, open], Instant::now() + limit, limit).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
        assert!(matches!(connect(&[closed], Instant::now() + limit, limit).await, Err(Fault::Connect(_))));
        assert!(matches!(connect(&[], Instant::now() + limit, limit).await, Err(Fault::Resolve(_))));
    }

    #[test]
    fn only_a_response_to_the_request_is_one() {
        let octets = |flags| [0x12, 0x34, flags, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert!(is_response(&octets(QR), 0x1234).unwrap());
        assert!(!is_response(&octets(0), 0x1234).unwrap());
        assert!(!is_response(&octets(QR), 0x1235).unwrap());
        for length in 0..12 {
            assert!(is_response(&octets(QR)[..length], 0x1234).is_err());
        }
    }
}
