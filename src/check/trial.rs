//! A test record that is written, looked for, offered unsigned, and deleted; and what the answers mean.

use std::sync::Arc;

use super::report::{Finding, Grade};
use crate::dns::presentation::parse_target;
use crate::dns::tsig::MacInput;
use crate::dns::{Name, Operation, Prerequisite, Rcode, Rdata, RecordType, Ttl, Update, ZoneName};
use crate::nameserver::{Authentication, Authenticity, Sent, Server, ServerError, Settings, UpdateReply};
use crate::provider::{Cause, Failure};

/// Name of the step that writes.
pub(super) const UPDATE: &str = "update";
const UNSIGNED: &str = "unsigned";
const DELETE: &str = "delete";
const SECURE_ONLY: &str =
    "allow signed updates only (AD: dynamic updates \"Secure only\"; BIND: update-policy instead of allow-update)";

type Reply = Result<UpdateReply, ServerError>;

/// `_external-dns-check-<random>` TXT in one zone.
pub(super) struct Trial<'a> {
    zone: &'a ZoneName,
    subject: &'a str,
    name: Name,
    rdata: Rdata,
    prerequisites: bool,
}

/// What a query for the test record has told.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Sight {
    Present,
    Absent,
    Unknown(String),
}

/// The same server, asked by somebody without a key.
pub(super) fn nobody(session: &Settings, server: &Server) -> Server {
    let settings = Settings { authentication: Authentication::Insecure, ..session.clone() };
    Server::new(server.address().clone(), Arc::new(settings))
}

impl<'a> Trial<'a> {
    /// A record of a random name; none where the zone's name leaves no room for it.
    pub(super) fn new(zone: &'a ZoneName, subject: &'a str, prerequisites: bool) -> Option<Self> {
        let label = format!("_external-dns-check-{:08x}", rand::random::<u32>());
        let name = Name::from_labels(std::iter::once(label.as_bytes()).chain(zone.as_name().labels())).ok()?;
        // No other record has this text, so that a wildcard cannot stand in for it.
        let text = format!("external-dns-rfc2136-webhook {label}; may be deleted");
        let rdata = parse_target(RecordType::TXT, &text, |text| text.parse()).ok()?;
        Some(Self { zone, subject, name, rdata, prerequisites })
    }

    /// Writes, looks and deletes; what was written is deleted whatever the answers were.
    pub(super) async fn run(&self, session: &Settings, server: &Server) -> Vec<Finding> {
        let nobody = nobody(session, server);
        let created = server.update(&self.create()).await;
        let sight = self.look(server).await;
        let mut is_left = may_be_there(&created, &sight);
        let mut steps = vec![self.step(UPDATE, &created, server.mac_input(), &sight)];
        let mut taken_unsigned = false;
        if !matches!(session.authentication, Authentication::Insecure) {
            let reply = nobody.update(&self.add()).await;
            taken_unsigned = is_noerror(&reply);
            is_left |= taken_unsigned;
            steps.push(self.unsigned(&reply));
        }
        if is_left {
            let mut deleted = server.update(&self.delete()).await;
            if taken_unsigned && !is_done(&deleted) {
                deleted = nobody.update(&self.delete()).await;
            }
            let sight = self.look(server).await;
            steps.push(self.step(DELETE, &deleted, server.mac_input(), &sight));
        }
        steps
    }

