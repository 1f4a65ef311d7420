# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Owner, group, mode and other attributes are set on the open file; check mode predicts them."""

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
# A user without a name in the system may run this.
ME = next((user.pw_name for user in pwd.getpwall() if user.pw_uid == os.getuid()), str(os.getuid()))
GROUP = next((one.gr_name for one in grp.getgrall() if one.gr_gid == os.getgid()), str(os.getgid()))
# Without root, a file can only be given to its owner.
UID, GID = (64_001, 64_002) if IS_ROOT else (os.getuid(), os.getgid())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A path without a file."""
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


MODES = [0o600, 0o400, None]
# nomba_token shares the code: the cases in which it writes, changes only the mode, and owner.
ATTRIBUTES = [("nomba_credential_file", setting, mode) for setting in SETTINGS for mode in MODES]
ATTRIBUTES += [("nomba_token", SETTINGS[1], None), ("nomba_token", SETTINGS[1], 0o600)]
ATTRIBUTES += [("nomba_token", SETTINGS[5], 0o600)]


@pytest.mark.parametrize(("module", "setting", "held"), ATTRIBUTES, ids=str)
def test_check_mode_predicts_the_change_and_the_second_run_makes_none(
    write: Writers, path: Path, module: str, setting: dict[str, Any], held: int | None
) -> None:
    if held is not None:
        write(module, path)
        path.chmod(held)
        before = snapshot(path)
    predicted = write(module, path, check=True, **setting)
    assert held is None or snapshot(path) == before
    result = write(module, path, **setting)
    assert not result.failed
    assert result["changed"] is predicted["changed"]
    assert write(module, path, **setting)["changed"] is False
    assert write(module, path, check=True, **setting)["changed"] is False
    status = path.stat()
    if setting.get("owner") == str(UID):
        assert status.st_uid == UID
    if "group" in setting:
        assert status.st_gid in {GID, os.getgid()}
    assert status.st_mode & 0o7777 in {0o600, 0o400}


UNUSABLE = [
    ("owner", "no-such-user-here"),
    ("owner", str(2**32 - 1)),
    ("owner", "-1"),
    ("owner", ""),
    ("group", "no-such-group-here"),
    ("group", str(2**33)),
    ("attributes", "+i"),
    ("attributes", "=da"),
    ("attributes", "i"),
]


@pytest.mark.parametrize("module", WITH_TOKENS)
def test_unusable_attribute_is_rejected_before_a_request(
    write: Writers, path: Path, module: str
) -> None:
    wrong = []
    for option, value in UNUSABLE:
        for check in (True, False):
            result = write(module, path, check=check, **{option: value})
            code, changed = result.error if result.failed else "", result["changed"]
            if (code, changed) != ("invalid_option", False) or not result["msg"].startswith(
                f"{option}: "
            ):
                wrong.append((option, value, check, result.output))
    assert wrong == []
    assert list(path.parent.iterdir()) == []
    assert write.simulator.requests() == []


@pytest.mark.parametrize("option", ["owner", "group"])
def test_owner_that_this_user_cannot_set_is_rejected_before_an_issue(
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


def test_unfinished_file_is_never_open_to_others(write: Writers, path: Path) -> None:
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
def test_attributes_of_ansible_are_set_through_the_open_folder(
    write: Writers, path: Path, held: bool, check: bool
) -> None:
    asked: list[tuple[dict[str, Any], int]] = []

    def set_attributes(_module: AnsibleModule, wanted: dict[str, Any], **_options: Any) -> bool:
        # A module that used the path would now reach the folder of another user.
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
