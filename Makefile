# Everything a person runs here. `make` alone lists the targets.
.DEFAULT_GOAL := help
PYTHON ?= python3
# pytest's further arguments: make test ARGS="-k gate -x"
ARGS ?=
# Where torch comes from, when not from pip's own index: make up TORCH_INDEX_URL=https://…/cpu
TORCH_INDEX_URL ?=

RUN := .venv/bin/python
PIP := $(RUN) -m pip --disable-pip-version-check install --quiet -c requirements.lock
MEND_LINUX := sudo apt-get install -y python3 python3-venv git
MEND_MACOS := brew install python git
MEND = $$([ "$$(uname)" = Darwin ] && echo "$(MEND_MACOS)" || echo "$(MEND_LINUX)")
PYTEST := $(RUN) -m pytest -n 2 --dist loadgroup

.PHONY: help up install install-dev test test-fast lint format lock soak bench-import bench-pages bench-engine bench-gate bench-review clean venv

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

up: install ## start everything: database, web, workers, offline teacher (PORT=8000)
	@exec $(RUN) -m nexa_site.supervisor

install: venv ## install what `make up` needs, when the pins have changed
	@$(call install_extras,train)

install-dev: venv ## install what tests and linters need besides
	@$(call install_extras,train,dev)

test: install-dev ## run every test but the slow ones, browser tests included
	@CHROMIUM=$$($(RUN) tests/browser/find_browser.py --install) && export CHROMIUM && $(PYTEST) $(ARGS)

test-fast: install-dev ## run the tests without a browser
	@$(PYTEST) -m "not soak and not browser" $(ARGS)

soak: install-dev ## run the slow tests: kills, long runs, many processes
	@CHROMIUM=$$($(RUN) tests/browser/find_browser.py --install) && export CHROMIUM && $(RUN) -m pytest -m soak --timeout 900 $(ARGS)

lint: install-dev ## check format, style, types, imports, templates, migrations
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo
	.venv/bin/djlint templates --check --quiet
	.venv/bin/djlint templates --lint --quiet
	$(RUN) manage.py check --fail-level WARNING
	@# Without a database to compare with it warns, and checks the files all the same.
	$(RUN) -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run

format: install-dev ## format code and templates, mend what can be mended
	.venv/bin/ruff check --fix --exit-zero .
	.venv/bin/ruff format .
	.venv/bin/djlint templates --reformat --quiet || true

lock: venv ## pin all dependencies anew in requirements.lock
	$(PYTHON) -m venv .venv/lock
	.venv/lock/bin/python -m pip install --quiet uv
	@# Without local wheel folders, which would be written into the pins (`+cpu`).
	env -u UV_FIND_LINKS -u UV_INDEX .venv/lock/bin/uv pip compile --universal --upgrade \
	    --no-header --no-annotate --all-extras --python-version 3.11 \
	    pyproject.toml --output-file requirements.lock

bench-import: install-dev ## measure the import of 100,000 samples (QUICK=1: 10,000)
	$(RUN) -m benchmarks.bench_import $(ARGS)

bench-pages: install-dev ## measure the pages over a large database
	$(RUN) -m benchmarks.bench_pages $(ARGS)

bench-engine: install-dev ## measure the generation engine (QUICK=1; ARGS="--only faults,kills")
	$(RUN) -m benchmarks.bench_engine $(ARGS)

bench-gate: install-dev ## measure rules, duplicates, what-if, export (QUICK=1; ARGS="--only rules")
	$(RUN) -m benchmarks.bench_gate $(ARGS)

bench-review: install-dev ## measure keys and people at the review (QUICK=1; ARGS="--only keys")
	$(RUN) -m benchmarks.bench_review $(ARGS)

clean: ## remove what tools made; the data in var/ stays
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage htmlcov test-results

# A virtual environment knows its own path: one that was moved or copied here is made anew.
venv:
	@[ "$$(cat .venv/made-in 2>/dev/null)" = "$(CURDIR)" ] && $(RUN) -c '' 2>/dev/null || { \
	  command -v git >/dev/null || { echo "git is missing; mend it with: $(MEND)" >&2; exit 1; }; \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	    || { echo "Python 3.11 or newer is missing ($(PYTHON)); mend it with: $(MEND)" >&2; exit 1; }; \
	  $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	    || { echo "Python's venv module is missing; mend it with: $(MEND)" >&2; exit 1; }; \
	  rm -rf .venv && $(PYTHON) -m venv .venv && echo "$(CURDIR)" > .venv/made-in; }

comma := ,
# What an install depends on: the linters' settings that follow in pyproject.toml do not matter.
PINS := { sed '/^\[tool\.ruff\]/,$$d' pyproject.toml; cat requirements.lock; }
# Installs the extras unless these very pins were installed with them before.
define install_extras
$(PINS) | cmp -s - .venv/installed-$(1)$(2) || { \
  echo "Installing Python packages ($(1)$(if $(2),$(comma)$(2))); the first time takes some minutes."; \
  { [ -z "$(TORCH_INDEX_URL)" ] || $(PIP) --index-url "$(TORCH_INDEX_URL)" torch; } \
  && $(PIP) -e ".[$(1)$(if $(2),$(comma)$(2))]" \
  && for extras in $(1) $(1)$(2); do \
    $(PINS) > .venv/installed-$$extras; done; }
endef
