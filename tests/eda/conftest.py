# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures for the tests of Event-Driven Ansible."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulator.control_client import ControlClient
from tests.simulator.fixtures import simulator, simulator_server

from .listener import Listener

__all__ = ["simulator", "simulator_server"]


@pytest.fixture
def listener(simulator: ControlClient) -> Iterator[Listener]:
    """A listener that is not started, with an empty home."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("home", "tmp"):
            Path(folder, name).mkdir()
        yield Listener(simulator, Path(folder))
