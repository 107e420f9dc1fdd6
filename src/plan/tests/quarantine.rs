//! Groups that were rejected, from apply to apply.

use super::*;

const WEB: &str = "web.example.test";

fn zone() -> Policy {
    policy(&["example.test"])
}

#[test]
fn rejected_groups_go_alone_twice_and_then_back_off() {
    let policy = zone();
    let copies = World::new(&policy).copies();
    let group = group_of(&create(owned(WEB, "A", &["192.0.2.1"])), &policy);
    let mut quarantine = Quarantine::default();
    let tries: Vec<u64> = (0..600)
        .map(|minute| minute * 60)
        .filter(|&now| {
            let triage = quarantine.triage(vec![group.clone()], &copies, at(now));
            assert_eq!(triage.together.is_empty(), now > 0, "alone after the first time");
            let is_tried = triage.held_back.is_empty();
            if is_tried {
                quarantine.reject(&group, "refused", &copies, at(now));
            }
            is_tried
        })
        .map(|now| now / 60)
        .collect();
    assert_eq!(tries[..10], [0, 1, 2, 3, 5, 9, 17, 33, 65, 125]);
}

#[test]
fn a_change_of_what_is_asked_or_held_lets_a_rejected_group_start_anew() {
    let policy = zone();
    let empty = World::new(&policy);
    let asked = |target| group_of(&create(owned(WEB, "A", &[target])), &policy);
    let mut quarantine = Quarantine::default();
    for _ in 0..3 {
        quarantine.reject(&asked("192.0.2.1"), "refused", &empty.copies(), at(0));
    }
    let triage = |target, world: &World| quarantine.clone().triage(vec![asked(target)], &world.copies(), at(1));
    assert_eq!(triage("192.0.2.1", &empty).held_back.len(), 1);
    assert_eq!(triage("192.0.2.2", &empty).together.len(), 1);
    assert_eq!(triage("192.0.2.1", &empty.with(WEB, "A", &["192.0.2.9"])).together.len(), 1);
}

#[test]
fn at_most_thirty_two_rejected_groups_are_tried_in_an_apply_oldest_first() {
    let policy = zone();
    let copies = World::new(&policy).copies();
    let groups: Vec<_> = (0..40)
        .map(|n| group_of(&create(owned(&format!("n{n}.example.test"), "A", &["192.0.2.1"])), &policy))
        .collect();
    let mut quarantine = Quarantine::default();
    for (age, group) in groups.iter().enumerate() {
        quarantine.reject(group, "refused", &copies, at(1000 - u64::try_from(age).unwrap()));
    }
    let triage = quarantine.triage(groups.clone(), &copies, at(2000));
    assert_eq!((triage.alone.len(), triage.held_back.len()), (32, 8));
    assert_eq!(triage.alone.first(), groups.last());
    quarantine.listed();
    quarantine.listed();
    assert_eq!(quarantine.triage(groups, &copies, at(2001)).together.len(), 40);
}
