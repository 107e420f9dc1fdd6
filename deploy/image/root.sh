#!/bin/sh
# Makes the root of the image from Debian packages and the program, for build.sh and the Dockerfile alike.
# Usage: deploy/image/root.sh ARCHIVES PROGRAM LICENCES ROOT, where the directory ARCHIVES holds the .deb files, and the
# file LICENCES is for what is linked into the program.
set -eu
archives=$1 program=$2 licences=$3 root=$4
umask 022

mkdir -p "$root"
for archive in "$archives"/*.deb; do
    dpkg-deb --extract "$archive" "$root"
done
# One certificate after the other, as update-ca-certificates would write them.
mkdir -p "$root/etc/ssl/certs"
find "$root/usr/share/ca-certificates" -name '*.crt' | LC_ALL=C sort | while read -r certificate; do
    cat "$certificate"
    echo
done >"$root/etc/ssl/certs/ca-certificates.crt"

# What only people, shells and other character sets need. Every package's copyright stays.
find "$root/usr/share/doc" -mindepth 2 ! -type d ! -name copyright -delete
find "$root/usr/share/doc" -type d -empty -delete
rm -rf "$root/usr/share/ca-certificates" "$root/usr/share/man" "$root/usr/share/info" "$root/usr/share/lintian" \
    "$root/usr/share/locale" "$root/usr/share/bug" "$root/usr/share/base-files" "$root/usr/share/libc-bin" \
    "$root/usr/sbin/update-ca-certificates" "$root/etc/ca-certificates" "$root/etc/update-motd.d" "$root/etc/profile.d" \
    "$root/etc/cron.d" "$root/etc/init.d" "$root/etc/systemd"
rm -rf "$root"/usr/lib/*/gconv

# Scanners for vulnerabilities look here, where there is no dpkg to have written its own file.
mkdir -p "$root/var/lib/dpkg/status.d"
for archive in "$archives"/*.deb; do
    package=$(dpkg-deb --field "$archive" Package)
    { dpkg-deb --field "$archive"; echo 'Status: install ok installed'; } >"$root/var/lib/dpkg/status.d/$package"
done

cat >"$root/etc/passwd" <<END
root:x:0:0:root:/root:/usr/sbin/nologin
nonroot:x:65532:65532:nonroot:/:/usr/sbin/nologin
END
cat >"$root/etc/group" <<END
root:x:0:
nonroot:x:65532:
END
# Where a container's own files are mounted.
mkdir -p "$root/dev" "$root/proc" "$root/sys" "$root/tmp"
chmod 1777 "$root/tmp"
install -D -m 0755 "$program" "$root/usr/bin/external-dns-rfc2136-webhook"
# Beside those of the packages, where scanners look.
install -D -m 0644 "$licences" "$root/usr/share/doc/external-dns-rfc2136-webhook/copyright"
