//! Both front ends on one port, and the admin port.
//!
//! Deadlines nest, so that every caller gets an answer from the one who knows most:
//!
//! ```text
//! ExternalDNS waits       |------------------------------------ 15 s ---|  then it exits
//! a request is answered   |----------------------------- 12 s --|          503, here ([`deadline`])
//! an apply stops          |----------------------------- 12 s --|          at a message boundary, in `provider`
//! a read is waited for    |------------------------ 10 s --|               then it is what ended last, or 503
//! one exchange            |-- 4 s --|-- 4 s --| ...                        timeout, in `nameserver`
//! ```
//!
//! What was begun goes on in a task of its own when its caller has got the 503: a message is never left half-way, and
//! the next request takes the result of a long read.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::serve::ListenerExt;
use tokio::net::TcpListener;

use crate::metrics::Metrics;
use crate::provider::Provider;

mod admin;
mod body;
mod deadline;
mod grpc;
mod http;
mod page;
pub mod status;

pub use admin::Health;

/// The gRPC API as generated from its definition.
#[allow(missing_docs, clippy::all, clippy::pedantic, clippy::nursery, reason = "generated")]
pub mod proto {
    tonic::include_proto!("externaldns.provider.v1");

    /// Descriptors of the API, for reflection.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
}

/// What both front ends keep to.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Every request is answered within this time.
    pub deadline: Duration,
    /// Largest request body in octets.
    pub max_body: usize,
}

/// The webhook port: ExternalDNS's HTTP API, the same over gRPC, and `/status`.
///
/// # Errors
/// When the descriptors of the gRPC API cannot be read, which a build that works rules out.
pub fn webhook<P: Provider>(
    provider: &Arc<P>,
    health: &Health,
    metrics: Arc<Metrics>,
    limits: Limits,
) -> Result<Router, tonic_reflection::server::Error> {
    let grpc = grpc::routes(provider.clone(), health, limits.max_body)?;
    let router = http::router(provider.clone(), metrics.clone(), limits.max_body).merge(grpc).fallback(nothing_here);
    Ok(deadline::enforced(router, limits.deadline, metrics))
}

/// The admin port: health, readiness and metrics.
pub fn admin<P: Provider>(provider: &Arc<P>, health: &Health, metrics: Arc<Metrics>) -> Router {
    admin::router(provider.clone(), health, metrics).fallback(nothing_here)
}

/// A path that neither front end knows, answered in the caller's own protocol.
async fn nothing_here(headers: HeaderMap) -> Response {
    if grpc::is_grpc(&headers) {
        return tonic::Status::unimplemented("no such method").into_http::<Body>().into_response();
    }
    StatusCode::NOT_FOUND.into_response()
}

/// Serves until `shutdown`, then finishes the requests under way.
///
/// # Errors
/// Never: a connection that fails is that connection's end.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let listener = listener.tap_io(|stream| {
        // Answers are written whole; waiting for more would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
    });
    axum::serve(listener, router).with_graceful_shutdown(shutdown).await
}
