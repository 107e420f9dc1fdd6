//! The names of a zone in order, in pages that versions of the zone share.
//!
//! A version is a list of pages. Changing a copy of it copies the list and the pages that the change touches, and nothing
//! else; whoever holds the older version keeps it as it was.

use std::cmp::Ordering;
use std::sync::Arc;

use super::RrsetRef;
use crate::dns::{Name, Rdata, RecordType, Ttl};

/// Names of a page at most: a change of one record in a million names then takes about a tenth of a millisecond.
const MOST: usize = 256;
/// A page of fewer names is joined to the next one, where both make a page with room.
const FEW: usize = MOST / 4;

/// All names of a version. No page is empty.
#[derive(Debug, Clone, Default)]
pub(super) struct Pages {
    pages: Vec<Arc<Page>>,
    records: usize,
    wildcards: usize,
}

/// Some hundred names of a zone in canonical order, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    nodes: Vec<Node>,
}

/// A name with its RRsets, in the order of their types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) name: Name,
    rrsets: Vec<Held>,
}

/// An RRset without its name, which its node carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) rtype: RecordType,
    pub(super) ttl: Ttl,
    pub(super) rdata: Vec<Rdata>,
}

/// Where a name is: the number of its page, and its place there, or the place that it would get.
type Place = (usize, Result<usize, usize>);

impl Pages {
    pub(super) fn get(&self, name: &Name) -> Option<&Node> {
        let (page, place) = self.find(name);
        self.pages.get(page)?.nodes.get(place.ok()?)
    }

    /// Changes the RRsets of a name; a name that is left without any is not kept.
    pub(super) fn change(&mut self, name: &Name, change: impl FnOnce(&mut Vec<Held>)) {
        match self.find(name) {
            (number, Ok(place)) => {
                let Some(page) = self.pages.get_mut(number).map(Arc::make_mut) else { return };
                let Some(node) = page.nodes.get_mut(place) else { return };
                let before = node.record_count();
                change(&mut node.rrsets);
                self.records = self.records - before + node.record_count();
                if node.rrsets.is_empty() {
                    self.wildcards -= usize::from(node.name.is_wildcard());
                    page.nodes.remove(place);
                    self.join(number);
                }
            }
            (number, Err(place)) => {
                let mut node = Node { name: name.clone(), rrsets: Vec::new() };
                change(&mut node.rrsets);
                if !node.rrsets.is_empty() {
                    self.records += node.record_count();
                    self.wildcards += usize::from(name.is_wildcard());
                    self.insert(number, place, node);
                }
            }
        }
    }

    /// The names from this one on.
    pub(super) fn from(&self, name: &Name) -> impl Iterator<Item = &Node> {
        let (page, place) = self.find(name);
        let mut pages = self.pages.get(page..).unwrap_or_default().iter();
        let first = pages.next().and_then(|page| page.nodes.get(place.unwrap_or_else(|place| place)..));
        first.unwrap_or_default().iter().chain(pages.flat_map(|page| &page.nodes))
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.pages.iter().flat_map(|page| &page.nodes)
    }

    pub(super) fn pages(&self) -> std::slice::Iter<'_, Arc<Page>> {
        self.pages.iter()
    }

    pub(super) fn record_count(&self) -> usize {
        self.records
    }

    pub(super) fn has_wildcard(&self) -> bool {
        self.wildcards > 0
    }

    fn find(&self, name: &Name) -> Place {
        // Transfers come in order, most of them: no search for each of their records.
        if let Some((number, page)) = self.pages.iter().enumerate().next_back()
            && let Some(last) = page.nodes.last()
        {
            match last.name.cmp(name) {
                Ordering::Less => return (number, Err(page.nodes.len())),
                Ordering::Equal => return (number, Ok(page.nodes.len() - 1)),
                Ordering::Greater => {}
            }
        }
        let begins_before = |page: &Arc<Page>| page.nodes.first().is_some_and(|node| node.name <= *name);
        let number = self.pages.partition_point(begins_before).saturating_sub(1);
        let place =
            self.pages.get(number).map_or(Err(0), |page| page.nodes.binary_search_by(|node| node.name.cmp(name)));
        (number, place)
    }

    fn insert(&mut self, number: usize, place: usize, node: Node) {
        let is_last = number + 1 >= self.pages.len();
        let Some(page) = self.pages.get_mut(number) else {
            self.pages.push(Arc::new(Page { nodes: vec![node] }));
            return;
        };
        let page = Arc::make_mut(page);
        if page.nodes.len() < MOST {
            page.nodes.insert(place, node);
            return;
        }
        // What comes in order fills one page after the other, instead of leaving halves behind.
        let half = if is_last && place == page.nodes.len() { place } else { page.nodes.len() / 2 };
        let mut upper = page.nodes.split_off(half);
        match place.checked_sub(half) {
            Some(place) => upper.insert(place, node),
            None => page.nodes.insert(place, node),
        }
        page.nodes.shrink_to_fit();
        self.pages.insert(number + 1, Arc::new(Page { nodes: upper }));
    }

    /// Drops a page that has become empty, and joins one that has become small to the next.
    fn join(&mut self, number: usize) {
        let names = |page: &Arc<Page>| page.nodes.len();
        let left = self.pages.get(number).map_or(0, names);
        if left == 0 {
            self.pages.remove(number);
        } else if left < FEW && self.pages.get(number + 1).is_some_and(|next| left + names(next) <= MOST - FEW) {
            let next = self.pages.remove(number + 1);
            if let Some(page) = self.pages.get_mut(number) {
                Arc::make_mut(page).nodes.extend(Arc::unwrap_or_clone(next).nodes);
            }
        }
    }
}

