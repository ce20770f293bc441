# The commands of a developer, the same on a laptop and in CI. `make` alone lists them.
# Needs Python 3.11 or newer and git. Node.js adds a few tests, and is not required.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PROTO_VENV := .venv-proto
DIST_VENV := .venv-dist
NODE_DIR := tests/thirdparty
BUF := $(NODE_DIR)/node_modules/.bin/buf
PROTOS := $(wildcard protos/nexo/connections/v1/*.proto)
# What `make promise` wrote at the last release: buf needs no history for it, so a shallow clone will do.
PROMISED := protos/promised.binpb
PYTEST_FLAGS ?=
# Build back ends use the same pinned versions as everything else (two names: pip before and after 25.3).
export PIP_CONSTRAINT := packaging/constraints.txt
export PIP_BUILD_CONSTRAINT := packaging/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-crowd lint format aio reference man proto proto-check buf promise bench clean deb deb-lint deb-twice deb-test deb-test-trixie deb-test-upgrade dist dist-test dist-test-trixie

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/ready-to-run ## see the real thing work, in a temporary directory
	@$(BIN)/nexoctl demo

# Four at a time on two cores, because the tests wait for daemons most of the time; in the order of the folders, which
# starts the long files first.
test: $(VENV)/ready-to-develop node-modules ## run the tests
	@$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder $(PYTEST_FLAGS)

test-crowd: $(VENV)/ready-to-develop ## test 1 000 followers in 20 processes, 100 switches, a killed daemon (minutes)
	@NEXO_TEST_CROWD=full $(BIN)/python -m pytest tests/process/test_crowd.py

lint: $(VENV)/ready-to-develop node-modules ## check style, types, import contracts and the .proto files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(BIN)/python packaging/aio --check
	@$(MAKE) --no-print-directory buf

format: $(VENV)/ready-to-develop ## rewrite the sources in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

aio: $(VENV)/ready-to-develop ## write the asyncio clients of the SDK from the synchronous ones
	@$(BIN)/python packaging/aio

reference: $(VENV)/ready-to-develop ## write docs/nexoctl.md from the help of nexoctl
	@$(BIN)/python -m nexo_cli.reference > docs/nexoctl.md

man: $(VENV)/ready-to-develop ## write the man pages into build/man
	@$(BIN)/python packaging/reference build/man

proto: $(PROTO_VENV)/ready ## generate the code in protos/ from the .proto files
	@tests/thirdparty/generate-protos $(PROTO_VENV)/bin protos

proto-check: $(PROTO_VENV)/ready ## fail if the generated code in protos/ is not what `make proto` makes
	@tests/thirdparty/generate-protos --check $(PROTO_VENV)/bin protos

buf: node-modules
	@if [ -x $(BUF) ]; then $(BUF) lint protos && echo "buf lint: the contract keeps to STANDARD" && \
	  $(BUF) breaking protos --against $(PROMISED) && echo "buf breaking: the contract keeps what was promised"; \
	elif [ -n "$$CI" ]; then echo "buf is missing: in CI Node.js and npm must be there" >&2; exit 1; \
	else echo "buf: left out, because npm is not installed (CI runs it)"; fi

promise: node-modules ## at a release: record the contract, so that `make lint` compares later changes with it
	@$(BUF) build protos --exclude-source-info --output $(PROMISED)
	@echo "$(PROMISED) holds the contract as it is; commit it with the release"

dist: $(VENV)/ready-to-develop $(DIST_VENV)/ready ## build sdist and wheel into dist/, twice, and compare; twine check
	@packaging/wheel/build dist

dist-test: dist ## install that wheel with pip, pipx and uv into empty homes, and run the commands of the README
	@packaging/wheel/test dist/nexo_connections-*.whl

dist-test-trixie: dist ## the same in a fresh Debian 13, with its Python 3.13 (root; debootstrap)
	@packaging/wheel/test-in trixie dist/nexo_connections-*.whl

deb: $(VENV)/ready-to-develop ## build the package for Debian 12 and 13 into dist/
	@PYTHON=$(BIN)/python packaging/deb/build dist

deb-twice: deb ## build it once more, and fail unless both have the same bytes
	@again=$$(mktemp -d) && trap 'rm -rf "$$again"' EXIT && PYTHON=$(BIN)/python packaging/deb/build "$$again" >/dev/null && \
	  cmp "$$again"/*.deb "dist/$$(basename "$$again"/*.deb)" && echo "the same sources gave the same package twice"

deb-test: deb-twice ## use that package in a fresh Debian 12 under a real systemd (root; debootstrap, systemd-container)
	@packaging/deb/test "$$(ls -t dist/nexo-connections_*.deb | head -1)" bookworm

deb-test-trixie: deb ## the same in a fresh Debian 13
	@packaging/deb/test "$$(ls -t dist/nexo-connections_*.deb | head -1)" trixie

deb-test-upgrade: deb ## install it in a Debian 12, and upgrade that to Debian 13 while a daemon runs
	@packaging/deb/test "$$(ls -t dist/nexo-connections_*.deb | head -1)" upgrade

deb-lint: deb ## check that package against Debian's policy (lintian)
	@lintian --fail-on error,warning --info "$$(ls -t dist/nexo-connections_*.deb | head -1)"

bench: $(VENV)/ready-to-develop ## measure speed; prints a table, asserts nothing (on a quiet machine; nine minutes)
	@for file in tests/bench/bench_*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done
	@$(BIN)/python tests/bench/table.py

bench-%: $(VENV)/ready-to-develop ## one part of it, such as bench-daemon or bench-fan-out (minutes)
	@$(BIN)/python tests/bench/bench_$(subst -,_,$*).py
	@$(BIN)/python tests/bench/table.py $(subst -,_,$*)

setup: $(VENV)/ready-to-develop node-modules ## make .venv with everything that a developer needs

.PHONY: test-programs test-gateway
test-programs: $(VENV)/ready-to-develop node-modules ## test that agents as their makers ship them follow a switch (1.5 GB of packages)
	@cd tests/programs && npm install --no-save --silent
	@cd tests/programs && for one in langchain aider; do test -e .venv-$$one/ready || { \
	  $(abspath $(BIN))/python -m venv .venv-$$one && PIP_CONSTRAINT= .venv-$$one/bin/pip install --quiet -r requirements-$$one.txt && \
	  touch .venv-$$one/ready; } || exit 1; done
	$(BIN)/python -m pytest tests/programs

test-gateway: $(VENV)/ready-to-develop ## test the gateway: 100 000 mutated requests, 10 000 around switches, 400 MB streams (minutes)
	@NEXO_TEST_GATEWAY=full $(BIN)/python -m pytest -q -s tests/unit/gateway/test_fuzz.py tests/process/test_gateway_amounts.py

clean: ## remove what these commands have made
	rm -rf $(VENV) $(PROTO_VENV) $(DIST_VENV) $(NODE_DIR)/node_modules tests/programs/node_modules tests/programs/.venv-* build dist
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find daemon client tray protos tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Each of these files marks a finished set-up, so that the next run skips it.

$(BIN)/python:
	@packaging/make-venv "$(PYTHON)" $(VENV)

$(VENV)/ready-to-run: $(BIN)/python pyproject.toml packaging/constraints.txt
	@echo "Installing the program and its libraries into $(VENV) (once; about half a minute) ..."
	@$(BIN)/python -m pip install --quiet -e ".[daemon]"
	@touch $@

$(VENV)/ready-to-develop: $(BIN)/python pyproject.toml packaging/constraints.txt
	@echo "Installing the program, its libraries and the developer's tools into $(VENV) (once; about a minute) ..."
	@$(BIN)/python -m pip install --quiet -e ".[dev]"
	@touch $@ $(VENV)/ready-to-run

$(PROTO_VENV)/ready: packaging/constraints-proto.txt
	@packaging/make-venv "$(PYTHON)" $(PROTO_VENV)
	@PIP_CONSTRAINT=packaging/constraints-proto.txt PIP_BUILD_CONSTRAINT= \
	  $(PROTO_VENV)/bin/python -m pip install --quiet grpcio-tools mypy-protobuf setuptools
	@touch $@

$(DIST_VENV)/ready: packaging/constraints-dist.txt
	@packaging/make-venv "$(PYTHON)" $(DIST_VENV)
	@PIP_CONSTRAINT=packaging/constraints-dist.txt PIP_BUILD_CONSTRAINT= \
	  $(DIST_VENV)/bin/python -m pip install --quiet twine pipx uv
	@touch $@

# Not `npm ci`: it refuses a lock that lacks a platform's optional package, and a mirror may not have them all.
.PHONY: node-modules
node-modules:
	@if ! command -v npm >/dev/null 2>&1; then :; \
	elif [ $(NODE_DIR)/node_modules/.package-lock.json -nt $(NODE_DIR)/package-lock.json ]; then :; \
	else echo "Installing the Node programs that the tests use ..."; \
	  (cd $(NODE_DIR) && npm install --no-save --silent --ignore-scripts) && touch $(NODE_DIR)/node_modules/.package-lock.json; \
	fi
