//! The webhook's contract over real sockets: HTTP to the byte, and the same through gRPC.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod grpc;
mod hostile;
mod http;
mod load;
mod parity;
mod raw;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use external_dns_rfc2136_webhook::api::{Changes, DomainFilter, Endpoint};
use external_dns_rfc2136_webhook::metrics::{Gauges, Metrics};
use external_dns_rfc2136_webhook::provider::status::{Rejection, Status};
use external_dns_rfc2136_webhook::provider::{Cause, Failure, Provider};
use external_dns_rfc2136_webhook::server::{self, Health, Limits};
use tokio::net::TcpListener;

/// The media type, octet for octet.
const MEDIA_TYPE: &str = "application/external.dns.webhook+json;version=1";
/// Largest body that the server under test takes.
const MAX_BODY: usize = 64 * 1024;

/// A provider that answers as it is told and remembers what it was asked.
#[derive(Default)]
struct Scripted {
    endpoints: Vec<Endpoint>,
    rejections: Vec<Rejection>,
    failure: Option<Cause>,
    delay: Duration,
    applied: Mutex<Vec<Changes>>,
}

impl Scripted {
    fn failing(cause: Cause) -> Self {
        Self { failure: Some(cause), ..Self::default() }
    }

    async fn outcome(&self) -> Result<(), Failure> {
        tokio::time::sleep(self.delay).await;
        self.failure.map_or(Ok(()), |cause| Err(Failure::new(cause, "as told")))
    }
}

impl Provider for Scripted {
    fn domain_filter(&self) -> DomainFilter {
        DomainFilter { include: vec!["example.test".to_owned()], ..DomainFilter::default() }
    }

    async fn records(&self) -> Result<Vec<Endpoint>, Failure> {
        self.outcome().await.map(|()| self.endpoints.clone())
    }

    fn adjust_endpoints(&self, desired: Vec<Endpoint>) -> Vec<Endpoint> {
        desired
    }

    async fn apply_changes(&self, changes: Changes) -> Result<Vec<Rejection>, Failure> {
        self.applied.lock().unwrap().push(changes);
        self.outcome().await.map(|()| self.rejections.clone())
    }

    fn status(&self) -> Status {
        Status::default()
    }

    fn gauges(&self) -> Gauges {
        Gauges::default()
    }

    fn unready(&self) -> Vec<Failure> {
        self.failure.map(|cause| Failure::new(cause, "as told")).into_iter().collect()
    }
}

/// A server under test on a port of its own, until the test's runtime ends.
struct Served {
    address: std::net::SocketAddr,
    admin: std::net::SocketAddr,
    provider: Arc<Scripted>,
}

async fn serve(provider: Scripted) -> Served {
    let provider = Arc::new(provider);
    let (health, metrics) = (Health::new().await, Arc::new(Metrics::new()));
    health.tell(provider.failure.is_none()).await;
    let limits = Limits { deadline: Duration::from_millis(500), max_body: MAX_BODY };
    let webhook = server::webhook(&provider, &health, metrics.clone(), limits).unwrap();
    let admin = server::admin(&provider, &health, metrics);
    let [webhook_listener, admin_listener] =
        [TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap()];
    let served = Served {
        address: webhook_listener.local_addr().unwrap(),
        admin: admin_listener.local_addr().unwrap(),
        provider,
    };
    tokio::spawn(server::serve(webhook_listener, webhook, std::future::pending()));
    tokio::spawn(server::serve(admin_listener, admin, std::future::pending()));
    served
}

fn endpoint(name: &str, target: &str) -> Endpoint {
    Endpoint {
        dns_name: name.to_owned(),
        targets: vec![target.to_owned()],
        record_type: "A".to_owned(),
        record_ttl: 300,
        labels: [("owner".to_owned(), "k8s".to_owned())].into(),
        ..Endpoint::default()
    }
}

fn rejection(name: &str, cause: Cause) -> Rejection {
    Rejection {
        zone: Some("example.test".parse().unwrap()),
        name: name.to_owned(),
        record_type: "A".to_owned(),
        failure: Failure::new(cause, "as told"),
    }
}