/// The same names and records, however they are spread over pages.
impl PartialEq for Pages {
    fn eq(&self, other: &Self) -> bool {
        self.records == other.records && self.nodes().eq(other.nodes())
    }
}

impl Eq for Pages {}

impl Page {
    /// Its RRsets, name by name.
    pub fn nodes(&self) -> impl Iterator<Item = impl Iterator<Item = RrsetRef<'_>> + Clone> {
        self.nodes.iter().map(Node::rrsets)
    }

    /// The first of its names; every page has one.
    #[must_use]
    pub fn first(&self) -> Option<&Name> {
        self.nodes.first().map(|node| &node.name)
    }
}

impl Node {
    pub(super) fn rrsets(&self) -> impl Iterator<Item = RrsetRef<'_>> + Clone {
        let Self { name, rrsets } = self;
        rrsets.iter().map(move |held| RrsetRef { name, rtype: held.rtype, ttl: held.ttl, rdata: &held.rdata })
    }

    fn record_count(&self) -> usize {
        self.rrsets.iter().map(|held| held.rdata.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn name(number: u32) -> Name {
        format!("h{number}.example.test").parse().unwrap()
    }

    fn held(value: u8) -> Held {
        Held { rtype: RecordType::A, ttl: Ttl::ZERO, rdata: vec![Rdata::from_wire([value])] }
    }

    fn filled(names: impl Iterator<Item = u32>) -> Pages {
        let mut pages = Pages::default();
        names.for_each(|number| pages.change(&name(number), |rrsets| rrsets.push(held(0))));
        pages
    }

    fn shared(one: &Pages, other: &Pages) -> usize {
        one.pages.iter().filter(|page| other.pages.iter().any(|same| Arc::ptr_eq(page, same))).count()
    }

    #[test]
    fn a_change_copies_the_pages_that_it_touches_and_leaves_the_older_version_as_it_was() {
        let older = filled(0..10_000);
        let mut newer = older.clone();
        newer.change(&name(5_000), |rrsets| *rrsets = vec![held(1)]);
        assert_eq!(older.pages.len() - shared(&older, &newer), 1);
        assert_eq!(older, filled(0..10_000));
        assert_ne!(older, newer);
        newer.change(&name(10_000), |rrsets| rrsets.push(held(1)));
        newer.change(&name(70), Vec::clear);
        assert!(older.pages.len() - shared(&older, &newer) <= 3);
        assert_eq!((older.record_count(), newer.record_count()), (10_000, 10_000));
    }

    #[test]
    fn names_in_order_fill_whole_pages_and_names_in_any_order_at_least_half_of_them() {
        let mut numbers: Vec<u32> = (0..10_000).collect();
        numbers.sort_by_key(|&number| name(number));
        assert_eq!(filled(numbers.iter().copied()).pages.len(), 10_000_usize.div_ceil(MOST));
        numbers.sort_by_key(|&number| number.wrapping_mul(2_654_435_761));
        let mixed = filled(numbers.into_iter());
        assert!(mixed.pages.iter().all(|page| (MOST / 2..=MOST).contains(&page.nodes.len())));
        assert_eq!(mixed, filled(0..10_000));
    }

    #[test]
    fn pages_that_are_emptied_are_joined_and_go() {
        let mut pages = filled(0..10_000);
        for number in (0..10_000).filter(|number| number % 50 > 0) {
            pages.change(&name(number), Vec::clear);
        }
        assert_eq!(pages, filled((0..10_000).step_by(50)));
        assert!(pages.pages.len() <= 8, "{}", pages.pages.len());
        (0..10_000).for_each(|number| pages.change(&name(number), Vec::clear));
        assert_eq!((pages.pages.len(), pages.record_count()), (0, 0));
    }

    proptest! {
        #[test]
        fn pages_hold_what_a_map_would_hold(steps in prop::collection::vec((0_u32..900, 0_u8..4), 0..3000)) {
            let (mut pages, mut map, mut versions) = (Pages::default(), BTreeMap::new(), Vec::new());
            for (index, (number, value)) in steps.into_iter().enumerate() {
                if index % 500 == 0 {
                    versions.push((pages.clone(), map.clone()));
                }
                let name = if number % 100 == 7 { format!("*.h{number}.test").parse().unwrap() } else { name(number) };
                let new = if value == 0 { vec![] } else { vec![held(value)] };
                pages.change(&name, |rrsets| rrsets.clone_from(&new));
                if new.is_empty() { map.remove(&name) } else { map.insert(name, new) };
            }
            versions.push((pages, map));
            for (pages, map) in versions {
                prop_assert_eq!(pages.record_count(), map.len());
                prop_assert_eq!(pages.has_wildcard(), map.keys().any(Name::is_wildcard));
                for name in map.keys() {
                    prop_assert_eq!(&pages.get(name).unwrap().rrsets, &map[name]);
                    let below = pages.from(name).map(|node| &node.name);
                    prop_assert!(below.eq(map.range(name..).map(|(name, _)| name)));
                }
                prop_assert!(pages.nodes().map(|node| (&node.name, &node.rrsets)).eq(map.iter()));
                prop_assert!(pages.pages.iter().all(|page| (1..=MOST).contains(&page.nodes.len())));
            }
        }
    }
}
