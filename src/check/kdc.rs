//! Which KDCs there are, and whether they answer before any secret is used.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::as_exchange::{self, Answer};
use super::clock;
use super::report::Finding;
use crate::config::{Kerberos, Krb5Conf, Krb5Files};
use crate::dns::Name;
use crate::gss::krb5_conf::{self, Kdcs};
use crate::kerberos::Realm;
use crate::nameserver::{Service, find_services};
use crate::provider::chain;
use crate::provider::{Cause, Failure};

/// Kerberos (RFC 4120 §7.2.3.1).
const PORT: u16 = 88;
/// Longest wait for one KDC, from its name's resolution to its answer, and for a look-up of SRV records.
const PATIENCE: Duration = Duration::from_secs(3);
/// More than any answer to a client that has not proved itself.
const MAX_ANSWER: usize = 64 * 1024;
const REMEDY: &str = "set RFC2136_KERBEROS_KDC to the KDCs";

/// Looks for the KDCs and asks each, all at the same time.
pub(super) async fn check(kerberos: &Kerberos) -> Vec<Finding> {
    let (mut steps, kdcs) = match &kerberos.krb5_conf {
        Krb5Conf::Generated { kdcs } if kdcs.is_empty() => find(&kerberos.realm).await,
        Krb5Conf::Generated { kdcs } => (Vec::new(), kdcs.clone()),
        Krb5Conf::Own(files) => configured(files, &kerberos.realm).await,
    };
    let user = kerberos.principal.as_ref().map(|principal| principal.user());
    let request = as_exchange::request(user, kerberos.realm.as_str());
    let asked = join_all(kdcs.iter().map(|kdc| ask(kdc, &request))).await;
    steps.extend(asked.into_iter().flatten());
    steps
}

/// Those that a krb5.conf of the user's own names.
async fn configured(files: &Krb5Files, realm: &Realm) -> (Vec<Finding>, Vec<String>) {
    let text = match files.read() {
        Ok(text) => text,
        Err(error) => {
            let remedy = "correct KRB5_CONFIG, or unset it and set RFC2136_KERBEROS_KDC";
            return (vec![Finding::broken("kdc", files, error.to_string(), remedy)], Vec::new());
        }
    };
    match krb5_conf::kdcs(&text, realm) {
        Kdcs::Named(kdcs) => (Vec::new(), kdcs),
        Kdcs::Srv => find(realm).await,
        Kdcs::Elsewhere => {
            (vec![Finding::skipped("kdc", realm, "named in files that KRB5_CONFIG includes")], Vec::new())
        }
        Kdcs::Nowhere => {
            let detail = format!("{files} names no KDC of {realm}, and its dns_lookup_kdc is off");
            let unknown = Finding::failed("kdc", realm, &Failure::new(Cause::RealmWrong, detail));
            let remedy = "check RFC2136_KERBEROS_REALM, or add the realm with its kdc to the file of KRB5_CONFIG";
            (vec![Finding { remedy: remedy.to_owned(), ..unknown }], Vec::new())
        }
    }
}

/// Those that DNS names, as the Kerberos library finds them.
async fn find(realm: &Realm) -> (Vec<Finding>, Vec<String>) {
    let mut last = format!("DNS has no SRV records _kerberos._tcp.{realm} nor _kerberos._udp.{realm}");
    for protocol in ["_tcp", "_udp"] {
        let Ok(name) = format!("_kerberos.{protocol}.{realm}").parse::<Name>() else { continue };
        match find_services(&name, PATIENCE).await {
            Ok(services) if services.is_empty() => {}
            Ok(services) => {
                let kdcs: Vec<_> = services.iter().map(|Service { host, port }| format!("{host}:{port}")).collect();
                let detail = format!("SRV records of {} name {}", name.to_undotted(), kdcs.join(", "));
                return (vec![Finding::ok("kdc", realm, detail)], kdcs);
            }
            Err(error) => last = chain(&error),
        }
    }
    (vec![Finding::warning("kdc", realm, last, REMEDY)], Vec::new())
}

