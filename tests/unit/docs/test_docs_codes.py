# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guide to outcomes and codes is what the code says, and leaves none of them out."""

from __future__ import annotations

import re

from ansible_collections.nomba.auth.plugins.module_utils._errors import NombaError
from ansible_collections.nomba.auth.plugins.module_utils._revocation import Outcome
from ansible_collections.nomba.auth.plugins.module_utils._rotation import Hand, Mode, State, begin
from tests.tools import codes

from .guides import GUIDES

PAGE = GUIDES["outcomes"]


def rows(heading: str) -> set[str]:
    """What the first column of the table below a heading names."""
    section = PAGE.split(f"\n{heading}\n---", 1)[1].split("\n---", 1)[0]
    return set(re.findall(r"^   \* - ``(\w+)``$", section, re.MULTILINE))


def classes_below(kind: type[NombaError]) -> set[type[NombaError]]:
    below = set(kind.__subclasses__())
    return below.union(*(classes_below(one) for one in below))


def test_the_page_is_what_the_tool_makes_of_the_code() -> None:
    assert codes.page() == PAGE, "run make docs"


def test_every_outcome_has_a_row() -> None:
    assert rows("What a revoke can come to") == {outcome.value for outcome in Outcome}


def test_every_code_of_an_exception_has_a_row() -> None:
    own = {kind.code for kind in classes_below(NombaError) if "code" in vars(kind)}
    assert own
    assert own <= rows("Why a module failed")


def test_every_failing_outcome_is_a_code_too() -> None:
    failing = {outcome.value for outcome in Outcome if outcome.failed}
    assert failing <= rows("Why a module failed")


def test_every_mode_has_a_row() -> None:
    assert rows("What a rotation can be") == {mode.value for mode in Mode}


def test_no_word_is_about_what_the_code_does_not_have() -> None:
    assert set(codes.REMEDIES) == rows("Why a module failed")
    assert set(codes.MODES) == {mode.value for mode in Mode}
    assert set(codes.EVENTS) == set(codes.noted())


def test_the_fields_of_an_event_are_named() -> None:
    state = begin(State(), Hand(0.0, "run", "actor", "host"), "token", "why")
    section = PAGE.split("What the audit record tells", 1)[1].split(".. list-table::", 1)[0]
    assert set(re.findall(r"``(\w+)``", section)) == set(state.events[0])
