# Carob's commands. Each installs what it lacks, on a Debian-like machine that has Rust from rustup.
#
#   make up       start a cluster in the foreground, with a sample that answers at http://127.0.0.1:30080/
#   make test     everything that must be green: format, lints, unit, integration and end-to-end tests
#   make bench    the benchmarks, as ratios beside a peer or a floor of the same run
#   make samples  build the sample components from source
#   make fuzz     feed the sockets with random operations for a minute
#   make fmt      format the code
#   make lint     what `make test` checks before it runs anything
#   make schema-tables   write control/schema/src/tables again, after an update of k8s-openapi

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

CARGO_TARGET_DIR ?= $(CURDIR)/target
export CARGO_TARGET_DIR

TOOLS := $(CARGO_TARGET_DIR)/tools
BUILT_SAMPLES := $(CARGO_TARGET_DIR)/samples

# What the end-to-end tests drive the cluster with.
export CAROB_KUBECTL := $(TOOLS)/usr/bin/kubectl
export CAROB_PYTHON := $(TOOLS)/venv/bin/python

UP_FLAGS ?= --samples

# The release of Kubernetes' Go modules that `make schema-tables` reads.
KUBERNETES := 0.37.2

.PHONY: up test bench samples fuzz fmt lint schema-tables compiler tools

up: compiler
	@echo "==> building carob (the first time takes some minutes)"
	@cargo build --package carob
	@exec "$(CARGO_TARGET_DIR)/debug/carob" up $(UP_FLAGS)

test: lint samples
	@samples/compare.sh "$(BUILT_SAMPLES)"
	@echo "==> building everything with the samples built just now"
	@CAROB_SAMPLES_DIR="$(BUILT_SAMPLES)" cargo build --workspace --all-targets
	@echo "==> unit, integration and end-to-end tests"
	@CAROB_SAMPLES_DIR="$(BUILT_SAMPLES)" cargo test --workspace
	@echo "==> tests of the tools that run inside Pods, on this machine"
	@CARGO_TARGET_DIR="$(CARGO_TARGET_DIR)/tools-tests" cargo test --quiet --locked --manifest-path runtime/tools/Cargo.toml

bench: compiler
	@scripts/packages.sh nginx:nginx-light
	@echo "==> building the benchmarks in release mode"
	@cargo run --release --package carob-bench

samples: compiler
	@samples/build.sh "$(BUILT_SAMPLES)"

fuzz: compiler
	@cargo run --quiet --package carob-fuzz --bin sockets -- 60

fmt:
	@cargo fmt --all

lint: compiler tools
	@echo "==> format"
	@cargo fmt --all --check
	@echo "==> lints"
	@cargo clippy --workspace --all-targets -- --deny warnings
	@echo "==> licences, sources and doubled dependencies"
	@PATH="$(TOOLS)/bin:$$PATH" cargo deny --log-level error check licenses sources bans

schema-tables: compiler
	@CARGO_TARGET_DIR="$(CARGO_TARGET_DIR)/schema-generate" cargo run --quiet --manifest-path control/schema/generate/Cargo.toml
	@echo "==> field numbers, from the Go modules k8s.io/api and k8s.io/apimachinery"
	@folder() { go mod download -json "$$1@v$(KUBERNETES)" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p'; }; \
	  python3 control/schema/generate/protobuf.py "$$(folder k8s.io/api)" "$$(folder k8s.io/apimachinery)"
	@git diff --stat -- control/schema/src/tables

compiler:
	@scripts/packages.sh cc:build-essential
	@command -v cargo >/dev/null || { echo "install Rust first: https://rustup.rs" >&2; exit 1; }

tools:
	@scripts/tools.sh "$(TOOLS)"
