//! `GET /records`: what a zone holds, one endpoint per RRset.
//!
//! A list is written page by page, and what was written is kept: of the next version only the pages are written that
//! differ, or that lie in other surroundings.

use std::sync::Arc;

use super::Policy;
use super::canonical::canonical_targets;
use super::hidden::{Hiding, Shown};
use super::protected::Infrastructure;
use crate::api::Endpoint;
use crate::dns::{Name, Page, RrsetRef, ZoneContents, ZoneName};

/// The list of one zone as it was last written, each page as a `T`.
#[derive(Debug)]
pub struct Listing<T> {
    infrastructure: Option<Infrastructure>,
    pages: Vec<Listed<T>>,
}

/// A page as it was written, with all that this depends on besides the infrastructure.
#[derive(Debug)]
struct Listed<T> {
    page: Arc<Page>,
    /// What hides the first name, and names before it.
    above: Option<Arc<Hiding>>,
    /// What hides names behind the page, and its last ones.
    beyond: Option<Arc<Hiding>>,
    /// What would hide them, if there were any.
    last: Option<Arc<Hiding>>,
    written: T,
}

impl<T> Default for Listing<T> {
    fn default() -> Self {
        Self { infrastructure: None, pages: Vec::new() }
    }
}

impl<T> Listing<T> {
    /// Makes it the list of this version, in canonical form and order; a page without endpoints is written too.
    ///
    /// # Errors
    /// With the first error of `write`.
    pub fn update<E>(
        &mut self,
        contents: &ZoneContents,
        policy: &Policy,
        mut write: impl FnMut(Vec<Endpoint>) -> Result<T, E>,
    ) -> Result<(), E> {
        let infrastructure = Infrastructure::of(contents);
        let mut older = std::mem::take(&mut self.pages);
        if self.infrastructure.as_ref() != Some(&infrastructure) {
            older.clear();
        }
        let mut older = older.into_iter().peekable();
        let mut pages = contents.pages().peekable();
        let mut above = None;
        while let Some(page) = pages.next() {
            let next = pages.peek().and_then(|page| page.first());
            while older.next_if(|listed| listed.page.first() < page.first()).is_some() {}
            let kept = older.next_if(|listed| Arc::ptr_eq(&listed.page, page));
            let beyond = |last: &Option<Arc<Hiding>>| beyond(last.as_ref()?, above.as_ref(), next?, contents);
            let listed = match kept.filter(|kept| kept.above == above && kept.beyond == beyond(&kept.last)) {
                Some(kept) => kept,
                None => {
                    let mut shown = Shown::new(contents, above.clone());
                    let endpoints = endpoints(page, &mut shown, &infrastructure, policy);
                    let last = shown.into_hiding();
                    Listed { page: Arc::clone(page), beyond: beyond(&last), above, last, written: write(endpoints)? }
                }
            };
            above = listed.beyond.clone();
            self.pages.push(listed);
        }
        self.infrastructure = Some(infrastructure);
        Ok(())
    }

    /// The pages of the list, one behind the other.
    pub fn written(&self) -> impl Iterator<Item = &T> {
        self.pages.iter().map(|listed| &listed.written)
    }
}

/// The endpoints of one zone, in canonical form and order.
#[must_use]
pub fn list(contents: &ZoneContents, policy: &Policy) -> Vec<Endpoint> {
    let mut shown = Shown::new(contents, None);
    let infrastructure = Infrastructure::of(contents);
    contents.pages().flat_map(|page| endpoints(page, &mut shown, &infrastructure, policy)).collect()
}

/// Shows every RRset of the list.
pub(super) fn visit(contents: &ZoneContents, policy: &Policy, mut each: impl FnMut(&RrsetRef<'_>)) {
    let mut shown = Shown::new(contents, None);
    let infrastructure = Infrastructure::of(contents);
    contents.pages().for_each(|page| visit_page(page, &mut shown, &infrastructure, policy, &mut each));
}

/// What hides names on both sides of a page's end, as it is in this version: known from before the page, or begun in it.
fn beyond(
    last: &Arc<Hiding>,
    above: Option<&Arc<Hiding>>,
    next: &Name,
    contents: &ZoneContents,
) -> Option<Arc<Hiding>> {
    if !last.reaches(next) {
        return None;
    }
    let is_last = |above: &&Arc<Hiding>| above.name() == last.name();
    above.filter(is_last).cloned().or_else(|| Hiding::at(contents, last.name()).map(Arc::new))
}

fn endpoints<'a>(
    page: &'a Page,
    shown: &mut Shown<'a>,
    infrastructure: &Infrastructure,
    policy: &Policy,
) -> Vec<Endpoint> {
    let mut endpoints = Vec::new();
    visit_page(page, shown, infrastructure, policy, |rrset| endpoints.extend(endpoint(rrset)));
    endpoints
}

