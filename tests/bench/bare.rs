//! Clients with nothing around them: what a server can do at best.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use external_dns_rfc2136_webhook::dns::tsig::{HmacAlgorithm, HmacKey};
use external_dns_rfc2136_webhook::dns::{
    Message, Name, Operation, Prerequisite, Rcode, Rdata, RecordType, ServerAddress, Ttl, Update, ZoneName,
};
use external_dns_rfc2136_webhook::nameserver::{Authentication, Server, Settings};

use crate::support::{LAB_KEY, LAB_SECRET};

/// Requests that are sent before the answer to the first is waited for.
const IN_FLIGHT: usize = 8;

/// These requests without their signatures.
pub(crate) fn unsigned(signed: &[Vec<u8>]) -> Vec<Vec<u8>> {
    signed.iter().map(|octets| without_signature(octets)).collect()
}

fn without_signature(signed: &[u8]) -> Vec<u8> {
    let signature = Message::parse(signed).unwrap().additionals.pop().unwrap();
    let mut octets = signed[..signature.offset].to_vec();
    octets[11] -= 1;
    octets
}

/// Sends these requests over one connection, several in flight, and waits until all are answered with NOERROR.
pub(crate) fn send(server: SocketAddr, requests: &[Vec<u8>]) -> Duration {
    let mut connection = TcpStream::connect(server).unwrap();
    connection.set_nodelay(true).unwrap();
    let began = Instant::now();
    let mut waiting: VecDeque<&[u8]> = VecDeque::new();
    for request in requests {
        if waiting.len() == IN_FLIGHT {
            receive(&mut connection, &mut waiting);
        }
        let length = u16::try_from(request.len()).unwrap();
        connection.write_all(&[&length.to_be_bytes()[..], request].concat()).unwrap();
        waiting.push_back(request);
    }
    while !waiting.is_empty() {
        receive(&mut connection, &mut waiting);
    }
    began.elapsed()
}

fn receive(connection: &mut TcpStream, waiting: &mut VecDeque<&[u8]>) {
    let mut length = [0; 2];
    connection.read_exact(&mut length).unwrap();
    // As the sidecar does: `named` holds back answers until the one before is acknowledged.
    rustix::net::sockopt::set_tcp_quickack(&*connection, true).unwrap();
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    connection.read_exact(&mut answer).unwrap();
    assert_eq!(answer[3] & 0xf, 0, "the rcode of an unsigned update");
    waiting.pop_front();
}

/// Signed exchanges over a connection that is open, each of which adds a record or deletes it again.
pub(crate) struct Exchanges {
    runtime: tokio::runtime::Runtime,
    server: Server,
    updates: [Update; 2],
}

impl Exchanges {
    /// With the test's own shared key, which is not negotiated.
    pub(crate) fn new(server: SocketAddr, zone: &str) -> Self {
        let key = HmacKey::new(HmacAlgorithm::Sha256, STANDARD.decode(LAB_SECRET).unwrap());
        let settings = Settings {
            timeout: Duration::from_secs(10),
            authentication: Authentication::Hmac { name: LAB_KEY.parse().unwrap(), key },
            tls: None,
            sign_reads: true,
        };
        let address =
            ServerAddress { host: "ns1.example.test".to_owned(), address: Some(server.ip()), port: server.port() };
        let name: Name = format!("bare.{zone}").parse().unwrap();
        let (rtype, rdata) = (RecordType::A, Rdata::from_wire([192, 0, 2, 1]));
        let update = |prerequisites, operation| Update {
            zone: ZoneName::from(zone.parse::<Name>().unwrap()),
            prerequisites,
            operations: vec![operation],
        };
        let add = Operation::Add { name: name.clone(), rtype, ttl: Ttl::from_secs(300), rdata: rdata.clone() };
        let updates = [
            update(vec![Prerequisite::NameNotInUse(name.clone())], add),
            update(Vec::new(), Operation::Delete { name, rtype, rdata }),
        ];
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let exchanges = Self { runtime, server: Server::new(address, Arc::new(settings)), updates };
        exchanges.once();
        exchanges
    }

    /// What it takes to add the record, which is deleted again.
    pub(crate) fn once(&self) -> Duration {
        let [add, delete] = &self.updates;
        let took = self.exchange(add);
        self.exchange(delete);
        took
    }

    fn exchange(&self, update: &Update) -> Duration {
        self.runtime.block_on(async {
            let began = Instant::now();
            let reply = self.server.update(update).await.unwrap();
            assert_eq!(reply.rcode, Rcode::NOERROR);
            began.elapsed()
        })
    }
}
