# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulator under test, and two ways to ask it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulator.control_client import ControlClient
from tests.simulator.fixtures import simulator, simulator_server
from tests.unit.simulator.rules_client import Asking, Rules

__all__ = ["api", "ask", "simulator", "simulator_server"]


@pytest.fixture
def api() -> Rules:
    """The rules alone, at a time of our own."""
    return Rules()


@pytest.fixture
def ask(simulator: ControlClient) -> Iterator[Asking]:
    """Requests over real HTTPS, on one connection."""
    with Asking(simulator) as asking:
        yield asking
