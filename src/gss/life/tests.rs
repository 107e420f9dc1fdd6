use std::io::Write;

use super::*;
use crate::gss::fake::FakeKerberos;
use crate::kerberos::Realm;

const HOUR: Duration = Duration::from_secs(3600);

fn principal() -> Principal {
    Principal::parse("externaldns", &Realm::parse("EXAMPLE.TEST").unwrap().realm).unwrap()
}

fn credential(kerberos: &FakeKerberos, secret: &Path) -> Credential {
    Credential::new(Arc::new(kerberos.clone()), Some(principal()), &CredentialSource::Keytab(secret.to_owned()))
}

fn error(minor: i32) -> GssError {
    GssError { minor, minor_text: format!("code {minor}"), ..GssError::default() }
}

fn secret(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn recorded(result: Result<Duration, GssError>, now: Instant) -> State {
    let mut state = State::default();
    state.record(now, Tried(None), result);
    state
}

#[test]
fn a_held_ticket_is_not_asked_for_again() {
    let (kerberos, file) = (FakeKerberos::new(), secret("a"));
    let credential = credential(&kerberos, file.path());
    for _ in 0..3 {
        credential.acquire().unwrap();
        credential.attempt().unwrap();
    }
    assert_eq!(kerberos.acquisitions(), 1);
    assert!(credential.state().expires_in.is_some_and(|left| left > 9 * HOUR));
}

#[test]
fn a_ticket_is_renewed_ten_minutes_or_a_fifth_of_its_life_ahead() {
    let now = Instant::now();
    for (life, renew) in [(10 * HOUR, 10 * HOUR - RENEW_AHEAD), (Duration::from_secs(100), Duration::from_secs(80))] {
        let state = recorded(Ok(life), now);
        assert!(!state.is_due(now + renew - Duration::from_secs(1), &Tried(None)));
        assert!(state.is_due(now + renew, &Tried(None)));
    }
}

#[test]
fn defect_27_a_rejected_secret_is_not_tried_again_until_it_changes() {
    let (kerberos, file) = (FakeKerberos::new(), secret("wrong"));
    kerberos.fail_acquire(Some(error(code::PREAUTH_FAILED)));
    let credential = credential(&kerberos, file.path());
    for _ in 0..50 {
        assert_eq!(credential.acquire().unwrap_err().minor, code::PREAUTH_FAILED);
    }
    assert_eq!(kerberos.acquisitions(), 1);
    kerberos.fail_acquire(None);
    std::fs::write(file.path(), "right").unwrap();
    credential.acquire().unwrap();
    assert_eq!((kerberos.acquisitions(), credential.state().error), (2, None));
}

#[test]
fn rejections_back_off_from_five_minutes_to_an_hour() {
    let now = Instant::now();
    let mut state = State::default();
    let mut waits = Vec::new();
    for _ in 0..7 {
        state.record(now, Tried(None), Err(error(code::CLIENT_REVOKED)));
        waits.push(state.failed.as_ref().unwrap().retry.duration_since(now).as_secs());
    }
    assert_eq!(waits, [300, 600, 1200, 2400, 3600, 3600, 3600]);
}

#[test]
fn an_absent_kdc_is_tried_again_within_seconds() {
    let now = Instant::now();
    let state = recorded(Err(error(code::KDC_UNREACHABLE)), now);
    assert!(!state.is_due(now + Duration::from_secs(1), &Tried(None)));
    assert!(state.is_due(now + Duration::from_secs(3), &Tried(None)));
}

#[test]
fn the_old_ticket_serves_until_the_new_secret_stands() {
    let (kerberos, file) = (FakeKerberos::new(), secret("old"));
    let credential = credential(&kerberos, file.path());
    credential.acquire().unwrap();
    std::fs::write(file.path(), "new").unwrap();
    kerberos.fail_acquire(Some(error(code::PREAUTH_FAILED)));
    credential.attempt().unwrap();
    let state = credential.state();
    assert!(state.expires_in.is_some() && state.error.is_some_and(|error| error.minor == code::PREAUTH_FAILED));
    credential.acquire().unwrap();
    assert_eq!(kerberos.acquisitions(), 2);
}

#[test]
fn refused_tickets_are_replaced_once_and_not_by_every_caller() {
    let (kerberos, file) = (FakeKerberos::new(), secret("a"));
    let credential = credential(&kerberos, file.path());
    credential.acquire().unwrap();
    for _ in 0..5 {
        credential.forget();
        credential.acquire().unwrap();
    }
    assert_eq!(kerberos.acquisitions(), 2);
}

#[test]
fn a_refused_ticket_stays_where_no_other_can_be_had() {
    let (kerberos, file) = (FakeKerberos::new(), secret("a"));
    let credential = credential(&kerberos, file.path());
    credential.acquire().unwrap();
    kerberos.fail_acquire(Some(error(code::KDC_UNREACHABLE)));
    credential.forget();
    credential.acquire().unwrap();
    assert_eq!((kerberos.acquisitions(), credential.state().expires_in.is_some()), (2, true));
}

#[test]
fn refused_tickets_do_not_bring_a_rejected_secret_to_the_kdc_again() {
    let (kerberos, file) = (FakeKerberos::new(), secret("old"));
    let credential = credential(&kerberos, file.path());
    credential.acquire().unwrap();
    std::fs::write(file.path(), "wrong").unwrap();
    kerberos.fail_acquire(Some(error(code::PREAUTH_FAILED)));
    credential.attempt().unwrap();
    credential.forget();
    credential.acquire().unwrap();
    assert_eq!(kerberos.acquisitions(), 2);
}

#[test]
fn a_swapped_symbolic_link_is_a_changed_secret() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    for version in ["v1", "v2"] {
        std::fs::create_dir(at(version)).unwrap();
        std::fs::write(at(version).join("keytab"), version).unwrap();
    }
    std::os::unix::fs::symlink("v1", at("data")).unwrap();
    let before = Fingerprint::of(&at("data/keytab"));
    assert!(before.is_some() && before == Fingerprint::of(&at("data/keytab")));
    std::os::unix::fs::symlink("v2", at("next")).unwrap();
    std::fs::rename(at("next"), at("data")).unwrap();
    assert!(before != Fingerprint::of(&at("data/keytab")));
}

