# Everything runs in .venv, installed from the hash-pinned locks in requirements/.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LOCKS := requirements/dev.txt

.PHONY: help setup demo test check faults protections fuzz mutation bench coverage sbom lock format clean
.DEFAULT_GOAL := help

help: ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(STAMP) ## the environment in .venv, from the lock

$(STAMP): $(LOCKS) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mirror needs Python 3.11 or later: make PYTHON=/path/to/python3.11")'
	@echo "setting up $(VENV) (once, about a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP) ## the main job against the embedded simulator: no network, no credentials
	@$(BIN)/mirror demo

test: $(STAMP) ## the tests, with coverage
	@rm -f .coverage .coverage.*
	@$(BIN)/coverage run -m pytest -n 2 --dist worksteal
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

faults: $(STAMP) ## every fault and attack of the table, with its long tests; needs root for all of them
	@tests/faults/install
	@$(BIN)/python -m pytest tests/faults -m "long or not long" -n 2 --dist worksteal

protections: $(STAMP) ## take protections out, one by one, and see the tests go red
	@$(BIN)/python -m tests.faults.without_protection

check: $(STAMP) ## style, types and the layers of the house
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(STAMP) ## put the code in order
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

FUZZED ?= export png api store wire ledger
SECONDS ?= 60
fuzz: .venv-fuzz/.installed ## fuzz each target for SECONDS=60, guided by coverage
	@for target in $(FUZZED); do PYTHONPATH=. .venv-fuzz/bin/python tests/fuzz/run.py $$target $(SECONDS) || exit 1; done

mutation: .venv-mutation/.installed ## change the code, see the tests go red (hours; MUTANTS='mirror.sync.*')
	@.venv-mutation/bin/python tests/mutation/run.py $(MUTANTS)

.venv-%/.installed: requirements/%.txt
	@$(PYTHON) -m venv .venv-$*
	@.venv-$*/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

bench: $(STAMP) .venv-bench/.installed ## measure against what a user would run instead; about two hours
	@benchmarks/run $(BENCH)

sbom: ## the bill of materials of the lock, CycloneDX JSON, in build/
	@mkdir -p build
	@$(PYTHON) requirements/sbom.py --base "$$(sed -n 's/^ARG BASE_IMAGE=//p' Dockerfile)" > build/sbom.cdx.json
	@echo "build/sbom.cdx.json"

lock: ## resolve the dependencies anew (needs uv)
	requirements/lock

clean: ## remove what was made here
	rm -rf $(VENV) .venv-bench .venv-fuzz .venv-mutation .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build dist
