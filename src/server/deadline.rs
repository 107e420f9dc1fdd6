//! Every request is answered in time, whatever happens behind it, and counted.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tokio::time::{Instant, timeout};
use tracing::field::Empty;
use tracing::{Instrument as _, Span, info_span};

use super::{grpc, http};
use crate::metrics::{self, Metrics};
use crate::provider::{Cause, Failure};
use crate::telemetry;

struct Guard {
    deadline: Duration,
    metrics: Arc<Metrics>,
}

/// The same routes, each answered within the deadline.
pub(super) fn enforced(router: Router, deadline: Duration, metrics: Arc<Metrics>) -> Router {
    router.layer(from_fn_with_state(Arc::new(Guard { deadline, metrics }), guard))
}

/// Runs the request in a task of its own: at the deadline, or when it panics, the caller still gets an answer.
async fn guard(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let is_grpc = grpc::is_grpc(request.headers());
    let asked = asked(is_grpc, request.method(), request.uri().path());
    let span = span(&asked);
    telemetry::continue_trace(&span, request.headers());
    let task = tokio::spawn(next.run(request).instrument(span.clone()));
    let response = match timeout(guard.deadline, task).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => refuse(is_grpc, &Failure::new(Cause::Internal, "the request broke off")),
        Err(_) => refuse(is_grpc, &Failure::new(Cause::Deadline, "the request is still under way")),
    };
    let class = class(is_grpc, &response);
    span.record("class", &class);
    if response.status().is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    guard.metrics.answered(asked, &class, began.elapsed());
    response
}

/// The span of a request; those of a reconcile are what traces begin with.
fn span(asked: &metrics::Request) -> Span {
    match asked.method {
        "records" | "adjust_endpoints" | "apply_changes" => {
            info_span!("reconcile", api = asked.api, method = asked.method, class = Empty, otel.status_code = Empty)
        }
        _ => info_span!("request", api = asked.api, method = asked.method),
    }
}

fn refuse(is_grpc: bool, failure: &Failure) -> Response {
    tracing::warn!(cause = failure.cause.label(), "{failure}");
    if is_grpc { grpc::status(failure).into_http::<axum::body::Body>().into_response() } else { http::refuse(failure) }
}

/// What a request asks; other names than these never become labels.
fn asked(is_grpc: bool, method: &Method, path: &str) -> metrics::Request {
    let api = if is_grpc { "grpc" } else { "http" };
    let method = match (is_grpc, path.rsplit('/').next().unwrap_or_default()) {
        (false, "") | (true, "GetDomainFilter") => "domain_filter",
        (false, "records") if *method == Method::POST => "apply_changes",
        (false, "records") | (true, "Records") => "records",
        (false, "adjustendpoints") | (true, "AdjustEndpoints") => "adjust_endpoints",
        (true, "ApplyChanges") => "apply_changes",
        (false, "status") => "status",
        _ => "other",
    };
    metrics::Request { api, method }
}

/// `2xx` and so on; for gRPC the code, which stands in the headers when there is no message.
fn class(is_grpc: bool, response: &Response) -> String {
    if !is_grpc {
        return format!("{}xx", response.status().as_u16() / 100);
    }
    let code = tonic::Status::from_header_map(response.headers()).map_or(tonic::Code::Ok, |status| status.code());
    format!("{code:?}").to_lowercase()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::http::header::CONTENT_TYPE;
    use axum::routing::any;
    use tower::ServiceExt as _;

    use super::*;

    fn router() -> (Router, Arc<Metrics>) {
        let metrics = Arc::new(Metrics::new());
        let slow = any(|| tokio::time::sleep(Duration::from_secs(60)));
        let broken = any(async || -> () { panic!("on purpose") });
        let routes = Router::new().route("/records", slow).route("/adjustendpoints", broken);
        (enforced(routes, Duration::from_millis(50), metrics.clone()), metrics)
    }

    async fn ask(path: &str, content_type: &str) -> (Response, String) {
        let (router, metrics) = router();
        let request = Request::get(path).header(CONTENT_TYPE, content_type).body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        (response, metrics.scrape(&metrics::Gauges::default()).unwrap())
    }

    #[tokio::test]
    async fn a_slow_request_is_answered_at_the_deadline_and_a_broken_one_too() {
        let (slow, counted) = ask("/records", "application/json").await;
        assert_eq!(slow.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(counted.contains(r#"requests_total{api="http",method="records",class="5xx"} 1"#), "{counted}");
        assert_eq!(ask("/adjustendpoints", "").await.0.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[tokio::test]
    async fn a_grpc_caller_gets_a_grpc_answer() {
        let (slow, counted) = ask("/records", "application/grpc").await;
        assert_eq!(slow.status(), StatusCode::OK);
        assert_eq!(slow.headers()["grpc-status"], "14");
        assert!(counted.contains(r#"class="unavailable"} 1"#), "{counted}");
    }
}
