# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guide to outcomes and codes matches the code and is complete."""

from __future__ import annotations

import re

from ansible_collections.nomba.auth.plugins.module_utils._errors import NombaError
from ansible_collections.nomba.auth.plugins.module_utils._revocation import Outcome
from ansible_collections.nomba.auth.plugins.module_utils._rotation import Actor, Mode, State, begin
from tests.tools import codes

from .guides import GUIDES

PAGE = GUIDES["outcomes"]


def rows(heading: str) -> set[str]:
    """The codes in the first column of the table under a heading."""
    section = PAGE.split(f"\n{heading}\n---", 1)[1].split("\n---", 1)[0]
    return set(re.findall(r"^   \* - ``(\w+)``$", section, re.MULTILINE))


def classes_below(kind: type[NombaError]) -> set[type[NombaError]]:
    below = set(kind.__subclasses__())
    return below.union(*(classes_below(one) for one in below))


def test_page_matches_the_generator() -> None:
    assert codes.page() == PAGE, "run make docs"


def test_every_outcome_has_a_row() -> None:
    assert rows("Revocation outcomes") == {outcome.value for outcome in Outcome}


def test_every_code_of_an_exception_has_a_row() -> None:
    own = {kind.code for kind in classes_below(NombaError) if "code" in vars(kind)}
    assert own
    assert own <= rows("Error codes")


def test_every_failing_outcome_is_a_code_too() -> None:
    failing = {outcome.value for outcome in Outcome if outcome.failed}
    assert failing <= rows("Error codes")


def test_every_mode_has_a_row() -> None:
    assert rows("Rotation modes") == {mode.value for mode in Mode}


def test_every_text_belongs_to_an_existing_code() -> None:
    assert set(codes.REMEDIES) == rows("Error codes")
    assert set(codes.MODES) == {mode.value for mode in Mode}
    assert set(codes.EVENTS) == set(codes.noted())


def test_all_fields_of_an_event_are_listed() -> None:
    state = begin(State(), Actor(0.0, "run", "actor", "host"), "token", "why")
    section = PAGE.split("\nAudit events\n", 1)[1].split(".. list-table::", 1)[0]
    assert set(re.findall(r"``(\w+)``", section)) == set(state.events[0])
