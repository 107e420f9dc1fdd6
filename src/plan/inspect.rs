//! What the rules say of one name: whether each record set is listed, whose it is, and what a change would do.

use std::sync::Arc;

use super::Policy;
use super::batch::{Batch, Indexed};
use super::canonical::canonical_targets;
use super::copies::Copies;
use super::group::group;
use super::hidden::cover;
use super::intake::intake;
use super::listing::list;
use super::ownership::{Claim, claim};
use super::protected::Infrastructure;
use super::reason::{Reason, Refusal};
use super::registry::{may_speak_for, owned_candidates};
use super::step::plan;
use crate::api::Changes;
use crate::dns::{Name, RecordType, RrsetRef, Ttl, Update};

/// A record set at a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordSet {
    /// Its type.
    pub rtype: RecordType,
    /// Its TTL.
    pub ttl: Ttl,
    /// Its targets, as they are listed.
    pub targets: Vec<String>,
    /// Why it is not listed, where it is not.
    pub unlisted: Option<Reason>,
    /// Registry TXT that may speak for it.
    pub texts: Vec<RegistryText>,
}

/// A registry TXT that may speak for a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryText {
    /// Its name.
    pub name: Name,
    /// The owner that it names; none where it is encrypted.
    pub owner: Option<String>,
}

/// What a change would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// The zone holds the result already.
    Nothing,
    /// These messages, one after the other.
    Updates(Vec<Update>),
    /// It would be rejected.
    Refused(Vec<Refusal>),
}

/// The record sets at a name, in the zone that answers for it.
#[must_use]
pub fn record_sets(name: &Name, copies: &Copies, policy: &Policy) -> Vec<RecordSet> {
    let Some(contents) = policy.zones.find(name).and_then(|zone| copies.get(zone)) else { return Vec::new() };
    let infrastructure = Infrastructure::of(contents);
    let undotted = name.to_undotted();
    let mut listed = list(contents, policy);
    listed.retain(|endpoint| endpoint.dns_name == undotted);
    let describe = |rrset: RrsetRef<'_>| {
        let rtype = rrset.rtype;
        let is_listed = listed.iter().any(|endpoint| endpoint.record_type == rtype.to_string());
        let is_protected = policy.protected.covers(contents.zone(), Some(&infrastructure), name, rtype);
        let unlisted = || match cover(contents, name, rtype) {
            _ if is_protected => Reason::Protected,
            Some(cover) => cover.reason(),
            None => Reason::UnsupportedType(rtype.to_string()),
        };
        RecordSet {
            rtype,
            ttl: rrset.ttl,
            targets: canonical_targets(rtype, rrset.rdata),
            unlisted: (!is_listed).then(unlisted),
            texts: texts(name, rtype, copies),
        }
    };
    contents.at(name).map(describe).collect()
}

/// Registry TXT that may speak for a record: of those whose names could, the ones with the fewest words besides.
fn texts(name: &Name, rtype: RecordType, copies: &Copies) -> Vec<RegistryText> {
    let is_meant = |text: &RrsetRef<'_>| {
        text.rtype == RecordType::TXT
            && text.name != name
            && may_speak_for(text.name, name, rtype)
            && owned_candidates(text.name).any(|owned| owned == *name)
    };
    let mut found: Vec<RegistryText> = Vec::new();
    for text in copies.contents().flat_map(|contents| contents.iter()).filter(is_meant) {
        found.extend(text.rdata.iter().filter_map(|rdata| {
            let owner = match claim(rdata) {
                Claim::Owner(owner) => Some(owner),
                Claim::Sealed => None,
                Claim::Foreign => return None,
            };
            Some(RegistryText { name: text.name.clone(), owner })
        }));
    }
    let length = |text: &RegistryText| text.name.as_wire().len();
    let least = found.iter().map(length).min();
    found.retain(|text| Some(length(text)) == least);
    found
}

