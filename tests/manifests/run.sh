#!/usr/bin/env bash
# Builds the sidecar, and judges deploy/ for Kubernetes by it.
# Usage: tests/manifests/run.sh [FLAG OF go test]...
set -euo pipefail
cd "$(dirname "$0")/../.."

tests/support/setup.sh go
cargo build --locked --bin external-dns-rfc2136-webhook
SIDECAR=$(realpath "${CARGO_TARGET_DIR:-target}")/debug/external-dns-rfc2136-webhook
export SIDECAR
# What is judged changes without its test changing.
go -C tests/manifests test -count=1 -vet=off '-gcflags=all=-N -l' "$@" ./...
