//! Callers that mean no good hurt nobody but themselves.

use std::time::Duration;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::raw::{Connection, ask};
use super::*;

/// Connections held open on each port.
const HELD: usize = 200;

#[tokio::test]
async fn silent_and_slow_connections_hold_up_nobody() {
    let served = serve(Scripted::default()).await;
    let mut held = Vec::new();
    for address in [served.address, served.admin] {
        for n in 0..HELD {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let begun: &[u8] = match n % 3 {
                0 => b"",
                1 => b"GET /records HTTP/1.1\r\nHost:",
                _ => b"POST /records HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n{",
            };
            stream.write_all(begun).await.unwrap();
            held.push(stream);
        }
    }
    for (address, path) in [(served.address, "/"), (served.address, "/records"), (served.admin, "/healthz")] {
        let answer = timeout(Duration::from_secs(2), ask(address, "GET", path, "")).await.unwrap();
        assert_eq!(answer.status, 200, "{path}");
    }
    assert_eq!(held.len(), 2 * HELD);
}

#[tokio::test]
async fn garbage_ends_its_own_connection_at_most() {
    let served = serve(Scripted::default()).await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let frames = [&preface[..], &[0xff; 64]].concat();
    let huge_headers = [b"GET / HTTP/1.1\r\n".to_vec(), vec![b'a'; 1 << 20]].concat();
    for octets in [vec![0; 1000], vec![0xff; 1000], preface, frames, huge_headers, b"\r\n\r\n\r\n".to_vec()] {
        for address in [served.address, served.admin] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            // The other side may close while this is being written.
            let _ = stream.write_all(&octets).await;
            let _ = timeout(Duration::from_millis(100), stream.read_to_end(&mut Vec::new())).await;
        }
    }
    assert_eq!(ask(served.address, "GET", "/", "").await.status, 200);
    assert_eq!(ask(served.admin, "GET", "/healthz", "").await.status, 200);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Any body gets an answer, and none but 200, 204, 400 or a 5xx that ExternalDNS survives.
    #[test]
    fn any_body_is_answered(body in "\\PC{0,200}", path in prop::sample::select(vec!["/records", "/adjustendpoints"])) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let status = runtime.block_on(async {
            let served = serve(Scripted::default()).await;
            let status = Connection::open(served.address).await.ask("POST", path, &body).await.status;
            (status, ask(served.address, "GET", "/", "").await.status)
        });
        prop_assert!(matches!(status, (200 | 204 | 400 | 500..=510, 200)), "{status:?}");
    }
}
