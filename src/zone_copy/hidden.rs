//! Names that a directory may not show though they are there.
//!
//! What an account may not see is left out of a search, without a word. So where a name should be and is not, DNS is
//! asked: it answers everybody.

use std::collections::BTreeSet;

use crate::dns::presentation::{is_heritage, joined};
use crate::dns::{Name, RecordType, ReplyError, ZoneContents};
use crate::ldap::{LdapFault, Read};
use crate::nameserver::{Fault, Server, ServerError};

/// Most questions of one read; those who hide more hide some of these.
const MOST_QUESTIONS: usize = 64;
/// What is asked for at a name of which nothing is known.
const COMMON: [RecordType; 5] = [RecordType::A, RecordType::AAAA, RecordType::CNAME, RecordType::TXT, RecordType::SRV];

/// Why a read is not taken for the whole zone.
#[derive(Debug)]
pub(super) enum Doubt {
    /// DNS answers with what the directory does not show.
    Hidden(LdapFault),
    /// DNS did not tell.
    Unanswered(ServerError),
}

/// Whether DNS has any of what a whole read should have shown and has not.
pub(super) async fn look(server: &Server, held: Option<&ZoneContents>, read: &Read) -> Result<(), Doubt> {
    for (name, rtype) in suspects(held, read).into_iter().take(MOST_QUESTIONS) {
        match server.query(&name, rtype).await {
            Ok(None) => {}
            Ok(Some(_)) => return Err(Doubt::Hidden(LdapFault::Hidden { name, rtype })),
            // A delegation, which was not there before.
            Err(error) if matches!(error.fault, Fault::Reply(ReplyError::NotAuthoritative)) => {}
            Err(error) => return Err(Doubt::Unanswered(error)),
        }
    }
    Ok(())
}

/// What is worth a question: what was there, entries of which nothing may be read, and what a registry TXT speaks for.
fn suspects(held: Option<&ZoneContents>, read: &Read) -> BTreeSet<(Name, RecordType)> {
    let contents = read.contents.as_ref();
    let vanished = held.into_iter().flat_map(ZoneContents::iter).map(|rrset| (rrset.name.clone(), rrset.rtype));
    let bare = read.gaps.bare.iter().flat_map(|name| COMMON.map(|rtype| (name.clone(), rtype)));
    let spoken_for = contents.iter().filter(|rrset| rrset.rtype == RecordType::TXT).filter_map(|rrset| {
        let speaks = rrset.rdata.iter().any(|rdata| joined(rdata).is_some_and(|text| is_heritage(&text)));
        speaks.then(|| spoken_for(rrset.name)).flatten()
    });
    // Where there is anything at the name, the account may read it; a wildcard would answer for the rest.
    let is_missing = |name: &Name| {
        let is_shown = contents.at(name).next().is_some() || read.gaps.empty.contains(name);
        !is_shown && contents.wildcard_above(name).is_none()
    };
    vanished.chain(bare).chain(spoken_for).filter(|(name, _)| is_missing(name)).collect()
}

/// What a registry TXT with the usual name is about: `a-www` about the addresses of `www`.
fn spoken_for(name: &Name) -> Option<(Name, RecordType)> {
    let mut labels = name.labels();
    let (rtype, first) = str::from_utf8(labels.next()?).ok()?.split_once('-')?;
    let target = Name::from_labels(std::iter::once(first.as_bytes()).chain(labels)).ok()?;
    Some((target, rtype.parse().ok()?))
}
