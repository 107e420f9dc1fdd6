use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::dns::{Message, RecordType};
use crate::gss::{GssError, Initiator};
use crate::kerberos::Realm;
use crate::ldap::LdapFault;
use crate::ldap::testing::{FakeDirectory, Mischief, ZONE, a, soa, txt, value};
use crate::nameserver::{Authentication, Settings};
use crate::provider::Cause;

/// A name server that transfers nothing and knows some addresses.
#[derive(Clone, Default)]
struct NameServer {
    addresses: Arc<Mutex<HashMap<String, [u8; 4]>>>,
    asked: Arc<Mutex<Vec<RecordType>>>,
    /// Answers a transfer with nothing, as Samba's own DNS does, instead of refusing it.
    is_empty: bool,
}

impl NameServer {
    async fn start(&self) -> Server {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let this = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(this.clone().serve(stream));
            }
        });
        let (timeout, authentication) = (Duration::from_secs(5), Authentication::Insecure);
        let settings = Settings { timeout, authentication, tls: None, sign_reads: false };
        let address = ServerAddress { host: "dc1.ad.test".to_owned(), address: Some(Ipv4Addr::LOCALHOST.into()), port };
        Server::new(address, Arc::new(settings))
    }

    async fn serve(self, mut stream: TcpStream) {
        while let Ok(length) = stream.read_u16().await {
            let mut query = vec![0; usize::from(length)];
            stream.read_exact(&mut query).await.unwrap();
            let question = Message::parse(&query).unwrap().questions[0].clone();
            self.asked.lock().unwrap().push(question.rtype);
            let address = self.addresses.lock().unwrap().get(&question.name.to_undotted()).copied();
            let mut reply = query[..12 + question.name.as_wire().len() + 4].to_vec();
            let is_refused = question.rtype == RecordType::AXFR && !self.is_empty;
            reply[2..4].copy_from_slice(&[0x84, if is_refused { 5 } else { 0 }]);
            reply[6..12].fill(0);
            if let Some(address) = address.filter(|_| question.rtype == RecordType::A) {
                reply[7] = 1;
                reply.extend(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04");
                reply.extend(address);
            }
            stream.write_u16(u16::try_from(reply.len()).unwrap()).await.unwrap();
            stream.write_all(&reply).await.unwrap();
        }
    }

    fn knows(&self, name: &str, address: [u8; 4]) {
        self.addresses.lock().unwrap().insert(name.to_owned(), address);
    }

    fn transfers(&self) -> usize {
        self.asked.lock().unwrap().iter().filter(|&&rtype| rtype == RecordType::AXFR).count()
    }
}

fn sources(way: Way, directory: &FakeDirectory, host: Option<ServerAddress>) -> Arc<Sources> {
    let ldap = ldap::Settings {
        initiator: Initiator::new(Arc::new(directory.kerberos.clone())),
        realm: Realm::parse("AD.TEST").unwrap().realm,
        timeout: Duration::from_millis(700),
        base: None,
    };
    Arc::new(Sources::new(way, Some(DirectorySettings { ldap, host, port: directory.address.port })))
}

fn zone() -> ZoneName {
    "ad.test".parse().unwrap()
}

/// A directory with so many hosts, the name server in front of it, and both as a source.
async fn world(way: Way, hosts: u8) -> (FakeDirectory, NameServer, Source) {
    let (directory, dns) = (FakeDirectory::start().await, NameServer::default());
    (0..hosts).for_each(|n| directory.node(&format!("h{n}"), &[a([192, 0, 2, n])]));
    let source = sources(way, &directory, None).of(dns.start().await);
    (directory, dns, source)
}

fn held(refreshed: &Refreshed<Marker>, doubtful: bool) -> Option<Base<Marker>> {
    Some(Base { version: refreshed.version.clone(), doubtful })
}

#[tokio::test]
async fn whatever_goes_wrong_in_the_directory_is_an_error_with_its_cause() {
    use Cause::{DirectoryIncomplete, DirectoryRefused, DirectoryUnreachable};
    let (directory, _, source) = world(Way::Directory, 20).await;
    for (mischief, causes) in [
        (Mischief::Closes, &[DirectoryUnreachable][..]),
        (Mischief::Disconnects, &[DirectoryUnreachable]),
        (Mischief::RepeatsPages, &[DirectoryIncomplete]),
        (Mischief::EmptyPages, &[DirectoryIncomplete]),
        (Mischief::OversizedFrame, &[DirectoryUnreachable]),
        (Mischief::Garbage, &[DirectoryUnreachable]),
        (Mischief::DropsFrame, &[DirectoryUnreachable]),
        (Mischief::Refers, &[DirectoryRefused]),
        (Mischief::NoSealing, &[DirectoryRefused]),
        (Mischief::RefusesBind, &[DirectoryRefused]),
        (Mischief::NoDomain, &[DirectoryRefused]),
        (Mischief::Silent, &[DirectoryUnreachable]),
    ] {
        directory.state().mischief = mischief;
        let error = source.refresh(&zone(), None).await.unwrap_err();
        assert!(causes.contains(&Cause::from(&error)), "{mischief:?}: {error:?}");
    }
    directory.state().mischief = Mischief::None;
    assert_eq!(source.refresh(&zone(), None).await.unwrap().version.contents.record_count(), 21);
    let nowhere: ZoneName = "elsewhere.test".parse().unwrap();
    assert_eq!(Cause::from(&source.refresh(&nowhere, None).await.unwrap_err()), Cause::NotInDirectory);
    directory.remove(&format!("DC=@,{ZONE}"));
    assert_eq!(Cause::from(&source.refresh(&zone(), None).await.unwrap_err()), DirectoryIncomplete);
}

