# The front door. `make paper` builds the paper, `make test` runs the tests. Both set up .venv first, and need git, make
# and Python 3.11, 3.12 or 3.13 with venv.
#
#   make paper PROFILE=smoke|quick|evening|paper DATA=mini|<collection> PHOTOS=stand-in|<folder> COCO=<folder> \
#       DEVICE=auto|cpu|cuda CLUSTER=slurm|kubernetes|<folder>

PYTHON ?= python3
PROFILE ?= quick
DATA ?= mini
PHOTOS ?= stand-in
COCO ?=
DEVICE ?= auto
CLUSTER ?=
PORT ?= 8000
# More options of JupyterLab.
LAB ?=

BIN := .venv/bin
# Whatever environment the caller has active must not leak into ours, nor may pip install anywhere else.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV PIP_TARGET PIP_PREFIX PIP_ROOT
export PIP_USER := no
# Modules of one's own, such as models, are still found: after all that is installed, so that they replace none of it.
paper lab: export CHAIRLIB_MODULES := $(CURDIR):$(PYTHONPATH)

.PHONY: paper test test-slow kill-test lab serve lint install pins audit dist release clean again

paper: install
	$(BIN)/chairlib paper --profile "$(PROFILE)" --data "$(DATA)" --photos "$(PHOTOS)" $(if $(COCO),--coco "$(COCO)") \
		--device "$(DEVICE)" $(if $(CLUSTER),--cluster "$(CLUSTER)")

# Every test but the kill and fuzz harnesses. Property tests meet the same examples in every run.
test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n logical --maxprocesses 4 --dist loadfile \
		--no-loadscope-reorder

# The kill and fuzz harnesses, and the property tests with fresh examples.
test-slow: install
	$(BIN)/python -m pytest -m "slow or hypothesis" --hypothesis-profile=explore

# A smoke build that is killed thirty times, and commands: more than half an hour. Its record says what each kill cost.
KILLS ?= 30
SEED ?= 0
kill-test: install
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/kill_test.py --kills "$(KILLS)" --seed "$(SEED)"

# Without a home that it can write to, as in containers, JupyterLab does not start.
lab: export HOME := $(if $(shell [ -w "$$HOME" ] && echo yes),$(HOME),$(CURDIR)/.cache/home)
# JupyterLab refuses root: whoever reaches it could do anything on this machine. In a container that may be meant.
lab: install
	@$(BIN)/jupyter lab --notebook-dir notebooks $(LAB) || { status=$$?; [ "$$(id -u)" != 0 ] || \
		echo "if that is because you are root: start it as another user, or, in a container of your own, with:" \
			"make lab LAB=--allow-root" >&2; exit $$status; }

# A site needs no server to be read, but some browsers restrict pages opened as files. Any Python has one.
SERVER = $(or $(wildcard $(BIN)/python),$(PYTHON))
serve: _build/html/index.html
	@$(SERVER) -c 'import socketserver, sys; socketserver.TCPServer.allow_reuse_address = True; \
		socketserver.TCPServer(("127.0.0.1", int(sys.argv[1])), None)' "$(PORT)" 2>/dev/null || \
		{ echo "port $(PORT) is taken, or cannot be used: choose another one, as in: make serve PORT=8765" >&2; exit 1; }
	@echo "http://127.0.0.1:$(PORT)/ (Ctrl-C stops it)"
	@$(SERVER) -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

_build/html/index.html:
	@echo "there is no book yet: run 'make paper' first" >&2; exit 1

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

install: .venv/.installed

# A copied or moved .venv starts the Python of the folder that it was made for, and builds what lies there.
STARTS_HERE = 2>/dev/null head -n 2 $(1) | grep -qF "$$(pwd -P)/$(BIN)/python"
INSTALLED_HERE := $(shell $(call STARTS_HERE,$(BIN)/chairlib) && $(BIN)/python -Ic \
	'import os, chairlib; print(os.path.samefile(chairlib.__path__[0], "chairlib"))' 2>/dev/null)
# What make itself set up may be set up again, finished or not. A link may lead to what others use.
OURS = [ ! -L .venv ] && \
	{ [ -e .venv/.installed ] || grep -qs "^command = .*--prompt=.*chair-segments" .venv/pyvenv.cfg; }
# Of these there is no ready-made package, only the source. Theirs are the only scripts that run while we install.
SOURCE_ONLY := connection-pool,jsonpath-rw
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Each file must have a hash that hashes/ lists, or pip stops. `make pins` writes these lists.
PIP_PINNED = $(PIP_INSTALL) --no-deps --require-hashes --only-binary :all:

# PyTorch for NVIDIA's GPUs needs libraries that PyTorch for the CPU does not. The torch that pip took says which it is.
ASKS_FOR_CUDA = $(BIN)/python -Ic 'import sys; from importlib.metadata import requires; \
	sys.exit(not any("nvidia" in needed for needed in requires("torch")))'

# The stamp is newer than the files that decide what is installed, or the environment is brought up to date.
.venv/.installed: pyproject.toml $(wildcard extras/*/pyproject.toml hashes/*.txt) \
		$(if $(filter True,$(INSTALLED_HERE)),,again)
	@fail() { echo "$$*" >&2; exit 1; }; \
	if $(call STARTS_HERE,$(BIN)/pip) && $(BIN)/python -m pip --version >/dev/null 2>&1; then exit; fi; \
	$(OURS) || [ -z "$$(ls -A .venv 2>/dev/null)" ] || fail "the .venv here was not set up by make, and cannot be used:" \
		"it has no pip, or was made for another folder. Rename or remove it, then run make again"; \
	command -v $(PYTHON) >/dev/null || \
		fail "$(PYTHON) was not found: install Python 3.11, 3.12 or 3.13, or name it: make PYTHON=..."; \
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		fail "$$($(PYTHON) --version) cannot be used: the versions in constraints.txt are there ready-made for Python" \
			"3.11, 3.12 and 3.13; install one of these and name it, as in: make PYTHON=python3.13"; \
	$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		fail "$(PYTHON) has no venv module: install it (on Debian: python3-venv)"; \
	[ -z "$$(ls -A .venv 2>/dev/null)" ] || \
		echo "the .venv here was made for another folder, or never finished: it is set up again"; \
	$(PYTHON) -m venv --clear --prompt chair-segments .venv
	@# In none of these steps does pip choose a version. So a version that this Python cannot have is an error
	@# at once, where pip would search older versions of everything for hours. And nothing comes without a hash:
	@# the tools that build the two source packages and ours are the pinned ones, not what pip would fetch for that.
	@# A torch in a folder that pip is told of (PIP_FIND_LINKS) comes first: it may be a CPU build, a tenth of the size.
	@# Asked for hashes, pip would rather take the registry's, whose hashes it knows before it looks into a file.
	@echo "installing into .venv: the versions of constraints.txt, then chairlib itself"
	@{ $(PIP_PINNED) -r hashes/installers.txt && \
		{ $(PIP_PINNED) --no-index -r hashes/torch.txt >/dev/null 2>&1 || $(PIP_PINNED) -r hashes/torch.txt; } && \
		$(PIP_PINNED) --no-binary $(SOURCE_ONLY) --no-build-isolation -r hashes/packages.txt && \
		{ ! $(ASKS_FOR_CUDA) || $(PIP_PINNED) -r hashes/cuda.txt; }; } || \
		{ echo "the versions in constraints.txt cannot all be installed here, as the lines above say; they are there" \
			"for Python 3.11, 3.12 and 3.13, and this is $$($(BIN)/python --version). If a hash does not match, the file" \
			"is not the one that was pinned: find out why before you use it" >&2; exit 1; }
	@# Without the setting, setuptools warns five times of what an editable installation is.
	@PYTHONWARNINGS=ignore $(PIP_INSTALL) --no-index --no-build-isolation -e ".[all]" -e extras/chairboard \
		-e "extras/chairbridge[formats]" -e "extras/chairfinder[coco,review]" -e extras/chairmaker || \
		{ echo "a package that ours need is missing: if the lines above say that none was found, add its version to" \
			"constraints.txt, then run: make pins" >&2; exit 1; }
	@touch $@

# Tools that work on lists of packages, apart from .venv: what they need would get in the way of what we need.
TOOLS := .cache/tools
$(TOOLS)/.installed: hashes/tools.txt
	$(PYTHON) -m venv --clear $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
		-r hashes/tools.txt
	@touch $@

# After a change of constraints.txt.
pins: $(TOOLS)/.installed
	$(TOOLS)/bin/python tools/pin_hashes.py

# Asks a database of known vulnerabilities, so it needs a network. AUDIT: more options of pip-audit.
audit: $(TOOLS)/.installed
	$(TOOLS)/bin/python tools/audit.py $(AUDIT)

# The five packages of the last commit, built twice and compared.
dist: install
	$(BIN)/python tools/build_dist.py

# make release VERSION=0.2.0 is a rehearsal; RELEASE=--tag keeps what it makes. It publishes nothing.
release: install
	$(BIN)/python tools/release.py "$(VERSION)" $(RELEASE)

clean:
	rm -rf _build book/notebooks .snakemake .cache
