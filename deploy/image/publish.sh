#!/bin/sh
# Pushes images of several architectures as one, and tells the digests, a line NAME=DIGEST for each and for the whole.
# Usage: deploy/image/publish.sh CRANE REPOSITORY VERSION IMAGE..., where each IMAGE is what build.sh made.
set -eu
crane=$1 repository=$2 version=$3
shift 3
rooms=$(mktemp -d)
trap 'rm -rf "$rooms"' EXIT

# What somebody has pinned by its version stays what it was.
if published=$("$crane" digest "$repository:$version" 2>/dev/null); then
    echo "$repository:$version is published already, as $published: raise the version" >&2
    exit 1
fi

# Of a digest, which names a file of a layout.
file='.digest | sub(":"; "/")'
for image in "$@"; do
    layout=$(mktemp -d -p "$rooms")
    tar --extract --file "$image/image.tar" --directory "$layout"
    manifest=$layout/blobs/$(jq -r ".manifests[0] | $file" "$layout/index.json")
    architecture=$(jq -r .architecture "$layout/blobs/$(jq -r ".config | $file" "$manifest")")
    pushed=$("$crane" push "$layout" "$repository:$version-$architecture" 2>>"$rooms/log") || { cat "$rooms/log" >&2; exit 1; }
    echo "$architecture=${pushed##*@}"
    manifests="${manifests-} --manifest $pushed"
done
# shellcheck disable=SC2086
pushed=$("$crane" index append $manifests --tag "$repository:$version" 2>>"$rooms/log") || { cat "$rooms/log" >&2; exit 1; }
echo "digest=${pushed##*@}"
