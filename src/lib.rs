//! A webhook provider for ExternalDNS: DNS records kept by RFC 2136 updates signed with GSS-TSIG.
//!
//! This page is the architecture. `DECISIONS.md` says why things are as they are, `tests/README.md` how they are tested.
//!
//! # Layout
//!
//! Pure modules say what things are and what should happen; they neither wait, nor log, nor read a clock: `now`, random
//! numbers and key names are arguments. Two modules make it happen, one joins everything, one shows it. In reading order:
//!
//! | module | what it is | imports | |
//! |---|---|---|---|
//! | [`api`] | what ExternalDNS says: endpoints, changes, domain filters | | pure |
//! | [`kerberos`] | realm, principal, target name, where the credential comes from; frozen at the start | | pure |
//! | [`dns`] | what DNS says: names, RRsets, zones, updates, TKEY, TSIG, transfers | | pure |
//! | [`plan`] | what should change: the canonical form, from changes to groups, prerequisites and batches, and their delivery | `api`, `dns` | pure |
//! | [`given`] | what of a value's text counts, from a variable or a file | | pure |
//! | [`gss`] | credentials and security contexts through the system's Kerberos library | `given`, `kerberos` | blocks |
//! | [`dial`] | reaching a server over TCP | `dns` | async |
//! | [`nameserver`] | one server: connect, negotiate, exchange, transfer; and a pool of them | `dns`, `gss`, `kerberos` | async |
//! | [`ldap`] | reading the zones of AD and Samba over LDAP; its codecs are pure | `dns`, `gss`, `kerberos` | async |
//! | [`zone_copy`] | what is known of each zone on each server, and how it is refreshed | `dns`, `nameserver`, `ldap` | async |
//! | [`provider`] | the service: records, adjust, apply; every cause of failure with its remedy | all of the above, `metrics`, `config::ReadMode` | async |
//! | [`server`] | HTTP and gRPC on one port, the admin port, causes as status codes | `api`, `provider`, `metrics` | async |
//! | [`config`] | every variable, read once; all problems at once | types of the pure modules | |
//! | [`check`] | the preflight: configuration, Kerberos, DNS and the directory, line by line | `config`, `gss`, `nameserver`, `ldap`, the causes of `provider` | async |
//! | [`explain`] | one name: what DNS holds there, whose it is, what a change would do | `config`, `plan`, `provider` | async |
//! | [`metrics`], [`telemetry`] | what is counted; how it is logged | | |
//! | [`app`] | composition, and the orderly end | all | |
//!
//! `main` reads the settings, points the Kerberos library to its configuration before any thread exists, and runs
//! `serve`, `check`, `explain` or `config`. Unsafe code is there and in `gss/credential.rs`, nowhere else.
//!
//! # Data flow
//!
//! ```text
//!   ExternalDNS                                                                       name servers
//!        |                                                                                 ^
//!   HTTP | gRPC                                                              TCP or TLS    | signed
//!        v                                                                                 |
//!     server ---- Provider (trait) ----> provider::Service ---- Authority (trait) ----> nameserver
//!                                             |      |                                     ^   |
//!                                           plan   zone_copy ------------------------------+  gss ---> KDC
//!                                                      |                                       |
//!                                                      +-----> ldap <--------------------------+
//!                                                                | sealed
//!                                                                v
//!                                                        domain controller
//! ```
//!
//! * *Records.* The service picks the server of this reconcile and has every zone's copy refreshed: SOA query, then IXFR,
//!   then AXFR, whichever is enough; or a search of the directory for what has changed, or for everything. [`plan::list`] makes endpoints of the copies. What cannot be read completely is an
//!   error; a short list would be an order to delete.
//! * *Adjust.* [`plan::adjust()`] puts the desired endpoints in the form in which records lists them, and drops what can
//!   never be written. No I/O.
//! * *Apply.* [`plan::intake()`] reads and pairs the changes, [`plan::group()`] joins a record with its registry TXT,
//!   [`plan::plan()`] compares each group with the copy that the caller was shown and makes prerequisites
//!   and exact-value operations, [`plan::pack`] fills messages. [`plan::delivery`] says which goes next, which is halved
//!   because it was denied, what is read back, and what became of each group; it never waits. `provider::apply` does what
//!   it says, tells it what came of that, and returns what was rejected. An applied update is applied to the copy too.
//! * *A message.* [`nameserver`] takes a connection and the security context, [`dns::tsig`] signs the octets and gives the
//!   only value that can verify the answer. BADKEY brings a new context and the same request, signed afresh.
//! * *A failure* is a [`provider::Cause`], from wherever it comes: one label, sentence and remedy for the log, the metrics,
//!   `/readyz`, `/status` and `check`, and one row in [`server::status`] for HTTP and gRPC.
//!
//! Deadlines nest; [`server`] has the diagram.
//!
//! # Glossary
//!
//! | word | meaning |
//! |---|---|
//! | endpoint | ExternalDNS's record set: name, type, targets, TTL, labels |
//! | registry TXT | the TXT record in which ExternalDNS keeps the owner of a record; its text begins with `heritage=external-dns` |
//! | canonical form | the one spelling of names, targets and TTLs that adjust, apply and records share |
//! | group | changes that are applied together or not at all: those of one name, and the registry TXT that speak for it |
//! | part, step | a group's changes in one zone; the prerequisites and operations that they become |
//! | batch | the steps of one UPDATE message |
//! | delivery | sending the batches of an apply, and finding out what became of each |
//! | fate, verdict | what became of a message; why a group was not applied |
//! | prerequisite | what must hold for an update to be applied (RFC 2136 §2.4) |
//! | read-back | asking whether what was to be written is there, when a reply does not prove it |
//! | refused, denied | not written because the plan does not allow it; because the server does not |
//! | rejected | refused or denied, and named in `/status`; the rest of the apply is written |
//! | standing | what is rejected or left out now, and since when |
//! | quarantine | where rejected groups wait for their next try, which each gets in a message of its own |
//! | unknown fate | of an update that may have been applied or not: its record set may hold either value |
//! | dropped | left out in adjust, since it can never be written |
//! | zone copy | a zone as one server holds it, as raw RDATA |
//! | directory, node | the LDAP server of a domain, in which AD and Samba keep zones; the entry of one name there |
//! | marker | what the source of a zone copy knows a version by: a serial, for transfers; for the directory, a count of changes and whose count it is |
//! | pin | the server that a reconcile reads from and writes to |
//! | security context | what both sides share after the TKEY exchange (RFC 2743, RFC 3645); it makes and verifies MICs |
//! | MAC input | the octets that a MAC covers; Samba's internal DNS leaves the length of the request's MAC out of them |
//! | target name | the Kerberos name of a DNS server, `DNS/host@REALM` |
//! | ccache | a Kerberos credential cache |

pub mod api;
pub mod app;
pub mod check;
pub mod config;
pub mod dial;
pub mod dns;
pub mod explain;
pub mod given;
pub mod gss;
pub mod kerberos;
pub mod ldap;
pub mod metrics;
pub mod nameserver;
pub mod plan;
pub mod provider;
pub mod server;
pub mod telemetry;
pub mod zone_copy;
