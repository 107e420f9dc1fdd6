//! The names of a zone in order, in pages that versions of the zone share.
//!
//! A version is a list of shelves of pages. Changing a copy of it copies the list, and the shelves and pages that the change
//! touches, and nothing else; whoever holds the older version keeps it as it was.

use std::cmp::Ordering;
use std::sync::Arc;

use super::RrsetRef;
use crate::dns::{Name, Rdata, RecordType, Ttl};

/// Names of a page at most: a change of one record in a million names then takes about a tenth of a millisecond.
const MOST: usize = 256;
/// A page of fewer names is joined to the next one, where both make a page with room.
const FEW: usize = MOST / 4;

/// Pages of a shelf at most: a million names then are on some dozens of shelves.
const WIDEST: usize = if cfg!(test) { 16 } else { 128 };

/// All names of a version.
#[derive(Debug, Clone, Default)]
pub(super) struct Pages {
    shelves: Vec<Arc<Shelf>>,
    records: usize,
    wildcards: usize,
}

/// Some pages in order, at least one. Every version has a count of each of its pages, which takes time where there are
/// thousands: most are counted with their shelf.
#[derive(Debug, Clone)]
struct Shelf {
    pages: Vec<Arc<Page>>,
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
    rrsets: Vec<NodeRrset>,
}

/// An RRset without its name, which its node carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NodeRrset {
    pub(super) rtype: RecordType,
    pub(super) ttl: Ttl,
    pub(super) rdata: Vec<Rdata>,
}

/// Where a name is: its shelf, its page there, and its place on that, or the place that it would get.
type Place = (usize, usize, Result<usize, usize>);

impl Pages {
    pub(super) fn get(&self, name: &Name) -> Option<&Node> {
        let (shelf, page, place) = self.find(name);
        self.shelves.get(shelf)?.pages.get(page)?.nodes.get(place.ok()?)
    }

    /// Changes the RRsets of a name; a name that is left without any is not kept.
    pub(super) fn change(&mut self, name: &Name, change: impl FnOnce(&mut Vec<NodeRrset>)) {
        match self.find(name) {
            (shelf, number, Ok(place)) => {
                let Some(pages) = self.pages_of(shelf) else { return };
                let Some(page) = pages.get_mut(number).map(Arc::make_mut) else { return };
                let Some(node) = page.nodes.get_mut(place) else { return };
                let before = node.record_count();
                change(&mut node.rrsets);
                let (after, is_left) = (node.record_count(), !node.rrsets.is_empty());
                let was_wildcard = node.name.is_wildcard();
                self.records = self.records - before + after;
                if !is_left {
                    self.wildcards -= usize::from(was_wildcard);
                    self.remove(shelf, number, place);
                }
            }
            (shelf, number, Err(place)) => {
                let mut node = Node { name: name.clone(), rrsets: Vec::new() };
                change(&mut node.rrsets);
                if !node.rrsets.is_empty() {
                    self.records += node.record_count();
                    self.wildcards += usize::from(name.is_wildcard());
                    self.insert(shelf, number, place, node);
                }
            }
        }
    }

    /// The names from this one on.
    pub(super) fn from(&self, name: &Name) -> impl Iterator<Item = &Node> {
        let (shelf, page, place) = self.find(name);
        let mut shelves = self.shelves.get(shelf..).unwrap_or_default().iter();
        let first = shelves.next().and_then(|shelf| shelf.pages.get(page..)).unwrap_or_default();
        let mut pages = first.iter().chain(shelves.flat_map(|shelf| &shelf.pages));
        let first = pages.next().and_then(|page| page.nodes.get(place.unwrap_or_else(|place| place)..));
        first.unwrap_or_default().iter().chain(pages.flat_map(|page| &page.nodes))
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.pages().flat_map(|page| &page.nodes)
    }

    pub(super) fn pages(&self) -> impl Iterator<Item = &Arc<Page>> {
        self.shelves.iter().flat_map(|shelf| &shelf.pages)
    }

    pub(super) fn record_count(&self) -> usize {
        self.records
    }

    pub(super) fn has_wildcard(&self) -> bool {
        self.wildcards > 0
    }

    fn find(&self, name: &Name) -> Place {
        // Transfers come in order, most of them: no search for each of their records.
        if let Some((shelf, pages)) = self.shelves.iter().map(|shelf| &shelf.pages).enumerate().next_back()
            && let Some((number, page)) = pages.iter().enumerate().next_back()
            && let Some(last) = page.nodes.last()
        {
            match last.name.cmp(name) {
                Ordering::Less => return (shelf, number, Err(page.nodes.len())),
                Ordering::Equal => return (shelf, number, Ok(page.nodes.len() - 1)),
                Ordering::Greater => {}
            }
        }
        let begins_before = |page: &Arc<Page>| page.nodes.first().is_some_and(|node| node.name <= *name);
        let shelf = self.shelves.partition_point(|shelf| shelf.pages.first().is_some_and(begins_before));
        let shelf = shelf.saturating_sub(1);
        let pages = self.shelves.get(shelf).map(|shelf| shelf.pages.as_slice()).unwrap_or_default();
        let number = pages.partition_point(begins_before).saturating_sub(1);
        let place = pages.get(number).map_or(Err(0), |page| page.nodes.binary_search_by(|node| node.name.cmp(name)));
        (shelf, number, place)
    }

    /// The pages of a shelf, to be changed.
    fn pages_of(&mut self, shelf: usize) -> Option<&mut Vec<Arc<Page>>> {
        self.shelves.get_mut(shelf).map(|shelf| &mut Arc::make_mut(shelf).pages)
    }

