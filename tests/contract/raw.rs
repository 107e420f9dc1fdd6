//! HTTP/1.1 as it is on the wire, since the bytes of the headers matter.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: String,
    pub(super) body: String,
}

impl Answer {
    /// The value of a header, octet for octet.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.headers.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// A connection that is kept alive, as Go's is.
pub(super) struct Connection(TcpStream);

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    pub(super) async fn send(&mut self, octets: &[u8]) {
        self.0.write_all(octets).await.unwrap();
    }

    /// Sends a request with a body of known length and reads the answer.
    pub(super) async fn ask(&mut self, method: &str, path: &str, body: &str) -> Answer {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
            super::MEDIA_TYPE,
            body.len()
        );
        self.send(head.as_bytes()).await;
        self.send(body.as_bytes()).await;
        self.receive(method).await
    }

    pub(super) async fn receive(&mut self, method: &str) -> Answer {
        let mut octets = Vec::new();
        let end = loop {
            if let Some(end) = octets.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            assert_ne!(self.0.read_buf(&mut octets).await.unwrap(), 0, "closed: {}", String::from_utf8_lossy(&octets));
        };
        let headers = String::from_utf8(octets[..end].to_vec()).unwrap();
        let status = headers.split(' ').nth(1).unwrap().parse().unwrap();
        let answer = Answer { status, headers, body: String::new() };
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = octets.split_off(end + 4);
        while method != "HEAD" && body.len() < length {
            assert_ne!(self.0.read_buf(&mut body).await.unwrap(), 0, "closed in the body");
        }
        Answer { body: String::from_utf8(body).unwrap(), ..answer }
    }
}

/// One request on a connection of its own.
pub(super) async fn ask(address: SocketAddr, method: &str, path: &str, body: &str) -> Answer {
    Connection::open(address).await.ask(method, path, body).await
}
