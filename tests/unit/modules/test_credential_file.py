# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file with a token on a host: atomic, idempotent, and shown as fingerprints."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.nomba.auth.plugins.module_utils import _errors
from ansible_collections.nomba.auth.plugins.modules import nomba_credential_file
from tests.simulator.tokens import fingerprint
from tests.unit.clock import FastClock
from tests.unit.core.token_factory import token

from .harness import ModuleResult, run_module
from .test_documents import ANSIBLES_OWN, VALUE

OLD, NEW = token(sub="old"), token(sub="new")
RETURNED = yaml.safe_load(nomba_credential_file.RETURN)


def held(secret: str) -> str:
    """A file with a token in it, as a service reads it."""
    return f"NOMBA_ACCESS_TOKEN={secret}\nNOMBA_CLIENT_ID=c\n"


def checksum(content: str) -> str:
    """What a file with this content is known by."""
    return hashlib.sha256(content.encode()).hexdigest()


def _refuse(*_words: Any, **_options: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class CredentialFile:
    """nomba_credential_file with an empty folder."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.monkeypatch = monkeypatch
        self.folder = folder
        self.dest = folder / "nomba.env"
        self.clock = FastClock()
        monkeypatch.setattr(nomba_credential_file, "SYSTEM", self.clock.as_clock())

    def __call__(
        self, secret: str = NEW, check: bool = False, diff: bool = False, **options: Any
    ) -> ModuleResult:
        given = {"dest": str(self.dest), "content": held(secret), **options}
        given.update(_ansible_check_mode=check, _ansible_diff=diff)
        return run_module(nomba_credential_file.main, given, self.monkeypatch)

    def hold(self, secret: str = OLD, mode: int = 0o600) -> None:
        """Write a file with a token."""
        self.dest.write_text(held(secret))
        self.dest.chmod(mode)

    @property
    def mode(self) -> int:
        """The file's mode."""
        return stat.S_IMODE(self.dest.stat().st_mode)

    @property
    def files(self) -> list[str]:
        """The names of all files in the folder."""
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CredentialFile:
    """The module, aimed at a file in an empty folder."""
    folder = tmp_path / "etc"
    folder.mkdir()
    return CredentialFile(monkeypatch, folder)


def test_new_file_is_private_and_leaves_no_other_file(
    written: CredentialFile,
) -> None:
    before = os.umask(0)
    try:
        returned = written()
    finally:
        os.umask(before)
    assert returned["changed"] is True
    assert written.dest.read_text() == held(NEW)
    assert written.mode == 0o600
    assert written.files == ["nomba.env"]


def test_reader_of_the_old_file_never_sees_the_new_one(written: CredentialFile) -> None:
    written.hold()
    with written.dest.open(encoding="utf-8") as reader:
        begun = reader.read(10)
        assert written()["changed"] is True
        assert begun + reader.read() == held(OLD)
    assert written.dest.read_text() == held(NEW)
    assert written.mode == 0o600
    assert written.files == ["nomba.env"]


@pytest.mark.parametrize("call", ["replace", "pwrite", "ftruncate", "fsync"])
def test_file_that_cannot_be_written_is_unchanged(written: CredentialFile, call: str) -> None:
    written.hold()
    written.monkeypatch.setattr(os, call, _refuse)
    returned = written()
    assert (returned.error, returned["changed"]) == ("not_written", False)
    assert os.strerror(errno.ENOSPC) in returned["msg"]
    assert written.dest.read_text() == held(OLD)
    assert written.files == ["nomba.env"]


def test_second_run_keeps_the_same_file(written: CredentialFile) -> None:
    first = written()
    before = written.dest.stat()
    returned = written()
    after = written.dest.stat()
    assert (first["changed"], returned["changed"]) == (True, False)
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert returned["before"] == returned["fingerprints"] == [fingerprint(NEW)]
    assert returned["checksum"] == first["checksum"] == checksum(held(NEW))


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o400])
def test_mode_of_a_good_file_is_repaired_in_place(written: CredentialFile, mode: int) -> None:
    written.hold(NEW, mode)
    before = written.dest.stat().st_ino
    assert written()["changed"] is True
    assert written.mode == 0o600
    assert written.dest.stat().st_ino == before
    assert written()["changed"] is False


def test_stricter_mode_is_set(written: CredentialFile) -> None:
    assert written(mode="0400")["changed"] is True
    assert written.mode == 0o400
    assert written(mode="0400")["changed"] is False


