# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Named variables of a .env file on a host: only they change, and only fingerprints are shown."""

from __future__ import annotations

import hashlib
import os
import stat
import struct
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.nomba.auth.plugins.module_utils import _file_options
from ansible_collections.nomba.auth.plugins.modules import nomba_credential_file
from tests.simulator.tokens import fingerprint
from tests.unit.clock import FastClock

from .harness import ModuleResult, run_module

IS_ROOT = os.geteuid() == 0
# Without root, a file can only belong to this user.
UID, GID = (64_001, 64_002) if IS_ROOT else (os.getuid(), os.getgid())
ACL = "system.posix_acl_access"

ID, SECRET = "NOMBA_CLIENT_ID", "NOMBA_PRIVATE_KEY"
OLD = {ID: "old-client-id-of-the-shop", SECRET: "old+secret/of-the-shop=="}
NEW = {ID: "new-client-id-of-the-shop", SECRET: "new secret #1 of the $hop"}
BEFORE = b"".join(b"OTHER_%d='other secret %d' # \xff\r\n" % (one, one) for one in range(20))
AFTER = b"".join(b'export LATER_%d="a\nb"\n' % one for one in range(20)) + b"LAST=no newline"


def env_file(client_id: bytes, secret: bytes) -> bytes:
    """Return a .env file with 41 other variables and these two values, as they are written."""
    return (b"%bexport NOMBA_CLIENT_ID=%b # the shop\r\nNOMBA_PRIVATE_KEY=%b\n%b") % (
        BEFORE,
        client_id,
        secret,
        AFTER,
    )


FILE = env_file(OLD[ID].encode(), OLD[SECRET].encode())
WRITTEN = env_file(NEW[ID].encode(), b"'" + NEW[SECRET].encode() + b"'")


def prints(values: dict[str, str]) -> dict[str, str]:
    """Return the fingerprints of values, by name."""
    return {name: fingerprint(value) for name, value in values.items()}


