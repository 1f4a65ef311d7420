# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Owner, group, mode and the other attributes: set on the open file, and foretold by check mode."""

from __future__ import annotations

import errno
import grp
import os
import pwd
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule

from .writers import CONTENT, WITH_TOKENS, Writers, snapshot

IS_ROOT = os.geteuid() == 0
# Anybody may run this, also a user of whom the system knows no name.
ME = next((user.pw_name for user in pwd.getpwall() if user.pw_uid == os.getuid()), str(os.getuid()))
GROUP = next((one.gr_name for one in grp.getgrall() if one.gr_gid == os.getgid()), str(os.getgid()))
# Without root, a file can only be given to whom it belongs to.
UID, GID = (64_001, 64_002) if IS_ROOT else (os.getuid(), os.getgid())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where no file is yet."""
    (tmp_path / "etc").mkdir()
    return tmp_path / "etc" / "nomba"


SETTINGS: list[dict[str, Any]] = [
    {},
    {"owner": str(UID), "group": str(GID), "mode": "0400"},
    {"owner": ME, "group": GROUP, "mode": "u=r,go="},
    {"owner": str(UID)},
    {"group": str(GID), "mode": 0o600},
    {"mode": "u-w"},
]


@pytest.mark.parametrize("held", [0o600, 0o400, None], ids=lambda mode: mode and oct(mode))
@pytest.mark.parametrize("setting", SETTINGS, ids=str)
@pytest.mark.parametrize("module", WITH_TOKENS)
def test_check_mode_foretells_the_change_and_a_second_run_makes_none(
    write: Writers, path: Path, module: str, setting: dict[str, Any], held: int | None
) -> None:
    if held is not None:
        write(module, path)
        path.chmod(held)
        before = snapshot(path)
    foretold = write(module, path, check=True, **setting)
    assert held is None or snapshot(path) == before
    result = write(module, path, **setting)
    assert not result.failed
    assert result["changed"] is foretold["changed"]
    assert write(module, path, **setting)["changed"] is False
    assert write(module, path, check=True, **setting)["changed"] is False
    status = path.stat()
    if setting.get("owner") == str(UID):
        assert status.st_uid == UID
    if "group" in setting:
        assert status.st_gid in {GID, os.getgid()}
    assert status.st_mode & 0o7777 in {0o600, 0o400}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("owner", "no-such-user-here"),
        ("owner", str(2**32 - 1)),
        ("owner", "-1"),
        ("owner", ""),
        ("group", "no-such-group-here"),
        ("group", str(2**33)),
        ("attributes", "+i"),
        ("attributes", "=da"),
        ("attributes", "i"),
    ],
)
@pytest.mark.parametrize("module", WITH_TOKENS)
def test_what_cannot_be_set_is_refused_before_anything_is_sent(
    write: Writers, path: Path, module: str, option: str, value: str
) -> None:
    for check in (True, False):
        result = write(module, path, check=check, **{option: value})
        assert (result.error, result["changed"]) == ("invalid_option", False)
        assert result["msg"].startswith(f"{option}: ")
    assert list(path.parent.iterdir()) == []
    assert write.simulator.requests() == []


@pytest.mark.parametrize("option", ["owner", "group"])
def test_an_owner_whom_this_user_cannot_set_is_refused_before_an_issue(
    write: Writers, path: Path, option: str
) -> None:
    def refuse(*_words: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    write.token.monkeypatch.setattr(os, "fchown", refuse)
    result = write("nomba_token", path, **{option: "64001"})
    assert result.error == "invalid_option"
    assert result["msg"].startswith(
        f"{option}: it cannot be set: {os.strerror(errno.EPERM)}; run as"
    )
    assert not path.exists()
    assert write.simulator.requests() == []


def test_a_file_is_never_open_to_others_on_its_way(write: Writers, path: Path) -> None:
    modes: list[int] = []
    fchmod, fchown = os.fchmod, os.fchown

    def note(file: int) -> None:
        modes.append(os.fstat(file).st_mode & 0o077)

    write.token.monkeypatch.setattr(
        os, "fchmod", lambda file, mode: (note(file), fchmod(file, mode))
    )
    write.token.monkeypatch.setattr(
        os, "fchown", lambda file, *ids: (note(file), fchown(file, *ids))
    )
    before = os.umask(0)
    try:
        write("nomba_credential_file", path, owner=str(UID), group=str(GID), mode="0400")
    finally:
        os.umask(before)
    assert set(modes) == {0}


@pytest.mark.parametrize("held", [False, True], ids=["new", "unchanged"])
@pytest.mark.parametrize("check", [False, True], ids=["real", "check"])
def test_what_ansible_sets_goes_through_the_open_folder(
    write: Writers, path: Path, held: bool, check: bool
) -> None:
    asked: list[tuple[dict[str, Any], int]] = []

    def set_attributes(_module: AnsibleModule, wanted: dict[str, Any], **_options: Any) -> bool:
        # Whoever exchanges the folder now, and this is done by its path, has won.
        path.parent.rename(path.parent.with_name("aside"))
        path.parent.mkdir()
        asked.append((wanted, Path(wanted["path"]).stat().st_ino))
        path.parent.rmdir()
        path.parent.with_name("aside").rename(path.parent)
        return True

    if held:
        write("nomba_credential_file", path)
    write.token.monkeypatch.setattr(AnsibleModule, "set_fs_attributes_if_different", set_attributes)
    options = {"setype": "etc_t", "attributes": "+d"}
    result = write("nomba_credential_file", path, check=check, **options)
    assert result["changed"] is True
    if check and not held:
        assert not path.exists()
        return
    ((wanted, inode),) = asked
    assert inode == path.stat().st_ino
    assert (wanted["owner"], wanted["group"], wanted["mode"]) == (None, None, None)
    assert "etc_t" in wanted["secontext"]
    assert wanted["attributes"] == "+d"
    assert path.read_text() == CONTENT


def test_unsafe_writes_change_nothing(write: Writers, path: Path) -> None:
    path.write_text("old\n")
    write.token.monkeypatch.setattr(os, "replace", _busy)
    result = write("nomba_credential_file", path, unsafe_writes=True)
    assert result.error == "not_written"
    assert path.read_text() == "old\n"


def _busy(*_words: Any, **_options: Any) -> None:
    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
