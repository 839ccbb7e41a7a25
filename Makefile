# The two commands: `make demo` and `make test`. Both set up what they need.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Test files run side by side; a process more costs about 1 GB.
JOBS ?= 2

.PHONY: setup demo test test-all lint bench clean

setup: $(STAMP)

# One resolver run under the constraints, so that torch is the pinned build and nothing pulls another.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[train,private,test]'
	touch $@

demo: setup
	$(BIN)/evenhand demo --out runs/demo

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright

test: lint
	$(BIN)/pytest -n $(JOBS) --dist loadfile

test-all: lint
	$(BIN)/pytest -n $(JOBS) --dist loadfile -m ''

bench: setup
	$(BIN)/python benchmarks/padding.py --data ../shared/data
	$(BIN)/python benchmarks/audit.py
	$(BIN)/python benchmarks/bootstrap.py
	$(BIN)/python benchmarks/replicas.py
	$(BIN)/python benchmarks/roofline.py
	$(BIN)/python benchmarks/pool.py --targets 4
	$(BIN)/python benchmarks/study.py --data ../shared/data

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .import_linter_cache build dist
