# `make demo` and `make test` are all a newcomer needs; each does its own set-up.
SHELL := /bin/bash
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export DVC_NO_ANALYTICS := 1

# Tests start engines and stages of their own: three of them at a time, a file's in one process, in
# the order of tests/conftest.py. On two quiet cores three took 18 minutes where two took 22.
PARALLEL := --numprocesses 3 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help

.PHONY: help
help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { name[++n] = $$1; text[n] = $$2; l = length($$1); if (l > w) w = l } \
	  END { for (k = 1; k <= n; k++) printf "%-*s  %s\n", w, name[k], text[k] }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## make .venv from the lock and check system libraries
	@scripts/setup

.PHONY: demo
demo: setup ## run the experiment in params.yaml (the quickstart) through the whole DAG
	@cdred demo

.PHONY: repro
repro: setup ## the same by DVC
	@dvc repro
	@cdred show

.PHONY: test
test: setup ## the test suite (15 to 20 minutes on 2 cores)
	@python -m pytest -m "not slow and not container and not slurm" $(PARALLEL)

.PHONY: test-all
test-all: setup ## the test suite with its slow part
	@python -m pytest -m "not container and not slurm" $(PARALLEL)

.PHONY: coverage
coverage: setup ## make test, with the share of lines that it runs
	@python -m pytest -m "not slow and not container and not slurm" $(PARALLEL) --cov --cov-report=term

.PHONY: test-container
test-container: setup ## what needs Apptainer and cdred.sif, and the suite inside the image
	@scripts/test-container

.PHONY: test-slurm
test-slurm: cluster ## what needs a Slurm cluster (20 minutes)
	@scripts/test-slurm

.PHONY: test-cuda
test-cuda: ## is this machine's GPU fit, and how fast is it? (nine minutes; works offline)
	@scripts/test-cuda

.PHONY: lint
lint: setup ## formatting, types, layers and the workflow's lint
	@ruff check . && ruff format --check . && mypy && lint-imports && snakefmt --check Snakefile workflow
	@snakemake --lint

.PHONY: cluster
cluster: setup ## make .venv-cluster, from which Snakemake submits jobs (docs/clusters.md)
	@scripts/cluster

.PHONY: docs
docs: setup ## write again all of docs/ that comes from code, results and finished artifacts
	@scripts/docs

.PHONY: site
site: setup ## build the documentation as a site: build/site/index.html
	@scripts/site

.PHONY: lock
lock: ## resolve the locks of .venv, .venv-cluster and .venv-docs again (needs uv)
	uv pip compile --universal --python-version 3.11 --override overrides.txt --generate-hashes \
	  --no-emit-index-url --no-header --all-extras --quiet pyproject.toml -o requirements.lock
	uv pip compile --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --group cluster --quiet -o requirements-cluster.lock
	uv pip compile --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --group docs --quiet -o requirements-docs.lock

.PHONY: image
image: ## build the container image with docker, podman or buildah (docs/image.md)
	@scripts/image build

.PHONY: sif
sif: ## make cdred.sif of it, for snakemake --use-singularity
	@scripts/image sif

.PHONY: base-digest
base-digest: ## print the digest by which to pin the image's base
	@scripts/image base-digest

.PHONY: mlflow
mlflow: setup ## open MLflow's interface on what was tracked (http://127.0.0.1:5000)
	@scripts/mlflow

.PHONY: clean
clean: setup ## remove what killed runs left and nothing needs; says what and how much
	@cdred clean
