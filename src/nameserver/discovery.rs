//! Finding domain controllers and KDCs by SRV records, asked of the system's own resolvers.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::connection::Connection;
use super::error::Fault;
use super::session::random_id;
use crate::dns::{Message, Name, NameError, Query, Rcode, RecordType, ServerAddress, WireError, WireReader};

/// Where a domain's controllers are listed: first as AD does it, then as every LDAP domain does (FreeIPA).
const SERVICES: [&str; 2] = ["_ldap._tcp.dc._msdcs", "_ldap._tcp"];
const RESOLV_CONF: &str = "/etc/resolv.conf";
const DNS_PORT: u16 = 53;
/// Recursion desired, in the third octet of the header.
const RD: u8 = 0x01;
/// More than any answer over UDP without EDNS.
const UDP_OCTETS: usize = 4096;

/// Why no server was found.
#[derive(Debug, Clone, Error)]
pub enum DiscoveryError {
    /// The domain is no name.
    #[error("{domain:?} is no domain name")]
    Domain {
        /// As configured.
        domain: String,
        /// Why.
        #[source]
        cause: NameError,
    },
    /// The system's resolvers are not known.
    #[error("{RESOLV_CONF} cannot be read")]
    ResolvConf(#[source] Arc<io::Error>),
    /// No resolver gave an answer.
    #[error("no resolver answers for {name}")]
    NoAnswer {
        /// What was asked for.
        name: Name,
        /// What the last resolver did, if there was one.
        #[source]
        cause: Option<Box<Fault>>,
    },
    /// The domain lists no controllers.
    #[error("the domain {0} has no SRV records for its controllers")]
    NoServers(String),
}

/// Where a service is, as a SRV record tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The host's name, without trailing dot.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// What the SRV records at this name tell, the preferred ones first; empty when there are none.
///
/// # Errors
/// When no resolver of the system answers.
pub async fn find_services(name: &Name, timeout: Duration) -> Result<Vec<Service>, DiscoveryError> {
    Resolver::system(timeout).await?.services(name).await
}

/// A stub resolver.
#[derive(Debug, Clone)]
pub(super) struct Resolver {
    servers: Vec<SocketAddr>,
    timeout: Duration,
}

impl Resolver {
    pub(super) const fn new(servers: Vec<SocketAddr>, timeout: Duration) -> Self {
        Self { servers, timeout }
    }

    /// The resolvers of the system.
    pub(super) async fn system(timeout: Duration) -> Result<Self, DiscoveryError> {
        let text = tokio::fs::read_to_string(RESOLV_CONF).await;
        let text = text.map_err(|error| DiscoveryError::ResolvConf(Arc::new(error)))?;
        Ok(Self::new(name_servers(&text), timeout))
    }

    /// The domain's controllers, the preferred ones first, as name servers on this port.
    pub(super) async fn controllers(&self, domain: &str, port: u16) -> Result<Vec<ServerAddress>, DiscoveryError> {
        for service in SERVICES {
            let name: Result<Name, _> = format!("{service}.{domain}").parse();
            let name = name.map_err(|cause| DiscoveryError::Domain { domain: domain.to_owned(), cause })?;
            let services = self.services(&name).await?;
            if !services.is_empty() {
                // Their own port is the LDAP server's.
                let server = |service: Service| ServerAddress { host: service.host, address: None, port };
                return Ok(services.into_iter().map(server).collect());
            }
        }
        Err(DiscoveryError::NoServers(domain.to_owned()))
    }

    /// What the SRV records at this name tell, by priority, then by weight.
    async fn services(&self, name: &Name) -> Result<Vec<Service>, DiscoveryError> {
        let mut cause = None;
        for &server in &self.servers {
            match self.ask(server, name).await {
                Ok(message) if matches!(message.rcode(), Rcode::NOERROR | Rcode::NXDOMAIN) => {
                    return Ok(services(&message));
                }
                Ok(_) => {}
                Err(fault) => cause = Some(Box::new(fault)),
            }
        }
        Err(DiscoveryError::NoAnswer { name: name.clone(), cause })
    }

