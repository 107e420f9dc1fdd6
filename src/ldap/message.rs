//! The messages of LDAP (RFC 4511) that reading zones takes: a bind by SASL, searches in pages, the farewell.

use thiserror::Error;

use super::ber::{self, BerError, ENUMERATED, INTEGER, OCTET_STRING, Reader, SEQUENCE, SET};

/// The control that asks for, and tells of, pages (RFC 2696).
const PAGED_RESULTS: &str = "1.2.840.113556.1.4.319";
/// The notification that a server closes the connection with (RFC 4511 §4.4.1).
const NOTICE_OF_DISCONNECTION: &[u8] = b"1.3.6.1.4.1.1466.20036";

const BIND_REQUEST: u8 = 0x60;
const BIND_RESPONSE: u8 = 0x61;
const UNBIND_REQUEST: u8 = 0x42;
const SEARCH_REQUEST: u8 = 0x63;
const SEARCH_ENTRY: u8 = 0x64;
const SEARCH_DONE: u8 = 0x65;
const SEARCH_REFERENCE: u8 = 0x73;
const EXTENDED_RESPONSE: u8 = 0x78;
const CONTROLS: u8 = 0xa0;
const BIND_SASL: u8 = 0xa3;
const BIND_SERVER_CREDENTIALS: u8 = 0x87;
const EXTENDED_NAME: u8 = 0x8a;
const RESULT_REFERRAL: u8 = 0xa3;
const FILTER_AND: u8 = 0xa0;
const FILTER_OR: u8 = 0xa1;
const FILTER_EQUAL: u8 = 0xa3;
const FILTER_AT_LEAST: u8 = 0xa5;
const FILTER_PRESENT: u8 = 0x87;

/// Most octets of a diagnostic text that are kept.
const MOST_TEXT: usize = 300;

/// How deep a search goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The base itself.
    Base,
    /// What is directly below the base.
    OneLevel,
}

/// What a search is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// Entries with this attribute.
    Present(&'static str),
    /// Entries whose attribute has this value.
    Equal(&'static str, String),
    /// Entries whose attribute is this much or more.
    AtLeast(&'static str, u64),
    /// Entries that meet all of these.
    And(Vec<Self>),
    /// Entries that meet one of these.
    Or(Vec<Self>),
}

/// A search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// DN of where it starts.
    pub base: String,
    /// How deep it goes.
    pub scope: Scope,
    /// What it is for.
    pub filter: Filter,
    /// Which attributes of what is found are wanted.
    pub attributes: &'static [&'static str],
}

/// A part of a search's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page<'a> {
    /// Most entries that it has.
    pub size: i32,
    /// Where it starts, as the server told with the page before; empty for the first.
    pub cookie: &'a [u8],
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Number of the request that it answers; 0 for what was not asked for.
    pub id: i32,
    /// What it says.
    pub answer: Answer,
}

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// How a bind goes, with the server's token.
    Bind {
        /// How it went.
        outcome: LdapResult,
        /// The server's token, if it has one.
        token: Option<Vec<u8>>,
    },
    /// An entry that was found.
    Entry(Entry),
    /// The end of a search or of a page.
    Done {
        /// How it went.
        outcome: LdapResult,
        /// Where the next page starts; none or empty after the last.
        cookie: Option<Vec<u8>>,
    },
    /// There may be more elsewhere.
    Reference,
    /// The server closes the connection, and says why.
    Disconnection(LdapResult),
    /// Something that answers nothing that is asked here.
    Other(u8),
}

/// An entry of the directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// Where it is.
    pub dn: String,
    /// Names of attributes with their values.
    pub attributes: Vec<(String, Vec<Vec<u8>>)>,
}

/// How an operation went (RFC 4511 §4.1.9).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("LDAP result {code}: {text}")]
pub struct LdapResult {
    /// The result code.
    pub code: i32,
    /// The server's own words.
    pub text: String,
}

/// Result codes (RFC 4511 appendix A).
pub mod code {
    /// Done.
    pub const SUCCESS: i32 = 0;
    /// More was found than the server gives.
    pub const SIZE_LIMIT_EXCEEDED: i32 = 4;
    /// The server wants signatures or TLS.
    pub const STRONGER_AUTH_REQUIRED: i32 = 8;
    /// What was asked for is elsewhere.
    pub const REFERRAL: i32 = 10;
    /// The bind goes on.
    pub const SASL_BIND_IN_PROGRESS: i32 = 14;
    /// There is no such entry, or the account may not see it.
    pub const NO_SUCH_OBJECT: i32 = 32;
    /// The account is not known, or has another key.
    pub const INVALID_CREDENTIALS: i32 = 49;
    /// The account may not do this.
    pub const INSUFFICIENT_ACCESS: i32 = 50;
}

