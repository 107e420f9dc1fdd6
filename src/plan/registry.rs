//! Registry TXT: which text of an RRset is this owner's, and which records it speaks for.

use std::collections::{BTreeSet, HashMap};

use super::canonical::{canonical_form, canonical_targets};
use super::intake::{Change, Kind};
use super::ownership::{Claim, claim};
use super::reason::Reason;
use crate::dns::RrsetRef;
use crate::dns::presentation::SUPPORTED;
use crate::dns::{Name, Rdata, RecordType};

/// Whether a registry TXT speaks for a record: by its `ownedRecord` label, and by the type in its name where it has one.
pub(super) fn speaks_for(text: &Change, record: &Change) -> bool {
    let Some(owned) = text.owned_record.as_ref().filter(|owned| **owned == record.name) else { return false };
    let types = types_in_name(&text.name, owned);
    types.is_empty() || types.contains(&record.rtype)
}

/// Marks the records that come without a registry TXT in a plan in which others have theirs.
///
/// ExternalDNS leaves it out where DNS holds it already, and where its name would be too long. The others tell how such
/// names are made, and so where it must stand.
pub(super) fn unaccompanied(changes: &mut [Change]) {
    let texts = || changes.iter().filter(|change| change.is_registry());
    if texts().next().is_none() {
        return;
    }
    let mut of_record: HashMap<&Name, Vec<&Change>> = HashMap::new();
    for text in texts() {
        of_record.entry(text.owned_record.as_ref().unwrap_or(&text.name)).or_default().push(text);
    }
    let lacks_text = |record: &Change| {
        let texts = of_record.get(&record.name).map(Vec::as_slice).unwrap_or_default();
        // What the first label of a wildcard becomes is not to be seen, and it is never too long.
        let is_asked = !record.is_registry() && !record.name.is_wildcard();
        let is_asked = is_asked && record.owner.is_some() && record.problem.is_none();
        is_asked && !texts.iter().any(|text| speaks_for(text, record))
    };
    let lacking: Vec<bool> = changes.iter().map(lacks_text).collect();
    if !lacking.contains(&true) {
        return;
    }
    let patterns: BTreeSet<Pattern> = texts().filter_map(Pattern::of).collect();
    for (record, _) in changes.iter_mut().zip(lacking).filter(|(_, lacks_text)| *lacks_text) {
        if matches!(record.kind, Kind::Delete { .. }) {
            record.problem = Some(Reason::NoRegistryText);
        } else {
            let names = patterns.iter().filter_map(|pattern| pattern.name(&record.name, record.rtype));
            record.needs_text_at = Some(names.collect());
        }
    }
}

/// How a caller makes the name of a registry TXT: what it puts before and behind the first label of the record's.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pattern {
    before: String,
    behind: String,
}

/// Stands for the type in a [`Pattern`]; no name holds it.
const TYPE: &str = "\n";

impl Pattern {
    pub(super) fn of(text: &Change) -> Option<Self> {
        let owned = text.owned_record.as_ref()?;
        let (name, owned_text) = (text.name.to_undotted(), owned.to_undotted());
        let (label, parent) = owned_text.split_once('.')?;
        let head = name.strip_suffix(parent)?.strip_suffix('.')?;
        let (before, behind) = head.rsplit_once(label)?;
        let types = types_in_name(&text.name, owned);
        let open = |text: &str| types.first().map_or_else(|| text.to_owned(), |rtype| without_type(text, *rtype));
        Some(Self { before: open(before), behind: open(behind) })
    }

    pub(super) fn name(&self, record: &Name, rtype: RecordType) -> Option<Name> {
        let record = record.to_undotted();
        let (label, parent) = record.split_once('.')?;
        let rtype = rtype.to_string().to_ascii_lowercase();
        let name = format!("{}{label}{}.{parent}", self.before, self.behind).replace(TYPE, &rtype);
        name.parse().ok()
    }
}

/// The text with the type, where it is a run of letters and digits of its own, left open.
fn without_type(text: &str, rtype: RecordType) -> String {
    let rtype = rtype.to_string();
    let open = |run: &str| {
        let end = run.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(run.len());
        let (word, rest) = run.split_at(end);
        if word.eq_ignore_ascii_case(&rtype) { format!("{TYPE}{rest}") } else { run.to_owned() }
    };
    text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()).map(open).collect()
}

