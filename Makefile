# Everything runs in .venv at the root, made on first use. Needs python3 (3.11 or newer) and make.
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
SPARK_READY := .venv/ready-spark
ROUNDS ?= 1

# Nothing phones home, also not from the tools.
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := 1
export MARIMO_SKIP_UPDATE_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo notebooks test test-slow test-explore test-spark lint types layers audit lock bench clean

help: ## print this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## create .venv and install the locked dependencies

# The stamp is newer than the lock only after a complete installation: an interrupted one starts again. Python compiles
# what is used when it is used, which is a part of what is installed.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 2; }
	@echo "Setting up .venv (a few minutes the first time) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

demo: $(READY) ## the whole job on a synthetic company: features, models, drivers, initiatives, report
	@$(BIN)/journeylift demo --out demo

notebooks: $(READY) ## read and edit the notebooks, on the demo or any study
	@$(BIN)/marimo edit notebooks

# mypy works on one core for a minute: side by side with the tests no core is idle meanwhile.
test: $(READY) ## lint, types, layers and the quick tests
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(MAKE) --no-print-directory -j 2 checked quick

.PHONY: checked quick
checked: $(READY)
	@$(BIN)/lint-imports
	@$(BIN)/mypy

# The files that take longest come first (tests/conftest.py): no worker is left with one at the end.
# One thread a worker: more of them wait for each other by spinning.
quick test-explore: export OMP_NUM_THREADS := 1
quick: $(READY)
	@$(BIN)/python -m pytest -m "not slow and not spark" -n 2 --dist loadfile --no-loadscope-reorder

test-slow: $(READY) ## the statistical runs of several minutes
	@$(BIN)/python -m pytest -m slow

test-explore: $(READY) ## the tests that draw their examples, with new ones (ROUNDS=5: five times)
	@for round in $$(seq $(ROUNDS)); do HYPOTHESIS_PROFILE="new examples" $(BIN)/python -m pytest $$(grep -l hypothesis tests/test_*.py) -m "not slow and not spark" -n 2 --dist loadfile || exit 1; done

test-spark: $(SPARK_READY) ## the same features on Spark; installs pyspark (460 MB), needs Java 17
	@$(BIN)/python -m pytest -m spark tests/test_spark.py tests/test_score_spark.py tests/test_score_pieces.py

# pyspark is published as source only; what builds it is in the lock, so nothing is resolved here either.
$(SPARK_READY): requirements-spark.lock $(READY)
	@echo "Installing pyspark into .venv (two minutes the first time) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --require-hashes --no-build-isolation -r requirements-spark.lock
	@touch $(SPARK_READY)

lint: $(READY) ## lint and format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: $(READY) ## mypy, strict
	@$(BIN)/mypy

layers: $(READY) ## flows -> models -> features, and who may import what
	@$(BIN)/lint-imports

audit: $(READY) ## installed packages against the lock, and known vulnerabilities where a service answers
	@$(BIN)/python .ci/audit.py

bench: $(READY) ## measure: estimates against a known truth
	@$(BIN)/python -m benchmarks.truth
	@$(BIN)/python -m benchmarks.decision_regret

lock: ## resolve the dependencies anew (needs uv)
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --output-file requirements.lock
	uv pip compile pyproject.toml --extra spark --universal --python-version 3.11 --constraints requirements.lock --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet | awk '/^[a-z]/ {wanted = /^(py4j|pyspark)==/} wanted' > requirements-spark.lock

clean: ## remove the environment and the demo
	rm -rf .venv demo
