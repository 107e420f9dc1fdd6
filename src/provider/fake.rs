//! A stateful authority for tests: it applies RFC 2136, and misbehaves where it is told to.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::time::Instant;

use super::authority::{Authority, Seen};
use super::status::{ServerStatus, ZoneStatus};
use super::{Cause, Failure};
use crate::dns::{Name, Prerequisite, RecordType, Rrset, Update, ZoneContents, ZoneName};
use crate::ldap::Ages;
use crate::plan::delivery::Fate;
use crate::plan::fake_zone;

/// The servers of some zones.
#[derive(Clone)]
pub(super) struct FakeAuthority(Arc<Mutex<World>>);

pub(super) struct World {
    pub(super) zones: BTreeMap<ZoneName, ZoneContents>,
    /// What was last shown of each.
    shown: BTreeMap<ZoneName, Arc<ZoneContents>>,
    /// Every message, in order.
    pub(super) messages: Vec<Update>,
    /// Whether zones can be read.
    pub(super) is_readable: bool,
    /// Whether a directory tells single names.
    pub(super) has_directory: bool,
    /// Names at which the policy denies every change.
    pub(super) denied: BTreeSet<Name>,
    pub(super) denies_all: bool,
    /// How the next messages with operations go wrong, by their number.
    pub(super) faults: BTreeMap<usize, Misbehaviour>,
    /// Stores nothing, and says NOERROR, as Samba's BIND9_DLZ does beside a wildcard.
    pub(super) loses_updates: bool,
    /// Takes what a wildcard would answer for what is there, as Samba's BIND9_DLZ does.
    pub(super) wildcards_exist_everywhere: bool,
    /// Takes a part of an RRset for the whole, as Samba does.
    pub(super) parts_match: bool,
    /// Prints messages instead of applying them.
    pub(super) only_prints: bool,
    /// So many questions get no answer.
    pub(super) lost_questions: usize,
    pub(super) delay: std::time::Duration,
    /// What a directory says of the ages of records.
    pub(super) ages: Result<Option<Ages>, Failure>,
}

/// How a message goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misbehaviour {
    /// It is applied, and the answer is lost.
    AnswerLost,
    /// It is lost.
    MessageLost,
    /// It is applied, and the answer says SERVFAIL.
    FailsAfterwards,
    /// It is applied, and the answer does not verify.
    Unverifiable,
    /// It is not applied, and the answer is forged.
    Forged,
    /// It is not applied, and nobody is left to ask.
    Unreachable,
}

impl FakeAuthority {
    /// Empty zones.
    pub(super) fn new(zones: &[&str]) -> Self {
        let zones = zones.iter().map(|zone| zone.parse::<ZoneName>().unwrap());
        Self(Arc::new(Mutex::new(World {
            zones: zones.map(|zone| (zone.clone(), ZoneContents::new(zone, 1))).collect(),
            shown: BTreeMap::new(),
            messages: Vec::new(),
            is_readable: true,
            has_directory: false,
            denied: BTreeSet::new(),
            denies_all: false,
            faults: BTreeMap::new(),
            loses_updates: false,
            wildcards_exist_everywhere: false,
            parts_match: false,
            only_prints: false,
            lost_questions: 0,
            delay: std::time::Duration::ZERO,
            ages: Ok(None),
        })))
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    /// Messages that would change something, and forgets all.
    pub(super) fn take_changing(&self) -> Vec<Update> {
        let messages = std::mem::take(&mut self.world().messages);
        messages.into_iter().filter(|message| !message.operations.is_empty()).collect()
    }
}

impl World {
    fn answer(&mut self, update: &Update) -> Result<Fate<Failure>, Failure> {
        let number = self.messages.iter().filter(|message| !message.operations.is_empty()).count();
        self.messages.push(update.clone());
        let found = |cause| Failure::new(cause, "as told");
        if self.only_prints {
            return Ok(Fate::Printed);
        }
        if update.operations.is_empty() {
            if let Some(left) = self.lost_questions.checked_sub(1) {
                self.lost_questions = left;
                return Ok(Fate::Unknown(found(Cause::ServerUnreachable)));
            }
            return Ok(self.apply(update));
        }
        Ok(match self.faults.remove(&number) {
            None => self.apply(update),
            Some(Misbehaviour::AnswerLost) => {
                self.apply(update);
                Fate::Unknown(found(Cause::ServerUnreachable))
            }
            Some(Misbehaviour::MessageLost) => Fate::Unknown(found(Cause::ServerUnreachable)),
            Some(Misbehaviour::FailsAfterwards) => {
                self.apply(update);
                Fate::Denied { failure: found(Cause::ServerFailed), maybe_applied: true }
            }
            Some(Misbehaviour::Unverifiable) => match self.apply(update) {
                Fate::Applied => Fate::Unverified(found(Cause::UnverifiedReply)),
                other => other,
            },
            Some(Misbehaviour::Forged) => Fate::Unverified(found(Cause::UnverifiedReply)),
            Some(Misbehaviour::Unreachable) => return Err(found(Cause::ServerUnreachable)),
        })
    }

