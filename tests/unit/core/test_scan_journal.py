# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Scanning systemd journal files with a program that stands for journalctl."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.nomba.auth.plugins.module_utils import _scan_journal
from ansible_collections.nomba.auth.plugins.module_utils._scan import Location, scan
from ansible_collections.nomba.auth.plugins.module_utils._token import fingerprint

from .token_factory import token

pytestmark = pytest.mark.pure

ONE, TWO = token(n=1), token(n=2)
START = b"LPKSHHRH\4\0\0\0"


def journalctl(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str | None) -> None:
    """Install a program in place of journalctl, or remove it."""
    program = folder / "journalctl"
    if script is not None:
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o700)
    path = None if script is None else str(program)
    monkeypatch.setattr(_scan_journal, "find_program", lambda _name: path)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Create a file that starts as a journal does."""
    (tmp_path / "logs").mkdir()
    file = tmp_path / "logs" / "a[1]*.journal"
    file.write_bytes(START + b"\0" * 100)
    return file


def test_entries_are_read_by_journalctl(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, journal: Path
) -> None:
    script = f"""
for file; do case $file in --file=*) head -c 8 "${{file#--file=}}"; esac; done |
    grep -q LPKSHHRH || exit 1
test "$1 $2 $3 $4" = "--quiet --no-pager --all --output=export" || exit 2
echo __CURSOR=1; echo MESSAGE={ONE}"""
    journalctl(tmp_path, monkeypatch, script)
    scanned = scan([], [str(journal.parent)])
    assert (scanned.unread, scanned.files) == ([], 1)
    assert scanned.locations == {
        fingerprint(ONE): [Location(f"{journal} (journal export)", 2)],
    }


def test_journal_without_journalctl_is_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, journal: Path
) -> None:
    journalctl(tmp_path, monkeypatch, None)
    journal.write_bytes(START + TWO.encode())
    scanned = scan([], [str(journal)])
    assert [one.text for one in scanned.tokens] == [TWO]
    ((path, reason),) = scanned.unread
    assert path == str(journal)
    assert reason.startswith("it is a systemd journal")


def test_failure_of_journalctl_is_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, journal: Path
) -> None:
    journalctl(tmp_path, monkeypatch, f"echo MESSAGE={ONE}; echo {TWO} is bad >&2; exit 1")
    scanned = scan([], [str(journal)])
    assert [one.text for one in scanned.tokens] == [ONE]
    assert scanned.unread[0] == (
        str(journal),
        f"journalctl could not read all of it: {fingerprint(TWO)} is bad",
    )
