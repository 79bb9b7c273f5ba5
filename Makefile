# Every target sets up what it needs: a machine with Python 3.11+ and make is enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help demo test test-slow lint format docs bench clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'comfylock needs Python 3.11 or newer; name one with make PYTHON=python3.12' >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo 'Installing comfylock and its tools into $(VENV) …'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(STAMP) ## Lock and install the bundled example against a local stand-in of Civitai
	@$(BIN)/python -m examples.demo

test: $(STAMP) ## Run the tests (under 4 minutes)
	@$(BIN)/python -m pytest -q -n auto --maxprocesses 8 --dist worksteal -m 'not slow'

test-slow: $(STAMP) ## Run the tests that take longer
	@$(BIN)/python -m pytest -q -m slow

lint: $(STAMP) ## Check style, types and layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/pyright --warnings
	@$(BIN)/python -m pytest -q tests/test_layers.py

format: $(STAMP) ## Bring the code into its form
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format --quiet .

docs: $(STAMP) ## Write the pages that are made from the code
	@$(BIN)/python -m tests.tools.command_docs --write
	@$(BIN)/python -m tests.tools.schemas --write

bench: $(STAMP) ## Measure against other tools on the same bytes, as ratios
	@$(BIN)/python -m tests.bench

clean: ## Remove what the other targets made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
