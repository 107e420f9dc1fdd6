//! The same cases through both front ends mean the same.

use external_dns_rfc2136_webhook::server::proto::provider_client::ProviderClient;
use external_dns_rfc2136_webhook::server::proto::{
    self, AdjustEndpointsRequest, ApplyChangesRequest, GetDomainFilterRequest, RecordsRequest,
};
use serde_json::{Value, json};
use tokio_stream::StreamExt as _;

use super::grpc::channel;
use super::raw::ask;
use super::*;

/// A gRPC endpoint under ExternalDNS's JSON names; fields at their zero value are left out, as Go does.
fn as_json(endpoint: &proto::Endpoint) -> Value {
    let mut value = json!({ "dnsName": endpoint.dns_name, "recordType": endpoint.record_type });
    let properties: Vec<_> =
        endpoint.provider_specific.iter().map(|p| json!({ "name": p.name, "value": p.value })).collect();
    for (key, field) in [
        ("targets", json!(endpoint.targets)),
        ("setIdentifier", json!(endpoint.set_identifier)),
        ("recordTTL", json!(endpoint.record_ttl)),
        ("labels", json!(endpoint.labels)),
        ("providerSpecific", json!(properties)),
    ] {
        if ![json!([]), json!(""), json!(0), json!({})].contains(&field) {
            value[key] = field;
        }
    }
    value
}

fn proto_endpoint() -> proto::Endpoint {
    proto::Endpoint {
        dns_name: "www.example.test".to_owned(),
        targets: vec!["192.0.2.1".to_owned(), "192.0.2.2".to_owned()],
        record_type: "A".to_owned(),
        set_identifier: "blue".to_owned(),
        record_ttl: 300,
        labels: [("owner".to_owned(), "k8s".to_owned())].into(),
        provider_specific: vec![proto::ProviderSpecificProperty { name: "alias".into(), value: "true".into() }],
    }
}

#[tokio::test]
async fn reading_gives_the_same_endpoints_and_the_same_filter() {
    let endpoints = vec![endpoint("a.example.test", "192.0.2.1"), endpoint("b.example.test", "192.0.2.2")];
    let served = serve(Scripted { endpoints, ..Scripted::default() }).await;
    let mut client = ProviderClient::new(channel(served.address).await);
    let mut pages = client.records(RecordsRequest {}).await.unwrap().into_inner();
    let mut over_grpc = Vec::new();
    while let Some(page) = pages.next().await {
        over_grpc.extend(page.unwrap().endpoints.iter().map(as_json));
    }
    let over_http: Vec<Value> = serde_json::from_str(&ask(served.address, "GET", "/records", "").await.body).unwrap();
    assert_eq!((over_grpc.len(), over_grpc), (2, over_http));
    let filter = client.get_domain_filter(GetDomainFilterRequest {}).await.unwrap().into_inner();
    let over_http: Value = serde_json::from_str(&ask(served.address, "GET", "/", "").await.body).unwrap();
    assert_eq!(json!({ "include": filter.include }), over_http);
}

#[tokio::test]
async fn endpoints_arrive_and_return_whole_through_both() {
    let served = serve(Scripted::default()).await;
    let mut client = ProviderClient::new(channel(served.address).await);
    let request = AdjustEndpointsRequest { endpoints: vec![proto_endpoint()] };
    let over_grpc = client.adjust_endpoints(request).await.unwrap().into_inner().endpoints;
    let sent = as_json(&proto_endpoint());
    assert_eq!(over_grpc.iter().map(as_json).collect::<Vec<_>>(), std::slice::from_ref(&sent));
    let answer = ask(served.address, "POST", "/adjustendpoints", &json!([sent]).to_string()).await;
    assert_eq!(serde_json::from_str::<Value>(&answer.body).unwrap(), json!([sent]));
}

#[tokio::test]
async fn changes_arrive_alike_and_rejections_return_alike() {
    let rejections = vec![
        rejection("a.example.test", Cause::RefusedByPolicy),
        Rejection { zone: None, ..rejection("b.test", Cause::OutsideZones) },
    ];
    let served = serve(Scripted { rejections, ..Scripted::default() }).await;
    let list = vec![proto_endpoint()];
    let request =
        ApplyChangesRequest { create: list.clone(), update_old: list.clone(), update_new: list.clone(), delete: list };
    let mut client = ProviderClient::new(channel(served.address).await);
    let over_grpc = client.apply_changes(request).await.unwrap().into_inner().rejected;

    let list = json!([as_json(&proto_endpoint())]);
    let body = json!({ "create": list, "updateOld": list, "updateNew": list, "delete": list }).to_string();
    let answer = ask(served.address, "POST", "/records", &body).await;
    let over_http: Value = serde_json::from_str(&answer.body).unwrap();
    let fields = |r: &proto::RejectedRecord| json!([r.zone, r.dns_name, r.record_type, r.cause, r.detail, r.remedy]);
    let same = |r: &Value| json!([r["zone"], r["name"], r["type"], r["cause"], r["detail"], r["remedy"]]);
    let over_http: Vec<_> = over_http["rejected"].as_array().unwrap().iter().map(same).collect();
    assert_eq!(over_grpc.iter().map(fields).collect::<Vec<_>>(), over_http);

    let applied = served.provider.applied.lock().unwrap();
    assert_eq!((applied.len(), &applied[0]), (2, &applied[1]));
}

#[tokio::test]
async fn what_stops_a_call_stops_it_through_both() {
    for cause in Cause::ALL {
        let served = serve(Scripted::failing(cause)).await;
        let mut client = ProviderClient::new(channel(served.address).await);
        let expected = server::status::codes(cause);
        let read = client.records(RecordsRequest {}).await.unwrap_err();
        let applied = client.apply_changes(ApplyChangesRequest::default()).await.unwrap_err();
        for status in [read, applied] {
            assert_eq!(status.code(), expected.grpc, "{}", cause.label());
            assert!(status.message().starts_with(cause.label()), "{}", status.message());
        }
        for method in ["GET", "POST"] {
            let answer = ask(served.address, method, "/records", "{}").await;
            assert_eq!(answer.status, expected.http.as_u16(), "{method} {}", cause.label());
            let body: Value = serde_json::from_str(&answer.body).unwrap();
            assert_eq!(body["cause"], cause.label());
        }
    }
}
