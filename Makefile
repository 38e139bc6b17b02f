# The commands of this project. `make demo` and `make test` set up what is missing, once.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

MVN ?= mvn
BIN := .venv/bin
LOCK := PATH="$$PATH:$(BIN)" uv pip compile pyproject.toml --group dev --python-version 3.11 --no-emit-index-url --quiet
PEERS_LOCK := PATH="$$PATH:$(BIN)" uv pip compile --group peers --python-version 3.11 --no-emit-index-url --quiet

.PHONY: help demo test check lint setup system train-setup peers-setup lock clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: setup ## Run the whole stack on generated traffic for about a minute
	@$(BIN)/holdfast demo

test: setup check ## Set up, then check everything, the real servers included

check: lint ## What CI runs: lint, types, import rules, all tests
	$(BIN)/pytest

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

setup: system .venv/.installed jars/.installed ## Install what is missing: packages, .venv, jars

system:
	@scripts/system-packages

.venv/.installed: pyproject.toml requirements.lock
	@scripts/python-packages requirements.lock
	@touch $@

jars/.installed: pom.xml
	@echo "holdfast: fetching the jars of the broker and of Flink's Kafka connector"
	@rm -rf jars
	@$(MVN) -q -B -ntp validate
	@touch $@

train-setup: setup ## Install what `holdfast train nano` needs besides (3 GB)
	@scripts/python-packages requirements-train.lock

peers-setup: setup ## Make .venv-peers with what `python -m benchmarks peers` compares with
	@scripts/python-packages requirements-peers.lock .venv-peers

lock: setup ## Resolve the lock files anew
	$(LOCK) --all-extras -o requirements-train.lock
	$(LOCK) -c requirements-train.lock -o requirements.lock
	$(PEERS_LOCK) -o requirements-peers.lock

clean: ## Stop the stack, and remove its state, .venv, jars and caches
	@if [ -x $(BIN)/holdfast ]; then $(BIN)/holdfast down --wipe; fi
	@rm -rf .venv .venv-peers .work jars .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
