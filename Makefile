# `make demo` and `make test` are all a newcomer needs; each does its own set-up.
SHELL := /bin/bash
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export DVC_NO_ANALYTICS := 1

.DEFAULT_GOAL := help

.PHONY: help
help: ## show this
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

.PHONY: setup
setup: ## make .venv from the lock and check system libraries
	@scripts/setup

.PHONY: demo
demo: setup ## run the experiment in params.yaml (the quickstart) through the whole DAG
	@snakemake --cores all --quiet rules host
	@cdred show

.PHONY: repro
repro: setup ## the same by DVC
	@dvc repro
	@cdred show

.PHONY: test
test: setup ## the test suite (under 15 minutes on 2 cores)
	@python -m pytest -m "not slow"

.PHONY: test-all
test-all: setup ## the test suite with its slow part
	@python -m pytest

.PHONY: lint
lint: setup ## formatting, types and the workflow's lint
	@ruff check . && ruff format --check . && mypy && snakefmt --check Snakefile workflow
	@snakemake --lint

.PHONY: lock
lock: ## resolve requirements.lock again (needs uv)
	uv pip compile --python-version 3.11 --override overrides.txt --generate-hashes \
	  --no-emit-index-url --no-header --all-extras --quiet pyproject.toml -o requirements.lock

.PHONY: clean
clean: ## remove what runs leave beside results (keeps artifacts, reports and .venv)
	rm -rf .cdred .snakemake logs