/// The types that a registry TXT's name may mean: `a-www` and `ext-a-www` A, `www` and `extwww` none.
fn types_in_name(text: &Name, owned: &Name) -> Vec<RecordType> {
    let (text, owned) = (labels_from_right(text), labels_from_right(owned));
    let shared = text.iter().zip(&owned).take_while(|(a, b)| a == b).count();
    let mut tokens = tokens(text.get(shared..).unwrap_or_default());
    for token in self::tokens(owned.get(shared..).unwrap_or_default()) {
        if let Some(position) = tokens.iter().rposition(|other| *other == token) {
            tokens.remove(position);
        }
    }
    let named = |rtype: &RecordType| {
        let mnemonic = rtype.mnemonic().unwrap_or_default().as_bytes();
        tokens.iter().any(|token| token.eq_ignore_ascii_case(mnemonic))
    };
    SUPPORTED.into_iter().filter(named).collect()
}

/// Whether a TXT of this name may be the registry TXT of a record: each word of the record's name is in it, and the type,
/// where it names one.
pub(super) fn may_speak_for(text: &Name, owned: &Name, rtype: RecordType) -> bool {
    let (from_right, owned_from_right) = (labels_from_right(text), labels_from_right(owned));
    let shared = from_right.iter().zip(&owned_from_right).take_while(|(a, b)| a == b).count();
    let mut left = tokens(from_right.get(shared..).unwrap_or_default());
    let is_told = tokens(owned_from_right.get(shared..).unwrap_or_default()).into_iter().all(|token| {
        let position = left.iter().rposition(|other| *other == token);
        position.map(|position| left.remove(position)).is_some()
    });
    let types = types_in_name(text, owned);
    is_told && (types.is_empty() || types.contains(&rtype))
}

/// Names whose registry TXT might have this name: what is left when words or labels are taken from its front, or words
/// from the end of its first label.
pub(super) fn owned_candidates(text: &Name) -> impl Iterator<Item = Name> {
    let labels: Vec<&[u8]> = text.labels().collect();
    let mut names = Vec::new();
    for skipped in 0..labels.len().min(MOST_LABELS_OF_A_PREFIX + 1) {
        let Some((first, rest)) = labels.get(skipped..).and_then(<[&[u8]]>::split_first) else { break };
        let is_border = |at: &usize| first.get(*at).is_none_or(|octet| !octet.is_ascii_alphanumeric());
        let borders: Vec<usize> = (1..=first.len()).filter(is_border).collect();
        let starts = std::iter::once(0).chain(borders.iter().map(|at| at + 1)).take(MOST_WORDS);
        for start in starts {
            for end in borders.iter().filter(|end| **end > start).take(MOST_WORDS) {
                let label = first.get(start..*end).unwrap_or_default();
                names.extend(Name::from_labels(std::iter::once(label).chain(rest.iter().copied())).ok());
            }
        }
    }
    names.into_iter()
}

/// Labels that a `--txt-prefix` may have.
const MOST_LABELS_OF_A_PREFIX: usize = 3;
/// Words of one label that are looked at.
const MOST_WORDS: usize = 8;

fn labels_from_right(name: &Name) -> Vec<&[u8]> {
    let mut labels: Vec<_> = name.labels().collect();
    labels.reverse();
    labels
}

/// Runs of letters and digits, from left to right.
fn tokens<'a>(from_right: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let labels = from_right.iter().rev();
    labels.flat_map(|label| label.split(|octet| !octet.is_ascii_alphanumeric())).filter(|run| !run.is_empty()).collect()
}

/// What a registry TXT RRset ends with; none when nothing is to be done. Foreign texts in it stay.
///
/// # Errors
/// When the RRset holds no text that this change may touch.
pub(super) fn registry_after(
    change: &Change,
    owner: Option<&str>,
    held: Option<RrsetRef<'_>>,
) -> Result<Option<Vec<Rdata>>, Reason> {
    let wanted = change.kind.wanted().map(|wanted| wanted.rdata.as_slice());
    let Some(held) = held else { return Ok(wanted.map(<[Rdata]>::to_vec)) };
    let texts = Texts { change, owner, held: held.rdata };
    let replaced = texts.replaced();
    if replaced.is_empty() {
        return match (&change.kind, texts.other_owner()) {
            (Kind::Create(_) | Kind::Delete { .. }, Some(other)) => Err(Reason::OtherOwner(other)),
            (Kind::Delete { .. }, None) => Ok(None),
            (Kind::Create(_) | Kind::Update { .. }, _) => Err(Reason::ExistsUnowned(describe(&held))),
        };
    }
    let wanted = wanted.unwrap_or_default();
    // A text that is there already stays octet for octet, however it is cut into strings.
    let kept = held.rdata.iter().filter(|text| !replaced.contains(text) || wanted.contains(&canonical(text)));
    let held: Vec<Rdata> = held.rdata.iter().map(canonical).collect();
    let mut after: Vec<Rdata> = kept.chain(wanted.iter().filter(|text| !held.contains(text))).cloned().collect();
    after.sort_unstable();
    Ok(Some(after))
}

