//! Acquiring a credential into a MEMORY cache. libgssapi has no way to name a keytab or cache, so this file calls GSS-API itself.
#![expect(unsafe_code, reason = "gss_acquire_cred_from is not wrapped by libgssapi")]
#![expect(clippy::disallowed_types, reason = "libgssapi's types stay inside gss/")]

use std::ffi::{CString, c_char, c_void};
use std::path::Path;
use std::ptr;

use libgssapi::credential::{Cred, CredUsage};
use libgssapi::error::{Error, MajorFlags};
use libgssapi::name::Name;
use libgssapi::oid::{GSS_MECH_KRB5, GSS_NT_KRB5_PRINCIPAL, OidSet};
use libgssapi_sys as sys;

/// DER of the mechanism krb5, 1.2.840.113554.1.2.2 (RFC 1964 §1).
const KRB5_MECHANISM: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02];
/// DER of GSS_KRB5_NT_PRINCIPAL_NAME, 1.2.840.113554.1.2.2.1 (RFC 1964 §2.1.1).
const KRB5_PRINCIPAL_NAME: [u8; 10] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02, 0x01];

/// Asks the KDC with a key of a keytab, unless the MEMORY cache still holds a ticket that is young enough.
///
/// # Errors
/// What the Kerberos library says.
pub(super) fn from_keytab(principal: &str, keytab: &Path, cache: &str) -> Result<Cred, Error> {
    acquire_from(Some(principal), &[("client_keytab", &format!("FILE:{}", keytab.display())), ("ccache", cache)])
}

/// Takes the tickets that something else keeps in a cache file; without a principal, whoever they belong to.
///
/// # Errors
/// What the Kerberos library says.
pub(super) fn from_ccache(principal: Option<&str>, ccache: &Path) -> Result<Cred, Error> {
    acquire_from(principal, &[("ccache", &format!("FILE:{}", ccache.display()))])
}

/// Asks the KDC with a password; the tickets are in a cache of this credential's own.
///
/// # Errors
/// What the Kerberos library says.
pub(super) fn from_password(principal: &str, password: &str) -> Result<Cred, Error> {
    let name = Name::new(principal.as_bytes(), Some(GSS_NT_KRB5_PRINCIPAL))?;
    // Only krb5: a credential for other mechanisms would be looked for in the default cache, without a word.
    let mechanisms = OidSet::singleton(GSS_MECH_KRB5)?;
    Cred::acquire_with_password(Some(&name), password, None, CredUsage::Initiate, Some(&mechanisms))
}

/// A name owned by GSS-API, released on drop.
struct ImportedName(sys::gss_name_t);

impl ImportedName {
    fn principal(text: &str) -> Result<Self, Error> {
        let mut oid = oid(&KRB5_PRINCIPAL_NAME);
        let mut buffer = sys::gss_buffer_desc_struct { length: text.len(), value: text.as_ptr().cast_mut().cast() };
        let (mut minor, mut name) = (0, ptr::null_mut());
        // SAFETY: every pointer is to a live local; the library only reads the buffer and the OID, and writes `name`.
        let major = unsafe { sys::gss_import_name(&raw mut minor, &raw mut buffer, &raw mut oid, &raw mut name) };
        complete(major, minor).map(|()| Self(name))
    }
}

impl Drop for ImportedName {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: the name was imported by `principal` and is released once, here.
        unsafe { sys::gss_release_name(&raw mut minor, &raw mut self.0) };
    }
}

fn oid(der: &'static [u8]) -> sys::gss_OID_desc_struct {
    // The library does not write through this pointer; C has no const here.
    let length = u32::try_from(der.len()).unwrap_or_default();
    sys::gss_OID_desc_struct { length, elements: der.as_ptr().cast_mut().cast() }
}

fn complete(major: u32, minor: u32) -> Result<(), Error> {
    if major == sys::GSS_S_COMPLETE { Ok(()) } else { Err(Error { major: MajorFlags::from_bits_retain(major), minor }) }
}

/// `gss_acquire_cred_from` for initiating with krb5, with these entries of the credential store.
fn acquire_from(principal: Option<&str>, store: &[(&str, &str)]) -> Result<Cred, Error> {
    let name = principal.map(ImportedName::principal).transpose()?;
    // No name is GSS_C_NO_NAME: the cache's own principal (RFC 2744 §5.2).
    let raw_name = name.as_ref().map_or(ptr::null_mut(), |name| name.0);
    let malformed = |_| Error { major: MajorFlags::GSS_S_BAD_NAME, minor: 0 };
    let texts = store
        .iter()
        .map(|(key, value)| Ok((CString::new(*key)?, CString::new(*value)?)))
        .collect::<Result<Vec<_>, std::ffi::NulError>>()
        .map_err(malformed)?;
    let mut elements: Vec<_> = texts
        .iter()
        .map(|(key, value)| sys::gss_key_value_element_desc { key: key.as_ptr(), value: value.as_ptr() })
        .collect();
    let count = u32::try_from(elements.len()).unwrap_or_default();
    let store = sys::gss_key_value_set_desc { count, elements: elements.as_mut_ptr() };
    let mut mechanism = oid(&KRB5_MECHANISM);
    let mut mechanisms = sys::gss_OID_set_desc_struct { count: 1, elements: &raw mut mechanism };
    let usage = i32::try_from(sys::GSS_C_INITIATE).unwrap_or_default();
    let (mut minor, mut credential) = (0, ptr::null_mut());
    // SAFETY: name, mechanisms and store are live for the call and only read; `credential` is written on success; the
    // two outputs that are not wanted may be null (RFC 2744 §5.2).
    let major = unsafe {
        sys::gss_acquire_cred_from(
            &raw mut minor,
            raw_name,
            sys::_GSS_C_INDEFINITE,
            &raw mut mechanisms,
            usage,
            &raw const store,
            &raw mut credential,
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    complete(major, minor)?;
    // SAFETY: the library has just made this credential, and nothing else owns it.
    Ok(unsafe { Cred::from_c(credential) })
}

/// Empties and removes a MEMORY cache. GSS-API cannot: it would stay until the process ends.
pub(super) fn destroy(cache: &str) {
    let Ok(cache) = CString::new(cache) else { return };
    let mut context = ptr::null_mut();
    // SAFETY: `context` is a live local, written on success.
    if unsafe { krb5_init_context(&raw mut context) } != 0 {
        return;
    }
    let mut handle = ptr::null_mut();
    // SAFETY: the context was just made; the cache's handle is used once, and `krb5_cc_destroy` takes it; the context is
    // freed once, last.
    unsafe {
        if krb5_cc_resolve(context, cache.as_ptr(), &raw mut handle) == 0 {
            krb5_cc_destroy(context, handle);
        }
        krb5_free_context(context);
    }
}

// libgssapi_krb5 is built on this library, so that it is there wherever the former is.
#[link(name = "krb5")]
unsafe extern "C" {
    fn krb5_init_context(context: *mut *mut c_void) -> i32;
    fn krb5_cc_resolve(context: *mut c_void, name: *const c_char, cache: *mut *mut c_void) -> i32;
    fn krb5_cc_destroy(context: *mut c_void, cache: *mut c_void) -> i32;
    fn krb5_free_context(context: *mut c_void);
}
