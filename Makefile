# make train: set up .venv with what training needs, and train the default task.
# make test:  set up .venv with everything else, then lint, layers, types and tests.
# make docs:  build the documentation site into site/.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet

.PHONY: train test lint docs coverage install clean

train: $(VENV)/core
	$(BIN)/python train.py trainer.accelerator=cpu

test: lint
	$(BIN)/pytest -n 2 --dist worksteal

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

coverage: $(VENV)/dev
	$(BIN)/pytest -n 2 --dist worksteal --cov=sem_lightning --cov-report=term-missing:skip-covered --cov-fail-under=90

docs: $(VENV)/docs
	$(BIN)/python docs/build_reference.py
	$(BIN)/mkdocs build --strict

install: $(VENV)/dev

$(VENV)/python:
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip
	touch $@

$(VENV)/core: pyproject.toml $(VENV)/python
	$(PIP) --editable .
	touch $@

$(VENV)/dev: pyproject.toml $(VENV)/core
	$(PIP) --editable '.[dev]'
	touch $@

$(VENV)/docs: pyproject.toml $(VENV)/core
	$(PIP) --editable '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) outputs site
