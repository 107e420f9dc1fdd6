//! Name servers as what transfers zones.

use std::sync::Arc;

use super::transfer::Transfers;
use crate::dns::{ServerAddress, Transferred, ZoneContents, ZoneName};
use crate::nameserver::{Fault, Server, ServerError};

impl Transfers for Server {
    type Error = ServerError;

    fn address(&self) -> &ServerAddress {
        Self::address(self)
    }

    async fn serial(&self, zone: &ZoneName) -> Result<u32, ServerError> {
        Ok(self.soa(zone).await?.serial)
    }

    async fn whole(&self, zone: &ZoneName) -> Result<ZoneContents, ServerError> {
        self.transfer(zone).await
    }

    async fn differences(&self, held: Arc<ZoneContents>) -> Result<Transferred, ServerError> {
        self.transfer_since(held).await
    }

    fn wants_whole(error: &ServerError) -> bool {
        matches!(&error.fault, Fault::Transfer(error) if error.wants_whole())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::{Duration, SystemTime};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::Instant;

    use super::*;
    use crate::dns::{Message, Name, RecordType};
    use crate::nameserver::{Authentication, Settings};
    use crate::zone_copy::{ReadKind, Sources, Version, Way, ZoneCopies};

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    /// The reply to an unsigned query, with one answer for each type and RDATA, all of the zone's apex.
    fn reply(query: &[u8], rcode: u8, answers: &[(RecordType, Vec<u8>)]) -> Vec<u8> {
        let mut reply = query[..12 + name("example.test").as_wire().len() + 4].to_vec();
        reply[2..4].copy_from_slice(&[0x84, rcode]);
        reply[7] = u8::try_from(answers.len()).unwrap();
        reply[8..12].fill(0);
        for (rtype, rdata) in answers {
            reply.extend(b"\xc0\x0c");
            reply.extend(rtype.number().to_be_bytes());
            reply.extend(b"\x00\x01\x00\x00\x00\x3c");
            reply.extend(u16::try_from(rdata.len()).unwrap().to_be_bytes());
            reply.extend(rdata);
        }
        reply
    }

    /// Serves version 2 of the zone on one connection after another, whole or not at all; tells what was asked.
    async fn serve(listener: TcpListener, asked: tokio::sync::mpsc::UnboundedSender<RecordType>) {
        let mut soa = name("ns1.example.test").as_wire().to_vec();
        soa.extend(b"\x00\x00\x00\x00\x02");
        soa.extend([0; 16]);
        let soa = (RecordType::SOA, soa);
        let ns = (RecordType::NS, name("ns1.example.test").as_wire().to_vec());
        while let Ok((mut stream, _)) = listener.accept().await {
            while let Ok(length) = stream.read_u16().await {
                let mut query = vec![0; usize::from(length)];
                stream.read_exact(&mut query).await.unwrap();
                let rtype = Message::parse(&query).unwrap().questions[0].rtype;
                asked.send(rtype).unwrap();
                let reply = match rtype {
                    RecordType::IXFR => reply(&query, 4, &[]),
                    RecordType::AXFR => reply(&query, 0, &[soa.clone(), ns.clone(), soa.clone()]),
                    _ => reply(&query, 0, std::slice::from_ref(&soa)),
                };
                stream.write_u16(u16::try_from(reply.len()).unwrap()).await.unwrap();
                stream.write_all(&reply).await.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn a_server_that_knows_no_differences_is_read_whole() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, mut was_asked) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(serve(listener, asked));
        let address =
            ServerAddress { host: "ns1.example.test".to_owned(), address: Some(Ipv4Addr::LOCALHOST.into()), port };
        let (timeout, authentication) = (Duration::from_secs(5), Authentication::Insecure);
        let settings = Settings { timeout, authentication, tls: None, sign_reads: false };
        let sources = Arc::new(Sources::new(Way::Transfer, None));
        let source = sources.of(Server::new(address.clone(), Arc::new(settings)));

        let zone: ZoneName = "example.test".parse().unwrap();
        let copies = ZoneCopies::new();
        let held = Version::transferred(ZoneContents::new(zone.clone(), 1));
        copies.put(&address, held, SystemTime::UNIX_EPOCH);
        let deadline = Instant::now() + Duration::from_secs(10);
        let copy = copies.read(&zone, &source, deadline).await.unwrap();
        assert_eq!((copy.kind, copy.contents.serial()), (ReadKind::Axfr, 2));
        assert!(copy.contents.rrset(zone.as_name(), RecordType::NS).is_some());
        for expected in [RecordType::SOA, RecordType::IXFR, RecordType::AXFR] {
            assert_eq!(was_asked.recv().await, Some(expected));
        }
    }
}
