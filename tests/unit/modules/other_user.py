# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Another user of the host, with a folder of their own, and a file that no module may touch.

As root, the other user is nobody. Without root, the process itself appears as another user.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.limits import time_limit

from .writers import WITH_TOKENS

IS_ROOT = os.geteuid() == 0
STRANGER = 65534 if IS_ROOT else os.geteuid()
NOBODY_ELSE = 4242


@pytest.fixture(autouse=True)
def never_hang() -> Iterator[None]:
    """Fail a test whose module blocks."""
    with time_limit(30, "the module blocks"):
        yield


@pytest.fixture(autouse=True)
def another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Appear as another user, because without root every file belongs to this one."""
    if not IS_ROOT:
        monkeypatch.setattr(os, "geteuid", lambda: NOBODY_ELSE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of the other user."""
    folder = tmp_path / "app"
    folder.mkdir()
    give(folder)
    return folder


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file that no module may read or write, in a folder that none may change."""
    path = tmp_path / "victims" / "victim"
    path.parent.mkdir(mode=0o700)
    path.write_bytes(b"root::0:0:root:/root:/bin/sh\n")
    path.chmod(0o644)
    return path


def give(path: Path) -> None:
    """Give a file, a folder or a link to the other user."""
    os.chown(path, STRANGER, -1, follow_symlinks=False)


def to_owner(module: str) -> dict[str, str]:
    """Return the options that give the file of a module to the other user, a common setup."""
    return {"owner": str(STRANGER)} if module in WITH_TOKENS else {}
