# Two commands do everything on a fresh Debian 12: `make demo` and `make test`. Both build .venv from the lock file and
# install, with apt, the servers they need.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

BIN := .venv/bin
UV := uv==0.13.9
COMPILE = build/lock/bin/uv pip compile pyproject.toml --quiet --system-certs --universal --python-version 3.11 --all-extras \
	--generate-hashes --custom-compile-command 'make lock'

COMPILE_SERVERS = $(subst --all-extras,,$(COMPILE))

.PHONY: help venv servers demo stack docs lint types test bench lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: .venv/installed ## build .venv from requirements.lock, nothing else in it

.venv/locked: requirements.lock scripts/venv.sh
	scripts/venv.sh .venv requirements.lock

.servers/locked: requirements-servers.lock scripts/venv.sh
	scripts/venv.sh .servers requirements-servers.lock

.venv/installed: .venv/locked pyproject.toml
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	$(BIN)/pip check --quiet
	touch $@

servers: .servers/locked ## install the servers that the tests start, where they are missing
	scripts/servers.sh pushgateway prometheus postgresql mariadb java chromium

demo: venv ## evaluate a demo model on real data and push the results to a real Pushgateway
	scripts/demo.sh

stack: venv ## the Iris service with traffic, worker, Pushgateway and Prometheus on this machine, until Ctrl-C
	@scripts/servers.sh pushgateway prometheus
	@exec $(BIN)/python -m scripts.stack $(STACK_ARGS)

docs: venv ## write docs/reference/ anew from the code
	$(BIN)/python -m scripts.reference

lint: venv ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: venv ## mypy, strict
	$(BIN)/mypy

test: venv servers lint types ## everything that must hold: lint, types, and the whole suite against real servers
	$(BIN)/pytest --durations=10 $(PYTEST_ARGS)

bench: venv .servers/locked ## measure against the alternatives: SIZES="100000 1000000"; results in build/benchmarks
	@scripts/servers.sh postgresql java
	$(BIN)/python -m benchmarks.suite $(if $(SIZES),--sizes $(SIZES)) $(BENCH_ARGS)

lock: ## resolve the newest allowed versions again: everything, what runs in production, and the servers of the tests
	scripts/venv.sh build/lock
	build/lock/bin/pip install --quiet $(UV)
	$(COMPILE) --upgrade --group dev --output-file requirements.lock
	$(COMPILE) --upgrade --group build --constraint requirements.lock --output-file requirements-runtime.lock
	$(COMPILE_SERVERS) --upgrade --group servers --output-file requirements-servers.lock
	rm -rf build/lock

clean: ## remove what can be made again
	rm -rf .venv .servers .demo build dist ./*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis demo/*.db*
	find evaljob tests -name __pycache__ -prune -exec rm -rf {} +
