//! ExternalDNS's webhook API, to the byte.
//!
//! ExternalDNS exits on every 4xx, on a 2xx other than the one it expects, and on a wrong media type at `/`. So 400 is
//! for undecodable JSON alone, and whatever else goes wrong is 500 to 510.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::body::{BodyError, BodyReader, Octets};
use super::page;
use super::status::codes;
use crate::api::{Changes, Endpoint};
use crate::metrics::Metrics;
use crate::provider::chain;
use crate::provider::status::{Rejection, Status};
use crate::provider::{Cause, Failure, Provider, off_the_runtime};

/// Compared octet for octet by ExternalDNS.
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/external.dns.webhook+json;version=1");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What ExternalDNS takes from 0.23 on, unless `--webhook-provider-max-body-size` says otherwise; past it, it exits.
const MOST_TAKEN: usize = 32 << 20;

struct Webhook<P> {
    provider: Arc<P>,
    bodies: BodyReader,
    metrics: Arc<Metrics>,
    /// Size of the last answer to `GET /records` in octets; 0 before the first.
    records_body: AtomicUsize,
}

/// The routes; methods that ExternalDNS does not use are answered as well as can be.
pub(super) fn router<P: Provider>(provider: Arc<P>, metrics: Arc<Metrics>, max_body: usize) -> Router {
    let bodies = BodyReader::new(max_body);
    let webhook = Arc::new(Webhook { provider, bodies, metrics, records_body: AtomicUsize::new(0) });
    Router::new()
        .route("/", any(domain_filter::<P>))
        .route("/records", any(records::<P>))
        .route("/adjustendpoints", any(adjust_endpoints::<P>))
        .route("/status", get(status::<P>))
        .with_state(webhook)
}

async fn domain_filter<P: Provider>(State(webhook): State<Arc<Webhook<P>>>) -> Response {
    json(StatusCode::OK, MEDIA_TYPE, &webhook.provider.domain_filter())
}

async fn records<P: Provider>(State(webhook): State<Arc<Webhook<P>>>, request: Request) -> Response {
    match *request.method() {
        Method::GET | Method::HEAD => match webhook.provider.records_json().await {
            Ok(pieces) => webhook.listed(pieces),
            Err(failure) => refuse(&failure),
        },
        Method::POST => webhook.apply_changes(request.into_body()).await.unwrap_or_else(IntoResponse::into_response),
        _ => CallError::Method(request.into_parts().0.method).into_response(),
    }
}

async fn adjust_endpoints<P: Provider>(State(webhook): State<Arc<Webhook<P>>>, request: Request) -> Response {
    if *request.method() != Method::POST {
        return CallError::Method(request.into_parts().0.method).into_response();
    }
    match webhook.bodies.read(request.into_body()).await {
        Ok(octets) => {
            off_the_runtime(move || webhook.adjusted(octets)).await.unwrap_or_else(|failure| refuse(&failure))
        }
        Err(error) => CallError::Body(error).into_response(),
    }
}

/// JSON, or a page for whoever would rather have one, as browsers would.
async fn status<P: Provider>(State(webhook): State<Arc<Webhook<P>>>, headers: HeaderMap) -> Response {
    let octets = webhook.records_body.load(Ordering::Relaxed);
    let records_body_bytes = (octets > 0).then_some(octets);
    let status = Status { records_body_bytes, records_body_warning: size_warning(octets), ..webhook.provider.status() };
    let accepted: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let accepted = accepted.join(",");
    if quality(&accepted, "text/html") <= quality(&accepted, "application/json") {
        return ([(VARY, "Accept")], json(StatusCode::OK, JSON, &status)).into_response();
    }
    let page = page::render(&status, &webhook.provider.unready(), since_1970());
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, page::POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-store"),
        (VARY, "Accept"),
    ];
    (headers, page).into_response()
}

