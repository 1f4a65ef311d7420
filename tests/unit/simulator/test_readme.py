# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The README documents all settings and faults."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from tests.simulator import settings
from tests.simulator.faults import KINDS
from tests.simulator.settings import Settings

README = Path(settings.__file__).with_name("README.md").read_text(encoding="utf-8")


def rows(heading: str) -> set[str]:
    """Return the names in the first column of the tables below a heading."""
    section = README.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return set(re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE))


def test_every_setting_is_documented() -> None:
    assert rows("Settings") == {field.name for field in dataclasses.fields(Settings)}


def test_every_kind_of_fault_is_documented() -> None:
    assert rows("Faults") >= set(KINDS)


def test_every_choice_is_documented() -> None:
    names = set(re.findall(r"`(\w+)`", README))

    assert not {one for choice in settings.CHOICES.values() for one in choice} - names
