# Everything sets itself up: a virtual environment in $(VENV) with what the target needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
TOGETHER ?= --numprocesses auto --dist loadfile
# A file of versions that pip is to take, such as .ci/constraints.txt; by default it takes the newest.
CONSTRAINTS ?=

.PHONY: help demo test oldest newest lint types docs bench dist extras constraints clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

demo: $(VENV)/.dev  ## train a small reflection remover for a few minutes and write out/demo.png
	$(BIN)/python examples/demo.py --out out/demo.png

test: $(VENV)/.dev  ## run the tests and the doctests
	$(BIN)/python -m pytest $(TOGETHER)

oldest: $(VENV)-oldest/.dev  ## run the tests with the oldest torch supported, 2.6 (which Python 3.10 to 3.13 have)
	$(VENV)-oldest/bin/python -m pytest $(TOGETHER)

newest: $(VENV)-newest/.dev  ## run the tests with the newest torch there is
	$(VENV)-newest/bin/python -m pip install --quiet --disable-pip-version-check --upgrade torch torchvision
	$(VENV)-newest/bin/python -m pytest $(TOGETHER)

lint: $(VENV)/.dev  ## check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev  ## check types
	$(BIN)/mypy

docs: $(VENV)/.docs  ## check the spelling, build the documentation in docs/_build and check its links
	$(BIN)/codespell
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build
	$(BIN)/python docs/check_html.py docs/_build

bench: $(VENV)/.dev  ## measure loss, networks, recipes, trainings and exports beside the same by hand, and the photo tool
	$(BIN)/python tests/benchmarks/bench_loss.py --json out/bench.json
	$(BIN)/python tests/benchmarks/bench_models.py --json out/bench_models.json
	$(BIN)/python tests/benchmarks/bench_synthesis.py --json out/bench_synthesis.json
	$(BIN)/python tests/benchmarks/bench_loading.py --json out/bench_loading.json
	$(BIN)/python tests/benchmarks/bench_training.py --json out/bench_training.json
	$(BIN)/python tests/benchmarks/bench_export.py --json out/bench_export.json
	$(BIN)/python tests/benchmarks/bench_photo.py --json out/bench_photo.json

dist: $(VENV)-release/.tools  ## build the source archive, and from it the wheel, in dist, and check what they hold
	rm -rf dist
	$(VENV)-release/bin/python -m build --outdir dist
	$(VENV)-release/bin/python -m twine check --strict dist/*
	$(VENV)-release/bin/python tests/release/archives.py dist

extras: dist  ## install the wheel with each extra alone, and run what the extra is for (needs 8 GB of disk)
	$(VENV)-release/bin/python tests/release/extras.py dist/*.whl

constraints: $(VENV)-constraints/.tools  ## resolve the versions in .ci/constraints.txt anew, by python3.12
	$(VENV)-constraints/bin/python tests/release/constraints.py > $(VENV)-constraints/constraints.txt
	cp $(VENV)-constraints/constraints.txt .ci/constraints.txt

clean:  ## remove what the targets made
	rm -rf $(VENV) $(VENV)-oldest $(VENV)-newest $(VENV)-release $(VENV)-constraints build dist docs/_build docs/gallery out .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/.dev $(VENV)/.docs $(VENV)-oldest/.dev $(VENV)-newest/.dev: pyproject.toml
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check -e ".[$(subst .,,$(@F))]" $(PINNED) $(addprefix --constraint=,$(CONSTRAINTS))
	touch $@

$(VENV)-oldest/.dev: PINNED = "torch==2.6.*" "torchvision==0.21.*"

$(VENV)-release/.tools $(VENV)-constraints/.tools:
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade $(TOOLS)
	touch $@

$(VENV)-release/.tools: TOOLS = pip build twine
$(VENV)-constraints/.tools: TOOLS = pip
$(VENV)-constraints/.tools: PYTHON = python3.12
