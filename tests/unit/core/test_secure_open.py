# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Opening files safely, third parties who could replace them, and complete writes."""

from __future__ import annotations

import grp
import os
import pwd
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.nomba.auth.plugins.module_utils import _secure_open
from ansible_collections.nomba.auth.plugins.module_utils._atomic_file import append_lines, write_all
from ansible_collections.nomba.auth.plugins.module_utils._errors import InvalidOption
from ansible_collections.nomba.auth.plugins.module_utils._secure_open import (
    open_entry,
)
from tests.unit.limits import time_limit

pytestmark = pytest.mark.pure

ME = os.geteuid()
OTHER = 64_001


def target(path: object, follow_link: bool = True) -> str:
    """Return the path without links."""
    with open_entry("dest", str(path), follow_link) as entry:
        folder = Path(f"/proc/self/fd/{entry.folder}").resolve()
        assert str(folder / entry.name) == entry.path
        return entry.path


def refusal(path: object, owner: int = ME) -> str:
    """Return the message with which a path is rejected."""
    with pytest.raises(InvalidOption) as raised, open_entry("dest", str(path), True) as entry:
        entry.owned_by(owner)
    return str(raised.value)


def accept(path: object, owner: int = ME) -> None:
    """Check that the path is accepted."""
    with open_entry("dest", str(path), follow_link=True) as entry:
        assert entry.owned_by(owner).owner == owner


# Folders and links on the path


def test_path_resolves_as_in_the_system(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / "absolute").symlink_to(deep)
    (deep / "relative").symlink_to("../../a/./b//file")
    (deep / "file").touch()
    for name in ("absolute/relative", "absolute/../b/file", "a/../a/b/new", "absolute/", "./a/x"):
        path = f"{tmp_path}/{name}"
        if name == "absolute/":
            assert refusal(path) == "dest: it is a folder; name a file in it"
        else:
            assert target(path) == os.path.realpath(path)


def test_relative_path_starts_in_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert target("file") == str(tmp_path.resolve() / "file")
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert "the current folder no longer exists" in refusal("file")


