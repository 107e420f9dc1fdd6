//! What the running sidecar has rejected, from its `/status`.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::report::CurrentRejection;

/// The sidecar answers at once, or it does not run.
const PATIENCE: Duration = Duration::from_secs(3);
/// No `/status` is longer; whatever listens there need not be the sidecar.
const MOST_OCTETS: u64 = 256 << 20;

#[derive(Deserialize)]
struct Status {
    rejected: Vec<Entry>,
    dropped: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    r#type: String,
    cause: String,
    detail: String,
    remedy: String,
}

/// What is rejected or left out at this name.
pub(super) async fn of_name(address: SocketAddr, name: &str) -> Result<Vec<CurrentRejection>, String> {
    let answer = timeout(PATIENCE, fetch(address)).await;
    let answer = answer.map_err(|_| format!("{address} does not answer"))?;
    let answer = answer.map_err(|error| format!("{address}: {error}"))?;
    read(&answer, name).ok_or_else(|| format!("what answers at {address} is no sidecar"))
}

async fn fetch(address: SocketAddr) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    // Of version 1.0, so that the answer comes in one piece and ends with the connection.
    stream.write_all(b"GET /status HTTP/1.0\r\nHost: localhost\r\nAccept: application/json\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.take(MOST_OCTETS).read_to_end(&mut answer).await?;
    Ok(answer)
}

fn read(answer: &[u8], name: &str) -> Option<Vec<CurrentRejection>> {
    let end = answer.windows(4).position(|octets| octets == b"\r\n\r\n")?;
    let (head, body) = answer.split_at_checked(end + 4)?;
    let is_good = head.starts_with(b"HTTP/1.") && head.get(8..13) == Some(b" 200 ");
    let status: Status = serde_json::from_slice(is_good.then_some(body)?).ok()?;
    let entries = status.rejected.into_iter().chain(status.dropped);
    let at_name = entries.filter(|entry| entry.name.eq_ignore_ascii_case(name));
    Some(
        at_name
            .map(|Entry { r#type, cause, detail, remedy, .. }| CurrentRejection {
                record_type: r#type,
                cause,
                detail,
                remedy,
            })
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_sidecar_says_of_the_name_is_taken() {
        let entry =
            r#"{"zone":"","name":"WWW.example.test","type":"A","cause":"c","detail":"d","since":1,"remedy":"r"}"#;
        let status = format!(r#"{{"rejected":[{entry}],"dropped":[{entry}],"zones":[]}}"#);
        let answer = |head: &str, body: &str| read(format!("{head}\r\n\r\n{body}").as_bytes(), "www.example.test");
        let rejected = answer("HTTP/1.0 200 OK", &status).unwrap();
        assert_eq!(rejected.len(), 2);
        assert_eq!((rejected[0].record_type.as_str(), rejected[0].remedy.as_str()), ("A", "r"));
        assert_eq!(read(format!("HTTP/1.1 200 OK\r\n\r\n{status}").as_bytes(), "other.test"), Some(vec![]));
        for (head, body) in [
            ("HTTP/1.0 404 Not Found", status.as_str()),
            ("HTTP/1.0 200 OK", "{}"),
            ("HTTP/1.0 200 OK", "<html>"),
            ("220 mail.example.test ESMTP", &status),
            ("", ""),
        ] {
            assert_eq!(answer(head, body), None, "{head} {body}");
        }
        assert_eq!(read(b"HTTP/1.0 200 OK\r\n", "x"), None);
    }
}