#[test]
fn many_callers_ask_a_silent_kdc_once() {
    let (kerberos, file) = (FakeKerberos::new(), secret("a"));
    kerberos.set_delay(Duration::from_millis(200));
    kerberos.fail_acquire(Some(error(code::KDC_UNREACHABLE)));
    let credential = Arc::new(credential(&kerberos, file.path()));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| credential.acquire().unwrap_err());
        }
    });
    assert_eq!(kerberos.acquisitions(), 1);
}

#[test]
fn a_kdc_that_is_silent_is_told_of_while_it_is_waited_for() {
    let file = secret("a");
    let credential = credential(&FakeKerberos::new(), file.path());
    credential.lock().asking_since = Instant::now().checked_sub(SILENT_AFTER * 2);
    assert!(credential.state().error.is_some_and(|error| error.minor == code::KDC_UNREACHABLE));
}

#[test]
fn an_expired_ticket_is_replaced_at_once() {
    let (kerberos, file) = (FakeKerberos::new(), secret("a"));
    kerberos.set_lifetime(Duration::from_millis(1));
    let credential = credential(&kerberos, file.path());
    let _ = credential.acquire();
    std::thread::sleep(Duration::from_millis(5));
    kerberos.set_lifetime(HOUR);
    credential.acquire().unwrap();
    assert_eq!(kerberos.acquisitions(), 2);
}

#[tokio::test]
async fn the_background_task_takes_a_changed_secret_into_use() {
    let (kerberos, file) = (FakeKerberos::new(), secret("wrong"));
    kerberos.fail_next_acquire(error(code::PREAUTH_FAILED));
    let credential = Arc::new(credential(&kerberos, file.path()));
    let task = tokio::spawn(Arc::clone(&credential).keep_fresh());
    while kerberos.acquisitions() < 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    std::fs::write(file.path(), "right").unwrap();
    let followed = tokio::time::timeout(POLL * 3, async {
        while credential.state().expires_in.is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    followed.await.unwrap();
    task.abort();
    assert_eq!(kerberos.acquisitions(), 2);
}
