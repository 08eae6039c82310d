# The front door. `make demo` and `make test` work as the first command on a machine
# with Python 3.11 and make: they build .venv from requirements.lock themselves.

SHELL := /bin/bash
.DEFAULT_GOAL := help

DATA ?=
SHARDS ?= data/shards/phantom
RUN ?= runs/train/default
SERVER ?= 127.0.0.1:8500
SCAN ?=
VERSION ?=
SUBJECTS ?= 250
MIX ?=
PRESET ?=
TEST ?=
ARGS ?=
SYSTEM_PYTHON ?= python3.11
LOCK ?= requirements.lock
STAMP := .venv/$(notdir $(LOCK)).ready

# Where RUN= is not given, what reads a run takes the newest finished one.
NAMED_RUN = $(if $(filter-out file,$(origin RUN)),--run "$(RUN)")

# `make train PYTHON=python3` uses that interpreter and builds no environment.
ifdef PYTHON
READY :=
CLI := $(dir $(shell command -v $(PYTHON)))mri-contrast
else
PYTHON := .venv/bin/python
READY := $(STAMP)
CLI := .venv/bin/mri-contrast
endif

.PHONY: help setup demo phantom shards verify describe train predict evaluate explain experiments \
  tune dashboard winner publish-winner k8s publish promote rollback versions verify-models prune \
  canary image image-train release-model \
  serve identify bench peers soak profile test fuzz lint clean

help: ## List the commands
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Build .venv from requirements.lock, or from LOCK=requirements-gpu.lock

$(STAMP): $(LOCK) serving/client/pyproject.toml
	@command -v $(SYSTEM_PYTHON) >/dev/null || { echo "error: $(SYSTEM_PYTHON) is not installed; install Python 3.11, or name it: make setup SYSTEM_PYTHON=/path/to/python3.11" >&2; exit 2; }
	@echo "building .venv: about 2 minutes and 3 GB, once"
	@$(SYSTEM_PYTHON) -m venv .venv || { echo "error: no virtual environment could be made; on Debian: apt-get install python3.11-venv" >&2; exit 2; }
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable serving/client
	@touch $@

demo: $(READY) ## All of it in ten minutes: simulate, train, evaluate, serve, identify
	@MRI_PYTHON=$(PYTHON) bash serving/demo.sh

phantom: $(READY) ## Write simulated scans as NIfTI, to look at
	$(PYTHON) -m pipeline.phantom $(ARGS)

shards: $(READY) ## Turn scans into shards: DATA= (MIX=0.25 adds `other`), or SUBJECTS= simulated
	$(PYTHON) -m pipeline.shards --out "$(SHARDS)" $(if $(DATA),--data "$(DATA)")$(if $(DATA)$(MIX),,--phantom $(SUBJECTS)) $(if $(MIX),--mix-other $(MIX)) $(ARGS)

verify: $(READY) ## Check every byte and record of SHARDS=
	@$(PYTHON) -m pipeline.shards verify --shards "$(SHARDS)" $(ARGS)

describe: $(READY) ## Tell what SHARDS= hold; ARGS="--sheet sheet.png" shows it
	@$(PYTHON) -m pipeline.shards describe --shards "$(SHARDS)" $(ARGS)

train: $(READY) ## Train on SHARDS= into RUN=, by PRESET= (a name or a .json file) where given
	$(PYTHON) -m pipeline.train $(if $(PRESET),--preset "$(PRESET)") --shards "$(SHARDS)" --run "$(RUN)" $(ARGS)

evaluate: $(READY) ## Measure RUN= (the newest, or the released model) and MRI_REAL_DATA; writes report.html
	$(PYTHON) -m pipeline.evaluate $(NAMED_RUN) $(if $(filter-out file,$(origin SHARDS)),--shards "$(SHARDS)") $(ARGS)

explain: $(READY) ## One page about SCAN=: slices, probabilities, where RUN= looked; explain.png
	@test -n "$(SCAN)" || { echo "error: no scan named; make explain SCAN=upload.nii.gz" >&2; exit 2; }
	@$(PYTHON) -m pipeline.explain --scan "$(SCAN)" $(NAMED_RUN) $(ARGS)

experiments: $(READY) ## Compare the study's networks with ours: SHARDS= to train on, TEST= shards to test on
	@test -n "$(TEST)" || { echo "error: no test shards named; make experiments TEST=data/shards/sealed" >&2; exit 2; }
	$(PYTHON) -m pipeline.experiments --shards "$(SHARDS)" --test "$(TEST)" $(ARGS)

