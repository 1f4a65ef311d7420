# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Another user who prepares a path gets no other file read, written, created or given away.

As root, the other user is nobody. Without root, the process appears as another user.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .other_user import IS_ROOT, STRANGER, another_user, folder, give, never_hang, to_owner, victim
from .writers import CONTENT, OPTIONS, WITH_TOKENS, WITHOUT_TOKENS, Writers, snapshot, special_file

pytestmark = pytest.mark.newest

__all__ = ["another_user", "folder", "never_hang", "victim"]


def plant_link(path: Path, target: Path) -> None:
    """Create a link of the other user."""
    path.symlink_to(target)
    give(path)


# Special files


# One module has every kind; in the others one case proves the same check: a FIFO blocks a reader.
SPECIAL = [("nomba_credential_file", kind) for kind in ("FIFO", "device", "socket", "folder")]
SPECIAL += [(module, "FIFO") for module in OPTIONS if module != "nomba_credential_file"]


@pytest.mark.parametrize("check", [False, True], ids=["real", "check"])
@pytest.mark.parametrize(("module", "kind"), SPECIAL)
def test_special_file_is_rejected(
    write: Writers, tmp_path: Path, module: str, kind: str, check: bool
) -> None:
    (tmp_path / "etc").mkdir()
    with special_file(tmp_path / "etc" / "nomba", kind) as path:
        before = snapshot(tmp_path / "etc"), path.lstat()
        result = write(module, path, check=check)
        if module == "nomba_token_revoke" and check:
            assert not result.failed  # check mode opens no progress file
        else:
            assert (result.error, result["changed"]) == ("invalid_option", False)
            assert result["msg"].startswith(f"{OPTIONS[module]}: it is a {kind}; name a")
            assert write.simulator.requests() == []
        assert (snapshot(tmp_path / "etc"), path.lstat()[:6]) == (before[0], before[1][:6])


LOCKS = [("nomba_credential_file", kind) for kind in ("FIFO", "device", "socket", "folder")]
LOCKS += [(module, kind) for module in WITH_TOKENS for kind in ("link", "hard link")]


@pytest.mark.parametrize(("module", "kind"), LOCKS)
def test_lock_that_is_no_regular_file_is_rejected(
    write: Writers, folder: Path, victim: Path, module: str, kind: str
) -> None:
    lock = folder / ".nomba.lock"
    if kind == "link":
        plant_link(lock, victim)
    elif kind == "hard link":
        os.link(victim, lock)
    elif kind == "device" and not IS_ROOT:
        plant_link(lock, Path("/dev/null"))
    else:
        with special_file(lock, kind):
            give(lock)
    before = snapshot(folder), snapshot(victim.parent)
    result = write(module, folder / "nomba", **to_owner(module), **_locking(module))
    assert (result.error, result["changed"]) == ("invalid_option", False)
    assert result["msg"].startswith("dest: its lock file .nomba.lock is a ")
    assert (snapshot(folder), snapshot(victim.parent)) == before
    assert write.simulator.requests() == []


def _locking(module: str) -> dict[str, str]:
    return {"expected": ""} if module == "nomba_credential_file" else {}


@pytest.mark.parametrize("module", WITH_TOKENS)
def test_dangling_link_as_lock_creates_no_file(
    write: Writers, folder: Path, victim: Path, module: str
) -> None:
    plant_link(folder / ".nomba.lock", victim.with_name("new"))
    result = write(module, folder / "nomba", **to_owner(module), **_locking(module))
    assert result.error == "invalid_option"
    assert [path.name for path in victim.parent.iterdir()] == ["victim"]


# Links


@pytest.mark.parametrize("target", ["victim", "new"])
@pytest.mark.parametrize("module", OPTIONS)
def test_link_of_another_user_is_not_followed(
    write: Writers, folder: Path, victim: Path, module: str, target: str
) -> None:
    plant_link(folder / "nomba", victim.with_name(target))
    before = snapshot(folder), snapshot(victim.parent)
    result = write(module, folder / "nomba", **to_owner(module))
    assert (result.error, result["changed"]) == ("invalid_option", False)
    assert result["msg"].startswith(f"{OPTIONS[module]}: ")
    assert "link" in result["msg"]
    assert write.simulator.requests() == []
    assert (snapshot(folder), snapshot(victim.parent)) == before