fn visit_page<'a>(
    page: &'a Page,
    shown: &mut Shown<'a>,
    infrastructure: &Infrastructure,
    policy: &Policy,
    mut each: impl FnMut(&RrsetRef<'a>),
) {
    for rrsets in page.nodes() {
        shown.enter(rrsets.clone());
        let is_ours = |rrset: &RrsetRef<'_>| is_listed(rrset, shown.zone(), infrastructure, policy);
        rrsets.filter(|rrset| shown.shows(rrset) && is_ours(rrset)).for_each(|rrset| each(&rrset));
    }
}

fn is_listed(rrset: &RrsetRef<'_>, zone: &ZoneName, infrastructure: &Infrastructure, policy: &Policy) -> bool {
    policy.zones.find(rrset.name) == Some(zone)
        && !policy.protected.covers(zone, Some(infrastructure), rrset.name, rrset.rtype)
}

/// None when the RDATA has no presentation form.
fn endpoint(rrset: &RrsetRef<'_>) -> Option<Endpoint> {
    let targets = canonical_targets(rrset.rtype, rrset.rdata);
    (!targets.is_empty()).then(|| Endpoint {
        dns_name: rrset.name.to_undotted(),
        targets,
        record_type: rrset.rtype.to_string(),
        record_ttl: i64::from(rrset.ttl.as_secs()),
        ..Endpoint::default()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dns::presentation::parse_target;
    use crate::dns::{RecordType, Ttl};
    use crate::plan::tests::policy;

    /// Names next to each other, so that what is at one of them hides those of several pages.
    const HEIGHTS: [&str; 3] = ["b", "m.b", "z.b"];

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn put(contents: &mut ZoneContents, owner: &str, rtype: RecordType, target: &str) {
        let rdata = parse_target(rtype, target, |text| text.parse()).unwrap();
        contents.add(&name(owner), rtype, Ttl::from_secs(300), rdata);
    }

    /// Of 1,200 names, in five pages or more.
    fn zone() -> ZoneContents {
        let mut contents = ZoneContents::new("example.test".parse().unwrap(), 1);
        put(&mut contents, "example.test", RecordType::NS, "ns.example.test.");
        for number in 0..300 {
            for height in ["a", "m.b", "z.b", "c"] {
                put(&mut contents, &format!("h{number}.{height}.example.test"), RecordType::A, "192.0.2.1");
            }
        }
        contents
    }

    /// The list of a version, and how many pages of it were written.
    fn written(listing: &mut Listing<Vec<Endpoint>>, contents: &ZoneContents) -> (Vec<Endpoint>, usize) {
        let mut written = 0;
        let write = |page| {
            written += 1;
            Ok::<_, std::convert::Infallible>(page)
        };
        listing.update(contents, &policy(&["example.test"]), write).unwrap();
        let list = listing.written().flatten().cloned().collect();
        (list, written)
    }

    #[test]
    fn after_ten_changes_ten_pages_are_written_at_most() {
        let mut contents = zone();
        let mut listing = Listing::default();
        let (list, all) = written(&mut listing, &contents);
        assert!(all >= 5 && list.len() == 1200, "{all} pages, {} endpoints", list.len());
        assert_eq!(written(&mut listing, &contents), (list, 0));
        for number in 0..10 {
            put(&mut contents, &format!("h{number}0.a.example.test"), RecordType::TXT, "text");
        }
        let (list, changed) = written(&mut listing, &contents);
        assert_eq!(list.len(), 1210);
        assert!((1..=2).contains(&changed), "{changed}");
    }

    #[test]
    fn what_the_whole_zone_decides_has_all_pages_written() {
        let mut contents = zone();
        let mut listing = Listing::default();
        let (list, all) = written(&mut listing, &contents);
        put(&mut contents, "example.test", RecordType::NS, "h7.a.example.test.");
        let (without, again) = written(&mut listing, &contents);
        assert_eq!((without.len(), again), (list.len() - 1, all));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_list_that_was_kept_is_the_list_that_is_made_afresh(
            steps in prop::collection::vec((0_usize..9, 0_u32..300, prop::sample::select(&HEIGHTS[..])), 1..12),
        ) {
            let mut contents = zone();
            let mut listing = Listing::default();
            for (step, number, height) in steps {
                let (above, below) = (format!("{height}.example.test"), format!("h{number}.{height}.example.test"));
                match step {
                    0 => put(&mut contents, &above, RecordType::NS, "ns.elsewhere.test."),
                    1 => put(&mut contents, &above, RecordType::NS, &format!("{below}.")),
                    2 => put(&mut contents, &above, RecordType::DNAME, "elsewhere.test."),
                    3 => contents.remove_rrset(&name(&above), RecordType::NS),
                    4 => contents.remove_rrset(&name(&above), RecordType::DNAME),
                    5 => put(&mut contents, &below, RecordType::NS, "ns.elsewhere.test."),
                    6 => put(&mut contents, &format!("a-{below}"), RecordType::TXT, "heritage=external-dns,external-dns/owner=o"),
                    7 => contents.remove_rrset(&name(&below), RecordType::A),
                    _ => put(&mut contents, &format!("new{below}"), RecordType::A, "192.0.2.2"),
                }
                let older = contents.clone();
                prop_assert_eq!(written(&mut listing, &older).0, list(&older, &policy(&["example.test"])));
            }
        }
    }
}
