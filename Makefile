# Needs only Python 3.11 or newer and make; everything else goes into .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/ready

.PHONY: demo test lint types docs bench

demo: $(READY)
	$(BIN)/mgu compare digits --out studies/demo

test: $(READY)
	$(BIN)/pytest -n auto

lint: $(READY)
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

docs: $(READY)
	$(BIN)/mkdocs build --strict

bench: $(READY)
	$(BIN)/python benchmarks/steps.py
	$(BIN)/python benchmarks/keras_steps.py
	$(BIN)/python benchmarks/imports.py
	$(BIN)/python benchmarks/supervisor.py 60 2
	$(BIN)/python benchmarks/growth.py studies/bench
	$(BIN)/python benchmarks/thousand_cells.py studies/bench
	$(BIN)/python benchmarks/streaming.py studies/bench

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,docs]'
	touch $(READY)
