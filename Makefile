# Everything for work from a checkout. `make` alone lists the targets.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup setup-containers daily-check test ci full unit molecule container-faults lint sanity packaging integration faults versions bench docs wheelhouse replica-up replica-fault replica-faults replica-heal replica-down clean clean-containers

# Relative: the path of the checkout may hold blanks.
BIN := .venv/bin
PYTHONS ?= 3.10 3.11 3.12 3.13 3.14
MACHINE ?= x86_64
WHEELHOUSE ?= $(CURDIR)/.cache/wheelhouse
REPLICA := $(BIN)/python tests/replica/replica

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/.cache/collections:$(CURDIR)/collections
export ANSIBLE_HOME := $(CURDIR)/.cache/ansible
# Byte code is kept, but not beside the sources: it would end in copies of the checkout.
export PYTHONPYCACHEPREFIX := $(CURDIR)/.cache/pycache
# Images of Python forbid it. Without byte code each command compiles Ansible and the drivers anew, a second each time.
unexport PYTHONDONTWRITEBYTECODE
export LC_ALL := C.UTF-8
# Colours are for people; a file or a pipe gets none.
ifndef MAKE_TERMOUT
export ANSIBLE_NOCOLOR := 1
endif

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1 \t\2/p' Makefile | expand -t 26

setup: ## Install what is missing (all other targets do it too)
	@tools/setup

setup-containers: ## Install what the replica in containers needs besides (podman)
	@CONTAINERS=yes tools/setup

daily-check: setup ## Start the replica and run the daily check on it
	@$(REPLICA) up --keep-faults
	@$(BIN)/ansible-playbook playbooks/daily_check.yml -i inventories/replica $(ARGS)

test: setup ## Run the tests that need no containers, with a sample of the faults (under 10 minutes)
	@$(BIN)/python tools/run_stages.py test

ci: setup-containers ## Run all tests, each fault in one way, and each role on hosts in containers (under 30 minutes)
	@$(BIN)/python tools/run_stages.py ci

full: setup-containers ## Run everything: also each fault in all ways, and all Molecule scenarios (under 90 minutes)
	@$(BIN)/python tools/run_stages.py full

unit: setup ## Run the unit tests
	@$(BIN)/python tools/run_stages.py unit

lint: setup ## Run ruff, yamllint, ansible-lint and the changelog lint
	@$(BIN)/python tools/run_stages.py lint

sanity: setup ## Run ansible-test sanity
	@$(BIN)/python tools/run_stages.py sanity

packaging: setup ## Build the archive, install it and run from it
	@$(BIN)/python tools/run_stages.py packaging

integration: setup ## Run the integration targets and tests on a replica
	@$(BIN)/python tools/run_stages.py integration integration-long

faults: setup ## Make each fault on a replica in all ways, and expect it to be found
	@$(BIN)/python tools/run_stages.py faults faults-rest

molecule: setup-containers ## Run the Molecule scenarios on a replica in containers
	@$(BIN)/python tools/run_stages.py molecule molecule-rest

container-faults: setup-containers ## Make the faults that need hosts of their own, and expect them to be found
	@$(BIN)/python tools/run_stages.py container-faults container-faults-rest

versions: setup ## Run the controller's tests with each ansible-core that is supported
	@$(BIN)/python tools/run_stages.py versions

bench: setup ## Measure against the bars
	@$(BIN)/python tests/bench/run.py

docs: setup ## Write docs/*.md and the tables of the role READMEs
	@$(BIN)/python tools/make_docs.py

wheelhouse: setup ## Download what hosts without a way to an index need (PYTHONS="3.11 3.12", MACHINE=aarch64, WHEELHOUSE=folder)
	@$(BIN)/python tools/wheelhouse.py build --pythons "$(PYTHONS)" --machine "$(MACHINE)" --output "$(WHEELHOUSE)"

replica-up: setup ## Start the replica
	@$(REPLICA) up --keep-faults

replica-fault: setup ## Break something in the replica for `make daily-check` to find (FAULT=pm2.stopped)
	@$(REPLICA) fault set "$(FAULT)"

replica-faults: setup ## List the faults that can be made in the replica, and which are set
	@$(REPLICA) fault list

replica-heal: setup ## Repair all that is broken in the replica
	@$(REPLICA) fault clear

replica-down: setup ## Stop the replica
	@$(REPLICA) down

clean-containers: ## Remove what all replicas share outside the checkout: the cache, and the images for containers
	@TOOLS=python tools/setup
	@$(REPLICA) clean

clean: ## Remove .venv and everything that was made in the checkout
	rm -rf .venv .cache .ansible .pytest_cache .ruff_cache .hypothesis ops-remediation-*.tar.gz
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