class EnvFile:
    """nomba_credential_file with the option variables, and a .env file."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.monkeypatch = monkeypatch
        self.path = folder / ".env"
        self.clock = FastClock()
        monkeypatch.setattr(nomba_credential_file, "SYSTEM", self.clock.as_clock())

    def __call__(
        self, variables: Any = None, check: bool = False, diff: bool = False, **options: Any
    ) -> ModuleResult:
        given = {"dest": str(self.path), "variables": variables or NEW, **options}
        given = {name: value for name, value in given.items() if value is not None}
        given.update(_ansible_check_mode=check, _ansible_diff=diff)
        return run_module(nomba_credential_file.main, given, self.monkeypatch)

    def hold(self, content: bytes = FILE, mode: int = 0o640) -> os.stat_result:
        """Write a file; return its status."""
        self.path.write_bytes(content)
        self.path.chmod(mode)
        os.chown(self.path, UID, GID)
        return self.path.stat()

    @property
    def files(self) -> list[str]:
        """The names of all files in the folder."""
        return sorted(path.name for path in self.path.parent.iterdir())


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> EnvFile:
    """The module, aimed at a .env file in an empty folder."""
    folder = tmp_path / "srv"
    folder.mkdir()
    return EnvFile(monkeypatch, folder)


def access(status: os.stat_result) -> tuple[int, int, int]:
    """Return mode, owner and group."""
    return stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o400, 0o660])
def test_only_these_variables_change(env: EnvFile, mode: int) -> None:
    before = env.hold(mode=mode)
    returned = env()
    assert (returned.failed, returned["changed"], returned.warnings) == (False, True, "")
    assert env.path.read_bytes() == WRITTEN
    assert access(env.path.stat()) == access(before)
    assert env.files == [".env"]
    assert env.path.stat().st_ino != before.st_ino


def test_second_run_keeps_the_same_file(env: EnvFile) -> None:
    env.hold()
    first, before = env(), env.path.stat()
    for check in (True, False):
        returned = env(check=check)
        assert (returned.failed, returned["changed"]) == (False, False)
        assert returned["checksum"] == first["checksum"] == hashlib.sha256(WRITTEN).hexdigest()
        after = env.path.stat()
        assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("check", [False, True], ids=["real", "check"])
def test_result_shows_fingerprints_by_name(env: EnvFile, check: bool) -> None:
    env.hold(
        b"NOMBA_PRIVATE_KEY=older+secret\nA=1\nNOMBA_PRIVATE_KEY='%b'\n" % OLD[SECRET].encode()
    )
    returned = env(check=check, diff=True)
    older = fingerprint("older+secret")
    old, new = prints(OLD), prints(NEW)
    assert returned["variables"] == {
        ID: {"before": "", "after": new[ID]},
        SECRET: {"before": old[SECRET], "after": new[SECRET]},
    }
    assert returned["before"] == [older, old[SECRET]]
    assert returned["fingerprints"] == [new[SECRET], new[SECRET], new[ID]]
    assert returned["diff"] == {
        "before_header": str(env.path),
        "after_header": str(env.path),
        "before": f"{SECRET}=({older})\n{SECRET}=({old[SECRET]})\n",
        "after": f"{SECRET}=({new[SECRET]})\n{SECRET}=({new[SECRET]})\n{ID}=({new[ID]})\n",
    }
    assert "diff" not in env(check=check).result


@pytest.mark.parametrize(
    "options",
    [{}, {"expected": ""}, {"mode": "0644"}, {"dest": "/no/such/folder/file"}],
    ids=["written", "conflict", "bad mode", "bad dest"],
)
@pytest.mark.parametrize("check", [False, True], ids=["real", "check"])
def test_no_value_is_in_the_output(env: EnvFile, options: dict[str, Any], check: bool) -> None:
    env.hold()
    returned = env(check=check, diff=True, **options)
    for value in (*OLD.values(), *NEW.values(), "other secret", "LATER_", "OTHER_"):
        assert value not in returned.output


def test_check_mode_writes_nothing(env: EnvFile) -> None:
    before = env.hold()
    returned = env(check=True)
    assert (returned.failed, returned["changed"]) == (False, True)
    assert env.path.read_bytes() == FILE
    assert env.path.stat() == before
    assert env.files == [".env"]


@pytest.mark.parametrize(("options", "mode"), [({}, 0o600), ({"mode": "0400"}, 0o400)])
def test_missing_file_is_created(env: EnvFile, options: dict[str, Any], mode: int) -> None:
    assert env(check=True, **options)["changed"] is True
    assert env.files == []
    returned = env(owner=str(UID), group=str(GID), **options)
    assert returned["variables"] == {
        name: {"before": "", "after": p} for name, p in prints(NEW).items()
    }
    assert access(env.path.stat()) == (mode, UID, GID)
    content = f"{ID}={NEW[ID]}\n{SECRET}='{NEW[SECRET]}'\n"
    assert env.path.read_text() == content
    assert env(owner=str(UID), group=str(GID), **options)["changed"] is False


def test_options_replace_mode_and_owner(env: EnvFile) -> None:
    env.hold(WRITTEN, 0o640)
    options = {"mode": "0600", "owner": str(os.getuid()), "group": str(os.getgid())}
    assert env(check=True, **options)["changed"] is True
    assert env(**options)["changed"] is True
    assert access(env.path.stat()) == (0o600, os.getuid(), os.getgid())
    assert env(**options)["changed"] is False


def test_mode_option_that_lets_others_read_is_rejected(env: EnvFile) -> None:
    env.hold()
    for mode in ("0640", "0644", "u=rw,g=r"):
        returned = env(mode=mode)
        assert (mode, returned.error) == (mode, "invalid_option")
        assert returned["msg"].startswith("mode: ")
    assert env.path.read_bytes() == FILE


@pytest.mark.parametrize("check", [False, True], ids=["real", "check"])
def test_file_that_everybody_can_read_keeps_its_mode_with_a_warning(
    env: EnvFile, check: bool
) -> None:
    env.hold(mode=0o644)
    returned = env(check=check)
    assert returned["changed"] is True
    assert "dest: every user can read it (mode 0644); set mode 0600" in returned.warnings
    assert stat.S_IMODE(env.path.stat().st_mode) == 0o644


def acl(user: int, mask: int) -> bytes:
    """Return an access control list: the owner, a user and no group may read; see acl(5)."""
    none = 0xFFFFFFFF
    rows = [(1, 6, none), (2, 4, user), (4, 0, none), (0x10, mask, none), (0x20, 0, none)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *row) for row in rows)


def has_acl(path: Path, name: str = ACL) -> bool:
    """Set an access control list; return whether the file system has them."""
    try:
        os.setxattr(path, name, acl(64_003, 4))
    except OSError:
        return False
    return True


def test_access_control_list_stays(env: EnvFile) -> None:
    env.hold(mode=0o600)
    if not has_acl(env.path):
        return
    before = access(env.path.stat())
    assert before[0] == 0o640
    assert env()["changed"] is True
    assert os.getxattr(env.path, ACL) == acl(64_003, 4)
    assert access(env.path.stat()) == before
    assert env()["changed"] is False


def test_file_does_not_get_the_access_control_list_of_its_folder(env: EnvFile) -> None:
    env.hold(mode=0o640)
    if not has_acl(env.path.parent, "system.posix_acl_default"):
        return
    assert env()["changed"] is True
    with pytest.raises(OSError, match="No data available"):
        os.getxattr(env.path, ACL)
    assert stat.S_IMODE(env.path.stat().st_mode) == 0o640


def test_access_control_list_that_cannot_be_kept_stops_the_write(env: EnvFile) -> None:
    env.hold(mode=0o600)
    if not has_acl(env.path):
        return

    def refuse(*_words: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    env.monkeypatch.setattr(_file_options.os, "setxattr", refuse)
    returned = env()
    assert returned.error == "invalid_option"
    assert returned["msg"].startswith("dest: its access control list cannot be kept: Operation")
    assert env.path.read_bytes() == FILE
    assert env.files == [".env"]


def as_another_user(env: EnvFile) -> None:
    """Let the module believe that a user without root's rights runs it."""
    env.monkeypatch.setattr(_file_options.os, "geteuid", lambda: os.getuid() + 5)
    env.monkeypatch.setattr(_file_options.os, "getgroups", list)
    env.monkeypatch.setattr(_file_options.os, "getegid", lambda: GID + 5)


