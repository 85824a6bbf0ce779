# make demo | test | test-fast | lint | docs | bench | bench-quality | bench-end-to-end | clean
# Needs Python 3.11 or newer and a package index; everything else goes into .venv.

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast lint docs bench bench-quality bench-end-to-end clean

PYTHON ?= $(firstword $(foreach name,python3.11 python3 python,$(if $(shell $(name) -c "print(1)" 2>/dev/null),$(name))))
ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif
PY := $(BIN)/python
# At most four processes, whatever the machine: each holds its own models and indexes. Tests of a file stay together.
PYTEST := $(PY) -m pytest -n logical --maxprocesses 4 --dist loadfile
INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt

help:
	@echo "make demo              install into .venv and run the main job on a generated set"
	@echo "make test              install everything, then ruff, mypy and pytest"
	@echo "make test-fast         the tests that take no PyTorch, no browser and no patience"
	@echo "make lint              ruff and strict mypy"
	@echo "make docs              write docs/cli.md anew from --help"
	@echo "make bench             throughput of build beside the bare encoder"
	@echo "make bench-quality     planted errors: healtheat beside its peers, and what flags mean"
	@echo "make bench-end-to-end  a detector trained with and without what healtheat flags (hours)"
	@echo "make clean             remove what the tools cached (not .venv, not index/)"

.venv/pyvenv.cfg:
	$(PYTHON) -m venv .venv

# A stamp is newer than what it was made from: nothing is installed again until one of these changes.
.venv/.installed-core: pyproject.toml constraints.txt | .venv/pyvenv.cfg
	$(INSTALL) -e .
	@$(PY) -c "import pathlib; pathlib.Path('$@').touch()"

.venv/.installed-dev: pyproject.toml constraints.txt | .venv/pyvenv.cfg
	$(INSTALL) -e ".[all,dev]"
	@$(PY) -c "import pathlib; [pathlib.Path('.venv', n).touch() for n in ('.installed-core', '.installed-test', '.installed-dev')]"

.venv/.installed-bench: .venv/.installed-dev
	$(INSTALL) -e ".[all,dev,bench]"
	@$(PY) -c "import pathlib; pathlib.Path('$@').touch()"

# The package and what runs its tests, without PyTorch.
.venv/.installed-test: pyproject.toml constraints.txt | .venv/pyvenv.cfg
	$(INSTALL) -e ".[dev]"
	@$(PY) -c "import pathlib; pathlib.Path('$@').touch()"

demo: .venv/.installed-core
	$(PY) -m healtheat demo

lint: .venv/.installed-dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

test test-fast: export OMP_NUM_THREADS ?= 1

test: lint
	$(PYTEST)

test-fast: .venv/.installed-test
	$(PYTEST) --hypothesis-profile fast -m "not torch and not browser and not slow"

docs: .venv/.installed-dev
	$(PY) -m healtheat.commands.reference docs/cli.md

bench: .venv/.installed-dev
	$(PY) -m benchmarks.throughput

bench-quality: .venv/.installed-bench
	$(PY) -m benchmarks.quality
	$(PY) -m benchmarks.flags

bench-end-to-end: .venv/.installed-bench
	$(PY) -m benchmarks.end_to_end --bf16

clean:
	$(PYTHON) -c "import shutil; [shutil.rmtree(p, ignore_errors=True) for p in ('.mypy_cache', '.ruff_cache', '.pytest_cache', '.hypothesis', 'build', 'dist')]"
