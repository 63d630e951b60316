VENV ?= .venv
PYTHON ?= python3
PORT ?= 8000
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
STAMP := $(VENV)/.installed
MUTATION := .cache/mutation

help: ## Print this help
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

run: $(STAMP) ## Start the service on http://127.0.0.1:8000 (PORT=… changes it)
	$(BIN)/mediagate serve --port $(PORT)

# Each file stays in one process. The order is random: `ARGS="-p randomly --randomly-seed=…"` repeats one.
test: $(VENV)/.docs ## Run the whole suite (ARGS=… goes to pytest, which then runs what it says)
	$(BIN)/python -m pytest $(or $(ARGS),--numprocesses auto --no-loadscope-reorder --durations=10 $(COVERAGE))

test-fast: $(STAMP) ## Run what needs no service, no browser and no host, without what is marked slow
	MEDIAGATE_TEST_FAST=1 $(BIN)/python -m pytest --numprocesses auto --no-loadscope-reorder --durations=10 -m "not slow" --ignore=tests/e2e --ignore=tests/shown --ignore=tests/docs $(ARGS)

lint: $(STAMP) ## ruff, mypy and the import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.docs ## Build the site into docs/_build; a broken link or anchor fails
	$(BIN)/python docs/python_reference.py
	rm -rf docs/_build
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs docs/_build

check: lint test ## Run all checks before a commit

bench: $(STAMP) ## Print the benchmarks and their comparisons (ARGS="engine --runs 5")
	$(BIN)/python -m bench $(ARGS)

bench-smallest: $(STAMP) ## Run all code of the benchmarks and of the cluster once, on a few photos; no figure is judged
	$(BIN)/python -m bench.smallest

cluster: $(STAMP) ## Run a deployment on loopback and kill its processes at random, once for each queue (ARGS="--queue celery --photos 100")
	$(BIN)/python -m bench.cluster $(ARGS)

# Nightly, and in no other target. From the beginning each time: mutmut does not see that a test has changed.
mutation: $(STAMP) ## List the mutants of jobs, verdicts and access that no test kills (ARGS="mediagate.jobs.retries*" for some)
	$(BIN)/python -m pip install --quiet --group mutation
	rm -rf $(MUTATION)
	mkdir -p $(MUTATION)/mutants/src
	ln -s ../../service $(MUTATION)/src
	ln -s ../../tests ../../pyproject.toml $(MUTATION)/
	cd $(MUTATION) && export PYTHONPATH=$(CURDIR)/$(MUTATION)/mutants/src && \
	  $(abspath $(BIN))/mutmut run $(foreach name,$(ARGS),'$(name)') && $(abspath $(BIN))/mutmut export-cicd-stats && \
	  cat mutants/mutmut-cicd-stats.json && echo && ($(abspath $(BIN))/mutmut results | grep -v 'not checked' || true)

# In its own environment, since it neither needs nor may change the project's.
constraints: ## Pin the image's packages with hashes; for each release (ARGS="--upgrade-package pillow" for one package)
	test -x .cache/uv/bin/uv || ($(PYTHON) -m venv .cache/uv && .cache/uv/bin/python -m pip install --quiet "uv>=0.9")
	($(PYTHON) image_requirements.py all,node,nudenet,ocr,tesseract; $(PYTHON) image_requirements.py --build) \
	| .cache/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	  --custom-compile-command "make constraints" --output-file constraints.txt $(or $(ARGS),--upgrade) -

wheel: $(STAMP) ## Build the wheel into dist
	$(BIN)/python -m hatchling build --target wheel

clean: ## Remove the environment and all build output
	rm -rf $(VENV) .cache bench/.cache dist docs/_build third_party service/mediagate/records/client service/mediagate/records/query_engine

$(STAMP): pyproject.toml hatch_build.py schema.prisma $(wildcard query_engine/*.js query_engine/src/*.js query_engine/package*.json)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable ".[all,ocr,tesseract]" --group dev
	@touch $(STAMP)

$(VENV)/.docs: $(STAMP)
	$(BIN)/python -m pip install --quiet --group docs
	@touch $(VENV)/.docs

.PHONY: help run test test-fast lint docs check bench bench-smallest cluster mutation constraints wheel clean