@pytest.mark.parametrize("check", [False, True], ids=["real", "check"])
def test_mode_that_lets_others_read_is_rejected(written: CredentialFile, check: bool) -> None:
    written.hold()
    for mode in ("0644", "0640", "0601", 0o604, "u=rw,g=r", "a+r", "word"):
        result = written(mode=mode, check=check)
        assert (mode, result.error, result["changed"]) == (mode, "invalid_option", False)
        assert result["msg"].startswith("mode: ")
    assert (written.dest.read_text(), written.mode) == (held(OLD), 0o600)
    assert written.files == ["nomba.env"]


@pytest.mark.parametrize("there", [False, True], ids=["no file", "old file"])
@pytest.mark.parametrize("expecting", [False, True], ids=["anything", "expected"])
def test_check_mode_writes_nothing_and_leaves_no_lock(
    written: CredentialFile, there: bool, expecting: bool
) -> None:
    if there:
        written.hold()
    options: dict[str, Any] = {"expected": checksum(held(OLD)) if there else ""}
    returned = written(check=True, **(options if expecting else {}))
    assert (returned.failed, returned["changed"]) == (False, True)
    assert returned["before"] == ([fingerprint(OLD)] if there else [])
    assert written.files == (["nomba.env"] if there else [])
    assert not there or written.dest.read_text() == held(OLD)


@pytest.mark.parametrize(("mode", "changed"), [(0o600, False), (0o644, True)])
def test_check_mode_predicts_the_mode_of_a_good_file(
    written: CredentialFile, mode: int, changed: bool
) -> None:
    written.hold(NEW, mode)
    returned = written(check=True)
    assert (returned.failed, returned["changed"]) == (False, changed)
    assert written.mode == mode
    assert written.files == ["nomba.env"]


@pytest.mark.parametrize("check", [False, True], ids=["real", "check"])
def test_diff_shows_fingerprints_and_nothing_else(written: CredentialFile, check: bool) -> None:
    written.hold()
    returned = written(check=check, diff=True)
    assert returned["diff"] == {
        "before_header": str(written.dest),
        "after_header": str(written.dest),
        "before": f"{fingerprint(OLD)}\n",
        "after": f"{fingerprint(NEW)}\n",
    }
    assert "diff" not in written(check=check).result


@pytest.mark.parametrize(
    "options",
    [{}, {"expected": ""}, {"mode": "0644"}, {"dest": "/no/such/folder/file"}],
    ids=["written", "conflict", "bad mode", "bad dest"],
)
@pytest.mark.parametrize("check", [False, True], ids=["real", "check"])
def test_no_part_of_a_token_is_in_the_output(
    written: CredentialFile, options: dict[str, Any], check: bool
) -> None:
    written.hold()
    returned = written(check=check, diff=True, **options)
    for part in (*OLD.split(".")[1:], *NEW.split(".")[1:]):
        assert part not in returned.output
    assert held(NEW) not in returned.output
    assert "NOMBA_CLIENT_ID" not in returned.output


@pytest.mark.parametrize("there", [False, True], ids=["no file", "old file"])
def test_expected_file_is_replaced(written: CredentialFile, there: bool) -> None:
    if there:
        written.hold()
    returned = written(expected=checksum(held(OLD)) if there else "")
    assert (returned.failed, returned["changed"]) == (False, True)
    assert written.dest.read_text() == held(NEW)
    assert (written.folder / ".nomba.env.lock").stat().st_mode & 0o777 == 0o600
    assert written.files == [".nomba.env.lock", "nomba.env"]
    assert written(OLD, expected=returned["checksum"])["changed"] is True


@pytest.mark.parametrize("expected", ["", checksum("something else"), checksum(held(NEW))])
def test_unexpected_file_is_unchanged(written: CredentialFile, expected: str) -> None:
    written.hold()
    before = written.dest.stat()
    returned = written(expected=expected)
    assert (returned.error, returned["changed"]) == ("conflict", False)
    assert written.dest.read_text() == held(OLD)
    assert written.dest.stat().st_ino == before.st_ino
    assert written.files == [".nomba.env.lock", "nomba.env"]


def test_missing_expected_file_is_a_conflict(written: CredentialFile) -> None:
    returned = written(expected=checksum(held(OLD)))
    assert (returned.error, returned["changed"]) == ("conflict", False)
    assert written.files == [".nomba.env.lock"]


