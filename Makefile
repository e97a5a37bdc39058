# The front door. `make paper` builds the paper, `make test` runs the tests. Both set up .venv first, and need git, make
# and Python 3.11 or newer with venv.
#
#   make paper PROFILE=smoke|quick|paper DATA=mini|<collection> PHOTOS=stand-in|<folder> COCO=<folder> \
#       DEVICE=auto|cpu|cuda

PYTHON ?= python3
PROFILE ?= quick
DATA ?= mini
PHOTOS ?= stand-in
COCO ?=
DEVICE ?= auto
PORT ?= 8000

BIN := .venv/bin
# Whatever environment the caller has active must not leak into ours.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

.PHONY: paper test test-slow lab serve lint install clean

paper: install
	$(BIN)/chairlib paper --profile "$(PROFILE)" --data "$(DATA)" --photos "$(PHOTOS)" $(if $(COCO),--coco "$(COCO)") \
		--device "$(DEVICE)"

# Every test but the kill and fuzz harnesses. Property tests meet the same examples in every run.
test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n logical --maxprocesses 4 --dist loadfile \
		--no-loadscope-reorder

# The kill and fuzz harnesses, and the property tests with fresh examples.
test-slow: install
	$(BIN)/python -m pytest -m "slow or hypothesis" --hypothesis-profile=explore

lab: install
	$(BIN)/jupyter lab --notebook-dir notebooks

# A site needs no server to be read, but some browsers restrict pages opened as files.
serve: _build/html/index.html
	@echo "http://127.0.0.1:$(PORT)/ (Ctrl-C stops it)"
	@$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

_build/html/index.html:
	@echo "there is no book yet: run 'make paper' first" >&2; exit 1

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

install: .venv/.installed

# The stamp is newer than the files that decide what is installed, or the environment is brought up to date.
.venv/.installed: pyproject.toml extras/chairfinder/pyproject.toml extras/chairmaker/pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || \
		{ echo "$(PYTHON) was not found: install Python 3.11 or newer, or name it: make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$$($(PYTHON) --version) is too old: 3.11 or newer is needed; name it: make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "$(PYTHON) has no venv module: install it (on Debian: python3-venv)" >&2; exit 1; }
	@# An environment without pip is one whose making was interrupted, or whose Python is gone.
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		-e ".[all]" -e "extras/chairfinder[review]" -e extras/chairmaker
	@touch $@

clean:
	rm -rf _build book/notebooks .snakemake .cache
