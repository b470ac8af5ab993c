# Egret's commands. `make demo` and `make test` are all a newcomer needs; both set everything up.
# Nothing is installed outside this folder: Python packages go to .venv/, Consul to .tools/.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
LOCKS  := requirements-build.lock requirements.lock requirements-dev.lock
# --no-deps and hashes: exactly the locked files, nothing else. --no-build-isolation: pymesos is a
# source archive of pure Python; it is built with the setuptools locked above, and no compiler.
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --quiet --no-deps --no-build-isolation
LOCKED := $(PIP) --use-pep517 --require-hashes -r
# How deep the deep targets go; .ci/run asks for less than the defaults here.
SEEDS  ?= 20000
ROUNDS ?= 100

.DEFAULT_GOAL := help
.PHONY: help setup tools tools-consul-go demo test bench bench-quick lint format sim chaos clients openapi protos locks clean

help: ## Show this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 18

setup: $(VENV)/.setup-done ## Make .venv with everything that running and testing needs.

$(VENV)/.setup-done: $(LOCKS) pyproject.toml requirements.in $(shell find deploy/http-parser/src deploy/http-parser/pyproject.toml -name '*.py' -o -name '*.toml')
	@echo "setup: Python environment in $(VENV)/ ($$($(PYTHON) --version))"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "setup: Egret needs Python 3.11 or newer; name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) \
		|| { echo "setup: 'python3 -m venv' failed; on Debian: apt-get install python3-venv" >&2; rm -rf $(VENV); exit 1; }
	@echo "setup: 1/4 build tool"
	@$(LOCKED) requirements-build.lock
	@echo "setup: 2/4 http-parser (our own, stands in for a C extension that no longer builds)"
	@$(PIP) --force-reinstall ./deploy/http-parser
	@echo "setup: 3/4 locked packages, to run and to test (a minute the first time)"
	@$(LOCKED) requirements.lock
	@$(LOCKED) requirements-dev.lock
	@echo "setup: 4/4 egret itself, editable"
	@$(PIP) --editable .
	@$(BIN)/python -m pip --disable-pip-version-check check --quiet || $(BIN)/python -m pip check
	@touch $@
	@echo "setup: done, the command is $(BIN)/egret"

tools: ## Provide Consul in .tools/ (the one on PATH, else Debian's package).
	@deploy/tools/consul.sh

tools-consul-go: ## Build a newer Consul from source (needs Go, takes minutes).
	@deploy/tools/consul-go.sh

# Without Consul the demo runs all the same and says so.
demo: setup ## Start an embedded cluster with the example apps; Ctrl-C ends it.
	@deploy/tools/consul.sh || true
	@$(BIN)/egret local --agents 3 docs/examples/hello.json docs/examples/shop.json

# loadgroup: tests that cannot run beside each other carry @pytest.mark.xdist_group.
test: setup tools ## Run the whole test suite (more: make test PYTEST="-k store").
	@$(BIN)/python -m pytest -n 2 --dist loadgroup $(PYTEST)

bench: setup tools ## Print the benchmarks as JSON lines.
	@$(BIN)/python -m tests.perf

bench-quick: setup ## See in seconds that the benchmarks work.
	@$(BIN)/python -m tests.perf --quick

sim: setup ## Run SEEDS seeds of the deterministic simulation.
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS)

clients: setup ## Run other people's Marathon clients and the schema fuzzer against Egret.
	@deploy/tools/clients.sh
	@EGRET_CLIENTS_REQUIRED=1 $(BIN)/python -m pytest tests/clients

chaos: setup tools ## Kill the scheduler ROUNDS times under load on the embedded cluster.
	@$(BIN)/python -m tests.chaos --rounds $(ROUNDS)

lint: $(VENV)/.lint-done ## Check style, spelling and types.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/codespell
	$(BIN)/basedpyright

$(VENV)/.lint-done: requirements-lint.lock $(VENV)/.setup-done
	@echo "setup: locked packages to lint"
	@$(LOCKED) requirements-lint.lock
	@touch $@

format: $(VENV)/.lint-done ## Format the code and sort its imports.
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

openapi: setup ## Write docs/openapi.json from the types that decode and the route table.
	@$(BIN)/python -c "import sys; from scheduler.api.openapi import as_text; \
		sys.stdout.buffer.write(as_text())" > docs/openapi.json

protos: setup ## Generate the Python code of the stored records from protos/.
	$(BIN)/python -m grpc_tools.protoc -I protos --python_out=scheduler/store --pyi_out=scheduler/store \
		protos/store.proto

# Needs uv, on PATH or named: make locks UV=/path/to/uv. Only those who change dependencies run it.
UV ?= uv
locks: ## Pin the .in files again, with hashes, for every Python we support.
	@for kind in -build "" -dev -lint; do \
		$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes $(LOCK_FLAGS) \
			--no-emit-package http-parser --no-emit-index-url --custom-compile-command "make locks" \
			requirements$$kind.in --output-file requirements$$kind.lock || exit 1; \
	done
	@cd tests/clients && for kind in python fuzz; do \
		$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes $(LOCK_FLAGS) \
			--no-emit-index-url --custom-compile-command "make locks" \
			$$kind.in --output-file $$kind.lock || exit 1; \
	done
	cd tests/clients && npm install --package-lock-only --omit-lockfile-registry-resolved --silent

clean: ## Remove everything that make has made.
	rm -rf $(VENV) .tools .coverage .hypothesis .pytest_cache .ruff_cache build *.egg-info \
		deploy/http-parser/build deploy/http-parser/src/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