def test_lock_of_another_run_fails_after_the_timeout(
    written: CredentialFile,
) -> None:
    written.hold()
    with (written.folder / ".nomba.env.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        returned = written(expected=checksum(held(OLD)))
    assert (returned.error, returned["changed"]) == ("locked", False)
    assert sum(written.clock.slept) == pytest.approx(10.0, abs=0.2)
    assert written.dest.read_text() == held(OLD)


@pytest.mark.parametrize("check", [False, True], ids=["real", "check"])
@pytest.mark.parametrize("dest", ["", "missing/nomba.env"], ids=["a folder", "in no folder"])
def test_dest_that_cannot_be_a_file_is_rejected(
    written: CredentialFile, dest: str, check: bool
) -> None:
    returned = written(dest=str(written.folder / dest), check=check)
    assert (returned.error, returned["changed"]) == ("invalid_option", False)
    assert returned["msg"].startswith("dest: ")
    assert "folder" in returned["msg"]
    assert written.files == []


@pytest.mark.parametrize("there", [False, True], ids=["dangling", "whole"])
def test_link_stays_and_its_target_is_replaced(written: CredentialFile, there: bool) -> None:
    if there:
        written.hold()
    link = written.folder.parent / "link.env"
    link.symlink_to(written.dest)
    returned = written(dest=str(link))
    assert (returned["changed"], link.is_symlink()) == (True, True)
    assert not written.dest.is_symlink()
    assert (written.dest.read_text(), written.mode) == (held(NEW), 0o600)
    assert written.files == ["nomba.env"]


def test_unknown_owner_keeps_the_old_file(written: CredentialFile) -> None:
    written.hold()
    returned = written(owner="no-such-user-here")
    assert returned.error == "invalid_option"
    assert returned["msg"].startswith("owner: this host has no owner with this name")
    assert written.dest.read_text() == held(OLD)
    assert written.files == ["nomba.env"]


@pytest.mark.parametrize("check", [False, True], ids=["real", "check"])
def test_file_of_more_than_a_mebibyte_is_rejected(written: CredentialFile, check: bool) -> None:
    written.dest.write_bytes(b"x" * (1024 * 1024 + 1))
    returned = written(check=check)
    assert (returned.error, returned["changed"]) == ("invalid_option", False)
    assert returned["msg"].startswith("dest: it is larger than 1 MiB")
    assert written.dest.stat().st_size == 1024 * 1024 + 1
    assert written.files == ["nomba.env"]


def test_content_of_more_than_a_mebibyte_is_rejected(written: CredentialFile) -> None:
    returned = written(content="x" * (1024 * 1024 + 1))
    assert (returned.error, returned["msg"][:25]) == ("invalid_option", "content: it is larger tha")
    assert written(content="x" * 1024 * 1024)["changed"] is True
    assert written(content="x" * 1024 * 1024)["changed"] is False


def test_token_is_identified_for_any_length_of_its_signature(written: CredentialFile) -> None:
    for length in (0, 25, 42, 44, 86, 342):
        odd = f"{NEW.rpartition('.')[0]}.{'s' * length}"
        result = written(odd, diff=True)
        assert (length, result["fingerprints"]) == (length, [fingerprint(odd)])
        assert result["diff"]["after"] == f"{fingerprint(odd)}\n"
        assert "eyJ" not in result.output


def test_empty_content_returns_the_tokens_of_the_file(written: CredentialFile) -> None:
    written.dest.write_text(held(OLD) + held(NEW) + held(OLD))
    returned = written(content="", check=True)
    assert returned["before"] == [fingerprint(OLD), fingerprint(NEW)]
    assert returned["fingerprints"] == []
    assert written.files == ["nomba.env"]


def test_documented_results_are_what_is_returned(written: CredentialFile) -> None:
    returned = written(diff=True)
    always = set(RETURNED) - {"error", "variables"}
    assert set(returned.result) - ANSIBLES_OWN == always
    assert {name: type(returned[name]).__name__ for name in always} == {
        name: RETURNED[name]["type"] for name in always
    }
    refused = written(expected="")
    assert set(refused.result) - ANSIBLES_OWN == {"error"}
    assert set(refused["error"]) == set(RETURNED["error"]["contains"])


def test_documented_codes_are_those_it_can_produce() -> None:
    codes = " ".join(RETURNED["error"]["contains"]["code"]["description"])
    kinds = (_errors.Conflict, _errors.Locked, _errors.NotWritten, _errors.InvalidOption)
    assert set(VALUE.findall(codes)) == {kind.code for kind in kinds}