/// What these changes would do, if they were all that is asked.
#[must_use]
pub fn attempt(changes: &Changes, copies: &Copies, policy: &Policy) -> Attempt {
    let (changes, mut refused) = intake(changes, policy);
    let grouped = group(changes, policy);
    refused.extend(grouped.refused);
    let mut updates = Vec::new();
    for group in &grouped.groups {
        for part in &group.parts {
            match plan(group, part, copies, policy) {
                Ok(step) => {
                    let mut next = step.map(Arc::new);
                    while let Some(step) = next {
                        next = step.next.clone();
                        updates.push(Batch { steps: vec![Indexed { group: 0, step }] }.update(&part.zone));
                    }
                }
                Err(refusals) => refused.extend(refusals),
            }
        }
    }
    match (refused.is_empty(), updates.is_empty()) {
        (false, _) => Attempt::Refused(refused),
        (true, false) => Attempt::Updates(updates),
        (true, true) => Attempt::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::policy;
    use super::*;
    use crate::api::Endpoint;
    use crate::dns::presentation::parse_target;
    use crate::dns::{ZoneContents, ZoneName};

    const TEXT: &str = "\"heritage=external-dns,external-dns/owner=k8s,external-dns/resource=service/default/web\"";

    fn copies(records: &[(&str, &str, &str)]) -> Copies {
        let zone: ZoneName = "example.test".parse().unwrap();
        let mut contents = ZoneContents::new(zone.clone(), 1);
        for (name, rtype, target) in records {
            let rtype: RecordType = rtype.parse().unwrap();
            let rdata = parse_target(rtype, target, |text| text.parse()).unwrap();
            contents.add(&name.parse().unwrap(), rtype, Ttl::from_secs(300), rdata);
        }
        Copies::from_iter([(zone, Arc::new(contents))])
    }

    fn explained(name: &str, records: &[(&str, &str, &str)]) -> Vec<RecordSet> {
        record_sets(&name.parse().unwrap(), &copies(records), &policy(&["example.test"]))
    }

    #[test]
    fn a_record_is_told_with_its_owner_by_the_text_that_is_closest_to_its_name() {
        let other = TEXT.replace("k8s", "other");
        let records = [
            ("web.example.test", "A", "192.0.2.1"),
            ("web.example.test", "AAAA", "2001:db8::1"),
            ("a-web.example.test", "TXT", TEXT),
            ("a-web-2.example.test", "TXT", &other),
            ("a-wob.example.test", "TXT", &other),
            ("x-web.example.test", "TXT", "\"of somebody\""),
        ];
        let [a, aaaa] = explained("web.example.test", &records).try_into().unwrap();
        assert_eq!((a.rtype, a.targets, a.unlisted), (RecordType::A, vec!["192.0.2.1".to_owned()], None));
        let owners: Vec<_> = a.texts.iter().map(|text| (text.name.to_undotted(), text.owner.as_deref())).collect();
        assert_eq!(owners, [("a-web.example.test".to_owned(), Some("k8s"))]);
        assert_eq!((aaaa.rtype, aaaa.texts), (RecordType::AAAA, vec![]));
    }

    #[test]
    fn what_is_not_listed_is_told_with_the_rule() {
        let records = [
            ("sub.example.test", "NS", "ns.example.com"),
            ("www.sub.example.test", "A", "192.0.2.1"),
            ("example.test", "NS", "ns1.example.test"),
        ];
        let reason = |name: &str| explained(name, &records)[0].unlisted.clone();
        assert!(matches!(reason("www.sub.example.test"), Some(Reason::Delegated { .. })));
        assert_eq!(reason("example.test"), Some(Reason::Protected));
        assert_eq!(reason("sub.example.test"), None);
        assert_eq!(explained("nothing.example.test", &records), []);
        assert_eq!(explained("elsewhere.test", &records), []);
    }

    #[test]
    fn an_attempt_is_nothing_messages_or_a_refusal() {
        let policy = policy(&["example.test"]);
        let endpoint = |target: &str| Endpoint {
            dns_name: "web.example.test".into(),
            record_type: "A".into(),
            targets: vec![target.into()],
            labels: [("owner".to_owned(), "k8s".to_owned())].into(),
            ..Endpoint::default()
        };
        let create = |target: &str| Changes { create: vec![endpoint(target)], ..Changes::default() };
        let held = copies(&[("web.example.test", "A", "192.0.2.1")]);
        assert_eq!(attempt(&create("192.0.2.1"), &held, &policy), Attempt::Nothing);
        let Attempt::Refused(refusals) = attempt(&create("192.0.2.2"), &held, &policy) else { panic!("refused") };
        assert!(matches!(refusals[0].reason, Reason::ExistsUnowned(_)));
        let Attempt::Updates(updates) = attempt(&create("192.0.2.2"), &copies(&[]), &policy) else { panic!("sent") };
        assert!(updates[0].nsupdate_script().contains("update add web.example.test. 300 IN A 192.0.2.2"));
    }
}
