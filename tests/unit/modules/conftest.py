# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of the module tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.simulator.control_client import ControlClient
from tests.unit.clock import FastClock

from .harness import Revoke
from .token_harness import Token
from .writers import Writers


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the variables that a module reads from the environment of the test run."""
    for name in list(os.environ):
        if name.startswith("NOMBA_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def clock() -> FastClock:
    """A clock on which waiting takes no time."""
    return FastClock()


@pytest.fixture
def revoke(simulator: ControlClient, clock: FastClock, monkeypatch: pytest.MonkeyPatch) -> Revoke:
    """nomba_token_revoke, with options for a reset simulator."""
    return Revoke(simulator, clock, monkeypatch)


@pytest.fixture
def token(
    simulator: ControlClient, clock: FastClock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Token:
    """nomba_token, with options for a reset simulator and an empty folder."""
    return Token(simulator, clock, monkeypatch, tmp_path)


@pytest.fixture
def write(token: Token, revoke: Revoke) -> Writers:
    """All modules that write a file."""
    return Writers(token, revoke)