/// How much a type is wanted, in thousandths, by the most specific range that holds it (RFC 9110 §12.5.1).
fn quality(accepted: &str, wanted: &str) -> u16 {
    let kind = wanted.split('/').next().unwrap_or_default();
    let mut best = (0, 0);
    for item in accepted.split(',') {
        let mut parts = item.split(';').map(str::trim);
        let range = parts.next().unwrap_or_default();
        let specific = match range.split_once('/') {
            _ if range.eq_ignore_ascii_case(wanted) => 3,
            Some((of, "*")) if of.eq_ignore_ascii_case(kind) => 2,
            Some(("*", "*")) => 1,
            _ => continue,
        };
        let given = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        // What cannot be read is not wanted.
        let weight = given.map_or(Some(1.0), |text| text.parse::<f32>().ok()).unwrap_or(0.0).clamp(0.0, 1.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1000")]
        let weight = (weight * 1000.0) as u16;
        best = best.max((specific, weight));
    }
    best.1
}

#[expect(clippy::disallowed_methods, reason = "the page tells how long ago things were")]
fn since_1970() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |age| age.as_secs())
}

impl<P: Provider> Webhook<P> {
    async fn apply_changes(&self, body: Body) -> Result<Response, CallError> {
        let octets = self.bodies.read(body).await?;
        let changes: Changes =
            if octets.is_small() { decode(&octets)? } else { off_the_runtime(move || decode(&octets)).await?? };
        let rejections = self.provider.apply_changes(changes).await?;
        if rejections.is_empty() {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        let rejected: Vec<_> = rejections.iter().map(RejectedRecord::from).collect();
        Ok(json(StatusCode::INTERNAL_SERVER_ERROR, JSON, &RejectedBody { rejected }))
    }

    /// The answer to `GET /records`, measured.
    fn listed(&self, pieces: Vec<Bytes>) -> Response {
        let octets = pieces.iter().map(Bytes::len).sum();
        self.metrics.listed(octets);
        let before = self.records_body.swap(octets, Ordering::Relaxed);
        if is_near_limit(octets) && !is_near_limit(before) {
            tracing::warn!(
                octets,
                limit = MOST_TAKEN,
                "the answer to GET /records nears what ExternalDNS takes, and past that it exits: raise its \
                 --webhook-provider-max-body-size, or split the names (deploy/scaling.md)"
            );
        }
        // Shared as they are, and not copied into one.
        let body = Body::from_stream(stream::iter(pieces.into_iter().map(Ok::<_, Infallible>)));
        (StatusCode::OK, [(CONTENT_TYPE, MEDIA_TYPE), (CONTENT_LENGTH, HeaderValue::from(octets))], body)
            .into_response()
    }

    fn adjusted(&self, octets: Octets) -> Response {
        match decode::<Endpoints>(&octets) {
            Ok(Endpoints(desired)) => {
                drop(octets);
                json(StatusCode::OK, MEDIA_TYPE, &self.provider.adjust_endpoints(desired))
            }
            Err(refused) => refused.into_response(),
        }
    }
}

/// What is not answered as asked.
#[derive(Debug, thiserror::Error)]
enum CallError {
    #[error("the request body is not the JSON that it should be")]
    Json(#[from] serde_json::Error),
    #[error("the method {0} has no meaning here")]
    Method(Method),
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error(transparent)]
    Failure(#[from] Failure),
}

impl IntoResponse for CallError {
    fn into_response(self) -> Response {
        match &self {
            Self::Failure(failure) => refuse(failure),
            Self::Body(error) => refuse(&Failure::new(Cause::RequestUnreadable, chain(error))),
            // Not 405, on which ExternalDNS would exit.
            Self::Method(_) => json(StatusCode::INTERNAL_SERVER_ERROR, JSON, &Error { error: self.to_string() }),
            Self::Json(error) => {
                tracing::warn!(%error, "{self}");
                json(StatusCode::BAD_REQUEST, JSON, &Error { error: format!("{self}: {error}") })
            }
        }
    }
}

#[derive(Serialize)]
struct Error {
    error: String,
}

/// The answer to what stops a whole call.
pub(super) fn refuse(failure: &Failure) -> Response {
    json(codes(failure.cause).http, JSON, &FailureBody::from(failure))
}

/// A failure, for whoever looks at the answer; ExternalDNS does not.
#[derive(Serialize)]
struct FailureBody<'a> {
    cause: &'static str,
    sentence: &'static str,
    detail: &'a str,
    remedy: &'static str,
}

impl<'a> From<&'a Failure> for FailureBody<'a> {
    fn from(failure: &'a Failure) -> Self {
        let cause = failure.cause;
        Self { cause: cause.label(), sentence: cause.sentence(), detail: &failure.detail, remedy: cause.remedy() }
    }
}