@pytest.mark.parametrize(
    "path", ["/", "", ".", "..", "/tmp/..", "a\0b", "loop", "file/below", "n" * 300]
)
def test_invalid_path_is_rejected_with_option(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    assert refusal(path).startswith("dest: ")


def test_folder_descriptors_are_closed(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    before = descriptors()
    target(tmp_path / "a" / "b" / "file")
    refusal(tmp_path / "a" / "missing" / "file")
    assert descriptors() == before


def descriptors() -> set[str]:
    """Return the open file descriptors of this process."""
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def test_name_other_than_utf8_is_printable(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"\xff")
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "below").mkdir()
    text = refusal(folder / "below" / "file")
    assert "/\\xff, above it, can be written by every user" in text
    text.encode()


# Third parties


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """Return the settings of the group that owns a folder; a test changes them."""
    result: dict[str, Any] = {"name": "ada", "members": [], "uid": ME, "primary": OTHER}

    def group_of(gid: int) -> grp.struct_group:
        if result["name"] is None:
            raise KeyError(gid)
        return grp.struct_group((result["name"], "x", gid, result["members"]))

    def user_of(name: str) -> pwd.struct_passwd:
        if name != "ada":
            raise KeyError(name)
        return pwd.struct_passwd((name, "x", result["uid"], result["primary"], "", "/", "/bin/sh"))

    monkeypatch.setattr(_secure_open.grp, "getgrgid", group_of)
    monkeypatch.setattr(_secure_open.pwd, "getpwnam", user_of)
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(0o770)
    fstat = os.fstat

    def of_group(descriptor: int) -> os.stat_result:
        status = list(fstat(descriptor))
        if stat.S_IMODE(status[0]) == 0o770:
            status[5] = OTHER
        return os.stat_result(status)

    monkeypatch.setattr(os, "fstat", of_group)
    return result


def test_private_group_of_trusted_user_is_accepted(group: dict[str, Any], tmp_path: Path) -> None:
    accept(tmp_path / "folder" / "file")
    group["members"] = ["ada"]
    accept(tmp_path / "folder" / "file")
    group["uid"] = OTHER
    accept(tmp_path / "folder" / "file", owner=OTHER)


@pytest.mark.parametrize(
    "change",
    [
        {"members": ["mallory"]},
        {"members": ["ada", "mallory"]},
        {"name": "users"},
        {"name": None},
        {"uid": OTHER},
        {"primary": 100},
    ],
    ids=repr,
)
def test_every_other_group_is_rejected(
    group: dict[str, Any], tmp_path: Path, change: dict[str, Any]
) -> None:
    group.update(change)
    assert "can be written by " in refusal(tmp_path / "folder" / "file")
    assert "group" in refusal(tmp_path / "folder" / "file")


def acl(*named: tuple[int, int]) -> bytes:
    """Return a POSIX ACL for the owner and for named users with permissions."""
    entries = [(0x01, 7, 2**32 - 1), *((0x02, bits, uid) for uid, bits in named)]
    entries += [(0x04, 0, 2**32 - 1), (0x10, 7, 2**32 - 1), (0x20, 0, 2**32 - 1)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def test_writable_by_acl_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o700)
    # Without the ACL, the group is no third party.
    monkeypatch.setattr(_secure_open, "_is_private_group", lambda *_args: True)
    accept(folder / "file")
    try:
        os.setxattr(folder, "system.posix_acl_access", acl((OTHER, 7)))
    except OSError:  # no ACLs here
        folder.chmod(0o770)
        monkeypatch.setattr(os, "getxattr", lambda *_args: acl((OTHER, 7)))
    assert "can be written by the users in its ACL" in refusal(folder / "file")
    folder.chmod(0o700)
    accept(folder / "file")


def test_default_acl_does_not_open_new_file(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o700)
    with suppress(OSError):  # no ACLs here
        os.setxattr(folder, "system.posix_acl_default", acl((OTHER, 7)))
    with open_entry("dest", str(folder / "file"), follow_link=True) as entry:
        descriptor = entry.owned_by(ME).open(os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        mode = os.fstat(descriptor).st_mode
        os.close(descriptor)
    assert stat.S_IMODE(mode) == 0o600  # the mask of the ACL grants nothing to anyone


# Files replaced between check and open


def replace_at_open(
    monkeypatch: pytest.MonkeyPatch, path: Path, replace: Callable[[], None]
) -> None:
    """Replace a path just before it is opened."""
    open_file = os.open

    def late(name: str, *args: Any, **options: Any) -> int:
        if name == path.name:
            path.rename(path.with_name("aside"))
            replace()
        return open_file(name, *args, **options)

    monkeypatch.setattr(os, "open", late)


@pytest.fixture
def never_hang() -> Iterator[None]:
    """Fail a test whose open call blocks."""
    with time_limit(30, "open blocks"):
        yield


@pytest.mark.usefixtures("never_hang")
@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_WRONLY, os.O_RDWR])
@pytest.mark.parametrize("kind", ["FIFO", "link", "folder"])
def test_file_replaced_before_open_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, flags: int
) -> None:
    path, victim = tmp_path / "file", tmp_path / "victim"
    path.touch()
    victim.touch()
    replace = {
        "FIFO": lambda: os.mkfifo(path),
        "link": lambda: path.symlink_to(victim),
        "folder": path.mkdir,
    }[kind]
    with open_entry("dest", str(path), follow_link=True) as entry:
        replace_at_open(monkeypatch, path, replace)
        before = descriptors()
        with pytest.raises((InvalidOption, OSError)):
            entry.open(flags | os.O_CREAT)
        assert descriptors() == before


def test_folder_replaced_with_link_is_not_entered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "victim").mkdir()
    replace_at_open(monkeypatch, folder, lambda: folder.symlink_to(tmp_path / "victim"))
    assert refusal(folder / "file").startswith("dest: its folder cannot be opened: ")


# Complete writes


@pytest.mark.parametrize("offset", [None, 0, 3])
def test_short_writes_are_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offset: int | None
) -> None:
    pwrite, write = os.pwrite, os.write
    monkeypatch.setattr(os, "pwrite", lambda file, text, start: pwrite(file, text[:2], start))
    monkeypatch.setattr(os, "write", lambda file, text: write(file, text[:2]))
    with (tmp_path / "file").open("wb") as file:
        write_all(file.fileno(), b"1234567", offset)
        write_all(file.fileno(), b"", offset)
    assert (tmp_path / "file").read_bytes() == bytes(offset or 0) + b"1234567"


def test_write_of_zero_bytes_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "write", lambda *_args: 0)
    with (tmp_path / "file").open("wb") as file, pytest.raises(OSError, match="error"):
        write_all(file.fileno(), b"x")


@pytest.mark.parametrize(
    ("before", "after"), [(b"", b"b\n"), (b"a\n", b"a\nb\n"), (b"a", b"a\nb\n"), (b"\n", b"\nb\n")]
)
def test_truncated_line_is_terminated_before_append(
    tmp_path: Path, before: bytes, after: bytes
) -> None:
    (tmp_path / "file").write_bytes(before)
    with (tmp_path / "file").open("ab+") as file:
        append_lines(file.fileno(), b"b\n", durable=True)
    assert (tmp_path / "file").read_bytes() == after
