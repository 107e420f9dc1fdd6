# Prepares a namespace for a domain controller: its address, its names, and a file system in memory for its state.
mount -t tmpfs -o mode=755 samba /var/lib/samba
ip link set lo up
ip address add 10.53.53.1/32 dev lo
cd /var/lib/samba
mkdir run
printf '%s\n' '10.53.53.1 dc1.ad.test dc1' '127.0.0.1 localhost' >hosts
printf '%s\n' 'nameserver 10.53.53.1' >resolv.conf
mount --bind hosts /etc/hosts
mount --bind resolv.conf /etc/resolv.conf
