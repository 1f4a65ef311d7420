# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures for the tests of documents and tools around the collection."""

from __future__ import annotations

from tests.simulator.fixtures import simulator, simulator_server

__all__ = ["simulator", "simulator_server"]