    /// What the answer to one of our own updates means, together with what was seen afterwards.
    fn step(&self, step: &'static str, reply: &Reply, mac_input: Option<MacInput>, sight: &Sight) -> Finding {
        let record = format!("{} TXT", self.name.to_undotted());
        let (done, wanted) = if step == DELETE { ("deleted", Sight::Absent) } else { ("written", Sight::Present) };
        let failed = |cause, detail: String| Finding::failed(step, self.subject, &Failure::new(cause, detail));
        let mut found = match reply {
            reply if step == DELETE && *sight == Sight::Absent && !is_noerror(reply) => {
                Finding::ok(step, self.subject, format!("{record} is not there"))
            }
            Err(error) => Finding::failed(step, self.subject, &Failure::from(error)),
            Ok(UpdateReply { rcode, .. }) if *rcode != Rcode::NOERROR => match Cause::of_update(*rcode) {
                Cause::ServerFailed if mac_input == Some(MacInput::Samba) => {
                    failed(Cause::RefusedByPolicy, format!("{rcode}, which is how Samba's internal DNS refuses"))
                }
                // Samba's BIND9_DLZ looks for names as a query does.
                Cause::PrerequisiteFailed => Finding {
                    remedy: Cause::NotStored.remedy().to_owned(),
                    ..failed(Cause::PrerequisiteFailed, format!("{rcode}, though only a wildcard can hold this name"))
                },
                cause => failed(cause, rcode.to_string()),
            },
            Ok(UpdateReply { authenticity, .. }) => match (sight, authenticity) {
                (Sight::Unknown(why), Authenticity::Unverified(flaw)) => {
                    failed(Cause::UnverifiedReply, format!("{flaw}, and {record} cannot be looked for: {why}"))
                }
                (Sight::Unknown(why), _) => {
                    Finding::ok(step, self.subject, format!("{record} {done}; it cannot be looked for: {why}"))
                }
                (seen, _) if *seen != wanted => failed(Cause::NotStored, record.clone()),
                (_, Authenticity::Unverified(flaw)) => {
                    let detail = format!(
                        "{record} {done}, though the answer proves nothing ({flaw}); the sidecar reads every change back"
                    );
                    Finding::warning(step, self.subject, detail, Cause::UnverifiedReply.remedy())
                }
                (_, Authenticity::Verified(_) | Authenticity::NotAsked) => {
                    Finding::ok(step, self.subject, format!("{record} {done}, and so it is when read back"))
                }
            },
        };
        if step == DELETE && found.grade == Grade::Failed {
            found.remedy = format!("delete {record} by hand; {}", found.remedy);
        }
        found
    }

    /// Whether the zone takes updates from anybody.
    fn unsigned(&self, reply: &Reply) -> Finding {
        match reply {
            Ok(UpdateReply { rcode: Rcode::NOERROR, .. }) => {
                Finding::warning(UNSIGNED, self.subject, "the zone takes updates from anybody, unsigned", SECURE_ONLY)
            }
            Ok(UpdateReply { rcode, .. }) => {
                Finding::ok(UNSIGNED, self.subject, format!("secure only: an unsigned update is answered with {rcode}"))
            }
            Err(error) => {
                let why = Failure::from(error).detail;
                Finding::skipped(UNSIGNED, self.subject, format!("an unsigned update has no answer: {why}"))
            }
        }
    }

    async fn look(&self, server: &Server) -> Sight {
        match server.query(&self.name, RecordType::TXT).await {
            Ok(Some(rrset)) if rrset.rdata().contains(&self.rdata) => Sight::Present,
            // Other texts are those of a wildcard.
            Ok(_) => Sight::Absent,
            Err(error) => Sight::Unknown(Failure::from(&error).detail),
        }
    }

    fn create(&self) -> Update {
        let unused = self.prerequisites.then(|| Prerequisite::NameNotInUse(self.name.clone()));
        Update { prerequisites: unused.into_iter().collect(), ..self.add() }
    }

    /// Without effect where the record stands.
    fn add(&self) -> Update {
        let (name, rdata) = (self.name.clone(), self.rdata.clone());
        self.update(Operation::Add { name, rtype: RecordType::TXT, ttl: Ttl::from_secs(60), rdata })
    }

    fn delete(&self) -> Update {
        let (name, rdata) = (self.name.clone(), self.rdata.clone());
        self.update(Operation::Delete { name, rtype: RecordType::TXT, rdata })
    }

    fn update(&self, operation: Operation) -> Update {
        Update { zone: self.zone.clone(), prerequisites: Vec::new(), operations: vec![operation] }
    }
}

