#!/bin/sh
# Tells in CycloneDX what an image consists of: the program, the crates linked into it, and the Debian packages.
# Usage: deploy/image/sbom.sh IMAGE >SBOM, where IMAGE is what build.sh made. From the same source it is the same.
set -eu
packages=$(realpath "$1/packages")
cd "$(dirname "$0")/../.."
: "${SOURCE_DATE_EPOCH:=$(git show --no-patch --format=%ct HEAD)}"
suite=$(sed -n 's/^suite=//p' deploy/image/build.sh)
triple=$(rustc -vV | sed -n 's/^host: //p')

# It writes beside Cargo.toml only.
name=sbom-$$.cdx
trap 'rm -f "$name.json"' EXIT
cargo cyclonedx --quiet --quiet --format json --spec-version 1.5 --no-build-deps --target "$triple" \
    --override-filename "$name"

# Random numbers and this machine's paths go; what remains is of the source alone.
jq --sort-keys --rawfile packages "$packages" --arg suite "$suite" --arg epoch "$SOURCE_DATE_EPOCH" '
    def unrooted: walk(if type == "string" then sub("path\\+file://[^#]*#"; "")
        | sub("[?]download_url=file://[^#]*"; "") else . end);
    def debian: split("\n") | map(select(. != "") | split(" ") | {
        type: "library", name: .[0], version: .[1],
        purl: "pkg:deb/debian/\(.[0])@\(.[1] | @uri)?arch=\(.[2])&distro=\($suite)",
    } | . + {"bom-ref": .purl});
    del(.serialNumber)
    | .metadata.timestamp = ($epoch | tonumber | todate)
    | .metadata.component |= del(.components)
    | .components += ($packages | debian)
    | (.metadata.component."bom-ref") as $program
    | .dependencies |= map(if .ref == $program then .dependsOn += ($packages | debian | map(."bom-ref")) else . end)
    | unrooted' "$name.json"
