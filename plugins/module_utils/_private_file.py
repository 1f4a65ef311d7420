# Copyright (c) 2026, The nomba.auth contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Replacing a private file, and only when it still is what its writer has read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from ansible_collections.nomba.auth.plugins.module_utils._clock import Clock
from ansible_collections.nomba.auth.plugins.module_utils._errors import Conflict, NotWritten
from ansible_collections.nomba.auth.plugins.module_utils._token_file import (
    Slot,
    locked,
    read_file,
)

# Seconds for which to wait for somebody else who writes the same file.
_PATIENCE = 10.0


def checksum(content: bytes | None) -> str:
    """What tells one content from another; empty without any."""
    return "" if content is None else hashlib.sha256(content).hexdigest()


def compare(held: bytes | None, expected: str | None) -> None:
    """Raises Conflict when the file holds something else than was expected."""
    if expected is not None and checksum(held) != expected:
        raise Conflict(
            "dest: it has changed since it was read; another run is at work, look at it first"
        )


def put(
    path: Path, content: bytes, expected: str | None, fit: Callable[[Path], bool], clock: Clock
) -> tuple[bytes | None, bool]:
    """Put the content there; what was there before, and whether anything is different now.

    expected: the checksum of what must be there, None for anything. fit: gives a file its owner
    and mode. Raises Conflict, Locked, NotWritten, InvalidOption.
    """
    with nullcontext() if expected is None else locked(path, clock, _PATIENCE):
        held = read_file(path)
        compare(held, expected)
        if held == content:
            return held, fit(path)
        with Slot(path) as slot:
            fit(slot.name)
            try:
                slot.commit(content)
            except OSError as error:
                raise NotWritten(f"dest: {error.strerror}; it is as it was") from None
        return held, True