    fn insert(&mut self, shelf: usize, number: usize, place: usize, node: Node) {
        let is_last = shelf + 1 >= self.shelves.len();
        let Some(pages) = self.pages_of(shelf) else {
            self.shelves.push(Arc::new(Shelf { pages: vec![Arc::new(Page { nodes: vec![node] })] }));
            return;
        };
        let is_last = is_last && number + 1 >= pages.len();
        let Some(page) = pages.get_mut(number).map(Arc::make_mut) else { return };
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
        pages.insert(number + 1, Arc::new(Page { nodes: upper }));
        if pages.len() > WIDEST {
            let half = if is_last { pages.len() - 1 } else { pages.len() / 2 };
            let upper = pages.split_off(half);
            self.shelves.insert(shelf + 1, Arc::new(Shelf { pages: upper }));
        }
    }

    /// Drops a page that has become empty, and joins one that has become small to the next of its shelf; shelves likewise.
    fn remove(&mut self, shelf: usize, number: usize, place: usize) {
        let Some(pages) = self.pages_of(shelf) else { return };
        let Some(page) = pages.get_mut(number).map(Arc::make_mut) else { return };
        page.nodes.remove(place);
        let left = page.nodes.len();
        if left == 0 {
            pages.remove(number);
        } else if left < FEW && pages.get(number + 1).is_some_and(|next| left + next.nodes.len() <= MOST - FEW) {
            let next = pages.remove(number + 1);
            if let Some(page) = pages.get_mut(number) {
                Arc::make_mut(page).nodes.extend(Arc::unwrap_or_clone(next).nodes);
            }
        }
        let left = pages.len();
        let next = self.shelves.get(shelf + 1).map(|next| next.pages.len());
        if left == 0 {
            self.shelves.remove(shelf);
        } else if left <= WIDEST / 4 && next.is_some_and(|next| left + next < WIDEST) {
            let next = self.shelves.remove(shelf + 1);
            if let Some(pages) = self.pages_of(shelf) {
                pages.extend(Arc::unwrap_or_clone(next).pages);
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

    fn held(value: u8) -> NodeRrset {
        NodeRrset { rtype: RecordType::A, ttl: Ttl::ZERO, rdata: vec![Rdata::from_wire([value])] }
    }

    fn filled(names: impl Iterator<Item = u32>) -> Pages {
        let mut pages = Pages::default();
        names.for_each(|number| pages.change(&name(number), |rrsets| rrsets.push(held(0))));
        pages
    }

    fn shared(one: &Pages, other: &Pages) -> usize {
        one.pages().filter(|page| other.pages().any(|same| Arc::ptr_eq(page, same))).count()
    }

    fn count(pages: &Pages) -> usize {
        pages.pages().count()
    }

    #[test]
    fn a_change_copies_the_pages_that_it_touches_and_leaves_the_older_version_as_it_was() {
        let older = filled(0..10_000);
        let mut newer = older.clone();
        newer.change(&name(5_000), |rrsets| *rrsets = vec![held(1)]);
        assert_eq!(count(&older) - shared(&older, &newer), 1);
        assert_eq!(older, filled(0..10_000));
        assert_ne!(older, newer);
        newer.change(&name(10_000), |rrsets| rrsets.push(held(1)));
        newer.change(&name(70), Vec::clear);
        assert!(count(&older) - shared(&older, &newer) <= 3);
        assert_eq!((older.record_count(), newer.record_count()), (10_000, 10_000));
    }

    #[test]
    fn names_in_order_fill_whole_pages_and_names_in_any_order_at_least_half_of_them() {
        let mut numbers: Vec<u32> = (0..10_000).collect();
        numbers.sort_by_key(|&number| name(number));
        assert_eq!(count(&filled(numbers.iter().copied())), 10_000_usize.div_ceil(MOST));
        numbers.sort_by_key(|&number| number.wrapping_mul(2_654_435_761));
        let mixed = filled(numbers.into_iter());
        assert!(mixed.pages().all(|page| (MOST / 2..=MOST).contains(&page.nodes.len())));
        assert_eq!(mixed, filled(0..10_000));
    }

    #[test]
    fn a_change_copies_one_shelf_of_a_large_zone() {
        let mut numbers: Vec<u32> = (0..20_000).collect();
        numbers.sort_by_key(|&number| name(number));
        let older = filled(numbers.into_iter());
        assert_eq!(older.shelves.len(), 20_000_usize.div_ceil(MOST).div_ceil(WIDEST));
        let mut newer = older.clone();
        newer.change(&name(7_000), |rrsets| *rrsets = vec![held(1)]);
        let is_shared = |shelf: &&Arc<Shelf>| older.shelves.iter().any(|same| Arc::ptr_eq(shelf, same));
        assert_eq!(newer.shelves.iter().filter(is_shared).count(), older.shelves.len() - 1);
    }

    #[test]
    fn pages_that_are_emptied_are_joined_and_go() {
        let mut pages = filled(0..10_000);
        for number in (0..10_000).filter(|number| number % 50 > 0) {
            pages.change(&name(number), Vec::clear);
        }
        assert_eq!(pages, filled((0..10_000).step_by(50)));
        assert!(count(&pages) <= 8, "{}", count(&pages));
        (0..10_000).for_each(|number| pages.change(&name(number), Vec::clear));
        assert_eq!((pages.shelves.len(), pages.record_count()), (0, 0));
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
                prop_assert!(pages.pages().all(|page| (1..=MOST).contains(&page.nodes.len())));
            }
        }
    }
}
