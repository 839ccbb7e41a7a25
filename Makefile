# The two commands: `make demo` and `make test`. Both set up what they need. CONTRIBUTING.md says which suite is for what.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Test files run side by side; a process more costs about 1 GB.
JOBS ?= 2

.PHONY: setup demo test test-all tests all-tests simulate fuzz lint bench site package versions sbom security clean

setup: $(STAMP)

# One resolver run under the constraints, so that torch is the pinned build and nothing pulls another.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[train,ray,slurm,private,test,site]'
	touch $@

demo: setup
	$(BIN)/evenhand demo --out runs/demo

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright

# The longest files come first (tests/conftest.py), so that no process ends long after the others.
PYTEST = $(BIN)/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

# Types are checked in one process, beside the tests.
test: setup
	$(MAKE) --jobs=2 lint tests

# Slow tests, and a tenth of every simulation and fuzz.
test-all: setup
	$(MAKE) --jobs=2 lint all-tests

tests: setup
	$(PYTEST)

all-tests: setup
	$(PYTEST) -m ''

# Every simulation at full size, for a change of what it checks; docs/simulations.md records the runs. Single tests are
# shared out, since files take hours.
simulate: setup
	$(BIN)/pytest -n $(JOBS) --dist worksteal -m simulate --scale 1 $(SIMULATE)

fuzz: setup
	$(BIN)/pytest -n $(JOBS) --dist worksteal -m fuzz --scale 1

bench: setup
	$(BIN)/python benchmarks/padding.py --data ../shared/data
	$(BIN)/python benchmarks/audit.py
	$(BIN)/python benchmarks/bootstrap.py
	$(BIN)/python benchmarks/replicas.py
	$(BIN)/python benchmarks/roofline.py
	$(BIN)/python benchmarks/pool.py --targets 4
	$(BIN)/python benchmarks/executors.py
	$(BIN)/python benchmarks/study.py --data ../shared/data

site: setup
	$(BIN)/mkdocs build --strict

# The source archive and the wheel, in dist/.
package: setup
	$(BIN)/python -m build

# Tests of the audit wing on the installed package, without torch, with the lowest versions that pyproject.toml allows or
# with the newest: make versions FOR=python3.13 RESOLUTION=highest
FOR ?= $(PYTHON)
RESOLUTION ?= lowest-direct
UV := .tools/bin/uv
versions: $(UV)
	rm -rf .versions
	$(UV) venv --quiet --no-python-downloads --python $(FOR) .versions
	$(UV) pip compile --quiet --python .versions --resolution $(RESOLUTION) --extra generation \
		--output-file .versions/pins.txt pyproject.toml
	$(UV) pip install --quiet --python .versions --constraint .versions/pins.txt --group audit-tests '.[generation]'
	.versions/bin/pytest -n $(JOBS) --dist loadfile -p no:cacheprovider \
		tests/audit tests/metrics tests/report tests/stats tests/tables tests/test_records.py tests/test_package.py

$(UV):
	$(PYTHON) -m venv .tools
	.tools/bin/pip install --quiet uv

# The list of everything that is installed (CycloneDX).
sbom: setup
	$(PYTHON) -m venv .tools
	.tools/bin/pip install --quiet cyclonedx-bom
	mkdir -p dist
	.tools/bin/cyclonedx-py environment $(VENV) --output-file dist/sbom.json

# The same, and what is publicly known against it.
security: sbom
	.tools/bin/pip install --quiet pip-audit
	.tools/bin/pip-audit --path $$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])') --skip-editable

clean:
	rm -rf $(VENV) .tools .versions .pytest_cache .ruff_cache .import_linter_cache build dist
