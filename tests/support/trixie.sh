#!/bin/sh
# Runs the tests on real servers with those of Debian 13: BIND 9.20, Samba 4.22, MIT Kerberos 1.21 and others.
# Usage: tests/support/trixie.sh ROOT [ARGUMENT OF THE TESTS]..., as root. ROOT is made where it is not there.
#
# What is built here runs there: only the root of the file system is another one, in which this repository is where it is.
set -eu
root=$(realpath -m "$1")
shift
here=$(realpath "$(dirname "$0")/../..")
target=$(realpath "${CARGO_TARGET_DIR:-$here/target}")
[ "$(id -u)" = 0 ] || { echo "another root takes root" >&2; exit 1; }

# The packages of setup.sh that the tests need, by the names that they have there.
packages='bind9 bind9-dnsutils bind9-utils krb5-kdc krb5-admin-server krb5-user mount util-linux openssl iproute2 procps faketime
    prometheus knot pdns-server pdns-backend-sqlite3 sqlite3 samba samba-ad-dc samba-ad-provision samba-dsdb-modules
    samba-vfs-modules winbind python3-samba python3-markdown ldb-tools tdb-tools libgssapi-krb5-2'
if ! [ -e "$root/.made" ]; then
    rm -rf "$root"
    # shellcheck disable=SC2086
    mmdebstrap --quiet --variant=apt --include="$(echo $packages | tr ' ' ',')" trixie "$root"
    touch "$root/.made"
fi
cargo build --locked --bin external-dns-rfc2136-webhook
tests=$(cargo test --locked --test interop --no-run --message-format=json | sed -n 's/.*"executable":"\([^"]*interop-[^"]*\)".*/\1/p')
mkdir -p "$root$here" "$root$target"
# Debian 13 has no module of Samba for its BIND: what is about that alone is left out, and said here.
export SAMBA_BACKENDS=internal
skipped=
for name in bind9_dlz with_profile_samba a_domains_own_names_are_neither a_plain_account_on a_record_that_equals_the_wildcards \
    a_wildcard_made_in_the_same_message; do
    skipped="$skipped --skip $name"
done
# Mounts end with the namespace.
# shellcheck disable=SC2016
exec unshare --mount --pid --fork --kill-child sh -euc '
    root=$1 here=$2 target=$3 tests=$4 skipped=$5
    shift 5
    # A mount, so that it can become the root, and tests can make namespaces of their own below it.
    mount --rbind "$root" "$root"
    mount --bind "$here" "$root$here"
    [ "$target" = "$here/target" ] || mount --bind "$target" "$root$target"
    for directory in dev sys; do mount --rbind "/$directory" "$root/$directory"; done
    mount -t proc proc "$root/proc"
    mount -t tmpfs tmpfs "$root/tmp"
    mount -t tmpfs tmpfs "$root/run"
    cd "$root"
    pivot_root . mnt
    umount --lazy /mnt
    exec chroot . /bin/sh -euc "cd \"\$1\"; shift
        dpkg-query -W bind9 samba krb5-kdc knot pdns-server
        exec \"\$@\"" sh "$here" "$tests" $skipped "$@"
' sh "$root" "$here" "$target" "$tests" "$skipped" "$@"
