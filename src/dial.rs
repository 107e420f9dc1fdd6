//! Reaching a server over TCP by its name or address.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
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
pub async fn dial(server: &ServerAddress, limit: Duration) -> Result<TcpStream, DialError> {
    let deadline = Instant::now() + limit;
    let addresses = timeout_at(deadline, resolve(server)).await.map_err(|_| DialError::Timeout(limit))??;
    let tcp = connect(&addresses, deadline, limit).await?;
    // Requests are written whole; waiting for more would only delay them.
    tcp.set_nodelay(true).map_err(|error| DialError::Connect(Arc::new(error)))?;
    Ok(tcp)
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
        assert!(matches!(connect(&[closed], Instant::now() + limit, limit).await, Err(DialError::Connect(_))));
        assert!(matches!(connect(&[], Instant::now() + limit, limit).await, Err(DialError::Resolve(_))));
    }
}
