//! What is sent to Samba: how much in a message, and under how many contexts.

use hickory_proto::op::OpCode;

use super::{ZONES, host};
use crate::support::{Backend, Changes, InnerForwarder, Samba, Sidecar};

/// What a message to a server that may be Samba never exceeds.
const MAX_OCTETS: usize = 15 * 1024;
/// Contexts that Samba's internal DNS remembers.
const RING: usize = 128;

fn behind_a_forwarder(samba: &Samba, profile: &str) -> (InnerForwarder, Sidecar) {
    let forwarder = samba.forwarder();
    let settings = samba.settings(&["second.test"]).servers(&[&forwarder.server("dc1.ad.test")], &["second.test"]);
    // The time that Samba takes is not the question here.
    let settings = settings.set("RFC2136_READ", "none").set("WEBHOOK_DEADLINE", "60s").set("RFC2136_TIMEOUT", "20s");
    let sidecar = settings.set("RFC2136_SERVER_PROFILE", profile).start();
    (forwarder, sidecar)
}

fn tkey_requests(forwarder: &InnerForwarder) -> usize {
    const TKEY: u16 = 249;
    let mut messages = forwarder.messages();
    messages.retain(|message| message.request && message.op_code() == OpCode::Query);
    messages.iter().filter(|message| u16::from(message.decode().queries[0].query_type()) == TKEY).count()
}

/// Creates and deletes so many records, each in one apply.
fn records_fit(count: usize, backend: Backend, profile: &str) {
    let samba = Samba::start(backend);
    let (forwarder, sidecar) = behind_a_forwarder(&samba, profile);
    let all = |change: &dyn Fn(Changes, usize) -> Changes| (0..count).fold(Changes::new(), change);
    let last = host(count - 1);
    sidecar.apply_all(&all(&|changes, n| changes.create(&host(n))));
    assert_eq!(samba.held(&last.name, "A"), ["192.0.2.1"]);
    assert_eq!(samba.held(&last.registry_txt().name, "TXT"), last.registry_txt().targets);
    sidecar.apply_all(&all(&|changes, n| changes.delete(&host(n))));
    assert_eq!(samba.held(&last.name, "A"), [""; 0]);
    let sizes: Vec<usize> = forwarder.updates().iter().map(|message| message.bytes.len()).collect();
    let largest = sizes.iter().max().copied().unwrap();
    assert!(largest <= MAX_OCTETS, "{largest} octets");
    assert!(sizes.len() < count / 5, "{} messages", sizes.len());
    assert_eq!(tkey_requests(&forwarder), 1);
}

#[test]
fn two_thousand_records_take_messages_below_15_kib_whatever_the_server_may_be() {
    records_fit(2000, Backend::Internal, "auto");
}

#[test]
fn many_records_take_messages_below_15_kib_with_profile_samba() {
    records_fit(500, Backend::Bind9Dlz, "samba");
}

#[test]
fn two_hundred_applies_take_one_context_and_it_is_deleted_at_the_end() {
    for backend in Backend::all() {
        let samba = Samba::start(backend);
        let (forwarder, sidecar) = behind_a_forwarder(&samba, "auto");
        for n in 0..200 {
            sidecar.apply_all(&Changes::new().create(&host(n)));
        }
        assert!(forwarder.updates().len() > RING);
        assert_eq!(tkey_requests(&forwarder), 1, "{backend:?}");
        assert_eq!(sidecar.sigterm().0, Some(0));
        assert_eq!(tkey_requests(&forwarder), 2, "{backend:?}: the context is deleted");
        let messages = forwarder.messages();
        let last = messages.last().unwrap();
        // The internal DNS of Samba 4.22 knows no deletion.
        let agrees = last.bytes[3] & 0xF == 0 || backend == Backend::Internal;
        assert!(!last.request && agrees, "{backend:?}: the server agrees");
    }
}

#[test]
fn a_context_that_a_restarted_controller_has_lost_is_replaced_and_nobody_notices() {
    for backend in Backend::all() {
        let mut samba = Samba::start(backend);
        let sidecar = samba.settings(&["second.test"]).set("RFC2136_READ", "none").start();
        sidecar.apply_all(&Changes::new().create(&host(1)));
        samba.restart();
        sidecar.apply_all(&Changes::new().create(&host(2)));
        assert_eq!(sidecar.logged("security context established"), 2, "{backend:?}: {}", sidecar.log());
        assert_eq!(samba.held("h2.second.test", "A"), ["192.0.2.1"]);
    }
}

/// Samba refuses what was signed before a message that it has seen already, so that transfers over connections of their own
/// must not overtake each other.
#[test]
fn zones_that_are_read_side_by_side_share_one_context() {
    let samba = Samba::start(Backend::Internal);
    for _ in 0..6 {
        let sidecar = samba.settings(&ZONES).start();
        sidecar.records();
        assert_eq!(sidecar.logged("security context established"), 1, "{}", sidecar.log());
    }
}
