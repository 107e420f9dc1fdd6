//! The built program under a load of bad input: it neither falls nor grows.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::raw;

const REQUESTS: usize = 10_000;
/// Connections that send at the same time.
const SENDERS: usize = 20;
/// Connections held open on each port.
const HELD: usize = 200;
const MEBIBYTE: usize = 1 << 20;

/// The program as a child; it dies with the test.
struct Program {
    child: Child,
    webhook: SocketAddr,
    admin: SocketAddr,
}

impl Program {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_external-dns-rfc2136-webhook"))
            .env_clear()
            .envs([
                ("RFC2136_HOST", "127.0.0.1:1"),
                ("RFC2136_ZONE", "example.test"),
                ("RFC2136_INSECURE", "true"),
                ("WEBHOOK_LISTEN", "127.0.0.1:0"),
                ("WEBHOOK_ADMIN_LISTEN", "127.0.0.1:0"),
            ])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut address = |what: &str| {
            let line = lines.find(|line| line.as_ref().unwrap().contains(what)).unwrap().unwrap();
            line.rsplit(' ').next().unwrap().parse().unwrap()
        };
        let (webhook, admin) = (address("webhook listens on"), address("admin listens on"));
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, webhook, admin }
    }

    /// A figure of `/proc/PID/status`, in octets.
    fn memory(&self, figure: &str) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(figure)).unwrap();
        line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A request that means no good.
fn bad(n: usize) -> Vec<u8> {
    let post = |path: &str, body: &[u8]| {
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    };
    match n % 6 {
        0 => post("/records", b"{\"create\":[{"),
        1 => post("/adjustendpoints", &b"[".repeat(100_000)),
        2 => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(),
        3 => vec![0xff; 4096],
        4 => post(
            "/records",
            br#"{"create":[{"dnsName":"\u0000","recordType":"A","targets":["$INCLUDE /etc/passwd"]}]}"#,
        ),
        _ => b"GET /records HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_vec(),
    }
}

async fn send(address: SocketAddr, octets: Vec<u8>) {
    let Ok(mut stream) = TcpStream::connect(address).await else { return };
    // The other side may close while this is being written.
    let _ = stream.write_all(&octets).await;
    let _ = timeout(Duration::from_millis(200), stream.read(&mut [0; 4096])).await;
}

/// More than the program takes, as a whole and without an end.
async fn oversized(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("POST /records HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", 80 * MEBIBYTE);
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = vec![b' '; MEBIBYTE];
    for _ in 0..80 {
        stream.write_all(&chunk).await.unwrap();
    }
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 500");
}

async fn storm(program: &Program) {
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let addresses = [program.webhook, program.admin];
        senders.spawn(async move {
            for n in 0..REQUESTS / 2 / SENDERS {
                send(addresses[n % 2], bad(sender + n)).await;
            }
        });
    }
    for _ in 0..3 {
        senders.spawn(oversized(program.webhook));
    }
    while !senders.is_empty() {
        let asked = Instant::now();
        let answer = timeout(Duration::from_secs(5), raw::ask(program.webhook, "GET", "/", "")).await;
        assert_eq!(answer.unwrap().status, 200);
        assert_eq!(raw::ask(program.admin, "GET", "/healthz", "").await.status, 200);
        let pause = Duration::from_millis(50).saturating_sub(asked.elapsed());
        if let Ok(Some(ended)) = timeout(pause, senders.join_next()).await {
            ended.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_bad_requests_and_four_hundred_held_connections_neither_stop_it_nor_make_it_grow() {
    let program = Program::start();
    let mut held = Vec::new();
    for address in [program.webhook, program.admin] {
        for _ in 0..HELD {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"POST /records HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{").await.unwrap();
            held.push(stream);
        }
    }
    storm(&program).await;
    let after_half = program.memory("VmRSS");
    storm(&program).await;
    let (after_all, peak) = (program.memory("VmRSS"), program.memory("VmHWM"));
    assert!(peak < 512 * MEBIBYTE, "peak {} MiB", peak / MEBIBYTE);
    assert!(after_all < after_half + 32 * MEBIBYTE, "from {after_half} to {after_all}");
    assert_eq!(held.len(), 2 * HELD);
}