@pytest.mark.parametrize("module", OPTIONS)
def test_link_of_another_user_is_not_followed_in_place_of_a_folder(
    write: Writers, folder: Path, victim: Path, module: str
) -> None:
    plant_link(folder / "conf", victim.parent)
    before = snapshot(folder), snapshot(victim.parent)
    for name in ("victim", "new"):
        result = write(module, folder / "conf" / name, **to_owner(module))
        assert (result.error, result["changed"]) == ("invalid_option", False)
        assert "is a link of " in result["msg"]
    assert (snapshot(folder), snapshot(victim.parent)) == before
    assert write.simulator.requests() == []


@pytest.mark.parametrize("module", OPTIONS)
def test_link_of_root_that_another_user_can_move_is_not_followed(
    write: Writers, folder: Path, victim: Path, module: str
) -> None:
    (folder / "conf").symlink_to(victim.parent)
    before = snapshot(folder), snapshot(victim.parent)
    result = write(module, folder / "conf" / "new", **to_owner(module))
    assert (result.error, result["changed"]) == ("invalid_option", False)
    assert "link" in result["msg"]
    assert (snapshot(folder), snapshot(victim.parent)) == before


@pytest.mark.parametrize("module", WITH_TOKENS)
def test_own_link_to_a_link_of_another_user_is_not_followed(
    write: Writers, folder: Path, victim: Path, module: str
) -> None:
    plant_link(folder / "nomba", victim)
    (folder.parent / "own").symlink_to(folder / "nomba")
    before = snapshot(folder), snapshot(victim.parent)
    result = write(module, folder.parent / "own", **to_owner(module))
    assert (result.error, result["changed"]) == ("invalid_option", False)
    assert "is a link of " in result["msg"]
    assert (snapshot(folder), snapshot(victim.parent)) == before


@pytest.mark.parametrize("module", WITHOUT_TOKENS)
def test_no_link_is_followed_to_a_record(
    write: Writers, tmp_path: Path, victim: Path, module: str
) -> None:
    (tmp_path / "link").symlink_to(victim)
    before = snapshot(victim.parent)
    result = write(module, tmp_path / "link")
    assert result.error == "invalid_option"
    assert result["msg"] == f"{OPTIONS[module]}: it is a link; name the file itself"
    assert snapshot(victim.parent) == before
    assert write.simulator.requests() == []


@pytest.mark.parametrize("module", WITHOUT_TOKENS)
def test_hard_link_to_another_file_is_not_appended_to(
    write: Writers, folder: Path, victim: Path, module: str
) -> None:
    os.link(victim, folder / "nomba")
    before = snapshot(victim)
    result = write(module, folder / "nomba")
    assert result.error == "invalid_option"
    assert snapshot(victim) == before
    assert write.simulator.requests() == []


@pytest.mark.parametrize("module", WITHOUT_TOKENS)
def test_file_of_another_user_is_not_appended_to(write: Writers, folder: Path, module: str) -> None:
    (folder / "nomba").write_bytes(b"")
    give(folder / "nomba")
    result = write(module, folder / "nomba")
    assert result.error == "invalid_option"
    assert " belongs to " in result["msg"]
    assert (folder / "nomba").read_bytes() == b""


def test_token_of_another_user_is_not_given_away_by_a_hard_link(
    write: Writers, folder: Path, victim: Path
) -> None:
    write.token.hold()
    write.token.dest.replace(victim)
    os.link(victim, folder / "nomba")
    before = snapshot(victim)
    result = write("nomba_token", folder / "nomba", **(to_owner("nomba_token") if IS_ROOT else {}))
    assert result.error == "invalid_option"
    assert snapshot(victim) == before
    assert write.simulator.requests() == []


