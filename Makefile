# python3 (3.11 or newer, with venv) and make are all that is needed: `make demo`, `make test`.
# Another interpreter: make demo PYTHON=python3.12. Options of a command: make demo ARGS="--for 30s --json".

PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
PEERS := .venv-bench
SITE := .venv-docs

# --no-deps: the lock files are complete, so that nothing needs resolving. --no-compile: Python compiles what it
# imports; compiling all packages would cost 10 s of the first demo.
PIP := -m pip --disable-pip-version-check --no-input install --quiet --no-compile --no-deps
PROJECT := pyproject.toml requirements/run.txt

.PHONY: demo test install check format bench faults scenario docs wheel lock clean

demo: $(VENV)/run.stamp
	@$(BIN)/larder demo $(ARGS)

# What the command needs, for services of one's own: .venv/bin/larder
install: $(VENV)/run.stamp

# Three at a time on two cores: a test with workers waits for nearly half of its time.
test: $(VENV)/dev.stamp
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

# The tests of one line of docs/design/scenarios.md: make scenario S=4.2
scenario: $(VENV)/dev.stamp
	@test -n "$(S)" || { echo 'larder: which scenario? For instance: make scenario S=4.2' >&2; exit 2; }
	@$(BIN)/python -m pytest --scenario "$(S)" $(ARGS)

# Three workers, a broker and faults, chosen by one seed each: make faults SEEDS=1-10. Goes on where it was stopped.
# BREAK=no-fence runs them on code that is broken on purpose (tests/faults/breaks).
SEEDS ?= 1-10
faults: $(VENV)/dev.stamp
	@$(BIN)/python -m tests.faults $(SEEDS) $(BREAK)

check: $(VENV)/dev.stamp
	@$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet . && $(BIN)/mypy && $(BIN)/lint-imports

format: $(VENV)/dev.stamp
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

bench: $(VENV)/run.stamp $(PEERS)/stamp
	@$(BIN)/larder bench $(ARGS)

# The documentation as a site: build/site/index.html.
docs: $(SITE)/stamp
	@NO_MKDOCS_2_WARNING=1 $(SITE)/bin/mkdocs build --quiet --strict --config-file website/mkdocs.yml

# What users install: dist/larder_streams-*.whl.
wheel: $(VENV)/run.stamp
	@rm -rf build/lib dist
	@$(BIN)/python -m pip --disable-pip-version-check wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	@ls dist

# Written for all supported Pythons at once, with hashes and without the name of any registry.
LOCK = $(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(LOCK_ARGS)
lock:
	@$(PYTHON) -m venv $(VENV)-lock && $(VENV)-lock/bin/python -m pip install --quiet 'uv>=0.8,<0.14' >&2
	@$(LOCK) pyproject.toml requirements/build.in --extra broker -o requirements/run.txt
	@$(LOCK) pyproject.toml requirements/build.in --extra broker --extra dev -c requirements/run.txt -o requirements/dev.txt
	@test ! -e requirements/bench.in || $(LOCK) requirements/bench.in -o requirements/bench.txt
	@$(LOCK) requirements/docs.in -o requirements/docs.txt

clean:
	rm -rf $(VENV) $(VENV)-lock $(PEERS) $(SITE) dist *.egg-info

define CHECKED_PYTHON
import sys
name = "%s is Python %d.%d" % ((sys.executable,) + tuple(sys.version_info[:2]))
if sys.version_info < (3, 11):
    sys.exit("larder: needs Python 3.11 or newer; %s; name another one: make PYTHON=python3.12 ..." % name)
try:
    import ensurepip, venv
except ImportError:
    sys.exit("larder: needs the module venv; %s and has none; install it (Debian, Ubuntu: python3-venv)" % name)
endef
export CHECKED_PYTHON

$(VENV)/made.stamp:
	@command -v $(PYTHON) >/dev/null || { echo 'larder: needs Python 3.11 or newer; there is no $(PYTHON)' >&2; exit 2; }
	@$(PYTHON) -c "$$CHECKED_PYTHON"
	@echo 'larder: making $(VENV) with $(PYTHON)' >&2
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/run.stamp: $(VENV)/made.stamp $(PROJECT)
	@echo 'larder: installing the packages of requirements/run.txt, once' >&2
	@$(BIN)/python $(PIP) --require-hashes -r requirements/run.txt >&2
	@$(BIN)/python $(PIP) --no-build-isolation --config-settings editable_mode=compat -e . >&2
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp requirements/dev.txt
	@echo 'larder: installing the packages of requirements/dev.txt, once' >&2
	@$(BIN)/python $(PIP) --require-hashes -r requirements/dev.txt >&2
	@touch $@

# The systems that the benchmark compares with live apart: their versions are not ours to choose.
$(PEERS)/stamp: requirements/bench.txt
	@$(PYTHON) -c "$$CHECKED_PYTHON"
	@echo 'larder: installing the packages of requirements/bench.txt into $(PEERS), once' >&2
	@$(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python $(PIP) --require-hashes -r requirements/bench.txt >&2
	@touch $@

# What builds the site lives apart: neither the command nor the tests need it.
$(SITE)/stamp: requirements/docs.txt
	@$(PYTHON) -c "$$CHECKED_PYTHON"
	@echo 'larder: installing the packages of requirements/docs.txt into $(SITE), once' >&2
	@$(PYTHON) -m venv $(SITE)
	@$(SITE)/bin/python $(PIP) --require-hashes -r requirements/docs.txt
	@touch $@
