//! `explain NAME [TYPE]`, against BIND and a running sidecar.

use serde_json::Value;

use crate::support::{Changes, Endpoint, Kdc, Named, Settings, Zone};

const RECORDS: &str = "shop IN A 203.0.113.2\na-shop IN TXT \"heritage=external-dns,external-dns/owner=other,\
                       external-dns/resource=service/default/shop\"\n\
                       sub IN NS ns.example.com.\nwww.sub IN A 192.0.2.9\nbare IN A 203.0.113.3";

fn explained(settings: &Settings, arguments: &[&str]) -> (Option<i32>, Value) {
    let arguments: Vec<String> =
        ["explain", "--output=json"].iter().chain(arguments).map(|text| (*text).to_owned()).collect();
    let (code, text) = settings.output(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    (code, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
}

#[test]
fn a_name_is_explained_with_its_owner_its_rejection_and_what_a_change_would_send() {
    let kdc = Kdc::start();
    let named = Named::options().gss(&kdc).zone(Zone::granted("example.test").records(RECORDS)).start();
    let settings = Settings::keytab(&kdc, &named, &["example.test"]);
    let sidecar = settings.start();
    sidecar.apply_all(&Changes::new().create(&Endpoint::a("web.example.test", &["192.0.2.7"])));
    let theirs = Endpoint::a("shop.example.test", &["203.0.113.2"]);
    assert_eq!(sidecar.apply(&Changes::new().delete(&theirs)), 500);
    let address = sidecar.webhook_url().trim_start_matches("http://").to_owned();
    let settings = settings.set("WEBHOOK_LISTEN", &address);

    // What it says would be sent is what nsupdate does.
    let (code, web) = explained(&settings, &["web.example.test"]);
    assert_eq!((code, &web["zone"]["by"], &web["rejected"]), (Some(0), &"transfer".into(), &Value::Array(vec![])));
    assert_eq!(web["records"][0]["listed"], true);
    assert_eq!(web["records"][0]["owners"][0]["registry_txt"], "a-web.example.test");
    assert_eq!(web["records"][0]["owners"][0]["owner"], "default");
    let delete = web["changes"].as_array().unwrap().iter().find(|change| change["op"] == "delete").unwrap();
    let script = delete["answer"]["script"][0].as_str().unwrap();
    let server = format!("server 127.0.0.1 {}\n{script}", named.socket().port());
    let (accepted, said) = named.run_script(&server);
    assert!(accepted, "{said}");
    assert_eq!(named.answer("web.example.test", "A"), [""; 0]);
    assert_eq!(named.answer("a-web.example.test", "TXT"), [""; 0]);

    let (_, shop) = explained(&settings, &["Shop.example.test.", "a"]);
    assert_eq!(shop["rejected"][0]["cause"], "other_owner", "{shop}");
    assert_eq!(shop["records"][0]["owners"][0]["owner"], "other");
    let (_, hidden) = explained(&settings, &["www.sub.example.test"]);
    assert_eq!(
        (&hidden["records"][0]["listed"], &hidden["records"][0]["problem"]["cause"]),
        (&false.into(), &"delegated".into())
    );
    let (_, bare) = explained(&settings, &["bare.example.test"]);
    assert_eq!(bare["changes"][0]["answer"]["rejected"]["cause"], "unowned", "{bare}");
    let (_, free) = explained(&settings, &["free.example.test", "CNAME"]);
    assert!(free["changes"][0]["answer"]["script"][0].as_str().unwrap().contains("CNAME host.example.com."), "{free}");
    assert!(named.changing_updates().len() <= 1, "nothing was written");

    for (arguments, cause) in [
        (&["www.elsewhere.test"][..], "outside_zones"),
        (&["a..example.test"], "malformed"),
        (&["web.example.test", "HINFO"], "record_type_not_supported"),
    ] {
        let (code, report) = explained(&settings, arguments);
        assert_eq!((code, &report["problem"]["cause"]), (Some(1), &cause.into()), "{report}");
    }
}

#[test]
fn a_zone_that_is_not_read_is_explained_by_what_the_server_answers_and_one_that_refuses_by_its_cause() {
    let kdc = Kdc::start();
    let zone = Zone::granted("example.test").records(RECORDS).allow_transfer("none;");
    let named = Named::options().gss(&kdc).zone(zone).start();
    let settings = Settings::keytab(&kdc, &named, &["example.test"]);
    let (code, unread) = explained(&settings.clone().set("RFC2136_READ", "none"), &["bare.example.test"]);
    assert_eq!((code, &unread["records"][0]["targets"][0]), (Some(0), &"203.0.113.3".into()), "{unread}");
    assert!(unread["no_sidecar"].as_str().unwrap().contains("127.0.0.1"), "{unread}");
    let (code, refused) = explained(&settings, &["bare.example.test"]);
    assert_eq!((code, &refused["problem"]["cause"]), (Some(1), &"transfer_refused".into()), "{refused}");
    let (_, text) = settings.output(&["explain", "bare.example.test"]);
    assert!(text.contains("PROBLEM") && text.contains("remedy: "), "{text}");
}
