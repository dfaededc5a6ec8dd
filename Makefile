# tipring: every verb of the house. `make` alone lists them.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

CARGO ?= cargo
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
CHECKED := --profile checked
ROUTER := target/release/tipring
CHECKED_ROUTER := target/checked/tipring
SEEDS ?= 2000
HOURS ?= 1

help: ## List the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

# ---- set-up: what a fresh Debian machine with the Rust toolchain lacks

# $(call need,COMMAND,PACKAGE): install a Debian package unless its command is there
define need
	@command -v $(1) >/dev/null || { $(SUDO) apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq $(2) >/dev/null; }
endef

# $(call need-idle,COMMAND,PACKAGE,SERVICE): the same for a server that is started by hand only: where the
# package has just been installed its service is switched off
define need-idle
	@command -v $(1) >/dev/null || { $(SUDO) apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq $(2) >/dev/null; \
		[ ! -d /run/systemd/system ] || $(SUDO) systemctl disable -q --now $(3) || true; }
endef

setup: ## Install what `make run` needs (a C linker)
	$(call need,cc,build-essential)

setup-fuzz: setup ## Install what `make fuzz` needs (a C++ compiler)
	$(call need,c++,build-essential)

setup-test: setup-fuzz ## Install what `make test` needs: a C++ compiler, SIP clients, chromium, python3-venv
	$(call need,sipp,sip-tester)
	$(call need,sipsak,sipsak)
	$(call need,baresip,baresip-core)
	$(call need,linphonec,linphone-cli)
	$(call need,chromium,chromium)
	@python3 -c 'import ensurepip' 2>/dev/null || { $(SUDO) apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq python3-venv >/dev/null; }

setup-bench: setup ## Install what `make bench`, `compare` and `media-compare` need: kamailio, rtpengine
	$(call need-idle,kamailio,kamailio,kamailio)
	$(call need-idle,rtpengine,rtpengine-daemon,rtpengine-daemon)

# ---- running

run: setup ## Build and start the router on 127.0.0.1:5060 with the built-in configuration
	@$(CARGO) build --release --locked -p tipring-server
	@exec $(ROUTER) run $(ARGS)

build: setup ## Build the release binary, target/release/tipring
	@$(CARGO) build --release --locked -p tipring-server

doctor: build ## Print what this machine allows, and what to do about the rest
	@$(ROUTER) doctor

# ---- proving

test: setup-test lint unit fuzz-smoke scenarios clients page api docs ## Everything CI runs: about 12 minutes on 2 cores
	@echo "make test: all passed"

lint: ## rustfmt, clippy, the arrows between rooms
	@$(CARGO) fmt --all -- --check
	@$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	@$(CARGO) run -q --locked $(CHECKED) -p xtask -- arrows

unit: ## Unit, property and simulation tests
	@$(CARGO) test --locked --workspace $(CHECKED) --no-fail-fast

fuzz-smoke: setup-fuzz ## Fuzz every target for a minute in all, from the committed corpus
	@engine/fuzz/fuzz.sh smoke

fuzz: setup-fuzz ## Fuzz for HOURS (HOURS=1), all targets or TARGET=parse|sdp|rtp|stack|shard
	@engine/fuzz/fuzz.sh hours $(HOURS) $(TARGET)

sim: ## Simulate SEEDS random worlds (SEEDS=2000)
	@$(CARGO) run --locked $(CHECKED) -p tipring-sim -- --seeds $(SEEDS)

scenarios: setup-test ## Real sipp through the router, every behaviour of sipp-scenarios/
	@$(CARGO) build --locked $(CHECKED) -p tipring-server -p xtask
	@target/checked/xtask scenarios --router $(CHECKED_ROUTER)

clients: setup-test ## sipsak, baresip and linphonec in calls, holds, digits and transfers through the router
	@$(CARGO) build --locked $(CHECKED) -p tipring-server -p xtask
	@target/checked/xtask clients --router $(CHECKED_ROUTER)

page: setup-test ## The operator's page used in a headless Chromium; its pictures are left in target/scenario-logs/page
	@$(CARGO) build --locked $(CHECKED) -p tipring-server -p xtask
	@target/checked/xtask page --router $(CHECKED_ROUTER)

api: setup-test ## The HTTP API walked by schemathesis from its own document
	@$(CARGO) build --locked $(CHECKED) -p tipring-server -p xtask
	@target/checked/xtask api --router $(CHECKED_ROUTER)

docs: ## Build the API documentation without a warning
	@RUSTDOCFLAGS="-D warnings" $(CARGO) doc -q --locked --workspace --no-deps --document-private-items

# ---- measuring

bench: build setup-bench ## One table: floor, tipring, ratio, CAPS per core, p99.9, bytes per held call
	@$(CARGO) build --release --locked -p tipring-bench
	@target/release/tipring-bench suite --router $(ROUTER) --callers 1 --held 100000 $(ARGS)

compare: build setup-bench ## The same load through tipring and Kamailio, interleaved
	@$(CARGO) build --release --locked -p tipring-bench
	@target/release/tipring-bench compare --router $(ROUTER) --callers 1 --rate 5000 $(ARGS)

register-compare: build setup-bench ## REGISTER through tipring and Kamailio's registrar, interleaved; then 1,000,000 bindings and a restart
	@$(CARGO) build --release --locked -p tipring-bench
	@target/release/tipring-bench register --compare --router $(ROUTER) $(ARGS)
	@target/release/tipring-bench register --bindings 1000000 --rate 10000 --shards 2 --router $(ROUTER)

media-compare: build setup-bench ## Steered media through the bare reactor, tipring and rtpengine in userspace, interleaved
	@$(CARGO) build --release --locked -p tipring-bench
	@target/release/tipring-bench media-compare --router $(ROUTER) --rounds 3 $(ARGS)

soak: build ## 30 minutes of mixed load; memory and tables must end as they began (ARGS="--minutes 5")
	@$(CARGO) build --release --locked -p tipring-bench
	@target/release/tipring-bench soak --router $(ROUTER) $(ARGS)

micro: ## Criterion micro-benchmarks: parse, print, transactions, timers, RTP relay, route look-up, a whole call
	@$(CARGO) bench --locked -p tipring-wire -p tipring-stack -p tipring-media -p tipring-router
	@$(CARGO) bench --locked -p tipring-shard --bench call

GUNGRAUN := $(shell sed -n '/^name = "gungraun"$$/{n;s/version = "\(.*\)"/\1/p}' Cargo.lock)

instructions: ## The same as instruction counts, which noise does not touch (valgrind)
	$(call need,valgrind,valgrind)
	@[ -x target/tools/bin/gungraun-runner ] || \
		$(CARGO) install -q gungraun-runner --version $(GUNGRAUN) --locked --root target/tools
	@PATH="$(CURDIR)/target/tools/bin:$$PATH" \
		$(CARGO) bench --locked -p tipring-shard --bench instructions

# ---- making

bpf: ## Re-make the steering program's bytecode (needs clang)
	@engine/reactor/bpf/build.sh

fmt: ## Format the code
	@$(CARGO) fmt --all

clean: ## Remove what was built
	@$(CARGO) clean

.PHONY: help setup setup-fuzz setup-test setup-bench run build doctor test lint unit fuzz-smoke fuzz \
	sim scenarios clients page api docs bench compare register-compare media-compare soak micro instructions bpf fmt clean
