# Every target installs what it needs, and is fast the second time.
#
#   make demo      write a report on two small networks; needs no data
#   make test      test src/core (pure Rust), then the Python package
#   make lint      check formatting, clippy, ruff, mypy and stubs; warnings are errors
#   make core      test only src/core: needs no Python and no torch, takes seconds
#   make bench     time spectra and hybrid images against named peers (benches/frequency.py);
#                  run the other files of benches/ by name
#   make wheels    build a wheel for each torch of backend/torches.py, and the sources, in dist/
#   make matrix    install and test the project with each torch, in new environments;
#                  make matrix MINORS="2.11 2.13" uses only these
#   make browser   install Debian's chromium, in which the tests open the report's page
#   make docs      build the documentation site in .build/site, and run its tutorials
#
# Each target takes TORCH=2.11 or another minor, and makes a separate environment for it.

PYTHON ?= python3
MINORS ?= $(shell $(PYTHON) backend/torches.py)
DEFAULT := $(lastword $(shell $(PYTHON) backend/torches.py))
TORCH ?= $(DEFAULT)
VENV := .venv$(if $(filter-out $(DEFAULT),$(TORCH)),-$(TORCH))
BIN := $(VENV)/bin
# Use uv from PATH; without it, install uv into the environment.
UV = $(shell command -v uv || echo $(BIN)/uv)
RUST := $(shell find src fft -name '*.rs') build.rs Cargo.toml Cargo.lock fft/Cargo.toml $(wildcard backend/*)
PAGES := CHANGELOG.md CONTRIBUTING.md $(shell find docs python -path docs/api -prune -o -type f -not -name '*.pyc' -not -name '*.so' -print)
# The folder in which cargo and maturin run for this torch (docs/torch.md).
STAGE := .build/torch-$(TORCH)
# torch-sys finds libtorch through the active Python.
ACTIVATE := . $(BIN)/activate &&

.PHONY: demo test lint core bench docs browser setup clean wheel wheels matrix

setup: .build/in-place-$(TORCH)

demo: setup
	$(BIN)/neurofreq demo --out neurofreq-demo

# PYTEST has options for pytest, for example make test PYTEST="-n auto".
test: core setup
	$(BIN)/python -m pytest $(PYTEST)

docs: setup .build/site/index.html

# Warnings are errors. Outputs of tutorials depend on the package, so everything is built
# again if a page or the package changed.
.build/site/index.html: $(PAGES) $(VENV)/.docs .build/in-place-$(TORCH)
	@rm -rf .build/site
	$(BIN)/python -m sphinx -c docs -d .build/doctrees -E -j auto -q -W --keep-going . .build/site
	$(BIN)/python docs/_site/check_links.py .build/site
	@echo "the site is in .build/site/index.html"

$(VENV)/.docs: pyproject.toml $(VENV)/.packages-$(TORCH)
	@$(UV) pip install --quiet --python $(BIN)/python --group docs 'torch==$(TORCH).*'
	@touch $@

core: $(VENV)/.tools
	cargo test --locked --quiet --no-default-features

lint: setup
	cargo fmt --check
	cargo clippy --locked --quiet --no-default-features --all-targets -- -D warnings
	$(ACTIVATE) cd $(STAGE) && cargo clippy --locked --quiet --release --all-targets -- -D warnings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest neurofreq._neurofreq --allowlist .mypy-stubtest-allowlist

# Without a browser, the tests of the page are skipped with a message.
browser:
	@command -v chromium >/dev/null || { \
	  test "$$(id -u)" = 0 || sudo=sudo; \
	  $$sudo apt-get update -qq && $$sudo apt-get install -y -qq --no-install-recommends chromium; }

bench: setup
	$(BIN)/python benches/frequency.py

wheels: $(VENV)/.packages-$(TORCH)
	for minor in $(MINORS); do $(MAKE) wheel TORCH=$$minor || exit 1; done
	$(UV) build --quiet --sdist --python $(BIN)/python --out-dir dist

wheel: $(VENV)/.packages-$(TORCH)
	$(UV) build --quiet --wheel --no-build-isolation -C local-version=torch --python $(BIN)/python --out-dir dist

# Build, install and test as a user would; docs/torch.md has the table.
matrix: $(VENV)/.tools
	$(PYTHON) backend/matrix.py $(MINORS)

clean:
	rm -rf .venv* .build dist target neurofreq-demo

# Check the tools that must be on the machine; name a missing tool in one sentence.
$(VENV)/.tools: Makefile
	@command -v cargo >/dev/null || { echo "neurofreq needs cargo (Rust >= 1.89), which is not on PATH: install it from https://rustup.rs"; exit 1; }
	@command -v c++ >/dev/null || { echo "neurofreq needs a C++ compiler, and there is no c++ on PATH: install g++ or clang"; exit 1; }
	@command -v $(PYTHON) >/dev/null || { echo "neurofreq needs Python >= 3.10, and there is no $(PYTHON) on PATH: install it, or name yours as in 'make PYTHON=python3.12'"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "neurofreq needs Python >= 3.10, but $(PYTHON) is $$($(PYTHON) -c 'import platform; print(platform.python_version())'): name a newer one as in 'make PYTHON=python3.12'"; exit 1; }
	@mkdir -p $(VENV) && touch $@

# The virtual environment with this torch, and the tools of every target.
$(VENV)/.packages-$(TORCH): pyproject.toml $(VENV)/.tools
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "neurofreq needs Python's venv module to make $(VENV): install it (Debian: python3-venv)"; exit 1; }
	@test -x "$(UV)" || $(BIN)/python -m pip install --quiet uv
	@echo "installing torch and the tools into $(VENV) (about 5 GB the first time)"
	@$(UV) pip install --quiet --python $(BIN)/python -r pyproject.toml --group test --group lint --group build 'torch==$(TORCH).*'
	@touch $@

# The optimized extension module, installed in place. Only one is installed at a time.
.build/in-place-$(TORCH): $(VENV)/.packages-$(TORCH) $(RUST)
	@echo "building the extension (the first time, two to ten minutes, depending on the cores)"
	@$(ACTIVATE) python backend/neurofreq_build.py >/dev/null && cd $(STAGE) && maturin develop --release --locked --uv --quiet
	@rm -f .build/in-place-* && touch $@
