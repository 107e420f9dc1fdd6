//! A line to a server that is some milliseconds away: every octet arrives that much later, however many are on their way.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Relays to `target`, with half of `round_trip` on each way, for as long as the process lives.
pub(crate) fn line(target: SocketAddr, round_trip: Duration) -> SocketAddr {
    let (listener, datagrams) = bound();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || carry_datagrams(&datagrams, target, round_trip / 2));
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = TcpStream::connect(target).unwrap();
            carry(&client, &server, round_trip / 2);
            carry(&server, &client, round_trip / 2);
        }
    });
    address
}

/// The same port for both protocols: `nsupdate` asks for the SOA record over UDP.
fn bound() -> (TcpListener, UdpSocket) {
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        if let Ok(datagrams) = UdpSocket::bind(listener.local_addr().unwrap()) {
            return (listener, datagrams);
        }
    }
}

/// Each question in a thread of its own.
fn carry_datagrams(datagrams: &UdpSocket, target: SocketAddr, delay: Duration) {
    let mut octets = [0; 4096];
    while let Ok((length, client)) = datagrams.recv_from(&mut octets) {
        let (question, datagrams) = (octets[..length].to_vec(), datagrams.try_clone().unwrap());
        thread::spawn(move || {
            thread::sleep(delay);
            let way = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            way.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            way.send_to(&question, target).unwrap();
            let mut answer = [0; 4096];
            if let Ok(length) = way.recv(&mut answer) {
                thread::sleep(delay);
                let _ = datagrams.send_to(&answer[..length], client);
            }
        });
    }
}

/// Carries one way, in threads of its own.
fn carry(from: &TcpStream, to: &TcpStream, delay: Duration) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    to.set_nodelay(true).unwrap();
    let (sent, arriving) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut octets = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut octets) {
            if sent.send((Instant::now() + delay, octets[..length].to_vec())).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        for (at, octets) in arriving {
            thread::sleep(at.saturating_duration_since(Instant::now()));
            if to.write_all(&octets).is_err() {
                return;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
