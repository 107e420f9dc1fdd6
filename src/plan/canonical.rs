//! The canonical form of names, targets and TTLs, the same for adjust, apply and records.

use super::reason::Reason;
use crate::api::Endpoint;
use crate::dns::presentation::{self, is_heritage, joined};
use crate::dns::{Name, NameError, Rdata, RecordType, Ttl};

/// Reads an owner name as ExternalDNS gives it: lower case, A-labels, no final dot; `_` labels and `*` are left alone.
///
/// # Errors
/// When it is no domain name, or holds white space or control characters.
pub fn canonical_name(text: &str) -> Result<Name, Reason> {
    let text = text.trim();
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(Reason::BlankInName);
    }
    let name = Name::from_unicode(text).map_err(|error| match error {
        NameError::BadInternational => Reason::BadInternationalName,
        error => error.into(),
    })?;
    if name.labels().flatten().any(|octet| octet.is_ascii_control() || *octet == b' ') {
        return Err(Reason::BlankInName);
    }
    Ok(name)
}

/// Reads a record type that can be written.
///
/// # Errors
/// When the text is no type, or one that is not supported.
pub fn canonical_type(text: &str) -> Result<RecordType, Reason> {
    let rtype = text.trim().parse().ok().filter(|rtype| presentation::SUPPORTED.contains(rtype));
    rtype.ok_or_else(|| Reason::UnsupportedType(text.to_owned()))
}

/// Reads all targets of an endpoint: sorted, without duplicates. An alias has one, of several the lowest.
///
/// # Errors
/// When one is none of the type.
pub fn canonical_rdata(rtype: RecordType, targets: &[String]) -> Result<Vec<Rdata>, Reason> {
    let read = |target: &String| {
        presentation::parse_target(rtype, target, Name::from_unicode)
            .map_err(|source| Reason::BadTarget { target: target.clone(), source })
    };
    let mut rdata = targets.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    if is_alias(rtype) {
        return Ok(rdata
            .into_iter()
            .min_by_key(|rdata| presentation::render_target(rtype, rdata).ok())
            .into_iter()
            .collect());
    }
    rdata.sort_unstable();
    rdata.dedup();
    Ok(rdata)
}

/// Whether an RRset of the type holds one record (RFC 1034 §3.6.2, RFC 6672 §2.4).
fn is_alias(rtype: RecordType) -> bool {
    matches!(rtype, RecordType::CNAME | RecordType::DNAME)
}

/// The targets of an alias that [`canonical_rdata`] passes over, and why.
#[must_use]
pub fn passed_over(rtype: RecordType, targets: &[String]) -> Option<Reason> {
    if !is_alias(rtype) || targets.len() < 2 {
        return None;
    }
    let form = |target| canonical_targets(rtype, &canonical_rdata(rtype, std::slice::from_ref(target)).ok()?).pop();
    let mut forms = targets.iter().map(form).collect::<Option<Vec<String>>>()?;
    forms.sort_unstable();
    forms.dedup();
    let (kept, others) = forms.split_first()?;
    (!others.is_empty()).then(|| Reason::OneTarget { rtype, kept: kept.clone(), others: others.join(", ") })
}

/// Writes RDATA as targets: without duplicates, heritage texts first, then in the order of their texts.
///
/// RDATA that is not of its type has no target; prerequisites still see it.
#[must_use]
pub fn canonical_targets(rtype: RecordType, rdata: &[Rdata]) -> Vec<String> {
    let heritage = |rdata| rtype == RecordType::TXT && joined(rdata).is_some_and(|text| is_heritage(&text));
    let target = |rdata| Some((!heritage(rdata), presentation::render_target(rtype, rdata).ok()?));
    let mut targets: Vec<(bool, String)> = rdata.iter().filter_map(target).collect();
    targets.sort_unstable();
    targets.dedup();
    targets.into_iter().map(|(_, target)| target).collect()
}

/// The RDATA that its own target is written as: one spelling for all that ExternalDNS cannot tell apart.
///
/// RDATA without a target stays as it is.
#[must_use]
pub fn canonical_form(rtype: RecordType, rdata: &Rdata) -> Rdata {
    let target = presentation::render_target(rtype, rdata).ok();
    let form = target.and_then(|target| presentation::parse_target(rtype, &target, Name::from_unicode).ok());
    form.unwrap_or_else(|| rdata.clone())
}

/// The canonical form of an RRset's RDATA, sorted and without duplicates.
#[must_use]
pub fn canonical_set(rtype: RecordType, rdata: &[Rdata]) -> Vec<Rdata> {
    let mut set: Vec<Rdata> = rdata.iter().map(|rdata| canonical_form(rtype, rdata)).collect();
    set.sort_unstable();
    set.dedup();
    set
}

/// The TTL of an endpoint: none when unset, clamped, and not below the floor.
#[must_use]
pub fn canonical_ttl(endpoint: &Endpoint, floor: Ttl) -> Option<Ttl> {
    let secs = u32::try_from(endpoint.record_ttl.clamp(0, i64::from(Ttl::MAX.as_secs()))).unwrap_or_default();
    (secs > 0).then(|| Ttl::from_secs(secs).max(floor))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn undotted(text: &str) -> String {
        canonical_name(text).unwrap().to_undotted()
    }

    #[test]
    fn cause_14_names_are_lower_case_a_labels_without_a_dot() {
        assert_eq!(undotted("Bücher.Example.TEST."), "xn--bcher-kva.example.test");
        assert_eq!(undotted("_Sip._tcp.bücher.test"), "_sip._tcp.xn--bcher-kva.test");
        assert_eq!(undotted("0/25.2.0.192.in-addr.arpa"), "0/25.2.0.192.in-addr.arpa");
    }

    #[test]
    fn cause_15_a_wildcard_is_an_asterisk() {
        assert_eq!(undotted(r"\042.example.test"), "*.example.test");
        assert_eq!(undotted("a-*.example.test"), "a-*.example.test");
    }

    #[test]
    fn names_with_blanks_or_control_characters_are_refused() {
        for hostile in ["www.example.test. 0 A 192.0.2.66 ;x", "a\nb.test", r"a\032b.test", r"a\000b.test", "a\0.test"]
        {
            assert_eq!(canonical_name(hostile), Err(Reason::BlankInName), "{hostile:?}");
        }
    }

    #[test]
    fn cause_17_duplicates_are_one_and_heritage_comes_first() {
        let targets = ["b", "heritage=external-dns", "a", "b"].map(str::to_owned);
        let rdata = canonical_rdata(RecordType::TXT, &targets).unwrap();
        assert_eq!(canonical_targets(RecordType::TXT, &rdata), [r#""heritage=external-dns""#, "a", "b"]);
    }

    #[test]
    fn a_ttl_is_clamped_and_raised_but_never_invented() {
        let ttl = |record_ttl| canonical_ttl(&Endpoint { record_ttl, ..Endpoint::default() }, Ttl::from_secs(60));
        assert_eq!(ttl(-5), None);
        assert_eq!(ttl(0), None);
        assert_eq!(ttl(5), Some(Ttl::from_secs(60)));
        assert_eq!(ttl(i64::MAX), Some(Ttl::MAX));
    }
}