# Folders


def third_party_folders() -> dict[str, tuple[int, int, int]]:
    """Return owner, group and mode of folders that a third party can write."""
    me = os.getuid()
    folders = {
        "of another user": (STRANGER, -1, 0o700),
        "for every user": (me, -1, 0o777),
        "for every user, sticky": (me, -1, 0o1777),
    }
    if IS_ROOT:
        folders["for another group"] = (me, STRANGER, 0o770)
    return folders


FOLDERS = third_party_folders()


@pytest.mark.parametrize("kind", FOLDERS)
@pytest.mark.parametrize("name", ["nomba", "conf/nomba"], ids=["the folder", "one above"])
def test_folder_that_a_third_party_can_write_is_rejected(
    write: Writers, tmp_path: Path, kind: str, name: str
) -> None:
    # The next test has the other module.
    module = "nomba_credential_file"
    folder = tmp_path / "app"
    path = folder / name
    path.parent.mkdir(parents=True)
    uid, gid, mode = FOLDERS[kind]
    os.chown(folder, uid, gid)
    folder.chmod(mode)
    before = snapshot(folder)
    result = write(module, path)
    if IS_ROOT and name != "nomba" and "sticky" in kind:
        assert not result.failed  # as in /tmp, no other user can rename the folder of root
        return
    assert (result.error, result["changed"]) == ("invalid_option", False)
    assert "can be written by " in result["msg"]
    assert "could exchange the file; use a folder that only root, you" in result["msg"]
    assert snapshot(folder) == before
    assert write.simulator.requests() == []


def test_no_token_is_issued_for_a_folder_of_another_user(write: Writers, folder: Path) -> None:
    before = snapshot(folder)
    result = write("nomba_token", folder / "nomba")
    assert (result.error, result["changed"]) == ("invalid_option", False)
    assert "can be written by " in result["msg"]
    assert snapshot(folder) == before
    assert write.simulator.requests() == []


@pytest.mark.parametrize("module", WITH_TOKENS)
def test_folder_of_the_owner_of_the_file_is_accepted(
    write: Writers, folder: Path, module: str
) -> None:
    options = {**to_owner(module), "group": str(STRANGER if IS_ROOT else os.getgid())}
    path = folder / "nomba"
    foretold = write(module, path, check=True, **options)
    result, again = write(module, path, **options), write(module, path, **options)
    assert (foretold["changed"], result["changed"], again["changed"]) == (True, True, False)
    status = path.stat()
    assert (status.st_uid, str(status.st_gid)) == (STRANGER, options["group"])
    assert status.st_mode & 0o7777 == 0o600
    assert len(write.simulator.live()) == (module == "nomba_token")


@pytest.mark.parametrize("module", WITHOUT_TOKENS)
def test_record_is_accepted_in_a_folder_that_others_can_write(
    write: Writers, tmp_path: Path, module: str
) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log").chmod(0o1777)
    path = tmp_path / "log" / "nomba"
    if not IS_ROOT:
        write.token.monkeypatch.undo()
    assert not write(module, path).failed
    assert path.stat().st_mode & 0o7777 == 0o600
    assert path.read_bytes().endswith(b"}\n")


@pytest.mark.parametrize("held", [CONTENT, "NOMBA_CLIENT_ID=old\n"], ids=["same", "other"])
def test_file_keeps_its_owner_without_the_option_owner(
    write: Writers, folder: Path, held: str
) -> None:
    path = folder / "nomba"
    path.write_text(held)
    path.chmod(0o600)
    os.chown(path, STRANGER, STRANGER if IS_ROOT else -1)
    before = path.stat()
    if not IS_ROOT:
        write.token.monkeypatch.undo()
    result = write("nomba_credential_file", path)
    after = path.stat()
    assert result["changed"] is (held != CONTENT)
    assert path.read_text() == CONTENT
    assert (after.st_uid, after.st_gid, after.st_mode) == (
        before.st_uid,
        before.st_gid,
        before.st_mode,
    )
