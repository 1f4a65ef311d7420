# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of the module tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulator.handle import Handle
from tests.unit.clock import FastClock

from .harness import Revoke
from .keeping import Token


@pytest.fixture
def clock() -> FastClock:
    """A clock on which waiting takes no time."""
    return FastClock()


@pytest.fixture
def revoke(simulator: Handle, clock: FastClock, monkeypatch: pytest.MonkeyPatch) -> Revoke:
    """The module, aimed at a simulator of its own state."""
    monkeypatch.delenv("NOMBA_ACCESS_TOKEN", raising=False)
    return Revoke(simulator, clock, monkeypatch)


@pytest.fixture
def token(
    simulator: Handle, clock: FastClock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Token:
    """nomba_token, aimed at a simulator of its own state and at a folder of its own."""
    for variable in ("NOMBA_CLIENT_SECRET", "NOMBA_PRIVATE_KEY"):
        monkeypatch.delenv(variable, raising=False)
    return Token(simulator, clock, monkeypatch, tmp_path)
