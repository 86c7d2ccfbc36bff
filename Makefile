# `make` alone lists what there is. Everything below needs only Python 3.11+ and make; nothing is installed outside .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Real processes on a machine that may stand still: three tests at most may fail once, and are shown at the end with
# their failures. What tests/chaos/ proves gets no second chance: "never twice" may not fail once.
SECOND_CHANCE := --reruns 1 --max-suite-reruns 3 --rerun-exclude-path tests/chaos --rerun-show-tracebacks

.DEFAULT_GOAL := help
.PHONY: help demo test check chaos fuzz client bench lint format lock examples clean

help: ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  \1\t/' | expand -t 14

demo: $(VENV)/.installed ## A campaign from spreadsheet to results on this machine (ARGS=--exit ends by itself, ARGS=--help)
	@$(BIN)/python -m scripts.demo $(ARGS)

test: check ## All checks and all tests, on a real mongod and the Retell simulator (ARGS="-k hours" picks tests)
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile $(SECOND_CHANCE) $(ARGS)

chaos: $(VENV)/.installed ## Prove docs/proofs.md at length: crash points, storm, invented histories (some 15 minutes)
	$(BIN)/python -m tests.chaos crash-points
	$(BIN)/python -m tests.chaos storm
	$(BIN)/python -m tests.chaos machine

fuzz: $(VENV)/.installed ## schemathesis asks the whole API what nobody would, some 15 minutes (ARGS="--seed 7 --only jobs")
	$(BIN)/python -m tests.fuzzing $(ARGS)

client: $(VENV)/.installed ## Types for TypeScript from the OpenAPI document, into clients/typescript
	@$(BIN)/python -m scripts.typescript_client

bench: $(VENV)/.installed ## What things cost on this machine, in an hour at most (ARGS="--minutes 10 --parts promptness", ARGS=--help)
	@$(BIN)/python -m benchmarks $(ARGS)

check: $(VENV)/.installed ## ruff, mypy --strict and import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed ## Let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

examples: $(VENV)/.installed ## Write examples/ anew
	$(BIN)/python -m scripts.make_example_spreadsheet
	$(BIN)/python -m scripts.make_example_script

lock: ## Write requirements/*.txt anew from pyproject.toml (exact versions, hashes, no addresses)
	$(PYTHON) -m venv $(VENV)-lock && $(VENV)-lock/bin/pip install --quiet uv
	$(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --upgrade pyproject.toml -o requirements/runtime.txt
	$(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --upgrade pyproject.toml --group embedded --group dev -c requirements/runtime.txt -o requirements/dev.txt
	rm -rf $(VENV)-lock

clean: ## Remove the virtual environment, the embedded database and all caches
	rm -rf $(VENV) .cadencia clients/typescript/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/.installed: requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Cadencia needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "This Python has no venv module (on Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; }
	@# `venv --clear` would follow a link and empty what others work with.
	@test ! -L $(VENV) || { echo "$(VENV) is a link to $$(readlink $(VENV)), which is not as this tree needs it: remove the link, or update it there." >&2; exit 1; }
	@echo "Setting up $(VENV) (once) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@
