# Each target installs what it needs first, unless told not to: make SETUP=: TARGET

SETUP ?= tests/support/setup.sh
# Seconds for each fuzz target.
FUZZ_SECONDS ?= 60
TARGET = $(or $(CARGO_TARGET_DIR),target)
VERSION = $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' Cargo.toml)
# Pushes images; of Go, as conformance and manifests are.
CRANE = $(TARGET)/crane-0.22.1/crane

# Where Go's own archive puts it.
export PATH := $(PATH):/usr/local/go/bin

.DEFAULT_GOAL := help
.PHONY: help demo demo-samba test check interop interop13 soak conformance manifests image imagetest bench bench-hot bench-samba fuzz deny msrv \
	minimal licences sbom publish tagged notes setup

# Makes sure that cargo has the subcommand $(1), which is installed with these further arguments: $(2).
define tool
@cargo $(1) --version >/dev/null 2>&1 || { set -x; cargo install --locked cargo-$(1) $(2); }
endef

help: ## lists the targets
	@sed -n 's/^\([a-z-]*\):.* ## \(.*\)/make \1\t\2/p' Makefile | expand -t 20

demo: ## shows the sidecar at work on its own KDC and name server
	@$(SETUP) build demo
	cargo build --locked --bin external-dns-rfc2136-webhook --example demo
	cargo run --locked --quiet --example demo

demo-samba: ## the same on a Samba domain controller, whose zones are read over LDAP; takes root
	@$(SETUP) build samba-demo
	cargo build --locked --bin external-dns-rfc2136-webhook --example demo-samba
	@room=$$(mktemp -d); trap 'rm -rf "$$room"' EXIT; TMPDIR=$$room cargo run --locked --quiet --example demo-samba

test: ## runs all tests, those on real servers included
	@$(SETUP) build servers samba
	cargo test --locked --no-fail-fast

check: ## format, lints, documentation, and the licences and sources of the dependencies
	@$(SETUP) build
	$(call tool,deny)
	cargo fmt --check
	cargo fmt --check --manifest-path tests/fuzz/Cargo.toml
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --bins --no-default-features -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps
	cargo deny --locked check licenses bans sources

interop: ## runs only the tests on real servers
	@$(SETUP) build servers samba
	cargo test --locked --no-fail-fast --test interop -- --test-threads 6

interop13: ## runs them with the servers of Debian 13 (BIND 9.20, Samba 4.22, MIT Kerberos 1.21), in a root of their own; takes root
	@$(SETUP) build image
	tests/support/trixie.sh $(TARGET)/trixie --test-threads 6

soak: ## has two owners change one zone 1,000 times each, on BIND and Samba, one of them killed again and again
	@$(SETUP) build servers samba
	SOAK=$(or $(SOAK),1000) cargo test --locked --test interop -- soak

conformance: ## drives the sidecar with ExternalDNS's own client, registry and planner
	@$(SETUP) build servers samba go
	tests/conformance/run.sh

manifests: ## renders the Helm values and the kustomization, and judges every object
	@$(SETUP) build go
	tests/manifests/run.sh

image: licences ## builds the OCI image in target/image, without a daemon
	@$(SETUP) build image
	cargo build --locked --release --bin external-dns-rfc2136-webhook
	deploy/image/build.sh $(TARGET)/release/external-dns-rfc2136-webhook $(TARGET)/licences.txt $(TARGET)/image

licences: ## writes the licences of what is linked into the program to target/licences.txt
	@$(SETUP) build
	$(call tool,about,--features cli)
	@mkdir -p $(TARGET)
	cargo about generate --offline --locked --fail --config deploy/image/about.toml --output-file $(TARGET)/licences.txt \
		deploy/image/about.hbs

sbom: image ## writes what the image consists of to target/image/sbom.json, in CycloneDX
	$(call tool,cyclonedx)
	deploy/image/sbom.sh $(TARGET)/image >$(TARGET)/image/sbom.json

publish: $(CRANE) ## pushes IMAGES, each what make sbom made on one architecture, to REPOSITORY as one of this version
	@deploy/image/publish.sh $(CRANE) $(REPOSITORY) $(VERSION) $(IMAGES)

$(CRANE):
	@$(SETUP) go
	@GOBIN=$(abspath $(@D)) go install github.com/google/go-containerregistry/cmd/crane@v0.22.1

tagged: ## fails unless TAG is this version, and CHANGELOG.md has an entry for it
	@[ "$(TAG)" = "v$(VERSION)" ] || { echo "the tag is $(TAG), the version in Cargo.toml v$(VERSION)" >&2; exit 1; }
	@$(MAKE) --silent notes >/dev/null

notes: ## prints the entry of CHANGELOG.md for this version
	@awk -v version=$(VERSION) '/^## / {ours = $$2 == version; next} ours {print; found = 1} END {exit !found}' \
		CHANGELOG.md || { echo 'CHANGELOG.md has no entry for $(VERSION)' >&2; exit 1; }

imagetest: sbom $(CRANE) ## runs the sidecar inside the image's root, as a container would, against a KDC and a name server
	@$(SETUP) servers
	cargo test --locked --test image

bench: ## measures the sidecar against nsupdate and dig, and writes tests/bench/RESULTS.md; BENCH=quick does less, BENCH="one read" these parts
	@$(SETUP) build servers
	cargo bench --locked --bench sidecar

bench-hot: ## measures the pure paths that everything goes through, each by itself
	@$(SETUP) build
	cargo bench --locked --bench hot

bench-samba: ## measures reading over LDAP against ldapsearch; takes root
	@$(SETUP) build samba-bench
	cargo bench --locked --bench directory

fuzz: ## runs each fuzz target for FUZZ_SECONDS
	@$(SETUP) build fuzz
	$(call tool,fuzz)
	@set -e; for target in $$(cargo fuzz list --fuzz-dir tests/fuzz); do \
		(set -x; RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir tests/fuzz $$target -- -max_total_time=$(FUZZ_SECONDS) -print_funcs=0); \
	done

deny: ## the same of the dependencies, and their advisories, which are fetched
	@$(SETUP) build
	$(call tool,deny)
	cargo deny --locked check

msrv: ## builds with the oldest Rust that Cargo.toml allows
	@$(SETUP) build
	@set -e; oldest=$$(sed -n 's/^rust-version = "\(.*\)"$$/\1/p' Cargo.toml); set -x; \
		rustup toolchain install --profile minimal --no-self-update $$oldest; \
		CARGO_TARGET_DIR=$(TARGET)/msrv cargo +$$oldest check --locked --bins

# Only what Cargo.toml names itself: others' bounds are not ours to mend.
minimal: ## builds with the oldest dependencies that Cargo.toml allows
	@$(SETUP) build
	@set -e; kept=$$(mktemp); cp Cargo.lock $$kept; trap 'cp $$kept Cargo.lock; rm $$kept' EXIT; set -x; \
		RUSTC_BOOTSTRAP=1 cargo update --quiet -Z direct-minimal-versions; \
		CARGO_TARGET_DIR=$(TARGET)/minimal cargo check --locked --bins

setup: ## installs what all of these need
	@$(SETUP) build servers samba fuzz go
