# From nothing: `make test` and `make demo` create .venv, install what is needed, and run.
PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/python
# set where an environment says otherwise, else every process of the tests compiles all modules again
export PYTHONDONTWRITEBYTECODE =

.PHONY: install test test-isa slow demo lint bench

install: $(VENV)/.installed

$(VENV)/.installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --upgrade pip
	$(RUN) -m pip install -r requirements.txt -e ".[test,lint]"
	touch $@

test: install
	$(RUN) -m pytest -n 2 --dist loadfile

# the numeric part once for each of eight settings: the instructions of other x86-64 CPUs
test-isa: install
	$(RUN) tests/isa.py

slow: install
	$(RUN) -m pytest -m slow

demo: install
	$(RUN) tools/demo.py

lint: install
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

bench: install
	$(RUN) benchmarks/run.py
