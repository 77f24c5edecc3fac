# One command per job; `make` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Without compiled bytecode every start takes two to five times as long.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
UV := VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv

.PHONY: help check demo test test-thorough lint format up down fuzz-api attack replay bench bench-exposure bench-api bench-night bench-cli bench-publishing null-test audit lock clean

help: ## [0 s] list the commands, and how long each takes on 2 cores (-: not timed yet)
	@sed -nE 's/^([.a-z-]+):.*## \[([^]]+)\] (.*)/\1\t\2\t\3/p' $(MAKEFILE_LIST) \
	  | awk -F '\t' '{printf "  make %-17s %-15s %s\n", $$1, $$2, $$3}'

$(STAMP): requirements.lock requirements-uv.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if (3, 11) <= v[:2] <= (3, 13) else \
	  f"Expected Python 3.11, 3.12 or 3.13, but $(PYTHON) is {v[0]}.{v[1]}. Name one: make PYTHON=python3.12")'
	@# A folder made by another Python, or half made, is made anew: no package in it would be found.
	@$(BIN)/python -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$$($(PYTHON) -c \
	  'import sys; print("%d.%d" % sys.version_info[:2])')')" 2>/dev/null || rm -rf .venv
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv \
	  || { echo "Expected $(PYTHON) to have the module venv (Debian: apt-get install python3-venv)." >&2; exit 1; }
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	$(UV) pip sync --require-hashes --compile-bytecode requirements.lock
	$(UV) pip install --no-deps --no-build-isolation -e .
	@touch $@

.venv: $(STAMP) ## [-] make or update the environment, 3.3 GB

demo: $(STAMP) ## [4 min] the loop on real data, a few nights of it
	@$(BIN)/python scripts/demo.py $(ARGS)

check: $(STAMP) ## [under 1 min] while you work: format, lint, types, import rules, the unit tests of what differs from main (BASE=main)
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python scripts/changed_tests.py --base $(or $(BASE),main) $(ARGS)

PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test: lint ## [13 min] everything that proves it: style, types, import rules, all tests but the thorough ones
	@scripts/test_postgres.sh run -- $(PYTEST) -m "not thorough" $(ARGS)

test-thorough: $(STAMP) ## [12 min] demo, browser, replay and tutorial end to end, more ways to die at 3 a.m.; CI runs both
	@scripts/test_browser.sh
	@scripts/test_postgres.sh run -- $(PYTEST) -m thorough $(ARGS)

lint: $(STAMP) ## [20 s] style, types, import rules; 2 s when nothing changed
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(STAMP) ## [1 s] bring the code into the project's format
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

up: $(STAMP) ## [-] Airflow, MLflow and the API on this machine (DETACH=1, AIRFLOW_PORT=8080, MLFLOW_PORT=5000, API_PORT=8000)
	@$(BIN)/python scripts/up.py up $(if $(AIRFLOW_PORT),--airflow-port $(AIRFLOW_PORT)) \
	  $(if $(MLFLOW_PORT),--mlflow-port $(MLFLOW_PORT)) $(if $(API_PORT),--api-port $(API_PORT)) $(if $(DETACH),--detach)

down: $(STAMP) ## [-] stop what `make up` started
	@$(BIN)/python scripts/up.py down

fuzz-api: $(STAMP) ## [-] schemathesis against the feedback API, 10,000 cases (ARGS="--cases 1000 --seed 7")
	@scripts/test_postgres.sh run -- $(BIN)/python scripts/fuzz_api.py $(ARGS)

attack: $(STAMP) ## [a few min] hostile requests, files and interleavings, 12,000 on both databases (ARGS="--attempts 2000 --seed 7")
	@scripts/test_postgres.sh run -- $(BIN)/python -m tests.attack $(ARGS)

# A store of its own: the demo's holds the stream moved to these days.
REPLAY_HOME := $(or $(RECSYS_HOME),var)/replay-stream
REPLAY := env -u RECSYS_DATABASE_URL -u MLFLOW_TRACKING_URI RECSYS_HOME=$(REPLAY_HOME) $(BIN)/recsys

replay: $(STAMP) ## [-] night after night without Airflow, on the shipped stream at its own dates (FROM=2013-06-01 TO=2013-06-30 ARGS="--report FILE")
	@$(REPLAY) db upgrade
	@$(REPLAY) import movietweetings data/movietweetings
	@$(REPLAY) replay --from $(or $(FROM),2013-06-01) --to $(or $(TO),2013-06-30) $(ARGS)

bench: $(STAMP) ## [-] accuracy and speed beside peers; writes docs/benchmark.md (DATA="FOLDER FOLDER:user" ARGS="--only ours,EASE")
	@$(BIN)/python -m benchmarks.accuracy $(DATA) $(ARGS)

bench-exposure: $(STAMP) ## [-] what it would cost to show fewer disliked items; writes docs/dislike_exposure.md (DATA="FOLDER FOLDER:user")
	@$(BIN)/python -m benchmarks.accuracy.exposure $(DATA) $(ARGS)

bench-api: $(STAMP) ## [-] how many dislikes a second the API records, and how fast; writes docs/api_load.md
	@RECSYS_TEST_POSTGRES_DURABLE=1 scripts/test_postgres.sh run -- $(BIN)/python -m benchmarks.api_load.load_test $(ARGS)

bench-night: $(STAMP) ## [10 min] a night that carries the sums on beside a full rebuild; writes docs/incremental_night.md
	@$(BIN)/python -m benchmarks.night.incremental $(ARGS)

bench-cli: $(STAMP) ## [8 min] seconds and memory of every command, after `make demo`; writes docs/command_line.md (ARGS="--beside FOLDER --beside-home HOME")
	@$(BIN)/python -m benchmarks.command_line $(ARGS)

bench-publishing: $(STAMP) ## [-] dislikes while lists of 11,000 users are published; writes docs/posts_while_publishing.md (ARGS="--beside FOLDER")
	@$(BIN)/python -m benchmarks.posts_while_publishing $(ARGS)

null-test: $(STAMP) ## [12 min] is the gate fooled by noise? fails if it is; writes docs/gate_null_test.md (ARGS="--seed 7 --only 1,000")
	@$(BIN)/python -m benchmarks.gate_null.null_test $(ARGS)

# Strict: a package that could not be looked up is no answer, and must not read as one.
audit: $(STAMP) ## [-] what is known against the locked packages; needs a vulnerability service (ARGS="-s osv --osv-url URL" for one of your own)
	@$(UV) tool run --from pip-audit==2.10.1 pip-audit --strict --require-hashes --disable-pip -r requirements.lock $(ARGS)

lock: $(STAMP) ## [-] resolve requirements.lock anew from pyproject.toml
	$(UV) pip compile --universal --generate-hashes --no-header --no-annotate --python-version 3.11 --all-extras \
	  --quiet pyproject.toml -o requirements.lock
	@! grep -nE '(https?|file)://|--(extra-)?index-url' requirements.lock \
	  || { echo "Expected no address in requirements.lock, found the lines above." >&2; exit 1; }

clean: ## [-] remove the environment and caches; var/ (data, models) stays
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './var/*' -prune -exec rm -rf {} +
