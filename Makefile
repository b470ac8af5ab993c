# Egret's commands. `make demo` and `make test` are all a newcomer needs; both set everything up.
# Nothing is installed outside this folder: Python packages go to .venv/, Consul to .tools/.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
LOCKS  := requirements-build.lock requirements.lock requirements-dev.lock
# --no-deps and hashes: exactly the locked files, nothing else. --no-build-isolation: pymesos is a
# source archive of pure Python; it is built with the setuptools locked above, and no compiler.
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --quiet --no-deps --no-build-isolation
LOCKED := $(PIP) --require-hashes -r

.DEFAULT_GOAL := help
.PHONY: help setup tools tools-consul-go demo test bench lint format sim chaos locks clean

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
