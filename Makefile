# The commands of this project. `make demo` and `make test` set up everything they need.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup demo sandbox test lint format bench docs locks browser kql clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): requirements/bootstrap.txt requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, not " + sys.version.split()[0] + "; set PYTHON=python3.11")'
	@echo "setup: virtual environment in $(VENV) (about 1 GB, once)"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/bootstrap.txt
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements/dev.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

setup: $(STAMP) ## Virtual environment and Pulumi CLI
	@$(BIN)/python -m rollout.ops.pulumi_cli

demo: setup ## The whole life cycle on the sandbox, about 8 minutes; report in out/demo/
	@$(BIN)/python -m demo

sandbox: setup ## Start local Azure and say how to use it
	@$(BIN)/rollout sandbox up

test: setup lint browser kql ## Lint and all tests
	@$(BIN)/python -m pytest -m timed
	@$(BIN)/python -m pytest -m "not timed" -n 2 --dist loadfile

lint: $(STAMP) ## black, ruff, mypy, bandit
	@$(BIN)/black --check --quiet . || { $(BIN)/black --check . ; exit 1; }
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/bandit --quiet --recursive --configfile pyproject.toml components contract demo functions load rollout policy sandbox training __main__.py
	@echo "lint: clean"

format: $(STAMP) ## Format and mend what can be
	@$(BIN)/black --quiet . && $(BIN)/ruff check --fix .

bench: setup ## Speed beside rivals, as ratios; out/bench/*.json
	@$(BIN)/python -m bench

docs: $(STAMP) ## Regenerate docs/commands.md, docs/outputs.md and the architecture picture
	@$(BIN)/python tools/commands_doc.py
	@$(BIN)/python tools/outputs_doc.py
	@$(BIN)/python tools/architecture_picture.py

locks: $(STAMP) ## Lock requirements/*.in anew
	@for name in bootstrap dev; do $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links requirements/$$name.in -o requirements/$$name.txt; done
	@for name in runtime sandbox; do $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links -c requirements/dev.txt requirements/$$name.in -o requirements/$$name.txt; done
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  -c requirements/dev.txt functions/requirements.in -o functions/requirements.txt
	@$(BIN)/uv pip compile --quiet --python-version 3.11 --python-platform x86_64-manylinux_2_28 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links -c requirements/dev.txt training/container/requirements.in -o training/container/requirements.txt

kql: $(STAMP)
	@$(BIN)/python tools/kql_check.py

browser:
	@command -v chromium >/dev/null || tools/install-browser

clean: ## Remove the sandbox, outputs and the virtual environment
	@test ! -x $(BIN)/rollout || $(BIN)/rollout sandbox down
	@rm -rf $(VENV) .sandbox out
