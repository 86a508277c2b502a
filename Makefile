# One word does each thing. `make demo` and `make test` set up all they need in .venv.
PYTHON ?= python3
BIN := .venv/bin
SHELL := /bin/bash
NET ?= --quiet
# Where `make demo` puts its project; must not exist yet.
DIR ?= demo_$(shell date +%Y%m%d_%H%M%S)
APT_TOOLS := tmux xterm xvfb imagemagick
SLURM_TOOLS := slurm-wlm munge

.PHONY: setup run demo test test-slurm check tools golden bench bench-audit bench-tui bench-jobs bench-estimates kills fuzz soak

setup: .venv/ready

.venv/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "tomoseg needs Python 3.11 or newer; name one: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  v=$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	  echo "Python $$v cannot make virtual environments here (ensurepip is missing)."; \
	  echo "Install it, then run the same command again: sudo apt-get install python$$v-venv"; exit 2; }
	@echo "Setting up .venv (once; TensorFlow is about 600 MB) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install $(NET) --disable-pip-version-check --editable '.[test]'
	@$(BIN)/python -m compileall -q tomoseg_tui
	@touch .venv/ready

run: setup
	@$(BIN)/tomoseg

demo: setup
	@$(BIN)/tomoseg demo $(DIR)

test: setup
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not slurm'

# A Slurm of one node is started and ended by the tests; nothing of an installed one is touched.
test-slurm: setup
	@$(MAKE) --no-print-directory tools APT_TOOLS='$(SLURM_TOOLS)'
	$(BIN)/python -m pytest -m slurm

tools:
	@if [ "$$(id -u)" = 0 ]; then \
	  missing=; for tool in $(APT_TOOLS); do dpkg -s $$tool >/dev/null 2>&1 || missing="$$missing $$tool"; done; \
	  if [ -n "$$missing" ]; then apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; fi; \
	else echo "make tools: not root, nothing installed; tests that need $(APT_TOOLS) say so when they are skipped"; fi

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) --no-print-directory tools
	$(MAKE) --no-print-directory test
	$(MAKE) --no-print-directory test-slurm

golden: setup
	GOLDEN=1 $(BIN)/python -m pytest -q -p no:randomly tests/cli/test_help.py tests/jobs/test_job.py
	$(BIN)/python -m pytest -q -p no:randomly tests/tui/test_snapshots.py --snapshot-update

# Without DATA the sample data are gone through; with it, networks are compared (tests/bench/sim.py says how long).
bench: setup
ifdef DATA
	$(BIN)/python tests/bench/sim.py $(DATA) $(if $(FEATURES),--features $(FEATURES)) $(if $(PARTS),--parts $(PARTS)) $(if $(WORK),--work $(WORK)) $(if $(EPOCHS),--epochs $(EPOCHS))
else
	$(BIN)/python tests/bench/chain.py --seeds $(or $(SEEDS),1)
endif

# DATA: folder with train1 and its tiles, else sample_data is taken. WORK: where results are kept.
bench-audit: setup
	$(BIN)/python tests/bench/audit.py --seeds $(or $(SEEDS),5) $(if $(DATA),--data $(DATA)) $(if $(WORK),--work $(WORK))

bench-tui: setup
	$(BIN)/python tests/bench/tui.py

bench-jobs: setup
	$(BIN)/python tests/bench/jobs.py

bench-estimates: setup
	$(BIN)/python tests/bench/estimates.py --count $(or $(COUNT),5) $(if $(ONLY),--only $(ONLY))

# Mutated files of every format are read for SECONDS.
fuzz: setup
	$(BIN)/python tests/bench/fuzz.py --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only "$(ONLY)")

# Random keys in a real tmux for MINUTES: no traceback, no slow key, no growth.
soak: setup
	$(BIN)/python tests/bench/soak.py --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED))

# Processes are killed at COUNT random moments, and random commands for SECONDS; what they had kept is looked for. Jobs
# take hours with 50 of each.
kills: setup
	$(BIN)/python tests/bench/kill_strokes.py --count $(or $(COUNT),200)
	$(BIN)/python tests/bench/kill_commands.py
	$(BIN)/python tests/bench/random_commands.py --seconds $(or $(SECONDS),300) $(if $(SEED),--seed $(SEED))
	$(BIN)/python tests/bench/kill_jobs.py --kills $(or $(COUNT),50) $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only $(ONLY))
