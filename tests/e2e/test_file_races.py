# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Another user who replaces files by links while a module runs reaches no other file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.modules.harness import ModuleResult
from tests.unit.modules.other_user import (
    STRANGER,
    another_user,
    folder,
    give,
    never_hang,
    to_owner,
    victim,
)
from tests.unit.modules.writers import Writers, snapshot

from .exchanger import exchanging

pytestmark = pytest.mark.newest

__all__ = ["another_user", "folder", "never_hang", "victim"]


def test_path_that_changes_during_a_run_reaches_no_other_file(
    write: Writers, folder: Path, victim: Path
) -> None:
    give(folder.parent)
    before = snapshot(victim.parent)
    own = to_owner("nomba_credential_file")
    results: list[ModuleResult] = []
    with exchanging(folder.parent, victim, STRANGER):
        for number in range(60):
            given = {"content": f"{number}\n", **own}
            results += [
                write("nomba_credential_file", folder / "nomba", **given),
                write("nomba_credential_file", folder / "nomba", expected="", **given),
                write("nomba_audit", folder / "audit", events=[{"id": str(number)}]),
                write("nomba_token_revoke", folder / "progress"),
            ]
            assert snapshot(victim.parent) == before
    codes = {result.error for result in results if result.failed}
    assert codes <= {"invalid_option", "not_written", "conflict", "locked"}