impl Entry {
    /// The value in the first part of its DN, where no part of that is escaped.
    #[must_use]
    pub fn first_value(&self) -> Option<&str> {
        let (first, _) = self.dn.split_once(',')?;
        let (_, value) = first.split_once('=')?;
        (!value.contains('\\')).then_some(value)
    }

    /// The values of an attribute; none where it has none.
    #[must_use]
    pub fn values(&self, name: &str) -> &[Vec<u8>] {
        let found = self.attributes.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or(&[], |(_, values)| values)
    }

    /// The first value of an attribute as text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.values(name).first()?).ok()
    }
}

impl Message {
    /// Reads an answer from the octets of one message.
    ///
    /// # Errors
    /// When it is no message of LDAP.
    pub fn parse(octets: &[u8]) -> Result<Self, BerError> {
        let mut message = Reader::new(Reader::new(octets).expect(SEQUENCE)?);
        let id = message.number(INTEGER)?;
        let (tag, contents) = message.element()?;
        let mut operation = Reader::new(contents);
        let answer = match tag {
            BIND_RESPONSE => {
                let outcome = LdapResult::read(&mut operation)?;
                let token = operation.optional(BIND_SERVER_CREDENTIALS)?.map(<[u8]>::to_vec);
                Answer::Bind { outcome, token }
            }
            SEARCH_ENTRY => Answer::Entry(Entry::read(&mut operation)?),
            SEARCH_DONE => {
                let outcome = LdapResult::read(&mut operation)?;
                let cookie = message.optional(CONTROLS)?.map(cookie).transpose()?.flatten();
                Answer::Done { outcome, cookie }
            }
            SEARCH_REFERENCE => Answer::Reference,
            EXTENDED_RESPONSE => {
                let outcome = LdapResult::read(&mut operation)?;
                // Active Directory puts the name elsewhere, or leaves it out; nothing else comes unasked for.
                let named = operation.optional(EXTENDED_NAME)?.is_some_and(|name| name == NOTICE_OF_DISCONNECTION);
                if named || id == 0 { Answer::Disconnection(outcome) } else { Answer::Other(tag) }
            }
            _ => Answer::Other(tag),
        };
        Ok(Self { id, answer })
    }
}

impl LdapResult {
    fn read(operation: &mut Reader<'_>) -> Result<Self, BerError> {
        let code = operation.number(ENUMERATED)?;
        operation.expect(OCTET_STRING)?;
        let text = operation.expect(OCTET_STRING)?;
        let text = text.get(..MOST_TEXT).unwrap_or(text);
        let text: String = String::from_utf8_lossy(text)
            .chars()
            .map(|character| if character.is_control() { ' ' } else { character })
            .collect();
        operation.optional(RESULT_REFERRAL)?;
        Ok(Self { code, text: text.trim().to_owned() })
    }
}

