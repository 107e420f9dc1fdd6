//! ExternalDNS's ownership texts, as its TXT registry writes them.

use crate::dns::Rdata;
use crate::dns::presentation::{is_heritage, joined};

const OWNER: &str = "external-dns/owner=";

/// What a TXT record says about ownership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// A heritage text that names this owner.
    Owner(String),
    /// What an encrypted heritage text looks like: base64 of nonce, ciphertext and tag.
    Sealed,
    /// Somebody else's text.
    Foreign,
}

/// Reads the claim of one TXT record.
#[must_use]
pub fn claim(rdata: &Rdata) -> Claim {
    let Some(text) = joined(rdata) else { return Claim::Foreign };
    if !is_heritage(&text) {
        return if is_sealed(&text) { Claim::Sealed } else { Claim::Foreign };
    }
    let text = String::from_utf8_lossy(&text);
    let owner = text.split(',').find_map(|pair| pair.strip_prefix(OWNER)).unwrap_or_default();
    Claim::Owner(owner.to_owned())
}

/// Base64 of at least a nonce (12 octets), a tag (16) and a gzip header (10).
fn is_sealed(text: &[u8]) -> bool {
    let digits = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    text.len() >= 52
        && text.len().is_multiple_of(4)
        && digits.iter().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn txt(text: &str) -> Rdata {
        let length = u8::try_from(text.len()).unwrap();
        Rdata::from_wire([&[length], text.as_bytes()].concat())
    }

    #[test]
    fn a_heritage_text_names_its_owner() {
        let text = "heritage=external-dns,external-dns/owner=k8s,external-dns/resource=service/default/web";
        assert_eq!(claim(&txt(text)), Claim::Owner("k8s".to_owned()));
    }

    #[test]
    fn base64_is_sealed_and_anything_else_foreign() {
        assert_eq!(claim(&txt(&"QUJD".repeat(20))), Claim::Sealed);
        assert_eq!(claim(&txt("v=spf1 -all")), Claim::Foreign);
        assert_eq!(claim(&txt("QUJD")), Claim::Foreign);
    }
}
