//! The same service over gRPC.

use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use futures_util::Stream;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use super::admin::Health;
use super::proto::provider_server::{self, ProviderServer};
use super::proto::{
    self, AdjustEndpointsRequest, AdjustEndpointsResponse, ApplyChangesRequest, ApplyChangesResponse,
    GetDomainFilterRequest, RecordsRequest, RecordsResponse, RejectedRecord,
};
use super::status::codes;
use crate::api::ProviderSpecificProperty;
use crate::api::{Changes, DomainFilter, Endpoint};
use crate::provider::status::Rejection;
use crate::provider::{Failure, Provider};

/// Endpoints in one message: a page of usual ones takes a tenth of the 4 MiB that clients accept unless told otherwise.
const PAGE: usize = 1000;

/// Provider, health and reflection; an unknown method gets `UNIMPLEMENTED`.
pub(super) fn routes<P: Provider>(
    provider: Arc<P>,
    health: &Health,
    max_body: usize,
) -> Result<Router, tonic_reflection::server::Error> {
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let service =
        ProviderServer::new(Grpc(provider)).max_decoding_message_size(max_body).max_encoding_message_size(usize::MAX);
    Ok(Routes::new(service).add_service(health.service()).add_service(reflection).into_axum_router())
}

/// What stops a whole call.
pub(super) fn status(failure: &Failure) -> Status {
    Status::new(codes(failure.cause).grpc, format!("{}: {failure}", failure.cause.label()))
}

/// Whether a request speaks gRPC.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

struct Grpc<P>(Arc<P>);

#[tonic::async_trait]
impl<P: Provider> provider_server::Provider for Grpc<P> {
    type RecordsStream = Pin<Box<dyn Stream<Item = Result<RecordsResponse, Status>> + Send>>;

    async fn get_domain_filter(
        &self,
        _: Request<GetDomainFilterRequest>,
    ) -> Result<Response<proto::DomainFilter>, Status> {
        Ok(Response::new(self.0.domain_filter().into()))
    }

    async fn records(&self, _: Request<RecordsRequest>) -> Result<Response<Self::RecordsStream>, Status> {
        let endpoints = self.0.records().await.map_err(|failure| status(&failure))?;
        let mut left = endpoints.into_iter();
        let pages = std::iter::from_fn(move || {
            let page: Vec<_> = left.by_ref().take(PAGE).map(Into::into).collect();
            (!page.is_empty()).then_some(Ok(RecordsResponse { endpoints: page }))
        });
        Ok(Response::new(Box::pin(futures_util::stream::iter(pages))))
    }

    async fn adjust_endpoints(
        &self,
        request: Request<AdjustEndpointsRequest>,
    ) -> Result<Response<AdjustEndpointsResponse>, Status> {
        let desired = request.into_inner().endpoints.into_iter().map(Into::into).collect();
        let endpoints = self.0.adjust_endpoints(desired).into_iter().map(Into::into).collect();
        Ok(Response::new(AdjustEndpointsResponse { endpoints }))
    }

    async fn apply_changes(
        &self,
        request: Request<ApplyChangesRequest>,
    ) -> Result<Response<ApplyChangesResponse>, Status> {
        let rejections = self.0.apply_changes(request.into_inner().into()).await.map_err(|failure| status(&failure))?;
        Ok(Response::new(ApplyChangesResponse { rejected: rejections.into_iter().map(Into::into).collect() }))
    }
}

impl From<DomainFilter> for proto::DomainFilter {
    fn from(filter: DomainFilter) -> Self {
        let DomainFilter { include, exclude, regex_include, regex_exclude } = filter;
        Self { include, exclude, regex_include, regex_exclude }
    }
}

impl From<Endpoint> for proto::Endpoint {
    fn from(endpoint: Endpoint) -> Self {
        let property = |property: ProviderSpecificProperty| proto::ProviderSpecificProperty {
            name: property.name,
            value: property.value,
        };
        Self {
            dns_name: endpoint.dns_name,
            targets: endpoint.targets,
            record_type: endpoint.record_type,
            set_identifier: endpoint.set_identifier,
            record_ttl: endpoint.record_ttl,
            labels: endpoint.labels.into_iter().collect(),
            provider_specific: endpoint.provider_specific.into_iter().map(property).collect(),
        }
    }
}

impl From<proto::Endpoint> for Endpoint {
    fn from(endpoint: proto::Endpoint) -> Self {
        let property = |property: proto::ProviderSpecificProperty| ProviderSpecificProperty {
            name: property.name,
            value: property.value,
        };
        Self {
            dns_name: endpoint.dns_name,
            targets: endpoint.targets,
            record_type: endpoint.record_type,
            set_identifier: endpoint.set_identifier,
            record_ttl: endpoint.record_ttl,
            labels: endpoint.labels.into_iter().collect(),
            provider_specific: endpoint.provider_specific.into_iter().map(property).collect(),
        }
    }
}

impl From<ApplyChangesRequest> for Changes {
    fn from(request: ApplyChangesRequest) -> Self {
        let list = |endpoints: Vec<proto::Endpoint>| endpoints.into_iter().map(Into::into).collect();
        Self {
            create: list(request.create),
            update_old: list(request.update_old),
            update_new: list(request.update_new),
            delete: list(request.delete),
        }
    }
}

impl From<Rejection> for RejectedRecord {
    fn from(rejection: Rejection) -> Self {
        let cause = rejection.failure.cause;
        Self {
            zone: rejection.zone.map(|zone| zone.to_string()).unwrap_or_default(),
            dns_name: rejection.name,
            record_type: rejection.record_type,
            cause: cause.label().to_owned(),
            detail: rejection.failure.detail,
            remedy: cause.remedy().to_owned(),
        }
    }
}
