#!/bin/sh
# Builds the image without a daemon, the same octets each time from the same program and the same Debian.
# Usage: deploy/image/build.sh PROGRAM LICENCES OUTPUT: the layout comes to OUTPUT/oci, and as one file to
# OUTPUT/image.tar; OUTPUT/packages tells what it has of Debian, a line each: name, version, architecture.
# SOURCE_DATE_EPOCH is its date, else that of the commit. MIRROR and SECURITY_MIRROR name another Debian archive, such as
# one of snapshot.debian.org, from which an old image can be built again.
set -eu
program=$(realpath "$1") licences=$(realpath "$2") output=$3
here=$(realpath "$(dirname "$0")")
suite=trixie
: "${SOURCE_DATE_EPOCH:=$(git -C "$here" show --no-patch --format=%ct HEAD)}"
export SOURCE_DATE_EPOCH
created=$(date --utc --date "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$here/../../Cargo.toml" | head -n 1)
mirror=${MIRROR:-http://deb.debian.org/debian}
security=${SECURITY_MIRROR:-http://deb.debian.org/debian-security}

rm -rf "$output"
mkdir -p "$output"
packages=$(sed '/^#/d' "$here/packages" | tr '\n' ' ')
# The root is a directory inside that of mmdebstrap, which has apt's own files beside it.
# shellcheck disable=SC2016
mmdebstrap --quiet --variant=custom --format=null \
    --customize-hook='mkdir "$1/archives"; cd "$1/archives" && APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get -qq -o APT::Sandbox::User=root download '"$packages" \
    --customize-hook="'$here/root.sh' \"\$1/archives\" '$program' '$licences' \"\$1/image\"" \
    --customize-hook='tar --create --file "$1/image.tar" --directory "$1/image" --sort=name --numeric-owner --owner=0 --group=0 \
        --mtime="@$SOURCE_DATE_EPOCH" --format=posix --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime .' \
    --customize-hook="download /image.tar '$output/root.tar'" \
    "$suite" /dev/null \
    "deb $mirror $suite main" "deb $mirror $suite-updates main" "deb $security $suite-security main"

image=$output/oci:$version
umoci init --layout "$output/oci"
umoci new --image "$image"
umoci raw add-layer --image "$image" --history.created "$created" --history.created_by "deploy/image/root.sh" "$output/root.tar"
umoci config --image "$image" --no-history --created "$created" \
    --config.user 65532:65532 --config.workingdir / \
    --config.entrypoint /usr/bin/external-dns-rfc2136-webhook \
    --config.env PATH=/usr/bin --config.exposedports 8080/tcp \
    --config.label "org.opencontainers.image.title=external-dns-rfc2136-webhook" \
    --config.label "org.opencontainers.image.description=ExternalDNS webhook sidecar for RFC 2136 with GSS-TSIG" \
    --config.label "org.opencontainers.image.licenses=Apache-2.0" \
    --config.label "org.opencontainers.image.version=$version"
umoci gc --layout "$output/oci"
tar --extract --to-stdout --file "$output/root.tar" --wildcards './var/lib/dpkg/status.d/*' \
    | sed -n 's/^\(Package\|Version\|Architecture\): //p' | paste -d ' ' - - - >"$output/packages"
rm "$output/root.tar"
tar --create --file "$output/image.tar" --directory "$output/oci" --sort=name --numeric-owner --owner=0 --group=0 \
    --mtime="@$SOURCE_DATE_EPOCH" .