fn is_noerror(reply: &Reply) -> bool {
    reply.as_ref().is_ok_and(|reply| reply.rcode == Rcode::NOERROR)
}

/// Whether the server is known to have done it.
fn is_done(reply: &Reply) -> bool {
    is_noerror(reply) && reply.as_ref().is_ok_and(|reply| reply.authenticity.is_believable())
}

/// Whether the record may be there after this answer to its creation: a bare failure does not tell, and nor does what
/// anyone can have sent.
fn may_be_there(reply: &Reply, sight: &Sight) -> bool {
    match (reply, sight) {
        (_, Sight::Present) => true,
        (Err(error), _) => error.sent == Sent::Unknown,
        (Ok(UpdateReply { rcode: Rcode::NOERROR, .. }), _) => true,
        (Ok(_), Sight::Absent) => false,
        (Ok(reply), Sight::Unknown(_)) => reply.rcode == Rcode::SERVFAIL || !reply.authenticity.is_believable(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::tsig::Flaw;
    use crate::nameserver::testing::{FakeServer, Reaction, TXT, hmac, settings};

    fn zone() -> ZoneName {
        "example.test".parse().unwrap()
    }

    fn reply(rcode: Rcode, authenticity: Authenticity) -> UpdateReply {
        UpdateReply { rcode, authenticity, repeated: false }
    }

    fn unknown() -> Sight {
        Sight::Unknown("no answer".to_owned())
    }

    #[test]
    fn an_answer_means_what_is_seen_afterwards() {
        let zone = zone();
        let trial = Trial::new(&zone, "example.test on ns1", true).unwrap();
        let verified = || Authenticity::Verified(MacInput::Standard);
        let forged = || Authenticity::Unverified(Flaw::Echoed);
        let (good, refused) = (Rcode::NOERROR, Rcode::REFUSED);
        let (ok, warning, failed) = (Grade::Ok, Grade::Warning, Grade::Failed);
        let cases = [
            (reply(good, verified()), Sight::Present, ok, None),
            (reply(good, Authenticity::NotAsked), Sight::Present, ok, None),
            (reply(good, verified()), unknown(), ok, None),
            (reply(good, verified()), Sight::Absent, failed, Some("not_stored")),
            (reply(good, forged()), Sight::Present, warning, None),
            (reply(good, forged()), Sight::Absent, failed, Some("not_stored")),
            (reply(good, forged()), unknown(), failed, Some("unverified_reply")),
            (reply(refused, verified()), Sight::Absent, failed, Some("refused_by_policy")),
            (reply(Rcode::SERVFAIL, verified()), Sight::Absent, failed, Some("server_failed")),
        ];
        for (reply, sight, grade, cause) in cases {
            let step = trial.step(UPDATE, &Ok(reply.clone()), Some(MacInput::Standard), &sight);
            assert_eq!((step.grade, step.cause), (grade, cause), "{reply:?} {sight:?}: {step}");
            assert_eq!(step.remedy.is_empty(), grade == ok, "{step}");
        }
        let taken = Ok(reply(Rcode::YXDOMAIN, verified()));
        let step = trial.step(UPDATE, &taken, None, &Sight::Absent);
        assert!(step.cause == Some("prerequisite_failed") && step.remedy.contains("wildcard"), "{step}");
        let samba = trial.step(UPDATE, &Ok(reply(Rcode::SERVFAIL, verified())), Some(MacInput::Samba), &Sight::Absent);
        assert_eq!(samba.cause, Some("refused_by_policy"), "{samba}");
    }

    #[test]
    fn a_record_that_stays_behind_is_named() {
        let zone = zone();
        let trial = Trial::new(&zone, "example.test on ns1", true).unwrap();
        let refused = Ok(reply(Rcode::REFUSED, Authenticity::Verified(MacInput::Standard)));
        let step = trial.step(DELETE, &refused, None, &Sight::Present);
        let by_hand = format!("delete {} TXT by hand", trial.name.to_undotted());
        assert!(step.grade == Grade::Failed && step.remedy.starts_with(&by_hand), "{step}");
        let gone = trial.step(DELETE, &refused, None, &Sight::Absent);
        assert_eq!(gone.grade, Grade::Ok, "{gone}");
    }

    /// Runs a trial against a server that reacts like this: its steps, and what the requests were.
    async fn run(
        authentication: Authentication,
        reactions: impl IntoIterator<Item = Reaction>,
    ) -> (Vec<Finding>, String) {
        let fake = FakeServer::start().await;
        fake.then(reactions);
        let session = settings(authentication);
        let server = Server::new(fake.address(), session.clone());
        let zone = zone();
        let steps = Trial::new(&zone, "example.test on ns1", true).unwrap().run(&session, &server).await;
        let letter = |message: &crate::dns::Message| {
            let signed = message.additionals.iter().any(|record| record.rtype == RecordType::TSIG);
            match (message.questions[0].rtype == RecordType::TXT, message.authorities.first(), signed) {
                (true, _, _) => 'q',
                (false, Some(record), true) if record.class == crate::dns::Class::NONE => 'D',
                (false, Some(record), false) if record.class == crate::dns::Class::NONE => 'd',
                (false, _, true) => 'U',
                (false, _, false) => 'u',
            }
        };
        let requests = fake.world().requests.iter().map(letter).collect();
        (steps, requests)
    }

    fn outcome(steps: &[Finding]) -> Vec<(&str, Grade)> {
        steps.iter().map(|step| (step.step, step.grade)).collect()
    }

    const GOOD: Reaction = Reaction::Answer(Rcode::NOERROR);
    const REFUSED: Reaction = Reaction::Answer(Rcode::REFUSED);

    #[tokio::test]
    async fn nothing_is_deleted_where_nothing_was_written() {
        let (steps, requests) = run(hmac(), [REFUSED, GOOD, REFUSED]).await;
        assert_eq!(requests, "Uqu");
        assert_eq!(outcome(&steps), [(UPDATE, Grade::Failed), (UNSIGNED, Grade::Ok)]);
    }

    #[tokio::test]
    async fn what_an_open_zone_took_unsigned_is_deleted_unsigned_where_the_key_may_not() {
        let (steps, requests) = run(hmac(), [REFUSED, GOOD, GOOD, REFUSED, GOOD, GOOD]).await;
        assert_eq!(requests, "UquDdq");
        assert_eq!(outcome(&steps), [(UPDATE, Grade::Failed), (UNSIGNED, Grade::Warning), (DELETE, Grade::Ok)]);
        assert!(steps[1].remedy.contains("Secure only"), "{}", steps[1]);
    }

    #[tokio::test]
    async fn a_wildcard_does_not_stand_in_for_the_record() {
        let wildcard = Reaction::Stream(vec![(TXT.to_vec(), true)]);
        let (steps, requests) = run(hmac(), [GOOD, wildcard, REFUSED, GOOD, GOOD]).await;
        assert_eq!(requests, "UquDq");
        assert_eq!(outcome(&steps)[0], (UPDATE, Grade::Failed));
        assert_eq!(steps[0].cause, Some("not_stored"));
    }

    #[tokio::test]
    async fn what_may_have_been_written_is_deleted_and_an_unsigned_update_without_answer_is_no_fault() {
        let (steps, requests) = run(hmac(), [Reaction::Close, REFUSED, Reaction::Close, GOOD, GOOD]).await;
        assert_eq!(requests, "UquDq");
        let expected = [(UPDATE, Grade::Failed), (UNSIGNED, Grade::Skipped), (DELETE, Grade::Ok)];
        assert_eq!(outcome(&steps), expected);
        assert_eq!(steps[0].cause, Some("server_unreachable"));
    }

    #[tokio::test]
    async fn without_a_key_there_is_nothing_to_compare_unsigned_updates_with() {
        let (steps, requests) = run(Authentication::Insecure, [REFUSED, GOOD]).await;
        assert_eq!((requests.as_str(), steps.len()), ("uq", 1));
    }
}
