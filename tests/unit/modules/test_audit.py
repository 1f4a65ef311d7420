# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The audit log: each event once, in a private file whose content is kept."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.nomba.auth.plugins.module_utils import _errors
from ansible_collections.nomba.auth.plugins.modules import nomba_audit

from .harness import ModuleResult, run_module
from .test_documents import ANSIBLES_OWN, VALUE

RETURNED = yaml.safe_load(nomba_audit.RETURN)


def event(name: str, **more: Any) -> dict[str, Any]:
    """Return an event with this id."""
    return {"id": name, "step": "publish", "actor": "someone", **more}


class Audit:
    """nomba_audit with an empty folder."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.monkeypatch = monkeypatch
        self.path = folder / "audit.jsonl"

    def __call__(
        self, *events: dict[str, Any], check: bool = False, diff: bool = False, **options: Any
    ) -> ModuleResult:
        given = {"path": str(self.path), "events": list(events), **options}
        given.update(_ansible_check_mode=check, _ansible_diff=diff)
        return run_module(nomba_audit.main, given, self.monkeypatch)

    @property
    def mode(self) -> int:
        """The record's mode."""
        return stat.S_IMODE(self.path.stat().st_mode)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events in the file."""
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    @property
    def ids(self) -> list[str]:
        """Their ids, in order."""
        return [found["id"] for found in self.events]


@pytest.fixture
def audit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Audit:
    """The module, aimed at a record that is not there yet."""
    folder = tmp_path / "audit"
    folder.mkdir()
    return Audit(monkeypatch, folder)


def test_events_are_appended_whole_and_in_order(audit: Audit) -> None:
    given = [event("2", detail="line\nbreak"), event("1"), event("3", fingerprints=["sha256:00"])]
    returned = audit(*given)
    assert (returned["changed"], returned["appended"]) == (True, 3)
    assert audit.events == given
    assert audit.path.read_bytes().endswith(b"}\n")
    assert list(audit.path.parent.iterdir()) == [audit.path]


def test_second_run_appends_nothing(audit: Audit) -> None:
    audit(event("1"), event("2"))
    before = audit.path.stat()
    returned = audit(event("1"), event("2"))
    assert (returned["changed"], returned["appended"]) == (False, 0)
    assert audit.ids == ["1", "2"]
    assert audit.path.stat().st_mtime_ns == before.st_mtime_ns


def test_only_what_is_missing_is_appended(audit: Audit) -> None:
    audit(event("1"), event("3"))
    returned = audit(event("1", step="other"), event("2"), event("3"), event("4"))
    assert (returned["changed"], returned["appended"]) == (True, 2)
    assert audit.ids == ["1", "3", "2", "4"]
    assert audit.events[0] == event("1")


@pytest.mark.parametrize("torn", [b'{"id": "2", "st', b'{"id": "1"', b"\xff\xfe"])
def test_incomplete_line_is_kept_and_terminated(audit: Audit, torn: bytes) -> None:
    audit(event("1"))
    before = audit.path.read_bytes() + torn
    audit.path.write_bytes(before)
    returned = audit(event("1"), event("2"))
    after = audit.path.read_bytes()
    assert (returned["changed"], returned["appended"]) == (True, 1)
    assert after.startswith(before + b"\n")
    assert json.loads(after[len(before) :]) == event("2")
    assert audit(event("1"), event("2"))["changed"] is False


def test_line_that_lacks_only_its_end_counts(audit: Audit) -> None:
    audit(event("1"), event("2"))
    audit.path.write_bytes(audit.path.read_bytes().rstrip(b"\n"))
    assert audit(event("1"), event("2"))["changed"] is False
    assert audit(event("3"))["appended"] == 1
    assert audit.ids == ["1", "2", "3"]


def test_new_record_is_private(audit: Audit) -> None:
    before = os.umask(0)
    try:
        returned = audit(event("1"))
    finally:
        os.umask(before)
    assert not returned.failed
    assert audit.mode == 0o600


@pytest.mark.parametrize("mode", [0o644, 0o666, 0o640])
def test_record_that_others_can_read_gets_a_private_mode(audit: Audit, mode: int) -> None:
    audit(event("1"))
    audit.path.chmod(mode)
    returned = audit(event("2"))
    assert returned["changed"] is True
    assert audit.mode == 0o600
    assert audit.ids == ["1", "2"]


def test_record_gets_a_private_mode_without_a_new_event(audit: Audit) -> None:
    audit(event("1"))
    audit.path.chmod(0o644)
    foretold = audit(event("1"), check=True)
    assert (foretold["changed"], audit.mode) == (True, 0o644)
    returned = audit(event("1"))
    assert (returned["changed"], returned["appended"], audit.mode) == (True, 0, 0o600)
    assert audit.ids == ["1"]
    assert audit(event("1"))["changed"] is False


@pytest.mark.parametrize(
    "before",
    [b"", b"\n", b"not JSON\n", b'[1, 2]\n"id"\nnull\n', b'{"no": "id"}\n', b"\r\n\x00\n"],
)
def test_any_earlier_content_is_kept(audit: Audit, before: bytes) -> None:
    audit.path.write_bytes(before)
    inode = audit.path.stat().st_ino
    for name in ("1", "2", "1"):
        held = audit.path.read_bytes()
        assert not audit(event(name)).failed
        assert audit.path.read_bytes().startswith(held)
    assert audit.path.read_bytes().startswith(before)
    assert audit.path.stat().st_ino == inode


@pytest.mark.parametrize("check", [False, True], ids=["real", "check"])
def test_event_without_an_id_rejects_all_events(audit: Audit, check: bool) -> None:
    events: list[dict[str, Any]] = [{"step": "publish"}, {"id": ""}, {"id": None}, {}]
    for nameless in events:
        result = audit(event("1"), nameless, check=check)
        assert (nameless, result.error, result["changed"]) == (nameless, "invalid_option", False)
        assert result["msg"].startswith("events: ")
    assert not audit.path.exists()


@pytest.mark.parametrize("there", [False, True], ids=["no record", "record"])
def test_check_mode_counts_and_writes_nothing(audit: Audit, there: bool) -> None:
    if there:
        audit(event("1"))
        audit.path.chmod(0o644)
    returned = audit(event("1"), event("2"), check=True)
    assert (returned["changed"], returned["appended"]) == (True, 1 if there else 2)
    assert audit.path.exists() is there
    assert not there or (audit.ids, audit.mode) == (["1"], 0o644)


@pytest.mark.parametrize("check", [False, True], ids=["real", "check"])
def test_diff_shows_what_is_appended(audit: Audit, check: bool) -> None:
    audit(event("1"))
    returned = audit(event("1"), event("2"), check=check, diff=True)
    assert returned["diff"]["before"] == ""
    assert json.loads(returned["diff"]["after"]) == event("2")
    assert "diff" not in audit(event("3"), check=check).result


def test_missing_folder_is_created_for_the_owner_only(audit: Audit) -> None:
    path = audit.path.parent / "missing" / "audit.jsonl"
    foretold = audit(event("1"), path=str(path), check=True, diff=True)
    assert (foretold["changed"], foretold["appended"]) == (True, 1)
    assert json.loads(foretold["diff"]["after"]) == event("1")
    assert list(audit.path.parent.iterdir()) == []
    assert audit(event("1"), path=str(path))["appended"] == 1
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert json.loads(path.read_bytes()) == event("1")


def test_folder_that_cannot_be_created_is_rejected(audit: Audit) -> None:
    (audit.path.parent / "file").write_text("", encoding="utf-8")
    returned = audit(event("1"), path=str(audit.path.parent / "file" / "audit.jsonl"))
    assert (returned.error, returned["changed"]) == ("invalid_option", False)
    assert returned["msg"] == "path: it cannot be created: File exists"


@pytest.mark.parametrize("check", [False, True], ids=["real", "check"])
def test_folder_in_place_of_the_record_is_rejected(audit: Audit, check: bool) -> None:
    returned = audit(event("1"), path=str(audit.path.parent), check=check)
    assert (returned.error, returned["changed"]) == ("invalid_option", False)
    assert returned["msg"].startswith("path: ")


def test_next_run_completes_an_append_that_a_full_disk_stopped(audit: Audit) -> None:
    audit(event("1"))
    write = os.write

    def half(file: int, text: bytes) -> int:
        write(file, text[: len(text) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with audit.monkeypatch.context() as patch:
        patch.setattr(os, "write", half)
        returned = audit(event("2"))
    assert (returned.error, returned["changed"]) == ("not_written", False)
    assert os.strerror(errno.ENOSPC) in returned["msg"]
    assert audit(event("2"))["appended"] == 1
    assert json.loads(audit.path.read_bytes().splitlines()[-1]) == event("2")


def test_short_writes_make_a_complete_file(audit: Audit) -> None:
    write = os.write
    audit.monkeypatch.setattr(os, "write", lambda file, text: write(file, text[:7]))
    returned = audit(event("1"), event("2"))
    assert returned["appended"] == 2
    assert audit.events == [event("1"), event("2")]


def test_documented_results_are_what_is_returned(audit: Audit) -> None:
    returned = audit(event("1"), diff=True)
    assert set(returned.result) - ANSIBLES_OWN == set(RETURNED) - {"error"}
    assert isinstance(returned["appended"], int)
    refused = audit({})
    assert set(refused.result) - ANSIBLES_OWN == {"error"}
    assert set(refused["error"]) == set(RETURNED["error"]["contains"])


def test_documented_codes_are_those_it_can_produce() -> None:
    codes = " ".join(RETURNED["error"]["contains"]["code"]["description"])
    kinds = (_errors.NotWritten, _errors.InvalidOption)
    assert set(VALUE.findall(codes)) == {kind.code for kind in kinds}
