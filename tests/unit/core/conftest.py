# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings of the tests of the pure core."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, configuration, settings

# The same examples in every run, however slow the machine, and nothing left in the tree.
settings.register_profile(
    "core",
    database=None,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("core")
configuration.set_hypothesis_home_dir(Path(tempfile.gettempdir(), f"hypothesis.{os.getuid()}"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what the report of coverage does not need: searches, and examinations of the source."""
    for item in items:
        is_search = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
        is_untraced = is_search or item.path.name == "test_architecture.py"
        if is_untraced and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.untraced)