    fn apply(&mut self, update: &Update) -> Fate<Failure> {
        let is_denied = |name| self.denies_all || self.denied.contains(name);
        if update.operations.iter().any(|operation| is_denied(operation.name())) {
            let failure = Failure::new(Cause::RefusedByPolicy, "REFUSED");
            return Fate::Denied { failure, maybe_applied: false };
        }
        let zone = self.zones.get_mut(&update.zone).unwrap();
        let mut scratch = zone.clone();
        let mut update = update.clone();
        if self.parts_match {
            update.prerequisites.iter_mut().for_each(|prerequisite| widen(prerequisite, zone));
        }
        if self.wildcards_exist_everywhere {
            let operations = std::mem::take(&mut update.operations);
            if let Err(rcode) = fake_zone::apply(&update, &mut with_wildcards(zone, &update)) {
                return prerequisite_failed(rcode);
            }
            update = Update { prerequisites: Vec::new(), operations, ..update };
        }
        let target = if self.loses_updates { &mut scratch } else { zone };
        match fake_zone::apply(&update, target) {
            Ok(()) => Fate::Applied,
            Err(rcode) => prerequisite_failed(rcode),
        }
    }
}

fn prerequisite_failed(rcode: fake_zone::Rcode) -> Fate<Failure> {
    Fate::PrerequisiteFailed(Failure::new(Cause::PrerequisiteFailed, format!("{rcode:?}")))
}

/// Asks for all that is there, where it holds what was asked for.
fn widen(prerequisite: &mut Prerequisite, zone: &ZoneContents) {
    if let Prerequisite::RrsetEquals(asked) = prerequisite
        && let Some(held) = zone.rrset(asked.name(), asked.rtype())
        && asked.rdata().iter().all(|rdata| held.rdata.contains(rdata))
        && let Some(all) = held.to_rrset()
    {
        *asked = all;
    }
}

/// The zone as it looks to who asks for the names in an update's prerequisites.
fn with_wildcards(zone: &ZoneContents, update: &Update) -> ZoneContents {
    let mut seen = zone.clone();
    for prerequisite in &update.prerequisites {
        let name = match prerequisite {
            Prerequisite::NameInUse(name) | Prerequisite::NameNotInUse(name) => name,
            Prerequisite::RrsetExists { name, .. } | Prerequisite::RrsetDoesNotExist { name, .. } => name,
            Prerequisite::RrsetEquals(rrset) => rrset.name(),
        };
        if zone.at(name).next().is_some() {
            continue;
        }
        for rrset in zone.wildcard_above(name).into_iter().flat_map(|wildcard| zone.at(wildcard)) {
            rrset.rdata.iter().for_each(|rdata| seen.add(name, rrset.rtype, rrset.ttl, rdata.clone()));
        }
    }
    seen
}

impl Authority for FakeAuthority {
    type Pin = ();

    async fn pin_for_read(&self) -> Result<(), Failure> {
        Ok(())
    }

    async fn pin_for_write(&self) -> Result<(), Failure> {
        Ok(())
    }

    async fn pin_to_look(&self) -> Result<(), Failure> {
        Ok(())
    }

