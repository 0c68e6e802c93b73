PYTHON ?= python3
BIN := .venv/bin

PYTHON312 ?= python3.12
PIP := -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo docs docs-check test test-cluster test-gan test-large test-oldest test-dist lint bench-speed bench-quality benchmark benchmark-check benchmark-report clean

# The environment: made once, made again when what it installs changes.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[plot,test]'
	touch $@

.venv/benchmarks: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[benchmarks]'
	touch $@

# The rivals, apart from what is tested here. pythae asks for a backport of dataclasses that
# hides Python's own and breaks its import: it is taken out again.
.venv-rivals/installed: benchmarks/contest/rivals.txt constraints.txt
	$(PYTHON) -m venv .venv-rivals
	.venv-rivals/bin/python $(PIP) torch
	.venv-rivals/bin/python $(PIP) --requirement $<
	.venv-rivals/bin/python -m pip uninstall --quiet --yes dataclasses
	touch $@

# encdr needs Python 3.12; without it the contest goes on, and says so. Where there is no CPU
# build of torch for it this takes gigabytes.
.venv-encdr/installed: benchmarks/contest/encdr.txt constraints.txt
	mkdir -p $(@D)
	-$(PYTHON312) -m venv .venv-encdr && .venv-encdr/bin/python $(PIP) torch \
		&& .venv-encdr/bin/python $(PIP) --requirement $<
	touch $@

demo: .venv/installed
	$(BIN)/python -m benchmarks.demo

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

test: .venv/installed lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto

# A cluster's workers and scheduler killed and stopped at many moments: minutes.
test-cluster: .venv/installed
	SKAE_TEST_CLUSTER=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/cluster

# Two gigabytes of rows in 600 MB of memory, with a cache and without: ten minutes.
test-large: .venv/installed
	SKAE_TEST_LARGE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/data/test_streams.py -k 'two_gigabytes or memory_does_not_grow'

# Ten seeds of each loss on a ring of eight Gaussians: minutes.
test-gan: .venv/benchmarks
	mkdir -p build
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.quality.gan build/gan.csv --check --data ring \
		--names relativistic logistic least_squares

# The same tests with the oldest releases that pyproject.toml admits.
.venv-oldest/installed: pyproject.toml constraints-oldest.txt
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints-oldest.txt torch
	.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints-oldest.txt --editable '.[plot,test]'
	touch $@

test-oldest: .venv-oldest/installed
	OMP_NUM_THREADS=1 .venv-oldest/bin/python -m pytest --numprocesses auto

# What is uploaded: wheel and sdist are built, and the wheel, installed in an environment of its
# own, passes the tests that the sdist brings, without the sources beside it.
DIST_TESTS ?= tests
test-dist:
	rm -rf dist build/dist .venv-dist
	$(PYTHON) -m venv .venv-dist
	.venv-dist/bin/python $(PIP) build twine
	.venv-dist/bin/python -m build --outdir dist
	.venv-dist/bin/python -m twine check --strict dist/*
	mkdir -p build/dist
	tar --extract --gzip --file dist/skae-*.tar.gz --directory build/dist --strip-components 1
	rm -r build/dist/skae build/dist/*.egg-info
	.venv-dist/bin/python $(PIP) torch
	.venv-dist/bin/python $(PIP) "$$(echo dist/skae-*.whl)[plot,test]"
	cd build/dist && OMP_NUM_THREADS=1 ../../.venv-dist/bin/python -m pytest --numprocesses auto $(DIST_TESTS)

# The site, in an environment of its own; it is built without a network. Warnings are errors.
.venv-docs/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python $(PIP) torch
	.venv-docs/bin/python $(PIP) --editable '.[docs]'
	touch $@

docs: .venv-docs/installed
	OMP_NUM_THREADS=1 .venv-docs/bin/python -m sphinx --fail-on-warning --keep-going --quiet -b html -d build/doctrees docs build/docs
	@echo "build/docs/index.html"

# Opens every page in headless Chromium (apt-get install chromium, or CHROMIUM=path).
docs-check: docs
	.venv-docs/bin/python docs/check_site.py build/docs

bench-speed: .venv/benchmarks
	$(BIN)/python -m benchmarks.speed
	$(BIN)/python -m benchmarks.speed.family
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.deploy

bench-quality: .venv/benchmarks
	$(BIN)/python -m benchmarks.quality
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.quality.main_job
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.quality.few_labels
	$(BIN)/python -m benchmarks.quality.denoising
	$(BIN)/python -m benchmarks.quality.family
	$(BIN)/python -m benchmarks.quality.stacked
	$(BIN)/python -m benchmarks.quality.ordered
	$(BIN)/python -m benchmarks.quality.imputation
	$(BIN)/python -m benchmarks.quality.missing
	$(BIN)/python -m benchmarks.quality.tables
	$(BIN)/python -m benchmarks.quality.images
	$(BIN)/python -m benchmarks.quality.samples
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.quality.gan gan.csv
	$(BIN)/python -m benchmarks.quality.labels
	$(BIN)/python -m benchmarks.quality.supervised supervised.csv
	$(BIN)/python -m benchmarks.quality.supervised supervised.csv --report --picture supervised_pareto.png
	$(BIN)/python -m benchmarks.quality.sequences
	$(BIN)/python -m benchmarks.quality.contrastive
	$(BIN)/python -m benchmarks.quality.conditional
	$(BIN)/python -m benchmarks.quality.adversarial

benchmark: .venv/benchmarks .venv-rivals/installed .venv-encdr/installed
	$(BIN)/python -m benchmarks.contest
	$(BIN)/python -m benchmarks.contest --growth --seeds 1
	$(BIN)/python -m benchmarks.contest.imports
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.contest.search
	$(BIN)/python -m benchmarks.contest.report

benchmark-report: .venv/benchmarks
	$(BIN)/python -m benchmarks.contest.report

benchmark-check: .venv/benchmarks
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.contest.check --speed

clean:
	rm -rf .venv .venv-oldest .venv-dist .venv-rivals .venv-encdr .venv-docs build dist *.egg-info docs/generated docs/gallery docs/sg_execution_times.rst
