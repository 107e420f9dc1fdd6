//! Reaching a server over TCP by its name or address.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};

use crate::dns::ServerAddress;

/// Why a server is not reached.
#[derive(Debug, Clone, Error)]
pub enum DialError {
    /// The server's name has no address.
    #[error("the server's name cannot be resolved")]
    Resolve(#[source] Arc<io::Error>),
    /// No connection.
    #[error("no connection")]
    Connect(#[source] Arc<io::Error>),
    /// No connection in time.
    #[error("no connection within {0:?}")]
    Timeout(Duration),
}

/// Connects within `limit`, trying every address of the server.
///
/// # Errors
/// When none of them takes the connection.
pub async fn dial(server: &ServerAddress, limit: Duration) -> Result<Tcp, DialError> {
    let deadline = Instant::now() + limit;
    let addresses = timeout_at(deadline, resolve(server)).await.map_err(|_| DialError::Timeout(limit))??;
    let tcp = connect(&addresses, deadline, limit).await?;
    // Requests are written whole; waiting for more would only delay them.
    tcp.set_nodelay(true).map_err(|error| DialError::Connect(Arc::new(error)))?;
    Ok(Tcp(tcp))
}

/// A TCP connection whose octets are acknowledged as soon as they are read.
///
/// A server that joins small answers (Nagle's algorithm, which `named` leaves on) holds back all but the first of those
/// to requests in flight until that one is acknowledged, for which Linux waits 40 ms unless there is something to send.
#[derive(Debug)]
pub struct Tcp(TcpStream);

impl AsyncRead for Tcp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.0).poll_read(context, buffer);
        #[cfg(target_os = "linux")]
        if outcome.is_ready() {
            // It does not last; and where it cannot be had, it is but slower.
            let _ = self.0.set_quickack(true);
        }
        outcome
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// The addresses to dial: the one given, or those that the name has.
async fn resolve(server: &ServerAddress) -> Result<Vec<SocketAddr>, DialError> {
    if let Some(address) = server.address {
        return Ok(vec![(address, server.port).into()]);
    }
    let lookup = lookup_host((server.host.as_str(), server.port)).await;
    Ok(lookup.map_err(|error| DialError::Resolve(Arc::new(error)))?.collect())
}

/// Tries the addresses in turn; each gets its share of the time that is left, so that a silent one hides no other.
async fn connect(addresses: &[SocketAddr], deadline: Instant, limit: Duration) -> Result<TcpStream, DialError> {
    let mut failure = DialError::Resolve(Arc::new(io::ErrorKind::NotFound.into()));
    for (tried, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failure = DialError::Connect(Arc::new(error)),
            Err(_) => failure = DialError::Timeout(limit),
        }
    }
    Err(failure)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// After a few exchanges the system takes a connection for an interactive one, and waits with what it acknowledges.
    #[tokio::test]
    async fn what_was_read_is_acknowledged_at_once() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = ServerAddress { host: address.ip().to_string(), address: None, port: address.port() };
        let mut tcp = dial(&server, Duration::from_secs(2)).await.unwrap();
        let (mut peer, _) = listener.accept().await.unwrap();
        for _ in 0..20 {
            tcp.write_all(b"question").await.unwrap();
            peer.read_exact(&mut [0; 8]).await.unwrap();
            peer.write_all(b"answer").await.unwrap();
            tcp.read_exact(&mut [0; 6]).await.unwrap();
            assert!(tcp.0.quickack().unwrap());
        }
    }

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
        assert!(matches!(connect(&[closed], Instant::now() + limit, limit).await, Err(DialError::Connect(_))));
        assert!(matches!(connect(&[], Instant::now() + limit, limit).await, Err(DialError::Resolve(_))));
    }
}
