# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The private folder of a rotation: state, issued token and audit log, complete or unchanged."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.nomba.auth.plugins.modules import nomba_rotation_folder
from tests.unit.clock import FastClock
from tests.unit.core.token_factory import token
from tests.unit.limits import file_size_limit
from tests.unit.tables import each_row

from .harness import ModuleResult, run_module
from .test_documents import ANSIBLES_OWN, VALUE

SECRET = token(jti="a secret")
OLD, NEW = f'{{"access_token": "{SECRET}"}}\n', f'{{"access_token": "{token(jti="new")}"}}\n'
RETURNED = yaml.safe_load(nomba_rotation_folder.RETURN)


def checksum(content: str) -> str:
    """Return the SHA-256 of a content; empty for none."""
    return hashlib.sha256(content.encode()).hexdigest() if content else ""


def event(name: str) -> dict[str, Any]:
    """Return an event with this id."""
    return {"id": name, "step": "report"}


class Folder:
    """nomba_rotation_folder with a folder that does not exist yet."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, parent: Path) -> None:
        self.monkeypatch = monkeypatch
        self.path = parent / "nomba"
        self.clock = FastClock()
        monkeypatch.setattr(nomba_rotation_folder, "SYSTEM", self.clock.as_clock())

    def __call__(self, check: bool = False, **options: Any) -> ModuleResult:
        given = {"path": str(self.path), "_ansible_check_mode": check, **options}
        return run_module(nomba_rotation_folder.main, given, self.monkeypatch)

    def hold(self, **contents: str) -> None:
        """Create the folder with files."""
        self.path.mkdir(mode=0o700, exist_ok=True)
        for name, content in contents.items():
            (self.path / FILES[name]).write_text(content)

    def text(self, name: str) -> str | None:
        """Return the content of a file; None without it."""
        path = self.path / FILES[name]
        return path.read_text() if path.exists() else None

    @property
    def events(self) -> list[str]:
        """The ids in the audit log, in order."""
        return [json.loads(line)["id"] for line in (self.text("audit") or "").splitlines()]

    @property
    def modes(self) -> dict[str, int]:
        """The mode of each file."""
        found = {path.name: path for path in self.path.iterdir()}
        return {name: stat.S_IMODE(path.stat().st_mode) for name, path in found.items()}


FILES = {"state": "credentials.json", "issued": "issued.json", "audit": "audit.jsonl"}


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Folder:
    """The module, aimed at a folder that does not exist yet."""
    return Folder(monkeypatch, tmp_path)


# Read


def test_new_folder_is_empty_and_private(folder: Folder) -> None:
    before = os.umask(0)
    try:
        result = folder()
    finally:
        os.umask(before)
    found = {name: result[name] for name in ("changed", "state_content", "issued", "checksum")}
    assert found == {"changed": True, "state_content": "", "issued": "", "checksum": ""}
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert list(folder.path.iterdir()) == []
    assert folder()["changed"] is False


def test_files_are_returned(folder: Folder) -> None:
    folder.hold(state=OLD, issued=NEW)
    result = folder()
    assert (result["state_content"], result["issued"]) == (OLD, NEW)
    assert (result["checksum"], result["changed"]) == (checksum(OLD), False)


def test_folder_is_created_with_its_parents(folder: Folder) -> None:
    path = folder.path / "a" / "b"
    assert folder(path=str(path), state_content=NEW)["changed"] is True
    assert (path / "credentials.json").read_text() == NEW


def test_folder_that_cannot_be_created_is_rejected(folder: Folder) -> None:
    folder.path.write_text("a file")
    for path in (folder.path / "sub", folder.path):
        result = folder(path=str(path), state_content=NEW)
        assert (result.error, result["changed"]) == ("invalid_option", False)
        assert result["msg"].startswith("path: ")
        assert SECRET not in result.output


# Write


def test_state_is_replaced_and_private(folder: Folder) -> None:
    before = os.umask(0)
    try:
        first = folder(state_content=OLD)
        (folder.path / FILES["state"]).chmod(0o644)
        second = folder(state_content=NEW, expected=first["checksum"])
    finally:
        os.umask(before)
    assert (first["checksum"], second["checksum"]) == (checksum(OLD), checksum(NEW))
    assert (folder.text("state"), folder.modes[FILES["state"]]) == (NEW, 0o600)
    assert "state_content" not in second.result


def test_unchanged_state_is_not_a_change(folder: Folder) -> None:
    first = folder(state_content=OLD)
    assert folder(state_content=OLD, expected=first["checksum"])["changed"] is False


CONFLICTS: dict[str, tuple[str, str]] = {
    "another content": (NEW, checksum(OLD)),
    "state that was not there": (NEW, ""),
    "state that has disappeared": ("", checksum(OLD)),
}


@each_row(("present", "expected"), CONFLICTS.values(), CONFLICTS.keys())
@each_row("check", [False, True])
def test_state_of_another_run_is_not_replaced(
    folder: Folder, present: str, expected: str, check: bool
) -> None:
    folder.hold(issued=SECRET)
    (folder.path / FILES["state"]).unlink(missing_ok=True)
    if present:
        folder.hold(state=present)
    options: dict[str, Any] = {"events": [event("1")], "discard_issued": True}
    result = folder(check, state_content=OLD, expected=expected, **options)
    assert (result.error, result["changed"]) == ("conflict", False)
    assert (folder.text("state"), folder.text("issued")) == (present or None, SECRET)
    assert (folder.events, SECRET in result.output) == ([], False)


@each_row("size", [0, 10])
def test_full_disk_leaves_old_state(folder: Folder, size: int) -> None:
    folder.hold(state=OLD, issued=SECRET)
    options: dict[str, Any] = {"events": [event("1")], "discard_issued": True}
    with file_size_limit(size):
        result = folder(state_content=NEW, expected=checksum(OLD), **options)
    assert (result.error, result["changed"]) == ("not_written", False)
    assert (folder.text("state"), folder.text("issued"), folder.events) == (OLD, SECRET, [])
    assert set(folder.modes) <= {*FILES.values(), ".credentials.json.lock"}


def test_check_mode_writes_nothing(folder: Folder) -> None:
    new = folder(check=True, state_content=NEW, events=[event("1")])
    assert (new["changed"], folder.path.exists()) == (True, False)
    folder.hold(state=OLD, issued=SECRET)
    options: dict[str, Any] = {"events": [event("1")], "discard_issued": True}
    result = folder(check=True, state_content=NEW, expected=checksum(OLD), **options)
    assert result["changed"] is True
    assert (folder.text("state"), folder.text("issued"), folder.events) == (OLD, SECRET, [])
    assert folder(check=True)["state_content"] == OLD


# The audit log, and the issued token


def test_event_is_appended_once(folder: Folder) -> None:
    folder(events=[event("1"), event("2")])
    result = folder(events=[event("1"), event("2"), event("3")])
    assert (result["changed"], folder.events) == (True, ["1", "2", "3"])
    assert folder(events=[event("3")])["changed"] is False
    assert folder.modes == {FILES["audit"]: 0o600}


def test_state_is_written_before_its_events(folder: Folder) -> None:
    # An event in the log without its state would not be true.
    folder(state_content=OLD)
    folder.path.joinpath(FILES["audit"]).mkdir()
    result = folder(state_content=NEW, expected=checksum(OLD), events=[event("1")])
    assert (result.error, folder.text("state")) == ("invalid_option", NEW)


def test_issued_token_is_discarded(folder: Folder) -> None:
    folder.hold(issued=SECRET)
    assert folder(state_content=NEW)["changed"] is True
    assert folder.text("issued") == SECRET
    assert folder(discard_issued=True)["changed"] is True
    assert folder.text("issued") is None
    assert folder(discard_issued=True)["changed"] is False


@each_row("name", ["state", "issued"])
def test_file_that_is_not_regular_is_rejected(folder: Folder, name: str) -> None:
    folder.hold()
    path = folder.path / FILES[name]
    if not path.exists():
        path.mkdir()
    assert folder().error == "invalid_option"
    path.rmdir()


# Documents


def test_documented_codes_are_those_of_the_module() -> None:
    lines = RETURNED["error"]["contains"]["code"]["description"]
    assert set(VALUE.findall(" ".join(lines))) == {
        "conflict",
        "locked",
        "not_written",
        "invalid_option",
    }


def test_documented_results_are_what_is_returned(folder: Folder) -> None:
    folder.hold(state=OLD)
    assert set(folder().result) - ANSIBLES_OWN == set(RETURNED) - {"error"}
    written = folder(state_content=NEW, expected=checksum(OLD))
    assert set(written.result) - ANSIBLES_OWN == {"checksum"}
    failed = folder(state_content=OLD)
    assert set(failed.result) - ANSIBLES_OWN == {"error"}
