VENV ?= .venv
PYTHON ?= python3
PORT ?= 8000
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
MUTATION := .cache/mutation

help: ## Print this help
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

run: $(STAMP) ## Start the service on http://127.0.0.1:8000 (PORT=… changes it)
	$(BIN)/mediagate serve --port $(PORT)

# Two processes, each with whole files of tests; those of whole services by themselves.
test: $(STAMP) ## Run the whole suite (ARGS=… goes to pytest, which then runs what it says)
ifeq ($(ARGS),)
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --ignore=tests/e2e
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile tests/e2e
else
	$(BIN)/python -m pytest $(ARGS)
endif

lint: $(STAMP) ## ruff, mypy and the import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test ## What runs before a commit

bench: $(STAMP) ## Print the benchmarks beside their peers (ARGS="engine --runs 5")
	$(BIN)/python -m bench $(ARGS)

cluster: $(STAMP) ## Run a production on loopback and kill its processes at random, once for each queue (ARGS="--queue celery --photos 100")
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

# Without the environment of the project: nothing of it is needed, and nothing of this stays in it.
constraints: ## Pin what the image installs, with hashes; for each release (ARGS="--upgrade-package pillow" for one alone)
	test -x .cache/uv/bin/uv || ($(PYTHON) -m venv .cache/uv && .cache/uv/bin/python -m pip install --quiet "uv>=0.9")
	($(PYTHON) image_requirements.py all; $(PYTHON) image_requirements.py --build) \
	| .cache/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	  --custom-compile-command "make constraints" --output-file constraints.txt $(or $(ARGS),--upgrade) -

clean: ## Remove the environment and what was built
	rm -rf $(VENV) .cache bench/.cache dist service/mediagate/records/client service/mediagate/records/query_engine

$(STAMP): pyproject.toml hatch_build.py schema.prisma $(wildcard query_engine/*.js query_engine/src/*.js query_engine/package*.json)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable ".[all]" --group dev
	@touch $(STAMP)

.PHONY: help run test lint check bench cluster mutation constraints clean
