# The one door to everything that is run by hand: `make` alone lists what there is.
#
# Needs make, git and Python 3.11 or newer. All else goes into .venv, at the versions and hashes of requirements.lock.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
UV := uv==0.13.9

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:  # `make clean install` is one after the other, whatever MAKEFLAGS says

# Of pip's settings in the environment only those that say how to reach an index count here. The others (a constraint
# file, a target folder, "no dependencies", ...) would make another .venv than the lock describes.
PIP_KEPT := PIP_CACHE_DIR PIP_CERT PIP_CLIENT_CERT PIP_CONFIG_FILE PIP_DEFAULT_TIMEOUT PIP_EXTRA_INDEX_URL PIP_FIND_LINKS \
  PIP_INDEX_URL PIP_KEYRING_PROVIDER PIP_NO_CACHE_DIR PIP_NO_INDEX PIP_PROXY PIP_RETRIES PIP_TIMEOUT PIP_TRUSTED_HOST
unexport PYTHONHOME PYTHONPATH $(filter-out $(PIP_KEPT) PIP_KEPT,$(filter PIP_%,$(.VARIABLES)))

.PHONY: help install test lint bench bench-peers mutants demo lock clean

help:  ## list what can be made
	@sed -n 's/^\([a-z-]*\):[^#]*## *\(.*\)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{printf "%-19s %s\n", $$1, $$2}'

install: $(VENV)/.project  ## .venv with the pinned dependencies and bin/reviewbot (PYTHON=python3.13 picks the Python)

test: lint  ## lint, then the whole test suite on its own embedded Postgres
	$(BIN)/pytest -n 2 --dist loadgroup

lint: install  ## format, lint, types and floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: install  ## measure; writes bench.json
	$(BIN)/python -m tests.bench

bench-peers: install  ## measure beside other queues, logs and servers (ONLY=queues, QUICK=1); writes bench-peers.json, growth.svg
	$(BIN)/python -m tests.bench.beside $(if $(ONLY),--only $(ONLY)) $(if $(filter-out 0,$(QUICK)),--quick)

mutants: install  ## put small faults into a copy of the code, and see that the tests notice each (ONLY=word)
	@$(BIN)/python -m tests.mutants.run $(if $(ONLY),--only '$(ONLY)')

demo: install  ## review a real pull request on this machine (REPO=path RANGE=a..b ONCE=1)
	@$(BIN)/reviewbot demo $(if $(REPO),--repo '$(REPO)') $(if $(RANGE),--range '$(RANGE)') $(if $(filter-out 0,$(ONCE)),--once)

# A distribution called "schema" exists, whose package would lie in the same folder as ours: nothing may bring it in.
lock:  ## pin anew what pyproject.toml asks for (UPGRADE=1: all to the newest)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet $(UV)
	echo 'schema<0' | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --constraint - --extra embedded --group dev $(if $(filter-out 0,$(UPGRADE)),--upgrade) --output-file requirements.lock pyproject.toml

clean:  ## remove .venv and everything else that was made
	rm -rf $(VENV) .demo .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache bench.json bench-peers.json growth.svg build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A new lock makes a new .venv, so that nothing stays in it that is no longer asked for.
$(VENV)/.dependencies: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "'$(PYTHON)' is not Python 3.11 or newer; name one that is: make install PYTHON=python3.13" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' cannot make virtual environments; install its venv module (Debian, Ubuntu: apt-get install python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(PIP) install --quiet --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.project: pyproject.toml $(VENV)/.dependencies
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
