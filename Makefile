# make train   train LeNet-5 on MNIST and evaluate it     (make train CONFIG=configs/other.yaml)
# make test    run the tests                               (make test ARGS="-k idx")
# make smoke   a first look after a change: under a minute once kernels are compiled
# make torture kill trainings and fail their disks, hundreds of times      (make torture TIMES=1000)
# make checked run the tests of kernels with every address checked
# make fuzz    throw damaged files and configs at everything that reads, for minutes  (make fuzz ARGS="-k npz")
# make mutants break kernels in their sources too, and see that `cnntrain prove` notices: minutes
# make lint    ruff and mypy
# make clean   remove caches and build output; distclean removes .venv too. Neither touches runs/.
#
# Everything is installed into .venv, once, and again only when pyproject.toml changes.

PYTHON ?= python3
CONFIG ?= configs/mnist-lenet5.yaml
ARGS ?=
CHECKED ?= tests/functional tests/passes
TIMES ?= 200
BIN := .venv/bin
RUNTIME := .venv/.installed-runtime
DEV := .venv/.installed-dev
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# pip compiles to bytecode what it copies, but not what it installs in place; without, each start takes a fifth longer
# where PYTHONDONTWRITEBYTECODE is set (as in many containers).
COMPILE := $(BIN)/python -m compileall -q cnntrain

.PHONY: train test smoke torture checked fuzz mutants lint clean distclean
.DEFAULT_GOAL := train

# A half-made environment (python3 without ensurepip) would be mistaken for a whole one by the next run: remove it.
$(BIN)/python:
	@echo "Making .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
	  echo "Could not make .venv: '$(PYTHON) -m venv' failed (on Debian and Ubuntu: install python3-venv)" >&2; exit 2; }

$(RUNTIME): pyproject.toml | $(BIN)/python
	@echo "Installing cnntrain into .venv"
	@$(PIP_INSTALL) --editable .
	@$(COMPILE)
	@touch $@

$(DEV): pyproject.toml | $(BIN)/python
	@echo "Installing cnntrain and its development tools into .venv"
	@$(PIP_INSTALL) --editable '.[dev]'
	@$(COMPILE)
	@touch $@ $(RUNTIME)

# The last line that `cnntrain train` prints on stdout is its run folder; progress goes to stderr and stays visible.
train: $(RUNTIME)
	@run=$$($(BIN)/cnntrain train $(CONFIG) $(ARGS)) && run=$$(printf '%s\n' "$$run" | tail -n 1) && \
	$(BIN)/cnntrain eval "$$run" && \
	echo "Results: $$run  (config.yaml, metrics.csv, best.safetensors, last.safetensors, log.txt)"

# As many tests at a time as there are cores, each on one thread; tests of threads set their own number. A file's tests stay
# with one process, as far as work is even: what a file prepares or compiles is then made once.
test: $(DEV)
	@NUMBA_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist worksteal $(ARGS)

# LeNet-5 against the naive reference, one short training, one error message.
smoke: $(DEV)
	@NUMBA_NUM_THREADS=1 $(BIN)/python -m pytest tests/test_smoke.py $(ARGS)

torture: $(DEV)
	@CNNTRAIN_TORTURE=$(TIMES) NUMBA_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto tests/reliability tests/processes $(ARGS)

# Checked kernels compile anew and take their time; their cache is kept apart.
checked: $(DEV)
	@NUMBA_CACHE_DIR="$${NUMBA_CACHE_DIR:-$(CURDIR)/.checked-cache}" CNNTRAIN_CHECKED=1 NUMBA_NUM_THREADS=1 \
	  $(BIN)/python -m pytest --numprocesses auto $(CHECKED) $(ARGS)

# The same properties as in `make test`, with twenty times as many random examples, other ones each time.
fuzz: $(DEV)
	@NUMBA_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --hypothesis-profile=fuzz tests/fuzz $(ARGS)

mutants: $(DEV)
	@CNNTRAIN_MUTANTS=1 NUMBA_NUM_THREADS=1 $(BIN)/python -m pytest tests/verify/test_mutants.py $(ARGS)

lint: $(DEV)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .checked-cache
	find cnntrain tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf .venv