#[tokio::test]
async fn a_server_that_transfers_nothing_is_remembered_and_another_one_asked_again() {
    for is_empty in [false, true] {
        let directory = FakeDirectory::start().await;
        let sources = sources(Way::Either, &directory, Some(directory.address.clone()));
        let names = [(); 2].map(|()| NameServer { is_empty, ..NameServer::default() });
        let [first, second] = [sources.of(names[0].start().await), sources.of(names[1].start().await)];
        let read = first.refresh(&zone(), None).await.unwrap();
        assert_eq!(read.kind, ReadKind::Ldap);
        assert_eq!(first.refresh(&zone(), held(&read, false)).await.unwrap().kind, ReadKind::Unchanged);
        assert_eq!(names[0].transfers(), 1);
        second.refresh(&zone(), None).await.unwrap();
        first.refresh(&zone(), None).await.unwrap();
        assert_eq!([names[0].transfers(), names[1].transfers()], [2, 1], "another one was in between");
    }
}

#[tokio::test]
async fn where_neither_way_works_both_are_told() {
    let (directory, _, source) = world(Way::Either, 0).await;
    directory.state().mischief = Mischief::RefusesBind;
    let error = source.refresh(&zone(), None).await.unwrap_err();
    let text = crate::provider::chain(&error);
    assert!(text.contains("REFUSED") || text.to_lowercase().contains("refuse"), "{text}");
    assert!(text.contains("AcceptSecurityContext"), "{text}");
    assert_eq!(Cause::from(&error), Cause::DirectoryRefused);
    // A server that is no domain's, or no directory at all, has but refused the transfer.
    directory.state().mischief = Mischief::NoDomain;
    let error = source.refresh(&zone(), None).await.unwrap_err();
    assert_eq!(Cause::from(&error), Cause::TransferRefused, "{error:?}");
    let unknown = GssError { minor: -1_765_328_377, ..GssError::default() };
    directory.kerberos.fail_step(Some(unknown));
    let dns = NameServer::default();
    let source = sources(Way::Either, &directory, None).of(dns.start().await);
    let error = source.refresh(&zone(), None).await.unwrap_err();
    assert_eq!(Cause::from(&error), Cause::TransferRefused, "{error:?}");
}

#[tokio::test]
async fn what_should_have_changed_and_has_not_is_read_whole() {
    let (_, _, source) = world(Way::Directory, 3).await;
    let read = source.refresh(&zone(), None).await.unwrap();
    assert_eq!(source.refresh(&zone(), held(&read, false)).await.unwrap().kind, ReadKind::Unchanged);
    let again = source.refresh(&zone(), held(&read, true)).await.unwrap();
    assert_eq!((again.kind, &again.version.contents), (ReadKind::Ldap, &read.version.contents));
}

#[tokio::test]
async fn a_name_that_the_directory_hides_and_dns_answers_is_an_error_and_no_short_zone() {
    let (directory, dns, source) = world(Way::Directory, 3).await;
    (0..3).for_each(|n| dns.knows(&format!("h{n}.ad.test"), [192, 0, 2, n]));
    directory.node("a-h1", &[txt("heritage=external-dns,external-dns/owner=default")]);
    let read = source.refresh(&zone(), None).await.unwrap();
    let fault = async |held| match source.refresh(&zone(), held).await.unwrap_err() {
        SourceError::Directory(LdapError { fault: LdapFault::Hidden { name, .. }, .. }) => name.to_undotted(),
        error => panic!("{error:?}"),
    };
    // Denied: it is there no more for this account.
    directory.remove(&format!("DC=h2,{ZONE}"));
    assert_eq!(fault(held(&read, true)).await, "h2.ad.test");
    // A registry TXT speaks for one that was never shown.
    directory.remove(&format!("DC=h1,{ZONE}"));
    assert_eq!(fault(None).await, "h1.ad.test");
    // Its entry is shown, and nothing in it.
    directory.node("h1", &[a([192, 0, 2, 1])]);
    directory.put(&format!("DC=h2,{ZONE}"), &[("objectClass", vec![b"dnsNode".to_vec()])]);
    assert_eq!(fault(None).await, "h2.ad.test");
    // Marked as deleted, which a server's memory may not know yet.
    let attributes = [("objectClass", "dnsNode"), ("name", "h2"), ("dNSTombstoned", "TRUE")];
    let attributes = attributes.map(|(name, value)| (name, vec![value.as_bytes().to_vec()]));
    directory.put(&format!("DC=h2,{ZONE}"), &attributes);
    assert_eq!(source.refresh(&zone(), None).await.unwrap().version.contents.record_count(), 4);
    // Deleted, from DNS too.
    directory.remove(&format!("DC=h2,{ZONE}"));
    dns.addresses.lock().unwrap().remove("h2.ad.test");
    assert_eq!(source.refresh(&zone(), None).await.unwrap().version.contents.record_count(), 4);
}

#[tokio::test]
async fn what_is_left_out_for_its_form_is_not_taken_for_hidden() {
    let (directory, dns, source) = world(Way::Directory, 1).await;
    dns.knows("h0.ad.test", [192, 0, 2, 0]);
    let read = source.refresh(&zone(), None).await.unwrap();
    directory.node("txt-h0", &[txt("heritage=external-dns,external-dns/owner=default")]);
    directory.node("h0", &[value(1, 0xf0, 300, 0, b"no address")]);
    directory.node("@", &[soa(2)]);
    let read = source.refresh(&zone(), held(&read, false)).await.unwrap();
    assert_eq!((read.kind, read.version.contents.record_count()), (ReadKind::Ldap, 2));
}