impl Entry {
    fn read(operation: &mut Reader<'_>) -> Result<Self, BerError> {
        let dn = text(operation.expect(OCTET_STRING)?);
        let mut list = Reader::new(operation.expect(SEQUENCE)?);
        let mut attributes = Vec::new();
        while !list.is_empty() {
            let mut attribute = Reader::new(list.expect(SEQUENCE)?);
            let name = text(attribute.expect(OCTET_STRING)?);
            let mut set = Reader::new(attribute.expect(SET)?);
            let mut values = Vec::new();
            while !set.is_empty() {
                values.push(set.expect(OCTET_STRING)?.to_vec());
            }
            attributes.push((name, values));
        }
        Ok(Self { dn, attributes })
    }
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// The cookie in the controls of an answer.
fn cookie(controls: &[u8]) -> Result<Option<Vec<u8>>, BerError> {
    let mut controls = Reader::new(controls);
    while !controls.is_empty() {
        let mut control = Reader::new(controls.expect(SEQUENCE)?);
        if control.expect(OCTET_STRING)? != PAGED_RESULTS.as_bytes() {
            continue;
        }
        control.optional(0x01)?;
        let value = control.expect(OCTET_STRING)?;
        let mut page = Reader::new(Reader::new(value).expect(SEQUENCE)?);
        page.number(INTEGER)?;
        return page.expect(OCTET_STRING).map(|cookie| Some(cookie.to_vec()));
    }
    Ok(None)
}

/// A step of a bind by SASL (RFC 4513 §5.2).
#[must_use]
pub fn bind(id: i32, mechanism: &str, token: &[u8]) -> Vec<u8> {
    let mut credentials = Vec::new();
    ber::write(&mut credentials, OCTET_STRING, mechanism.as_bytes());
    ber::write(&mut credentials, OCTET_STRING, token);
    let mut request = Vec::new();
    ber::write_number(&mut request, INTEGER, 3);
    ber::write(&mut request, OCTET_STRING, b"");
    ber::write(&mut request, BIND_SASL, &credentials);
    message(id, BIND_REQUEST, &request, &[])
}

/// The farewell (RFC 4511 §4.3).
#[must_use]
pub fn unbind(id: i32) -> Vec<u8> {
    message(id, UNBIND_REQUEST, &[], &[])
}

impl Search {
    /// The request for a page of the result, or for all of it.
    #[must_use]
    pub fn request(&self, id: i32, page: Option<Page<'_>>) -> Vec<u8> {
        let mut request = Vec::new();
        ber::write(&mut request, OCTET_STRING, self.base.as_bytes());
        ber::write_number(&mut request, ENUMERATED, if self.scope == Scope::Base { 0 } else { 1 });
        // Aliases are not followed; no limits but the server's; values are wanted.
        ber::write_number(&mut request, ENUMERATED, 0);
        ber::write_number(&mut request, INTEGER, 0);
        ber::write_number(&mut request, INTEGER, 0);
        ber::write(&mut request, 0x01, &[0]);
        self.filter.write(&mut request);
        let mut attributes = Vec::new();
        for attribute in self.attributes {
            ber::write(&mut attributes, OCTET_STRING, attribute.as_bytes());
        }
        ber::write(&mut request, SEQUENCE, &attributes);
        message(id, SEARCH_REQUEST, &request, &page.map(Page::controls).unwrap_or_default())
    }
}

impl Page<'_> {
    fn controls(self) -> Vec<u8> {
        let mut page = Vec::new();
        ber::write_number(&mut page, INTEGER, self.size);
        ber::write(&mut page, OCTET_STRING, self.cookie);
        let mut value = Vec::new();
        ber::write(&mut value, SEQUENCE, &page);
        let mut control = Vec::new();
        ber::write(&mut control, OCTET_STRING, PAGED_RESULTS.as_bytes());
        ber::write(&mut control, 0x01, &[0xff]);
        ber::write(&mut control, OCTET_STRING, &value);
        let mut controls = Vec::new();
        ber::write(&mut controls, SEQUENCE, &control);
        controls
    }
}

impl Filter {
    fn write(&self, out: &mut Vec<u8>) {
        let pair = |attribute: &str, value: &[u8]| {
            let mut pair = Vec::new();
            ber::write(&mut pair, OCTET_STRING, attribute.as_bytes());
            ber::write(&mut pair, OCTET_STRING, value);
            pair
        };
        let all = |filters: &[Self]| {
            let mut all = Vec::new();
            filters.iter().for_each(|filter| filter.write(&mut all));
            all
        };
        match self {
            Self::Present(attribute) => ber::write(out, FILTER_PRESENT, attribute.as_bytes()),
            Self::Equal(attribute, value) => ber::write(out, FILTER_EQUAL, &pair(attribute, value.as_bytes())),
            Self::AtLeast(attribute, value) => {
                ber::write(out, FILTER_AT_LEAST, &pair(attribute, value.to_string().as_bytes()));
            }
            Self::And(filters) => ber::write(out, FILTER_AND, &all(filters)),
            Self::Or(filters) => ber::write(out, FILTER_OR, &all(filters)),
        }
    }
}

fn message(id: i32, tag: u8, operation: &[u8], controls: &[u8]) -> Vec<u8> {
    let mut contents = Vec::with_capacity(operation.len() + controls.len() + 16);
    ber::write_number(&mut contents, INTEGER, id);
    ber::write(&mut contents, tag, operation);
    if !controls.is_empty() {
        ber::write(&mut contents, CONTROLS, controls);
    }
    let mut message = Vec::with_capacity(contents.len() + 6);
    ber::write(&mut message, SEQUENCE, &contents);
    message
}

#[cfg(test)]
mod tests;
