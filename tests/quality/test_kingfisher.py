# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kingfisher finds tokens with the rule of this collection; its report is a source of a scan."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ansible_collections.nomba.auth.plugins.module_utils._scan import scan
from tests.corpus.kinds import archive_zip, log
from tests.unit.core.token_factory import SEED, jwt, rs256, token

RULES = Path(__file__).parents[2] / "docs" / "examples" / "kingfisher"
FOUND = 200  # the exit status with findings


def kingfisher(place: Path, report: Path) -> int:
    """Scan a folder with the rule of this collection alone; return the exit status."""
    command = ["kingfisher", "scan", str(place), "--rules-path", str(RULES)]
    command += ["--rule", "nomba.access_token", "--no-validate", "--no-update-check"]
    command += ["--no-rule-cache", "--format", "json", "--output", str(report)]
    return subprocess.run(command, capture_output=True, check=False).returncode


def test_report_contains_the_tokens(tmp_path: Path) -> None:
    place, report = tmp_path / "place", tmp_path / "report.json"
    place.mkdir()
    tokens = [token(n=number) for number in range(3)]
    (place / "app.log").write_bytes(log(tokens[0]))
    (place / "app.env").write_text(f'NOMBA_ACCESS_TOKEN="{tokens[1]}"\n')
    (place / "backup.zip").write_bytes(archive_zip(tokens[2]))
    (place / "documented.txt").write_text(SEED)
    assert kingfisher(place, report) == FOUND
    found = scan([], [str(report)])
    assert sorted(one.text for one in found.tokens) == sorted([*tokens, SEED])
    assert found.unread == []


def test_near_misses_are_not_found(tmp_path: Path) -> None:
    place, report = tmp_path / "place", tmp_path / "report.json"
    place.mkdir()
    near = [rs256(), jwt(b'{"iss":"https://login.example"}'), token()[:-3], token()[:100]]
    (place / "app.log").write_text("\n".join(near))
    assert kingfisher(place, report) == 0
