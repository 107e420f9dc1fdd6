"""Has a zone age its records, after 24 hours and 24 more, and makes records older:

    python3 age.py ZONE-DN NODE=HOURS ...

HOURS is how long ago the node's records were refreshed; `static` takes their time stamps away. Prints how many hours ago
each node's oldest record was refreshed before.
"""

import sys
import time

from samba.auth import system_session
from samba.dcerpc import dnsp
from samba.ndr import ndr_pack, ndr_unpack
from samba.param import LoadParm
from samba.samdb import SamDB

import ldb

zone, *nodes = sys.argv[1:]
settings = LoadParm()
settings.load("/var/lib/samba/smb.conf")
directory = SamDB(session_info=system_session(), lp=settings)
now = int(time.time() + 11644473600) // 3600

wanted = {
    dnsp.DSPROPERTY_ZONE_AGING_STATE: 1,
    dnsp.DSPROPERTY_ZONE_NOREFRESH_INTERVAL: 24,
    dnsp.DSPROPERTY_ZONE_REFRESH_INTERVAL: 24,
}
entry = directory.search(zone, scope=ldb.SCOPE_BASE, attrs=["dNSProperty"])[0]
properties = [ndr_unpack(dnsp.DnsProperty, value) for value in entry.get("dNSProperty", [])]
kept = [one for one in properties if one.id not in wanted]
for number, value in wanted.items():
    one = dnsp.DnsProperty()
    one.wDataLength, one.namelength, one.flag, one.version, one.id, one.data, one.name = 4, 0, 0, 1, number, value, 0
    kept.append(one)
change = ldb.Message(ldb.Dn(directory, zone))
change["p"] = ldb.MessageElement([ndr_pack(one) for one in kept], ldb.FLAG_MOD_REPLACE, "dNSProperty")
directory.modify(change)

for node in nodes:
    name, _, hours = node.partition("=")
    dn = f"DC={name},{zone}"
    entry = directory.search(dn, scope=ldb.SCOPE_BASE, attrs=["dnsRecord"])[0]
    records = [ndr_unpack(dnsp.DnssrvRpcRecord, value) for value in entry["dnsRecord"]]
    print(name, min(now - one.dwTimeStamp if one.dwTimeStamp else -1 for one in records))
    if not hours:
        continue
    for one in records:
        one.dwTimeStamp = 0 if hours == "static" else now - int(hours)
    change = ldb.Message(ldb.Dn(directory, dn))
    change["r"] = ldb.MessageElement([ndr_pack(one) for one in records], ldb.FLAG_MOD_REPLACE, "dnsRecord")
    directory.modify(change)
