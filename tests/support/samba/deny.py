"""Denies a user all rights to an entry: python3 deny.py DN USER."""

import sys

from samba.auth import system_session
from samba.dcerpc import security
from samba.ndr import ndr_pack, ndr_unpack
from samba.param import LoadParm
from samba.samdb import SamDB

import ldb

dn, user = sys.argv[1:]
settings = LoadParm()
settings.load("/var/lib/samba/smb.conf")
directory = SamDB(session_info=system_session(), lp=settings)
found = directory.search(expression=f"(sAMAccountName={user})", attrs=["objectSid"])[0]
sid = ndr_unpack(security.dom_sid, found["objectSid"][0])
entry = directory.search(dn, scope=ldb.SCOPE_BASE, attrs=["nTSecurityDescriptor"])[0]
old = ndr_unpack(security.descriptor, entry["nTSecurityDescriptor"][0])
domain = security.dom_sid(directory.get_domain_sid())
sddl = old.as_sddl(domain)
at = sddl.index("(")
new = security.descriptor.from_sddl(f"{sddl[:at]}(D;;GA;;;{sid}){sddl[at:]}", domain)
change = ldb.Message(ldb.Dn(directory, dn))
change["sd"] = ldb.MessageElement(ndr_pack(new), ldb.FLAG_MOD_REPLACE, "nTSecurityDescriptor")
directory.modify(change)