@pytest.mark.parametrize("check", [False, True], ids=["real", "check"])
def test_owner_or_group_that_only_root_can_keep_is_refused(env: EnvFile, check: bool) -> None:
    env.hold()
    as_another_user(env)
    returned = env(check=check)
    assert returned.error == "invalid_option"
    assert returned["msg"].startswith("dest: it belongs to another user, and only root can keep")
    returned = env(check=check, owner=str(UID))
    assert returned["msg"].startswith("dest: this user is not in its group, and only root can keep")
    assert env.path.read_bytes() == FILE


def test_expected_file_is_replaced_and_another_is_a_conflict(env: EnvFile) -> None:
    env.hold()
    assert env(expected="").error == "conflict"
    assert env.path.read_bytes() == FILE
    returned = env(expected=hashlib.sha256(FILE).hexdigest())
    assert returned["changed"] is True
    assert env(OLD, expected=returned["checksum"])["changed"] is True


def test_another_program_that_writes_at_the_same_time_is_a_conflict(env: EnvFile) -> None:
    env.hold()
    replace = os.replace

    def lose(*names: Any, **options: Any) -> None:
        replace(*names, **options)
        env.path.write_bytes(FILE)

    env.monkeypatch.setattr(os, "replace", lose)
    assert env().error == "conflict"


@pytest.mark.parametrize("call", ["replace", "pwrite", "ftruncate", "fsync"])
def test_file_that_cannot_be_written_is_unchanged(env: EnvFile, call: str) -> None:
    env.hold()

    def refuse(*_words: Any, **_options: Any) -> Any:
        raise OSError(28, "No space left on device")

    env.monkeypatch.setattr(os, call, refuse)
    returned = env()
    assert (returned.error, returned["changed"]) == ("not_written", False)
    assert env.path.read_bytes() == FILE
    assert env.files == [".env"]


def test_link_stays_and_its_target_is_replaced(env: EnvFile) -> None:
    before = env.hold()
    link = env.path.parent.parent / "link"
    link.symlink_to(env.path)
    assert env(dest=str(link))["changed"] is True
    assert link.is_symlink()
    assert env.path.read_bytes() == WRITTEN
    assert access(env.path.stat()) == access(before)


@pytest.mark.parametrize(
    ("variables", "content", "problem"),
    [
        ({SECRET: "a\nb"}, FILE, f"variables: the value of {SECRET} contains a line break"),
        ({SECRET: 12345}, FILE, f"variables: the value of {SECRET} is not a string; quote it"),
        ({"A B": "c"}, FILE, "variables: a name has letters, digits and _"),
        (NEW, b"NOMBA_PRIVATE_KEY='open\n", "dest: line 1: it is not certain which value"),
        (NEW, b"A=\0", "dest: line 1 contains a NUL byte"),
        (NEW, b"#" * (1 << 20), "dest: it would be larger than 1 MiB"),
    ],
    ids=["value", "number", "name", "file", "binary", "large"],
)
@pytest.mark.parametrize("check", [False, True], ids=["real", "check"])
def test_what_is_not_certain_is_refused(
    env: EnvFile, variables: Any, content: bytes, problem: str, check: bool
) -> None:
    env.hold(content)
    returned = env(variables, check=check)
    assert (returned.error, returned["changed"]) == ("invalid_option", False)
    assert returned["msg"].startswith(problem)
    assert env.path.read_bytes() == content
    assert env.files == [".env"]


def test_exactly_one_of_content_and_variables_is_required(env: EnvFile) -> None:
    assert "mutually exclusive" in env(content="the whole content")["msg"]
    given = {"dest": str(env.path)}
    returned = run_module(nomba_credential_file.main, given, env.monkeypatch)
    assert "one of the following is required: content, variables" in returned["msg"]
    given["variables"] = {}  # type: ignore[assignment]
    returned = run_module(nomba_credential_file.main, given, env.monkeypatch)
    assert returned["msg"].startswith("variables: it is empty")
    assert env.files == []
