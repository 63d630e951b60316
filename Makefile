VENV ?= .venv
PYTHON ?= python3
PORT ?= 8000
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

help: ## Print this help
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

run: $(STAMP) ## Start the service on http://127.0.0.1:8000 (PORT=… changes it)
	$(BIN)/mediagate serve --port $(PORT)

# Two processes with whole test files each; the end-to-end tests run separately.
test: $(STAMP) ## Run the whole suite, or pytest with ARGS=…
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

check: lint test ## Run all checks before a commit

bench: $(STAMP) ## Print the benchmarks and their comparisons (ARGS="engine --runs 5")
	$(BIN)/python -m bench $(ARGS)

cluster: $(STAMP) ## Run a deployment on loopback and kill its processes at random, once for each queue (ARGS="--queue celery --photos 100")
	$(BIN)/python -m bench.cluster $(ARGS)

# In its own environment, since it neither needs nor may change the project's.
constraints: ## Pin the image's packages with hashes; for each release (ARGS="--upgrade-package pillow" for one package)
	test -x .cache/uv/bin/uv || ($(PYTHON) -m venv .cache/uv && .cache/uv/bin/python -m pip install --quiet "uv>=0.9")
	($(PYTHON) image_requirements.py all; $(PYTHON) image_requirements.py --build) \
	| .cache/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	  --custom-compile-command "make constraints" --output-file constraints.txt $(or $(ARGS),--upgrade) -

clean: ## Remove the environment and all build output
	rm -rf $(VENV) .cache bench/.cache dist service/mediagate/records/client service/mediagate/records/query_engine

$(STAMP): pyproject.toml hatch_build.py schema.prisma $(wildcard query_engine/*.js query_engine/src/*.js query_engine/package*.json)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable ".[all]" --group dev
	@touch $(STAMP)

.PHONY: help run test lint check bench cluster constraints clean
