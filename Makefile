# Everything a newcomer types. Each target sets up what it needs; nothing outside this folder is written
# except packages that the roles install and the namespaces of the default lab.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INVENTORY ?= lab
# More options for the playbook of `make bench`, like OPTIONS="-e pairbench_blocks=1".
OPTIONS ?=
# What runs the integration tests; `.ci/run` has a program that tries failed ones once more.
INTEGRATION_PYTEST ?= $(BIN)/pytest
# Namespaces and the tracer need root.
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
# Without it the default lab is measured untraced, in a user namespace, as a sweep of another name.
ROOTLESS = $$([ "$(INVENTORY)" != lab ] || [ "$$(id -u)" = 0 ] || sudo -n true 2>/dev/null || echo rootless)

.PHONY: venv tools bench test test-unit test-integration test-slow lint audit docs wheel molecule execution-environment clean

venv: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml tools/link_collection.py
	@$(PYTHON) -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { \
	    echo "$(PYTHON) is older than 3.10 or has no venv: install the package python3-venv (an administrator can)," \
	        "or name another one with make PYTHON=/path/to/python3" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check \
	    'ansible-core>=2.17,<2.22' 'ansible-runner>=2.4' 'jinja2>=3.1' 'pandas>=2.1' 'scipy>=1.11' \
	    'pytest>=8' 'hypothesis>=6.100' 'ruff>=0.6,<0.18' 'mypy>=1.11' pandas-stubs scipy-stubs types-PyYAML build \
	    'bandit[toml]>=1.8' 'pip-audit>=2.7'
	$(PYTHON) tools/link_collection.py $(BIN)
	touch $@

bench: venv
	. $(BIN)/activate && if [ -n "$(ROOTLESS)" ]; then \
	    pairbench rootless ansible-playbook bench.yml -i $(INVENTORY) -e pairbench_sweep=rootless $(OPTIONS); \
	else ansible-playbook bench.yml -i $(INVENTORY) $(OPTIONS); fi

# The tools on this machine itself, through the same roles; the tests run them in namespaces.
tools: venv
	. $(BIN)/activate && $(SUDO) $(BIN)/ansible-playbook \
	    pairbench.lab.install -i localhost, -c local -e ansible_python_interpreter=/usr/bin/python3

test: test-unit test-integration

test-unit: venv
	$(BIN)/pytest tests/unit

test-integration: tools
	$(SUDO) $(INTEGRATION_PYTEST) tests/integration -m 'not slow'

test-slow: tools
	$(SUDO) $(INTEGRATION_PYTEST) tests/integration -m slow

lint: venv
	$(BIN)/ruff check .
	$(BIN)/mypy plugins/plugin_utils
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive plugins tools benchmarks
	$(BIN)/python tools/audit.py --where-it-can

# Known vulnerabilities of everything that is installed for the project. Needs a service on the internet.
audit: venv
	$(BIN)/python tools/audit.py

docs: venv
	$(BIN)/python tools/make_variables_page.py

wheel: venv
	$(BIN)/python -m build --wheel

# Molecule's scenarios under extensions/molecule; each makes its hosts and removes them. What failed is said once more at
# the end, below what removing the hosts prints.
SCENARIOS := default debian12 debian13 debian11 sid vm

molecule: tools
	$(BIN)/pip install --quiet --disable-pip-version-check 'molecule>=25.1'
	. $(BIN)/activate && cd extensions && for scenario in $(SCENARIOS); do \
	    log=$$(mktemp); \
	    if { $(SUDO) env PATH="$$PATH" molecule test --scenario-name $$scenario 2>&1; echo $$? >$$log.status; } | \
	        tee $$log && [ "$$(cat $$log.status)" = 0 ]; then rm $$log $$log.status; continue; fi; \
	    grep -A 25 -E 'fatal:|ERROR' $$log | head -n 80; rm $$log $$log.status; exit 1; done

execution-environment: wheel
	$(BIN)/pip install --quiet --disable-pip-version-check 'ansible-builder>=3.1'
	$(BIN)/ansible-builder create -f execution-environment.yml -c context

clean:
	rm -rf $(VENV) dist build context