/// What one KDC answers, and what time it has.
async fn ask(kdc: &str, request: &[u8]) -> Vec<Finding> {
    let failed = |why: &str| vec![Finding::failed("kdc", kdc, &Failure::new(Cause::NoKdc, why))];
    if kdc.contains('/') {
        return vec![Finding::skipped("kdc", kdc, "not reached over plain TCP")];
    }
    let began = now();
    match timeout(PATIENCE, exchange(kdc, request)).await {
        Err(_) => failed(&format!("no answer over TCP within {PATIENCE:?}")),
        Ok(Err(error)) => failed(&error.to_string()),
        Ok(Ok(octets)) => match as_exchange::answer(&octets) {
            None => failed("what answers there does not speak Kerberos"),
            Some(Answer::Ticket) => vec![Finding::ok("kdc", kdc, "answers")],
            Some(Answer::Error { time }) => {
                let skew = time.cast_signed() - began.midpoint(now()).cast_signed();
                vec![Finding::ok("kdc", kdc, "answers"), clock::compare(format!("KDC {kdc}"), skew)]
            }
        },
    }
}

/// One request over TCP (RFC 4120 §7.2.2).
async fn exchange(kdc: &str, request: &[u8]) -> io::Result<Vec<u8>> {
    let addresses: Vec<SocketAddr> = lookup_host(with_port(kdc)).await?.collect();
    let mut stream = TcpStream::connect(addresses.as_slice()).await?;
    let length = u32::try_from(request.len()).unwrap_or_default();
    stream.write_all(&[&length.to_be_bytes(), request].concat()).await?;
    let length = usize::try_from(stream.read_u32().await?).unwrap_or_default();
    let mut answer = vec![0; length.min(MAX_ANSWER)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

fn with_port(kdc: &str) -> String {
    let after_brackets = kdc.rfind(']').unwrap_or(0);
    let has_port = kdc.get(after_brackets..).is_some_and(|rest| rest.contains(':'));
    if has_port { kdc.to_owned() } else { format!("{kdc}:{PORT}") }
}

fn now() -> u64 {
    use std::time::{SystemTime, UNIX_EPOCH};
    #[expect(clippy::disallowed_methods, reason = "compared with the KDC's")]
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::super::report::Grade;
    use super::*;

    #[test]
    fn a_kdc_without_a_port_listens_on_88() {
        let cases = [
            ("kdc.example.test", "kdc.example.test:88"),
            ("192.0.2.1:8888", "192.0.2.1:8888"),
            ("[2001:db8::1]", "[2001:db8::1]:88"),
            ("[2001:db8::1]:750", "[2001:db8::1]:750"),
        ];
        for (given, dialled) in cases {
            assert_eq!(with_port(given), dialled);
        }
    }

    /// What a listener that answers with these octets is taken for.
    async fn listener_that_says(octets: &'static [u8]) -> Vec<Finding> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4];
            stream.read_exact(&mut request).await.unwrap();
            assert_eq!(request, [0, 0, 0, 1], "the length comes first");
            stream.write_all(octets).await.unwrap();
        });
        ask(&address, b"x").await
    }

    #[tokio::test]
    async fn what_listens_there_and_is_no_kdc_is_told() {
        let steps = listener_that_says(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        assert_eq!((steps[0].grade, steps[0].cause), (Grade::Failed, Some("no_kdc")), "{steps:?}");
        let steps = listener_that_says(&[0, 0, 0, 2, 0x30, 0]).await;
        assert!(steps[0].detail.ends_with("does not speak Kerberos"), "{steps:?}");
    }

    #[tokio::test]
    async fn a_kdc_that_hands_out_tickets_to_anybody_answers_and_its_clock_is_not_known() {
        let steps = listener_that_says(&[0, 0, 0, 2, 0x6b, 0]).await;
        assert_eq!(steps.iter().map(|step| (step.step, step.grade)).collect::<Vec<_>>(), [("kdc", Grade::Ok)]);
    }
}
