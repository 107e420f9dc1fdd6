#!/usr/bin/env bash
# Builds the sidecar and the lab, and drives them with three versions of ExternalDNS.
# Usage: tests/conformance/run.sh [FLAG OF go test]...      for example: -run 'TestScenarios/naming' -v
set -euo pipefail
cd "$(dirname "$0")/../.."

tests/support/setup.sh go
cargo build --locked --bin external-dns-rfc2136-webhook --example lab --example samba-lab
built=$(realpath "${CARGO_TARGET_DIR:-target}")/debug
export SIDECAR=$built/external-dns-rfc2136-webhook LAB=$built/examples/lab SAMBA_LAB=$built/examples/samba-lab

# ExternalDNS is large: without optimisation, and without vetting what it is made of, it compiles in half the time.
# Most of a test is waiting for servers, so that more of them at a time than processors do no harm.
flags=(-count=1 -vet=off '-gcflags=all=-N -l' -timeout=8m -parallel=4 -v)

# The Go that is here, or the one that is needed where it is newer.
toolchain() {
    found=$(GOTOOLCHAIN=local go env GOVERSION)
    [ "$(printf '%s\n' "go$1" "$found" | sort -V | tail -n 1)" = "$found" ] && echo local || echo "go$1"
}

failed=
# A suite and what it requires: each of two versions of ExternalDNS has the same packages.
for modules in current/newest.mod current/go.mod legacy/go.mod; do
    suite=$(dirname "$modules")
    version=$(sed -n 's,.*sigs.k8s.io/external-dns \(v[0-9.]*\)$,\1,p' "tests/conformance/$modules")
    # By itself Go fetches what go.mod asks for, not what another file does.
    GOTOOLCHAIN=$(toolchain "$(sed -n 's/^go //p' "tests/conformance/$modules")")
    export GOTOOLCHAIN
    echo "ExternalDNS $version"
    output=$(mktemp)
    if go -C "tests/conformance/$suite" test "${flags[@]}" -modfile="$(basename "$modules")" "$@" ./... >"$output" 2>&1; then
        grep -E '^ *--- (PASS|SKIP)' "$output" || true
    else
        failed="$failed $version"
        grep -vE '^=== (RUN|PAUSE|CONT|NAME)|^ *--- PASS' "$output" || true
    fi
    echo "ExternalDNS $version: $(grep -cE '^ *--- PASS' "$output" || true) passed, $(grep -cE '^ *--- FAIL' "$output" || true) failed"
    rm -f "$output"
done
[ -z "$failed" ] || { echo "conformance failed with ExternalDNS$failed" >&2; exit 1; }
