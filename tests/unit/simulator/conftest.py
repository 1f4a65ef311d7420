# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the simulator tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulator.control_client import ControlClient
from tests.simulator.fixtures import simulator, simulator_server
from tests.unit.simulator.rules_client import Rules, SimulatorClient

__all__ = ["api", "client", "simulator", "simulator_server"]


@pytest.fixture
def api() -> Rules:
    """Return the rules without a server, with a fixed clock."""
    return Rules()


@pytest.fixture
def client(simulator: ControlClient) -> Iterator[SimulatorClient]:
    """Return a client over HTTPS on one connection."""
    with SimulatorClient(simulator) as client:
        yield client
