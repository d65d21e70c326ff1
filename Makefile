PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
PEERS  ?= .peers
DVC    := $(PEERS)/dvc/.installed
TRITON := $(PEERS)/triton/.installed
MLSERVER := $(PEERS)/mlserver/.installed
MLFLOW := $(PEERS)/mlflow/.installed $(PEERS)/mlflow-skinny/.installed
UV     := $(PEERS)/uv/.installed
AZURITE := $(PEERS)/azurite/.installed
PROGRAMS := chromium strace npm postgresql
PIP    := python -m pip install -q --disable-pip-version-check --require-hashes
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-slow lint fix bench bench-data lock vendor programs docs

help: ## Show the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): requirements/dev.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/$(PIP) -r requirements/dev.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

$(DVC): requirements/peer-dvc.txt
	test -x $(PEERS)/dvc/bin/python || $(PYTHON) -m venv $(PEERS)/dvc
	$(PEERS)/dvc/bin/$(PIP) -r requirements/peer-dvc.txt
	touch $@

$(TRITON): requirements/peer-triton.txt
	test -x $(PEERS)/triton/bin/python || $(PYTHON) -m venv $(PEERS)/triton
	$(PEERS)/triton/bin/$(PIP) -r requirements/peer-triton.txt
	touch $@

$(MLSERVER): requirements/peer-mlserver.txt
	test -x $(PEERS)/mlserver/bin/python || $(PYTHON) -m venv $(PEERS)/mlserver
	$(PEERS)/mlserver/bin/$(PIP) -r requirements/peer-mlserver.txt
	touch $@

$(MLFLOW) $(UV): $(PEERS)/%/.installed: requirements/peer-%.txt
	test -x $(PEERS)/$*/bin/python || $(PYTHON) -m venv $(PEERS)/$*
	$(PEERS)/$*/bin/$(PIP) -r requirements/peer-$*.txt
	touch $@

programs: # What tests drive of Debian's, where apt-get is allowed; the tests say so where it is not
	@missing=; for name in $(PROGRAMS); do command -v $$name >/dev/null 2>&1 \
	  || ls /usr/lib/$$name/*/bin >/dev/null 2>&1 || missing="$$missing $$name"; done; \
	  test -z "$$missing" || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 && apt-get update -qq >/dev/null 2>&1 \
	  && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing >/dev/null 2>&1; } \
	  || echo "not there, and can't be installed here:$$missing; their tests are skipped"

$(AZURITE): requirements/azurite/package-lock.json | programs
	@! command -v npm >/dev/null 2>&1 || { mkdir -p $(PEERS)/azurite && cp requirements/azurite/package*.json $(PEERS)/azurite/ \
	  && npm ci --prefix $(PEERS)/azurite --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error && touch $@; }

demo: $(STAMP) ## The main job, from raw data on, in a temporary project
	$(BIN)/python examples/bikes/demo.py

test: $(STAMP) $(DVC) $(TRITON) $(MLFLOW) $(UV) $(AZURITE) programs lint ## What CI runs
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

test-slow: $(STAMP) $(DVC) $(TRITON) $(MLFLOW) $(UV) $(AZURITE) programs ## The same promises at full count
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m "slow"

lint: $(STAMP) ## Format, rules, types, layers
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports

fix: $(STAMP) ## Let the tools repair what they can
	$(BIN)/ruff check --fix-only . && $(BIN)/ruff format .

bench: $(STAMP) $(DVC) $(MLSERVER) $(MLFLOW) ## Ratio tables against the peers
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.serve
	$(BIN)/python -m benchmarks.evaluate
	$(BIN)/python -m benchmarks.traffic
	$(BIN)/python -m benchmarks.monitor
	$(BIN)/python -m benchmarks.loop
	$(BIN)/python -m benchmarks.ledger

bench-data: $(STAMP) $(DVC) ## Ratio tables of the data commands only
	$(BIN)/python -m benchmarks.data
	$(BIN)/python -m benchmarks.large

docs: $(STAMP) ## Write the generated parts of README and docs again
	$(BIN)/python -m tests.docs

lock: ## Write the files of requirements/ again
	test -x .lock/bin/uv || { $(PYTHON) -m venv .lock && .lock/bin/pip install -q uv; }
	.lock/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --custom-compile-command "make lock" --extra sklearn --extra plots --extra serve --extra postgres --group dev pyproject.toml -o requirements/dev.txt
	for peer in requirements/peer-*.in; do \
	  .lock/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	    --custom-compile-command "make lock" $$peer -o $${peer%.in}.txt || exit 1; done

vendor: $(STAMP) ## Write the vendored JavaScript again
	$(BIN)/python -m tests.vendor
