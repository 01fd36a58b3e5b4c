# Everything one does with a checkout. `make run` and `make test` need nothing but Node (any version from 20 on), npm
# and a network: the runtime itself is pinned as an npm package, and every target uses that one.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.NOTPARALLEL:
.DEFAULT_GOAL := help

# npm runs on the host's Node: it must not delete the runtime that it runs on.
HOST_PATH := $(shell printf '%s' "$$PATH" | tr ':' '\n' | grep -v '/node_modules/\.bin$$' | paste -sd:)
export PATH := $(CURDIR)/node_modules/.bin:$(HOST_PATH)

INSTALLED := node_modules/.package-lock.json
TAP_BUILT := node_modules/.tap-built
BIOME := node_modules/@biomejs/cli-linux-x64/biome
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
CLINIC := .profile/clinic/node_modules/.bin/clinic

# Debian packages: proxies beside us, and load generators.
PEERS := nginx libnginx-mod-stream haproxy caddy varnish
LOADERS := wrk nghttp2-client
APT_INSTALL := $(SUDO) apt-get update -qq && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends

# Options for the program that a target runs: make bench ARGS='http-small --rounds 3'
ARGS ?=
# Test files, all by default: make test TESTS='test/wire/uri.test.ts'
TESTS ?=
# What make profile runs, and what watches it.
SCENARIO ?= http-small
TOOLS ?=

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{ printf "  make %-12s %s\n", $$1, $$2 }'

.PHONY: install
install: $(INSTALLED) ## brings what the lock file names, the runtime included

$(INSTALLED): package-lock.json
	@echo 'npm ci'
	@PATH='$(HOST_PATH)' npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(TAP_BUILT): $(INSTALLED) .taprc
	tap build </dev/null
	@touch $@

.PHONY: run
run: install ## the demo: two origins, an HTTP and a TCP listener, and what to try
	@exec node lib/cli/main.ts demo $(ARGS)

.PHONY: test
test: install $(TAP_BUILT) ## the whole test suite with a table of what it covers itself; some tests by TESTS='FILE...'
	@mkdir -p .tap
	@status=0; \
	tap run --reporter=tap --coverage-report=none $(TESTS) </dev/null \
	  | tee .tap/suite.tap | node test/support/tally.ts --follow || status=$${PIPESTATUS[0]}; \
	echo; \
	tap report text </dev/null || true; \
	node test/support/tally.ts "$$status" <.tap/suite.tap

.PHONY: coverage
coverage: ## the test suite, with programs that tests start counted in its table: slower
	@MILLRACE_COVERAGE=programs $(MAKE) --no-print-directory test

.PHONY: check
check: install ## types, lint and format, floors, generated documents
	tsc --noEmit
	$(BIOME) check .
	node --test --test-reporter=dot test/floors.test.ts
	node docs/reference/generate.ts --check

.PHONY: fix
fix: install ## formats, and mends what the linter can
	$(BIOME) check --write .

.PHONY: docs
docs: install ## makes the generated reference pages anew
	node docs/reference/generate.ts

.PHONY: bench
bench: install ## Millrace beside nginx, HAProxy and Node proxies; ARGS='--help' tells more
	@node lib/cli/main.ts bench $(ARGS)

.PHONY: soak
soak: install ## minutes of mixed load; fails when memory, descriptors or slabs grow
	@node native-bench/soak.ts $(ARGS)

.PHONY: chaos
chaos: install ## origins that die, hang and err, behind Millrace, HAProxy and nginx; minutes. ARGS='killed rolling'
	@node native-bench/chaos/run.ts $(ARGS)

.PHONY: lifecycle
lifecycle: install ## reloads, stops, upgrades and lost workers under load, beside nginx and HAProxy; minutes. ARGS='reloads stop'
	@node native-bench/lifecycle/run.ts $(ARGS)

.PHONY: tls-grade
tls-grade: install ## the grade that testssl.sh gives each TLS profile; minutes
	@node native-bench/tls-grade.ts

.PHONY: micro
micro: install ## single functions beside what others use, timed by tinybench; ARGS='--list'
	@node native-bench/micro/run.ts $(ARGS)

.PHONY: profile
profile: install ## where the proxy's CPU time goes under load, into .profile/; SCENARIO=http-small TOOLS=cpu,doctor,flame
	@[ -x $(CLINIC) ] || $(MAKE) --no-print-directory $(CLINIC) || echo 'without clinic: the profiler of the runtime alone'
	@node native-bench/profile.ts $(SCENARIO) $(if $(TOOLS),--tools $(TOOLS)) $(ARGS)

# Nearly 700 packages that nobody looks after any more: kept out of the lock file and of node_modules.
$(CLINIC):
	@echo 'installing clinic into .profile/clinic'
	@PATH='$(HOST_PATH)' npm install --prefix .profile/clinic --no-save --no-package-lock --no-audit --no-fund --loglevel=error clinic@13.0.0

.PHONY: binary
binary: install ## dist/millrace: one file that needs no Node; the same bytes every time
	@node packaging/binary.ts

.PHONY: package
package: install ## the npm package, into dist/
	@mkdir -p dist
	@PATH='$(HOST_PATH)' npm pack --silent --pack-destination dist || { node packaging/npm.ts postpack; exit 1; }

.PHONY: deb
deb: binary ## a Debian package of the binary, with its systemd units, into dist/
	@node packaging/deb.ts

.PHONY: certs
certs: install ## a certificate authority for tests and leaves; ARGS='FOLDER NAME...'
	@node certs/make.ts $(or $(ARGS),certs localhost)

.PHONY: test-tools
test-tools: ## Debian packages of the programs that tests talk to
	$(APT_INSTALL) $(PEERS) $(LOADERS) curl openssl chromium pebble testssl.sh binutils systemd

.PHONY: bench-tools
bench-tools: ## Debian packages of the programs that the benchmark runs
	$(APT_INSTALL) $(PEERS) $(LOADERS) util-linux
