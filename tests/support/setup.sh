#!/bin/sh
# Makes sure that what a target of the Makefile needs is there: Rust, Debian packages, Go.
# Usage: tests/support/setup.sh GROUP...   with the groups below, or `go`. Does nothing where nothing is missing.
set -eu

# libgssapi is bound by bindgen (libclang), ring is C.
build='libkrb5-dev libclang-dev pkg-config gcc libc6-dev'
# named, dig and nsupdate; a KDC with kadmin.local; setpriv, which ends servers with the test.
demo='bind9 bind9-dnsutils krb5-kdc krb5-admin-server util-linux'
# In addition: kinit, certificates for DNS over TLS, network namespaces, ps, another time of day, promtool, other servers.
servers="$demo bind9-utils krb5-user openssl iproute2 procps faketime prometheus knot pdns-server pdns-backend-sqlite3
    sqlite3"
samba='samba samba-ad-dc samba-ad-provision samba-dsdb-modules samba-vfs-modules winbind python3-samba
    python3-markdown ldb-tools tdb-tools'
# Samba's internal DNS and dig, in a network namespace.
samba_demo="$samba bind9-dnsutils iproute2 util-linux"
# And a client of the directory to compare with.
samba_bench="$samba_demo ldap-utils libsasl2-modules-gssapi-mit krb5-user"
# The image without a daemon, and its root as a container would see it.
image='mmdebstrap umoci skopeo bubblewrap jq util-linux mount'
# libFuzzer is C++.
fuzz='g++'

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

# Whether version $1 is at least $2.
at_least() {
    [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]
}

rust() {
    needed=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$(dirname "$0")/../../Cargo.toml")
    found=$(cargo --version 2>/dev/null | cut -d ' ' -f 2)
    at_least "${found:-0}" "$needed" || fail \
        "Rust $needed or newer is needed, ${found:-none} was found. Debian 12's own is older; install it with" \
        "    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y && . \"\$HOME/.cargo/env\""
}

# Any Go since 1.21 fetches the one that go.mod asks for.
go_toolchain() {
    found=$(go version 2>/dev/null | sed 's/^go version go\([0-9.]*\).*/\1/')
    at_least "${found:-0}" 1.21 || fail \
        "Go 1.21 or newer is needed, ${found:-none} was found. Debian 12's own is 1.19; install it from backports with" \
        "    echo 'deb http://deb.debian.org/debian bookworm-backports main' > /etc/apt/sources.list.d/backports.list" \
        "    apt-get update && apt-get install -y -t bookworm-backports golang-go" \
        "as root, or from https://go.dev/dl/ into /usr/local/go."
}

is_installed() {
    [ "$(dpkg-query --show --showformat '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# What a freshly installed package has started or will start at boot: the tests start servers of their own.
stop_services() {
    for package in "$@"; do
        for script in $(dpkg-query --listfiles "$package" | sed -n 's,^/etc/init\.d/,,p'); do
            $as_root service "$script" stop >/dev/null 2>&1 || true
            $as_root update-rc.d "$script" disable >/dev/null 2>&1 || true
        done
    done
}

packages() {
    command -v apt-get >/dev/null || fail "This is not Debian; the targets were tried on Debian 12 only." \
        "Install what these packages hold, and give make SETUP=: to skip this step:" "    $*"
    missing=
    for package in "$@"; do
        is_installed "$package" || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    as_root=
    [ "$(id -u)" = 0 ] || as_root=sudo
    set -- env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300
    install="install -y --no-install-recommends$missing"
    if [ -n "$as_root" ] && ! command -v sudo >/dev/null; then
        fail "Packages are missing, and this is neither root nor is there sudo. As root, run" \
            "    apt-get update && apt-get $install"
    fi
    printf '%s\n' "$as_root $* update" "$as_root $* $install" | sed 's/^ *//'
    # Lists may be incomplete where a source is out of reach; installing tells whether that matters.
    # shellcheck disable=SC2086
    { $as_root "$@" -qq update || true; } && $as_root "$@" -qq $install >/dev/null
    # shellcheck disable=SC2086
    stop_services $missing
}

all=
for group in "$@"; do
    case $group in
    build) rust && all="$all $build" ;;
    demo) all="$all $demo" ;;
    servers) all="$all $servers" ;;
    samba) all="$all $samba" ;;
    samba-demo) all="$all $samba_demo" ;;
    samba-bench) all="$all $samba_bench" ;;
    image) all="$all $image" ;;
    fuzz) all="$all $fuzz" ;;
    go) go_toolchain ;;
    *) fail "$0: there is no group $group" ;;
    esac
done
# shellcheck disable=SC2086
packages $all
