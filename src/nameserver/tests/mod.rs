mod negotiation;
mod pool;
mod session;
mod tls;
mod transfer;

use super::testing::*;
use super::*;
use crate::dns::{Operation, Rcode, Rdata, RecordType, Ttl, Update, ZoneName};

fn zone() -> ZoneName {
    "example.test".parse().unwrap()
}

fn update() -> Update {
    let add = Operation::Add {
        name: name("www.example.test"),
        rtype: RecordType::A,
        ttl: Ttl::from_secs(300),
        rdata: Rdata::from_wire([192, 0, 2, 1]),
    };
    Update { zone: zone(), prerequisites: Vec::new(), operations: vec![add] }
}

/// Sends an update that must succeed, verified.
async fn succeed(server: &Server) {
    let reply = server.update(&update()).await.unwrap();
    assert_eq!(reply.rcode, Rcode::NOERROR);
    assert!(matches!(reply.authenticity, Authenticity::Verified(_)), "{reply:?}");
}
