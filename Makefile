# From nothing: every target creates .venv and installs what it needs. `make` alone lists the targets.
PYTHON ?= python3
VENV ?= .venv
OUT ?= dist
RUN = $(VENV)/bin/python
# set where an environment says otherwise, else every process of the tests compiles all modules again
export PYTHONDONTWRITEBYTECODE =

.PHONY: help install hooks test slow test-isa docs lint format demo bench wheel clean

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

## install    .venv with the package in editable mode, and what tests and lint need
install: $(VENV)/.installed

$(VENV)/.installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --upgrade pip
	$(RUN) -m pip install -r requirements.txt -e ".[test,lint]"
	touch $@

## hooks      run the checks of .pre-commit-config.yaml at every commit
hooks: install
	$(RUN) -m pip install pre-commit
	$(RUN) -m pre_commit install

## test       the default tests, CPU only, in two processes; ROOM=models tests one folder, ROOM=ops/test_nms.py one file
test: install
	$(RUN) -m pytest -n 2 --dist loadfile $(if $(ROOM),tests/$(ROOM))

## test-isa   the numeric tests with the instructions of other x86-64 CPUs, one after the other; a table at the end
test-isa: install
	$(RUN) tests/isa.py

## slow       tests that take longer; ROOM=... as above
slow: install
	$(RUN) -m pytest -m slow $(if $(ROOM),tests/$(ROOM))

## demo       make the demonstration data, train a pair and a fusion, draw what they find
demo: install
	$(RUN) -m opentad_bi demo

## lint       ruff (check and format) and mypy
lint: install
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

## format     let ruff format the code and correct what it can
format: install
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .

## docs       files, links and commands that the documents name, and the plug-ins that they show
docs: install
	$(RUN) -m pytest tests/test_documents.py tests/test_plugin.py

## bench      the benchmarks; their table stands in docs/benchmarks.md
bench: install
	$(RUN) benchmarks/run.py

## wheel      the installable package, in dist/ or OUT=...
# a module that an earlier build left in build/ would be in the wheel, though it is gone since
wheel: install
	rm -rf build
	$(RUN) -m pip wheel . --no-deps --wheel-dir $(OUT)

## clean      remove what builds and checks leave; data, weights, results and .venv stay
clean:
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find benchmarks configs opentad_bi tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
