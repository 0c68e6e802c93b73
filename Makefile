PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint bench-speed bench-quality clean

# The environment: made once, made again when what it installs changes.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[plot,test]'
	touch $@

.venv/benchmarks: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[benchmarks]'
	touch $@

demo: .venv/installed
	$(BIN)/python -m benchmarks.demo

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

test: .venv/installed lint
	$(BIN)/python -m pytest

bench-speed: .venv/benchmarks
	$(BIN)/python -m benchmarks.speed
	$(BIN)/python -m benchmarks.speed.family

bench-quality: .venv/benchmarks
	$(BIN)/python -m benchmarks.quality
	$(BIN)/python -m benchmarks.quality.denoising
	$(BIN)/python -m benchmarks.quality.family
	$(BIN)/python -m benchmarks.quality.stacked
	$(BIN)/python -m benchmarks.quality.ordered
	$(BIN)/python -m benchmarks.quality.imputation
	$(BIN)/python -m benchmarks.quality.tables
	$(BIN)/python -m benchmarks.quality.images
	$(BIN)/python -m benchmarks.quality.labels

clean:
	rm -rf .venv build *.egg-info
