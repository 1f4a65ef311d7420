# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file is written completely, or the old file is kept and the run fails."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.nomba.auth.plugins.modules import nomba_audit
from tests.unit.limits import file_size_limit

from .request_log import operations
from .token_harness import Token
from .writers import WITH_TOKENS, Writers

pytestmark = pytest.mark.newest

# Each write of the state is longer than a page, so that a part of it fits on a disk that is full.
LONG = "NOMBA_NOTE=" + "x" * 50_000 + "\n"
OLD = b"NOMBA_NOTE=old\n"


def test_incomplete_write_keeps_the_old_file(write: Writers, tmp_path: Path) -> None:
    path = tmp_path / "nomba"
    path.write_bytes(OLD)
    with file_size_limit(20_000):
        returned = write("nomba_credential_file", path, content=LONG)
    assert (returned.error, returned["changed"]) == ("not_written", False)
    assert os.strerror(errno.EFBIG) in returned["msg"]
    assert path.read_bytes() == OLD
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["nomba"]


def test_token_of_an_incomplete_write_is_revoked(token: Token) -> None:
    made = token.hold(lifetime=60, replaced=["x" * 20_000])
    before = token.dest.read_bytes()
    with file_size_limit(10_000):
        returned = token()
    assert (returned.error, returned["changed"]) == ("not_written", False)
    assert "was revoked again" in returned["msg"]
    assert token.dest.read_bytes() == before
    assert token.simulator.live() == [made["fingerprint"]]
    assert token.files == [".token.json.lock", "token.json"]
    assert operations(token.simulator) == ["refresh", "balance", "balance", "revoke", "balance"]


def test_incomplete_reservation_fails_before_an_issue(token: Token) -> None:
    with file_size_limit(4096):
        returned = token()
    assert returned.error == "invalid_option"
    assert token.files == [".token.json.lock"]
    assert token.simulator.requests() == []


@pytest.mark.parametrize("module", WITH_TOKENS)
@pytest.mark.parametrize("length", [1, 7, 4096])
def test_short_writes_make_a_complete_file(
    write: Writers, tmp_path: Path, module: str, length: int
) -> None:
    pwrite = os.pwrite
    write.token.monkeypatch.setattr(
        os, "pwrite", lambda file, text, offset: pwrite(file, text[:length], offset)
    )
    returned = write(module, tmp_path / "nomba", **({} if "token" in module else {"content": LONG}))
    assert returned["changed"] is True
    held = (tmp_path / "nomba").read_bytes()
    assert held == LONG.encode() if module != "nomba_token" else json.loads(held)
    assert b"\0" not in held


def test_disk_that_accepts_no_byte_is_an_error(write: Writers, tmp_path: Path) -> None:
    (tmp_path / "nomba").write_bytes(OLD)
    write.token.monkeypatch.setattr(os, "pwrite", lambda *_words: 0)
    assert write("nomba_credential_file", tmp_path / "nomba").error == "not_written"
    assert (tmp_path / "nomba").read_bytes() == OLD


@pytest.mark.parametrize("before", [b'{"id": "1"}\n', b'{"id": "1"}\n{"id": "2", "st', b""])
def test_incomplete_event_is_removed(write: Writers, tmp_path: Path, before: bytes) -> None:
    record = tmp_path / "audit.jsonl"
    record.write_bytes(before)
    event = {"id": "3", "note": "x" * 1000}
    with file_size_limit(len(before) + 100):
        returned = write("nomba_audit", record, events=[event])
    assert (returned.error, returned["changed"]) == ("not_written", False)
    assert record.read_bytes() == before
    assert write("nomba_audit", record, events=[event])["appended"] == 1
    assert record.read_bytes().startswith(before)
    assert json.loads(record.read_bytes().splitlines()[-1]) == event


def test_record_that_cannot_be_truncated_gets_a_line_end(write: Writers, tmp_path: Path) -> None:
    # As with chattr +a.
    def refuse(*_words: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    record = tmp_path / "audit.jsonl"
    with pytest.MonkeyPatch.context() as patch, file_size_limit(100):
        patch.setattr(os, "ftruncate", refuse)
        returned = write("nomba_audit", record, events=[{"id": "1", "note": "x" * 1000}])
    assert returned.error == "not_written"
    assert record.stat().st_size == 100
    assert write("nomba_audit", record, events=[{"id": "2"}])["appended"] == 1
    assert json.loads(record.read_bytes().splitlines()[-1]) == {"id": "2"}


def test_record_with_a_permanent_lock_is_an_error(write: Writers, tmp_path: Path) -> None:
    record = tmp_path / "audit.jsonl"
    record.touch(0o644)
    write.token.monkeypatch.setattr(nomba_audit, "SYSTEM", write.token.clock.as_clock())
    with record.open(encoding="utf-8") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        returned = write("nomba_audit", record)
    assert returned.error == "not_written"
    assert "held its lock" in returned["msg"]
    assert sum(write.token.clock.slept) == pytest.approx(10.0, abs=0.2)
    assert record.read_bytes() == b""


@pytest.mark.parametrize("module", ["nomba_audit", "nomba_credential_file"])
def test_file_that_blocks_a_reader_is_rejected(write: Writers, tmp_path: Path, module: str) -> None:
    # As /proc/kmsg, which is a regular file.
    def wait(*_words: Any) -> bytes:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    (tmp_path / "nomba").touch(0o600)
    write.token.monkeypatch.setattr(os, "read", wait)
    returned = write(module, tmp_path / "nomba")
    assert returned.error == "invalid_option"
    assert "it cannot be read: " in returned["msg"]
