# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for pytest; a conftest imports both names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .control_client import ControlClient
from .server import running


@pytest.fixture(scope="session")
def simulator_server() -> Iterator[ControlClient]:
    """One simulator for the whole session, in a thread."""
    with running() as handle:
        yield handle


@pytest.fixture
def simulator(simulator_server: ControlClient) -> ControlClient:
    """The simulator as if it had just been started."""
    simulator_server.reset()
    return simulator_server
