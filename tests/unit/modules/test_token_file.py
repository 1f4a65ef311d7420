# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file that holds the token: created, kept, repaired, and no other file replaced."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.settings import OTHER_ACCOUNT_ID, SECOND_CLIENT_ID
from tests.simulator.tokens import fingerprint

from .request_log import ONE_LIVE_TOKEN, operations
from .token_harness import Token

OTHER_FILES = {
    "text": b"not a token\n",
    "a bare token": b"eyJhbGciOiJIUzI1NiJ9.e30.c2ln\n",
    "another document": b'{"name": "value"}',
    "no text": b"\xff\xfe\x00",
    "a deep list": b"[" * 100_000,
}


def _refuse(*_words: Any, **_options: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_token_is_issued_into_a_new_file(token: Token) -> None:
    returned = token()
    document = token.document
    assert (returned["action"], returned["changed"]) == ("issued", True)
    assert returned["fingerprint"] == fingerprint(document["access_token"])
    assert token.simulator.live() == [returned["fingerprint"]]
    assert document["refresh_token"]
    assert document["client_id"] == token.simulator.client_id
    assert returned["expires_at"][:19] == document["expires_at"][:19]
    assert operations(token.simulator) == ["issue"]


def test_result_holds_no_token(token: Token) -> None:
    returned = token()
    assert "access_token" not in returned.result
    assert token.document["access_token"] not in returned.output
    assert token.document["refresh_token"] not in returned.output
    assert len(token.simulator.writes()) == 1


def test_remaining_files_are_private(token: Token) -> None:
    before = os.umask(0)
    try:
        returned = token()
    finally:
        os.umask(before)
    assert not returned.failed
    assert token.mode == 0o600
    assert token.files == [".token.json.lock", "token.json"]
    assert (token.folder / ".token.json.lock").stat().st_mode & 0o777 == 0o600
    assert operations(token.simulator) == ["issue"]


def test_issue_names_grant_client_and_account(token: Token) -> None:
    token()
    (post,) = token.simulator.requests()
    assert post.path == "/v1/auth/token/issue"
    assert post.body_fields == ("client_id", "client_secret", "grant_type")
    assert post.account_id == token.simulator.account_id
    assert not post.authorization


def test_second_run_changes_and_sends_nothing(token: Token) -> None:
    first = token()
    content = token.dest.read_bytes()
    token.simulator.forget_requests()
    returned = token()
    assert (returned["action"], returned["changed"]) == ("kept", False)
    assert returned["fingerprint"] == first["fingerprint"]
    assert token.dest.read_bytes() == content
    assert token.simulator.requests() == []


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o400])
def test_mode_of_a_good_file_is_repaired_without_a_request(token: Token, mode: int) -> None:
    token.hold()
    token.dest.chmod(mode)
    returned = token()
    assert (returned["action"], returned["changed"]) == ("kept", True)
    assert token.mode == 0o600
    assert token.simulator.requests() == []


def test_stricter_mode_is_set(token: Token) -> None:
    returned = token(mode="0400")
    assert not returned.failed
    assert token.mode == 0o400
    assert token(mode="0400")["changed"] is False
    assert operations(token.simulator) == ["issue"]


@pytest.mark.parametrize("held", [False, True], ids=["no file", "good file"])
def test_mode_that_lets_others_read_is_rejected(token: Token, held: bool) -> None:
    if held:
        token.hold()
    for mode in ("0644", "0640", "0601", 0o604, "u=rw,g=r", "a+r"):
        result = token(mode=mode)
        assert (mode, result.error, result["changed"]) == (mode, "invalid_option", False)
        assert result["msg"].startswith("mode: ")
    assert token.dest.exists() is held
    assert not held or token.mode == 0o600
    assert token.simulator.requests() == []


def test_unknown_owner_fails_before_an_issue(token: Token) -> None:
    returned = token(owner="no-such-user-here")
    assert returned.error == "invalid_option"
    assert returned["msg"].startswith("owner: ")
    assert token.files == []
    assert token.simulator.requests() == []


