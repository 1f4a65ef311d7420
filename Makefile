# Copyright (c) 2026, The nomba.auth contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Everything starts from a bare Python of 3.11 or newer with pip, in a fresh clone.
# The tools look at a copy of the tree in .build/ansible_collections/nomba/auth.

PACKAGES := lint-packages testbed-packages java-packages node-packages guide-packages

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo docs test lint sanity units quick integration molecule soak bench package format changelog lock clean \
	eda quality release $(PACKAGES)

# Words for the tool behind the verb: make quick ARGS="-k revoke -x"
ARGS ?=
VERSION ?=

RUN := .venv/bin/python -m tests.tools.
TOOLS := .tools/.stamp
NEWEST := .venv/.stamp
OTHERS := .venvs/.collections-stamp
DOCS := .venvs/.docs-stamp
OLDEST := .venvs/.oldest-stamp
BARE := .venvs/.bare-stamp
RULEBOOK := .venvs/.rulebook-stamp
IMPORTER := .venvs/.importer-stamp
QUALITY := .venvs/.quality-stamp
NPM := .venvs/.npm-stamp
# What the neighbours need: make quality.
AROUND := $(OTHERS) $(OLDEST) $(IMPORTER) $(QUALITY) $(NPM) $(RULEBOOK) $(DOCS)

# Programs that only the system has, and their packages.
PROGRAMS_lint-packages := shellcheck=shellcheck
PROGRAMS_testbed-packages := sshd=openssh-server
PROGRAMS_java-packages := java=openjdk-17-jre-headless
PROGRAMS_node-packages := node=nodejs npm=npm
PROGRAMS_guide-packages := curl=curl jq=jq

help: ## Say what can be done here
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(NEWEST) ## Watch tokens being revoked and rotated, against a simulator on this machine
	@$(RUN)in_tree python tests/demo/run.py $(ARGS)

test: $(NEWEST) $(OTHERS) $(OLDEST) $(BARE) lint-packages testbed-packages ## Lint, sanity, units, integration, molecule, package: before a change lands
	@$(RUN)everything test

lint: $(NEWEST) $(OTHERS) lint-packages ## Linters and type checkers; a warning is a failure
	@$(RUN)lint

sanity: $(NEWEST) lint-packages ## ansible-test sanity on every Python (ARGS="--test pep8")
	@$(RUN)sanity $(ARGS)

units: $(NEWEST) $(OLDEST) $(BARE) testbed-packages ## Unit tests: newest Ansible with coverage, none at all, oldest
	@$(RUN)units

quick: $(NEWEST) testbed-packages ## Unit tests on the newest Ansible only (ARGS="-k revoke -x" go to pytest)
	@$(RUN)units --quick $(ARGS)

integration: $(NEWEST) $(OLDEST) $(BARE) ## Real playbooks against the simulator, newest and oldest Ansible
	@$(RUN)integration $(ARGS)

molecule: $(NEWEST) $(OTHERS) testbed-packages ## Rotations on three hosts over SSH (ARGS="rotate stores")
	@$(RUN)molecule $(ARGS)

soak: $(NEWEST) $(OTHERS) testbed-packages ## Kill a rotation after every single task, and finish it
	@$(RUN)molecule --soak

eda: $(NEWEST) $(RULEBOOK) java-packages ## A leaked token's alert in a real ansible-rulebook (ARGS="-k signed")
	@$(RUN)eda $(ARGS)

quality: $(NEWEST) $(AROUND) lint-packages java-packages guide-packages ## Docs, events, and what the oldest Ansible, Galaxy and CI systems say of it
	@$(RUN)everything quality

bench: $(NEWEST) ## Measure against other ways, into docs/ (ARGS="--only one skip"; nearly an hour)
	@$(RUN)in_tree python -m tests.benchmark --out $(CURDIR)/tests/benchmark/measured \
		--docs $(CURDIR)/docs $(ARGS)

docs: $(NEWEST) $(DOCS) ## Build the site of guides and reference pages into docs/_build
	@$(RUN)docs

package: $(NEWEST) ## Build the collection, look into the tarball, install it elsewhere
	@$(RUN)package

format: $(NEWEST) ## Lay out the Python files and sort their imports
	@.venv/bin/ruff check --select I --fix --quiet
	@.venv/bin/ruff format

changelog: $(NEWEST) ## Turn changelogs/fragments into CHANGELOG.md, for a release
	@PATH="$(CURDIR)/.venv/bin:$$PATH" antsibull-changelog release

release: $(NEWEST) ## Changelog, commit, tag, tarball, checksums (VERSION=1.2.3 ARGS=--dry-run)
	@$(RUN)release "$(VERSION)" $(ARGS)

lock: $(TOOLS) ## Choose new versions for requirements/*.txt from the groups in pyproject.toml
	@.tools/bin/python -m tests.tools.lock

clean: ## Remove environments and everything that was built
	rm -rf .tools .venv .venvs .build docs/_build

# --- what the verbs stand on -----------------------------------------------------------------

$(PACKAGES):
	@sh tests/tools/system_packages.sh $(PROGRAMS_$@)

$(TOOLS): requirements/tools.txt tests/tools/bootstrap.sh
	@sh tests/tools/bootstrap.sh

$(NEWEST): requirements/dev.txt tests/tools/venvs.py $(TOOLS)
	@.tools/bin/python -m tests.tools.venvs dev && touch $@

$(OTHERS) $(DOCS) $(OLDEST) $(BARE) $(RULEBOOK) $(IMPORTER) $(QUALITY): .venvs/.%-stamp: \
		requirements/%.txt tests/tools/venvs.py $(TOOLS)
	@.tools/bin/python -m tests.tools.venvs $* && touch $@

$(NPM): requirements/npm/package.json requirements/npm/package-lock.json tests/tools/venvs.py $(TOOLS) | node-packages
	@.tools/bin/python -m tests.tools.venvs npm && touch $@
