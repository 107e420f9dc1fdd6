"""Gives the SOA record of an entry another serial: python3 touch.py DN."""

import sys

from samba.auth import system_session
from samba.dcerpc import dnsp
from samba.ndr import ndr_pack, ndr_unpack
from samba.param import LoadParm
from samba.samdb import SamDB

import ldb

settings = LoadParm()
settings.load("/var/lib/samba/smb.conf")
directory = SamDB(session_info=system_session(), lp=settings)
entry = directory.search(sys.argv[1], scope=ldb.SCOPE_BASE, attrs=["dnsRecord"])[0]
records = [ndr_unpack(dnsp.DnssrvRpcRecord, value) for value in entry["dnsRecord"]]
for record in records:
    if record.wType == dnsp.DNS_TYPE_SOA:
        record.data.serial += 1
change = ldb.Message(entry.dn)
change["dnsRecord"] = ldb.MessageElement([ndr_pack(record) for record in records], ldb.FLAG_MOD_REPLACE, "dnsRecord")
directory.modify(change)
