# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for pytest; import both names in a conftest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .control_client import ControlClient
from .server import running


@pytest.fixture(scope="session")
def simulator_server() -> Iterator[ControlClient]:
    """Run one simulator in a thread for the whole session."""
    with running() as client:
        yield client


@pytest.fixture
def simulator(simulator_server: ControlClient) -> ControlClient:
    """Return the control client of a simulator that has been reset."""
    simulator_server.reset()
    return simulator_server
