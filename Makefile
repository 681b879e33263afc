# Everything runs in .venv, built from the pinned versions in constraints.txt. Paths are relative throughout, so that
# a space in the name of the folder around them does no harm.

PYTHON ?= python3
# One more than there are cores: a worker often waits for a child.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(4, (os.cpu_count() or 1) + 1))')
# PyPI's PyTorch for Linux brings gigabytes of CUDA. TORCH_INDEX=https://download.pytorch.org/whl/cpu has it without.
TORCH_INDEX ?=

BIN := .venv/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --no-input --no-compile -c constraints.txt
# $(call install,WHAT): what pip says is shown only if it fails.
install = said=$$($(PIP) $(1) 2>&1) || { printf '%s\n' "$$said" >&2; exit 1; }
# pip compiles one file at a time. What is there for another Python fails to, and is never imported; nor are the others'
# tests, a fifth of all.
compile = $(BIN)/python -m compileall -q -j 0 -x '/(tests|pip|setuptools)/' .venv/lib > /dev/null 2>&1 || true
# Folders count too: they change when a file in them is deleted.
PACKAGE := $(shell find kmr_cli -name '*.py' -o -name '*.css' -o -name '*.js' -o -name py.typed -o -type d ! -name __pycache__) pyproject.toml
# In a variable: a comma would end an argument of call.
DEMO_EXTRAS := tensorflow,onnx
DEMO := kmr-inspect sample sample_models/digits.keras --layer conv1 --index 4 --input sample_models/digits.npz

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help demo test browser attack fuzz lint docs bench detection proof models clean

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name what; do printf 'make %-9s %s\n' "$$name" "$$what"; done

demo: .venv/demo-installed ## show sample 4 at a layer of a real model
	@echo '$$ $(DEMO)'
	@$(BIN)/$(DEMO)

test: .venv/dev-installed ## run all tests against the installed package
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal

browser: .venv/browser-installed ## test the HTML pages in a headless Chromium
	@$(BIN)/pytest -m browser tests/browser

attack: .venv/dev-installed ## run all bad files with the refusal lifted, in the sandbox
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal -m attack tests/scan

fuzz: .venv/dev-installed ## read 10,000 damaged files with each reader
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal -m fuzz tests/scan

lint: .venv/dev-installed ## check style, types, and that README.md and docs/ show what the program says
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/python scripts/reference.py --check
	@$(BIN)/python scripts/rule_pages.py --check
	@$(BIN)/mypy & types=$$!; $(BIN)/python scripts/picture.py --check && $(BIN)/python scripts/readme_screens.py --check && wait $$types

docs: .venv/docs-installed ## build the documentation into site/
	@$(BIN)/sphinx-build --quiet --fail-on-warning --fresh-env -c docs/site --doctree-dir build/doctrees . site

bench: .venv/dev-installed ## measure speed and write the table in benchmarks/README.md
	@$(BIN)/python benchmarks/run.py

detection: .venv/dev-installed ## prove the check against known faults and write benchmarks/detection.md
	@$(BIN)/python benchmarks/detection.py

proof: .venv/dev-installed ## hold the structural proof against data and write benchmarks/proof.md
	@$(BIN)/python benchmarks/proof.py

models: .venv/dev-installed ## train sample_models/ again
	@$(BIN)/python sample_models/train.py

clean: ## remove the environment and all caches
	rm -rf .venv build dist site .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "kmr-inspect needs Python 3.10 or later; this is " + sys.version.split()[0] + ". Name another one, for example: make PYTHON=python3.12")'
	@echo 'creating .venv'
	@$(PYTHON) -m venv --clear .venv
	@touch $@

# The build tools are pinned as well, so the build gets no environment of its own to fetch them into.
.venv/build-tools-installed: .venv/created constraints.txt
	@$(call install,hatchling)
	@touch $@

.venv/demo-installed: .venv/build-tools-installed $(PACKAGE)
	@echo 'installing kmr-inspect with TensorFlow and ONNX into .venv (the first time takes minutes)'
	@$(call install,--no-build-isolation '.[$(DEMO_EXTRAS)]')
	@$(compile)
	@touch $@

.venv/dev-installed: .venv/build-tools-installed $(PACKAGE)
	@echo 'installing kmr-inspect with all frameworks and test tools into .venv (the first time takes minutes)'
	@$(call install,$(if $(TORCH_INDEX),--extra-index-url '$(TORCH_INDEX)') torch)
	@$(call install,--no-build-isolation '.[dev]')
	@$(compile)
	@touch $@

.venv/docs-installed: .venv/build-tools-installed constraints.txt
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11) and "make docs needs Python 3.11 or later")'
	@echo 'installing what builds the documentation into .venv'
	@$(call install,furo myst-parser sphinx)
	@touch $@

# Needs npm, which is how Chromium can be had from a package registry.
.venv/browser-installed: scripts/fetch_browser.py constraints.txt | .venv/dev-installed
	@echo 'fetching a headless Chromium from the npm registry into .venv'
	@$(call install,playwright brotli)
	@$(BIN)/python scripts/fetch_browser.py .venv/browser
	@touch $@
