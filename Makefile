# Every recipe sets up what it needs by itself. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
AUDIT := .audit/bin
DATA ?=
N ?= 2
MINUTES ?= 20

.DEFAULT_GOAL := help
.PHONY: help setup demo test chaos lint format protos lock audit bench soak up down scale clean

help: ## list the recipes
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## create .venv with everything installed from the lock

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "Assay needs Python 3.11 to 3.13; choose one with: make PYTHON=python3.12 setup"; exit 1; }
	@echo "setting up $(VENV) from requirements.lock (once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP) ## a whole study, from candles to the best parameters (DATA=file.csv.gz for your own)
	@$(BIN)/assay demo $(if $(DATA),--data "$(DATA)")

test: $(STAMP) ## all tests, three files at a time: now and then one of them waits
	@$(BIN)/python -m pytest --numprocesses 3 --dist loadfile

chaos: $(STAMP) ## faults alone, with those that take root where it is there
	@$(BIN)/python -m pytest tests/system/chaos

lint: $(STAMP) ## formatting, types, layers, contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --cache-dir .import_linter_cache
	@$(BIN)/buf lint
	@$(BIN)/buf format --diff --exit-code
	@./protos/breaking.sh $(BIN)/buf

format: $(STAMP) ## write the formatting that lint checks
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix . && $(BIN)/buf format --write

protos: $(STAMP) ## regenerate protos/gen from the contracts
	@./protos/generate.sh $(BIN)/python protos/gen

RESOLVE := uv pip compile --quiet --universal --generate-hashes --custom-compile-command 'make lock'

lock: $(STAMP) ## resolve requirements.lock and the images' subsets of it anew (needs uv on PATH)
	@$(RESOLVE) --all-extras --python-version 3.11 pyproject.toml -o requirements.lock
	@for service in data backtest optimizer cli; do \
	  $(RESOLVE) --extra $$service --python-version 3.12 --constraint requirements.lock \
	    pyproject.toml -o deploy/locks/$$service.lock || exit 1; \
	done
	@$(RESOLVE) --python-version 3.12 --constraint requirements.lock \
	  deploy/dashboard/requirements.in -o deploy/locks/dashboard.lock

audit: ## known weaknesses of everything pinned (asks the package index; not part of lint)
	@test -x $(AUDIT)/pip-audit || { $(PYTHON) -m venv .audit \
	  && $(AUDIT)/python -m pip install --quiet --disable-pip-version-check pip-audit; }
	@$(AUDIT)/python deploy/audit.py $(AUDIT)/pip-audit requirements.lock deploy/locks/*.lock

bench: $(STAMP) ## the benchmarks, one after the other
	@for file in $(filter-out benchmarks/soak.py,$(wildcard benchmarks/*.py)); do $(BIN)/python $$file || exit 1; done

soak: $(STAMP) ## studies without end for MINUTES (20), beside faults: what the processes hold
	@$(BIN)/python benchmarks/soak.py --minutes $(MINUTES)

up: ## the whole system in containers, with N workers
	@docker compose up --build --detach --wait --scale backtest=$(N)

down: ## end the containers; candles and studies stay
	@docker compose --profile '*' down

scale: ## have N workers in the containers that are up
	@docker compose up --detach --wait --no-recreate --scale backtest=$(N)

clean: ## remove the environment and every cache
	@rm -rf $(VENV) .audit .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
