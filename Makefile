# Flightdeck's commands. Needed: make, git and Python >= 3.11.4 (PYTHON=<interpreter> chooses another one than python3).
# Everything they make lies in .venv and .local; `git clean -dfX` removes it.

PYTHON ?= python3
CLOUD_PORT ?= 4567
AIRFLOW_PORT ?= 8080

UV := $(or $(shell command -v uv 2>/dev/null),.local/uv/bin/uv)
RUN := .venv/bin/python
# What starts Python here wants bytecode: an import of Airflow costs twice as much without.
unexport PYTHONDONTWRITEBYTECODE
# The interpreter is the one that PYTHON names; uv fetches none.
export UV_PYTHON_DOWNLOADS := never
# The environment is the project's, whichever one the shell has activated.
unexport VIRTUAL_ENV
unexport UV_PROJECT_ENVIRONMENT

# 3.11.4 is the first 3.11 whose tarfile extracts through a filter.
CHECK_PYTHON = @$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11, 4) and "$(PYTHON) is Python %d.%d.%d. Rule: Python >= 3.11.4. Remedy: make PYTHON=<a newer interpreter>" % sys.version_info[:3])'

JOB_INPUTS := $(wildcard include/models/*/requests/*.json include/models/*/requirements.txt)
CHECKED := include localcloud/src deploy $(wildcard plugins) envs/sagemaker-sdk

.DEFAULT_GOAL := help
.PHONY: help setup lint test verify coverage requests wheels demo up down cloud

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile
	@echo
	@echo '  PYTHON=<interpreter>  CLOUD_PORT=$(CLOUD_PORT)  AIRFLOW_PORT=$(AIRFLOW_PORT)'

setup: .local/setup.stamp ## install everything the other commands need; they call it themselves

lint: .local/venv.stamp ## style, types and the architecture's import rules
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy $(CHECKED)
	PYTHONPATH=plugins .venv/bin/lint-imports

test: setup ## the whole test suite
	$(RUN) -m pytest

verify: setup .local/sagemaker-sdk.stamp .local/airflow-3.2.stamp .local/postgres.stamp ## everything, the slow matrices too; needs a Python 3.12 on PATH
	$(RUN) -m pytest -m "" --coverage-page=write --report=docs/verified.md --faults=docs/job-faults.md \
		--astro=docs/astro-matrix.md

coverage: setup .local/sagemaker-sdk.stamp ## write localcloud/COVERAGE.md after running the tests that it names
	$(RUN) -m pytest -m "" --coverage-page=prove tests/contract

requests: .local/sagemaker-sdk.stamp ## compile every model's job requests from its model.yaml; commit what it writes
	PYTHONPATH="$(CURDIR)" .local/sagemaker-sdk/bin/python envs/sagemaker-sdk/compile_requests.py

wheels: .local/venv.stamp ## the Astro SDK's wheel with corrected limits, for plain pip, into dist/
	$(RUN) -m deploy.wheels.build

demo: setup ## the pipeline on four real months, verified; nothing is left running
	@$(RUN) -m deploy.laptop.demo --cloud-port $(CLOUD_PORT) --airflow-port $(AIRFLOW_PORT)

up: setup ## the local cloud and Airflow with its pages, until Ctrl-C or `make down`
	@$(RUN) -m deploy.laptop.up --cloud-port $(CLOUD_PORT) --airflow-port $(AIRFLOW_PORT)

down: .local/venv.stamp ## end what `make up` runs
	@$(RUN) -m deploy.laptop.down

cloud: .local/venv.stamp ## the local cloud alone, until Ctrl-C
	LOCALCLOUD_ENVIRONMENTS=.local/environments .venv/bin/localcloud up --root .local/cloud --port $(CLOUD_PORT) \
		--seed deploy/laptop/seed.yaml

# The files below say what was done for which inputs, so that a second call has nothing to do.

.local/uv/bin/uv:
	$(CHECK_PYTHON)
	$(PYTHON) -m venv .local/uv
	.local/uv/bin/python -m pip install --quiet --disable-pip-version-check uv

.local/venv.stamp: pyproject.toml uv.lock localcloud/pyproject.toml | $(UV)
	$(CHECK_PYTHON)
	@mkdir -p .local
	@date +%s > .local/setup.started
	$(UV) sync --frozen --compile-bytecode --quiet --python "$$(command -v $(PYTHON))"
	@touch $@

# The SageMaker Python SDK's own environment: it cannot share the project's.
.local/sagemaker-sdk.stamp: envs/sagemaker-sdk/pyproject.toml envs/sagemaker-sdk/uv.lock | .local/venv.stamp
	UV_PROJECT_ENVIRONMENT="$(CURDIR)/.local/sagemaker-sdk" $(UV) sync --frozen --compile-bytecode --quiet \
		--project envs/sagemaker-sdk --python "$$(command -v $(PYTHON))"
	@touch $@

# The other Airflow that the faults of remote jobs are proven on, in the versions of Amazon MWAA's image.
.local/airflow-3.2.stamp: envs/airflow-3.2/requirements.txt | .local/venv.stamp
	$(UV) venv --quiet --clear --python 3.12 .local/airflow-3.2
	$(UV) pip sync --quiet --compile-bytecode --python .local/airflow-3.2/bin/python envs/airflow-3.2/requirements.txt
	@touch $@

# A Postgres for the tests that need several schedulers; it has no wheel for every Python that the project runs on.
.local/postgres.stamp: pyproject.toml uv.lock | .local/venv.stamp
	$(UV) sync --frozen --compile-bytecode --quiet --group postgres --python "$$(command -v $(PYTHON))"
	@touch $@

# The jobs' environments, so that no job has to wait for its own.
.local/setup.stamp: .local/venv.stamp $(JOB_INPUTS)
	@test -e .local/setup.started || date +%s > .local/setup.started
	$(RUN) -m deploy.laptop.warm
	@echo $$(( $$(date +%s) - $$(cat .local/setup.started) )) > .local/setup-seconds
	@rm -f .local/setup.started
	@touch $@
