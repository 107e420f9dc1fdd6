//! Why a record set cannot be written.

use thiserror::Error;

use crate::dns::presentation::TargetError;
use crate::dns::{Name, NameError, RecordType, ZoneName};

/// Why a record set cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Reason {
    /// The name is no domain name.
    #[error("{0}")]
    BadName(#[from] NameError),
    /// The name holds white space or a control character.
    #[error("the name holds white space or a control character")]
    BlankInName,
    /// The name cannot be mapped to A-labels (UTS #46).
    #[error("the name is no valid international domain name")]
    BadInternationalName,
    /// No configured zone holds the name.
    #[error("no configured zone holds the name")]
    OutsideZones,
    /// The registry TXT of a record lies outside every zone, so the record would be without an owner.
    #[error("its registry TXT {0} lies outside every configured zone")]
    RegistryOutsideZones(String),
    /// The registry TXT of a record has no name that DNS could hold, so the record would be without an owner.
    #[error("its registry TXT {text:?} has no valid name: {source}")]
    BadRegistryName {
        /// The name as the caller gave it.
        text: String,
        /// What is wrong with it.
        source: Box<Self>,
    },
    /// Other records of the same apply bring their registry TXT, and this one has none in DNS either.
    #[error("it comes without a registry TXT, so nothing would say who owns it")]
    NoRegistryText,
    /// Two records whose registry TXT would have one name: the text of one would speak for the other.
    #[error("its registry TXT {text} is the one of {other} too")]
    RegistryShared {
        /// The name of the text.
        text: Name,
        /// The other record.
        other: Name,
    },
    /// The apex has SOA and NS already.
    #[error("a CNAME cannot be at the apex of {0}")]
    ApexCname(ZoneName),
    /// A type that cannot be read or written.
    #[error("type {0} is not supported")]
    UnsupportedType(String),
    /// A type that servers of the configured profile do not hold.
    #[error("servers of the configured profile do not hold type {0}")]
    NotInProfile(RecordType),
    /// A target that is none of its type.
    #[error("target {target:?}: {source}")]
    BadTarget {
        /// The target as given.
        target: String,
        /// Why.
        source: TargetError,
    },
    /// No target at all.
    #[error("there is no target")]
    NoTargets,
    /// Targets beyond the one that an alias can have. The record is written without them.
    #[error("a {rtype} has one target: {kept} is kept, {others} left out")]
    OneTarget {
        /// CNAME or DNAME.
        rtype: RecordType,
        /// The lowest target.
        kept: String,
        /// The others.
        others: String,
    },
    /// The zone's own infrastructure.
    #[error("the name is protected")]
    Protected,
    /// Below a delegation to other servers.
    #[error("delegated to {servers} at {cut}")]
    Delegated {
        /// Owner of the NS RRset.
        cut: Name,
        /// Its name servers.
        servers: String,
    },
    /// Below a DNAME, which answers for all names there.
    #[error("hidden by the DNAME at {dname} to {target}")]
    BelowDname {
        /// Owner of the DNAME.
        dname: Name,
        /// Its target.
        target: String,
    },
    /// A new delegation or DNAME above a name that is there.
    #[error("hides {0}, which is there")]
    Hides(Name),
    /// An alias whose target leads back to it.
    #[error("its target leads back to it")]
    CnameLoop,
    /// No ownership label.
    #[error("the change carries no owner label")]
    Unowned,
    /// An RRset is there and no registry TXT of this owner speaks for it.
    #[error("exists without a registry TXT of this owner, holding {0}")]
    ExistsUnowned(String),
    /// DNS holds neither what the caller was shown nor what is wanted.
    #[error("DNS holds {0}, neither the old nor the new value")]
    Differs(String),
    /// The registry TXT says so.
    #[error("the registry TXT in DNS names the owner {0:?}")]
    OtherOwner(String),
    /// Two changes of one RRset.
    #[error("two changes of this record contradict each other")]
    Contradiction,
    /// A CNAME beside something else.
    #[error("a CNAME cannot stand beside {0}")]
    CnameNotAlone(RecordType),
    /// `RFC2136_MAX_DELETES`.
    #[error("{count} record sets would be deleted, {limit} are allowed")]
    TooManyDeletes {
        /// Deletions in this apply.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// Could not be deleted again.
    #[error("to delete it again takes a message of {octets} octets, {limit} fit")]
    TooLarge {
        /// Octets of that message.
        octets: usize,
        /// The limit.
        limit: usize,
    },
    /// Another record of the same group cannot be written, and they go together or not at all.
    #[error("goes with {name} {rtype}: {source}")]
    GoesWith {
        /// The other record's name.
        name: String,
        /// The other record's type.
        rtype: String,
        /// Why that one cannot be written.
        source: Box<Self>,
    },
}

/// A record set that cannot be written, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its zone, where it has one.
    pub zone: Option<ZoneName>,
    /// Its name, canonical where possible.
    pub name: String,
    /// Its type as the caller wrote it.
    pub rtype: String,
    /// Why.
    pub reason: Reason,
}
