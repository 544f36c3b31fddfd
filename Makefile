# `make run` and `make test` set up everything they need in this folder: .venv for packages, .data for data.
# PORT, DATA_DIR, DATABASE_URL and the others of the README's table are read from the environment.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help run test check demo bench chaos fuzz simulate gateway gateway-python requirements install install-dev

# Replaced by the first Python on PATH that runs and is new enough; only looked for when something is installed.
PYTHON = $$(sh cometsite/quickstart/find_python.sh)
IN_VENV = .venv/bin/python

# What the settings ask for, for checks that reach no server.
CHECK_ENVIRONMENT = DEBUG=true DATA_DIR=$(CURDIR)/.venv/no-data SECRET_KEY=checks \
	DATABASE_URL=postgresql://checks@127.0.0.1:1/checks VALKEY_URL=redis://127.0.0.1:1/0 \
	STRIPE_SECRET_KEY=sk_test_sandbox_checks STRIPE_WEBHOOK_SECRET=whsec_checks STRIPE_API_BASE=http://127.0.0.1:1

# $(call step,NAME,COMMAND): names the step, times it, and stops at the first that fails.
define step
	@printf '%s ...\n' '$(1)'; began=$$(date +%s); \
	if $(2); then printf '%s: passed, %s s\n' '$(1)' "$$(($$(date +%s) - began))"; \
	else code=$$?; printf '%s: FAILED, %s s\n' '$(1)' "$$(($$(date +%s) - began))"; exit $$code; fi
endef

help:
	@echo 'make run           start everything and print one address (PORT=8000 DATA_DIR=.data)'
	@echo 'make test          all tests, on a PostgreSQL of their own'
	@echo 'make check         formatter, linters, types, import rules, migrations, templates, then all tests'
	@echo 'make gateway       while it runs: keys made there call models at http://127.0.0.1:4000 (GATEWAY_PORT=4000, of make run too)'
	@echo 'make demo          while it runs: an account with calls to look at'
	@echo 'make bench         how fast calls are let in and charged, beside PostgreSQL itself (BENCH="record --rounds 1")'
	@echo 'make chaos         kill -9 under load, servers that go away, then the books against the journal (CHAOS="--seed …")'
	@echo 'make fuzz          2,000 questions to every operation of the OpenAPI document (EXAMPLES=500 SEED=1)'
	@echo 'make simulate      10,000 payments with lost and doubled webhooks, then our books against the stand-in'\''s'
	@echo 'make requirements  pin the packages that pyproject.toml asks for'

install:
	@python=$(PYTHON) && $$python cometsite/quickstart/install.py requirements.txt

install-dev:
	@python=$(PYTHON) && $$python cometsite/quickstart/install.py requirements-dev.txt

run: install
	@exec $(IN_VENV) -m cometsite.quickstart

test: install-dev
	@exec $(IN_VENV) -m pytest

check: install-dev
	$(call step,Format,$(IN_VENV) -m ruff format --check --quiet .)
	$(call step,Lint,$(IN_VENV) -m ruff check --quiet .)
	$(call step,Types,$(CHECK_ENVIRONMENT) $(IN_VENV) -m mypy --no-error-summary .)
	$(call step,Import rules,.venv/bin/lint-imports --no-cache)
	$(call step,Templates,.venv/bin/djlint --lint --quiet templates)
	$(call step,System checks,$(CHECK_ENVIRONMENT) $(IN_VENV) manage.py check)
	$(call step,Migrations,$(CHECK_ENVIRONMENT) $(IN_VENV) -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run)
	$(call step,Tests,$(IN_VENV) -m pytest)

# LiteLLM has a hundred packages of its own; they stay out of .venv, and are shared by all checkouts that pin the same ones.
GATEWAY_VENV = $${XDG_CACHE_HOME:-$$HOME/.cache}/comet-dashboard/gateway-$$(sha256sum gateway/requirements.txt | cut -c1-12)

gateway: install
	@python=$(PYTHON) && $$python cometsite/quickstart/install.py gateway/requirements.txt "$(GATEWAY_VENV)"
	@exec $(IN_VENV) -m cometsite.quickstart.gateway "$(GATEWAY_VENV)/bin/python"

# Installs what the gateway runs on, and prints its Python.
gateway-python:
	@python=$(PYTHON) && $$python cometsite/quickstart/install.py gateway/requirements.txt "$(GATEWAY_VENV)" >&2
	@echo "$(GATEWAY_VENV)/bin/python"

demo: install
	@exec $(IN_VENV) manage.py demo

# BENCH names a part and takes options: make bench BENCH=--help
BENCH =
bench: install
	@exec $(IN_VENV) -m bench $(BENCH)

# CHAOS takes options, such as the seed of a run that failed: make chaos CHAOS='--seed 1a2b3c4d --kills 30'
chaos: install-dev
	@exec $(IN_VENV) -m tests.chaos $(CHAOS)

# EXAMPLES says how many for each operation, SEED repeats a run that failed.
EXAMPLES = 2000
fuzz: install-dev
	@FUZZ_EXAMPLES=$(EXAMPLES) FUZZ_SEED=$(SEED) exec $(IN_VENV) -m pytest -q tests/fuzz

# PAYMENTS says how many, SEED repeats a run that failed: make simulate PAYMENTS=2000 SEED=1a2b3c4d
PAYMENTS = 10000
SEED =
simulate: install-dev
	@SIMULATED_PAYMENTS=$(PAYMENTS) SIMULATION_SEED=$(SEED) exec $(IN_VENV) -m pytest -s -q tests/wallet/simulation

# No index address may stand in the files: they install from whichever index a machine is set up for.
UPGRADE =
PIP_COMPILE = CUSTOM_COMPILE_COMMAND='make requirements' .venv/bin/pip-compile --quiet --generate-hashes \
	--no-emit-index-url --no-emit-find-links --strip-extras --allow-unsafe $(UPGRADE)

# UPGRADE=--upgrade takes newer versions of everything that pyproject.toml allows.
requirements:
	@test -x .venv/bin/pip-compile || $(MAKE) install-dev
	$(PIP_COMPILE) --output-file requirements.txt pyproject.toml
	$(PIP_COMPILE) --extra dev --constraint requirements.txt --output-file requirements-dev.txt pyproject.toml
	$(PIP_COMPILE) --output-file gateway/requirements.txt gateway/requirements.in
	$(PIP_COMPILE) --output-file tests/gateway/clients/requirements.txt tests/gateway/clients/requirements.in