fn canonical(text: &Rdata) -> Rdata {
    canonical_form(RecordType::TXT, text)
}

/// The texts of an RRset as a change of registry TXT sees them.
struct Texts<'a> {
    change: &'a Change,
    owner: Option<&'a str>,
    held: &'a [Rdata],
}

impl<'a> Texts<'a> {
    /// The caller's texts, old and new. The old ones only say which RRset is meant: DNS may never have held them.
    fn asked(&self) -> impl Iterator<Item = &'a Rdata> {
        let old = match &self.change.kind {
            Kind::Create(_) => &[][..],
            Kind::Update { old, .. } | Kind::Delete { old } => old,
        };
        self.change.kind.wanted().into_iter().flat_map(|wanted| &wanted.rdata).chain(old)
    }

    /// The owner that the caller writes for: its record's label, else its own text.
    fn owner(&self) -> Option<String> {
        let named = || self.asked().find_map(owner_in);
        self.owner.map(str::to_owned).or_else(named)
    }

    /// The texts that the change may replace or delete.
    fn replaced(&self) -> Vec<&'a Rdata> {
        let owner = self.owner();
        let asked: Vec<&Rdata> = self.asked().collect();
        let is_mine = |text: &Rdata| {
            asked.contains(&&canonical(text)) || owner.is_some() && owner_in(text).as_ref() == owner.as_ref()
        };
        let mine: Vec<_> = self.held.iter().filter(|text| is_mine(text)).collect();
        if mine.is_empty() && !matches!(self.change.kind, Kind::Create(_)) { self.presumed() } else { mine }
    }

    /// The text that the caller must mean when DNS holds none that is known to be its own.
    fn presumed(&self) -> Vec<&'a Rdata> {
        if matches!(self.change.kind, Kind::Update { .. }) && self.other_owner().is_some() {
            // Carried over from a former owner; of several ownership texts ExternalDNS reads the first listed.
            return self
                .heritage()
                .min_by_key(|text| canonical_targets(RecordType::TXT, &[(*text).clone()]))
                .into_iter()
                .collect();
        }
        let sealed: Vec<_> = self.held.iter().filter(|text| claim(text) == Claim::Sealed).collect();
        let caller_seals = self.asked().any(|text| claim(text) == Claim::Sealed);
        if caller_seals && sealed.len() == 1 { sealed } else { Vec::new() }
    }

    fn heritage(&self) -> impl Iterator<Item = &'a Rdata> {
        self.held.iter().filter(|text| owner_in(text).is_some())
    }

    fn other_owner(&self) -> Option<String> {
        self.heritage().find_map(owner_in)
    }
}

fn owner_in(text: &Rdata) -> Option<String> {
    match claim(text) {
        Claim::Owner(owner) => Some(owner),
        Claim::Sealed | Claim::Foreign => None,
    }
}

/// An RRset in words, for people.
pub(super) fn describe(rrset: &RrsetRef<'_>) -> String {
    let targets = canonical_targets(rrset.rtype, rrset.rdata);
    let (shown, more) = targets.split_at(targets.len().min(3));
    let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
    format!("{} {}{more}", rrset.rtype, shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_in_a_registry_name_is_found_wherever_it_stands() {
        let types = |text: &str, owned: &str| types_in_name(&text.parse().unwrap(), &owned.parse().unwrap());
        assert_eq!(types("a-www.example.test", "www.example.test"), [RecordType::A]);
        assert_eq!(types("aaaa-a.example.test", "a.example.test"), [RecordType::AAAA]);
        assert_eq!(types("a-mx-1.example.test", "mx-1.example.test"), [RecordType::A]);
        assert_eq!(types("cname-ext.www.example.test", "www.example.test"), [RecordType::CNAME]);
        assert_eq!(types("a-*.example.test", "*.example.test"), [RecordType::A]);
        assert_eq!(types("www-aaaa.example.test", "www.example.test"), [RecordType::AAAA]);
        assert_eq!(types("www.example.test", "www.example.test"), []);
        assert_eq!(types("extwww.example.test", "www.example.test"), []);
    }
}