predict: $(READY) ## Identify SCAN= in process: by RUN=, the newest run or the released model
	@test -n "$(SCAN)" || { echo "error: no scan named; make predict SCAN=upload.nii.gz" >&2; exit 2; }
	@$(PYTHON) -m pipeline.predict --scan "$(SCAN)" $(NAMED_RUN) $(ARGS)

# Of these, only what make itself is told counts: other programs use the variables too.
NAME :=
TRIALS :=
WORKERS :=

tune: $(READY) ## Search networks and training on SHARDS=: TRIALS=, by WORKERS= processes, under NAME=
	$(PYTHON) -m tuner.search $(if $(NAME),--name "$(NAME)") --shards "$(SHARDS)" $(if $(TRIALS),--trials $(TRIALS)) $(if $(WORKERS),--workers $(WORKERS)) $(ARGS)

winner: $(READY) ## Train the winner of search NAME= anew and compare it: default, stable
	$(PYTHON) -m tuner.retrain $(if $(NAME),--name "$(NAME)") $(ARGS)

publish-winner: $(READY) ## From winner.json of NAME= to a published version and its image
	$(PYTHON) -m tuner.publish $(if $(NAME),--name "$(NAME)") $(ARGS)

dashboard: $(READY) ## Show search NAME= (or the newest) while it runs: its page and TensorBoard, on loopback
	@$(PYTHON) -m tuner.dashboard $(if $(NAME),--name "$(NAME)") $(ARGS)

OVERLAY ?=
IMAGE ?=
CANARY_IMAGE ?=
ENVOY_IMAGE ?=
GATEWAY_CLASS ?=

k8s: ## Render manifests: all into build/k8s, or OVERLAY= with IMAGE= by digest
	@command -v kubectl >/dev/null || { echo "error: kubectl is not installed; python3.11 .ci/install-kubectl build/tools unpacks one" >&2; exit 2; }
	@$(SYSTEM_PYTHON) k8s/render.py $(if $(OVERLAY),"$(OVERLAY)") $(if $(IMAGE),--image "$(IMAGE)") $(if $(CANARY_IMAGE),--canary-image "$(CANARY_IMAGE)") $(if $(ENVOY_IMAGE),--envoy-image "$(ENVOY_IMAGE)") $(if $(GATEWAY_CLASS),--gateway-class "$(GATEWAY_CLASS)")

publish: $(READY) ## Export RUN= (or the newest) into the registry, if it is no worse than stable
	$(PYTHON) -m serving.export $(NAMED_RUN) $(ARGS)

promote: $(READY) ## Make VERSION= the stable one
	@test -n "$(VERSION)" || { echo "error: no version named; make promote VERSION=2 (make versions lists them)" >&2; exit 2; }
	$(PYTHON) -m serving.registry promote --version $(VERSION) $(ARGS)

versions: $(READY) ## List the published versions with their figures
	@$(PYTHON) -m serving.registry list $(ARGS)

rollback: $(READY) ## Make the version before it stable again
	$(PYTHON) -m serving.registry rollback $(ARGS)

verify-models: $(READY) ## Check every byte of the published versions
	@$(PYTHON) -m serving.registry verify $(ARGS)

prune: $(READY) ## Remove old versions: ARGS="--keep 5"; none with a label, none that a rollback needs
	$(PYTHON) -m serving.registry prune $(ARGS)

canary: $(READY) ## Ask canary beside stable about SCAN= (or simulated ones), say whether to promote; SERVER=
	$(PYTHON) -m serving.canary $(if $(SCAN),"$(SCAN)") $(if $(filter-out file,$(origin SERVER)),--server $(SERVER)) $(ARGS)

image: $(READY) ## Build the container image of VERSION=, by Docker, Podman or Buildah
	@test -n "$(VERSION)" || { echo "error: no version named; make image VERSION=2 (make versions lists them)" >&2; exit 2; }
	$(PYTHON) -m serving.image --version $(VERSION) $(ARGS)

image-train: $(READY) ## Build the image that trains; ARGS="--lock requirements-gpu.lock" for GPUs
	$(PYTHON) -m serving.image_train $(ARGS)

release-model: $(READY) ## Copy VERSION= into serving/released, for every checkout
	@test -n "$(VERSION)" || { echo "error: no version named; make release-model VERSION=2 (make versions lists them)" >&2; exit 2; }
	$(PYTHON) -m serving.release --version $(VERSION) $(ARGS)

# What is served until something is published; a server that runs does not change over.
RELEASED := serving/released/mri_contrast

