//! Reading the zones of Active Directory and Samba over LDAP, with the Kerberos credential that updates are signed with.

pub mod ber;
pub mod dns_record;
pub mod message;
