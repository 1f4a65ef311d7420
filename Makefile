# Copyright (c) 2026, The nomba.auth contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Short names for the sessions of noxfile.py. Any Python of 3.11 or newer with pip is enough to start.

SESSIONS := bench changelog demo docs e2e eda format integration kill-test lint lock molecule package \
	quick release-check sanity shell test units

.DEFAULT_GOAL := help
.PHONY: help clean release $(SESSIONS)

# Extra arguments: make quick ARGS="-k revoke -x"
ARGS ?=
VERSION ?=

NOX := .tools/bin/nox

help: .tools/.stamp ## Show this help
	@$(NOX) --list

$(SESSIONS): .tools/.stamp
	@$(NOX) --session $@ -- $(ARGS)

release: .tools/.stamp
	@$(NOX) --session release -- "$(VERSION)" $(ARGS)

clean:
	rm -rf .tools .venv .venvs .build docs/_build

.tools/.stamp: requirements/bare.txt tests/tools/bootstrap.sh
	@sh tests/tools/bootstrap.sh
