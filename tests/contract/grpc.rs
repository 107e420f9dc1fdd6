//! The gRPC front end: pages, health, reflection.

use external_dns_rfc2136_webhook::server::proto::RecordsRequest;
use external_dns_rfc2136_webhook::server::proto::provider_client::ProviderClient;
use tokio_stream::StreamExt as _;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use super::*;

const SERVICE: &str = "externaldns.provider.v1.Provider";

pub(super) async fn channel(address: std::net::SocketAddr) -> Channel {
    Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

#[tokio::test]
async fn a_hundred_thousand_records_pass_the_message_limit_of_clients() {
    let endpoints: Vec<_> = (0..100_000).map(|n| endpoint(&format!("host-{n}.example.test"), "192.0.2.1")).collect();
    let served = serve(Scripted { endpoints, ..Scripted::default() }).await;
    let mut client = ProviderClient::new(channel(served.address).await);
    let mut pages = client.records(RecordsRequest {}).await.unwrap().into_inner();
    let mut names = std::collections::BTreeSet::new();
    while let Some(page) = pages.next().await {
        names.extend(page.unwrap().endpoints.into_iter().map(|endpoint| endpoint.dns_name));
    }
    assert_eq!(names.len(), 100_000);
}

#[tokio::test]
async fn health_is_told_on_both_ports() {
    for (provider, expected) in
        [(Scripted::default(), ServingStatus::Serving), (Scripted::failing(Cause::NoKdc), ServingStatus::NotServing)]
    {
        let served = serve(provider).await;
        for (address, service) in [(served.address, SERVICE), (served.admin, ""), (served.admin, SERVICE)] {
            let mut client = HealthClient::new(channel(address).await);
            let request = HealthCheckRequest { service: service.to_owned() };
            let status = client.check(request).await.unwrap().into_inner().status();
            assert_eq!(status, expected, "{service:?}");
        }
    }
}

#[tokio::test]
async fn reflection_lists_the_service() {
    let served = serve(Scripted::default()).await;
    let mut client = ServerReflectionClient::new(channel(served.address).await);
    let message_request = Some(MessageRequest::ListServices(String::new()));
    let request = ServerReflectionRequest { host: String::new(), message_request };
    let mut answers = client.server_reflection_info(tokio_stream::once(request)).await.unwrap().into_inner();
    let answer = answers.next().await.unwrap().unwrap().message_response;
    let Some(MessageResponse::ListServicesResponse(services)) = answer else { panic!("{answer:?}") };
    let names: Vec<_> = services.service.into_iter().map(|service| service.name).collect();
    assert!(names.contains(&SERVICE.to_owned()), "{names:?}");
}

#[tokio::test]
async fn an_unknown_method_is_unimplemented_and_an_unknown_path_not_found() {
    let served = serve(Scripted::default()).await;
    let mut client = tonic::client::Grpc::new(channel(served.address).await);
    client.ready().await.unwrap();
    let path = tonic::codegen::http::uri::PathAndQuery::from_static("/externaldns.provider.v1.Provider/Nothing");
    let codec: tonic_prost::ProstCodec<RecordsRequest, RecordsRequest> = tonic_prost::ProstCodec::default();
    let status = client.unary(tonic::Request::new(RecordsRequest {}), path, codec).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unimplemented);
    assert_eq!(raw::ask(served.address, "GET", "/nothing", "").await.status, 404);
}
