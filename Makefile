# From nothing: `make test` and `make demo` create .venv, install what is needed, and run.
PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/python

.PHONY: install test slow demo lint bench

install: $(VENV)/.installed

$(VENV)/.installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --upgrade pip
	$(RUN) -m pip install -r requirements.txt -e ".[test,lint]"
	touch $@

test: install
	$(RUN) -m pytest -n 2 --dist loadfile

slow: install
	$(RUN) -m pytest -m slow

demo: install
	$(RUN) tools/demo.py

lint: install
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

bench: install
	$(RUN) benchmarks/run.py
