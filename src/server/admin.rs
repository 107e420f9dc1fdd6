//! The admin port: is the process alive, is it ready and if not why, and what has it counted.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health as HealthApi, HealthServer};
use tonic_health::server::{HealthReporter, HealthService};

use super::proto::provider_server::SERVICE_NAME;
use crate::metrics::Metrics;
use crate::provider::{Failure, Provider};

/// The content type that OpenMetrics has registered.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The standard gRPC health service, told by whoever watches readiness.
#[derive(Clone)]
pub struct Health(HealthReporter);

impl Health {
    /// Not serving yet.
    #[must_use]
    pub async fn new() -> Self {
        let health = Self(HealthReporter::new());
        health.tell(false).await;
        health
    }

    /// Takes over whether the provider is ready.
    pub async fn tell(&self, is_ready: bool) {
        let status = if is_ready { ServingStatus::Serving } else { ServingStatus::NotServing };
        for service in ["", SERVICE_NAME] {
            self.0.set_service_status(service, status).await;
        }
    }

    pub(super) fn service(&self) -> HealthServer<impl HealthApi + use<>> {
        HealthServer::new(HealthService::from_health_reporter(self.0.clone()))
    }
}

struct Admin<P> {
    provider: Arc<P>,
    metrics: Arc<Metrics>,
}

pub(super) fn router<P: Provider>(provider: Arc<P>, health: &Health, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz::<P>))
        .route("/metrics", get(scrape::<P>))
        .with_state(Arc::new(Admin { provider, metrics }))
        .merge(Routes::new(health.service()).into_axum_router())
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    causes: Vec<Unready>,
}

#[derive(Serialize)]
struct Unready {
    cause: &'static str,
    sentence: &'static str,
    detail: String,
    remedy: &'static str,
}

impl From<Failure> for Unready {
    fn from(failure: Failure) -> Self {
        let cause = failure.cause;
        Self { cause: cause.label(), sentence: cause.sentence(), detail: failure.detail, remedy: cause.remedy() }
    }
}

async fn readyz<P: Provider>(State(admin): State<Arc<Admin<P>>>) -> Response {
    let causes: Vec<Unready> = admin.provider.unready().into_iter().map(Into::into).collect();
    let ready = causes.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, causes })).into_response()
}

async fn scrape<P: Provider>(State(admin): State<Arc<Admin<P>>>) -> Response {
    match admin.metrics.scrape(&admin.provider.gauges()) {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
