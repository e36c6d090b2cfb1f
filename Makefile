# SoundScope. `make help` lists what there is. Everything is written inside this folder.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SPARK_STAMP := $(VENV)/.installed-spark
EXTRAS ?= app,dev,postgres
# Two workers; a file's tests stay together and in order, since they share what it has made.
PYTEST := $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup run up test test-full test-soak lint format bench clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## make the environment in .venv (about two minutes, once)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "SoundScope needs Python 3.11 or newer; say which with make PYTHON=python3.12"; exit 2; }
	@echo "Setting up $(VENV) (about two minutes, once)..."
	@$(PYTHON) -m venv $(VENV)
	@export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CACHE_DIR=$${PIP_CACHE_DIR:-$(CURDIR)/$(VENV)/.cache}; \
	  $(BIN)/python -m pip install --quiet --progress-bar off -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $(STAMP)

run: $(STAMP) ## the whole pipeline once, on the sandbox unless configured otherwise
	@$(BIN)/soundscope run

up: $(STAMP) ## server, dashboard, schedules and app together, until Ctrl-C
	@$(BIN)/soundscope up

test: $(STAMP) ## unit tests, then the pipeline end to end
	@echo "Unit tests..."
	@$(PYTEST) -m "not slow and not realdata and not browser and not spark and not postgres and not e2e and not soak" tests
	@echo "Whole parts for real: builds, servers, ingest, and make run itself..."
	@$(PYTEST) -m "e2e and not slow and not realdata and not browser and not spark and not postgres and not soak" tests

# 460 MB, wanted by the tests of Spark alone and of no use without Java.
$(SPARK_STAMP): $(STAMP)
	@! command -v java >/dev/null || { echo "Adding Spark (460 MB, once)..."; \
	  export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CACHE_DIR=$${PIP_CACHE_DIR:-$(CURDIR)/$(VENV)/.cache}; \
	  $(BIN)/python -m pip install --quiet --progress-bar off -c constraints.txt -e '.[$(EXTRAS),spark]' && touch $@; }

test-full: $(STAMP) $(SPARK_STAMP) ## everything else: slow tests, real data, browser, PostgreSQL, Spark where they are installed
	@$(PYTEST) -m "(slow or realdata or browser or spark or postgres) and not soak" tests

test-soak: $(STAMP) ## long tests, to be run alone on a machine: real input end to end, every fault in every tier
	@$(BIN)/python -m pytest -q -m soak tests

lint: $(STAMP) ## ruff, sqlfluff, mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@cd sql && SOUNDSCOPE_WRITER=:memory: ../$(BIN)/sqlfluff lint --disable-progress-bar models tests
	@$(BIN)/mypy

format: $(STAMP) ## let ruff and sqlfluff put things in shape
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(STAMP) ## measure; prints size and machine (see benchmarks/README.md)
	@data="$${SOUNDSCOPE_REALDATA:-../shared/data}"; songs="$$data/spotify_songs.csv.gz"; \
	for script in benchmarks/[a-z]*.py; do \
	  case $$script in \
	    */scale_*.py) continue ;; \
	    */classifier.py) [ -e "$$songs" ] || { echo "== $$script: no $$songs, left out"; continue; }; arguments="$$songs" ;; \
	    */matching.py) [ -e "$$songs" ] || { echo "== $$script: no $$data, left out"; continue; }; arguments= ;; \
	    *) arguments= ;; \
	  esac; \
	  echo "== $$script"; $(BIN)/python $$script $$arguments || exit 1; \
	done

clean: ## remove the environment and caches; the warehouse stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache *.egg-info sql/target sql/logs
