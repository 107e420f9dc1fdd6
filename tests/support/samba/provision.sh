# Makes a domain in a prepared namespace: sh provision.sh BACKEND ARCHIVE. Runs once; servers start from the archive.
backend=$1 archive=$2
cd /var/lib/samba
samba-tool domain provision --targetdir=/var/lib/samba --realm=AD.TEST --domain=AD --server-role=dc \
    --dns-backend="$backend" --host-name=dc1 --host-ip=10.53.53.1 --adminpass='Adm1nPass!' \
    --option='interfaces=10.53.53.1/32' --option='bind interfaces only=yes' >provision.log 2>&1 ||
    { cat provision.log >&2; exit 1; }

/usr/bin/python3 - "$backend" <<'PYTHON'
import sys

import ldb
from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB

ACCOUNTDISABLE, DONT_EXPIRE_PASSWORD = 0x2, 0x10000
settings = LoadParm()
settings.load("/var/lib/samba/smb.conf")
directory = SamDB(session_info=system_session(), lp=settings)
for user in ("externaldns", "extdns2", "reader", "locked"):
    directory.newuser(user, "Passw0rd")
    directory.toggle_userAccountFlags(f"(sAMAccountName={user})", DONT_EXPIRE_PASSWORD, on=True)
directory.toggle_userAccountFlags("(sAMAccountName=locked)", ACCOUNTDISABLE, on=True)
# BIND9_DLZ writes only the last name of a message as the user who sent it; the others belong to the system.
if sys.argv[1] == "BIND9_DLZ":
    directory.add_remove_group_members("DnsAdmins", ["externaldns"])
# What samba_spnupdate would do, which is not among the services here.
controller = directory.search(directory.domain_dn(), expression="(sAMAccountName=DC1$)", attrs=[])[0]
names = ["ldap/dc1.ad.test", "ldap/dc1.ad.test/ad.test", "ldap/DC1"]
change = ldb.Message(controller.dn)
change["names"] = ldb.MessageElement(names, ldb.FLAG_MOD_ADD, "servicePrincipalName")
directory.modify(change)
PYTHON

mkdir keytabs
for user in externaldns extdns2 reader locked; do
    samba-tool domain exportkeytab "keytabs/$user.keytab" --principal="$user@AD.TEST" --configfile=smb.conf >/dev/null
done

# Zones are made over RPC, which takes a running server.
samba -F --no-process-group --configfile=/var/lib/samba/smb.conf </dev/null >samba.out 2>&1 &
server=$!
for zone in second.test wild.test 2.0.192.in-addr.arpa; do
    tries=0
    until samba-tool dns zonecreate dc1.ad.test "$zone" -U 'Administrator%Adm1nPass!' --configfile=smb.conf \
        >zonecreate.log 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 50 ] || { cat zonecreate.log samba.out samba.log >&2; exit 1; }
        sleep 0.1
    done
done
kill -TERM "$server"
wait "$server" || true

tar -cf "$archive.new" private bind-dns keytabs
mv "$archive.new" "$archive"