#[derive(Serialize)]
struct RejectedBody<'a> {
    rejected: Vec<RejectedRecord<'a>>,
}

#[derive(Serialize)]
struct RejectedRecord<'a> {
    zone: String,
    name: &'a str,
    r#type: &'a str,
    #[serde(flatten)]
    failure: FailureBody<'a>,
}

impl<'a> From<&'a Rejection> for RejectedRecord<'a> {
    fn from(rejection: &'a Rejection) -> Self {
        Self {
            zone: rejection.zone.as_ref().map(ToString::to_string).unwrap_or_default(),
            name: &rejection.name,
            r#type: &rejection.record_type,
            failure: (&rejection.failure).into(),
        }
    }
}

/// A list of endpoints as Go writes it: `null` is an empty one.
#[derive(Default, serde::Deserialize)]
#[serde(transparent)]
struct Endpoints(#[serde(deserialize_with = "crate::api::nulls_dropped")] Vec<Endpoint>);

/// Reads JSON; `null` is the zero value, as in Go.
fn decode<T: DeserializeOwned + Default>(octets: &Octets) -> Result<T, CallError> {
    let value: Option<T> = serde_json::from_slice(octets.as_slice())?;
    Ok(value.unwrap_or_default())
}

fn json(status: StatusCode, media_type: HeaderValue, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(octets) => (status, [(CONTENT_TYPE, media_type)], octets).into_response(),
        Err(error) => unwritten(&error),
    }
}

fn unwritten(error: &serde_json::Error) -> Response {
    tracing::error!(%error, "an answer cannot be written as JSON");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

/// What is said of a list that ExternalDNS may soon not take.
fn size_warning(octets: usize) -> Option<String> {
    is_near_limit(octets).then(|| {
        format!(
            "The list of all records takes {} MiB. ExternalDNS takes 32 MiB, and exits past that: raise its \
             --webhook-provider-max-body-size.",
            octets >> 20
        )
    })
}

/// Whether three quarters of what ExternalDNS takes are reached.
const fn is_near_limit(octets: usize) -> bool {
    octets >= MOST_TAKEN / 4 * 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_externaldns_may_not_take_is_warned_of() {
        assert!(size_warning(24 << 20).unwrap().contains("takes 24 MiB"));
        assert_eq!(size_warning((24 << 20) - 1), None);
    }

    #[test]
    fn the_page_is_for_whoever_would_rather_have_it() {
        for (accepted, wants_page) in [
            ("", false),
            ("*/*", false),
            ("text/html", true),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
            ("application/json", false),
            ("application/json, text/html", false),
            ("application/json, text/html;q=0.5", false),
            ("application/json;q=0.1, text/*;q=0.2", true),
            ("text/html;q=0, */*", false),
            ("*/*;q=0.1, application/json;q=0", true),
            ("text/html;q=nan", false),
            ("text/html;q=x, application/json;q=0", false),
            ("TEXT/HTML;Q=1", true),
            (";;;,,/,q=", false),
        ] {
            let page = quality(accepted, "text/html") > quality(accepted, "application/json");
            assert_eq!(page, wants_page, "{accepted}");
        }
    }
}