    fn server(&self, (): &()) -> String {
        "fake".to_owned()
    }

    async fn read(&self, (): &(), zone: &ZoneName, _: Instant) -> Result<Arc<ZoneContents>, Failure> {
        let mut world = self.world();
        if !world.is_readable {
            return Err(Failure::new(Cause::TransferRefused, "as told"));
        }
        let unknown = || Failure::new(Cause::NotAuthoritative, format!("zone {zone}: not served here"));
        let contents = world.zones.get(zone).ok_or_else(unknown)?.clone();
        // What has not changed is the version that was shown before.
        if let Some(shown) = world.shown.get(zone).filter(|shown| ***shown == contents) {
            return Ok(shown.clone());
        }
        let contents = Arc::new(contents);
        world.shown.insert(zone.clone(), contents.clone());
        Ok(contents)
    }

    async fn warm(&self, pin: &(), zone: &ZoneName, deadline: Instant) -> Result<(), Failure> {
        self.read(pin, zone, deadline).await.map(drop)
    }

    async fn confirm(&self, pin: &(), zone: &ZoneName, deadline: Instant) -> Result<Arc<ZoneContents>, Failure> {
        self.read(pin, zone, deadline).await
    }

    async fn reach(&self, (): &(), _: &ZoneName) -> Result<(), Failure> {
        Ok(())
    }

    fn copy(&self, (): &(), zone: &ZoneName) -> Option<Arc<ZoneContents>> {
        self.world().shown.get(zone).cloned()
    }

    fn remember(&self, (): &(), update: &Update) {
        if let Some(shown) = self.world().shown.get_mut(&update.zone) {
            let contents = Arc::make_mut(shown);
            update.operations.iter().for_each(|operation| operation.apply_to(contents));
        }
    }

    fn doubt(&self, (): &(), zone: &ZoneName) {
        self.world().shown.remove(zone);
    }

    async fn update(&self, (): &(), update: &Update) -> Result<Fate<Failure>, Failure> {
        let delay = self.world().delay;
        tokio::time::sleep(delay).await;
        self.world().answer(update)
    }

    async fn look(&self, (): &(), name: &Name, rtype: RecordType) -> Result<Seen, Failure> {
        let world = self.world();
        let zone = world.zones.values().find(|zone| name.is_at_or_below(zone.zone().as_name())).unwrap();
        let is_cut = |at: &Name| at != zone.zone().as_name() && zone.rrset(at, RecordType::NS).is_some();
        let above = std::iter::successors(Some(name.clone()), Name::parent);
        if above.take_while(|at| at.is_at_or_below(zone.zone().as_name())).any(|at| is_cut(&at)) {
            return Ok(Seen::Referral);
        }
        let is_there = zone.at(name).next().is_some();
        let source = if is_there { Some(name) } else { zone.wildcard_above(name) };
        let found = source.and_then(|source| zone.rrset(source, rtype));
        Ok(Seen::Records(found.and_then(|held| Rrset::new(name.clone(), rtype, held.ttl, held.rdata.to_vec()))))
    }

    async fn nodes(&self, (): &(), zone: &ZoneName, names: &[Name]) -> Option<ZoneContents> {
        let world = self.world();
        let held = world.zones.get(zone).filter(|_| world.has_directory)?;
        let mut nodes = ZoneContents::new(zone.clone(), 0);
        for rrset in held.iter().filter(|rrset| names.contains(rrset.name)) {
            rrset.rdata.iter().for_each(|rdata| nodes.add(rrset.name, rrset.rtype, rrset.ttl, rdata.clone()));
        }
        Some(nodes)
    }

    async fn ages(&self, (): &(), _: &ZoneName, _: &HashSet<(Name, RecordType)>) -> Result<Option<Ages>, Failure> {
        self.world().ages.clone()
    }

    fn zone_status(&self, zone: &ZoneName) -> ZoneStatus {
        ZoneStatus { zone: zone.to_string(), ..ZoneStatus::default() }
    }

    fn server_status(&self) -> Vec<ServerStatus> {
        Vec::new()
    }

    async fn close(&self) {}
}