def test_force_replaces_a_valid_token(token: Token) -> None:
    made = token.hold()
    returned = token(force=True)
    assert (returned["action"], returned["changed"]) == ("refreshed", True)
    assert token.document["access_token"] != made["access_token"]
    assert token.document["replaced"] == []
    assert token.simulator.accepts(made["access_token"])
    assert operations(token.simulator) == ["refresh"]


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": SECOND_CLIENT_ID},
        {"account_id": OTHER_ACCOUNT_ID},
        {"api_url": "https://api.nomba.com"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_file_of_another_client_is_replaced_with_a_warning(
    token: Token, changes: dict[str, Any]
) -> None:
    made = token.hold(**changes)
    returned = token(revoke_replaced=True)
    assert (returned["action"], returned["changed"]) == ("issued", True)
    assert made["fingerprint"] in returned.warnings
    assert token.document["client_id"] == token.simulator.client_id
    assert token.simulator.accepts(made["access_token"])
    assert operations(token.simulator) == ["issue"]


def test_other_file_is_never_overwritten(token: Token) -> None:
    # Which contents are none of ours: tests/unit/core/test_stored_token.py.
    for name, content in OTHER_FILES.items():
        for check in (True, False):
            token.dest.write_bytes(content)
            result = token(force=True, check=check)
            row = (name, check, result.error, result["changed"])
            assert row == (name, check, "invalid_option", False)
            assert result["msg"].startswith("dest: it contains something else")
            assert token.dest.read_bytes() == content
    assert token.simulator.requests() == []


def test_empty_file_is_filled(token: Token) -> None:
    token.dest.touch(0o644)
    returned = token()
    assert returned["action"] == "issued"
    assert token.mode == 0o600
    assert operations(token.simulator) == ["issue"]


@pytest.mark.parametrize("check", [False, True], ids=["real", "check"])
@pytest.mark.parametrize("dest", ["", "missing/token.json"], ids=["a folder", "in no folder"])
def test_dest_that_cannot_be_a_file_is_rejected(token: Token, dest: str, check: bool) -> None:
    returned = token(dest=str(token.folder / dest), check=check)
    assert returned.error == "invalid_option"
    assert "folder" in returned["msg"]
    assert token.files == []
    assert token.simulator.requests() == []


def test_folder_that_cannot_be_written_fails_before_an_issue(token: Token) -> None:
    open_file = os.open

    def refuse_new(path: Any, flags: int, *words: Any, **options: Any) -> int:
        return int((_refuse if flags & os.O_EXCL else open_file)(path, flags, *words, **options))

    token.monkeypatch.setattr(os, "open", refuse_new)
    returned = token()
    assert returned.error == "invalid_option"
    assert "its folder cannot be written" in returned["msg"]
    assert not token.dest.exists()
    assert token.simulator.requests() == []


def test_lock_that_cannot_be_made_fails_before_an_issue(token: Token) -> None:
    (token.folder / ".token.json.lock").mkdir()
    returned = token()
    assert returned.error == "invalid_option"
    assert returned["msg"].startswith(
        "dest: its lock file .token.json.lock is a folder; remove that"
    )
    assert token.simulator.requests() == []


def test_file_system_without_locks_fails_before_an_issue(token: Token) -> None:
    token.monkeypatch.setattr(fcntl, "flock", _refuse)
    returned = token()
    assert returned.error == "invalid_option"
    assert returned["msg"].startswith("dest: its lock file .token.json.lock is unusable: ")
    assert token.simulator.requests() == []


def test_full_disk_fails_before_an_issue(token: Token) -> None:
    made = token.hold(lifetime=60)
    token.monkeypatch.setattr(os, "pwrite", _refuse)
    returned = token()
    assert returned.error == "invalid_option"
    assert "cannot be written" in returned["msg"]
    assert token.document["access_token"] == made["access_token"]
    assert token.files == [".token.json.lock", "token.json"]
    assert token.simulator.requests() == []


@pytest.mark.parametrize("call", ["replace", "ftruncate"])
def test_token_that_cannot_be_written_is_revoked(token: Token, call: str) -> None:
    made = token.hold(lifetime=60)
    token.monkeypatch.setattr(os, call, _refuse)
    returned = token()
    assert (returned.error, returned["changed"]) == ("not_written", False)
    assert os.strerror(errno.ENOSPC) in returned["msg"]
    assert "was revoked again" in returned["msg"]
    assert token.simulator.live() == [made["fingerprint"]]
    assert token.document["access_token"] == made["access_token"]
    assert token.files == [".token.json.lock", "token.json"]
    assert operations(token.simulator) == ["refresh", *ONE_LIVE_TOKEN]


def test_token_that_can_be_neither_written_nor_revoked_is_reported(token: Token) -> None:
    token.simulator.configure(revoke_effective=False)
    token.monkeypatch.setattr(os, "replace", _refuse)
    returned = token()
    (alive,) = token.simulator.live()
    assert returned.error == "not_written"
    assert f"The new token {alive} could not be revoked" in returned["msg"]
    assert not token.dest.exists()
    assert len(token.simulator.requests("issue")) == 1


def test_written_token_is_not_revoked_after_a_later_error(token: Token) -> None:
    # Otherwise the file would hold a dead token that seems valid.
    fsync = os.fsync

    def files_only(file: int) -> None:
        if Path(f"/proc/self/fd/{file}").resolve().is_dir():
            _refuse()
        fsync(file)

    token.monkeypatch.setattr(os, "fsync", files_only)
    returned = token()
    assert returned["action"] == "issued"
    assert token.simulator.accepts(token.document["access_token"])
    assert operations(token.simulator) == ["issue"]


@pytest.mark.parametrize("there", [False, True], ids=["dangling", "whole"])
def test_link_stays_and_its_target_is_replaced(token: Token, there: bool) -> None:
    if there:
        token.hold(lifetime=60)
    link = token.folder.parent / "link.json"
    link.symlink_to(token.dest)
    returned = token(dest=str(link))
    assert returned["changed"] is True
    assert link.is_symlink()
    assert not token.dest.is_symlink()
    assert returned["fingerprint"] == fingerprint(token.document["access_token"])
    assert operations(token.simulator) == ["refresh" if there else "issue"]


def test_token_is_returned_without_a_file(token: Token) -> None:
    returned, again = token(dest=None), token(dest=None)
    assert (returned["action"], returned["changed"]) == ("issued", True)
    assert returned["fingerprint"] == fingerprint(returned["access_token"])
    assert returned["access_token"] != again["access_token"]
    assert token.simulator.accepts(returned["access_token"])
    assert token.files == []
    assert operations(token.simulator) == ["issue", "issue"]