serve: $(READY) ## Serve the registry, or the released model, on 127.0.0.1: gRPC 8500, REST 8501
	@if [ -f models/models.config ] || [ ! -d $(RELEASED) ]; then \
	  set -- --model_config_file models/models.config --model_config_file_poll_wait_seconds 1 \
	    --allow_version_labels_for_unavailable_models; \
	else \
	  echo "nothing is published: serving the released model, $$(echo $(RELEASED)/*); after make publish start make serve again"; \
	  set -- --model_base_path $(RELEASED) --model_name mri_contrast; \
	fi; \
	exec $(PYTHON) -m serving.server "$$@" --port 8500 --rest_api_port 8501 $(ARGS)

identify: $(READY) ## Ask SERVER= for the contrast of SCAN=
	@test -n "$(SCAN)" || { echo "error: no scan named; make identify SCAN=upload.nii.gz" >&2; exit 2; }
	@$(CLI) identify "$(SCAN)" --server $(SERVER) $(ARGS)

bench: $(READY) ## Measure speed and memory against peers, the study and limits: bench/results.json
	@$(MAKE) --no-print-directory --silent --keep-going peers || echo "warning: not all peers are there: their rows will say so" >&2
	$(PYTHON) -m bench $(ARGS)

peers: .venv-peers/ready .venv-servers/ready ## Build .venv-peers and .venv-servers: other loaders and servers, TensorBoard's profiler

.venv-servers/ready: bench/servers.lock
	@command -v $(SYSTEM_PYTHON) >/dev/null || { echo "error: $(SYSTEM_PYTHON) is not installed; install Python 3.11, or name it: make peers SYSTEM_PYTHON=/path/to/python3.11" >&2; exit 2; }
	@echo "building .venv-servers: about 2 minutes and 3 GB, once"
	@$(SYSTEM_PYTHON) -m venv .venv-servers
	.venv-servers/bin/python -m pip install --quiet --disable-pip-version-check -r bench/servers.lock
	@touch $@

.venv-peers/ready: bench/peers.lock
	@command -v $(SYSTEM_PYTHON) >/dev/null || { echo "error: $(SYSTEM_PYTHON) is not installed; install Python 3.11, or name it: make peers SYSTEM_PYTHON=/path/to/python3.11" >&2; exit 2; }
	@echo "building .venv-peers: about 2 minutes and 2 GB, once"
	@$(SYSTEM_PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -r bench/peers.lock
	@touch $@

MINUTES ?= 30

soak: $(READY) ## Load a server for MINUTES= while versions come and go: data/bench/soak.json
	$(PYTHON) -m bench.soak --minutes $(MINUTES) $(ARGS)

profile: $(READY) ## Trace training steps on SHARDS= (or simulated ones) for TensorBoard
	@$(MAKE) --no-print-directory --silent .venv-peers/ready || echo "warning: no profiler for TensorBoard to show the trace with" >&2
	$(PYTHON) -m bench.profile $(if $(filter-out file,$(origin SHARDS)),--shards "$(SHARDS)") $(ARGS)

test: $(READY) ## Run all tests
	@$(PYTHON) -m pytest -n 2 --dist loadfile $(ARGS)
	@[ -n "$$CI" ] || echo "all tests passed; next: make demo, or make help"

SECONDS ?= 600

fuzz: .venv-fuzz/ready ## Fuzz the client's readers for SECONDS=, guided by coverage; build/fuzz
	PYTHONPATH=serving/client .venv-fuzz/bin/python -m tests.fuzz --seconds $(SECONDS) $(ARGS)

.venv-fuzz/ready: tests/fuzz/fuzz.lock
	@command -v $(SYSTEM_PYTHON) >/dev/null || { echo "error: $(SYSTEM_PYTHON) is not installed; install Python 3.11, or name it: make fuzz SYSTEM_PYTHON=/path/to/python3.11" >&2; exit 2; }
	@echo "building .venv-fuzz: about 1 minute and 200 MB, once"
	@$(SYSTEM_PYTHON) -m venv .venv-fuzz
	.venv-fuzz/bin/python -m pip install --quiet --disable-pip-version-check -r tests/fuzz/fuzz.lock
	@touch $@

lint: $(READY) ## Check format, style and types
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy

clean: ## Remove caches and what make bench and make demo made; runs and models stay
	rm -rf build data/bench data/demo data/shards/demo runs/train/demo .pytest_cache .mypy_cache .ruff_cache .hypothesis "$${XDG_CACHE_HOME:-$$HOME/.cache}/mri-contrast"
