//! What ExternalDNS's client checks, and what it would exit on.

use std::time::Duration;

use external_dns_rfc2136_webhook::api::Changes;
use external_dns_rfc2136_webhook::provider::Cause;

use super::raw::{Connection, ask};
use super::*;

#[tokio::test]
async fn the_negotiation_is_answered_with_the_exact_media_type() {
    let served = serve(Scripted::default()).await;
    let answer = ask(served.address, "GET", "/", "").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some(MEDIA_TYPE)));
    assert_eq!(answer.body, r#"{"include":["example.test"]}"#);
}

#[tokio::test]
async fn records_are_an_array_even_when_there_are_none() {
    let answer = ask(serve(Scripted::default()).await.address, "GET", "/records", "").await;
    assert_eq!((answer.status, answer.header("content-type"), &*answer.body), (200, Some(MEDIA_TYPE), "[]"));
    let endpoints = vec![endpoint("www.example.test", "192.0.2.1")];
    let served = serve(Scripted { endpoints, ..Scripted::default() }).await;
    let expected = r#"[{"dnsName":"www.example.test","targets":["192.0.2.1"],"recordType":"A","recordTTL":300,"labels":{"owner":"k8s"}}]"#;
    assert_eq!(ask(served.address, "GET", "/records", "").await.body, expected);
}

#[tokio::test]
async fn adjusted_endpoints_are_200_with_a_body_and_null_is_an_empty_list() {
    let served = serve(Scripted::default()).await;
    for (body, adjusted) in [
        ("null", "[]"),
        ("[]", "[]"),
        (
            r#"[null,{"dnsName":"a","targets":null,"labels":null,"providerSpecific":null}]"#,
            r#"[{"dnsName":"a","recordType":""}]"#,
        ),
        (r#"[{"dnsName":"b","unknown":1,"recordType":"A"}]"#, r#"[{"dnsName":"b","recordType":"A"}]"#),
    ] {
        let answer = ask(served.address, "POST", "/adjustendpoints", body).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(MEDIA_TYPE)), "{body}");
        assert_eq!(answer.body, adjusted, "{body}");
    }
}

