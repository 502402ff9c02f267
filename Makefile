# Every need has one command. Each does its own set-up: Python 3.11 and git are all it asks for.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test check lint bench growth whatif methods strategies breeding cuts oona catastrophes cycles golden clean

help:  ## what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(READY): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "regrow needs Python 3.11 or newer: make PYTHON=python3 ..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet "torch==2.13.0" -c constraints.txt
	$(BIN)/pip install --quiet -e ".[dev]" -c constraints.txt
	@touch $@

demo: $(READY)  ## record digits, rebuild it, train it again in a new process, prove it identical
	$(BIN)/python -m scenarios.experiments.demo

test: $(READY)  ## the tests
	$(BIN)/pytest -q -n 2

lint: $(READY)  ## ruff, format, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test  ## everything that must be green

bench: $(READY)  ## speed, as ratios measured in one run
	$(BIN)/python tests/benchmarks/run.py

growth: $(READY)  ## the growth table of scenarios/README.md, measured anew
	$(BIN)/python -m scenarios.experiments.growth --write

whatif: $(READY)  ## what each design choice is worth: the house experiment, its table in scenarios/README.md
	$(BIN)/python -m scenarios.experiments.whatif --write

methods: $(READY)  ## off-policy and simulated answers against exact ones, the table of scenarios/README.md
	$(BIN)/python -m scenarios.experiments.methods --write

strategies: $(READY)  ## each blueprint strategy and each bandit on the same run keys, every run trained twice
	$(BIN)/python -m scenarios.experiments.strategies --write

breeding: $(READY)  ## libraries bred over generations, Karn's evolution against random search
	$(BIN)/python -m scenarios.experiments.breeding --write
	$(BIN)/python -m scenarios.experiments.breeding --library plain --write

cuts: $(READY)  ## cut 20 runs at 3 epochs each, resume and fork them, compare every byte
	$(BIN)/python -m scenarios.experiments.cuts

oona: $(READY)  ## two processes over JetStream against one: disturbed messages, a broker killed
	$(BIN)/python -m scenarios.experiments.oona

catastrophes: $(READY)  ## blueprints that blow up, planted 30 times: is each one caught?
	$(BIN)/python -m scenarios.experiments.catastrophes

cycles: $(READY)  ## twenty adaptations in one run: is anything forgotten?
	$(BIN)/python -m scenarios.experiments.cycles

golden: $(READY)  ## record replays/golden anew; only where a change of the journal is meant
	$(BIN)/python -m scenarios.experiments.golden

clean:  ## remove what was built and recorded
	rm -rf $(VENV) .regrow build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
