# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of the tests that start processes."""

from __future__ import annotations

from tests.simulator.fixtures import simulator, simulator_server
from tests.unit.modules.conftest import bare_environment, clock, revoke, token, write

__all__ = [
    "bare_environment",
    "clock",
    "revoke",
    "simulator",
    "simulator_server",
    "token",
    "write",
]