#[tokio::test]
async fn applied_changes_are_204_without_a_body_in_both_spellings_of_the_keys() {
    let served = serve(Scripted::default()).await;
    let one = r#"[{"dnsName":"www.example.test","targets":["192.0.2.1"],"recordType":"A","recordTTL":300,"labels":{"owner":"k8s"}}]"#;
    let bodies = [
        format!(r#"{{"create":{one},"updateOld":{one},"updateNew":{one},"delete":{one}}}"#),
        format!(r#"{{"Create":{one},"UpdateOld":{one},"UpdateNew":{one},"Delete":{one}}}"#),
        r#"{"Create":null,"UpdateOld":null,"UpdateNew":null,"Delete":null}"#.to_owned(),
        "{}".to_owned(),
        "null".to_owned(),
    ];
    for body in &bodies {
        let answer = ask(served.address, "POST", "/records", body).await;
        assert_eq!((answer.status, answer.body.as_str()), (204, ""), "{body}");
    }
    let list = vec![endpoint("www.example.test", "192.0.2.1")];
    let full = Changes { create: list.clone(), update_old: list.clone(), update_new: list.clone(), delete: list };
    let applied = served.provider.applied.lock().unwrap();
    assert_eq!(applied[..2], [full.clone(), full]);
    assert_eq!(applied[2..], vec![Changes::default(); 3]);
}

#[tokio::test]
async fn rejected_records_are_500_with_the_list() {
    let rejections = vec![rejection("www.example.test", Cause::RefusedByPolicy)];
    let served = serve(Scripted { rejections, ..Scripted::default() }).await;
    let answer = ask(served.address, "POST", "/records", "{}").await;
    assert_eq!(answer.status, 500);
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    let rejected = &body["rejected"][0];
    assert_eq!(rejected["name"], "www.example.test");
    assert_eq!(rejected["cause"], "refused_by_policy");
    assert!(rejected["remedy"].as_str().unwrap().contains("update-policy"), "{body}");
}

#[tokio::test]
async fn undecodable_json_is_the_only_400() {
    let served = serve(Scripted::default()).await;
    for path in ["/records", "/adjustendpoints"] {
        for body in ["", "{", "[1]", r#"{"create":[{"recordTTL":300.5}]}"#, "\u{0}", &"[".repeat(10_000)] {
            assert_eq!(ask(served.address, "POST", path, body).await.status, 400, "{path} {body:.20}");
        }
        for method in ["PUT", "PATCH", "DELETE", "OPTIONS"] {
            let status = ask(served.address, method, path, "[]").await.status;
            assert!((500..=510).contains(&status), "{method} {path}: {status}");
        }
    }
    assert_eq!(ask(served.address, "HEAD", "/records", "").await.status, 200);
    assert_eq!(ask(served.address, "POST", "/", "").await.status, 200);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_500_and_the_connection_goes_on() {
    let served = serve(Scripted::default()).await;
    let mut connection = Connection::open(served.address).await;
    let padded = |length: usize| format!("[{}]", " ".repeat(length - 2));
    assert_eq!(connection.ask("POST", "/adjustendpoints", &padded(MAX_BODY)).await.status, 200);
    for path in ["/adjustendpoints", "/records"] {
        let answer = connection.ask("POST", path, &padded(MAX_BODY + 1)).await;
        assert_eq!(answer.status, 500, "{path}");
        assert!(answer.body.contains("WEBHOOK_MAX_BODY"), "{}", answer.body);
        assert_eq!(connection.ask("POST", path, &padded(8 * MAX_BODY)).await.status, 500, "{path}");
    }
    assert_eq!(connection.ask("GET", "/", "").await.status, 200);
}

#[tokio::test]
async fn a_body_in_chunks_is_read() {
    let served = serve(Scripted::default()).await;
    let mut connection = Connection::open(served.address).await;
    let head = "POST /adjustendpoints HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    connection.send(head.as_bytes()).await;
    connection.send(b"1\r\n[\r\n1\r\n]\r\n0\r\n\r\n").await;
    assert_eq!(connection.receive("POST").await.body, "[]");
}

#[tokio::test]
async fn a_request_is_answered_at_the_deadline_whatever_it_waits_for() {
    let served = serve(Scripted { delay: Duration::from_secs(60), ..Scripted::default() }).await;
    for (method, path) in [("GET", "/records"), ("POST", "/records")] {
        let answer = ask(served.address, method, path, "{}").await;
        assert_eq!((answer.status, answer.body.contains("deadline")), (503, true), "{method} {path}");
    }
    // A body that never comes.
    let mut connection = Connection::open(served.address).await;
    connection.send(b"POST /records HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{").await;
    assert_eq!(connection.receive("POST").await.status, 503);
}

#[tokio::test]
async fn the_admin_port_tells_life_readiness_and_metrics() {
    let served = serve(Scripted::failing(Cause::NoKdc)).await;
    assert_eq!(ask(served.admin, "GET", "/healthz", "").await.status, 200);
    let readiness = ask(served.admin, "GET", "/readyz", "").await;
    assert_eq!(readiness.status, 503);
    let body: serde_json::Value = serde_json::from_str(&readiness.body).unwrap();
    assert_eq!((&body["ready"], &body["causes"][0]["cause"]), (&false.into(), &"no_kdc".into()));
    ask(served.address, "GET", "/records", "").await;
    let metrics = ask(served.admin, "GET", "/metrics", "").await;
    assert!(metrics.header("content-type").unwrap().starts_with("application/openmetrics-text; version=1.0.0"));
    let line = r#"external_dns_rfc2136_requests_total{api="http",method="records",class="5xx"} 1"#;
    assert!(metrics.body.contains(line), "{}", metrics.body);
    assert_eq!(ask(serve(Scripted::default()).await.admin, "GET", "/readyz", "").await.status, 200);
}

#[tokio::test]
async fn the_size_of_the_list_is_told_in_status_and_metrics() {
    let served = serve(Scripted::default()).await;
    let before = ask(served.address, "GET", "/status", "").await;
    assert!(!before.body.contains("records_body_bytes"), "{}", before.body);
    let list = ask(served.address, "GET", "/records", "").await;
    let status: serde_json::Value =
        serde_json::from_str(&ask(served.address, "GET", "/status", "").await.body).unwrap();
    assert_eq!(status["records_body_bytes"], list.body.len());
    let metrics = ask(served.admin, "GET", "/metrics", "").await.body;
    assert!(metrics.contains(&format!("external_dns_rfc2136_records_body_bytes {}\n", list.body.len())), "{metrics}");
}

#[tokio::test]
async fn the_status_is_a_page_for_whoever_asks_for_html_and_json_for_everybody_else() {
    let served = serve(Scripted::failing(Cause::NoKdc)).await;
    let mut connection = Connection::open(served.address).await;
    connection.send(b"GET /status HTTP/1.1\r\nHost: localhost\r\nAccept: text/html,*/*;q=0.8\r\n\r\n").await;
    let page = connection.receive("GET").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'; "), "{}", page.headers);
    assert!(page.body.contains("Not ready") && page.body.contains("no_kdc"), "{}", page.body);
    let json = ask(served.address, "GET", "/status", "").await;
    assert_eq!((json.status, json.header("content-type")), (200, Some("application/json")));
}