    /// Asks over UDP, and again over TCP when the answer did not fit.
    async fn ask(&self, server: SocketAddr, name: &Name) -> Result<Message, Fault> {
        let id = random_id();
        let mut query = Query::new(name.clone(), RecordType::SRV).encode(id);
        if let Some(flags) = query.get_mut(2) {
            *flags |= RD;
        }
        let answer = timeout(self.timeout, over_udp(server, &query, id)).await;
        let message = answer.map_err(|_| Fault::Silent(self.timeout))??;
        if !message.is_truncated() {
            return Ok(message);
        }
        let address = ServerAddress { host: server.ip().to_string(), address: Some(server.ip()), port: server.port() };
        let connection = Connection::open(&address, None, self.timeout).await?;
        let (_, octets) = connection.send(&query).await?.receive(id).await?;
        Ok(Message::parse(&octets)?)
    }
}

async fn over_udp(server: SocketAddr, query: &[u8], id: u16) -> Result<Message, Fault> {
    let any: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let broken = |error| Fault::Connect(Arc::new(error));
    let socket = UdpSocket::bind(any).await.map_err(broken)?;
    socket.connect(server).await.map_err(broken)?;
    socket.send(query).await.map_err(|error| Fault::Send(Arc::new(error)))?;
    let mut octets = vec![0; UDP_OCTETS];
    loop {
        let length = socket.recv(&mut octets).await.map_err(|error| Fault::Receive(Arc::new(error)))?;
        // Anyone can send a datagram: what does not fit the question is not ours.
        match Message::parse(octets.get(..length).unwrap_or_default()) {
            Ok(message) if message.id() == id && message.is_response() && asks_same(&message, query) => {
                return Ok(message);
            }
            Ok(_) | Err(_) => {}
        }
    }
}

fn asks_same(message: &Message, query: &[u8]) -> bool {
    Message::parse(query).is_ok_and(|query| query.questions == message.questions)
}

fn services(message: &Message) -> Vec<Service> {
    let records = message.answers.iter().filter(|record| record.rtype == RecordType::SRV);
    let mut targets: Vec<_> = records.filter_map(|record| target(record.rdata.as_wire()).ok()).collect();
    // The root says that there is no such service.
    targets.retain(|(_, _, service)| service.host != ".");
    targets.sort_by(|a, b| (a.0, b.1, &a.2.host).cmp(&(b.0, a.1, &b.2.host)));
    targets.into_iter().map(|(_, _, service)| service).collect()
}

/// Priority, weight, port and target of a SRV record (RFC 2782).
fn target(rdata: &[u8]) -> Result<(u16, u16, Service), WireError> {
    let mut reader = WireReader::at(rdata, 0);
    let (priority, weight, port) = (reader.u16()?, reader.u16()?, reader.u16()?);
    Ok((priority, weight, Service { host: reader.name()?.to_undotted(), port }))
}

/// The `nameserver` lines; a scope id is cut off.
fn name_servers(resolv_conf: &str) -> Vec<SocketAddr> {
    let lines = resolv_conf.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    let addresses = lines.filter_map(|rest| rest.trim().split(['%', ' ', '\t']).next()?.parse::<IpAddr>().ok());
    addresses.map(|address| (address, DNS_PORT).into()).collect()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn name_servers_are_read_from_resolv_conf_and_nothing_else() {
        let text = "# nameserver 192.0.2.9\nsearch example.test\nnameserver 192.0.2.1\n\tnameserver\tfe80::1%eth0 x\n\
            nameserver\nnameserver junk\noptions ndots:5\n";
        let expected: [SocketAddr; 2] = ["192.0.2.1:53".parse().unwrap(), "[fe80::1]:53".parse().unwrap()];
        assert_eq!(name_servers(text), expected);
    }

    #[tokio::test]
    async fn an_answer_that_was_cut_is_asked_for_again_over_tcp() {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = tcp.local_addr().unwrap();
        let udp = UdpSocket::bind(address).await.unwrap();
        let server = tokio::spawn(async move {
            let mut octets = [0; 512];
            let (length, from) = udp.recv_from(&mut octets).await.unwrap();
            assert_eq!(octets[2], RD);
            octets[2] = 0x83;
            udp.send_to(&octets[..length], from).await.unwrap();
            let (mut stream, _) = tcp.accept().await.unwrap();
            let mut query = vec![0; usize::from(stream.read_u16().await.unwrap())];
            stream.read_exact(&mut query).await.unwrap();
            (query[2], query[7]) = (0x81, 1);
            query.extend(b"\xc0\x0c\x00\x21\x00\x01\x00\x00\x00\x3c\x00\x0c\x00\x00\x00\x00\x01\x85\x02dc\x01x\x00");
            stream.write_u16(u16::try_from(query.len()).unwrap()).await.unwrap();
            stream.write_all(&query).await.unwrap();
        });
        let resolver = Resolver::new(vec![address], Duration::from_secs(2));
        let found = resolver.controllers("ad.test", 53).await.unwrap();
        assert_eq!(found, [ServerAddress { host: "dc.x".into(), address: None, port: 53 }]);
        server.await.unwrap();
    }

    #[tokio::test]
    async fn the_next_resolver_is_asked_where_one_does_not_answer() {
        let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let good = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let servers = vec![silent.local_addr().unwrap(), good.local_addr().unwrap()];
        let answering = tokio::spawn(async move {
            let mut octets = [0; 512];
            let (length, from) = good.recv_from(&mut octets).await.unwrap();
            (octets[2], octets[3]) = (0x81, 0x83);
            good.send_to(&octets[..length], from).await.unwrap();
        });
        let resolver = Resolver::new(servers, Duration::from_millis(200));
        let name = "_ldap._tcp.ad.test".parse().unwrap();
        assert_eq!(resolver.services(&name).await.unwrap(), []);
        answering.await.unwrap();
    }
}
