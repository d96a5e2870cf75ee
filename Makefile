# make demo         run the main job              make lint     ruff, mypy and codespell
# make test         run the quick tests           make package  build the wheel and try it alone
# make test-all     run these, then the slow ones make clean    remove all that is built
# make test-newest  run the quick tests with the newest versions of all that bayou uses
# make docs         build the documentation into build/docs/html, running the code in it
#
# Each sets up .venv first, once: from the Python found here and the versions in constraints.txt.

VENV := .venv
READY := $(VENV)/.ready

# The first of these that runs and is new enough is used. Asking one to run is the only sure sign:
# a version manager leaves names on the path for versions that it does not have.
PINNED := python$(shell cat .python-version)
PYTHONS := $(PINNED) $(filter-out $(PINNED), python3.13 python3.12 python3.14 python3 python)
NEW_ENOUGH := import sys; sys.exit(not (3, 12) <= sys.version_info < (3, 15))

.PHONY: demo test test-all test-newest docs lint package clean

demo: $(READY)
	$(VENV)/bin/python examples/late_flights.py

# A file is run by one process, so that what its tests share is built once.
PYTEST := $(VENV)/bin/python -m pytest -n 2 --dist loadfile

test: $(READY)
	$(PYTEST) -m "not slow"

test-all: test
	$(PYTEST) -m slow tests

lint: $(READY)
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/codespell

# What users get: the wheel of the sdist, in an environment without extras and tools.
ALONE := .venv-package

package: $(READY)
	rm -rf dist $(ALONE)
	$(VENV)/bin/python -m build
	$(VENV)/bin/twine check --strict dist/*
	$(VENV)/bin/python -m venv $(ALONE)
	$(ALONE)/bin/python -m pip install --quiet --disable-pip-version-check \
	    --constraint constraints.txt dist/*.whl
	cd $(ALONE) && bin/python -I ../tests/use_wheel.py

NEWEST := .venv-newest

# Old names warn in new versions, which is no fault yet.
test-newest: $(READY)
	rm -rf $(NEWEST)
	$(VENV)/bin/python -m venv $(NEWEST)
	$(NEWEST)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade \
	    --upgrade-strategy eager --editable '.[dev]'
	sort -f constraints.txt > $(NEWEST)/pinned.txt
	$(NEWEST)/bin/python -m pip freeze --exclude-editable | sort -f | diff $(NEWEST)/pinned.txt - || true
	$(NEWEST)/bin/python -m pytest -n 2 --dist loadfile -m "not slow" -W default

# A broken reference, a warning or an error in the code of a page fails the build. To run the code of
# changed pages alone: NB_EXECUTION=cache make docs
docs: $(VENV)/.docs
	rm -rf build/docs/html build/docs/doctrees docs/gallery docs/reference/generated
	$(VENV)/bin/python -m sphinx -b html -d build/docs/doctrees -j 2 -n -W --keep-going --quiet \
	    docs build/docs/html
	$(VENV)/bin/python docs/check_site.py build/docs/html

clean:
	rm -rf $(VENV) $(ALONE) $(NEWEST) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt
	@for candidate in $(PYTHONS); do \
	    if $$candidate -c '$(NEW_ENOUGH)' 2>/dev/null; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	    echo "bayou needs Python 3.12, 3.13 or 3.14, and none of these runs and is one: $(PYTHONS)" >&2; \
	    echo "Hint: install Python $$(cat .python-version), put it on the PATH and run this again." >&2; \
	    exit 1; \
	fi; \
	echo "Setting up $(VENV) with $$($$python --version), once. It takes a few minutes."; \
	if ! $$python -m venv $(VENV); then \
	    echo "bayou needs a Python that can make virtual environments, and $$python cannot." >&2; \
	    echo "Hint: install its venv and ensurepip (on Debian and Ubuntu: apt install python3-venv)." >&2; \
	    exit 1; \
	fi
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
	    --constraint constraints.txt --editable '.[dev]'
	@touch $@

$(VENV)/.docs: $(READY)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
	    --constraint constraints.txt --editable '.[docs]'
	@touch $@
