//! Security contexts of the mechanism krb5.
#![expect(clippy::disallowed_types, reason = "libgssapi's types stay inside gss/")]

use std::time::Duration;

use libgssapi::context::{ClientCtx, CtxFlags, SecurityContext as _};
use libgssapi::credential::Cred;
use libgssapi::name::Name;
use libgssapi::oid::{GSS_MECH_KRB5, GSS_NT_KRB5_PRINCIPAL};

use super::{GssError, SealingContext, SecurityContext};
use crate::kerberos::TargetName;

/// An initiator's context through libgssapi.
pub(super) struct MitContext(ClientCtx);

impl MitContext {
    /// MUTUAL, REPLAY and INTEG. Never SEQUENCE: one lost message would make every later one BADSIG.
    pub(super) fn new(credential: Cred, target: &TargetName) -> Result<Self, GssError> {
        Self::with(credential, target, CtxFlags::GSS_C_REPLAY_FLAG)
    }

    /// MUTUAL, REPLAY, SEQUENCE, INTEG and CONF.
    pub(super) fn sealing(credential: Cred, target: &TargetName) -> Result<Self, GssError> {
        let in_order = CtxFlags::GSS_C_REPLAY_FLAG | CtxFlags::GSS_C_SEQUENCE_FLAG;
        Self::with(credential, target, in_order | CtxFlags::GSS_C_CONF_FLAG)
    }

    fn with(credential: Cred, target: &TargetName, flags: CtxFlags) -> Result<Self, GssError> {
        let name = Name::new(target.to_string().as_bytes(), Some(GSS_NT_KRB5_PRINCIPAL))?;
        let flags = flags | CtxFlags::GSS_C_MUTUAL_FLAG | CtxFlags::GSS_C_INTEG_FLAG;
        Ok(Self(ClientCtx::new(Some(credential), name, flags, Some(GSS_MECH_KRB5))))
    }
}

impl SecurityContext for MitContext {
    fn step(&mut self, token: Option<&[u8]>) -> Result<Option<Vec<u8>>, GssError> {
        Ok(self.0.step(token, None)?.map(|token| token.to_vec()))
    }

    fn is_complete(&self) -> bool {
        self.0.is_complete()
    }

    fn mic(&mut self, message: &[u8]) -> Result<Vec<u8>, GssError> {
        Ok(self.0.get_mic(message)?.to_vec())
    }

    fn verify_mic(&mut self, message: &[u8], mic: &[u8]) -> Result<(), GssError> {
        Ok(self.0.verify_mic(message, mic)?)
    }

    fn lifetime(&self) -> Result<Duration, GssError> {
        Ok(self.0.lifetime()?)
    }
}

impl SealingContext for MitContext {
    fn wrap(&mut self, sealed: bool, message: &[u8]) -> Result<Vec<u8>, GssError> {
        Ok(self.0.wrap(sealed, message)?.to_vec())
    }

    fn unwrap(&mut self, message: &[u8]) -> Result<Vec<u8>, GssError> {
        Ok(self.0.unwrap(message)?.to_vec())
    }
}
