# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All modules that write a file, behind one call, and snapshots of files."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.nomba.auth.plugins.modules import nomba_audit, nomba_credential_file

from .harness import ModuleResult, Revoke, run_module
from .token_harness import Token

# By the option that names the file.
OPTIONS = {
    "nomba_credential_file": "dest",
    "nomba_token": "dest",
    "nomba_audit": "path",
    "nomba_token_revoke": "progress",
}
WITH_TOKENS = ("nomba_credential_file", "nomba_token")
WITHOUT_TOKENS = ("nomba_audit", "nomba_token_revoke")

CONTENT = "NOMBA_CLIENT_ID=c\n"


class Writers:
    """The modules, called with a path and options for the simulator."""

    def __init__(self, token: Token, revoke: Revoke) -> None:
        self.token = token
        self.revoke = revoke
        self.simulator = token.simulator

    def __call__(
        self, module: str, path: Path, check: bool = False, **options: Any
    ) -> ModuleResult:
        if module == "nomba_token":
            return self.token(dest=str(path), check=check, **options)
        if module == "nomba_token_revoke":
            token = self.simulator.mint()
            return self.revoke(token, progress=str(path), check=check, **options)
        if module == "nomba_audit":
            given = {"path": str(path), "events": [{"id": "1"}], **options}
            main = nomba_audit.main
        else:
            given = {"dest": str(path), "content": CONTENT, **options}
            main = nomba_credential_file.main
        given["_ansible_check_mode"] = check
        return run_module(main, given, self.token.monkeypatch)


def snapshot(path: Path) -> tuple[Any, ...]:
    """Return type, mode, owner, group, number of names and content of a file or folder."""
    status = path.lstat()
    content: Any = None
    if stat.S_ISREG(status.st_mode):
        content = path.read_bytes()
    elif stat.S_ISLNK(status.st_mode):
        content = path.readlink() if hasattr(path, "readlink") else None
    elif stat.S_ISDIR(status.st_mode):
        content = {child.name: snapshot(child) for child in path.iterdir()}
    return status.st_mode, status.st_uid, status.st_gid, status.st_nlink, content


@contextmanager
def special_file(path: Path, kind: str) -> Iterator[Path]:
    """Create a special file; yield its path, or that of a device of the system."""
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        _bind(path)
    else:
        path = _device(path)
    yield path


def _bind(path: Path) -> None:
    # A socket's path may be 107 bytes long, and a test's folder is deep.
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(before)


def _device(path: Path) -> Path:
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        return Path("/dev/null")
    return path
