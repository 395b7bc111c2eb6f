# The words that people and CI share. `make` alone lists them.

CARGO ?= cargo
.DEFAULT_GOAL := help
.PHONY: help run test test-tiers soak check deny bench loadtest fuzz-smoke ci

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Build and start `jotd dev`: embedded defaults, a printed token, a line that verifies it
	$(CARGO) run --quiet --release --bin jotd -- dev

test: check ## Install what the tests need, then format, lints, unit, integration and doc tests, and the tests of each tier
	$(CARGO) test --workspace --quiet --lib
	$(SOONER) test --workspace --quiet --bins --test '*'
	$(SOONER) test --workspace --quiet --doc
	@$(MAKE) --no-print-directory test-tiers TIERS='aws-lc portable'

# Unit tests try every kernel on numbers without end, and are optimised; daemons in tests answer a few tokens, and are
# sooner built than run.
SOONER = $(CARGO) --config 'profile.dev.package.jotd.opt-level=0'

# A tier is what JOTD_KERNELS says: the fastest kernels that may be used. The kernels' own tests name their kernel, and
# some rooms and daemons' tests check no more than a signature here and there: they are the same under each, and run once.
TIERS ?= aws-lc portable ifma
SAME_UNDER_EACH = crypto::weierstrass crypto::ed25519 crypto::rsa crypto::sha2 crypto::blake3 upstream::revocation \
	revocation::tests revocation::fuzz config::tests
SAME_TESTS = cli_daemon cli_encryption cli_stream cli_tools config_faults daemon_process grpc_generated keyring \
	keyring_files keyring_pkcs11 presets revocation
TESTS = $(basename $(notdir $(wildcard tests/*.rs loadtest/tests/*.rs) $(patsubst %/main.rs,%,$(wildcard tests/*/main.rs))))
TIER_TESTS = $(filter-out $(SAME_TESTS),$(TESTS))

test-tiers: ## The tests with each tier of kernels as the ceiling (TIERS='aws-lc portable ifma')
	@for tier in $(TIERS); do \
		echo "# JOTD_KERNELS=$$tier"; \
		JOTD_KERNELS=$$tier $(CARGO) test --workspace --quiet --lib -- $(addprefix --skip ,$(SAME_UNDER_EACH)) || exit; \
		JOTD_KERNELS=$$tier $(SOONER) test --workspace --quiet $(addprefix --test ,$(TIER_TESTS)) || exit; \
	done

# By itself 10^8 signatures and 10^10 field operations, which take hours; a smaller SOAK is a shorter one.
SOAK ?= 1000
SEED ?= $(shell od -An -N7 -tu8 /dev/urandom | tr -d ' ')

soak: ## The kernels against aws-lc-rs and each other, SOAK times as long; SEED=… replays
	@echo "# make soak SOAK=$(SOAK) SEED=$(SEED)"
	JOTD_SOAK=$(SOAK) JOTD_SEED=$(SEED) $(CARGO) test --profile soak --lib -- --nocapture \
		every_kernel_agrees_with_the_reference long_chains_end_alike

.PHONY: faults
faults: tools ## Faults of Redis, disks and networks at length, a thousand rotations, and 100,000 simulated histories; needs root
	JOTD_FAULTS=1 $(CARGO) test --quiet --lib upstream::revocation::redis::tests -- --test-threads 2 --nocapture
	JOTD_FAULTS=1 $(CARGO) test --release --quiet --test revocation -- --test-threads 1 --nocapture order_to_refused many_records
	JOTD_FAULTS=1 $(CARGO) test --release --quiet --test jwks_rotation -- --nocapture rotations_with_overlap
	JOTD_SIM_SEEDS=33334 $(CARGO) test --quiet --lib upstream::revocation::redis::sim

check: tools ## Formatting, clippy with warnings as errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --quiet -- -D warnings

.PHONY: tools
tools:
	@scripts/install-tools

deny: ## Licences, bans, sources and, where the database can be reached, advisories
	@scripts/deny

bench: ## Criterion benches of every room; figures and their commands are in docs/performance.md
	$(CARGO) bench

loadtest: ## Drive a release build over every transport, each figure beside its ceiling
	$(CARGO) build --release --workspace
	target/release/loadtest figures

fuzz-smoke: ## The fuzz bodies over their seeds and mutations of them, on stable Rust
	$(CARGO) test --quiet --lib fuzz

ci: test deny ## What CI runs
