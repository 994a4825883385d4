# SPDX-FileCopyrightText: The Mem4Nav stack developers
# SPDX-License-Identifier: Apache-2.0
# Needs python3 (3.10 to 3.13) with venv, and nothing else: `make demo` and `make test` install the rest into .venv.

PYTHON ?= python3
BIN := .venv/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
THREADS = OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMBA_NUM_THREADS=1 MPLBACKEND=Agg
PYTEST = $(THREADS) $(BIN)/python -m pytest $(PYTEST_ARGS)
NONE_CHOSEN = 5

.PHONY: demo test lint bench clean

demo: .venv/demo.stamp  ## simulate a drive, replay it, write out/demo/report.html
	$(BIN)/mem4nav demo --out out/demo

test: .venv/test.stamp  ## every test; PYTEST_ARGS="-k trajectory" for some of them
	$(PYTEST) -n 2 --dist loadfile -m "not ros and not habitat" || [ $$? -eq $(NONE_CHOSEN) ]
	$(PYTEST) -m "ros or habitat" || [ $$? -eq $(NONE_CHOSEN) ]  # these keep time: they have the cores to themselves

lint: .venv/test.stamp  ## style, spelling, types of the public API
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/pyright

bench: .venv/test.stamp  ## measure, and write docs/benchmarks.md
	$(BIN)/python -m bench

clean:  ## remove what the other targets made
	rm -rf .venv out build *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/python.stamp:
	@echo "setting up .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "needs Python 3.10 to 3.13: name one with  make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "python3 lacks venv: on Debian and Ubuntu, apt install python3-venv"; exit 1; }
	@touch $@

.venv/demo.stamp: .venv/python.stamp setup.py constraints.txt
	@echo "installing the stack and its simulator into .venv (a minute or two)"
	@$(INSTALL) -e '.[sim]'
	@touch $@

.venv/test.stamp: .venv/python.stamp setup.py constraints.txt
	@echo "installing the stack, its tools and the test oracles into .venv (a minute or two)"
	@$(INSTALL) -e '.[sim,dev]'
	@$(INSTALL) --no-deps nuscenes-devkit==1.2.0 pyquaternion==0.9.9 opencv-python-headless==5.0.0.93  # it asks for numpy 1, and runs with 2
	@echo "installing ROS 2 as wheels, and building its two message packages that have none (a minute)"
	@{ $(INSTALL) -e '.[ros]' && $(BIN)/python -m nodes.interfaces; } \
		|| echo "ROS 2 is not to be had here (wheels are for Linux on x86_64, messages need g++): its tests are skipped"
	@touch $@
